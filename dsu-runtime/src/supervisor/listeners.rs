//! The listening sockets that workers inherit. They outlive workers and versions, so that no connection
//! is refused while either changes.
//!
//! A key, `NAME=ADDR` as it was asked for, stands for an address that was bound, and does so for good: a
//! version that comes back finds its port again, also where the system had chosen it. A socket is known
//! by the address that it is bound to; several keys may stand for one.
//!
//! | a socket is | who connects | becomes |
//! |---|---|---|
//! | open | waits to be accepted | leaving, when no key that is to be kept stands for it |
//! | leaving | tries again later; who has connected can be accepted | open, if it is asked for again |
//! | | | closed, when nobody waits or its time is up |
//! | closed, for all processes | is refused | another socket, if it is asked for again |

use super::config::ListenAddress;
use crate::sys::accept::{close_queue, drop_arrivals, has_queued, take_arrivals};
use nix::sys::socket::{Backlog, listen};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How often to look whether the queue of a socket that leaves is empty.
const LOOK: Duration = Duration::from_millis(10);
/// A client that was answered just before newcomers were kept out has this long to complete its
/// connection: some round trips.
const HANDSHAKE: Duration = Duration::from_millis(200);

struct Socket {
    bound: SocketAddr,
    socket: TcpListener,
    leaves: Option<Leave>,
}

/// When a socket that leaves is closed: if nobody waits, and in any case.
#[derive(Clone, Copy, Debug)]
struct Leave {
    from: Instant,
    by: Instant,
}

/// A socket that was closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed {
    /// Where it listened.
    pub bound: SocketAddr,
    /// Its time was up: connections that nobody had accepted were reset.
    pub is_cut_off: bool,
}

/// The sockets, and what every key that was ever asked for stands for.
#[derive(Default)]
pub struct Listeners {
    sockets: Vec<Socket>,
    bound: BTreeMap<String, SocketAddr>,
}

impl Listeners {
    /// Opens what is not open yet, all or none, and returns the keys in order.
    ///
    /// # Errors
    /// Which address cannot be had, and why.
    pub fn open(&mut self, wanted: &[ListenAddress]) -> Result<Vec<String>, String> {
        let mut fresh = Vec::new();
        let mut named = Vec::new();
        for asked in wanted {
            let bound = match self.standing(asked, &fresh) {
                Some(bound) => bound,
                None => {
                    let socket = bind(&asked.address).map_err(|error| {
                        format!(
                            "cannot listen on {}: {error}; choose another --listen",
                            asked.address
                        )
                    })?;
                    let bound = socket.bound;
                    fresh.push(socket);
                    bound
                }
            };
            named.push((asked.to_string(), bound));
        }
        self.sockets.extend(fresh);
        self.bound.extend(named.iter().cloned());
        Ok(self.stay(named))
    }

    /// Opens again what these keys stood for, all or none.
    ///
    /// # Errors
    /// Which address is another's by now.
    pub fn reopen(&mut self, keys: &[String]) -> Result<(), String> {
        let mut fresh: Vec<Socket> = Vec::new();
        let mut named = Vec::new();
        for (key, bound) in keys.iter().filter_map(|key| self.bound.get_key_value(key)) {
            if !is_among(*bound, self.sockets.iter().chain(&fresh)) {
                let socket = bind(bound).map_err(|error| {
                    format!(
                        "its listener {key} was closed, and {bound} cannot be had again: {error}; free the port, or update to that version with another --listen"
                    )
                })?;
                fresh.push(socket);
            }
            named.push((key.clone(), *bound));
        }
        self.sockets.extend(fresh);
        self.stay(named);
        Ok(())
    }

    /// What has this address already: the socket that the key stands for, or one that is bound there.
    fn standing(&self, asked: &ListenAddress, fresh: &[Socket]) -> Option<SocketAddr> {
        let is_open = |bound: &SocketAddr| is_among(*bound, self.sockets.iter().chain(fresh));
        let known = self.bound.get(&asked.to_string()).copied();
        known.filter(is_open).or_else(|| {
            // An address that makes no sense is told of where it is bound.
            let meant = asked.address.to_socket_addrs().ok()?;
            meant.filter(|one| one.port() != 0).find(is_open)
        })
    }

