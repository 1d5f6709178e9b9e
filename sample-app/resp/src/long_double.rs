//! The 80-bit floats in which Redis on x86-64 computes INCRBYFLOAT: read, added, written.
//!
//! A value is `significand * 2^exponent` with a 64-bit significand. Reading rounds the exact
//! decimal or hexadecimal value once, to nearest and to even; adding rounds the exact sum
//! once; writing is exact to 17 decimals. So the digits are those of `strtold`, the x87
//! adder, and `printf("%.17Lf")`.

use crate::bignum::Natural;

/// Redis copies a float's text into a buffer of this size before it reads it.
const MAX_TEXT: usize = 5 * 1024;
/// Exponent of the last significand bit of the largest and of the smallest numbers.
const MAX_EXPONENT: i64 = 16383 - 63;
const MIN_EXPONENT: i64 = -16382 - 63;
/// Powers of ten beyond this overflow or vanish, whatever the digits.
const DECIMAL_LIMIT: i64 = 5_000;
/// Powers of two beyond this do so for any significand of 128 bits.
const BINARY_LIMIT: i64 = 20_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Positive,
    Negative,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Magnitude {
    Finite { significand: u64, exponent: i64 },
    Infinite,
    NotANumber,
}

/// An x87 extended-precision number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    sign: Sign,
    magnitude: Magnitude,
}

const ZERO: Magnitude = Magnitude::Finite {
    significand: 0,
    exponent: MIN_EXPONENT,
};

impl LongDouble {
    /// Positive zero, the value of a key that does not exist.
    pub const ZERO: Self = Self {
        sign: Sign::Positive,
        magnitude: ZERO,
    };

    /// Reads the whole of `text` as C's `strtold` does, by Redis's rules: no spaces in front,
    /// no NaN, nothing that overflows or that vanishes to zero. Infinities are read.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= MAX_TEXT {
            return None;
        }
        let (sign, rest) = match text {
            [b'-', rest @ ..] => (Sign::Negative, rest),
            [b'+', rest @ ..] => (Sign::Positive, rest),
            _ => (Sign::Positive, text),
        };
        let magnitude =
            if rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity") {
                Magnitude::Infinite
            } else if let [b'0', b'x' | b'X', digits @ ..] = rest {
                in_range(parse_hexadecimal(digits)?)?
            } else {
                in_range(parse_decimal(rest)?)?
            };
        Some(Self { sign, magnitude })
    }

    /// Whether this is neither infinite nor the difference of two infinities.
    pub fn is_finite(self) -> bool {
        matches!(self.magnitude, Magnitude::Finite { .. })
    }

    /// The sum, rounded once to nearest, ties to even.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let (a, b) = match (self.magnitude, other.magnitude) {
            (Magnitude::NotANumber, _) | (_, Magnitude::NotANumber) => return NAN,
            (Magnitude::Infinite, Magnitude::Infinite) => {
                return if self.sign == other.sign { self } else { NAN };
            }
            (Magnitude::Infinite, _) => return self,
            (_, Magnitude::Infinite) => return other,
            (
                Magnitude::Finite {
                    significand: a,
                    exponent: ea,
                },
                Magnitude::Finite {
                    significand: b,
                    exponent: eb,
                },
            ) => ((a, ea), (b, eb)),
        };
        if a.0 == 0 {
            // -0 + -0 stays negative; every other sum with a zero is the other operand.
            return if b.0 == 0 && self.sign != other.sign {
                Self::ZERO
            } else {
                other
            };
        }
        if b.0 == 0 {
            return self;
        }
        let self_is_greater = (a.1 + i64::from(64 - a.0.leading_zeros()), a.0)
            >= (b.1 + i64::from(64 - b.0.leading_zeros()), b.0);
        let (big, small, sign) = if self_is_greater {
            (a, b, self.sign)
        } else {
            (b, a, other.sign)
        };
        // Both on one scale, 63 bits finer than the greater operand; what falls off the end
        // of the lesser is remembered as sticky. Subnormal operands share one exponent.
        let wide_big = u128::from(big.0) << 63;
        let wide_small = u128::from(small.0) << 63;
        let distance = big.1 - small.1;
        let (aligned, sticky) = if distance >= 128 {
            (0, true)
        } else if distance >= 0 {
            let aligned = wide_small >> distance;
            (aligned, aligned << distance != wide_small)
        } else {
            // A greater number with a lesser exponent exists only where the significand of
            // the other is not normal, that is, where it is small enough to be shifted up.
            (wide_small << -distance, false)
        };
        let total = if self.sign == other.sign {
            wide_big + aligned
        } else {
            wide_big - aligned - u128::from(sticky)
        };
        if total == 0 {
            return Self::ZERO;
        }
        Self {
            sign,
            magnitude: round(total, big.1 - 63, sticky),
        }
    }

    /// Appends the number as Redis stores it: 17 decimals, without zeros at the end.
    ///
    /// # Panics
    /// If the number is not finite: Redis never stores one that is not.
    pub fn push_decimal(self, out: &mut Vec<u8>) {
        let Magnitude::Finite {
            significand,
            exponent,
        } = self.magnitude
        else {
            panic!("only finite numbers are written");
        };
        let start = out.len();
        if self.sign == Sign::Negative {
            out.push(b'-');
        }
        if exponent >= 0 {
            let mut whole = Natural::from_u64(significand);
            whole.shift_left(exponent as usize);
            push_natural(whole, out);
            return;
        }
        const UNIT: u128 = 100_000_000_000_000_000;
        let scaled = u128::from(significand) * UNIT;
        let places = -exponent;
        // The product is below 2^121, so beyond 2^122 it is less than half of the last place.
        let units = if places > 122 {
            0
        } else {
            let down = scaled >> places;
            let rest = scaled - (down << places);
            let half = 1_u128 << (places - 1);
            down + u128::from(rest > half || (rest == half && down & 1 == 1))
        };
        use std::io::Write as _;
        let _ = write!(out, "{}.{:017}", units / UNIT, units % UNIT);
        while out.last() == Some(&b'0') {
            out.pop();
        }
        if out.last() == Some(&b'.') {
            out.pop();
        }
        if &out[start..] == b"-0" {
            out.remove(start);
        }
    }
}

