//! The process between supervisor and loader: it outlives the loader and cleans up after it.

use super::start::Pace;
use super::{FIRST_ROLE, LOADER_ROLE, ROLE_VARIABLE, frame};
use crate::sys::process::{self, PidFd};
use crate::version::refusal::Refusal;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::WaitStatus;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A loader that gets no processor has so many times its deadline on top.
pub(super) const STARVED_AT_MOST: u32 = 5;
/// An idle loader that waited so long for a processor is given up: the machine has no idle time.
const IDLE_STARVED: Duration = Duration::from_secs(2);
/// How often an idle loader is looked at.
const IDLE_LOOK: Duration = Duration::from_millis(250);

/// Bytes of the loader's stderr that are kept for the refusal; the rest is read and dropped.
const OUTPUT_LIMIT: usize = 1024;

pub fn main() -> ! {
    let result = keep().unwrap_or_else(|error| {
        Err(Refusal::ProbeFailed {
            reason: error.to_string(),
        })
    });
    let mut stdout = io::stdout().lock();
    // Nobody is left to tell if this fails.
    let _ = stdout
        .write_all(&frame::encode(&result))
        .and_then(|()| stdout.flush());
    process::exit_now(0)
}

fn keep() -> io::Result<Result<super::Probed, Refusal>> {
    process::die_with_parent()?;
    process::adopt_orphans()?;
    // Not allowed everywhere; `kill_children` below does what it can then.
    let _first = match process::enclose_children() {
        Ok(()) => Some(start_first()?),
        Err(_) => None,
    };
    let deadline = super::deadline();
    let mut child = Command::new("/proc/self/exe")
        .env(ROLE_VARIABLE, LOADER_ROLE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let patience = Patience {
        start: Instant::now(),
        deadline,
        pace: super::pace(),
    };
    let watched = watch(&mut child, &patience);
    process::kill_children();
    let Watched {
        end,
        message,
        output,
    } = watched?;

    Ok(match end {
        End::Ended(status) => match frame::decode(&message) {
            Some(result) => result,
            None if !message.is_empty() => Err(Refusal::Garbage {
                bytes: message.len(),
            }),
            None => Err(ended(status, output, deadline)),
        },
        End::Overdue => Err(overdue(deadline)),
        End::Starved => Err(Refusal::Starved),
    })
}

/// The first process of the namespace. It is not the loader, for the kernel keeps fatal signals from
/// a first process, and an abort would look like something else.
fn start_first() -> io::Result<Child> {
    Command::new("/proc/self/exe")
        .env(ROLE_VARIABLE, FIRST_ROLE)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// Does nothing until the keeper is gone; its end is the end of the namespace.
pub fn first() -> ! {
    let _ = process::die_with_parent();
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    process::exit_now(0)
}

fn overdue(deadline: Duration) -> Refusal {
    let cpu_ms = process::cpu_of_children().as_millis() as u64;
    Refusal::Overdue {
        seconds: deadline.as_secs().max(1),
        cpu_ms,
    }
}

fn ended(status: WaitStatus, output: Vec<u8>, deadline: Duration) -> Refusal {
    let output = String::from_utf8_lossy(&output).into_owned();
    match status {
        // The limit on processor time may strike before the deadline is noticed.
        WaitStatus::Signaled(_, nix::sys::signal::Signal::SIGXCPU, _) => overdue(deadline),
        WaitStatus::Signaled(_, signal, _) => Refusal::Killed {
            signal: signal.to_string(),
            output,
        },
        WaitStatus::Exited(_, status) => Refusal::Exited { status, output },
        other => Refusal::ProbeFailed {
            reason: format!("{other:?}"),
        },
    }
}

struct Watched {
    end: End,
    message: Vec<u8>,
    output: Vec<u8>,
}

enum End {
    Ended(WaitStatus),
    Overdue,
    Starved,
}

/// How long the keeper waits for its loader.
struct Patience {
    start: Instant,
    deadline: Duration,
    pace: Pace,
}

/// What patience has left for a loader that has not ended.
#[derive(PartialEq, Eq, Debug)]
enum Left {
    /// Look again after this.
    Wait(Duration),
    Overdue,
    Starved,
}

impl Patience {
    /// `starved`: how long the loader was ready to run by now and did not, which is not its fault.
    fn left(&self, now: Instant, starved: Duration) -> Left {
        if self.pace == Pace::WhenIdle && starved >= IDLE_STARVED {
            return Left::Starved;
        }
        let end = self.start + self.deadline + starved.min(self.deadline * STARVED_AT_MOST);
        let left = end.saturating_duration_since(now);
        match self.pace {
            _ if left.is_zero() => Left::Overdue,
            Pace::WhenIdle => Left::Wait(left.min(IDLE_LOOK)),
            Pace::Normal => Left::Wait(left),
        }
    }
}

/// Reads what the loader says until it ends or patience does.
fn watch(child: &mut Child, patience: &Patience) -> io::Result<Watched> {
    let loader = PidFd::open(child.id())?;
    let closed = || io::Error::other("no pipe");
    let mut message =
        Pipe::<ChildStdout>::new(child.stdout.take().ok_or_else(closed)?, frame::LIMIT)?;
    let mut output =
        Pipe::<ChildStderr>::new(child.stderr.take().ok_or_else(closed)?, OUTPUT_LIMIT)?;
    let end = loop {
        let now = Instant::now();
        let starved = process::waited_for_processor(child.id(), now - patience.start);
        let left = match patience.left(now, starved) {
            Left::Wait(left) => left,
            Left::Overdue => break End::Overdue,
            Left::Starved => break End::Starved,
        };
        let left = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        let mut ready = vec![PollFd::new(loader.as_fd(), PollFlags::POLLIN)];
        ready.extend(
            message
                .pipe
                .as_ref()
                .map(|p| PollFd::new(p.as_fd(), PollFlags::POLLIN)),
        );
        ready.extend(
            output
                .pipe
                .as_ref()
                .map(|p| PollFd::new(p.as_fd(), PollFlags::POLLIN)),
        );
        match poll(&mut ready, left) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let status = loader.try_wait()?;
        // What was written before the end is there; what a child goes on to write is not waited for.
        message.drain()?;
        output.drain()?;
        if let Some(status) = status {
            break End::Ended(status);
        }
    };
    if !matches!(end, End::Ended(_)) {
        loader.kill();
    }
    Ok(Watched {
        end,
        message: message.bytes,
        output: output.bytes,
    })
}

/// A pipe from the loader, read without blocking.
struct Pipe<R> {
    /// `None` once the other side has closed it.
    pipe: Option<R>,
    bytes: Vec<u8>,
    limit: usize,
}

impl<R: Read + AsFd + AsRawFd> Pipe<R> {
    fn new(pipe: R, limit: usize) -> io::Result<Pipe<R>> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Pipe {
            pipe: Some(pipe),
            bytes: Vec::new(),
            limit,
        })
    }

    /// Reads what is there, at most 1 MiB, so that a flood does not keep the keeper from its clock.
    fn drain(&mut self) -> io::Result<()> {
        let mut piece = [0; 64 << 10];
        for _ in 0..16 {
            let Some(pipe) = &mut self.pipe else { break };
            match pipe.read(&mut piece) {
                Ok(0) => self.pipe = None,
                Ok(len) => {
                    // One byte beyond the limit, so that a message too long is not taken for whole.
                    let room = (self.limit + 1).saturating_sub(self.bytes.len());
                    self.bytes.extend_from_slice(&piece[..len.min(room)]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn left(pace: Pace, elapsed: Duration, starved: Duration) -> Left {
        let patience = Patience {
            start: Instant::now(),
            deadline: 10 * SECOND,
            pace,
        };
        patience.left(patience.start + elapsed, starved)
    }

    #[test]
    fn time_without_a_processor_does_not_count_up_to_a_limit() {
        let normal = |elapsed, starved| left(Pace::Normal, elapsed * SECOND, starved * SECOND);
        assert_eq!(normal(4, 0), Left::Wait(6 * SECOND));
        assert_eq!(normal(10, 0), Left::Overdue);
        assert_eq!(normal(10, 3), Left::Wait(3 * SECOND));
        assert_eq!(normal(59, 59), Left::Wait(SECOND));
        assert_eq!(normal(60, 60), Left::Overdue);
    }

    #[test]
    fn an_idle_loader_is_given_up_once_the_machine_has_no_idle_time() {
        let idle = |elapsed, starved| left(Pace::WhenIdle, elapsed * SECOND, starved);
        assert_eq!(idle(4, Duration::ZERO), Left::Wait(IDLE_LOOK));
        assert_eq!(idle(10, Duration::ZERO), Left::Overdue);
        assert_eq!(idle(3, IDLE_STARVED), Left::Starved);
    }
}
