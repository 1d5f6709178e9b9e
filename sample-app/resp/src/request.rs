//! Requests as they arrive, in pieces: multibulk and inline.
//!
//! Owns what is known of one half-read request. Arguments are places in the caller's buffer;
//! nothing is copied but inline words, which may be quoted. Work is in proportion to new
//! bytes, and memory to bytes received: an announced length reserves nothing.

use std::fmt;
use std::ops::Index;

use serde::{Deserialize, Serialize};

use crate::inline::split_words;
use crate::integer::parse_integer;

/// The longest argument: 512 MiB, Redis's `proto-max-bulk-len`.
pub const MAX_BULK: usize = 512 << 20;
/// The most arguments of one request: what fits C's `int`, as Redis 7.0 has it. Each takes at
/// least six received bytes, so that a large announcement alone costs nothing.
pub const MAX_ARGUMENTS: usize = i32::MAX as usize;
/// The longest line, be it a length or an inline request.
pub const MAX_LINE: usize = 64 << 10;

/// Where an argument lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The arguments of one complete request, the command's name first.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Args<'a> {
    pub(crate) fn new(bytes: &'a [u8], spans: &'a [Span]) -> Self {
        Self { bytes, spans }
    }

    /// How many there are, the name included.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether the request was an empty line or an empty array, which has no answer.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The argument at `index`, if there is one.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        self.spans
            .get(index)
            .map(|span| &self.bytes[span.start..span.end])
    }

    /// The argument at `index`, which outlives this handle.
    ///
    /// # Panics
    /// If there is none: handlers know their arity before they ask.
    #[inline]
    pub fn at(&self, index: usize) -> &'a [u8] {
        let span = self.spans[index];
        &self.bytes[span.start..span.end]
    }

    /// The arguments from `index` on; none if there are fewer.
    #[inline]
    pub fn from(&self, index: usize) -> Self {
        Self {
            bytes: self.bytes,
            spans: self.spans.get(index..).unwrap_or(&[]),
        }
    }

    /// All of them in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let bytes = self.bytes;
        self.spans
            .iter()
            .map(move |span| &bytes[span.start..span.end])
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];

    fn index(&self, index: usize) -> &[u8] {
        self.at(index)
    }
}

impl fmt::Debug for Args<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|arg| arg.escape_ascii().to_string()))
            .finish()
    }
}

/// A request that breaks the protocol. Redis answers it, then closes that connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// No line end within [`MAX_LINE`] after `*`.
    EndlessCount,
    /// What follows `*` is no integer, or beyond [`MAX_ARGUMENTS`].
    InvalidCount,
    /// No line end within [`MAX_LINE`] after `$`.
    EndlessLength,
    /// An argument that does not begin with `$`, but with this byte.
    ExpectedDollar(u8),
    /// What follows `$` is no integer, negative, or beyond [`MAX_BULK`].
    InvalidLength,
    /// No line end within [`MAX_LINE`] of an inline request.
    EndlessInline,
    /// Quotes in an inline request that do not pair.
    UnbalancedQuotes,
}

impl ProtocolError {
    /// Appends the text of the error reply, without its type byte and line end.
    pub fn push_message(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"ERR Protocol error: ");
        let text: &[u8] = match self {
            Self::EndlessCount => b"too big mbulk count string",
            Self::InvalidCount => b"invalid multibulk length",
            Self::EndlessLength => b"too big bulk count string",
            Self::ExpectedDollar(byte) => {
                out.extend_from_slice(b"expected '$', got '");
                // A line end within an error would end the error.
                out.push(if matches!(byte, b'\r' | b'\n') {
                    b' '
                } else {
                    byte
                });
                b"'"
            }
            Self::InvalidLength => b"invalid bulk length",
            Self::EndlessInline => b"too big inline request",
            Self::UnbalancedQuotes => b"unbalanced quotes in request",
        };
        out.extend_from_slice(text);
    }
}

/// What [`RequestParser::advance`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// More bytes are needed.
    Incomplete,
    /// A request that took this many bytes; its arguments are [`RequestParser::args`].
    Request {
        /// Bytes from the start of the buffer, to be passed over before the next call.
        length: usize,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// At the first byte of a request, or with the last one handed out.
    #[default]
    Start,
    /// Within a multibulk request: so many arguments to come.
    Arguments(usize),
    /// Within an argument of so many bytes, after which so many arguments come.
    Bulk(usize, usize),
}

/// Where the words of the last request are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Source {
    #[default]
    Buffer,
    Inline,
}

/// One connection's request in the making.
#[derive(Debug, Default)]
pub struct RequestParser {
    stage: Stage,
    source: Source,
    /// Bytes from the start of the buffer that are understood.
    at: usize,
    /// Bytes from the start of the buffer known to hold no line end after `at`.
    searched: usize,
    spans: Vec<Span>,
    inline: Vec<u8>,
}

/// Beyond this many a request's bookkeeping is given back when the next one starts.
const KEPT_SPANS: usize = 1024;

