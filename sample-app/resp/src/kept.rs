//! Requests that are kept to be run later.
//!
//! Owns copies of their arguments, in one piece of memory however many there are. It crosses a live
//! update by serde.

use crate::request::{Args, Span};
use serde::{Deserialize, Serialize};

/// Requests in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptRequests {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    /// For each request the number of spans up to its end.
    ends: Vec<usize>,
}

impl KeptRequests {
    /// Copies a request behind the others.
    pub fn push(&mut self, args: Args<'_>) {
        for arg in args.iter() {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(arg);
            let end = self.bytes.len();
            self.spans.push(Span { start, end });
        }
        self.ends.push(self.spans.len());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes that they take, with what it takes to find them.
    pub fn size(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.spans) + size_of_val(&*self.ends)
    }

    /// All of them in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Args<'_>> {
        (0..self.len()).map(|index| {
            let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
            Args::new(&self.bytes, &self.spans[start..self.ends[index]])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Parsed, RequestParser};

    #[test]
    fn what_is_kept_is_what_came_however_it_came() {
        let stream =
            b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nset k \"a b\"\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n";
        let mut kept = KeptRequests::default();
        let (mut parser, mut rest) = (RequestParser::new(), &stream[..]);
        while let Ok(Parsed::Request { length }) = parser.advance(rest) {
            kept.push(parser.args(rest));
            rest = &rest[length..];
        }
        let shown: Vec<Vec<&[u8]>> = kept.iter().map(|args| args.iter().collect()).collect();
        assert_eq!(
            shown,
            [
                vec![&b"GET"[..], b"k"],
                vec![b"set", b"k", b"a b"],
                vec![b"ECHO", b""]
            ]
        );
        assert!(kept.size() > 18);
    }
}