const NAN: LongDouble = LongDouble {
    sign: Sign::Positive,
    magnitude: Magnitude::NotANumber,
};

/// What a text stands for before it is rounded: `coefficient * 2^exponent`, and whether
/// something smaller was cut off. The coefficient has at least 65 bits where it was.
struct Exact {
    coefficient: u128,
    exponent: i64,
    sticky: bool,
}

/// Rounds, refusing what `strtold` reports as out of range and Redis therefore rejects.
fn in_range(exact: Exact) -> Option<Magnitude> {
    if exact.coefficient == 0 {
        return (!exact.sticky).then_some(ZERO);
    }
    match round(exact.coefficient, exact.exponent, exact.sticky) {
        Magnitude::Finite { significand: 0, .. } | Magnitude::Infinite => None,
        magnitude => Some(magnitude),
    }
}

/// The 64-bit significand nearest to `coefficient * 2^exponent`, ties to even.
fn round(coefficient: u128, exponent: i64, sticky: bool) -> Magnitude {
    let bits = i64::from(128 - coefficient.leading_zeros());
    let mut target = (exponent + bits - 64).max(MIN_EXPONENT);
    let drop = target - exponent;
    let mut significand = if drop <= 0 {
        coefficient << -drop
    } else if drop > 128 {
        0
    } else {
        let kept = coefficient.checked_shr(drop as u32).unwrap_or(0);
        let rest = coefficient - kept.checked_shl(drop as u32).unwrap_or(0);
        let half = 1_u128 << (drop - 1);
        kept + u128::from(rest > half || (rest == half && (sticky || kept & 1 == 1)))
    };
    if significand == 1 << 64 {
        significand >>= 1;
        target += 1;
    }
    if target > MAX_EXPONENT {
        return Magnitude::Infinite;
    }
    Magnitude::Finite {
        significand: significand as u64,
        exponent: target,
    }
}