impl RequestParser {
    /// A parser at the start of a request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on with the request that starts at `buffer[0]`.
    ///
    /// Until it returns a request, every call must see the same bytes again, and may see
    /// more behind them; what was understood is not looked at twice. After a request the
    /// caller passes over its `length` bytes, and the next call starts another.
    /// A request may be empty (see [`Args::is_empty`]).
    ///
    /// # Errors
    /// The rule that was broken; the parser is of no use after it.
    #[inline]
    pub fn advance(&mut self, buffer: &[u8]) -> Result<Parsed, ProtocolError> {
        if self.stage == Stage::Start && self.at == 0 && self.searched == 0 {
            self.begin();
            if let Some(length) = self.short_request(buffer) {
                return Ok(Parsed::Request { length });
            }
            self.spans.clear();
        }
        self.go_on(buffer)
    }

    /// Step by step, as far as the bytes go.
    fn go_on(&mut self, buffer: &[u8]) -> Result<Parsed, ProtocolError> {
        loop {
            match self.stage {
                Stage::Start => match buffer.first() {
                    None => return Ok(Parsed::Incomplete),
                    Some(b'*') => {
                        let Some(line) = self.line(buffer, ProtocolError::EndlessCount)? else {
                            return Ok(Parsed::Incomplete);
                        };
                        let count = parse_integer(&line[1..])
                            .filter(|&count| count <= MAX_ARGUMENTS as i64)
                            .ok_or(ProtocolError::InvalidCount)?;
                        if count <= 0 {
                            return Ok(self.finish());
                        }
                        self.stage = Stage::Arguments(count as usize);
                    }
                    Some(_) => return self.inline_request(buffer),
                },
                Stage::Arguments(left) => {
                    if let Some((length, header)) = short_header(&buffer[self.at..]) {
                        self.at += header;
                        self.stage = Stage::Bulk(length, left - 1);
                        continue;
                    }
                    let Some(line) = self.line(buffer, ProtocolError::EndlessLength)? else {
                        return Ok(Parsed::Incomplete);
                    };
                    let length = match line {
                        [b'$', digits @ ..] => parse_integer(digits)
                            .and_then(|length| usize::try_from(length).ok())
                            .filter(|&length| length <= MAX_BULK)
                            .ok_or(ProtocolError::InvalidLength)?,
                        // An empty line begins with the `\r` that ends it.
                        _ => {
                            return Err(ProtocolError::ExpectedDollar(
                                line.first().copied().unwrap_or(b'\r'),
                            ));
                        }
                    };
                    self.stage = Stage::Bulk(length, left - 1);
                }
                Stage::Bulk(length, left) => {
                    // Redis passes over the two bytes behind an argument without a look.
                    if buffer.len() - self.at < length + 2 {
                        return Ok(Parsed::Incomplete);
                    }
                    self.spans.push(Span {
                        start: self.at,
                        end: self.at + length,
                    });
                    self.at += length + 2;
                    self.searched = self.at;
                    if left == 0 {
                        return Ok(self.finish());
                    }
                    self.stage = Stage::Arguments(left);
                }
            }
        }
    }

    /// The arguments of the request that [`advance`](Self::advance) just returned, in the
    /// same `buffer`.
    #[inline]
    pub fn args<'a>(&'a self, buffer: &'a [u8]) -> Args<'a> {
        Args {
            bytes: match self.source {
                Source::Buffer => buffer,
                Source::Inline => &self.inline,
            },
            spans: &self.spans,
        }
    }

    #[inline]
    fn begin(&mut self) {
        self.source = Source::Buffer;
        self.spans.clear();
        if self.spans.capacity() > KEPT_SPANS {
            self.spans.shrink_to(KEPT_SPANS);
        }
        self.inline = Vec::new();
    }

    /// The length of a request that is complete and short in every respect, as nearly all are: found in
    /// one pass, with nothing to be kept for the next call. Anything else is left to be read step by step.
    #[inline]
    fn short_request(&mut self, buffer: &[u8]) -> Option<usize> {
        let [b'*', count @ b'1'..=b'9', b'\r', _, ..] = *buffer else {
            return None;
        };
        let mut at = 4;
        for _ in b'0'..count {
            let (length, header) = short_header(buffer.get(at..)?)?;
            let start = at + header;
            let end = start + length;
            at = end + 2;
            if at > buffer.len() {
                return None;
            }
            self.spans.push(Span { start, end });
        }
        Some(at)
    }

    #[inline]
    fn finish(&mut self) -> Parsed {
        let length = self.at;
        self.stage = Stage::Start;
        self.at = 0;
        self.searched = 0;
        Parsed::Request { length }
    }

