//! The connections of one worker: accepting, reading, running commands, writing, closing.
//!
//! Owns the sockets and the fairness between them; all of it crosses an update as a carry. Never knows
//! what a command does or which version runs.

use crate::ahead::Upcoming;
use crate::call::Client;
use crate::ledger::{Dues, Snapshot};
use crate::place::Place;
use crate::server::{Counters, Facts, Server, config_defaults};
use crate::session::{Progress, Session};
use crate::store::{Store, UnixMs};
use crate::table::CommandTable;
use dsu_runtime::abi::TypeSchema;
use dsu_runtime::prelude::*;
use dsu_runtime::worker::Carried;
use serde::{Deserialize, Serialize};
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

mod drain;

use drain::Intake;

/// Commands that a connection may run before the others get their turn.
const TURN: usize = 128;
/// Connections that are accepted at once: few, so that others that were woken get some of a burst.
const ACCEPTS: usize = 2;
/// Milliseconds without a command after which the buffers of a connection are given back.
const IDLE_MS: u64 = 2000;
/// Idle connections that are looked for in one round of events.
const TIDIED: usize = 4;
/// Connections of all workers together, as in Redis by default.
const MAX_CLIENTS: u64 = 10_000;
/// Descriptors of a worker that are not connections.
const OTHER_DESCRIPTORS: u64 = 64;
/// Tokens from here on are connections; those below are listeners.
const FIRST_CONNECTION: u64 = 1 << 16;
/// Bumped with every change of what a session or connection writes into a carry.
const CARRY_FORMAT: u32 = 5;

/// One client.
#[derive(Debug, Serialize, Deserialize)]
struct Connection {
    stream: Stream,
    session: Session,
    /// What the socket is watched for.
    watches_output: bool,
    /// It has commands to run although nothing new was read.
    has_backlog: bool,
    /// A worker that drains does not cross.
    #[serde(skip)]
    intake: Intake,
}

/// All connections of one worker, and what it has counted and not yet added to the shared totals.
#[derive(Debug, Serialize, Deserialize)]
pub struct Connections {
    /// By token; `None` where one was closed.
    listeners: Vec<Option<Listener>>,
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
    backlog: Vec<usize>,
    next_id: u64,
    dues: Dues,
    totals: Snapshot,
    place: Place,
    random: u64,
    /// The slot that was looked at last for an idle connection.
    tidied: usize,
    /// Configuration events that this worker has taken.
    config_reloads: u64,
    /// When the connections were last brought on towards their end; a worker that drains does not cross.
    #[serde(skip)]
    draining: Option<Instant>,
}

impl Carried for Connections {
    fn schema() -> TypeSchema {
        TypeSchema {
            meaning: CARRY_FORMAT,
            ..TypeSchema::leaf::<()>("Connections")
        }
    }
}

impl Connections {
    /// The first connections of a fresh worker: none, and nothing listened on yet.
    pub fn start(cx: &Worker) -> Connections {
        let slot = u64::from(cx.slot().0);
        Connections {
            listeners: Vec::new(),
            slots: Vec::new(),
            free: Vec::new(),
            backlog: Vec::new(),
            next_id: 1,
            dues: Dues::default(),
            totals: Snapshot::default(),
            place: Place::discover(),
            random: (slot + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ UnixMs::now().0,
            tidied: 0,
            config_reloads: 0,
            draining: None,
        }
    }

    /// Listens on what this version is to listen on: all of it in a fresh worker, and what is new after
    /// a crossing. Comes at the beginning of each run. What another version had stays until it is closed.
    ///
    /// # Errors
    /// A listener cannot be watched.
    pub fn listen(&mut self, cx: &mut Worker) -> Result<(), WorkerError> {
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
            // Woken together, idle workers share the newcomers; woken one at a time, the first in the
            // kernel's list would take nearly all.
            cx.register(&listener, token as u64, Interest::READABLE)?;
            self.listeners[token] = Some(listener);
        }
        Ok(())
    }

    /// Gives up listeners of other versions that are closed.
    fn drop_closed(&mut self) {
        for place in &mut self.listeners {
            place.take_if(|known| !known.is_open());
        }
    }

    /// Connections now.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether some connection has commands to run at once: waiting then ends at once too.
    pub fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// What is to be added to the shared totals.
    pub fn dues(&mut self, cx: &Worker) -> &mut Dues {
        self.dues.clients = self.len() as u64;
        self.dues.slot = cx.slot().0 as usize;
        &mut self.dues
    }

    /// Takes the shared totals over, to be shown by INFO until the next time.
    pub fn set_totals(&mut self, totals: Snapshot) {
        self.totals = totals;
    }

    /// Counts keys that were removed because their time was up.
    pub fn count_expired(&mut self, keys: u64) {
        self.dues.counters.expired += keys;
    }

