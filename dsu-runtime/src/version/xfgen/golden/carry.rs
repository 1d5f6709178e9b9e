//! The types of v1 as v1 knew them, and the ways between the two.
//!
//! Written by `dsu xfgen`. The frozen types must stay as they are; the lenses are yours.
//! Each `compile_error!` is a question: what it offers is written in its place.

use dsu_runtime::prelude::*;
use serde::{Deserialize, Serialize};

/// The types as v2 has them. Their fields have to be visible here: `pub(crate)`.
mod newer {
    pub(crate) use crate::Connections; // or wherever it is
    pub(crate) use crate::Local;
    pub(crate) use kv_engine::net::timer::Timer; // or where its crate shows it
}

/// `Local` of v1.
#[derive(Serialize, Deserialize, Carry, xform::Lens)]
pub(crate) struct Local {
    pub(crate) names: std::collections::HashMap<u32, Timer>,
    pub(crate) next: Option<Timer>,
    pub(crate) all: Vec<Timer>,
    pub(crate) idle: std::time::Duration,
    pub(crate) connections: newer::Connections,
}

/// `Local` as it is now, and where each part of it comes from.
#[derive(xform::Lens)]
#[lens(from = self::Local, to = newer::Local)]
pub(crate) struct LocalNow {
    #[lens(each(hash_map))]
    names: std::collections::HashMap<u32, newer::Timer>,
    #[lens(each(option))]
    next: Option<newer::Timer>,
    #[lens(compile_error!(
        "all is Vec<Timer> in Local of v1 and Vec<Timer> in Local of v2: each element lies in \
         place, and its type changes. Say how all are converted: convert(f, g), both of which \
         borrow; in a Vec of a carry each(key: TYPE = FUNCTION) or each(align = position) do as \
         well"
    ))]
    all: Vec<newer::Timer>,
    idle: std::time::Duration,
    connections: newer::Connections,
    #[lens(add)]
    backlog: std::collections::VecDeque<String>,
}

dsu::carry_lens!(LocalLens);

/// `Timer` of v1.
#[derive(Serialize, Deserialize, Carry, xform::Lens)]
pub(crate) struct Timer {
    pub(crate) due_ms: u32,
}

/// `Timer` as it is now, and where each part of it comes from.
#[derive(xform::Lens)]
#[lens(from = self::Timer, to = newer::Timer)]
pub(crate) struct TimerNow {
    due_ms: u32,
    #[lens(compile_error!(
        "period_ms: u32 is new in Timer of v2. Say what it is in a value that v1 made: add for 0, \
         add = VALUE, or add = |old| VALUE to compute it"
    ))]
    period_ms: u32,
}
