//! The types of v1 as v1 knew them, and the ways between the two.
//!
//! Written by `dsu xfgen`. The frozen types must stay as they are; the lenses are yours.
//! Each `compile_error!` is a question: what it offers is written in its place.

use dsu_runtime::prelude::*;

/// The types as v2 has them. Their fields have to be visible here: `pub(crate)`.
mod newer {
    pub(crate) use crate::Holder;
    pub(crate) use crate::Millis; // or wherever it is
    pub(crate) use crate::Point; // or wherever it is
    pub(crate) use crate::pair::Pair;
}

/// `Holder` of v1.
#[derive(Shared, xform::Lens)]
#[shared(frozen = 1)]
pub(crate) struct Holder {
    pub(crate) a: PairU64,
    pub(crate) b: PairPoint,
    pub(crate) timeout: Millis,
    pub(crate) both: (u64, u8),
}

/// `Holder` as it is now, and where each part of it comes from.
#[derive(xform::Lens)]
#[lens(from = self::Holder, to = newer::Holder)]
pub(crate) struct HolderNow {
    #[lens(nested)]
    a: newer::Pair<u64>,
    #[lens(nested)]
    b: newer::Pair<newer::Point>,
    #[lens(nested)]
    timeout: newer::Millis,
    both: (u64, u8),
}

dsu::transformer!(HolderLens);

/// `Millis` of v1.
#[derive(Shared, xform::Lens)]
#[shared(frozen = 1, inline, meaning = 1)]
pub(crate) struct Millis(pub(crate) u64);

/// `Millis` as it is now, and where each part of it comes from.
#[derive(xform::Lens)]
#[lens(from = self::Millis, to = newer::Millis)]
#[lens(compile_error!(
    "the meaning of Millis changes from 1 in v1 to 2 in v2. Say which fields are converted, and \
     how, with convert(|old| …, |new| …) on each; then remove this compile_error!"
))]
pub(crate) struct MillisNow(u64);

/// `Pair<Point>` of v1.
#[derive(Shared, xform::Lens)]
#[shared(name = "Pair", frozen = 1, inline)]
pub(crate) struct PairPoint {
    pub(crate) first: Point,
}

/// `Pair` as it is now, and where each part of it comes from.
#[derive(xform::Lens)]
#[lens(from = self::PairPoint, to = newer::Pair<newer::Point>, name = PairPointLens)]
pub(crate) struct PairPointNow {
    #[lens(nested)]
    first: newer::Point,
    #[lens(add)]
    last: SharedBytes,
}

/// `Pair<u64>` of v1.
#[derive(Shared, xform::Lens)]
#[shared(name = "Pair", frozen = 1, inline)]
pub(crate) struct PairU64 {
    pub(crate) first: u64,
}

/// `Pair` as it is now, and where each part of it comes from.
#[derive(xform::Lens)]
#[lens(from = self::PairU64, to = newer::Pair<u64>, name = PairU64Lens)]
pub(crate) struct PairU64Now {
    first: u64,
    #[lens(add)]
    last: SharedBytes,
}

/// `Point` of v1.
#[derive(Shared, xform::Lens)]
#[shared(frozen = 1, inline)]
pub(crate) struct Point {
    pub(crate) x: SharedBytes,
}

/// `Point` as it is now, and where each part of it comes from.
#[derive(xform::Lens)]
#[lens(from = self::Point, to = newer::Point)]
pub(crate) struct PointNow {
    x: SharedBytes,
    #[lens(add)]
    y: SharedBytes,
}
