//! Redis's glob patterns, as KEYS, SCAN and CONFIG GET use them.

/// Whether letters must agree in case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Case {
    Sensitive,
    Ignored,
}

/// Whether `text` matches `pattern`: `*`, `?`, `[a-z]`, `[^x]` and `\` before a byte.
///
/// Takes time in proportion to the product of both lengths at worst and no stack: only the
/// last `*` seen can need another try, so one saved position is enough.
/// Like Redis, an empty text matches the empty pattern alone (KEYS and SCAN treat a lone `*`
/// before they ask).
pub fn glob_match(pattern: &[u8], text: &[u8]) -> bool {
    matches(pattern, text, Case::Sensitive)
}

/// [`glob_match`] without regard to the case of ASCII letters.
pub fn glob_match_ignoring_case(pattern: &[u8], text: &[u8]) -> bool {
    matches(pattern, text, Case::Ignored)
}

fn matches(pattern: &[u8], text: &[u8], case: Case) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && t < text.len() {
            if pattern[p] == b'*' {
                p = skip_stars(pattern, p);
                if p == pattern.len() {
                    return true;
                }
                last_star = Some((p, t));
                continue;
            }
            if let Some(next) = match_one(pattern, p, text[t], case) {
                p = next;
                t += 1;
                if t == text.len() {
                    p = skip_stars(pattern, p);
                }
                continue;
            }
        } else if p == pattern.len() && t == text.len() {
            return true;
        }
        match last_star {
            Some((after, from)) if from + 1 < text.len() => {
                last_star = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

fn skip_stars(pattern: &[u8], mut p: usize) -> usize {
    while pattern.get(p) == Some(&b'*') {
        p += 1;
    }
    p
}

/// Where the pattern goes on if its element at `p` takes `byte`.
fn match_one(pattern: &[u8], p: usize, byte: u8, case: Case) -> Option<usize> {
    match pattern[p] {
        b'?' => Some(p + 1),
        b'[' => match_class(pattern, p + 1, byte, case),
        b'\\' if p + 1 < pattern.len() => same(pattern[p + 1], byte, case).then_some(p + 2),
        literal => same(literal, byte, case).then_some(p + 1),
    }
}

/// The part of a class after its `[`. A class without `]` ends with the pattern.
fn match_class(pattern: &[u8], mut p: usize, byte: u8, case: Case) -> Option<usize> {
    let negated = pattern.get(p) == Some(&b'^');
    if negated {
        p += 1;
    }
    let mut found = false;
    loop {
        match &pattern[p.min(pattern.len())..] {
            [] => break,
            [b'\\', escaped, ..] => {
                // Redis compares an escaped byte exactly, whatever the case rule.
                found |= *escaped == byte;
                p += 2;
            }
            [b']', ..] => {
                p += 1;
                break;
            }
            [first, b'-', last, ..] => {
                found |= in_range(*first, *last, byte, case);
                p += 3;
            }
            [literal, ..] => {
                found |= same(*literal, byte, case);
                p += 1;
            }
        }
    }
    (found != negated).then_some(p)
}

/// Ranges compare as C's signed `char`, in either order of their ends.
fn in_range(first: u8, last: u8, byte: u8, case: Case) -> bool {
    let ordered = |a: u8, b: u8| if a as i8 > b as i8 { (b, a) } else { (a, b) };
    let (low, high) = ordered(first, last);
    let (low, high, byte) = match case {
        Case::Sensitive => (low, high, byte),
        Case::Ignored => (
            low.to_ascii_lowercase(),
            high.to_ascii_lowercase(),
            byte.to_ascii_lowercase(),
        ),
    };
    (low as i8..=high as i8).contains(&(byte as i8))
}

fn same(a: u8, b: u8, case: Case) -> bool {
    match case {
        Case::Sensitive => a == b,
        Case::Ignored => a.eq_ignore_ascii_case(&b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        let cases: &[(&str, &str, bool)] = &[
            ("*", "anything", true),
            ("*", "", false),
            ("", "", true),
            ("a*", "a", true),
            ("a**", "a", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-b]llo", "hbllo", true),
            ("h[b-a]llo", "hbllo", true),
            ("h[b-a]llo", "hcllo", false),
            ("[\\]]", "]", true),
            ("[]", "a", false),
            ("[^]", "a", true),
            ("[abc", "b", true),
            ("[a-", "-", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a\\", true),
            ("*?", "a", true),
            ("*??", "a", false),
            ("a*?", "a", false),
        ];
        for &(pattern, text, expected) in cases {
            assert_eq!(
                glob_match(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern:?} {text:?}"
            );
        }
    }

    #[test]
    fn many_stars_take_neither_stack_nor_exponential_time() {
        let pattern = b"*a".repeat(5_000);
        let text = b"a".repeat(4_000);
        assert!(!glob_match(&pattern, &text));
    }

    #[test]
    fn case_can_be_ignored() {
        assert!(glob_match_ignoring_case(b"MAX[A-Z]*", b"maxmemory"));
        assert!(!glob_match(b"MAX*", b"maxmemory"));
    }
}
