//! Replies in RESP2 and RESP3.

use serde::{Deserialize, Serialize};

use crate::double::format_double;
use crate::integer::{MAX_INTEGER, format_before};

/// What a connection asked for by HELLO.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Protocol {
    /// What every connection starts with.
    #[default]
    Resp2,
    /// Typed nulls, maps, sets and doubles.
    Resp3,
}

impl Protocol {
    /// The number that HELLO takes.
    pub fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// A place to write one connection's replies to.
///
/// Aggregates are headers: the caller then writes as many elements as it announced.
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    protocol: Protocol,
    /// Once there is more than this, strings are left out.
    enough: usize,
}

impl<'a> Reply<'a> {
    /// Replies are appended to `out`.
    #[inline]
    pub fn new(out: &'a mut Vec<u8>, protocol: Protocol) -> Self {
        let enough = usize::MAX;
        Self {
            out,
            protocol,
            enough,
        }
    }

    /// With so many bytes more, what is written is to be thrown away: strings are left out from then on.
    #[inline]
    pub fn up_to(self, bytes: usize) -> Self {
        let enough = self.out.len().saturating_add(bytes);
        Self { enough, ..self }
    }

    /// Whether there is more than was asked for by [`up_to`](Self::up_to), and it may be incomplete.
    #[inline]
    pub fn is_cut(&self) -> bool {
        self.out.len() > self.enough
    }

    /// The same place, for one command among several.
    pub fn lend(&mut self) -> Reply<'_> {
        Reply {
            out: self.out,
            ..*self
        }
    }

    /// What this connection speaks.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Speaks another protocol from the next reply on.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// How many bytes are in the buffer: a mark for [`rewind`](Self::rewind).
    #[inline]
    pub fn mark(&self) -> usize {
        self.out.len()
    }

    /// How many bytes the buffer has room for.
    pub fn capacity(&self) -> usize {
        self.out.capacity()
    }

    /// Takes back everything written since `mark`.
    #[inline]
    pub fn rewind(&mut self, mark: usize) {
        self.out.truncate(mark);
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A simple string, which must not contain a line end.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error, its code word first. Line ends within become spaces, as they would end it.
    pub fn error(&mut self, text: &[u8]) {
        self.out.push(b'-');
        self.out.extend(text.iter().map(|&byte| match byte {
            b'\r' | b'\n' => b' ',
            other => other,
        }));
        self.out.extend_from_slice(b"\r\n");
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        self.header(b':', value);
    }

    /// A count.
    pub fn count(&mut self, value: usize) {
        self.integer(value as i64);
    }

    /// A string of any bytes.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        if self.is_cut() {
            return;
        }
        self.header(b'$', bytes.len() as i64);
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Text for people: a verbatim string in RESP3.
    pub fn verbatim_text(&mut self, text: &[u8]) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text),
            Protocol::Resp3 => {
                self.header(b'=', text.len() as i64 + 4);
                self.out.extend_from_slice(b"txt:");
                self.out.extend_from_slice(text);
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// A missing string.
    #[inline]
    pub fn null(&mut self) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"$-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// A missing array.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(match self.protocol {
            Protocol::Resp2 => b"*-1\r\n",
            Protocol::Resp3 => b"_\r\n",
        });
    }

    /// An array of `length` elements that follow.
    #[inline]
    pub fn array(&mut self, length: usize) {
        self.header(b'*', length as i64);
    }

    /// A map of `pairs` keys, each followed by its value; a flat array in RESP2.
    pub fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', 2 * pairs as i64),
            Protocol::Resp3 => self.header(b'%', pairs as i64),
        }
    }

    /// A set of `length` elements that follow; an array in RESP2.
    pub fn set(&mut self, length: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', length as i64),
            Protocol::Resp3 => self.header(b'~', length as i64),
        }
    }

    /// Out-of-band data of `length` elements that follow; an array in RESP2.
    pub fn push(&mut self, length: usize) {
        match self.protocol {
            Protocol::Resp2 => self.header(b'*', length as i64),
            Protocol::Resp3 => self.header(b'>', length as i64),
        }
    }

    /// A double; its text in RESP2.
    pub fn double(&mut self, value: f64) {
        let text = format_double(value);
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// A boolean; 1 or 0 in RESP2.
    pub fn boolean(&mut self, value: bool) {
        match self.protocol {
            Protocol::Resp2 => self.integer(i64::from(value)),
            Protocol::Resp3 => self.line(b'#', if value { b"t" } else { b"f" }),
        }
    }

    /// Replies that were written elsewhere: elements whose number had to be known first.
    pub fn encoded(&mut self, replies: &[u8]) {
        self.out.extend_from_slice(replies);
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.push(kind);
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }

    #[inline]
    fn header(&mut self, kind: u8, value: i64) {
        let mut line = [0; 1 + MAX_INTEGER + 2];
        let (before, end) = line.split_at_mut(1 + MAX_INTEGER);
        end.copy_from_slice(b"\r\n");
        let at = format_before(value, before) - 1;
        line[at] = kind;
        self.out.extend_from_slice(&line[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(protocol: Protocol, write: impl FnOnce(&mut Reply<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut Reply::new(&mut out, protocol));
        String::from_utf8(out).expect("only text is written here")
    }

    #[test]
    fn a_reply_that_is_thrown_away_does_not_grow() {
        let mut out = b"+OK\r\n".to_vec();
        let mut reply = Reply::new(&mut out, Protocol::Resp2).up_to(100);
        for _ in 0..3 {
            reply.lend().bulk(&[b'x'; 40]);
        }
        assert!(reply.is_cut());
        let length = reply.mark();
        reply.lend().bulk(b"more");
        assert_eq!(reply.mark(), length);
        reply.rewind(5);
        assert!(!reply.is_cut());
    }

    #[test]
    fn each_type_has_its_form_in_either_protocol() {
        type Write = fn(&mut Reply<'_>);
        let cases: [(Write, &str, &str); 9] = [
            (|r| r.null(), "$-1\r\n", "_\r\n"),
            (|r| r.null_array(), "*-1\r\n", "_\r\n"),
            (|r| r.map(2), "*4\r\n", "%2\r\n"),
            (|r| r.set(2), "*2\r\n", "~2\r\n"),
            (|r| r.push(2), "*2\r\n", ">2\r\n"),
            (|r| r.double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n"),
            (|r| r.boolean(true), ":1\r\n", "#t\r\n"),
            (
                |r| r.verbatim_text(b"hi"),
                "$2\r\nhi\r\n",
                "=6\r\ntxt:hi\r\n",
            ),
            (|r| r.bulk(b""), "$0\r\n\r\n", "$0\r\n\r\n"),
        ];
        for (write, resp2, resp3) in cases {
            assert_eq!(written(Protocol::Resp2, write), resp2);
            assert_eq!(written(Protocol::Resp3, write), resp3);
        }
    }

    #[test]
    fn an_error_cannot_be_ended_by_what_it_quotes() {
        let error = written(Protocol::Resp2, |r| r.error(b"ERR no 'a\r\n+OK'"));
        assert_eq!(error, "-ERR no 'a  +OK'\r\n");
    }

    #[test]
    fn a_reply_can_be_taken_back() {
        let text = written(Protocol::Resp2, |r| {
            r.ok();
            let mark = r.mark();
            r.array(7);
            r.rewind(mark);
            r.integer(-12);
        });
        assert_eq!(text, "+OK\r\n:-12\r\n");
    }
}
