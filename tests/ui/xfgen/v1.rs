//! What a version 1 holds; nothing in it is hard to bring to version 2.
#![allow(dead_code)]

use dsu_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Shared)]
pub struct Entry {
    pub value: Versioned<Value>,
    pub point: Point,
    pub hits: u32,
    pub log: SharedBytes,
    pub note: Option<u64>,
    pub remarks: SharedVec<Remark>,
    pub pair: Pair<u64>,
    pub peers: SharedMap<SharedBytes, Peer>,
}

/// Lies in an entry, so that it has no tag of its own.
#[derive(Shared)]
#[shared(inline)]
pub struct Point {
    pub x: u64,
}

#[derive(Shared)]
pub struct Peer {
    pub id: u32,
}

/// Is called a comment later.
#[derive(Shared)]
pub struct Remark {
    pub text: SharedBytes,
}

/// Of which one instance is used.
#[derive(Shared)]
#[shared(inline)]
pub struct Pair<T: Shared> {
    pub first: T,
}

/// Moves one discriminant only.
#[derive(Shared)]
#[shared(name = "Value")]
#[repr(u8)]
pub enum AnyValue {
    Text(SharedBytes) = 0,
    Pair { left: u64, right: u64 } = 1,
}
pub use AnyValue as Value;

#[derive(Serialize, Deserialize, Carry)]
pub struct Local {
    pub names: std::collections::HashMap<u32, String>,
    pub timer: Timer,
    pub sockets: Vec<Stream>,
    pub idle: (u8, Option<std::time::Duration>),
}

#[derive(Serialize, Deserialize, Carry)]
pub struct Timer {
    pub due_ms: u64,
}
