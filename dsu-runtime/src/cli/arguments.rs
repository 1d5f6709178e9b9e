//! What can be typed.

use crate::supervisor::{
    Config, FailurePolicy, ListenAddress, Mode, Request, UpdateRequest, parse_size,
};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Runs and updates servers without stopping them.
#[derive(Parser, Debug)]
#[command(name = "dsu", version, arg_required_else_help = true)]
pub(super) struct Arguments {
    /// Answer in JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Control socket of the supervisor [default: $DSU_CONTROL, $XDG_RUNTIME_DIR/dsu.sock or /tmp/dsu-UID/dsu.sock]
    #[arg(long, global = true, value_name = "PATH")]
    pub control: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Run a server.
    Run(RunArguments),
    /// Say whether a library could be run, or updated to.
    Check(CheckArguments),
    /// Update the running server, to a newer or an older neighbour.
    Update(UpdateArguments),
    /// Take an update back, under way or committed.
    Rollback {
        /// Answer when it is done.
        #[arg(long)]
        wait: bool,
    },
    /// Let an update stand still: some workers new, some old.
    Pause,
    /// Let a paused update go on.
    Resume,
    /// Show versions and workers.
    Status {
        /// Walk all shared memory as well and say what is wrong.
        #[arg(long)]
        check: bool,
    },
    /// Show which workers hold an update up.
    Blocking,
    /// Show the updates of this server.
    History,
    /// Write frozen types and lens stubs for the version that follows OLD.
    Xfgen(XfgenArguments),
}

#[derive(Args, Debug)]
pub(super) struct RunArguments {
    /// The library, or a link to it; SIGUSR2 updates to what it holds then.
    pub app: PathBuf,
    /// Number of workers [default: cores, at most 112]
    #[arg(long)]
    pub workers: Option<u32>,
    /// Limit of the shared heap, as 512M or 4G [default: half of memory]
    #[arg(long, value_parser = parse_size)]
    pub heap: Option<u64>,
    /// HOST:PORT or NAME=HOST:PORT to listen on; may be repeated.
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<ListenAddress>,
    /// Seconds for workers to finish what they have when the server is told to end [default: 10]
    #[arg(long, value_name = "S", value_parser = parse_seconds, allow_negative_numbers = true)]
    pub drain: Option<f64>,
    /// Seconds that one transformer may take before its worker is ended [default: 5]
    #[arg(long, value_name = "S", value_parser = parse_seconds, allow_negative_numbers = true)]
    pub transform_timeout: Option<f64>,
    /// Arguments of the application.
    #[arg(last = true)]
    pub arguments: Vec<String>,
}

#[derive(Args, Debug)]
pub(super) struct CheckArguments {
    /// The library.
    pub new: PathBuf,
    /// The version that would run before it.
    #[arg(long, value_name = "OLD.so")]
    pub against: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct XfgenArguments {
    /// The version that runs before.
    pub old: PathBuf,
    /// The version that is to follow it.
    pub new: PathBuf,
    /// Where to write; a file that is there is left as it is [default: -]
    #[arg(long, value_name = "FILE|-")]
    pub out: Option<PathBuf>,
    /// Replace the file, and what was decided in it.
    #[arg(long, requires = "out")]
    pub force: bool,
}

#[derive(Args, Debug)]
pub(super) struct UpdateArguments {
    /// The library to update to.
    pub new: PathBuf,
    /// How workers cross.
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// Workers that cross first [default: 1 with two workers or more]
    #[arg(long, value_name = "K")]
    pub canary: Option<u32>,
    /// Seconds to watch them [default: 1]
    #[arg(long, value_name = "S", value_parser = parse_seconds, allow_negative_numbers = true)]
    pub probation: Option<f64>,
    /// Seconds for workers to reach an update point [default: 30]
    #[arg(long, value_name = "S", value_parser = parse_seconds, allow_negative_numbers = true)]
    pub timeout: Option<f64>,
    /// Answer after commit or rollback.
    #[arg(long)]
    pub wait: bool,
    /// What a failure does.
    #[arg(long, value_enum, default_value_t)]
    pub on_failure: FailurePolicy,
    /// Drop values that the new version has no form for, with what contains them.
    #[arg(long)]
    pub discard_parked: bool,
    /// Listeners of the new version [default: as now]
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<ListenAddress>,
    /// Arguments of the new version [default: as now]
    #[arg(last = true)]
    pub arguments: Vec<String>,
}

/// JSON has no NaN, so it has to be caught before it is sent.
fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok();
    seconds
        .filter(|seconds| (0.0..=86_400.0).contains(seconds))
        .ok_or_else(|| "write seconds, at most a day: 0.5, 30".to_owned())
}