/// `[digits][.digits][e[sign]digits]` with at least one digit before the exponent.
fn parse_decimal(text: &[u8]) -> Option<Exact> {
    let (digits, fraction, rest) = split_digits(text, u8::is_ascii_digit)?;
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', rest @ ..] => parse_exponent(rest)?,
        _ => return None,
    };
    let mut digits: Vec<u8> = digits
        .iter()
        .chain(fraction)
        .map(|digit| digit - b'0')
        .skip_while(|&digit| digit == 0)
        .collect();
    let mut power = exponent.saturating_sub(fraction.len() as i64);
    while digits.last() == Some(&0) {
        digits.pop();
        power = power.saturating_add(1);
    }
    if digits.is_empty() {
        return Some(Exact {
            coefficient: 0,
            exponent: 0,
            sticky: false,
        });
    }
    let leading = power.saturating_add(digits.len() as i64);
    if leading > DECIMAL_LIMIT {
        return Some(Exact {
            coefficient: 1,
            exponent: 2 * MAX_EXPONENT,
            sticky: false,
        });
    }
    if leading < -DECIMAL_LIMIT {
        return Some(Exact {
            coefficient: 0,
            exponent: 0,
            sticky: true,
        });
    }
    Some(if digits.len() <= 19 && power.abs() <= 27 {
        scale_small(&digits, power)
    } else {
        scale_large(&digits, power)
    })
}

/// At most 19 digits and a power of five below 2^63: exact in 128 bits.
fn scale_small(digits: &[u8], power: i64) -> Exact {
    let whole = digits
        .iter()
        .fold(0_u128, |sum, &digit| sum * 10 + u128::from(digit));
    let five = 5_u128.pow(power.unsigned_abs() as u32);
    if power >= 0 {
        return Exact {
            coefficient: whole * five,
            exponent: power,
            sticky: false,
        };
    }
    let shift = whole.leading_zeros();
    let dividend = whole << shift;
    Exact {
        coefficient: dividend / five,
        exponent: power - i64::from(shift),
        sticky: dividend % five != 0,
    }
}

fn scale_large(digits: &[u8], power: i64) -> Exact {
    let mut numerator = Natural::default();
    for &digit in digits {
        // A leading digit makes the first limb, so none of the products is lost.
        if numerator.is_zero() {
            numerator = Natural::from_u64(u64::from(digit));
        } else {
            numerator.multiply_add(10, u32::from(digit));
        }
    }
    let mut denominator = Natural::from_u64(1);
    if power >= 0 {
        numerator.multiply_by_power_of_ten(power as usize);
    } else {
        denominator.multiply_by_power_of_ten(power.unsigned_abs() as usize);
    }
    const BITS: i64 = 70;
    let lengths = numerator.bit_length() as i64 - denominator.bit_length() as i64;
    // The quotient lies in [2^(lengths-1), 2^(lengths+1)); scaled, in [1/2, 2).
    if lengths >= 0 {
        denominator.shift_left(lengths as usize);
    } else {
        numerator.shift_left(lengths.unsigned_abs() as usize);
    }
    let mut coefficient = 0_u128;
    for _ in 0..BITS {
        coefficient <<= 1;
        if numerator >= denominator {
            numerator.subtract(&denominator);
            coefficient |= 1;
        }
        numerator.shift_left(1);
    }
    Exact {
        coefficient,
        exponent: lengths - (BITS - 1),
        sticky: !numerator.is_zero(),
    }
}

