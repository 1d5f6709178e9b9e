//! A RESP2 client that can send several commands before it reads: bytes, no meaning.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Bytes asked of the socket at a time.
const CHUNK: usize = 64 << 10;

/// A reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// `+OK` and the like.
    Simple(String),
    /// `-ERR …`.
    Error(String),
    /// `:1`.
    Integer(i64),
    /// A string of bytes, or none.
    Bulk(Option<Vec<u8>>),
    /// Several replies, or none.
    Array(Option<Vec<Value>>),
}

/// One connection.
pub struct Wire {
    stream: TcpStream,
    input: Vec<u8>,
    /// Bytes of `input` that have become replies.
    taken: usize,
    output: Vec<u8>,
}

impl Wire {
    /// Connects. No reply is waited for longer than `patience`.
    ///
    /// # Errors
    /// As `TcpStream::connect`.
    pub fn connect(address: SocketAddr, patience: Duration) -> io::Result<Wire> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Wire {
            stream,
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
        })
    }

    /// Adds a command to what [`flush`](Wire::flush) will send.
    pub fn push<P: AsRef<[u8]>>(&mut self, parts: &[P]) {
        let header = format!("*{}\r\n", parts.len());
        self.output.extend_from_slice(header.as_bytes());
        for part in parts {
            let part = part.as_ref();
            self.output
                .extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
            self.output.extend_from_slice(part);
            self.output.extend_from_slice(b"\r\n");
        }
    }

    /// Sends what was pushed.
    ///
    /// # Errors
    /// As `TcpStream::write_all`.
    pub fn flush(&mut self) -> io::Result<()> {
        let result = self.stream.write_all(&self.output);
        self.output.clear();
        result
    }

    /// The next reply.
    ///
    /// # Errors
    /// The connection was closed or failed, the time is over, or the bytes are no RESP.
    pub fn reply(&mut self) -> io::Result<Value> {
        loop {
            match parse(&self.input[self.taken..])? {
                Some((value, used)) => {
                    self.taken += used;
                    if self.taken == self.input.len() {
                        self.input.clear();
                        self.taken = 0;
                    }
                    return Ok(value);
                }
                None => self.fill()?,
            }
        }
    }

    /// Sends one command and reads its reply.
    ///
    /// # Errors
    /// As `flush` and `reply`.
    pub fn ask<P: AsRef<[u8]>>(&mut self, parts: &[P]) -> io::Result<Value> {
        self.push(parts);
        self.flush()?;
        self.reply()
    }

    fn fill(&mut self) -> io::Result<()> {
        self.input.drain(..self.taken);
        self.taken = 0;
        let before = self.input.len();
        self.input.resize(before + CHUNK, 0);
        let result = self.stream.read(&mut self.input[before..]);
        self.input.truncate(before + *result.as_ref().unwrap_or(&0));
        match result? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// The first reply in `bytes` and its length, if it is all there.
fn parse(bytes: &[u8]) -> io::Result<Option<(Value, usize)>> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        return Ok(None);
    };
    let line = String::from_utf8_lossy(&bytes[1..end]).into_owned();
    let body = end + 2;
    let number = || {
        line.parse::<i64>()
            .map_err(|_| malformed(&format!("{line:?} is no number")))
    };
    let value = match bytes[0] {
        b'+' => Value::Simple(line),
        b'-' => Value::Error(line),
        b':' => Value::Integer(number()?),
        b'$' => {
            let Ok(length) = usize::try_from(number()?) else {
                return Ok(Some((Value::Bulk(None), body)));
            };
            let Some(data) = bytes.get(body..body + length + 2) else {
                return Ok(None);
            };
            let value = Value::Bulk(Some(data[..length].to_vec()));
            return Ok(Some((value, body + length + 2)));
        }
        b'*' => {
            let Ok(count) = usize::try_from(number()?) else {
                return Ok(Some((Value::Array(None), body)));
            };
            let mut at = body;
            let mut values = Vec::new();
            for _ in 0..count {
                let Some((value, used)) = parse(&bytes[at..])? else {
                    return Ok(None);
                };
                values.push(value);
                at += used;
            }
            return Ok(Some((Value::Array(Some(values)), at)));
        }
        other => return Err(malformed(&format!("a reply starts with byte {other}"))),
    };
    Ok(Some((value, body)))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_taken_only_when_it_is_complete() {
        let whole = b"*3\r\n:7\r\n$5\r\na\r\nbc\r\n$-1\r\n";
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]).expect("RESP"), None, "{end}");
        }
        let wanted = Value::Array(Some(vec![
            Value::Integer(7),
            Value::Bulk(Some(b"a\r\nbc".to_vec())),
            Value::Bulk(None),
        ]));
        assert_eq!(parse(whole).expect("RESP"), Some((wanted, whole.len())));
    }

    #[test]
    fn bytes_that_are_no_reply_are_an_error() {
        for wrong in [&b"HTTP/1.1\r\n"[..], b":x\r\n", b"$x\r\n"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
