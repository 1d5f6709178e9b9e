//! The listening sockets that the supervisor has opened, kept open for whatever version asks for them.

use crate::sys::accept::{is_listening, is_same_socket};
use crate::worker::cx::InheritedListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Listeners by key, `NAME=ADDR` as they were asked for.
#[derive(Default)]
pub(super) struct Inherited(Vec<(String, OwnedFd)>);

impl Inherited {
    /// Takes in what came with a message about a build.
    pub(super) fn take(&mut self, keys: &[String], fds: Vec<OwnedFd>) {
        for (key, fd) in keys.iter().zip(fds) {
            // Every message about a build brings its listeners, most of them known.
            let is_known = |(known, socket): &(String, OwnedFd)| {
                known == key && is_same_socket(socket.as_fd(), fd.as_fd())
            };
            if self.0.iter().any(is_known) {
                continue;
            }
            // It was closed and opened again meanwhile.
            self.0.retain(|(known, _)| known != key);
            self.0.push((key.clone(), fd));
        }
    }

    /// Those with these keys, in their order, as the application knows them.
    pub(super) fn named(&self, keys: &[String]) -> Vec<InheritedListener> {
        let found = keys
            .iter()
            .filter_map(|key| self.0.iter().find(|(known, _)| known == key));
        found
            .map(|(key, fd)| InheritedListener {
                name: key
                    .split_once('=')
                    .map_or(&**key, |(name, _)| name)
                    .to_owned(),
                fd: fd.as_raw_fd(),
            })
            .collect()
    }

    /// Gives up those that listen no more.
    pub(super) fn take_closed(&mut self) -> Vec<OwnedFd> {
        let closed = self.0.extract_if(.., |(_, fd)| !is_listening(fd.as_fd()));
        closed.map(|(_, fd)| fd).collect()
    }
}
