//! The listening sockets that workers inherit. They outlive workers and versions, so that no connection
//! is refused while either changes.

use super::config::ListenAddress;
use crate::sys::accept::{close_queue, drop_arrivals, has_queued};
use nix::sys::socket::{Backlog, listen};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};

struct Open {
    asked: ListenAddress,
    bound: SocketAddr,
    socket: TcpListener,
    /// Accepts no more connections: nobody can connect.
    is_shut: bool,
}

/// Open listeners. Each is known by a key, `NAME=ADDR` as it was asked for.
#[derive(Default)]
pub struct Listeners(Vec<Open>);

impl Listeners {
    /// Opens what is not open yet, all or none, and returns the keys in order.
    ///
    /// # Errors
    /// Which address cannot be had, and why.
    pub fn open(&mut self, wanted: &[ListenAddress]) -> Result<Vec<String>, String> {
        let mut fresh = Vec::new();
        for asked in wanted {
            if self
                .0
                .iter()
                .any(|open| open.asked.address == asked.address && open.asked.name == asked.name)
            {
                continue;
            }
            // std sets SO_REUSEADDR, so that a restart needs not wait for old connections.
            let socket = TcpListener::bind(&asked.address).map_err(|error| {
                format!(
                    "cannot listen on {}: {error}; choose another --listen",
                    asked.address
                )
            })?;
            let prepared = socket
                .set_nonblocking(true)
                .and_then(|()| {
                    Ok(listen(
                        &socket,
                        Backlog::new(1024).unwrap_or(Backlog::MAXCONN),
                    )?)
                })
                .and_then(|()| socket.local_addr());
            let bound =
                prepared.map_err(|error| format!("cannot listen on {}: {error}", asked.address))?;
            fresh.push(Open {
                asked: asked.clone(),
                bound,
                socket,
                is_shut: false,
            });
        }
        self.0.extend(fresh);
        Ok(wanted.iter().map(ListenAddress::to_string).collect())
    }

    /// Closes what no build in `kept` uses.
    pub fn keep(&mut self, kept: &[&[String]]) {
        self.0.retain(|open| {
            kept.iter()
                .any(|keys| keys.contains(&open.asked.to_string()))
        });
    }

    /// From now on the kernel takes in no more connections; those that it has queued can be accepted.
    /// Who tries to connect meanwhile tries again, until [`close_empty`](Self::close_empty) has closed
    /// the listener. So none is queued between the last that a worker accepts and the end.
    pub fn keep_newcomers_out(&mut self) {
        for open in &self.0 {
            if let Err(error) = drop_arrivals(open.socket.as_fd()) {
                tracing::debug!("{}: newcomers may be reset: {error}", open.asked);
            }
        }
    }

    /// Closes, for all processes that have it, each listener whose queue is empty: who connects now is
    /// refused. True while there are others.
    pub fn close_empty(&mut self) -> bool {
        for open in self.0.iter_mut().filter(|open| !open.is_shut) {
            open.is_shut = !has_queued(open.socket.as_fd());
            if open.is_shut {
                close_queue(open.socket.as_fd());
            }
        }
        self.0.iter().any(|open| !open.is_shut)
    }

    /// The descriptors of these keys, in order.
    pub fn descriptors<'a>(&'a self, keys: &[String]) -> Vec<BorrowedFd<'a>> {
        keys.iter()
            .filter_map(|key| self.find(key))
            .map(|open| open.socket.as_fd())
            .collect()
    }

    /// `NAME=ADDR` with the address that was really bound, in order.
    pub fn addresses(&self, keys: &[String]) -> Vec<String> {
        let found = keys.iter().filter_map(|key| self.find(key));
        found
            .map(|open| format!("{}={}", open.asked.name, open.bound))
            .collect()
    }

    fn find(&self, key: &str) -> Option<&Open> {
        self.0.iter().find(|open| open.asked.to_string() == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use std::net::TcpStream;
    use std::time::Duration;

    fn wanted(texts: &[&str]) -> Vec<ListenAddress> {
        texts
            .iter()
            .map(|text| text.parse().expect("an address"))
            .collect()
    }

    // R33
    #[test]
    fn a_listener_stays_open_while_a_version_uses_it() {
        let mut listeners = Listeners::default();
        let first = listeners.open(&wanted(&["127.0.0.1:0"])).expect("opened");
        let bound = listeners.addresses(&first);
        assert!(bound[0].starts_with("default=127.0.0.1:") && !bound[0].ends_with(":0"));
        let both = listeners
            .open(&wanted(&["127.0.0.1:0", "admin=127.0.0.1:0"]))
            .expect("opened");
        assert_eq!(listeners.addresses(&both)[0], bound[0]);
        listeners.keep(&[&first]);
        assert_eq!(listeners.descriptors(&both).len(), 1);
    }

    #[test]
    fn one_address_that_is_taken_opens_none() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("an address").to_string();
        let mut listeners = Listeners::default();
        let error = listeners
            .open(&wanted(&["a=127.0.0.1:0", &format!("b={address}")]))
            .expect_err("taken");
        assert!(
            error.contains(&address) && error.contains("--listen"),
            "{error}"
        );
        assert!(listeners.0.is_empty());
    }

    // R33
    #[test]
    fn a_server_that_ends_leaves_nobody_in_a_queue_and_refuses_who_comes_later() {
        let mut listeners = Listeners::default();
        let keys = listeners.open(&wanted(&["127.0.0.1:0"])).expect("free");
        let address = listeners.0[0].bound;
        let workers = listeners.descriptors(&keys)[0].try_clone_to_owned();
        let workers = TcpListener::from(workers.expect("a descriptor"));
        let _queued = TcpStream::connect(address).expect("it listens");
        listeners.keep_newcomers_out();
        assert!(listeners.close_empty(), "somebody waits");
        let moment = Duration::from_millis(50);
        let kept_out = TcpStream::connect_timeout(&address, moment);
        assert_eq!(kept_out.expect_err("kept out").kind(), ErrorKind::TimedOut);
        workers.accept().expect("who has connected is served");
        assert!(!listeners.close_empty());
        let refused = TcpStream::connect(address).expect_err("closed");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}
