//! Integers as Redis reads and writes them: a text is an integer only if writing the
//! integer gives that very text again.

/// Reads a signed 64-bit integer in its one canonical spelling.
///
/// Spaces, a plus sign, leading zeros, `-0`, and anything out of range are refused, so that
/// `parse_integer(t) == Some(n)` implies that `n` prints as `t`.
#[inline]
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [] => return None,
        [b'0'] => return if negative { None } else { Some(0) },
        [b'0', ..] => return None,
        _ if digits.len() > 19 => return None,
        _ => {}
    }
    let mut magnitude: u64 = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // 19 digits stay below 10^19, which fits 64 unsigned bits.
        magnitude = magnitude * 10 + u64::from(digit);
    }
    if negative {
        (magnitude <= 1 << 63).then(|| (magnitude as i64).wrapping_neg())
    } else {
        i64::try_from(magnitude).ok()
    }
}

/// The longest text of an integer.
pub(crate) const MAX_INTEGER: usize = 20;

/// 00 to 99.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// Writes `value` in decimal into `buffer` and returns the part that was used.
#[inline]
pub fn format_integer(value: i64, buffer: &mut [u8; MAX_INTEGER]) -> &[u8] {
    let at = format_before(value, buffer);
    &buffer[at..]
}

/// Writes `value` in decimal to the end of `buffer`, which has the room; where it begins.
#[inline]
pub(crate) fn format_before(value: i64, buffer: &mut [u8]) -> usize {
    let mut at = buffer.len();
    let mut rest = value.unsigned_abs();
    while rest >= 10 {
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
    }
    // What is left is one digit, or nothing where the last pair was all.
    if rest > 0 || at == buffer.len() {
        at -= 1;
        buffer[at] = b'0' + rest as u8;
    }
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    at
}

/// Reads a SCAN cursor, which Redis takes by C's `strtoul`: an empty text is 0, a sign is
/// allowed, a negative number wraps around, and a zero byte is the end. Spaces in front are refused.
pub fn parse_cursor(text: &[u8]) -> Option<u64> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let (negative, digits) = match text {
        [] => return Some(0),
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: u64 = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(if negative {
        value.wrapping_neg()
    } else {
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_an_integer() {
        for bad in [
            "", "-", "+1", "01", "-0", "-01", " 1", "1 ", "1.0", "0x1", "1\0", "--1",
        ] {
            assert_eq!(parse_integer(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn the_whole_range_and_nothing_beyond_it_is_read() {
        for n in [0, 1, -1, 9, 10, i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(parse_integer(n.to_string().as_bytes()), Some(n));
            assert_eq!(format_integer(n, &mut [0; 20]), n.to_string().as_bytes());
        }
        for bad in [
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "18446744073709551616",
        ] {
            assert_eq!(parse_integer(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn cursors_are_read_as_strtoul_does() {
        assert_eq!(parse_cursor(b""), Some(0));
        assert_eq!(parse_cursor(b"-1"), Some(u64::MAX));
        assert_eq!(parse_cursor(b"+7"), Some(7));
        assert_eq!(parse_cursor(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_cursor(b"18446744073709551616"), None);
        assert_eq!(parse_cursor(b" 1"), None);
        assert_eq!(parse_cursor(b"-"), None);
        assert_eq!(parse_cursor(b"1x"), None);
    }
}
