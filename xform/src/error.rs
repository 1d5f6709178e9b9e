//! Why a value could not cross, and where in it the reason lies.
//!
//! Owns the error of every lens; must never know who asked for the crossing: guard and item are named by the caller.

use std::borrow::Cow;
use std::fmt;

/// A crossing that did not happen. The path grows from the inside out as the error travels through the combinators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LensError {
    kind: ErrorKind,
    reason: Cow<'static, str>,
    /// Innermost first.
    path: Vec<Segment>,
}

/// What sort of obstacle stopped a crossing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The other side has no form for this value; another value may well cross.
    Unrepresentable,
    /// The lens itself did not do its work.
    Failed,
    /// There was no memory for the result; the same value may cross later.
    NoRoom,
}

/// One step from a value to a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A field of a struct or tuple.
    Field(&'static str),
    /// An element of a sequence, counted from zero.
    Index(usize),
    /// The value under a key of a map, as its `Debug` form.
    Key(String),
}

impl Segment {
    /// As written in a path, after what comes before it if anything does.
    pub(crate) fn to_string_after(&self, is_inner: bool) -> String {
        match self {
            Segment::Field(name) if is_inner => format!(".{name}"),
            Segment::Field(name) => (*name).to_owned(),
            Segment::Index(index) => format!("[{index}]"),
            Segment::Key(key) => format!("[{key}]"),
        }
    }
}

impl LensError {
    /// The other side has no form for this value. `reason` is one lower-case clause.
    pub fn unrepresentable(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Unrepresentable, reason)
    }

    /// The lens did not do its work. `reason` is one lower-case clause.
    pub fn failed(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Failed, reason)
    }

    /// There was no memory for the result. `reason` is one lower-case clause.
    pub fn no_room(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::NoRoom, reason)
    }

    fn new(kind: ErrorKind, reason: impl Into<Cow<'static, str>>) -> Self {
        LensError {
            kind,
            reason: reason.into(),
            path: Vec::new(),
        }
    }

    /// The same error seen from one level further out.
    #[must_use]
    pub fn within(mut self, segment: Segment) -> Self {
        self.path.push(segment);
        self
    }

    /// What sort of obstacle it was.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The reason alone, without the path.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The way from the whole value to the part that could not cross, outermost first.
    pub fn path(&self) -> impl Iterator<Item = &Segment> {
        self.path.iter().rev()
    }
}

impl fmt::Display for LensError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, segment) in self.path().enumerate() {
            f.write_str(&segment.to_string_after(depth > 0))?;
        }
        if !self.path.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for LensError {}
