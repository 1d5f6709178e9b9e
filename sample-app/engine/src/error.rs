//! Why a command fails, and the words in which the client hears it.

use dsu_runtime::error::HeapFull;
use std::borrow::Cow;

/// What a store cannot do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreError {
    /// The heap is full; reads and removals go on.
    HeapFull,
    /// The key holds a value of another type, or one that this version cannot read.
    WrongType,
    /// A lock or an entry cannot be had, for this reason: one lower-case clause.
    Unavailable(Cow<'static, str>),
}

impl From<HeapFull> for StoreError {
    fn from(HeapFull: HeapFull) -> Self {
        StoreError::HeapFull
    }
}

/// Why a command has an error for its reply. Two words long, so that every outcome is returned in
/// registers: one that went well would otherwise be copied from place to place with room for a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CommandError {
    /// The whole text, its code word first.
    Text(&'static &'static str),
    /// The whole text where it quotes something.
    Quoting(Box<Quoted>),
    /// The heap is full.
    HeapFull,
}

/// A text in any bytes, out of line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quoted(Vec<u8>);

impl CommandError {
    pub(crate) const SYNTAX: Self = Self::Text(&"ERR syntax error");
    pub(crate) const NOT_AN_INTEGER: Self =
        Self::Text(&"ERR value is not an integer or out of range");
    pub(crate) const NO_SUCH_KEY: Self = Self::Text(&"ERR no such key");
    const WRONG_TYPE: Self =
        Self::Text(&"WRONGTYPE Operation against a key holding the wrong kind of value");
    pub(crate) const TOO_LONG: Self =
        Self::Text(&"ERR string exceeds maximum allowed size (proto-max-bulk-len)");

    /// The wrong number of arguments for the command of this full name.
    pub(crate) fn arity(name: &str) -> Self {
        Self::whole(format!(
            "ERR wrong number of arguments for '{name}' command"
        ))
    }

    /// EXEC runs nothing for this reason, which may be the text of an error.
    pub(crate) fn aborted(why: &[u8]) -> Self {
        let why = why.strip_prefix(b"ERR ").unwrap_or(why);
        let before = b"EXECABORT Transaction discarded because of: ";
        Self::whole([before, why].concat())
    }

    /// An error that quotes an argument as C prints it, up to its first zero byte, and that
    /// does not end in line ends.
    pub(crate) fn quoting(before: &str, argument: &[u8], after: &str) -> Self {
        let argument = until_zero(argument);
        let mut text = [before.as_bytes(), argument, after.as_bytes()].concat();
        while let Some(b'\r' | b'\n') = text.last() {
            text.pop();
        }
        Self::whole(text)
    }

    /// An error of this text, its code word first, in any bytes.
    pub(crate) fn whole(text: impl Into<Vec<u8>>) -> Self {
        Self::Quoting(Box::new(Quoted(text.into())))
    }

    /// The text of the error reply.
    pub fn text(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Quoting(quoted) => &quoted.0,
            Self::HeapFull => "OOM command not allowed when used memory > 'maxmemory'.".as_bytes(),
        }
    }
}

/// What C takes for the whole of a string.
pub(crate) fn until_zero(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == 0);
    &bytes[..end.unwrap_or(bytes.len())]
}

impl From<StoreError> for CommandError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::HeapFull => Self::HeapFull,
            StoreError::WrongType => Self::WRONG_TYPE,
            StoreError::Unavailable(why) => Self::whole(format!("ERR {why}")),
        }
    }
}
