//! What version 2 makes of it.
#![allow(dead_code)]

use dsu_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Shared)]
pub struct Entry {
    pub value: Versioned<Value>,
    pub point: Point,
    pub hits: u64,
    pub note: Option<u64>,
    pub remarks: SharedVec<Comment>,
    pub pair: Pair<u64>,
    pub peers: SharedMap<SharedBytes, Peer>,
    pub tags: SharedVec<SharedBytes>,
    pub expires_at_ms: Option<u64>,
}

#[derive(Shared)]
#[shared(inline)]
pub struct Point {
    pub x: u64,
    pub label: SharedString,
}

#[derive(Shared)]
pub struct Peer {
    pub id: u32,
}

#[derive(Shared)]
pub struct Comment {
    pub text: SharedBytes,
}

#[derive(Shared)]
#[shared(inline)]
pub struct Pair<T: Shared> {
    pub first: T,
    pub rest: SharedVec<SharedBytes>,
}

#[derive(Shared)]
#[shared(name = "Value")]
#[repr(u8)]
pub enum AnyValue {
    Text(SharedBytes) = 0,
    Pair { left: u64, right: u64 } = 3,
}
pub use AnyValue as Value;

#[derive(Serialize, Deserialize, Carry)]
pub struct Local {
    pub names: std::collections::HashMap<u32, String>,
    pub timer: Timer,
    pub sockets: Vec<Stream>,
    pub idle: (u8, Option<std::time::Duration>),
    pub backlog: std::collections::VecDeque<Vec<u8>>,
}

#[derive(Serialize, Deserialize, Carry)]
pub struct Timer {
    pub due_ms: u64,
    pub period_ms: Option<u32>,
}
