//! What the threads are told, and whether they have heard it. Owns no socket.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};

/// The commands that are part of the load: those that every worker knows, and none that only some do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Commands {
    /// Version 1's: on strings.
    Strings,
    /// Version 2's: those and deadlines.
    Expiring,
    /// Version 3's: those and the ones on lists and hashes.
    Typed,
}

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Run {
    Going,
    Paused,
    /// Read everything back and end.
    Verify,
    /// End.
    Abandoned,
}

pub(super) struct State {
    pub run: Run,
    pub commands: Commands,
    pub phases: Vec<String>,
    /// Counts changes.
    generation: u64,
    /// The generation each thread has seen while nothing of its own was on its way.
    heard: Vec<u64>,
}

/// What one thread does in its next batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Order {
    pub run: Run,
    pub commands: Commands,
    pub phase: usize,
}

pub(super) struct Orders {
    state: Mutex<State>,
    changed: Condvar,
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Orders {
    pub fn new(threads: usize, phase: &str) -> Orders {
        Orders {
            state: Mutex::new(State {
                run: Run::Going,
                commands: Commands::Strings,
                phases: vec![phase.to_owned()],
                generation: 0,
                heard: vec![0; threads],
            }),
            changed: Condvar::new(),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock can leave the state half changed.
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        state.generation += 1;
        self.changed.notify_all();
    }

    /// Returns when every thread has asked for orders since the last change.
    pub fn wait_until_heard(&self) {
        let mut state = self.lock();
        let wanted = state.generation;
        while state.heard.iter().any(|heard| *heard < wanted) {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// The next order of the thread in this seat, which has nothing on its way. Sleeps while paused.
    pub fn next(&self, seat: usize) -> Order {
        let mut state = self.lock();
        loop {
            if state.heard[seat] < state.generation {
                state.heard[seat] = state.generation;
                self.changed.notify_all();
            }
            if state.run != Run::Paused {
                return Order {
                    run: state.run,
                    commands: state.commands,
                    phase: state.phases.len() - 1,
                };
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    /// The thread in this seat ends: nobody need wait for it.
    pub fn leave(&self, seat: usize) {
        self.lock().heard[seat] = u64::MAX;
        self.changed.notify_all();
    }

    pub fn phase(&self) -> usize {
        self.lock().phases.len() - 1
    }

    pub fn phases(&self) -> Vec<String> {
        self.lock().phases.clone()
    }

    pub fn count(&self, answered: u64, failed: u64) {
        self.answered.fetch_add(answered, Ordering::Relaxed);
        self.failed.fetch_add(failed, Ordering::Relaxed);
    }

    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}
