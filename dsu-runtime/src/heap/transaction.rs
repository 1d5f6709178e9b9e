//! All or nothing for what a conversion allocates and frees.

use super::{alloc, live};
use crate::abi::WorkerContext;
use std::alloc::Layout;
use std::cell::RefCell;
use std::ptr::NonNull;

#[derive(Default)]
struct Level {
    fresh: Vec<(NonNull<u8>, Layout)>,
    deferred: Vec<(NonNull<u8>, Layout)>,
}

thread_local! {
    static LEVELS: RefCell<Vec<Level>> = const { RefCell::new(Vec::new()) };
    static SCRATCH: RefCell<Vec<(NonNull<u8>, Layout)>> = const { RefCell::new(Vec::new()) };
}

/// An open conversion.
#[must_use]
pub struct Transaction {
    mark: live::Mark,
}

impl Transaction {
    /// Opens one; they nest.
    pub fn begin() -> Transaction {
        let context = WorkerContext::current();
        context.converting.set(context.converting.get() + 1);
        LEVELS.with_borrow_mut(|levels| levels.push(Level::default()));
        Transaction { mark: live::open() }
    }

    fn pop() -> Level {
        let context = WorkerContext::current();
        context.converting.set(context.converting.get() - 1);
        LEVELS.with_borrow_mut(|levels| levels.pop().expect("begun"))
    }

    /// What was freed is freed.
    pub fn commit(self) {
        let level = Self::pop();
        live::keep(self.mark);
        LEVELS.with_borrow_mut(|levels| match levels.last_mut() {
            Some(parent) => {
                for (ptr, layout) in level.deferred {
                    match parent.fresh.iter().position(|(p, _)| *p == ptr) {
                        Some(i) => {
                            parent.fresh.swap_remove(i);
                            alloc::release(ptr, layout);
                        }
                        None => parent.deferred.push((ptr, layout)),
                    }
                }
                parent.fresh.extend(level.fresh);
            }
            None => {
                for (ptr, layout) in level.deferred {
                    alloc::release(ptr, layout);
                }
            }
        });
    }

    /// What was allocated is freed; what was freed is kept.
    pub fn abort(self) {
        live::discard(self.mark);
        for (ptr, layout) in Self::pop().fresh {
            alloc::release(ptr, layout);
        }
    }

    /// What was allocated lives until the section ends; what was freed is kept.
    pub fn keep_for_scratch(self) {
        live::discard(self.mark);
        SCRATCH.with_borrow_mut(|scratch| scratch.extend(Self::pop().fresh));
    }
}

/// Whether the block was allocated in the innermost open transaction.
pub fn is_fresh(ptr: NonNull<u8>) -> bool {
    LEVELS.with_borrow(|levels| {
        levels
            .last()
            .is_some_and(|level| level.fresh.iter().any(|(p, _)| *p == ptr))
    })
}

/// Frees the scratch copies of the section.
pub fn end_section() {
    for (ptr, layout) in SCRATCH.take() {
        alloc::release(ptr, layout);
    }
}

pub(super) fn allocated(ptr: NonNull<u8>, layout: Layout) {
    LEVELS.with_borrow_mut(|levels| {
        if let Some(level) = levels.last_mut() {
            level.fresh.push((ptr, layout));
        }
    });
}

pub(super) fn defers(ptr: NonNull<u8>, layout: Layout) -> bool {
    LEVELS.with_borrow_mut(|levels| match levels.last_mut() {
        Some(level) => match level.fresh.iter().position(|(p, _)| *p == ptr) {
            Some(i) => {
                level.fresh.swap_remove(i);
                false
            }
            None => {
                level.deferred.push((ptr, layout));
                true
            }
        },
        None => false,
    })
}
