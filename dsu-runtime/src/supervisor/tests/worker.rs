//! A scripted worker: it behaves as the file that it loads says.

use crate::sys::net::Channel;
use crate::worker::{Build, FromWorker, ToWorker};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};

struct ScriptedWorker {
    channel: Channel,
    slot: u32,
    known: Vec<Build>,
    runs: usize,
    at_barrier: Option<String>,
    crosses: u32,
}

/// Plays the worker.
#[allow(unsafe_code)] // takes over an inherited descriptor
pub(super) fn scripted_worker() {
    let number = |name| {
        std::env::var(name)
            .expect("set")
            .parse::<i32>()
            .expect("a number")
    };
    // SAFETY: the supervisor passed this descriptor for us alone, and this is the only use of its number.
    let inherited = unsafe { OwnedFd::from_raw_fd(number("DSU_CHANNEL_FD")) };
    let mut worker = ScriptedWorker {
        channel: Channel::from_descriptor(inherited),
        slot: number("DSU_SLOT") as u32,
        known: Vec::new(),
        runs: 0,
        at_barrier: None,
        crosses: 0,
    };
    loop {
        let mut fds = [PollFd::new(worker.channel.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::NONE);
        match worker.channel.receive() {
            Ok(Some(packet)) => {
                let message = serde_json::from_slice(&packet.bytes).expect("a message");
                if let ToWorker::Start { .. } | ToWorker::Load(_) = &message {
                    assert!(!packet.descriptors.is_empty(), "listeners come along");
                }
                worker.act(message);
            }
            Ok(None) => std::process::exit(0),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
}

impl ScriptedWorker {
    fn say(&self, message: &FromWorker) {
        let bytes = serde_json::to_vec(message).expect("json");
        self.channel
            .send(&bytes, &[])
            .expect("the supervisor listens");
    }

    fn find(&self, digest: &str) -> usize {
        self.known
            .iter()
            .position(|build| build.digest == digest)
            .expect("loaded before")
    }

    fn act(&mut self, message: ToWorker) {
        match message {
            ToWorker::Start {
                build, neighbours, ..
            } => {
                if build.digest.contains("never-starts") {
                    std::process::exit(7);
                }
                let build_id = build.build_id.clone();
                self.known = [*build].into_iter().chain(neighbours).collect();
                self.say(&FromWorker::Ready { build_id });
            }
            ToWorker::Load(build) => {
                let digest = build.digest.clone();
                let fails = digest.contains("unloadable") && self.slot == 1;
                self.known.push(*build);
                self.say(&FromWorker::Loaded {
                    digest,
                    error: fails.then(|| "no room".to_owned()),
                });
            }
            ToWorker::Cross {
                digest,
                together: true,
            } => {
                self.crosses += 1;
                if !(digest.contains("late") && self.slot == 2) {
                    self.at_barrier = Some(digest);
                    self.say(&FromWorker::AtBarrier {
                        crosses: self.crosses,
                        update_point: "loop".to_owned(),
                    });
                }
            }
            ToWorker::Cross {
                digest,
                together: false,
            } => {
                self.crosses += 1;
                self.cross(&digest);
            }
            ToWorker::Go => {
                if let Some(digest) = self.at_barrier.take() {
                    self.cross(&digest);
                }
            }
            ToWorker::Revert => self.at_barrier = None,
            ToWorker::Move { .. } => self.say(&FromWorker::Moved { error: None }),
            ToWorker::Fill { fill, digest } => {
                let fails = digest.contains("no-room");
                self.say(&FromWorker::Filling {
                    fill,
                    is_whole: !fails,
                    failure: fails.then(|| "guard A, no room".to_owned()),
                });
            }
            ToWorker::Sweep(..) => {
                self.say(&FromWorker::Swept {
                    is_whole: true,
                    converted: 0,
                    parked: 0,
                    failed: 0,
                    poisoned: Vec::new(),
                });
            }
            ToWorker::Ping if self.known[self.runs].digest.contains("dies-on-probation") => {
                std::process::exit(9)
            }
            ToWorker::Ping => self.say(&FromWorker::Pong {
                update_point: "loop".to_owned(),
            }),
            ToWorker::Check => self.say(&FromWorker::Checked {
                walked: 7,
                findings: Vec::new(),
            }),
            ToWorker::Drain { .. } => std::process::exit(0),
            ToWorker::Rest
            | ToWorker::Forget { .. }
            | ToWorker::Reconfigure
            | ToWorker::ListenersClosed => {}
        }
    }

    fn cross(&mut self, digest: &str) {
        let to = self.find(digest);
        if digest.contains("dies-on-crossing") {
            std::process::exit(9);
        }
        if digest.contains("refuses") && self.slot == 2 {
            let reason = "carry of another shape".to_owned();
            return self.say(&FromWorker::CrossingFailed {
                digest: digest.to_owned(),
                reason,
            });
        }
        self.runs = to;
        let build_id = self.known[to].build_id.clone();
        let update_point = "loop".to_owned();
        self.say(&FromWorker::Crossed {
            digest: digest.to_owned(),
            build_id,
            update_point,
            pause_ns: 1000,
        });
    }
}
