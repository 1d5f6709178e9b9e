//! The control socket: who may connect, and lines in and out without ever waiting for a client.
//!
//! Knows lines, not verbs.

use super::protocol::{LINE_LIMIT, Reply, Request, Verdict};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes of a path that fit into `sockaddr_un`, without the final zero.
const PATH_LIMIT: usize = 107;
/// Clients at a time; more wait in the backlog.
const CLIENTS_LIMIT: usize = 32;
/// Bytes that may wait for a client that does not read.
const OUTPUT_LIMIT: usize = 16 << 20;
/// A client has this long to finish its request.
const REQUEST_TIME: Duration = Duration::from_secs(5);

/// Names one connection; never used again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientId(u64);

struct Client {
    id: ClientId,
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    since: Instant,
    /// It has asked; nothing more is read from it.
    asked: bool,
    /// Its answer is complete: close when it is written.
    answered: bool,
    gone: bool,
}

/// The socket and its clients.
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    clients: Vec<Client>,
    next: u64,
}

impl Control {
    /// Binds the socket with mode 0600; a file that a dead supervisor left is replaced.
    ///
    /// # Errors
    /// One sentence: too long, taken by a living supervisor, or what the system says.
    pub fn bind(path: &Path) -> Result<Control, String> {
        if path.as_os_str().len() > PATH_LIMIT {
            return Err(format!(
                "the control path {} has {} bytes, a socket's may have {PATH_LIMIT}: give a shorter --control",
                path.display(),
                path.as_os_str().len()
            ));
        }
        let failed = |error: io::Error| {
            format!("cannot make the control socket {}: {error}", path.display())
        };
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        {
            std::fs::create_dir_all(folder).map_err(failed)?;
            std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).map_err(failed)?;
        }
        match UnixStream::connect(path) {
            Ok(_) => {
                return Err(format!(
                    "a supervisor is running at {}: stop it, or give another --control",
                    path.display()
                ));
            }
            // The system says the same of any file, so it has to be looked at.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && is_socket(path) => {
                std::fs::remove_file(path).map_err(failed)?;
            }
            Err(_) => {}
        }
        // Nobody may connect between bind and chmod: the file is made without any permission bits.
        let old = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
        let bound = UnixListener::bind(path);
        nix::sys::stat::umask(old);
        let listener = bound.map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Control {
            listener,
            path: path.to_owned(),
            clients: Vec::new(),
            next: 0,
        })
    }

    /// The listening socket, while another client may come.
    pub fn listener(&self) -> Option<BorrowedFd<'_>> {
        (self.clients.len() < CLIENTS_LIMIT).then(|| self.listener.as_fd())
    }

    /// Each client's descriptor, and whether it should also be watched for room to write.
    pub fn clients(&self) -> impl Iterator<Item = (ClientId, BorrowedFd<'_>, bool)> {
        self.clients
            .iter()
            .map(|c| (c.id, c.stream.as_fd(), !c.output.is_empty()))
    }

    /// Takes in whoever waits. Others than this user and root are told so and closed.
    pub fn accept(&mut self) {
        while self.clients.len() < CLIENTS_LIMIT {
            let Ok((mut stream, _)) = self.listener.accept() else {
                return;
            };
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            let peer = getsockopt(&stream, PeerCredentials).map(|peer| peer.uid());
            if !peer.is_ok_and(|uid| uid == 0 || uid == geteuid().as_raw()) {
                let reply = Reply::answer(
                    Verdict::Refused,
                    "only the user that runs the supervisor, and root, may ask",
                );
                let _ = stream.write(reply.line().as_bytes());
                continue;
            }
            let id = ClientId(self.next);
            self.next += 1;
            self.clients.push(Client {
                id,
                stream,
                input: Vec::new(),
                output: Vec::new(),
                since: Instant::now(),
                asked: false,
                answered: false,
                gone: false,
            });
        }
    }

    /// Reads what a client sent and writes what it can take; the request, once it is complete.
    pub fn serve(&mut self, id: ClientId) -> Option<Request> {
        let client = self.clients.iter_mut().find(|client| client.id == id)?;
        client.flush();
        let line = client.read_line()?;
        match serde_json::from_slice(&line) {
            Ok(request) => Some(request),
            Err(error) => {
                let text = format!("that is no request ({error}): use dsu of the same version");
                self.reply(id, &Reply::answer(Verdict::Refused, text));
                None
            }
        }
    }

    /// Queues a line for a client; an answer is its last. A client that is gone is no error.
    pub fn reply(&mut self, id: ClientId, reply: &Reply) {
        if let Some(client) = self.clients.iter_mut().find(|client| client.id == id) {
            client.output.extend_from_slice(reply.line().as_bytes());
            client.answered |= matches!(reply, Reply::Answer { .. });
            client.flush();
        }
    }

    /// Drops who is gone, answered or too slow.
    pub fn tidy(&mut self, now: Instant) {
        for client in &mut self.clients {
            let late = !client.asked && now.duration_since(client.since) > REQUEST_TIME;
            client.gone |= late || client.output.len() > OUTPUT_LIMIT;
            client.gone |= client.answered && client.output.is_empty();
        }
        self.clients.retain(|client| !client.gone);
    }
}