impl Arguments {
    /// Where the supervisor is, or will be.
    pub fn control_path(&self) -> PathBuf {
        let given = self
            .control
            .clone()
            .or_else(|| std::env::var_os("DSU_CONTROL").map(PathBuf::from));
        given.unwrap_or_else(|| match std::env::var_os("XDG_RUNTIME_DIR") {
            Some(folder) if !folder.is_empty() => PathBuf::from(folder).join("dsu.sock"),
            _ => PathBuf::from(format!("/tmp/dsu-{}/dsu.sock", nix::unistd::geteuid())),
        })
    }
}

impl RunArguments {
    /// As the supervisor wants it.
    pub fn into_config(self, control: PathBuf) -> Config {
        let mut config = Config::new(self.app, control);
        config.workers = self.workers.unwrap_or(config.workers);
        config.heap_bytes = self.heap.unwrap_or(config.heap_bytes);
        config.listen = self.listen;
        config.arguments = self.arguments;
        config.drain = self
            .drain
            .map_or(config.drain, std::time::Duration::from_secs_f64);
        config.transform_timeout = self
            .transform_timeout
            .map_or(config.transform_timeout, std::time::Duration::from_secs_f64);
        config
    }
}

impl Command {
    /// As the control socket wants it.
    ///
    /// # Errors
    /// The commands that are no request to a supervisor, and a path that cannot be made absolute.
    pub fn into_request(self) -> Result<Request, String> {
        Ok(match self {
            Command::Update(update) => Request::Update(update.into_request()?),
            Command::Rollback { wait } => Request::Rollback { wait },
            Command::Pause => Request::Pause,
            Command::Resume => Request::Resume,
            Command::Status { check } => Request::Status { check },
            Command::Blocking => Request::Blocking,
            Command::Run(_) | Command::Check(_) | Command::History | Command::Xfgen(_) => {
                return Err("this command needs no supervisor".to_owned());
            }
        })
    }
}

impl UpdateArguments {
    fn into_request(self) -> Result<UpdateRequest, String> {
        // The supervisor has another working directory. Links are left for it to follow.
        let path = std::path::absolute(&self.new)
            .map_err(|error| format!("{}: {error}", self.new.display()))?;
        let texts: Vec<String> = self.listen.iter().map(ListenAddress::to_string).collect();
        Ok(UpdateRequest {
            path,
            mode: self.mode,
            canary: self.canary,
            probation: self.probation,
            timeout: self.timeout,
            on_failure: self.on_failure,
            listen: (!texts.is_empty()).then_some(texts),
            arguments: (!self.arguments.is_empty()).then_some(self.arguments),
            discard_parked: self.discard_parked,
            wait: self.wait,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_documented_lines_are_understood() {
        let run = parse(
            "dsu run a.so --workers 3 --heap 512M --listen 127.0.0.1:0 --listen admin=127.0.0.1:1 -- --verbose x",
        );
        let Ok(Arguments {
            command: Command::Run(run),
            ..
        }) = run
        else {
            panic!("{run:?}")
        };
        let config = run.into_config("/tmp/c.sock".into());
        assert_eq!((config.workers, config.heap_bytes), (3, 512 << 20));
        assert_eq!(config.listen[1].name, "admin");
        assert_eq!(config.arguments, ["--verbose", "x"]);

        let update =
            parse("dsu update b.so --mode barrier --timeout 2.5 --wait --on-failure pause --json");
        let Ok(update) = update else {
            panic!("{update:?}")
        };
        assert!(update.json);
        let Ok(Request::Update(update)) = update.command.into_request() else {
            panic!("an update")
        };
        assert!(update.path.is_absolute() && update.wait);
        assert_eq!(
            (update.mode, update.on_failure),
            (Mode::Barrier, FailurePolicy::Pause)
        );
        assert_eq!(
            (update.timeout, update.canary, update.arguments),
            (Some(2.5), None, None)
        );

        for line in [
            "dsu check a.so --against b.so",
            "dsu rollback",
            "dsu pause",
            "dsu resume",
            "dsu status --check",
            "dsu blocking",
            "dsu history",
            "dsu xfgen a.so b.so",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
        for line in [
            "dsu",
            "dsu fly",
            "dsu run",
            "dsu run a.so --heap x",
            "dsu update a.so --mode sideways",
            "dsu run a.so --listen 1",
            "dsu update a.so --probation nan",
            "dsu update a.so --timeout -1",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn bad_usage_exits_64() {
        let code = super::super::main(["dsu", "fly"].map(Into::into));
        assert_eq!(
            format!("{code:?}"),
            format!("{:?}", std::process::ExitCode::from(64))
        );
    }
}
