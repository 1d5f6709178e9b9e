//! The script of the demo: load, update twice, go back, update again, verify.

use crate::DemoArguments;
use crate::table;
use dsu_runtime::supervisor::Record;
use sample_app::libraries;
use sample_app::load::{Commands, Load, Plan};
use sample_app::server::{Answer, Host, Server, Settings};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// So that latencies are those of the server rather than of a run queue that the load itself fills.
const REST: Duration = Duration::from_millis(5);
/// Stretches without an update: before the first and after each of the four.
const STRETCHES: u32 = 5;

/// Runs the demo; fails if any request or write did.
///
/// # Errors
/// One sentence: it could not be run, or an update did not do as it should.
pub fn run(arguments: &DemoArguments) -> Result<ExitCode, String> {
    let (v1, v2, v3) = (libraries::kv(1)?, libraries::kv(2)?, libraries::kv(3)?);
    let program = std::env::current_exe().map_err(|error| format!("who am I? {error}"))?;
    let host = Host {
        program,
        prefix: vec!["dsu".into()],
    };
    let mut settings = Settings::new(v1);
    settings.workers = arguments.workers;
    let server = Server::start(host, &settings)?;
    let address = server.address();
    let mut plan = Plan::new(address);
    plan.connections = arguments.connections as usize;
    plan.rest = REST;
    let load = Load::start(plan, "v1, undisturbed")
        .map_err(|error| format!("cannot connect to {address}: {error}"))?;
    let mut demo = Demo {
        server,
        load,
        began: Instant::now(),
        stretch: Duration::from_secs(arguments.seconds) / STRETCHES,
        records: Vec::new(),
    };
    demo.say(&format!(
        "version 1 serves {} connections at {address} with {} workers",
        arguments.connections, arguments.workers
    ));
    demo.wait();

    let update = |library: &Path| {
        [
            "update".into(),
            library.display().to_string(),
            "--wait".into(),
        ]
    };
    demo.change("v1 to v2", &update(&v2), 2)?;
    demo.serve("v2", Commands::Expiring);
    demo.change("v2 to v3", &update(&v3), 3)?;
    demo.serve("v3", Commands::Typed);
    // Version 2 has no command for lists and hashes; they stay, and what it can do to them is done.
    demo.load.use_commands(Commands::Expiring);
    demo.change("v3 back to v2", &["rollback".into(), "--wait".into()], 2)?;
    demo.serve("v2 again", Commands::Expiring);
    demo.change("v2 to v3 again", &update(&v3), 3)?;
    demo.serve("v3 again", Commands::Typed);
    demo.finish()
}

struct Demo {
    server: Server,
    load: Load,
    began: Instant,
    stretch: Duration,
    records: Vec<Record>,
}

impl Demo {
    fn say(&self, text: &str) {
        let seconds = self.began.elapsed().as_secs_f64();
        let (answered, failed) = (self.load.answered(), self.load.failed());
        eprintln!("{seconds:6.2} s {answered:>9} requests {failed:>3} failed  {text}");
    }

    fn wait(&self) {
        std::thread::sleep(self.stretch);
        self.say("still serving");
    }

    /// Changes the version under load, in a phase of its own.
    fn change(&mut self, phase: &str, command: &[String], wanted: u64) -> Result<(), String> {
        self.load.phase(phase);
        self.say(phase);
        let answer = self
            .server
            .dsu_with_progress(command, |line| self.say(&format!("  {line}")))?;
        let status = self.server.status()?;
        if answer.code != 0 || status.version != wanted {
            let Answer { word, text, .. } = answer;
            return Err(format!("{phase}: {word} {text}\n{}", self.server.log()));
        }
        self.records.extend(answer.record());
        self.say(&format!("  {}", answer.text));
        Ok(())
    }

    fn serve(&self, phase: &str, commands: Commands) {
        self.load.phase(phase);
        self.load.use_commands(commands);
        self.wait();
    }

    fn finish(self) -> Result<ExitCode, String> {
        self.say("reading everything back");
        let results = self
            .load
            .finish()
            .map_err(|error| format!("cannot read back: {error}"))?;
        let check = self.server.dsu(&["status", "--check"])?;
        let log = self.server.log();
        let ended = self.server.stop()?;
        print!("{}", table::show(&results, &self.records));
        println!(
            "heap check: {}",
            check.text.lines().last().unwrap_or_default()
        );
        for text in &results.texts {
            eprintln!("error: {text}");
        }
        if !results.is_clean() || check.code != 0 || !ended.success() {
            eprintln!("{log}\nerror: the server ended with {ended}, see above");
            return Ok(ExitCode::FAILURE);
        }
        Ok(ExitCode::SUCCESS)
    }
}
