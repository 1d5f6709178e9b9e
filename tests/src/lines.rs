//! A client of servers that answer a line with a line.

use crate::{Fleet, until};
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;

/// A connection that is made anew when its worker dies.
pub struct LineClient {
    address: String,
    stream: Option<BufReader<TcpStream>>,
}

impl LineClient {
    /// At whichever worker; connects with the first question.
    pub fn new(address: impl ToString) -> LineClient {
        LineClient {
            address: address.to_string(),
            stream: None,
        }
    }

    /// One at a worker that runs this version, as its answer to `VERSION` says.
    pub fn of_version(fleet: &Fleet, version: u64) -> LineClient {
        let mut others = Vec::new();
        until(|| {
            let mut client = LineClient::new(fleet.address());
            if client.ask("VERSION") == version.to_string() {
                return Some(client);
            }
            others.push(client);
            None
        })
    }

    fn try_ask(&mut self, line: &str) -> io::Result<String> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(&self.address)?;
                self.stream.insert(BufReader::new(stream))
            }
        };
        // In one piece: the server takes what arrives for a line.
        stream.get_mut().write_all(format!("{line}\n").as_bytes())?;
        let mut answer = String::new();
        if stream.read_line(&mut answer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(answer.trim_end().to_owned())
    }

    /// The answer; `None` if the connection, or the worker, is gone.
    pub fn perhaps(&mut self, line: &str) -> Option<String> {
        let answer = self.try_ask(line);
        if answer.is_err() {
            self.stream = None;
        }
        answer.ok()
    }

    /// The answer, however often it has to be asked for.
    pub fn ask(&mut self, line: &str) -> String {
        until(|| self.perhaps(line))
    }
}
