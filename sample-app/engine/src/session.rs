//! One connection: bytes in, commands run, bytes out.
//!
//! Owns the connection's private state and the loop over its complete requests. It crosses a
//! live update by serde, with the request it has read half of and the reply it has sent half
//! of; the new version's parser starts over on the unread bytes, which skips arguments by
//! their length. Never touches a socket.

use resp::{Args, Parsed, Reply, RequestParser};
use serde::{Deserialize, Serialize};

use crate::ahead::Upcoming;
use crate::buffer::{Input, Output};
use crate::call::{Buffers, Call, Client, Outcome};
use crate::command::{Command, Handler};
use crate::door::Door;
use crate::error::{CommandError, until_zero};
use crate::metrics::Metrics;
use crate::server::{Counters, Server};
use crate::store::{Edit, KeySet, Keys, Keyspace, Store, UnixMs};
use crate::table::CommandTable;
use crate::transactions;
use crate::walk::Doors;
use std::cell::Cell;
use std::convert::Infallible;

/// Beyond this much unread input a connection is closed, as Redis does by
/// `client-query-buffer-limit`. What waits for EXEC counts.
pub(crate) const MAX_INPUT: usize = 1 << 30;
/// With this much unsent output, no more commands of the connection are run.
const OUTPUT_PAUSE: usize = 1 << 20;

/// Why [`Session::process`] returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Everything complete has run; wait for more bytes.
    Idle,
    /// The budget is used up: call again after the other connections' turn.
    More,
    /// There is enough to send: call again once some of it is sent.
    OutputFull,
    /// Send what is unsent, then close the connection. Nothing more will run.
    Closing,
}

/// Where a batch counts, and what it keeps to.
struct Counts<'a> {
    counters: &'a mut Counters,
    metrics: &'a mut Metrics,
    /// Bytes that a reply may have.
    most_reply: usize,
}

/// A connection's private state.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Session {
    client: Client,
    input: Input,
    output: Output,
    closing: bool,
    #[serde(skip)]
    parser: RequestParser,
    /// Bytes of the input whose requests' memory was asked for.
    #[serde(skip)]
    foreseen: Cell<usize>,
}

