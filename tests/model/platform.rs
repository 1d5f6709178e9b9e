//! The ground on which the model runs the shipped lock: simulated atomics, futex and clock.
//!
//! Owns the simulation; must never know the lock's protocol. Every operation is one step at which
//! the scheduler may run another thread, and at which the running party may die: it unwinds out of
//! its thread, and as the lock has no destructors, that leaves the shared words as a SIGKILL does.
//! Sequentially consistent: weak memory is not modelled.
//!
//! A timed sleeper's timer goes off as soon as the scheduler runs that thread again, which is at
//! any moment at all, unless the execution has timers switched off.

pub use dsu_runtime::sys::futex::{Bits, Count, Half, Waited};
pub use std::sync::atomic::Ordering;

use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::atomic as simulated;
use shuttle::sync::mpsc::{Sender, channel};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

/// One round, so that the spinning branch is part of what is explored.
pub const SPIN_ROUNDS: u32 = 1;

/// A pause changes nothing but what others do meanwhile, which the next load's step lets them do.
pub fn pause(_rounds: u32) {}

/// Whether the scheduler hands out random numbers, or explores one choice after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chance {
    Random,
    None,
}

/// Whether timed sleeps end by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timers {
    On,
    Off,
}

struct Sleeper {
    id: u64,
    address: usize,
    half: Half,
    bits: Bits,
    alarm: Sender<()>,
}

struct World {
    chance: Chance,
    timers: Timers,
    now: u64,
    next_id: u64,
    queue: Vec<Sleeper>,
}

// All simulated threads of one execution are coroutines of one thread, so this is shared by them
// and by nobody else. It is never borrowed across a step.
std::thread_local! {
    static WORLD: RefCell<World> = const {
        RefCell::new(World {
            chance: Chance::None,
            timers: Timers::On,
            now: 1,
            next_id: 0,
            queue: Vec::new(),
        })
    };
}

shuttle::thread_local! {
    /// Steps until this simulated thread dies.
    static FATE: Cell<Option<u32>> = Cell::new(None);
}

/// Starts an execution from an empty world.
pub fn reset(chance: Chance, timers: Timers) {
    WORLD.with_borrow_mut(|world| {
        *world = World {
            chance,
            timers,
            now: 1,
            next_id: 0,
            queue: Vec::new(),
        };
    });
}

/// A number below `bound`, or 0 where there is no chance.
pub fn draw(bound: u32) -> u32 {
    match WORLD.with_borrow(|world| world.chance) {
        Chance::Random => thread_rng().gen_range(0..bound),
        Chance::None => 0,
    }
}

struct Death;

/// Runs `life`, which dies after `fate` steps if there is a fate. `None` if it died.
pub fn live<T>(fate: Option<u32>, life: impl FnOnce() -> T) -> Option<T> {
    FATE.with(|own| own.set(fate));
    let end = catch_unwind(AssertUnwindSafe(life));
    FATE.with(|own| own.set(None));
    match end {
        Ok(value) => Some(value),
        Err(cause) if cause.is::<Death>() => None,
        Err(cause) => resume_unwind(cause),
    }
}

/// A point at which the party may die.
fn mortal_moment() {
    FATE.with(|fate| match fate.get() {
        Some(0) => resume_unwind(Box::new(Death)),
        Some(left) => fate.set(Some(left - 1)),
        None => {}
    });
}

macro_rules! atomic {
    ($name:ident, $int:ty) => {
        /// An atomic each of whose operations is one step.
        pub struct $name(simulated::$name);

        // Not every width needs every operation.
        #[allow(dead_code)]
        impl $name {
            pub const fn new(value: $int) -> Self {
                Self(simulated::$name::new(value))
            }

            pub fn load(&self, order: Ordering) -> $int {
                mortal_moment();
                self.0.load(order)
            }

            pub fn store(&self, value: $int, order: Ordering) {
                mortal_moment();
                self.0.store(value, order);
            }

            pub fn compare_exchange(
                &self,
                old: $int,
                new: $int,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$int, $int> {
                mortal_moment();
                self.0.compare_exchange(old, new, success, failure)
            }
        }
    };
}

atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);

/// An instant of the simulated clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The clock goes on by a tick a look, and now and then by a leap.
    pub fn now() -> Self {
        let leap = if draw(8) == 7 {
            u64::from(draw(1_000_000))
        } else {
            1
        };
        WORLD.with_borrow_mut(|world| {
            world.now += leap;
            Self(world.now)
        })
    }

    pub fn after(self, span: Duration) -> Self {
        Self(self.0 + span.as_nanos() as u64)
    }
}

/// Sleeps as the kernel does: compares and enqueues in one step, and leaves the queue on death.
pub fn wait(
    word: &AtomicU64,
    half: Half,
    expected: u32,
    bits: Bits,
    until: Option<Nanos>,
) -> Waited {
    mortal_moment();
    let address = std::ptr::from_ref(word).addr();
    let (alarm, asleep) = channel();
    // The scheduler decides in this load; nothing comes between it and the enqueueing.
    let value = word.0.load(Ordering::SeqCst);
    if half.of(value) != expected {
        return Waited::Stale;
    }
    let id = WORLD.with_borrow_mut(|world| {
        world.next_id += 1;
        let id = world.next_id;
        world.queue.push(Sleeper {
            id,
            address,
            half,
            bits,
            alarm,
        });
        id
    });
    let timed = WORLD.with_borrow(|world| world.timers == Timers::On) && until.is_some();
    let doomed = FATE.with(|fate| fate.get().is_some_and(|left| left < 3));
    if timed || doomed {
        for _ in 0..=draw(10) {
            shuttle::thread::yield_now();
        }
    } else {
        asleep.recv().expect("the queue keeps the sender");
    }
    // Still queued: the timer went off, or death came asleep. Not queued: a wake-up was spent.
    let queued = WORLD.with_borrow_mut(|world| {
        let place = world.queue.iter().position(|sleeper| sleeper.id == id);
        place.map(|place| world.queue.remove(place)).is_some()
    });
    if doomed {
        FATE.with(|fate| fate.set(Some(0)));
    }
    mortal_moment();
    if !queued {
        return Waited::Woken;
    }
    WORLD.with_borrow_mut(|world| world.now = world.now.max(until.map_or(0, |until| until.0)));
    Waited::TimedOut
}

/// Wakes any sleeper that matches, which is more than the kernel's first in, first out.
pub fn wake(word: &AtomicU64, half: Half, count: Count, bits: Bits) {
    mortal_moment();
    shuttle::thread::yield_now();
    let address = std::ptr::from_ref(word).addr();
    let mut woken = Vec::new();
    let matching = |sleeper: &Sleeper| {
        sleeper.address == address && sleeper.half == half && sleeper.bits.0 & bits.0 != 0
    };
    loop {
        let found: Vec<usize> = WORLD.with_borrow(|world| {
            (0..world.queue.len())
                .filter(|&place| matching(&world.queue[place]))
                .collect()
        });
        if found.is_empty() || count == Count::One && !woken.is_empty() {
            break;
        }
        let chosen = found[draw(found.len() as u32) as usize];
        woken.push(WORLD.with_borrow_mut(|world| world.queue.remove(chosen)));
    }
    for sleeper in woken {
        // A timed sleeper looks at the queue instead and may be gone already.
        let _ = sleeper.alarm.send(());
    }
}
