//! The workers as processes: started, spoken to, pinged, mourned and replaced.
//!
//! Knows channels, process ids and back-off; not what an update is.

use super::ports::Memory;
use crate::ids::WorkerSlot;
use crate::sys::net::Channel;
use crate::sys::spawn::{Child, Program};
use crate::update::BuildIndex;
use crate::worker::{FromWorker, ToWorker};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// First pause before a dead worker is replaced; doubles with each early death.
const BACK_OFF: Duration = Duration::from_millis(50);
/// Longest pause.
const BACK_OFF_LIMIT: Duration = Duration::from_secs(5);
/// A worker that lived this long has not died early.
const SETTLED: Duration = Duration::from_secs(10);
/// How often a worker that does not sleep is pinged, and how long it may take before it counts as busy.
pub const PING_INTERVAL: Duration = Duration::from_secs(1);
/// Messages that may wait for a worker that does not read.
const QUEUE_LIMIT: usize = 10_000;
/// Messages taken from one worker in one turn.
const TURN: usize = 64;

struct Outgoing {
    bytes: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// A living worker.
pub struct Process {
    child: Child,
    channel: Channel,
    outgoing: VecDeque<Outgoing>,
    started: Instant,
    pinged: Option<Instant>,
    last_ping: Instant,
    closed: bool,
    /// At its first update point.
    pub ready: bool,
    /// The last update point that it named.
    pub update_point: String,
    /// Why it ends, if it has said so.
    last_words: String,
}

/// A slot and who is in it.
pub enum Seat {
    /// A worker.
    Up(Box<Process>),
    /// Nobody until then; `ran` says what the last one ran.
    Down {
        /// When a replacement may start.
        until: Instant,
        /// What the dead one ran.
        ran: BuildIndex,
    },
}

/// All workers of a server.
pub struct Fleet {
    seats: Vec<Seat>,
    failures: Vec<u32>,
    program: Program,
}

impl Fleet {
    /// Empty seats for workers of `program`, to be filled at once.
    pub fn new(workers: u32, program: Program, build: BuildIndex, now: Instant) -> Fleet {
        Fleet {
            seats: (0..workers)
                .map(|_| Seat::Down {
                    until: now,
                    ran: build,
                })
                .collect(),
            failures: vec![0; workers as usize],
            program,
        }
    }

    /// All slots.
    pub fn slots(&self) -> impl Iterator<Item = WorkerSlot> + use<> {
        (0..self.seats.len() as u32).map(WorkerSlot)
    }

    /// The living worker in a slot.
    pub fn process(&self, slot: WorkerSlot) -> Option<&Process> {
        match self.seats.get(slot.0 as usize) {
            Some(Seat::Up(process)) => Some(process),
            _ => None,
        }
    }

    fn process_mut(&mut self, slot: WorkerSlot) -> Option<&mut Process> {
        match self.seats.get_mut(slot.0 as usize) {
            Some(Seat::Up(process)) => Some(process),
            _ => None,
        }
    }

    /// Deaths in a row in this slot without a settled life between them.
    pub fn failures(&self, slot: WorkerSlot) -> u32 {
        self.failures.get(slot.0 as usize).copied().unwrap_or(0)
    }

    /// Seats to be filled now, with what the last worker there ran.
    pub fn vacant(&self, now: Instant) -> Vec<(WorkerSlot, BuildIndex)> {
        let seats = self.slots().zip(&self.seats);
        seats
            .filter_map(|(slot, seat)| match seat {
                Seat::Down { until, ran } if *until <= now => Some((slot, *ran)),
                _ => None,
            })
            .collect()
    }

    /// When something is to be done without any event: a replacement or a ping.
    pub fn deadline(&self, now: Instant) -> Instant {
        let seats = self.seats.iter().map(|seat| match seat {
            Seat::Down { until, .. } => *until,
            Seat::Up(process) => process.last_ping + PING_INTERVAL,
        });
        seats.min().unwrap_or(now + PING_INTERVAL)
    }

    /// Executes a worker in this slot. A start that fails counts as a death there.
    ///
    /// # Errors
    /// Those of socket pair, fork and exec.
    pub fn start(
        &mut self,
        slot: WorkerSlot,
        ran: BuildIndex,
        memory: &dyn Memory,
        now: Instant,
    ) -> io::Result<u32> {
        let started = self.try_start(slot, memory, now);
        match started {
            Ok(process) => {
                let id = process.child.id();
                memory.starting(slot, id);
                self.seats[slot.0 as usize] = Seat::Up(Box::new(process));
                Ok(id)
            }
            Err(error) => {
                self.vacate(slot, ran, Duration::ZERO, now);
                Err(error)
            }
        }
    }

