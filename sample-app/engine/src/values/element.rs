//! How an element lies among others: its length, its bytes, its length again, so that a walk can go
//! either way.
//!
//! ```text
//! before: seven bits a byte, the lowest first, the high bit set where more follow
//! behind: the same bytes in reverse
//! ```
//! One byte on each side up to 127. Knows nothing of where elements lie.

/// The largest length in one byte.
const SHORT: usize = 0x7f;
/// Most bytes of a length: elements are shorter than 2^35.
const LONGEST: usize = 5;

/// A length as it is written, before an element.
pub(super) struct Length {
    bytes: [u8; LONGEST],
    used: usize,
}

impl Length {
    pub(super) fn of(element: &[u8]) -> Length {
        let mut length = Length {
            bytes: [0; LONGEST],
            used: 0,
        };
        let mut rest = element.len();
        loop {
            let more = u8::from(rest > 0x7f) << 7;
            length.bytes[length.used] = rest as u8 & 0x7f | more;
            length.used += 1;
            rest >>= 7;
            if rest == 0 {
                return length;
            }
        }
    }

    pub(super) fn before(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    /// Makes it the one behind the element.
    pub(super) fn reverse(&mut self) -> &[u8] {
        self.bytes[..self.used].reverse();
        self.before()
    }
}

/// Bytes that an element takes with its lengths.
#[inline]
pub(super) fn size(element: &[u8]) -> usize {
    if element.len() <= SHORT {
        return element.len() + 2;
    }
    let bits = usize::BITS - element.len().leading_zeros();
    element.len() + 2 * (bits.div_ceil(7).max(1) as usize)
}

/// Writes an element over all of `into`, which has [`size`] bytes.
#[inline]
pub(super) fn write(into: &mut [u8], element: &[u8]) {
    if let [before, inside @ .., behind] = into
        && element.len() <= SHORT
    {
        (*before, *behind) = (element.len() as u8, element.len() as u8);
        return inside.copy_from_slice(element);
    }
    write_long(into, element);
}

#[cold]
fn write_long(into: &mut [u8], element: &[u8]) {
    let mut length = Length::of(element);
    let used = length.used;
    let end = into.len() - used;
    into[..used].copy_from_slice(length.before());
    into[used..end].copy_from_slice(element);
    into[end..].copy_from_slice(length.reverse());
}

/// The element at the beginning, and its size.
#[inline]
pub(super) fn first(bytes: &[u8]) -> (&[u8], usize) {
    let (length, used) = match bytes[0] {
        short @ 0..=0x7f => (usize::from(short), 1),
        _ => long(bytes.iter()),
    };
    (&bytes[used..used + length], length + 2 * used)
}

/// The element at the end, and its size.
#[inline]
pub(super) fn last(bytes: &[u8]) -> (&[u8], usize) {
    let (length, used) = match bytes[bytes.len() - 1] {
        short @ 0..=0x7f => (usize::from(short), 1),
        _ => long(bytes.iter().rev()),
    };
    let end = bytes.len() - used;
    (&bytes[end - length..end], length + 2 * used)
}

#[cold]
fn long<'b>(bytes: impl Iterator<Item = &'b u8>) -> (usize, usize) {
    let (mut length, mut used) = (0, 0);
    for byte in bytes.take(LONGEST) {
        length |= usize::from(byte & 0x7f) << (7 * used);
        used += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    (length, used)
}

#[cfg(test)]
mod tests {
    use super::{first, last, size, write};

    #[test]
    fn elements_of_all_lengths_are_read_from_both_ends() {
        for length in [0, 1, 63, 64, 127, 128, 129, 16_383, 16_384, 2_097_152] {
            let element: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let mut bytes = vec![0xee; size(&element) + 14];
            let inside = 7..7 + size(&element);
            write(&mut bytes[inside.clone()], &element);
            assert_eq!(first(&bytes[7..]), (&element[..], size(&element)));
            assert_eq!(last(&bytes[..inside.end]), (&element[..], size(&element)));
            assert_eq!(bytes[..7], [0xee; 7]);
            assert_eq!(bytes[inside.end..], [0xee; 7]);
        }
    }
}