/// Anything else at this path is not ours to remove.
fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Client {
    fn flush(&mut self) {
        while !self.output.is_empty() && !self.gone {
            match self.stream.write(&self.output) {
                Ok(written) => drop(self.output.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.gone = true,
            }
        }
    }

    fn read_line(&mut self) -> Option<Vec<u8>> {
        let mut chunk = [0; 4096];
        // Bounded, so that a client that never stops sending takes no more than its turn.
        for _ in 0..16 {
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    self.gone = true;
                    return None;
                }
                Ok(_) if self.asked => {} // one request a connection; the rest is thrown away
                Ok(count) => {
                    self.input.extend_from_slice(&chunk[..count]);
                    if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                        self.asked = true;
                        self.input.truncate(end);
                        return Some(std::mem::take(&mut self.input));
                    }
                    self.gone |= self.input.len() > LINE_LIMIT;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.gone |= error.kind() != io::ErrorKind::WouldBlock;
                    return None;
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("dsu-control-{name}-{}.sock", std::process::id()))
    }

    /// Serves until a request is complete or the client is answered and gone.
    fn pump(control: &mut Control) -> Option<(ClientId, Request)> {
        for _ in 0..10_000 {
            control.accept();
            let ids: Vec<ClientId> = control.clients().map(|client| client.0).collect();
            for id in ids {
                if let Some(request) = control.serve(id) {
                    return Some((id, request));
                }
            }
            control.tidy(Instant::now());
            if control.clients.is_empty() {
                return None;
            }
            std::thread::yield_now();
        }
        panic!("the client is neither served nor dropped");
    }

    #[test]
    fn a_request_in_pieces_is_answered_and_only_its_owner_may_ask() {
        let path = socket("pieces");
        let mut control = Control::bind(&path).expect("bound");
        let mode = std::fs::metadata(&path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut client = UnixStream::connect(&path).expect("connected");
        client.write_all(b"{\"verb\":").expect("sent");
        control.accept();
        let id = control.clients().next().expect("one").0;
        assert!(control.serve(id).is_none());
        client.write_all(b"\"pause\"}\n").expect("sent");
        assert_eq!(pump(&mut control), Some((id, Request::Pause)));
        control.reply(id, &Reply::Progress("half".to_owned()));
        control.reply(id, &Reply::answer(Verdict::Accepted, "paused"));
        control.tidy(Instant::now());
        let mut text = String::new();
        client.read_to_string(&mut text).expect("read to the end");
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn rubbish_endless_lines_and_vanishing_clients_do_no_harm() {
        let path = socket("rubbish");
        let mut control = Control::bind(&path).expect("bound");
        let mut rude = UnixStream::connect(&path).expect("connected");
        rude.write_all(b"\xff\x00 what\n").expect("sent");
        assert!(pump(&mut control).is_none());
        let mut text = String::new();
        rude.read_to_string(&mut text).expect("answered");
        assert!(text.contains("refused"), "{text}");

        drop(UnixStream::connect(&path).expect("connected"));
        control.accept();
        assert!(pump(&mut control).is_none());

        let endless = UnixStream::connect(&path).expect("connected");
        endless.set_nonblocking(true).expect("set");
        control.accept();
        let mut sent = 0;
        while !control.clients.is_empty() && sent < 4 * LINE_LIMIT {
            sent += (&endless).write(&[b'x'; 4096]).unwrap_or(0);
            let ids: Vec<ClientId> = control.clients().map(|client| client.0).collect();
            ids.into_iter()
                .for_each(|id| assert!(control.serve(id).is_none()));
            control.tidy(Instant::now());
        }
        assert!(
            control.clients.is_empty(),
            "{sent} bytes without an end were taken"
        );

        let _silent = UnixStream::connect(&path).expect("connected");
        control.accept();
        control.tidy(Instant::now() + REQUEST_TIME + Duration::from_secs(1));
        assert!(control.clients.is_empty(), "who never asks is dropped");
    }

    #[test]
    fn a_stale_socket_is_replaced_a_living_one_and_a_long_path_are_refused() {
        let path = socket("stale");
        drop(UnixListener::bind(&path).expect("bound"));
        let living = Control::bind(&path).expect("a stale file is replaced");
        let error = Control::bind(&path).err().expect("it is alive");
        assert!(error.contains("a supervisor is running"), "{error}");
        drop(living);
        assert!(!path.exists());
        let long = std::env::temp_dir().join("x".repeat(120));
        let error = Control::bind(&long).err().expect("too long");
        assert!(error.contains("shorter --control"), "{error}");
        let file = socket("file");
        std::fs::write(&file, b"precious").expect("written");
        assert!(Control::bind(&file).is_err());
        assert_eq!(std::fs::read(&file).expect("still there"), b"precious");
        std::fs::remove_file(file).expect("removed");
    }
}
