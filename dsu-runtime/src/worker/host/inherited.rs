//! The listening sockets that the supervisor has opened, kept open for whatever version asks for them.

use crate::worker::cx::InheritedListener;
use std::os::fd::{AsRawFd, OwnedFd};

/// Listeners by name.
#[derive(Default)]
pub(super) struct Inherited(Vec<(InheritedListener, OwnedFd)>);

impl Inherited {
    /// Takes in what came with a message about a build.
    pub(super) fn take(&mut self, names: &[String], fds: Vec<OwnedFd>) {
        for (name, fd) in names.iter().zip(fds) {
            // Every message about a build brings its listeners, most of them known.
            let is_known = |(listener, known): &(InheritedListener, OwnedFd)| {
                listener.name == *name && is_same_socket(known, &fd)
            };
            if self.0.iter().any(is_known) {
                continue;
            }
            // The name may stand for another socket than it did: the supervisor closed the old one.
            self.0.retain(|(listener, _)| listener.name != *name);
            let listener = InheritedListener {
                name: name.clone(),
                fd: fd.as_raw_fd(),
            };
            self.0.push((listener, fd));
        }
    }

    /// Those with these names.
    pub(super) fn named(&self, names: &[String]) -> Vec<InheritedListener> {
        self.0
            .iter()
            .map(|(listener, _)| listener.clone())
            .filter(|listener| names.contains(&listener.name))
            .collect()
    }
}

/// Whether two descriptors are of one socket.
fn is_same_socket(a: &OwnedFd, b: &OwnedFd) -> bool {
    let place = |fd: &OwnedFd| nix::sys::stat::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    matches!((place(a), place(b)), (Ok(a), Ok(b)) if a == b)
}
