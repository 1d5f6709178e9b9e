//! The codec's fuzz target: a plain function of bytes, for a corpus, a mutation loop or
//! cargo-fuzz alike.

use crate::{LongDouble, Parsed, ProtocolError, RequestParser};
use crate::{format_integer, glob_match, parse_cursor, parse_integer};

/// Everything that a connection sends, and how it ended.
type Transcript = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

/// Runs everything that takes bytes from a peer over `bytes`.
///
/// # Panics
/// If the bytes are understood otherwise when they arrive in pieces, if a value that was
/// read does not print as it was written, or if anything else here breaks.
pub fn exercise(bytes: &[u8]) {
    let whole = receive(bytes, bytes.len().max(1));
    for step in [1, 2, 7, 64] {
        assert_eq!(receive(bytes, step), whole, "in pieces of {step}");
    }
    for request in &whole.0 {
        for pair in request.windows(2) {
            let _ = glob_match(&pair[0], &pair[1]);
        }
        for arg in request {
            let _ = parse_cursor(arg);
            if let Some(value) = parse_integer(arg) {
                assert_eq!(format_integer(value, &mut [0; 20]), arg);
            }
            if let Some(value) = LongDouble::parse(arg).filter(|value| value.is_finite()) {
                let mut text = Vec::new();
                value.push_decimal(&mut text);
                assert!(LongDouble::parse(&text).is_some());
            }
        }
    }
}

/// What a connection understands when `bytes` come in steps, its buffer compacted after
/// every request.
fn receive(bytes: &[u8], step: usize) -> Transcript {
    let mut parser = RequestParser::new();
    let mut requests = Vec::new();
    let (mut start, mut end) = (0, 0);
    loop {
        match parser.advance(&bytes[start..end]) {
            Ok(Parsed::Incomplete) if end == bytes.len() => return (requests, None),
            Ok(Parsed::Incomplete) => end = (end + step).min(bytes.len()),
            Ok(Parsed::Request { length }) => {
                let args = parser.args(&bytes[start..end]);
                requests.push(args.iter().map(<[u8]>::to_vec).collect());
                start += length;
            }
            Err(error) => return (requests, Some(error)),
        }
    }
}
