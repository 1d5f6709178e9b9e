//! One command being run: its arguments, where its reply goes, and whose it is.

use resp::{Args, Protocol, Reply, parse_integer};
use serde::{Deserialize, Serialize};

use crate::buffer::Input;
use crate::error::CommandError;
use crate::metrics::Metrics;
use crate::server::{Counters, Server};
use crate::store::UnixMs;
use crate::transactions::Pending;

/// What a handler returns; its reply is already written.
pub type Outcome = Result<(), CommandError>;

/// What CLIENT REPLY asked for: whether replies are off, and whether one is skipped, each by itself.
///
/// | CLIENT REPLY | off | the next one | this one |
/// |---|---|---|---|
/// | ON | no | as it was | answered |
/// | OFF | yes | as it was | as it was |
/// | SKIP | as it was | skipped, unless replies are off | as it was |
///
/// At the end of a request the next one becomes this one. That shows where several commands are one
/// request: in EXEC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ReplyMode(u8);

impl ReplyMode {
    const OFF: u8 = 1;
    const SKIPS_NEXT: u8 = 2;
    const SKIPS_THIS: u8 = 4;

    /// Whether what is said now is not to be heard.
    #[inline]
    pub fn is_silent(self) -> bool {
        self.0 & (Self::OFF | Self::SKIPS_THIS) != 0
    }

    pub(crate) fn turn_on(&mut self) {
        self.0 &= !(Self::OFF | Self::SKIPS_THIS);
    }

    pub(crate) fn turn_off(&mut self) {
        self.0 |= Self::OFF;
    }

    pub(crate) fn skip_next(&mut self) {
        if self.0 & Self::OFF == 0 {
            self.0 |= Self::SKIPS_NEXT;
        }
    }

    /// As it was at first, but for what is skipped already.
    pub(crate) fn reset(&mut self) {
        self.0 &= Self::SKIPS_THIS;
    }

    /// A request is over.
    #[inline]
    pub(crate) fn advance(&mut self) {
        if self.0 & !Self::OFF != 0 {
            let skips_next = self.0 & Self::SKIPS_NEXT != 0;
            self.0 &= Self::OFF;
            if skips_next {
                self.0 |= Self::SKIPS_THIS;
            }
        }
    }
}

/// A connection as its peer and CLIENT LIST know it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Client {
    /// Its number, never used twice.
    pub id: u64,
    /// The peer's address and port.
    pub address: String,
    /// This end's address and port.
    pub local_address: String,
    /// The descriptor, for CLIENT LIST.
    pub descriptor: i32,
    /// By CLIENT SETNAME; printable ASCII.
    pub name: String,
    /// By CLIENT SETINFO.
    pub library_name: String,
    /// By CLIENT SETINFO.
    pub library_version: String,
    /// By HELLO.
    pub protocol: Protocol,
    /// By CLIENT REPLY.
    pub reply_mode: ReplyMode,
    /// By CLIENT NO-EVICT; it is shown and makes no difference.
    pub no_evict: bool,
    /// Since MULTI or WATCH.
    pub pending: Pending,
    /// When it was accepted.
    pub connected_at: UnixMs,
    /// When it last sent a command.
    pub active_at: UnixMs,
    /// What it sent last, with `|` before a subcommand; empty before the first, and again
    /// after a crossing, as it names a command of the version that ran it.
    #[serde(skip)]
    pub last_command: &'static str,
}

/// A command being run.
pub struct Call<'a> {
    /// The request, the command's name first.
    pub args: Args<'a>,
    /// Where the reply goes.
    pub reply: Reply<'a>,
    /// Who asks.
    pub client: &'a mut Client,
    /// Who is asked.
    pub server: &'a mut dyn Server,
    /// What this batch has counted so far.
    pub counters: &'a mut Counters,
    /// What this worker has counted about commands and errors.
    pub(crate) metrics: &'a mut Metrics,
    /// One moment for the whole batch.
    pub now: UnixMs,
    /// The full name of the command, as in its specification.
    pub name: &'static str,
    /// What the session has received and not yet run.
    pub(crate) input: &'a Input,
    /// Bytes of the reply's buffer that are sent already.
    pub(crate) sent: usize,
    /// Where the part of the reply starts that may be taken back.
    pub(crate) mark: usize,
    /// Set to have the connection closed after the reply.
    pub(crate) close: bool,
}

/// Sizes of a session's buffers, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) received: usize,
    pub(crate) free: usize,
    pub(crate) output: usize,
    pub(crate) unsent: usize,
}

impl Buffers {
    pub(crate) fn of(input: &Input, output: usize, unsent: usize) -> Buffers {
        Buffers {
            received: input.len(),
            free: input.capacity() - input.len(),
            output,
            unsent,
        }
    }
}

impl Call<'_> {
    /// The integer at `index`.
    pub fn integer(&self, index: usize) -> Result<i64, CommandError> {
        parse_integer(self.args.at(index)).ok_or(CommandError::NOT_AN_INTEGER)
    }

    /// Whether the argument at `index` is this word, in any case.
    pub fn is(&self, index: usize, word: &str) -> bool {
        self.args.at(index).eq_ignore_ascii_case(word.as_bytes())
    }

    /// Sizes of the session's buffers, for CLIENT LIST and CLIENT INFO.
    pub(crate) fn buffers(&self) -> Buffers {
        let unsent = self.reply.mark() - self.sent;
        Buffers::of(self.input, self.reply.capacity(), unsent)
    }

    /// Counts a lookup, for INFO.
    pub fn looked_up(&mut self, found: bool) {
        if found {
            self.counters.hits += 1;
        } else {
            self.counters.misses += 1;
        }
    }

    /// Replies with an error and counts it.
    pub(crate) fn fail(&mut self, error: &CommandError) {
        let text = error.text();
        self.counters.errors += 1;
        self.metrics.error(text);
        self.reply.error(text);
    }

    /// Closes the connection once the reply is sent.
    pub fn close(&mut self) {
        self.close = true;
    }
}

impl Client {
    /// The line of CLIENT LIST, without its end.
    pub(crate) fn describe(&self, now: UnixMs, buffers: Buffers) -> String {
        let seconds = |since: UnixMs| now.0.saturating_sub(since.0) / 1000;
        let queued = self.pending.queued();
        let mut flags = String::new();
        flags.extend(queued.map(|_| 'x'));
        flags.extend(self.pending.is_touched().then_some('d'));
        flags.extend(self.no_evict.then_some('e'));
        if flags.is_empty() {
            flags.push('N');
        }
        let multi_memory = self.pending.size();
        let command = match self.last_command {
            "" => "NULL",
            name => name,
        };
        format!(
            "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db=0 sub=0 psub=0 \
             ssub=0 multi={} qbuf={} qbuf-free={} argv-mem=0 multi-mem={} rbs={} rbp={} obl={} \
             oll=0 omem=0 tot-mem={} events=r cmd={} user=default redir=-1 resp={} lib-name={} \
             lib-ver={}",
            self.id,
            self.address,
            self.local_address,
            self.descriptor,
            self.name,
            seconds(self.connected_at),
            seconds(self.active_at),
            flags,
            queued.map_or(-1, |queued| queued as i64),
            buffers.received,
            buffers.free,
            multi_memory,
            buffers.output,
            buffers.output,
            buffers.unsent,
            buffers.received + buffers.free + buffers.output + multi_memory,
            command,
            self.protocol.number(),
            self.library_name,
            self.library_version,
        )
    }
}
