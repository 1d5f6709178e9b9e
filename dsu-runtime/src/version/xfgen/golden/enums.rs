//! The types of v1 as v1 knew them, and the ways between the two.
//!
//! Written by `dsu xfgen`. The frozen types must stay as they are; the lenses are yours.
//! Each `compile_error!` is a question: what it offers is written in its place.

use dsu_runtime::prelude::*;

/// The types as v2 has them. Their fields have to be visible here: `pub(crate)`.
mod newer {
    pub(crate) use crate::Kind;
    pub(crate) use crate::Line;
    pub(crate) use crate::Mode;
    pub(crate) use crate::State;
    pub(crate) use crate::Value;
}

/// `Kind` of v1.
#[derive(Shared)]
#[shared(frozen = 1)]
pub(crate) struct Kind {
    pub(crate) code: u64,
}

/// `Kind` is of another kind now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KindLens;

impl xform::Lens for KindLens {
    type Left = Kind;
    type Right = newer::Kind;
    type Complement = ();

    fn forward(
        &self,
        left: Self::Left,
        _: Option<Self::Complement>,
    ) -> Result<(Self::Right, Self::Complement), xform::LensError> {
        compile_error!(
            "say how Kind of v1 becomes Kind of v2: end with Ok((value, ())), and put what the \
             other side cannot hold into the Complement"
        )
    }

    fn backward(
        &self,
        right: Self::Right,
        _: Option<Self::Complement>,
    ) -> Result<(Self::Left, Self::Complement), xform::LensError> {
        compile_error!(
            "say how Kind of v2 becomes Kind of v1: end with Ok((value, ())), and put what the \
             other side cannot hold into the Complement"
        )
    }
}

dsu::transformer!(KindLens);

/// `Mode` of v1.
#[derive(Shared, xform::Lens)]
#[shared(frozen = 1)]
#[repr(u8)]
pub(crate) enum Mode {
    Slow = 0,
    Fast = 1,
}

/// `Mode` as it is now, and where each part of it comes from.
#[derive(xform::Lens)]
#[lens(from = self::Mode, to = newer::Mode)]
#[lens(compile_error!(
    "Mode::Fast of v1 is not in Mode of v2. Say what becomes of it: drop(Fast = VALUE), which \
     stands for it in v2 while it waits; or drop(Fast), and a value that is one cannot cross, so \
     that an update with such values goes back; or rename = Fast on the variant that it became"
))]
pub(crate) enum ModeNow {
    Slow,
}

dsu::transformer!(ModeLens);

/// `State` of v1.
#[derive(Shared, xform::Lens)]
#[shared(frozen = 1)]
#[repr(u8)]
pub(crate) enum State {
    Text(SharedBytes) = 0,
    Count(u32) = 1,
    Old(u64) = 2,
}

/// `State` as it is now, and where each part of it comes from.
#[derive(xform::Lens)]
#[lens(from = self::State, to = newer::State)]
pub(crate) enum StateNow {
    Text(SharedBytes),
    Count(#[lens(with = xform::Widen<u32, u64>)] u64),
    #[lens(compile_error!(
        "State of v1 has Old, and State of v2 has New with the same fields. If Old became New, \
         write rename = Old in place of this compile_error!. If it did not, write add here, and \
         drop(Old) or drop(Old = VALUE) on the type"
    ))]
    New(u64),
    #[lens(add)]
    List(SharedVec<newer::Line>),
}

dsu::transformer!(StateLens);

/// `Value` of v1.
#[derive(Shared)]
#[shared(frozen = 1)]
pub(crate) struct Value {
    pub(crate) bytes: SharedBytes,
}

xform::variant! {
    /// Every `Value` of v1 is a `Text` now. Of the other variants v1 gets `Foreign`: say so if
    /// it is to have a stand-in for them, or if they must not be made while it runs.
    pub(crate) struct ValueLens: Value => newer::Value {
        { bytes } => Text(bytes);
        unrepresentable = foreign;
    }
}

dsu::transformer!(ValueLens);