    fn try_start(
        &self,
        slot: WorkerSlot,
        memory: &dyn Memory,
        now: Instant,
    ) -> io::Result<Process> {
        let (ours, theirs) = Channel::pair()?;
        let mut program = self.program.clone();
        program.name = format!("{}-{}", program.name, slot.0);
        let mut inherited = memory.descriptors();
        inherited.push(("DSU_CHANNEL_FD", theirs.as_fd().as_raw_fd()));
        let numbers = inherited
            .iter()
            .map(|(name, fd)| ((*name).to_owned(), fd.to_string()));
        program.environment.extend(numbers);
        program
            .environment
            .push(("DSU_ROLE".to_owned(), "worker".to_owned()));
        program
            .environment
            .push(("DSU_SLOT".to_owned(), slot.0.to_string()));
        program
            .environment
            .push(("DSU_SUPERVISOR".to_owned(), std::process::id().to_string()));
        let descriptors: Vec<_> = inherited.iter().map(|(_, fd)| *fd).collect();
        let child = Child::start(&program, &descriptors)?;
        Ok(Process {
            child,
            channel: ours,
            outgoing: VecDeque::new(),
            started: now,
            pinged: None,
            last_ping: now,
            closed: false,
            ready: false,
            update_point: String::new(),
            last_words: String::new(),
        })
    }