    /// The line from `at` to its `\r`, passed over with the byte behind it, which Redis takes
    /// for `\n` unseen.
    fn line<'a>(
        &mut self,
        buffer: &'a [u8],
        endless: ProtocolError,
    ) -> Result<Option<&'a [u8]>, ProtocolError> {
        match self.search(buffer, b'\r') {
            None => {
                if buffer.len() - self.at > MAX_LINE {
                    return Err(endless);
                }
                Ok(None)
            }
            Some(end) if end + 1 == buffer.len() => {
                self.searched = end;
                Ok(None)
            }
            Some(end) => {
                let line = &buffer[self.at..end];
                self.at = end + 2;
                self.searched = self.at;
                Ok(Some(line))
            }
        }
    }

    /// The place of the line end. A zero byte hides whatever comes behind it from Redis, which looks
    /// for the end as C does: such a line never ends, it only becomes too long.
    fn search(&mut self, buffer: &[u8], line_end: u8) -> Option<usize> {
        let from = self.searched.max(self.at);
        let ends = |byte: &u8| *byte == line_end || *byte == 0;
        let found = buffer[from..].iter().position(ends);
        self.searched = found.map_or(buffer.len(), |offset| from + offset);
        (buffer.get(self.searched) == Some(&line_end)).then_some(self.searched)
    }

    fn inline_request(&mut self, buffer: &[u8]) -> Result<Parsed, ProtocolError> {
        let Some(end) = self.search(buffer, b'\n') else {
            if buffer.len() > MAX_LINE {
                return Err(ProtocolError::EndlessInline);
            }
            return Ok(Parsed::Incomplete);
        };
        let line = &buffer[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.spans.clear();
        split_words(line, &mut self.inline, &mut self.spans)
            .map_err(|_| ProtocolError::UnbalancedQuotes)?;
        self.source = Source::Inline;
        self.at = end + 1;
        Ok(self.finish())
    }
}

/// The length in a header of one or two digits, which nearly all are, and the header's size.
#[inline]
fn short_header(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes {
        [b'$', ones @ b'0'..=b'9', b'\r', _, ..] => Some((usize::from(ones - b'0'), 4)),
        [b'$', tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', _, ..] => {
            Some((usize::from(tens - b'0') * 10 + usize::from(ones - b'0'), 5))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_error(bytes: &[u8]) -> Option<ProtocolError> {
        RequestParser::new().advance(bytes).err()
    }

    #[test]
    fn a_request_is_complete_with_its_last_byte_and_not_before() {
        let bytes = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\nv\r\n1\r\n";
        let mut parser = RequestParser::new();
        for end in 0..bytes.len() {
            assert_eq!(parser.advance(&bytes[..end]), Ok(Parsed::Incomplete));
        }
        let length = bytes.len();
        assert_eq!(parser.advance(bytes), Ok(Parsed::Request { length }));
        let args: Vec<&[u8]> = parser.args(bytes).iter().collect();
        assert_eq!(args, [&b"SET"[..], b"k", b"v\r\n1"]);
    }

    #[test]
    fn an_announced_length_reserves_nothing() {
        let mut parser = RequestParser::new();
        let bytes = b"*1000000\r\n$536870912\r\nabc";
        assert_eq!(parser.advance(bytes), Ok(Parsed::Incomplete));
        assert_eq!(parser.spans.capacity(), 0);
    }

    #[test]
    fn a_zero_byte_hides_the_end_of_its_line() {
        for bytes in [
            &b"ping\0\r\nping\r\n"[..],
            b"\0\r\n",
            b"*1\0\r\n",
            b"*1\r\n$4\0\r\nPING\r\n",
        ] {
            let mut parser = RequestParser::new();
            for end in 1..=bytes.len() {
                assert_eq!(parser.advance(&bytes[..end]), Ok(Parsed::Incomplete));
            }
        }
        let endless = [&b"a\0\n"[..], &[b'x'; MAX_LINE]].concat();
        assert_eq!(only_error(&endless), Some(ProtocolError::EndlessInline));
    }

    #[test]
    fn each_broken_rule_has_its_own_error() {
        let endless = vec![b'1'; MAX_LINE + 2];
        let with = |prefix: &[u8]| [prefix, &endless].concat();
        assert_eq!(only_error(b"*x\r\n"), Some(ProtocolError::InvalidCount));
        assert_eq!(
            only_error(b"*2147483648\r\n"),
            Some(ProtocolError::InvalidCount)
        );
        assert_eq!(only_error(b"*-1\r\n"), None);
        assert_eq!(only_error(&with(b"*")), Some(ProtocolError::EndlessCount));
        assert_eq!(
            only_error(b"*1\r\n:1\r\n"),
            Some(ProtocolError::ExpectedDollar(b':'))
        );
        for bad in ["-1", "x", "", "536870913", "99999999999999999999"] {
            let bytes = format!("*1\r\n${bad}\r\n");
            let error = only_error(bytes.as_bytes());
            assert_eq!(error, Some(ProtocolError::InvalidLength), "{bad}");
        }
        assert_eq!(
            only_error(&with(b"*1\r\n$")),
            Some(ProtocolError::EndlessLength)
        );
        assert_eq!(only_error(&endless), Some(ProtocolError::EndlessInline));
        assert_eq!(
            only_error(b"get \"a\n"),
            Some(ProtocolError::UnbalancedQuotes)
        );
    }
}
