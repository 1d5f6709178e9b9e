//! The worker's end of the channel to the supervisor, and how it learns that the supervisor is dead.
//!
//! Apart from the host, for a library reports while the host is in use: it is called from there.

use super::orphan::has_died;
use crate::sys::epoll::Epoll;
use crate::sys::net::{Channel, Packet};
use crate::sys::process::PidFd;
use crate::worker::messages::FromWorker;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::cell::OnceCell;
use std::io;
use std::os::fd::AsFd;

thread_local! {
    static CHANNEL: OnceCell<Channel> = const { OnceCell::new() };
    /// Readable when the supervisor is dead: the channel alone does not say so while another process
    /// holds a copy of its other end.
    static SUPERVISOR: OnceCell<PidFd> = const { OnceCell::new() };
}

/// Sets both up for this thread.
///
/// # Panics
/// If it was done before.
pub(super) fn set_up(channel: Channel, supervisor: PidFd) {
    CHANNEL
        .with(|cell| cell.set(channel))
        .expect("a worker is set up once");
    // Set together with the channel, so that it is not set already.
    let _ = SUPERVISOR.with(|cell| cell.set(supervisor));
}

/// The next message, as `Channel::receive`.
pub(super) fn receive() -> io::Result<Option<Packet>> {
    with(Channel::receive)
}

/// Waits until there is something to receive, or the supervisor is dead.
pub(super) fn wait_for_message() {
    with(|channel| wait(channel, PollFlags::POLLIN));
}

/// Takes both out of the worker's epoll set: of the dead they would be ready for ever.
pub(super) fn stop_watching(epoll: Epoll<'_>) {
    let _ = with(|channel| epoll.delete(channel.as_fd()));
    SUPERVISOR.with(|supervisor| {
        let _ = supervisor.get().map(|fd| epoll.delete(fd.as_fd()));
    });
}

fn with<T>(body: impl FnOnce(&Channel) -> T) -> T {
    CHANNEL.with(|channel| {
        body(
            channel
                .get()
                .expect("a worker's channel is set up before it runs"),
        )
    })
}

/// Tells the supervisor. Waits while it is slow; if it is gone, that is noticed where messages are read.
pub(in crate::worker) fn say(message: &FromWorker) {
    let bytes = serde_json::to_vec(message).expect("a message is plain data");
    with(|channel| {
        while let Err(error) = channel.send(&bytes, &[]) {
            if error.kind() != io::ErrorKind::WouldBlock || is_supervisor_dead() {
                return;
            }
            wait(channel, PollFlags::POLLOUT);
        }
    });
}

/// Waits until the channel can do what `flags` say, or the supervisor is dead.
fn wait(channel: &Channel, flags: PollFlags) {
    SUPERVISOR.with(|supervisor| {
        let mut fds = vec![PollFd::new(channel.as_fd(), flags)];
        fds.extend(
            supervisor
                .get()
                .map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)),
        );
        let _ = poll(&mut fds, PollTimeout::NONE);
    });
}

pub(super) fn is_supervisor_dead() -> bool {
    has_died()
        || SUPERVISOR.with(|supervisor| {
            supervisor.get().is_some_and(|fd| {
                let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
                poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
            })
        })
}
