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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::accept::close_queue;
    use std::net::TcpListener;

    fn socket() -> OwnedFd {
        TcpListener::bind("127.0.0.1:0")
            .expect("a free port")
            .into()
    }

    fn keys(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    // R33
    #[test]
    fn each_version_has_its_own_under_their_names_and_in_its_order() {
        let mut inherited = Inherited::default();
        let (old, new) = (
            keys(&["web=a:1", "admin=a:2"]),
            keys(&["admin=a:3", "web=a:1"]),
        );
        let (web, admin) = (socket(), socket());
        let again = web.try_clone().expect("a descriptor");
        inherited.take(&old, vec![web, admin]);
        inherited.take(&new, vec![socket(), again]);
        assert_eq!(inherited.0.len(), 3, "one address, one descriptor");
        let names = |keys| -> Vec<String> {
            let named = inherited.named(keys).into_iter();
            named.map(|listener| listener.name).collect()
        };
        assert_eq!(names(&old), ["web", "admin"]);
        assert_eq!(names(&new), ["admin", "web"]);
        let fd = |keys, place: usize| inherited.named(keys)[place].fd;
        assert_eq!(fd(&old, 0), fd(&new, 1));
        assert_ne!(fd(&old, 1), fd(&new, 0));
    }

    // R33
    #[test]
    fn what_is_closed_is_given_up_and_another_may_take_its_key() {
        let mut inherited = Inherited::default();
        let both = keys(&["web=a:0", "admin=a:0"]);
        inherited.take(&both, vec![socket(), socket()]);
        close_queue(inherited.0[1].1.as_fd());
        let first = inherited.named(&both)[1].fd;
        let other = socket();
        inherited.take(&both[1..], vec![other]);
        assert_ne!(inherited.named(&both)[1].fd, first);
        close_queue(inherited.0[0].1.as_fd());
        assert_eq!(inherited.take_closed().len(), 1);
        assert_eq!(inherited.named(&both).len(), 1);
    }
}
