//! The supervisor's side of a probe: never blocks, reads a bounded answer, ends what it started.

use super::{
    DEADLINE_VARIABLE, IDLE_PACE, KEEPER_ROLE, LIBRARY_VARIABLE, MEMORY_VARIABLE, PACE_VARIABLE,
    ROLE_VARIABLE, RUN_DIR_VARIABLE, frame, keeper,
};
use crate::sys::process::PidFd;
use crate::version::inspect::Inspected;
use crate::version::manifest::Manifest;
use crate::version::refusal::Refusal;
use crate::version::statics::Statics;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::task::Poll;
use std::time::{Duration, Instant};

/// Time that a library has, unless told otherwise.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// Time that the keeper has beyond that, to kill and to report.
const GRACE: Duration = Duration::from_secs(5);

/// How much of the machine a probe may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// What nobody else wants, beside a server that is under load; its share where that is next to nothing.
    WhenIdle,
    /// Its share.
    Normal,
}

/// What to probe, and within which limits.
#[derive(Clone, Debug)]
pub struct Request {
    /// The library.
    pub library: PathBuf,
    /// Where its copy goes.
    pub run_dir: PathBuf,
    /// An executable whose `main` calls [`super::main`] first.
    pub host: PathBuf,
    /// Time for everything, without what the loader waits for a processor.
    pub deadline: Duration,
    /// Bytes of addresses that the loader may use.
    pub memory: u64,
    /// Its part of the processors.
    pub pace: Pace,
}

impl Request {
    /// Probes `library` by running this executable again, when idle, for at most 10 s and 4 GiB of addresses.
    pub fn new(library: &Path, run_dir: &Path) -> Request {
        Request {
            library: library.into(),
            run_dir: run_dir.into(),
            host: "/proc/self/exe".into(),
            deadline: DEADLINE,
            memory: 4 << 30,
            pace: Pace::WhenIdle,
        }
    }
}

/// What the probe found out about a library that nothing speaks against.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Probed {
    /// What it states once loaded.
    pub manifest: Manifest,
    /// Digest of the file.
    pub digest: String,
    /// The copy to load.
    pub copy: PathBuf,
    /// What its file states.
    pub header: Inspected,
    /// Its writable statics; a judgement is left to who goes over to it.
    pub statics: Statics,
}

/// A probe that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Probe {
    request: Request,
    keeper: PidFd,
    answer: ChildStdout,
    bytes: Vec<u8>,
    give_up_at: Instant,
    is_collected: bool,
}

impl Probe {
    /// Starts a probe.
    ///
    /// # Errors
    /// [`Refusal::ProbeFailed`] when no process could be started.
    pub fn start(request: &Request) -> Result<Probe, Refusal> {
        Self::start_keeper(request).map_err(failed)
    }

    fn start_keeper(request: &Request) -> io::Result<Probe> {
        let mut child = Command::new(&request.host)
            .env(ROLE_VARIABLE, KEEPER_ROLE)
            .env(LIBRARY_VARIABLE, &request.library)
            .env(RUN_DIR_VARIABLE, &request.run_dir)
            .env(DEADLINE_VARIABLE, request.deadline.as_millis().to_string())
            .env(MEMORY_VARIABLE, request.memory.to_string())
            .env(
                PACE_VARIABLE,
                if request.pace == Pace::WhenIdle {
                    IDLE_PACE
                } else {
                    ""
                },
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let keeper = PidFd::open(child.id()).inspect_err(|_| {
            let _ = child.kill();
            let _ = child.wait();
        })?;
        let answer = child
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("no pipe"))?;
        // From here on `Probe::drop` ends the child.
        let probe = Probe {
            request: request.clone(),
            keeper,
            answer,
            bytes: Vec::new(),
            give_up_at: Instant::now() + request.deadline * (1 + keeper::STARVED_AT_MOST) + GRACE,
            is_collected: false,
        };
        fcntl(&probe.answer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(probe)
    }

    /// The descriptor to watch for reading: [`Probe::poll`] has something to do then.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.answer.as_fd()
    }

    /// When [`Probe::poll`] must be called though nothing is to be read.
    pub fn wake_at(&self) -> Instant {
        self.give_up_at
    }

    /// Takes in what there is; the result once the probe has ended. Not to be called after that.
    pub fn poll(&mut self) -> Poll<Result<Probed, Refusal>> {
        let mut piece = [0; 64 << 10];
        loop {
            match self.answer.read(&mut piece) {
                Ok(0) => match self.finish() {
                    Err(Refusal::Starved) if self.request.pace == Pace::WhenIdle => {
                        if let Err(error) = self.start_again() {
                            return Poll::Ready(Err(failed(error)));
                        }
                    }
                    result => return Poll::Ready(result),
                },
                Ok(len) => self.bytes.extend_from_slice(&piece[..len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Poll::Ready(Err(failed(error))),
            }
            if self.bytes.len() > frame::LIMIT {
                return Poll::Ready(Err(Refusal::Garbage {
                    bytes: self.bytes.len(),
                }));
            }
        }
        match Instant::now() < self.give_up_at {
            true => Poll::Pending,
            false => Poll::Ready(Err(failed("the keeper does not answer"))),
        }
    }

    /// Waits for the result.
    pub fn wait(mut self) -> Result<Probed, Refusal> {
        loop {
            if let Poll::Ready(result) = self.poll() {
                return result;
            }
            let left = self.give_up_at.saturating_duration_since(Instant::now());
            let left = PollTimeout::try_from(left.as_millis()).unwrap_or(PollTimeout::MAX);
            let mut watched = [PollFd::new(self.answer.as_fd(), PollFlags::POLLIN)];
            match poll(&mut watched, left) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// A machine without idle time: from now on the loader takes its share.
    fn start_again(&mut self) -> io::Result<()> {
        *self = Self::start_keeper(&Request {
            pace: Pace::Normal,
            ..self.request.clone()
        })?;
        Ok(())
    }

    /// The pipe is closed: the keeper has ended or is about to.
    fn finish(&mut self) -> Result<Probed, Refusal> {
        self.is_collected = self.keeper.wait().is_ok();
        frame::decode(&self.bytes)
            .unwrap_or_else(|| Err(failed("the keeper ended without an answer")))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if !self.is_collected {
            // The loader dies with its parent, and its namespace with it.
            self.keeper.kill();
            let _ = self.keeper.wait();
        }
    }
}

fn failed(reason: impl ToString) -> Refusal {
    Refusal::ProbeFailed {
        reason: reason.to_string(),
    }
}
