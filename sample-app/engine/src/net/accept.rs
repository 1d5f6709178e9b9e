//! Newcomers: which of them this worker takes, and what becomes of those that it leaves or turns away.
//!
//! Owns the listeners' readiness. Who decides is `room`, under its lock; here are the sockets.
//!
//! | a listener | is watched | until |
//! |---|---|---|
//! | taken from | yes | a newcomer is left to workers with fewer connections |
//! | left | no: it would be ready for ever | the second look: whoever still waits there first is this worker's |
//!
//! New code watches all its listeners again, so that none stays left by a version that has gone.

use super::tend::Seen;
use super::{Connection, Connections, FIRST_CONNECTION, Intake};
use crate::call::Client;
use crate::limits::Limits;
use crate::room::{Look, Presence, ROOM, Turn};
use crate::session::Session;
use crate::store::UnixMs;
use dsu_runtime::prelude::*;
use std::io::Write;
use std::time::{Duration, Instant};

/// Connections that are accepted at once, so that those there are get their turn.
const ACCEPTS: usize = 16;
/// How much later a newcomer that was left to others is looked at again, for each connection that the
/// worker has too many, and the most of these.
const SECOND_LOOK: Duration = Duration::from_micros(500);
const MOST_LOOKS: u64 = 16;
/// Descriptors of a worker that are not connections.
const OTHER_DESCRIPTORS: u64 = 64;
/// As Redis words it.
const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";

impl Connections {
    /// Listens on what this version is to listen on, within this version's limits: all of it in a fresh
    /// worker, and what is new after a crossing. Comes at the beginning of each run. What another
    /// version had stays until it is closed.
    ///
    /// # Errors
    /// An argument is wrong, or a listener cannot be watched.
    pub fn listen(&mut self, cx: &mut Worker) -> Result<(), WorkerError> {
        self.limits = Limits::parse(cx.arguments()).map_err(WorkerError::Application)?;
        self.watch_again(cx);
        for (_, listener) in cx.listeners()? {
            let is_same = |known: &Listener| known.is_same(&listener);
            if self.listeners.iter().flatten().any(is_same) {
                continue;
            }
            let free = self.listeners.iter().position(Option::is_none);
            let token = free.unwrap_or_else(|| {
                self.listeners.push(None);
                self.listeners.len() - 1
            });
            // All workers are woken by each newcomer, and agree whose it is.
            cx.register(&listener, token as u64, Interest::READABLE)?;
            self.listeners[token] = Some(listener);
        }
        Ok(())
    }

    /// Gives up listeners of other versions that are closed.
    pub(super) fn drop_closed(&mut self) {
        for place in &mut self.listeners {
            place.take_if(|known| !known.is_open());
        }
    }

    /// Takes newcomers at a listener as long as they are this worker's.
    pub(super) fn accept(&mut self, cx: &mut Worker, listener: usize, first: Look) {
        let mut look = first;
        for _ in 0..ACCEPTS {
            let turn = self.whose(cx, look);
            if let Turn::Others { excess } = turn {
                self.leave(cx, listener, excess);
                return;
            }
            let Some(Some(open)) = self.listeners.get(listener) else {
                return self.show(cx);
            };
            match open.accept() {
                Ok(stream) if turn == Turn::Mine => self.welcome(cx, stream),
                Ok(stream) => self.turn_away(&stream),
                // No more, or taken by another worker; a failing accept is tried again when there is
                // something to accept.
                Err(_) => return self.show(cx),
            }
            look = Look::First;
        }
    }

    /// Takes a connection that was waiting when the worker was told to end, or turns it away.
    pub(super) fn admit(&mut self, cx: &mut Worker, stream: Stream) {
        match self.whose(cx, Look::Second) {
            Turn::Refused => self.turn_away(&stream),
            Turn::Mine | Turn::Others { .. } => self.welcome(cx, stream),
        }
    }

    /// Looks again at the listeners that were left, when it is time.
    pub(super) fn look_again(&mut self, cx: &mut Worker) {
        if self.left.is_some_and(|until| Instant::now() >= until) {
            self.watch_again(cx);
            for listener in 0..self.listeners.len() {
                self.accept(cx, listener, Look::Second);
            }
        }
    }

    fn watch_again(&mut self, cx: &mut Worker) {
        self.left = None;
        for (token, listener) in self.listeners.iter().enumerate() {
            if let Some(listener) = listener {
                // One that is closed is watched no more, and is in nobody's way.
                let _ = cx.modify(listener, token as u64, Interest::READABLE);
            }
        }
    }

    fn leave(&mut self, cx: &mut Worker, token: usize, excess: u64) {
        let later = SECOND_LOOK * excess.clamp(1, MOST_LOOKS) as u32;
        if let Some(Some(listener)) = self.listeners.get(token)
            && cx.modify(listener, token as u64, Interest::NONE).is_ok()
        {
            self.left.get_or_insert(Instant::now() + later);
        }
    }

    /// Whose a newcomer is; if it is this worker's, its place is taken.
    fn whose(&self, cx: &Worker, look: Look) -> Turn {
        let (presence, most) = (self.presence(cx), self.limits.max_clients);
        match ROOM.lock(cx) {
            Ok(mut items) => items.room.admit(presence, look, most),
            Err(_) if !presence.takes => Turn::Refused,
            Err(_) if presence.clients + self.totals.clients_elsewhere >= most => Turn::Refused,
            Err(_) => Turn::Mine,
        }
    }

    /// Tells the other workers how many connections there are here.
    pub(super) fn show(&self, cx: &Worker) {
        if let Ok(mut items) = ROOM.lock(cx) {
            items.room.show(self.presence(cx));
        }
    }

    fn presence(&self, cx: &Worker) -> Presence {
        let clients = self.len() as u64;
        Presence {
            slot: cx.slot().0 as usize,
            clients,
            recent: self.recent,
            takes: clients < self.most_here() && self.draining.is_none(),
            now: UnixMs::now(),
        }
    }

    /// Connections that the descriptors of a worker suffice for: a limit that is met by refusing, as a
    /// listener that cannot be accepted from would stay ready for ever.
    fn most_here(&self) -> u64 {
        let limit = self.place.descriptors();
        limit.saturating_sub(OTHER_DESCRIPTORS).max(1)
    }

    fn turn_away(&mut self, mut stream: &Stream) {
        self.ends.rejected += 1;
        // Best effort, as in Redis; the connection ends here.
        let _ = stream.write(TOO_MANY);
    }

    fn welcome(&mut self, cx: &mut Worker, stream: Stream) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        if cx
            .register(&stream, FIRST_CONNECTION + slot as u64, Interest::READABLE)
            .is_err()
        {
            self.free.push(slot);
            return;
        }
        let now = UnixMs::now();
        // Unique over workers: each counts in its own residue class.
        let id = self.next_id * 128 + u64::from(cx.slot().0);
        self.next_id += 1;
        self.recent += 1;
        self.dues.connections += 1;
        let client = Client {
            id,
            address: stream.peer_address(),
            local_address: stream.local_address(),
            descriptor: stream.number(),
            connected_at: now,
            active_at: now,
            ..Client::default()
        };
        self.place.note_address(&client.local_address);
        let session = Session::new(client);
        self.slots[slot] = Some(Box::new(Connection {
            stream,
            session,
            watches_output: false,
            has_backlog: false,
            seen: Seen::default(),
            lags_since: None,
            intake: Intake::Open,
        }));
    }
}