/// The part of a hexadecimal float after `0x`.
fn parse_hexadecimal(text: &[u8]) -> Option<Exact> {
    let (digits, fraction, rest) = split_digits(text, u8::is_ascii_hexdigit)?;
    let exponent = match rest {
        [] => 0,
        [b'p' | b'P', rest @ ..] => parse_exponent(rest)?,
        _ => return None,
    };
    let mut coefficient = 0_u128;
    let mut sticky = false;
    let mut dropped = 0_i64;
    for &digit in digits.iter().chain(fraction) {
        let value = (digit as char).to_digit(16)?;
        if coefficient >> 120 == 0 {
            coefficient = coefficient << 4 | u128::from(value);
        } else {
            dropped += 4;
            sticky |= value != 0;
        }
    }
    if coefficient == 0 {
        return Some(Exact {
            coefficient: 0,
            exponent: 0,
            sticky: false,
        });
    }
    let exponent = exponent
        .saturating_add(dropped - 4 * fraction.len() as i64)
        .clamp(-BINARY_LIMIT, BINARY_LIMIT);
    Some(Exact {
        coefficient,
        exponent,
        sticky,
    })
}

/// Splits `12.34rest`; there must be a digit on one side of the point at least.
fn split_digits(text: &[u8], is_digit: fn(&u8) -> bool) -> Option<(&[u8], &[u8], &[u8])> {
    let count = |text: &[u8]| text.iter().take_while(|&byte| is_digit(byte)).count();
    let (whole, rest) = text.split_at(count(text));
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => rest.split_at(count(rest)),
        _ => (&rest[..0], rest),
    };
    (!whole.is_empty() || !fraction.is_empty()).then_some((whole, fraction, rest))
}

/// A signed exponent, saturating: its digits may be as many as the text allows.
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0_i64, |sum, digit| {
        (sum * 10 + i64::from(digit - b'0')).min(1_000_000_000)
    });
    Some(if negative { -value } else { value })
}

fn push_natural(mut value: Natural, out: &mut Vec<u8>) {
    let mut groups = Vec::new();
    while !value.is_zero() {
        groups.push(value.divide_by_billion());
    }
    use std::io::Write as _;
    let _ = write!(out, "{}", groups.pop().unwrap_or(0));
    for group in groups.iter().rev() {
        let _ = write!(out, "{group:09}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> String {
        let a = LongDouble::parse(a.as_bytes()).expect(a);
        let b = LongDouble::parse(b.as_bytes()).expect(b);
        let mut out = Vec::new();
        a.plus(b).push_decimal(&mut out);
        String::from_utf8(out).expect("digits are ASCII")
    }

    #[test]
    fn sums_have_the_digits_of_the_x87() {
        // Taken from a Redis 7.0.15 on x86-64.
        for (a, b, expected) in [
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3.0e3", "1.0", "3001"),
            ("0.1", "0.2", "0.3"),
            ("-0.0", "0", "0"),
            ("1", "-1.1", "-0.1"),
            ("0x1p3", "0", "8"),
            ("1e17", "0.1", "100000000000000000.1015625"),
        ] {
            assert_eq!(sum(a, b), expected, "{a} + {b}");
        }
    }

    #[test]
    fn texts_that_strtold_or_redis_refuse_are_refused() {
        for bad in [
            "", ".", "e1", "1e", "1e+", " 1", "1 ", "nan", "NaN", "-nan", "0x", "0x.", "0x1p",
            "1..2", "1,5", "--1", "infx", "1e5000", "-1e5000", "1e-5000", "1e-4960", "1\0",
        ] {
            assert_eq!(LongDouble::parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert!(LongDouble::parse(b"1e4932").is_some());
        assert!(LongDouble::parse(b"1e-4950").is_some());
        assert!(!LongDouble::parse(b"-Infinity").expect("read").is_finite());
    }

    #[test]
    fn the_short_way_and_the_long_way_to_read_agree() {
        let mut state = 1_u64;
        for _ in 0..2_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let length = 1 + (state >> 59) as usize % 19;
            let digits: Vec<u8> = (0..length).map(|at| (state >> at) as u8 % 9 + 1).collect();
            let power = (state >> 40) as i64 % 28 * if state & 1 == 0 { 1 } else { -1 };
            let short = in_range(scale_small(&digits, power));
            let long = in_range(scale_large(&digits, power));
            assert_eq!(short, long, "{digits:?}e{power}");
        }
    }
}
