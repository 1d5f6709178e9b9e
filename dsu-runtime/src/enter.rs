//! The way into every process of a server: one executable plays supervisor, worker and probe.
//!
//! Workers and probes are started by executing the host again with a role in the environment.
#![allow(unsafe_code)] // takes the descriptors whose numbers the supervisor put into the environment

use crate::heap::RegionFds;
use crate::ids::WorkerSlot;
use crate::version::probe::ROLE_VARIABLE;
use crate::worker::{self, WorkerInheritance};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::ExitCode;

/// Exit code for bad usage.
const USAGE: u8 = 64;

/// Plays the part that the environment names, and ends the process; returns at once when there is none.
/// The first line of every host's `main`.
pub fn enter() {
    let Ok(role) = std::env::var(ROLE_VARIABLE) else {
        return;
    };
    // Ends the process if the part is one of the probe's.
    crate::version::probe::main();
    let code = match role.as_str() {
        "worker" => match inherit() {
            Ok(inheritance) => worker::main(inheritance),
            Err(reason) => {
                eprintln!("unreachable: this process cannot be a worker: {reason}");
                USAGE
            }
        },
        _ => {
            eprintln!(
                "unreachable: this executable has no part called {role:?}: unset {ROLE_VARIABLE}"
            );
            USAGE
        }
    };
    std::process::exit(i32::from(code))
}

/// What the supervisor left in the environment for a worker.
fn inherit() -> Result<WorkerInheritance, String> {
    let slot = number("DSU_SLOT")?;
    let supervisor = worker::meet_supervisor(number("DSU_SUPERVISOR")?)
        .map_err(|error| format!("the supervisor cannot be watched: {error}"))?;
    Ok(WorkerInheritance {
        slot: WorkerSlot(slot),
        channel: descriptor("DSU_CHANNEL_FD")?,
        regions: RegionFds {
            control: descriptor("DSU_CONTROL_FD")?,
            roots: descriptor("DSU_ROOTS_FD")?,
            heap: descriptor("DSU_HEAP_FD")?,
        },
        supervisor,
    })
}

fn number<T: std::str::FromStr>(name: &str) -> Result<T, String> {
    let text = std::env::var(name).map_err(|_| format!("{name} is not set"))?;
    text.parse().map_err(|_| format!("{name} is {text:?}"))
}

fn descriptor(name: &str) -> Result<OwnedFd, String> {
    let fd: i32 = number(name)?;
    // SAFETY: nothing else of this process has run yet that could own the number; fcntl fails for one
    // that is not open, and then it is not taken.
    unsafe {
        fcntl(
            std::os::fd::BorrowedFd::borrow_raw(fd),
            FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC),
        )
        .map_err(|error| format!("{name}: {error}"))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// The operator command in a host of its own: enters a role, or reads the command line.
pub fn main() -> ExitCode {
    enter();
    crate::cli::main(std::env::args_os())
}