    /// Serves what `wait` found ready, then one turn of every connection that has commands left. When
    /// the worker is told to end it brings every connection to its end, and then says that it has drained.
    pub fn serve<S: Store<Context = Worker>>(
        &mut self,
        cx: &mut Worker,
        table: &CommandTable<S>,
        events: &Events,
    ) {
        for notice in events.notices() {
            match notice {
                Notice::Drain { .. } => self.begin_drain(cx),
                Notice::Reconfigure => self.reconfigure(),
                Notice::ListenersClosed => self.drop_closed(),
                _ => {}
            }
        }
        let backlog = std::mem::take(&mut self.backlog);
        let mut closed = Vec::new();
        let mut ready = Vec::with_capacity(events.iter().len());
        for event in events {
            match event.token().checked_sub(FIRST_CONNECTION) {
                None => self.accept(cx, event.token() as usize),
                Some(slot) => {
                    let slot = slot as usize;
                    if !event.is_readable() || self.read(slot) {
                        ready.push(slot);
                    } else {
                        closed.push(slot);
                    }
                }
            }
        }
        let mut ready = ready.as_slice();
        while !ready.is_empty() {
            let (together, rest) = ready.split_at(self.look_ahead(cx, table, ready));
            for &slot in together {
                if !self.turn(cx, table, slot) {
                    closed.push(slot);
                }
            }
            ready = rest;
        }
        for slot in backlog {
            let still_has = match self.slots.get_mut(slot) {
                Some(Some(connection)) => std::mem::take(&mut connection.has_backlog),
                _ => false,
            };
            if still_has && !self.turn(cx, table, slot) {
                closed.push(slot);
            }
        }
        self.tidy();
        self.bring_to_an_end(cx, table, &mut closed);
        // Only now: an event of this batch must not meet a newcomer in an old slot.
        for slot in closed {
            if self.slots[slot].take().is_some() {
                self.free.push(slot);
            }
        }
        if self.draining.is_some() && self.is_empty() {
            cx.drained();
        }
    }

    /// Asks for the memory that the first of these connections will need; how many those are.
    fn look_ahead<S: Store<Context = Worker>>(
        &self,
        cx: &mut Worker,
        table: &CommandTable<S>,
        ready: &[usize],
    ) -> usize {
        let mut next = Upcoming::default();
        let mut taken = 0;
        while taken < ready.len() && !next.is_full() {
            if let Some(Some(connection)) = self.slots.get(ready[taken]) {
                connection.session.look_ahead(table, &mut next);
            }
            taken += 1;
        }
        if next.is_several() {
            S::prefetch(cx, next.wanted());
        }
        taken
    }

    /// There is no file to read again: takes a new look at what the machine allows a worker.
    fn reconfigure(&mut self) {
        self.place.look_again();
        self.config_reloads += 1;
    }

    /// Connections that the descriptors of a worker suffice for: a limit that is met by refusing, as a
    /// listener that cannot be accepted from would stay ready for ever.
    fn most_here(&self) -> u64 {
        let limit = self.place.descriptors();
        limit.saturating_sub(OTHER_DESCRIPTORS).max(1)
    }

    /// Gives back the buffers of a few connections that have been idle.
    fn tidy(&mut self) {
        let now = UnixMs::now().0;
        for _ in 0..TIDIED.min(self.slots.len()) {
            self.tidied = (self.tidied + 1) % self.slots.len();
            if let Some(connection) = &mut self.slots[self.tidied]
                && connection.session.client().active_at.0 + IDLE_MS < now
            {
                connection.session.trim();
            }
        }
    }

    fn accept(&mut self, cx: &mut Worker, listener: usize) {
        for _ in 0..ACCEPTS {
            let Some(Some(listener)) = self.listeners.get(listener) else {
                return;
            };
            match listener.accept() {
                Ok(stream) => self.admit(cx, stream),
                // No more, or taken by another worker; a failing accept is tried again when there is
                // something to accept.
                Err(_) => return,
            }
        }
    }

    fn admit(&mut self, cx: &mut Worker, stream: Stream) {
        let here = self.len() as u64;
        if here + self.totals.clients_elsewhere >= MAX_CLIENTS || here >= self.most_here() {
            self.dues.rejected += 1;
            // Best effort, as in Redis; the connection ends here.
            let _ = (&stream).write(b"-ERR max number of clients reached\r\n");
            return;
        }
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
        self.slots[slot] = Some(Connection {
            stream,
            session,
            watches_output: false,
            has_backlog: false,
            intake: Intake::Open,
        });
    }

