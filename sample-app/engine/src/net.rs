//! The connections of one worker: accepting, reading, running commands, writing, closing.
//!
//! Owns the sockets and the fairness between them; all of it crosses an update as a carry. Never knows
//! what a command does or which version runs.

use crate::ahead::Upcoming;
use crate::ledger::{Dues, Snapshot};
use crate::limits::{Limits, OutputLimit};
use crate::metrics::{CommandRow, Ends, Metrics, View};
use crate::place::Place;
use crate::rates::Looks;
use crate::room::Look;
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

mod accept;
mod drain;
mod tend;

use drain::Intake;
use tend::Seen;

/// Commands that a connection may run before the others get their turn.
const TURN: usize = 128;
/// Tokens from here on are connections; those below are listeners.
const FIRST_CONNECTION: u64 = 1 << 16;
/// Bumped with every change of what a session or connection writes into a carry.
const CARRY_FORMAT: u32 = 6;

/// One client.
#[derive(Debug, Serialize, Deserialize)]
struct Connection {
    stream: Stream,
    session: Session,
    /// What the socket is watched for.
    watches_output: bool,
    /// It has commands to run although nothing new was read.
    has_backlog: bool,
    seen: Seen,
    /// When its unsent output passed the soft limit; begins anew with each version.
    #[serde(skip)]
    lags_since: Option<Instant>,
    /// A worker that drains does not cross.
    #[serde(skip)]
    intake: Intake,
}

/// All connections of one worker, and what it has counted and not yet added to the shared totals.
#[derive(Debug, Serialize, Deserialize)]
pub struct Connections {
    /// By token; `None` where one was closed.
    listeners: Vec<Option<Listener>>,
    /// By token. Each is taken out while it is served.
    slots: Vec<Option<Box<Connection>>>,
    free: Vec<usize>,
    backlog: Vec<usize>,
    next_id: u64,
    dues: Dues,
    totals: Snapshot,
    place: Place,
    random: u64,
    tended: Tended,
    metrics: Metrics,
    ends: Ends,
    /// Configuration events that this worker has taken.
    config_reloads: u64,
    /// When the connections were last brought on towards their end; a worker that drains does not cross.
    #[serde(skip)]
    draining: Option<Instant>,
    /// Those of the version that runs.
    #[serde(skip)]
    limits: Limits,
    /// Connections taken lately: each tenth of a second half of them are forgotten.
    #[serde(skip)]
    recent: u64,
    /// When newcomers that were left to other workers are looked at again.
    #[serde(skip)]
    left: Option<Instant>,
    /// Seen anew by each version before it serves anybody.
    #[serde(skip)]
    view: View,
    #[serde(skip)]
    looks: Looks,
}