    /// Queues a message and sends what the channel takes.
    pub fn send(
        &mut self,
        slot: WorkerSlot,
        message: &ToWorker,
        descriptors: &[BorrowedFd<'_>],
        memory: &dyn Memory,
    ) {
        let Some(process) = self.process_mut(slot) else {
            return;
        };
        let owned: io::Result<Vec<OwnedFd>> = descriptors
            .iter()
            .map(|fd| fd.try_clone_to_owned())
            .collect();
        match (serde_json::to_vec(message), owned) {
            (Ok(bytes), Ok(descriptors)) if process.outgoing.len() < QUEUE_LIMIT => {
                process.outgoing.push_back(Outgoing { bytes, descriptors });
                self.flush(slot, memory);
            }
            // Without this message the worker would be out of step for good; a fresh one is told anew.
            _ => self.kill(slot, "it cannot be sent a message"),
        }
    }

    /// Sends what waits.
    pub fn flush(&mut self, slot: WorkerSlot, memory: &dyn Memory) {
        let Some(process) = self.process_mut(slot) else {
            return;
        };
        let mut failed = false;
        while let Some(next) = process.outgoing.front() {
            let borrowed: Vec<BorrowedFd<'_>> =
                next.descriptors.iter().map(|fd| fd.as_fd()).collect();
            match process.channel.send(&next.bytes, &borrowed) {
                Ok(()) => {
                    process.outgoing.pop_front();
                    // After the message is in the channel: the worker clears the word before it reads.
                    memory.set_due(slot, monotonic_ns());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    failed = !matches!(
                        error.kind(),
                        io::ErrorKind::BrokenPipe
                            | io::ErrorKind::ConnectionReset
                            | io::ErrorKind::NotConnected
                    );
                    process.outgoing.clear();
                    break;
                }
            }
        }
        if failed {
            self.kill(slot, "it cannot be sent a message");
        }
    }

    /// What this worker has said. A worker that says rubbish is ended.
    pub fn receive(&mut self, slot: WorkerSlot) -> Vec<FromWorker> {
        let mut said = Vec::new();
        let mut rubbish = None;
        let Some(process) = self.process_mut(slot) else {
            return said;
        };
        for _ in 0..TURN {
            match process.channel.receive() {
                Ok(Some(packet)) => match serde_json::from_slice(&packet.bytes) {
                    Ok(message) => said.push(message),
                    Err(error) => {
                        rubbish = Some(format!("it says what nobody understands: {error}"))
                    }
                },
                Ok(None) => {
                    process.closed = true;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    rubbish = Some(format!("its channel fails: {error}"));
                    break;
                }
            }
        }
        if let Some(why) = rubbish {
            self.kill(slot, &why);
        }
        said
    }

    /// Descriptors to watch: channel (if open; also for room to write where true) and process.
    pub fn watched(
        &self,
    ) -> impl Iterator<Item = (WorkerSlot, Option<(BorrowedFd<'_>, bool)>, BorrowedFd<'_>)> {
        self.slots()
            .zip(&self.seats)
            .filter_map(|(slot, seat)| match seat {
                Seat::Up(process) => {
                    let channel = (!process.closed)
                        .then(|| (process.channel.as_fd(), !process.outgoing.is_empty()));
                    Some((slot, channel, process.child.as_fd()))
                }
                Seat::Down { .. } => None,
            })
    }

    /// If the worker has ended: how. Its last words should have been received before.
    pub fn ended(&self, slot: WorkerSlot) -> Option<String> {
        let process = self.process(slot)?;
        match process.child.ended() {
            Ok(how) => how.map(|how| match process.last_words.as_str() {
                "" => how,
                why => format!("{how}: {why}"),
            }),
            Err(error) => Some(format!("lost: {error}")),
        }
    }

    /// The worker is about to end, for this reason.
    pub fn says_why(&mut self, slot: WorkerSlot, reason: String) {
        if let Some(process) = self.process_mut(slot) {
            process.last_words = reason;
        }
    }

    /// Empties the slot of a worker that has ended, recovers it, and plans the replacement.
    pub fn bury(
        &mut self,
        slot: WorkerSlot,
        ran: BuildIndex,
        memory: &dyn Memory,
        now: Instant,
    ) -> Duration {
        let lived = self.process(slot).map_or(Duration::ZERO, |process| {
            now.duration_since(process.started)
        });
        memory.recover(slot);
        self.vacate(slot, ran, lived, now)
    }

    fn vacate(
        &mut self,
        slot: WorkerSlot,
        ran: BuildIndex,
        lived: Duration,
        now: Instant,
    ) -> Duration {
        let failures = &mut self.failures[slot.0 as usize];
        *failures = if lived >= SETTLED {
            1
        } else {
            failures.saturating_add(1)
        };
        let pause = back_off(*failures);
        self.seats[slot.0 as usize] = Seat::Down {
            until: now + pause,
            ran,
        };
        pause
    }

    /// Ends a worker; its death is noticed like any other.
    pub fn kill(&self, slot: WorkerSlot, why: &str) {
        if let Some(process) = self.process(slot) {
            tracing::warn!("ending {slot}: {why}");
            process.child.kill();
        }
    }

    /// Pings who has not been pinged for a while and does not sleep, or sleeps on though it was told
    /// something (R26).
    pub fn ping(&mut self, memory: &dyn Memory, now: Instant) {
        for slot in self.slots() {
            let Some(process) = self.process_mut(slot) else {
                continue;
            };
            if now.duration_since(process.last_ping) < PING_INTERVAL {
                continue;
            }
            process.last_ping = now;
            if process.pinged.is_none() && process.ready && !memory.is_waiting(slot) {
                process.pinged = Some(now);
                self.send(slot, &ToWorker::Ping, &[], memory);
            }
        }
    }

    /// Takes a sign of life in.
    pub fn heard(&mut self, slot: WorkerSlot, update_point: Option<&str>) {
        if let Some(process) = self.process_mut(slot) {
            process.pinged = None;
            if let Some(name) = update_point {
                process.update_point = name.to_owned();
            }
        }
    }

    /// The worker is at its first update point.
    pub fn set_ready(&mut self, slot: WorkerSlot) {
        if let Some(process) = self.process_mut(slot) {
            process.ready = true;
        }
    }
}

impl Process {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How long it has been there.
    pub fn lived(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// How long it has not passed an update point, if that is long enough to be told (R26).
    pub fn busy_for(&self, now: Instant) -> Option<Duration> {
        let silent = now.duration_since(self.pinged?);
        (silent >= PING_INTERVAL).then_some(silent)
    }
}

fn back_off(failures: u32) -> Duration {
    (BACK_OFF * (1 << failures.saturating_sub(1).min(10))).min(BACK_OFF_LIMIT)
}

/// The clock of `WorkerRecord`.
fn monotonic_ns() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |t| {
        t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_deaths_are_replaced_more_and_more_slowly() {
        assert_eq!(back_off(1), BACK_OFF);
        assert_eq!(back_off(3), BACK_OFF * 4);
        assert_eq!(back_off(u32::MAX), BACK_OFF_LIMIT);
    }
}
