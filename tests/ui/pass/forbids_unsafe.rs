//! An application with every macro, under `forbid(unsafe_code)` and without a warning.
#![forbid(unsafe_code)]
#![deny(warnings)]

use dsu_runtime::prelude::*;
use serde::{Deserialize, Serialize};

/// An element type, boxed by default (R5).
#[derive(Shared, Default)]
pub struct Entry {
    value: SharedBytes,
    expires_at_ms: Option<u64>,
}

/// A tuple struct with a meaning.
#[derive(Shared, Default)]
#[shared(inline, meaning = 2)]
pub struct Millis(pub u64);

/// An enum with payloads.
#[derive(Shared)]
#[shared(name = "Value")]
#[repr(u8)]
pub enum AnyValue {
    /// No payload.
    Empty,
    /// A payload by position.
    Bytes(SharedBytes, u64) = 7,
    /// A payload by name.
    Number {
        /// The number.
        number: i64,
    },
}

/// A generic enum whose discriminant stands outside the payload.
#[derive(Shared)]
#[shared(inline)]
#[repr(C, u16)]
pub enum Either<L, R> {
    /// One.
    Left(L),
    /// The other.
    Right(R, u8),
}

/// Shares, in circles too, and names functions.
#[derive(Shared)]
pub struct Node {
    next: Option<SharedRc<Node>>,
    back: SharedVec<SharedWeak<Node>>,
    handler: SharedFn<fn(&mut Node, &str) -> bool>,
}

#[dsu::function]
fn handle(node: &mut Node, _what: &str) -> bool {
    node.next.is_some() && node.back.is_empty()
}

/// Under a guard: makes a node, leads it to itself, and calls its handler.
pub fn share() -> Result<bool, RcError> {
    let node = SharedRc::new_cyclic(|weak| {
        let mut back = SharedVec::new();
        back.push(weak.try_clone()?)?;
        let handler = SharedFn::of::<handle>();
        Ok::<_, RcError>(Node { next: None, back, handler })
    })?;
    let own = node.try_clone()?;
    node.edit(|value| value.next = Some(own))?;
    let called = node.edit(|value| value.handler.resolve().map(|handler| handler(value, "it")))?;
    drop(node.edit(|value| value.next.take())?);
    Ok(called == Ok(true))
}

/// A generic struct.
#[derive(Shared, Default)]
#[shared(inline)]
pub struct Pair<T, const N: usize>
where
    T: Default,
{
    first: T,
    second: Option<T>,
}

mod from_v1 {
    use dsu_runtime::prelude::*;

    /// A frozen copy.
    #[derive(Shared)]
    #[shared(frozen = 1)]
    pub struct Entry {
        pub value: SharedBytes,
    }
}

/// An item.
#[derive(Shared, Default)]
pub struct Shard {
    last: Option<Millis>,
    pair: Pair<u32, 3>,
}

/// An item with an initialiser.
#[derive(Shared)]
pub struct Stats {
    commands: u64,
}

impl Stats {
    fn new(commands: u64) -> Stats {
        Stats { commands }
    }
}

// Named like what an expansion could call its own.
const ITEMS: u64 = 1;

/// A family.
#[guards(shard: Shard, renamed_from = "PARTS")]
static SHARDS: [GuardMutex; 16];

#[guards(stats: Stats = Stats::new(ITEMS), last: Millis)]
pub static TOTALS: GuardMutex;

removed!("PEERS");
removed!("TOTALS.peers");

#[dsu::private]
static CALLS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

thread_local! {
    #[dsu::private]
    static DEPTH: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

#[derive(Carry, Serialize, Deserialize, Default)]
struct Connections {
    names: std::collections::BTreeMap<u64, String>,
    state: State,
    #[serde(skip)]
    scratch: std::cell::RefCell<Vec<u8>>,
}

#[derive(Carry, Serialize, Deserialize, Default)]
enum State {
    #[default]
    Idle,
    Reading {
        at: u32,
        previous: Box<State>,
    },
}

fn count(cx: &Worker, index: usize) -> Result<u64, LockError> {
    let mut totals = TOTALS.lock(cx)?;
    totals.stats.commands += 1;
    let commands = totals.stats.commands;
    drop(totals);
    let (mut shard, totals) = lock_all!(cx, SHARDS[index], TOTALS)?;
    shard.shard.last = Some(Millis(totals.last.0));
    shard.shard.pair.second = Some(shard.shard.pair.first);
    Ok(commands)
}

// Named like what an expansion could call its own.
#[dsu::worker(start = carry)]
fn run(cx: &mut Worker, mut local: Connections) -> Step<Connections> {
    let mut events = Events::with_capacity(16);
    loop {
        update_point!(cx, "event-loop", local);
        cx.wait(&mut events, None)?;
        CALLS.fetch_add(DEPTH.get(), std::sync::atomic::Ordering::Relaxed);
        local.scratch.borrow_mut().clear();
        if let Err(error) = count(cx, local.names.len() % SHARDS.len()) {
            local.state = State::Reading { at: error.to_string().len() as u32, previous: Box::default() };
        }
        if let State::Reading { at, previous } = &local.state
            && matches!(**previous, State::Idle)
        {
            local.names.insert(u64::from(*at), String::new());
        }
    }
}

fn carry(_: &mut Worker) -> Result<Connections, WorkerError> {
    Ok(Connections::default())
}

dsu::version! { app: "kv", version: 2, from: 1, crates: [serde_json] }

fn main() {
    let old = from_v1::Entry { value: SharedBytes::default() };
    let new = Entry { value: old.value, expires_at_ms: None };
    let _ = (AnyValue::Bytes(new.value, new.expires_at_ms.unwrap_or(0)), AnyValue::Empty, AnyValue::Number { number: 1 });
    let _ = [Either::Left(1_u32), Either::Right(2_u64, 3)].len();
}