    /// None of these leaves any more.
    fn stay(&mut self, named: Vec<(String, SocketAddr)>) -> Vec<String> {
        let leaving = self.sockets.iter_mut().filter(|one| one.leaves.is_some());
        for socket in leaving {
            if !named.iter().any(|(_, bound)| *bound == socket.bound) {
                continue;
            }
            socket.leaves = None;
            if let Err(error) = take_arrivals(socket.socket.as_fd()) {
                tracing::debug!("{}: {error}", socket.bound);
            }
        }
        named.into_iter().map(|(key, _)| key).collect()
    }

    /// What none of these keys stands for leaves: from now on the kernel takes in no more connections
    /// there; those that it has queued can be accepted until [`close_left`](Self::close_left) has closed
    /// the socket, at the latest at `by`. Who tries to connect meanwhile tries again, so that none is
    /// queued between the last that a worker accepts and the end.
    pub fn keep(&mut self, keys: &[String], now: Instant, by: Instant) {
        let kept: Vec<SocketAddr> = keys
            .iter()
            .filter_map(|key| self.bound.get(key).copied())
            .collect();
        for socket in &mut self.sockets {
            if socket.leaves.is_some() || kept.contains(&socket.bound) {
                continue;
            }
            socket.leaves = Some(Leave {
                from: now + HANDSHAKE,
                by,
            });
            if let Err(error) = drop_arrivals(socket.socket.as_fd()) {
                tracing::debug!("{}: newcomers may be reset: {error}", socket.bound);
            }
        }
    }

    /// Closes, for all processes that have it, each leaving socket whose queue is empty or whose time is
    /// up: who connects now is refused.
    pub fn close_left(&mut self, now: Instant) -> Vec<Closed> {
        let mut closed = Vec::new();
        self.sockets.retain(|one| {
            let Some(Leave { from, by }) = one.leaves else {
                return true;
            };
            let is_cut_off = has_queued(one.socket.as_fd());
            if now < by && (is_cut_off || now < from) {
                return true;
            }
            close_queue(one.socket.as_fd());
            closed.push(Closed {
                bound: one.bound,
                is_cut_off,
            });
            false
        });
        closed
    }

    /// When to look again whether something can be closed.
    pub fn next_look(&self, now: Instant) -> Option<Instant> {
        let mut leaving = self.sockets.iter().filter_map(|one| one.leaves);
        leaving.next().map(|_| now + LOOK)
    }

    /// Whether a socket is there for this key.
    pub fn is_open(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// The descriptors of these keys, in order.
    pub fn descriptors<'a>(&'a self, keys: &[String]) -> Vec<BorrowedFd<'a>> {
        keys.iter()
            .filter_map(|key| self.find(key))
            .map(|open| open.socket.as_fd())
            .collect()
    }

    /// `NAME=ADDR` with the address that was really bound, in order; also of what is closed.
    pub fn addresses(&self, keys: &[String]) -> Vec<String> {
        let named = |key: &String| {
            let (name, _) = key.split_once('=')?;
            Some(format!("{name}={}", self.bound.get(key)?))
        };
        keys.iter().filter_map(named).collect()
    }

    /// Addresses that are about to be closed.
    pub fn leaving(&self) -> Vec<String> {
        let leaving = self.sockets.iter().filter(|one| one.leaves.is_some());
        leaving.map(|one| one.bound.to_string()).collect()
    }

    fn find(&self, key: &str) -> Option<&Socket> {
        let bound = self.bound.get(key)?;
        self.sockets.iter().find(|socket| socket.bound == *bound)
    }
}

fn is_among<'a>(bound: SocketAddr, mut sockets: impl Iterator<Item = &'a Socket>) -> bool {
    sockets.any(|socket| socket.bound == bound)
}

fn bind(address: impl ToSocketAddrs) -> std::io::Result<Socket> {
    // std sets SO_REUSEADDR, so that a restart needs not wait for old connections.
    let socket = TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    listen(&socket, Backlog::new(1024).unwrap_or(Backlog::MAXCONN))?;
    Ok(Socket {
        bound: socket.local_addr()?,
        socket,
        leaves: None,
    })
}

#[cfg(test)]
mod tests;