impl Session {
    /// A new connection. Of `client`, the id, addresses, descriptor and times are used.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            ..Self::default()
        }
    }

    /// Who this is.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Takes bytes from the peer. Only complete requests in them will run, at the next
    /// [`process`](Self::process).
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
    }

    /// Room of at least 16 KiB to read into, followed by [`filled`](Self::filled).
    pub fn space(&mut self) -> &mut [u8] {
        self.input.space()
    }

    /// The first `length` bytes of the last [`space`](Self::space) were read.
    ///
    /// # Panics
    /// If that is more than was offered.
    pub fn filled(&mut self, length: usize) {
        self.input.filled(length);
    }

    /// What is to be sent.
    pub fn unsent(&self) -> &[u8] {
        self.output.unsent()
    }

    /// The first `length` bytes of [`unsent`](Self::unsent) were sent.
    ///
    /// # Panics
    /// If that is more than there was.
    pub fn sent(&mut self, length: usize) {
        self.output.sent(length);
    }

    /// Whether the connection is to be closed once nothing is unsent.
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// Bytes received that have not been understood: part of a request, or requests that
    /// wait for their turn.
    pub fn unread(&self) -> usize {
        self.input.len()
    }

    /// Answers with an error of the application's own, such as a limit that was hit, and
    /// closes after it. `text` begins with a code word.
    pub fn refuse(&mut self, text: &str) {
        Reply::new(self.output.tail(), self.client.protocol).error(text.as_bytes());
        self.closing = true;
    }

    /// Gives back the buffers of a connection that has been idle.
    pub fn trim(&mut self) {
        self.input.trim();
        self.output.trim();
    }

    /// The line of CLIENT LIST for this connection, without its end.
    pub fn describe(&self, now: UnixMs) -> String {
        self.client.describe(now, self.buffers())
    }

    /// Adds what requests that wait here will need to what is needed next. Whoever takes it is to ask
    /// for its memory before [`process`](Self::process).
    pub fn look_ahead<'k, S: Store>(&'k self, table: &CommandTable<S>, next: &mut Upcoming<'k>) {
        self.foreseen.set(next.take(table, self.input.unread()));
    }

    /// Asks for the memory of the next few requests, unless that was done.
    fn foresee<S: Store>(&self, table: &CommandTable<S>, context: &mut S::Context) {
        if self.foreseen.get() == 0 {
            let mut next = Upcoming::default();
            self.look_ahead(table, &mut next);
            if next.is_several() {
                S::prefetch(context, next.wanted());
            }
        }
    }

    /// Runs complete requests in order, at most `budget` of them, and appends their replies
    /// to what is unsent. All see the same time. A request that breaks the protocol is
    /// answered with Redis's error, and the connection is closing.
    pub fn process<S: Store>(
        &mut self,
        table: &CommandTable<S>,
        context: &mut S::Context,
        server: &mut dyn Server,
        budget: usize,
    ) -> Progress {
        let mut counters = Counters::default();
        let now = server.now();
        let mut metrics = server.lend_metrics();
        let mut counts = Counts {
            counters: &mut counters,
            metrics: &mut metrics,
            most_reply: server.most_reply(),
        };
        let Err(progress) = self.batch(table, context, server, &mut counts, now, budget);
        server.return_metrics(metrics);
        if counters != Counters::default() {
            self.client.active_at = now;
            server.count(counters);
        }
        progress
    }

    /// Request after request, until there is none. Those that go through the same door, one behind the
    /// other, are a run.
    fn batch<S: Store>(
        &mut self,
        table: &CommandTable<S>,
        context: &mut S::Context,
        server: &mut dyn Server,
        counts: &mut Counts<'_>,
        now: UnixMs,
        budget: usize,
    ) -> Result<Infallible, Progress> {
        let mut left = budget;
        let mut length = self.next(counts, &mut left)?;
        let mut found = self.found(table);
        loop {
            self.foresee(table, context);
            let mut door = Door::new(&mut *context);
            loop {
                let unsent = self.output.unsent().len();
                self.request(found, table, &mut door, server, counts, now);
                self.pass_over(length);
                let replied = self.output.unsent().len().saturating_sub(unsent);
                door.passed(length + replied, self.input.unread().len());
                // While the door is open nothing can be asked for beforehand; and of a reply that nobody
                // is to hear it cannot be said how long it took.
                if self.foreseen.get() == 0 || self.client.reply_mode.is_silent() {
                    door.shut();
                }
                length = self.next(counts, &mut left)?;
                found = self.found(table);
                let args = self.parser.args(self.input.unread());
                if !matches!(found, Some(Ok(command)) if door.takes(command, args)) {
                    break;
                }
            }
        }
    }

    /// Reads the next request; its length. A request that breaks the protocol is answered here.
    #[inline]
    fn next(&mut self, counts: &mut Counts<'_>, left: &mut usize) -> Result<usize, Progress> {
        loop {
            if self.closing {
                return Err(Progress::Closing);
            }
            if self.output.unsent().len() >= OUTPUT_PAUSE {
                return Err(Progress::OutputFull);
            }
            if *left == 0 {
                return Err(Progress::More);
            }
            *left -= 1;
            match self.parser.advance(self.input.unread()) {
                Ok(Parsed::Request { length }) => return Ok(length),
                Ok(Parsed::Incomplete) => {
                    if self.input.len() <= MAX_INPUT {
                        return Err(Progress::Idle);
                    }
                }
                Err(error) => {
                    let mut text = Vec::new();
                    error.push_message(&mut text);
                    if !self.client.reply_mode.is_silent() {
                        Reply::new(self.output.tail(), self.client.protocol).error(&text);
                    }
                    counts.counters.errors += 1;
                    counts.metrics.error(&text);
                }
            }
            self.closing = true;
        }
    }

    /// What the request that was read is to run; `None` if it is empty, or a step of a transaction.
    #[inline]
    fn found<'t, S: Store>(
        &self,
        table: &'t CommandTable<S>,
    ) -> Option<Result<&'t Command<S>, CommandError>> {
        let args = self.parser.args(self.input.unread());
        (!args.is_empty() && self.client.pending.is_none()).then(|| find(table, args))
    }

    /// The request that was read is over.
    #[inline]
    fn pass_over(&mut self, length: usize) {
        self.input.consume(length);
        let foreseen = self.foreseen.get_mut();
        *foreseen = foreseen.saturating_sub(length);
    }

    #[inline]
    fn request<S: Store>(
        &mut self,
        found: Option<Result<&Command<S>, CommandError>>,
        table: &CommandTable<S>,
        door: &mut Door<'_, S>,
        server: &mut dyn Server,
        counts: &mut Counts<'_>,
        now: UnixMs,
    ) {
        let args = self.parser.args(self.input.unread());
        if args.is_empty() {
            return;
        }
        let (output, sent) = self.output.tail_and_sent();
        let mut call = Call {
            args,
            reply: Reply::new(output, self.client.protocol).up_to(counts.most_reply),
            client: &mut self.client,
            server,
            counters: counts.counters,
            metrics: counts.metrics,
            now,
            name: "",
            input: &self.input,
            sent,
            mark: 0,
            close: false,
        };
        let begin = call.reply.mark();
        call.mark = begin;
        let outcome = match found {
            Some(found) => found.and_then(|command| run(command, table, door, &mut call)),
            None => transactions::step(table, door.context(), &mut call),
        };
        let mark = call.mark;
        if let Err(error) = outcome {
            call.reply.rewind(mark);
            call.fail(&error);
            // What ran was counted when it ran.
            if call.name.is_empty()
                && let Some(command) = table.named(call.args)
            {
                call.metrics.reject(command.meter, command.spec.name);
            }
        }
        if call.client.reply_mode.is_silent() {
            call.reply.rewind(mark);
        }
        if call.reply.is_cut() {
            call.reply.rewind(begin);
            call.server.count_cut();
            call.close();
        }
        call.client.reply_mode.advance();
        let close = call.close;
        self.closing |= close;
    }

    fn buffers(&self) -> Buffers {
        let unsent = self.output.unsent().len();
        Buffers::of(&self.input, self.output.capacity(), unsent)
    }
}

