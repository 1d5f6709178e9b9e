//! A look at requests that are complete in a buffer and whose turn will come.
//!
//! Owns no state and decides nothing: what is not plain ends the look, and the parser says later what
//! it was.

/// A complete request of two to nine arguments, each shorter than a million bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plain<'a> {
    /// The first argument.
    pub name: &'a [u8],
    /// The second one.
    pub key: &'a [u8],
    /// The third, if there is one.
    pub third: Option<&'a [u8]>,
    /// Bytes of the whole request.
    pub length: usize,
}

/// The plain requests at the beginning of `buffer`.
pub fn look_ahead(buffer: &[u8]) -> impl Iterator<Item = Plain<'_>> {
    let mut rest = buffer;
    std::iter::from_fn(move || {
        let plain = first(rest)?;
        rest = &rest[plain.length..];
        Some(plain)
    })
}

#[inline]
fn first(buffer: &[u8]) -> Option<Plain<'_>> {
    let [b'*', count @ b'2'..=b'9', b'\r', b'\n', ..] = *buffer else {
        return None;
    };
    let mut at = 4;
    let mut argument = || {
        let (length, header) = header(buffer.get(at..)?)?;
        let start = at + header;
        at = start + length + 2;
        (at <= buffer.len()).then(|| &buffer[start..start + length])
    };
    let (name, key) = (argument()?, argument()?);
    let third = match count {
        b'2' => None,
        _ => Some(argument()?),
    };
    for _ in b'3'..count {
        argument()?;
    }
    Some(Plain {
        name,
        key,
        third,
        length: at,
    })
}

/// The length that a bulk's header gives, and the header's own.
#[inline]
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let [b'$', digits @ ..] = bytes else {
        return None;
    };
    let mut length = 0;
    for (at, byte) in digits.iter().take(7).enumerate() {
        match byte {
            b'0'..=b'9' => length = length * 10 + usize::from(byte - b'0'),
            // The header and its line's end.
            b'\r' if at > 0 => return Some((length, at + 3)),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_plain_requests_are_seen_and_the_look_ends_at_anything_else() {
        let plain = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*3\r\n$3\r\nSET\r\n$2\r\nkk\r\n$1\r\nv\r\n";
        let wanted = [
            Plain {
                name: b"GET",
                key: b"k",
                third: None,
                length: 20,
            },
            Plain {
                name: b"SET",
                key: b"kk",
                third: Some(b"v"),
                length: plain.len() - 20,
            },
        ];
        let others: [&[u8]; 4] = [b"", b"PING\r\n", b"*2\r\n$3\r\nGET\r\n$1\r\n", b"*0\r\n"];
        for other in others {
            let buffer = [&plain[..], other].concat();
            assert_eq!(look_ahead(&buffer).collect::<Vec<_>>(), wanted);
        }
        for end in 0..plain.len() {
            let seen = look_ahead(&plain[..end]).count();
            assert_eq!(seen, usize::from(end >= 20), "{end}");
        }
    }
}
