//! One request to a supervisor and its answer.

use super::print::Printer;
use crate::supervisor::{LINE_LIMIT, Reply, Request, Verdict};
use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Asks, shows progress, and returns the answer.
///
/// Blocks until the supervisor answers or ends.
///
/// # Errors
/// Why there is no answer.
pub(super) fn ask(
    control: &Path,
    request: &Request,
    printer: &Printer,
) -> Result<(Verdict, String, Value), String> {
    let place = control.display();
    let mut stream = UnixStream::connect(control).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => {
            format!("you may not ask at {place} ({error}): do so as the server's user, or as root")
        }
        _ => format!(
            "no supervisor answers at {place} ({error}): start one with dsu run, or give --control"
        ),
    })?;
    let mut line = serde_json::to_vec(request).map_err(|error| error.to_string())?;
    line.push(b'\n');
    stream
        .write_all(&line)
        .map_err(|error| format!("the supervisor at {place} hung up: {error}"))?;
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let limit = 64 * LINE_LIMIT as u64;
        let read = (&mut lines).take(limit).read_until(b'\n', &mut line);
        read.map_err(|error| format!("the supervisor at {place} hung up: {error}"))?;
        if line.is_empty() {
            return Err(format!(
                "the supervisor at {place} ended before it answered: see its log"
            ));
        }
        match serde_json::from_slice(&line) {
            Ok(Reply::Progress(text)) => printer.progress(&text),
            Ok(Reply::Answer {
                verdict,
                text,
                data,
            }) => return Ok((verdict, text, data)),
            Err(error) => {
                return Err(format!(
                    "what answers at {place} is no supervisor of this version: {error}"
                ));
            }
        }
    }
}