/// The command or subcommand that a request names, if it takes so many arguments.
pub(crate) fn find<'t, S: Store>(
    table: &'t CommandTable<S>,
    args: Args<'_>,
) -> Result<&'t Command<S>, CommandError> {
    let Some(mut command) = table.find(args.at(0)) else {
        return Err(unknown_command(args));
    };
    if !command.subcommands.is_empty()
        && let Some(name) = args.get(1)
    {
        command = command
            .subcommand(name)
            .ok_or_else(|| unknown_subcommand(command.spec.name, name))?;
    }
    if command.spec.accepts(args.len()) {
        return Ok(command);
    }
    let error = CommandError::arity(command.spec.name);
    // As Redis does, whether there is a transaction or not.
    Err(match command.handler {
        Handler::Run(_) => CommandError::aborted(error.text()),
        _ => error,
    })
}

/// Runs a command and counts how it went and how long it took, waiting for locks included.
#[inline]
pub(crate) fn run<S: Store>(
    command: &Command<S>,
    table: &CommandTable<S>,
    door: &mut Door<'_, S>,
    call: &mut Call<'_>,
) -> Outcome {
    let timer = call.metrics.begin(command.meter);
    let outcome = execute(command, table, door, call);
    call.metrics
        .end(command.meter, command.spec.name, timer, &outcome);
    outcome
}

#[inline]
fn execute<S: Store>(
    command: &Command<S>,
    table: &CommandTable<S>,
    door: &mut Door<'_, S>,
    call: &mut Call<'_>,
) -> Outcome {
    call.counters.commands += 1;
    call.name = command.spec.name;
    call.client.last_command = command.spec.name;
    match command.handler {
        Handler::Keys(handler) => match key_set(command, call.args) {
            KeySet::One(key) => within::<S>(handler, call, door.open(key, call.now)?),
            keys => {
                let mut tx = S::open(door.context(), keys, call.now)?;
                within::<S>(handler, call, &mut tx)
            }
        },
        Handler::Free(handler) => handler(call),
        Handler::All(handler) => {
            let mut tx = S::open(door.context(), KeySet::All, call.now)?;
            handler(call, &mut tx)
        }
        Handler::Walk(handler) => handler(call, Doors::Closed(door.context())),
        Handler::Table(handler) => handler(call, table),
        Handler::Run(handler) => handler(call, table, door.context()),
        Handler::Container => Err(CommandError::arity(command.spec.name)),
    }
}

/// Runs a handler and ends its edit: what comes behind it in the same shard has its own.
#[inline]
fn within<S: Store>(
    handler: for<'t> fn(&mut Call<'_>, &mut S::Tx<'t>) -> Outcome,
    call: &mut Call<'_>,
    tx: &mut S::Tx<'_>,
) -> Outcome {
    let outcome = handler(call, tx);
    tx.close_edit(match outcome {
        Ok(()) => Edit::Stands,
        Err(_) => Edit::Undone,
    });
    outcome
}

/// The keys of a command by its specification. Commands with two ranges, such as RENAME, have one key in
/// each, side by side.
#[inline]
pub(crate) fn key_set<'k, S: Store>(command: &Command<S>, args: Args<'k>) -> KeySet<'k> {
    match command.spec.keys {
        [range] if range.last == 0 => KeySet::One(args.at(range.first)),
        [range] => KeySet::Many(Keys::every(range.step, args.from(range.first))),
        [first, ..] => {
            let keys = Keys::every(first.step, args.from(first.first));
            KeySet::Many(keys.at_most(command.spec.keys.len()))
        }
        [] => KeySet::All,
    }
}

/// Redis quotes the name up to 128 bytes, and arguments while they are below 128 in sum.
const QUOTED: usize = 128;

fn unknown_command(args: Args<'_>) -> CommandError {
    let mut quoted: Vec<u8> = Vec::new();
    for arg in args.from(1).iter() {
        if quoted.len() >= QUOTED {
            break;
        }
        let room = QUOTED - quoted.len();
        quoted.push(b'\'');
        quoted.extend_from_slice(printable(arg, room));
        quoted.extend_from_slice(b"' ");
    }
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(printable(args.at(0), QUOTED));
    text.extend_from_slice(b"', with args beginning with: ");
    text.extend_from_slice(&quoted);
    CommandError::whole(text)
}

fn unknown_subcommand(container: &str, name: &[u8]) -> CommandError {
    let hint = format!("'. Try {} HELP.", container.to_ascii_uppercase());
    CommandError::quoting("ERR unknown subcommand '", printable(name, QUOTED), &hint)
}

/// What C's `%.*s` prints of `bytes`.
fn printable(bytes: &[u8], limit: usize) -> &[u8] {
    until_zero(&bytes[..bytes.len().min(limit)])
}
