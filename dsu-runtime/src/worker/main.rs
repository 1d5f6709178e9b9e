//! The worker process: takes its place, loads what it is told, runs it until the end.

use super::cx::{DOORBELL, SUPERVISOR_DEATH};
use super::hooks;
use super::host::{self, Host};
use super::messages::FromWorker;
use crate::abi::{SlotState, WorkerContext};
use crate::heap::{RegionFds, Regions, Role, rc};
use crate::ids::WorkerSlot;
use crate::sys::epoll::{Epoll, Interest};
use crate::sys::net::Channel;
use crate::sys::process::PidFd;
use std::io;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd};
use std::sync::atomic::Ordering;

/// Exit code of a worker that was told to end.
const SUCCESS: u8 = 0;
/// Exit code of a worker that could not go on.
const FAILURE: u8 = 1;

/// What the supervisor hands to a worker process.
pub struct WorkerInheritance {
    /// The slot that the process takes.
    pub slot: WorkerSlot,
    /// Its end of the channel.
    pub channel: OwnedFd,
    /// The shared regions.
    pub regions: RegionFds,
    /// Becomes readable when the supervisor dies.
    pub supervisor: PidFd,
}

/// Names the supervisor, whose death is noticed from now on whatever the worker does. Comes before
/// [`main`].
///
/// # Errors
/// It is dead, or the system's.
pub fn meet_supervisor(pid: u32) -> io::Result<PidFd> {
    let supervisor = PidFd::open(pid)?;
    // It is the parent, so that the number was and is its own.
    host::watch_supervisor(pid)?;
    Ok(supervisor)
}

/// Runs a worker to its end.
///
/// Exit code 0 after a drain, 1 after a failure; the supervisor has been told why, if it lives.
pub fn main(inheritance: WorkerInheritance) -> u8 {
    let context = WorkerContext::current();
    let _regions = match Regions::map(inheritance.regions, Role::Worker) {
        Ok(regions) => regions,
        Err(error) => {
            eprintln!("dsu: worker {}: {error}", inheritance.slot.0);
            return FAILURE;
        }
    };
    context.attach(inheritance.slot);
    rc::inherit();
    let record = context.record();
    record.pid.store(std::process::id(), Ordering::Release);
    host::attend(record);
    let channel = Channel::from_descriptor(inheritance.channel);
    if let Err(error) = open_epoll(&channel, &inheritance.supervisor) {
        eprintln!(
            "dsu: worker {}: cannot wait for events: {error}",
            inheritance.slot.0
        );
        return FAILURE;
    }
    Host::set_up(channel, inheritance.supervisor);
    hooks::install(None);
    let Some(first) = Host::await_start() else {
        return FAILURE;
    };
    record
        .state
        .store(SlotState::Running as u32, Ordering::Release);
    let end = host::run(first);
    let (reason, code) = match end {
        Ok(reason) => (reason, SUCCESS),
        Err(reason) => (reason, FAILURE),
    };
    host::say(&FromWorker::Exiting { reason });
    code
}

fn open_epoll(channel: &Channel, supervisor: &PidFd) -> io::Result<()> {
    let descriptor = Epoll::create()?;
    let epoll = Epoll(descriptor.as_fd());
    epoll.add(channel.as_fd(), DOORBELL, Interest::READABLE)?;
    epoll.add(supervisor.as_fd(), SUPERVISOR_DEATH, Interest::READABLE)?;
    WorkerContext::current().epoll.set(descriptor.into_raw_fd());
    Ok(())
}