    /// Reads what there is, up to the size of the buffer; false if the connection is over.
    fn read(&mut self, slot: usize) -> bool {
        let Some(Some(connection)) = self.slots.get_mut(slot) else {
            return true;
        };
        // Not while there is work: a pipeline without end would fill the memory, and what came before
        // the end of the stream is to be run.
        let is_over = connection.session.is_closing() || connection.intake == Intake::Left(0);
        if is_over || connection.is_busy() {
            return true;
        }
        let Some(space) = connection.intake.limit(connection.session.space()) else {
            return connection.discard();
        };
        match (&connection.stream).read(space) {
            Ok(0) => false,
            Ok(length) => {
                connection.session.filled(length);
                connection.intake.took(length);
                self.dues.bytes_in += length as u64;
                true
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    /// Runs commands and sends replies; false if the connection is over.
    fn turn<S: Store<Context = Worker>>(
        &mut self,
        cx: &mut Worker,
        table: &CommandTable<S>,
        slot: usize,
    ) -> bool {
        let Some(mut connection) = self.slots.get_mut(slot).and_then(Option::take) else {
            return true;
        };
        let asking = connection.session.client().id;
        let progress = {
            let mut desk = Desk {
                connections: self,
                asking,
            };
            connection.session.process(table, cx, &mut desk, TURN)
        };
        let is_open = self.send(cx, slot, &mut connection);
        let has_unsent = !connection.session.unsent().is_empty();
        let is_over = !is_open || (progress == Progress::Closing && !has_unsent);
        if progress == Progress::More || (progress == Progress::OutputFull && !has_unsent) {
            connection.has_backlog = true;
            self.backlog.push(slot);
        }
        self.slots[slot] = Some(connection);
        !is_over
    }

    /// Sends what it can and watches for room where that is not all; false if the peer is gone.
    fn send(&mut self, cx: &mut Worker, slot: usize, connection: &mut Connection) -> bool {
        while !connection.session.unsent().is_empty() {
            match (&connection.stream).write(connection.session.unsent()) {
                Ok(length) => {
                    connection.session.sent(length);
                    self.dues.bytes_out += length as u64;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        let wants_output = !connection.session.unsent().is_empty();
        if wants_output != connection.watches_output {
            // A peer that does not take its replies is not read from either.
            let interest = if wants_output {
                Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            connection.watches_output = wants_output;
            return cx
                .modify(&connection.stream, FIRST_CONNECTION + slot as u64, interest)
                .is_ok();
        }
        true
    }

    /// When `wait` has to end at the latest, to add to the totals or go on with a backlog.
    pub fn deadline(&self, longest: Duration) -> Option<Instant> {
        let now = Instant::now();
        Some(if self.has_backlog() {
            now
        } else if self.draining.is_some() {
            now + longest.min(drain::LOOK)
        } else {
            now + longest
        })
    }

    fn next_random(&mut self) -> u64 {
        // xorshift64*: chance for RANDOMKEY, nothing that has to be hard to guess.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// What commands of one connection see of the others and of the server.
struct Desk<'a> {
    connections: &'a mut Connections,
    asking: u64,
}

impl Server for Desk<'_> {
    fn now(&self) -> UnixMs {
        UnixMs::now()
    }

    fn random(&mut self) -> u64 {
        self.connections.next_random()
    }

    fn count(&mut self, counters: Counters) {
        self.connections.dues.counters += counters;
    }

    fn facts(&self) -> Facts {
        let Connections {
            totals,
            dues,
            place,
            ..
        } = &*self.connections;
        let mut facts = place.facts();
        let mut counters = totals.counters;
        counters += dues.counters;
        facts.counters = counters;
        // The one that asks is not in its slot.
        facts.connected_clients = totals.clients_elsewhere + self.connections.len() as u64;
        facts.total_connections = totals.connections + dues.connections;
        facts.net_input_bytes = totals.bytes_in + dues.bytes_in;
        facts.net_output_bytes = totals.bytes_out + dues.bytes_out;
        facts.max_clients = MAX_CLIENTS;
        facts.rejected_connections = dues.rejected;
        let mut fields = totals.extra_fields();
        let reloads = self.connections.config_reloads.to_string();
        fields.push(("dsu_config_reloads".to_owned(), reloads));
        facts.extra = vec![("Dsu".to_owned(), fields)];
        facts
    }

    fn settings(&self, visit: &mut dyn FnMut(&str, &str)) {
        for (name, value) in config_defaults() {
            visit(name, value);
        }
        let facts = self.connections.place.facts();
        visit("maxclients", &MAX_CLIENTS.to_string());
        visit("maxmemory", &facts.max_memory.to_string());
        visit("port", &facts.tcp_port.to_string());
    }

    fn other_clients(&self, asking: u64, visit: &mut dyn FnMut(u64, &str)) {
        debug_assert_eq!(asking, self.asking);
        let now = UnixMs::now();
        for connection in self.connections.slots.iter().flatten() {
            let id = connection.session.client().id;
            visit(id, &connection.session.describe(now));
        }
    }
}
