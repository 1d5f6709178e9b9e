//! The way into every process of a server: one executable plays supervisor, worker and probe.
//!
//! Workers and probes are started by executing the host again with a role in the environment.

use crate::version::probe::ROLE_VARIABLE;
use std::process::ExitCode;

/// Plays the part that the environment names, and ends the process; returns at once when there is none.
/// The first line of every host's `main`.
pub fn enter() {
    let Ok(role) = std::env::var(ROLE_VARIABLE) else {
        return;
    };
    // Ends the process if the part is one of the probe's.
    crate::version::probe::main();
    let code = play(&role);
    std::process::exit(code);
}

fn play(role: &str) -> i32 {
    eprintln!("unreachable: this executable has no part called {role:?}: unset {ROLE_VARIABLE}");
    64
}

/// The operator command in a host of its own: enters a role, or reads the command line.
pub fn main() -> ExitCode {
    enter();
    crate::cli::main(std::env::args_os())
}
