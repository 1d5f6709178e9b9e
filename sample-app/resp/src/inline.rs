//! Inline requests: one line of words, as a person types them into telnet.

use crate::request::Span;

/// Quotes that are not closed, or are closed in the middle of a word.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unbalanced;

/// Splits `line` into words by Redis's quoting rules. The words, unescaped, are appended to
/// `text` and their places in it to `spans`.
///
/// `"…"` knows `\n \r \t \b \a \xHH` and `\` before any other byte; `'…'` knows `\'` alone.
/// A closing quote must be followed by space or the end of the line.
pub(crate) fn split_words(
    line: &[u8],
    text: &mut Vec<u8>,
    spans: &mut Vec<Span>,
) -> Result<(), Unbalanced> {
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(|&byte| is_space(byte)) {
            at += 1;
        }
        if at == line.len() {
            return Ok(());
        }
        let start = text.len();
        loop {
            match line.get(at) {
                None => break,
                Some(&byte) if is_space(byte) => break,
                Some(b'"') => at = double_quoted(line, at + 1, text)?,
                Some(b'\'') => at = single_quoted(line, at + 1, text)?,
                Some(&byte) => {
                    text.push(byte);
                    at += 1;
                    continue;
                }
            }
            break;
        }
        spans.push(Span {
            start,
            end: text.len(),
        });
    }
}

/// C's `isspace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 0x09..=0x0d)
}

/// From the byte after the opening quote to the byte after the closing one.
fn double_quoted(line: &[u8], mut at: usize, text: &mut Vec<u8>) -> Result<usize, Unbalanced> {
    loop {
        match &line[at..] {
            [] => return Err(Unbalanced),
            [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                text.push(nibble(*high) << 4 | nibble(*low));
                at += 4;
            }
            [b'\\', escaped, ..] => {
                text.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                at += 2;
            }
            [b'"', ..] => return closed(line, at + 1),
            [byte, ..] => {
                text.push(*byte);
                at += 1;
            }
        }
    }
}

fn single_quoted(line: &[u8], mut at: usize, text: &mut Vec<u8>) -> Result<usize, Unbalanced> {
    loop {
        match &line[at..] {
            [] => return Err(Unbalanced),
            [b'\\', b'\'', ..] => {
                text.push(b'\'');
                at += 2;
            }
            [b'\'', ..] => return closed(line, at + 1),
            [byte, ..] => {
                text.push(*byte);
                at += 1;
            }
        }
    }
}

fn closed(line: &[u8], at: usize) -> Result<usize, Unbalanced> {
    match line.get(at) {
        Some(&byte) if !is_space(byte) => Err(Unbalanced),
        _ => Ok(at),
    }
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<String>> {
        let (mut text, mut spans) = (Vec::new(), Vec::new());
        split_words(line.as_bytes(), &mut text, &mut spans).ok()?;
        Some(
            spans
                .iter()
                .map(|span| String::from_utf8_lossy(&text[span.start..span.end]).into_owned())
                .collect(),
        )
    }

    #[test]
    fn words_and_quotes_split_as_in_redis() {
        let some = |list: &[&str]| Some(list.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(words("  set  a\tb "), some(&["set", "a", "b"]));
        assert_eq!(words(""), some(&[]));
        assert_eq!(words(r#"set "a b" 'c"d'"#), some(&["set", "a b", "c\"d"]));
        assert_eq!(words(r#""\x41\n\q\xzz""#), some(&["A\nqxzz"]));
        assert_eq!(words(r"'it\'s \n'"), some(&[r"it's \n"]));
        assert_eq!(words(r#"a"b" c"#), some(&["ab", "c"]));
        assert_eq!(words(r#""""#), some(&[""]));
        for bad in ["\"a", "'a", "\"a\"b", "'a'b", "\"a\\", "\"a\\\""] {
            assert_eq!(words(bad), None, "{bad}");
        }
    }
}
