//! The end of all connections of a worker that is told to end: what had come is answered, replies are
//! delivered, and only then is a connection closed.
//!
//! Owns the way of each connection to its end; the runtime bounds the time.
//!
//! | intake | reads | goes on to the next when |
//! |---|---|---|
//! | open | what comes | the worker is told to end |
//! | left | what had come by then, and no more | all of that has run and its replies are written |
//! | ended | and throws away | closed: the peer has ended too, or its system has every reply |
//!
//! A connection that is closed with unread bytes is reset, and a reset may overtake replies: so what the
//! client goes on sending is read and thrown away. It was not answered, and its sender sees the end of
//! the stream in place of an answer. Half a request is not run.

use super::{Connection, Connections};
use crate::store::Store;
use crate::table::CommandTable;
use dsu_runtime::prelude::*;
use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

/// How often connections are looked at that no event brings on.
pub(super) const LOOK: Duration = Duration::from_millis(5);
/// Bytes that are thrown away at a time.
const DISCARDED: usize = 16 << 10;

/// How much a connection still reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Intake {
    #[default]
    Open,
    /// So many bytes that had come when the worker was told to end.
    Left(usize),
    Ended,
}

impl Intake {
    /// The part of `space` that may be read into; `None` if what comes is to be thrown away.
    pub(super) fn limit(self, space: &mut [u8]) -> Option<&mut [u8]> {
        match self {
            Intake::Open => Some(space),
            Intake::Left(left) => {
                let length = left.min(space.len());
                Some(&mut space[..length])
            }
            Intake::Ended => None,
        }
    }

    /// So many bytes were read.
    pub(super) fn took(&mut self, length: usize) {
        if let Intake::Left(left) = self {
            *left -= length;
        }
    }
}

impl Connection {
    /// Whether commands or replies wait: then an event or the next turn brings it on.
    pub(super) fn is_busy(&self) -> bool {
        self.has_backlog || self.watches_output
    }

    /// Reads a little and throws it away; false if the connection is over.
    pub(super) fn discard(&self) -> bool {
        match (&self.stream).read(&mut [0; DISCARDED]) {
            Ok(length) => length > 0,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }

    /// Whether nothing of it is lost if it is closed now.
    fn is_settled(&self) -> bool {
        let is_delivered = self.stream.is_delivered().unwrap_or(true);
        is_delivered && self.stream.arrived().unwrap_or(0) == 0
    }
}

impl Connections {
    /// Takes no new connections but those that wait to be accepted, and notes how much of what every
    /// client has sent is still to be answered.
    pub(super) fn begin_drain(&mut self, cx: &mut Worker) {
        for index in 0..self.listeners.len() {
            while let Some(stream) = self.next_waiting(index) {
                self.admit(cx, stream);
            }
        }
        for listener in self.listeners.drain(..).flatten() {
            // Watched since the start. Were it not, it would be in nobody's way.
            let _ = cx.deregister(&listener);
        }
        for connection in self.slots.iter_mut().flatten() {
            connection.intake = Intake::Left(connection.stream.arrived().unwrap_or(0));
        }
        self.draining = Some(Instant::now());
    }

    fn next_waiting(&self, listener: usize) -> Option<Stream> {
        let listener = self.listeners[listener].as_ref()?;
        loop {
            match listener.accept() {
                Ok(stream) => return Some(stream),
                Err(error) => match error.kind() {
                    // It went away again while it waited.
                    ErrorKind::ConnectionAborted | ErrorKind::Interrupted => {}
                    _ => return None,
                },
            }
        }
    }

    /// Brings every connection a step on, if the worker drains and the last step was a while ago.
    pub(super) fn bring_to_an_end<S: Store<Context = Worker>>(
        &mut self,
        cx: &mut Worker,
        table: &CommandTable<S>,
        closed: &mut Vec<usize>,
    ) {
        match &mut self.draining {
            Some(last) if last.elapsed() >= LOOK => *last = Instant::now(),
            _ => return,
        }
        for slot in 0..self.slots.len() {
            let Some(connection) = &mut self.slots[slot] else {
                continue;
            };
            let is_open = match connection.intake {
                _ if connection.is_busy() => true,
                Intake::Ended => !connection.is_settled(),
                Intake::Left(0) => {
                    connection.intake = Intake::Ended;
                    connection.stream.end_output().is_ok()
                }
                Intake::Open | Intake::Left(_) => {
                    self.read(slot) && {
                        let progress = self.run(cx, table, slot);
                        self.answer(cx, slot, progress)
                    }
                }
            };
            if !is_open {
                closed.push(slot);
            }
        }
    }
}
