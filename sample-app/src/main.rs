//! The live demo: a loaded key-value server goes from version 1 over 2 to 3, back to 2, and to 3 again,
//! and nothing is lost. Also the host that serves.

mod demo;
mod serve;
mod table;

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// Loads a key-value server and updates it meanwhile; exits with 1 if any request fails or any write is lost.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    demo: DemoArguments,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args)]
struct DemoArguments {
    /// How long the load runs, about.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Connections, every second one pipelining.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=2000))]
    connections: u32,
    /// Workers of the server.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=112))]
    workers: u32,
}

#[derive(Subcommand)]
enum Command {
    /// Serve, and say how to update by signal.
    Serve {
        /// Port on the loopback; 0 lets the system choose.
        #[arg(long)]
        port: u16,
        /// Number of workers.
        #[arg(long, default_value_t = 2)]
        workers: u32,
        /// The server's own: `--maxclients N`, `--timeout S`,
        /// `--client-output-buffer-limit BYTES[:SOFTBYTES:SECONDS]`.
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
    /// The operator's command line, as `dsu`.
    #[command(disable_help_flag = true)]
    Dsu {
        /// As `dsu --help` says.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    dsu_runtime::enter();
    let arguments = Arguments::parse();
    let ended = match arguments.command {
        Some(Command::Dsu { arguments }) => {
            let line = std::iter::once(OsString::from("dsu")).chain(arguments);
            return dsu_runtime::cli::main(line);
        }
        Some(Command::Serve {
            port,
            workers,
            arguments,
        }) => serve::serve(port, workers, arguments),
        None => demo::run(&arguments.demo),
    };
    ended.unwrap_or_else(|why| {
        eprintln!("error: {why}");
        ExitCode::FAILURE
    })
}
