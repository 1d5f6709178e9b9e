//! The probe: a throw-away process that loads a library, asks it for its manifest and ends.
//!
//! | process | does | trusts |
//! |---|---|---|
//! | supervisor | starts the keeper, reads its answer ([`Probe`]) | nothing it did not check |
//! | keeper | starts the loader, watches the deadline, kills all that the loader started | its own code |
//! | loader | inspects, copies, loads, asks for the manifest | nobody trusts it |
//!
//! The loader runs the library's constructors, so whatever it says, or leaves unsaid, is a refusal at
//! worst. Where the machine allows it, the loader lives in a process-id namespace of its own, whose
//! first process the keeper ends, and with it all that the loader started; elsewhere the keeper adopts
//! and kills them.

mod frame;
mod keeper;
mod loader;
mod start;

pub use start::{Pace, Probe, Probed, Request};

use std::time::Duration;

/// The environment variable that says which part a host executable plays.
pub const ROLE_VARIABLE: &str = "DSU_ROLE";
/// Role of the process between supervisor and loader.
pub const KEEPER_ROLE: &str = "probe";
/// Role of the first process of the loader's namespace.
pub const FIRST_ROLE: &str = "probe-first";
/// Role of the process that loads.
pub const LOADER_ROLE: &str = "probe-loader";

const LIBRARY_VARIABLE: &str = "DSU_PROBE_LIBRARY";
const RUN_DIR_VARIABLE: &str = "DSU_PROBE_RUN_DIR";
const DEADLINE_VARIABLE: &str = "DSU_PROBE_DEADLINE_MS";
const MEMORY_VARIABLE: &str = "DSU_PROBE_MEMORY";
const PACE_VARIABLE: &str = "DSU_PROBE_PACE";
const IDLE_PACE: &str = "idle";

/// Plays the part that the environment names, if it is one of the probe's; else returns at once. To be
/// called first in `main`, before there are threads.
pub fn main() {
    match std::env::var(ROLE_VARIABLE).as_deref() {
        Ok(KEEPER_ROLE) => keeper::main(),
        Ok(FIRST_ROLE) => keeper::first(),
        Ok(LOADER_ROLE) => loader::main(),
        _ => {}
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn pace() -> Pace {
    match std::env::var(PACE_VARIABLE).as_deref() {
        Ok(IDLE_PACE) => Pace::WhenIdle,
        _ => Pace::Normal,
    }
}

fn deadline() -> Duration {
    number(DEADLINE_VARIABLE).map_or(start::DEADLINE, Duration::from_millis)
}