/// How far the round over all connections is.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Tended {
    at_ms: u64,
    slot: usize,
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
            tended: Tended::default(),
            metrics: Metrics::default(),
            ends: Ends::default(),
            config_reloads: 0,
            draining: None,
            limits: Limits::default(),
            recent: 0,
            left: None,
            view: View::default(),
            looks: Looks::default(),
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
    pub(crate) fn set_totals(&mut self, now: Instant, totals: Snapshot) {
        self.looks.look(now, &totals);
        self.totals = totals;
    }

    /// Adds what was counted about commands to that of all workers, looks at all of it, and shows the
    /// others that this worker is there.
    pub(crate) fn share(&mut self, cx: &Worker) {
        self.recent /= 2;
        self.show(cx);
        self.view.settle(cx, &mut self.metrics, &mut self.ends);
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
                None => self.accept(cx, event.token() as usize, Look::First),
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
        for &slot in &ready {
            self.leave_backlog(slot);
        }
        ready.extend(backlog.into_iter().filter(|slot| self.leave_backlog(*slot)));
        // Replies go out when all have been run: who is woken by the first one finds the others as well.
        let mut ran = Vec::with_capacity(ready.len());
        let mut left = ready.as_slice();
        while !left.is_empty() {
            let (together, rest) = left.split_at(self.look_ahead(cx, table, left));
            ran.extend(together.iter().map(|slot| self.run(cx, table, *slot)));
            left = rest;
        }
        for (slot, progress) in ready.into_iter().zip(ran) {
            if !self.answer(cx, slot, progress) {
                closed.push(slot);
            }
        }
        self.look_again(cx);
        self.tend(&mut closed);
        self.bring_to_an_end(cx, table, &mut closed);
        // Only now: an event of this batch must not meet a newcomer in an old slot.
        if !closed.is_empty() {
            for slot in closed {
                if self.slots[slot].take().is_some() {
                    self.free.push(slot);
                }
            }
            self.show(cx);
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

    /// Takes a connection out of the backlog: whether it was in it.
    fn leave_backlog(&mut self, slot: usize) -> bool {
        match self.slots.get_mut(slot) {
            Some(Some(connection)) => std::mem::take(&mut connection.has_backlog),
            _ => false,
        }
    }

    /// Runs commands of one connection.
    fn run<S: Store<Context = Worker>>(
        &mut self,
        cx: &mut Worker,
        table: &CommandTable<S>,
        slot: usize,
    ) -> Progress {
        let Some(mut connection) = self.slots.get_mut(slot).and_then(Option::take) else {
            return Progress::Idle;
        };
        let mut desk = Desk {
            asking: connection.session.client().id,
            connections: self,
        };
        let progress = connection.session.process(table, cx, &mut desk, TURN);
        self.slots[slot] = Some(connection);
        progress
    }

    /// Sends replies of one connection, and notes what it has left to do; false if it is over.
    fn answer(&mut self, cx: &mut Worker, slot: usize, progress: Progress) -> bool {
        let Some(mut connection) = self.slots.get_mut(slot).and_then(Option::take) else {
            return true;
        };
        let is_open = self.send(cx, slot, &mut connection);
        let has_unsent = !connection.session.unsent().is_empty();
        let is_deaf = has_unsent && connection.is_deaf(self.limits.output);
        self.ends.deaf += u64::from(is_open && is_deaf);
        let is_over = !is_open || is_deaf || (progress == Progress::Closing && !has_unsent);
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

    /// When `wait` has to end at the latest: after `longest`, or to go on with a backlog.
    pub(crate) fn come_again(&self, now: Instant, longest: Duration) -> Instant {
        let end = if self.has_backlog() {
            now
        } else if self.draining.is_some() {
            now + longest.min(drain::LOOK)
        } else {
            now + longest
        };
        self.left.map_or(end, |left| left.min(end))
    }

    fn next_random(&mut self) -> u64 {
        // xorshift64*: chance for RANDOMKEY, nothing that has to be hard to guess.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

impl Connection {
    /// Whether it is to be closed because it does not read what it is sent.
    fn is_deaf(&mut self, limit: OutputLimit) -> bool {
        let unsent = self.session.unsent().len();
        limit.is_passed(unsent, &mut self.lags_since)
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

    fn lend_metrics(&mut self) -> Metrics {
        std::mem::take(&mut self.connections.metrics)
    }

    fn return_metrics(&mut self, metrics: Metrics) {
        self.connections.metrics = metrics;
    }

    fn command_rows(&self, own: &Metrics) -> Vec<CommandRow> {
        self.connections.view.rows(own)
    }

    fn error_rows(&self, own: &Metrics) -> Vec<(String, u64)> {
        self.connections.view.errors(own)
    }

    fn most_reply(&self) -> usize {
        self.connections.limits.output.most_reply()
    }

    fn count_cut(&mut self) {
        self.connections.ends.deaf += 1;
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
        facts.max_clients = self.connections.limits.max_clients;
        facts.rates = self.connections.looks.rates();
        let ends = self.connections.view.ends(self.connections.ends);
        facts.rejected_connections = ends.rejected;
        let mut fields = totals.extra_fields();
        for (name, count) in [
            ("dsu_closed_for_not_reading", ends.deaf),
            ("dsu_closed_for_being_idle", ends.idle),
        ] {
            fields.push((name.to_owned(), count.to_string()));
        }
        let reloads = self.connections.config_reloads.to_string();
        fields.push(("dsu_config_reloads".to_owned(), reloads));
        facts.extra = vec![("Dsu".to_owned(), fields)];
        facts
    }

    fn settings(&self, visit: &mut dyn FnMut(&str, &str)) {
        for (name, value) in config_defaults() {
            visit(name, value);
        }
        self.connections.limits.settings(visit);
        let facts = self.connections.place.facts();
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
