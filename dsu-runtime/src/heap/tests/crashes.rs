//! The death of a worker at every store that others can see: of the allocator, and of a box that is
//! being converted.

use super::super::stepping::at_every_store;
use super::super::superblock::Realm;
use super::super::testing::{Actor, ROOMY, clear, test_name, with_regions};
use super::super::{
    Activity, BlockMap, HeapAccount, Versioned, allocate, allocate_root, collect, convert_box,
    deallocate, drop_box, give_back_old, recover,
};
use super::lenses::{NEW, NOTE, New, OLD, bind, new};
use super::{Owned, visit_box};
use crate::abi::{CONTROL_ADDR, GUARDS_OFFSET, WorkerContext};
use crate::ids::{Tag, WorkerSlot};
use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

const SURVIVOR: WorkerSlot = WorkerSlot(5);

/// Recovers the workers, whoever they were, and takes their place. What their blocks hold is theirs.
fn survive(dead: &[u32]) {
    for slot in dead {
        recover(WorkerSlot(*slot));
        recover(WorkerSlot(*slot));
    }
    let account = HeapAccount::take(Activity::Quiescent);
    assert_eq!(account.findings, [""; 0]);
    assert_eq!(
        account.slots,
        [],
        "somebody who is dead has something still"
    );
    WorkerContext::current().attach(SURVIVOR);
}

// I9
#[test]
fn worker_may_die_at_every_store_of_the_allocator() {
    let name = test_name!("worker_may_die_at_every_store_of_the_allocator");
    with_regions(name, ROOMY, || {
        let layout = |size| Layout::from_size_align(size, 16).expect("sizes are sane");
        let small: [Layout; 3] = [32, 200, 20_000].map(layout);
        let large = layout(150_000);
        // Blocks of another worker, to be freed from afar, and of one that is dead, to be adopted.
        let mut others: Vec<(NonNull<u8>, Layout)> = Vec::new();
        for slot in [1, 2] {
            let mut actor = Actor::start(slot);
            actor.act(|| {
                for layout in small.into_iter().chain([large]) {
                    others.push((allocate(layout).expect("room"), layout));
                }
            });
        }
        recover(WorkerSlot(2));
        let points = at_every_store(
            0,
            || {
                let mut mine: Vec<_> = small
                    .iter()
                    .chain([&large])
                    .map(|layout| (allocate(*layout).expect("room"), *layout))
                    .collect();
                mine.push((allocate_root(small[1]).expect("room"), small[1]));
                // Fills a superblock of the largest class here, so that another one is claimed.
                mine.extend((0..4).map(|_| (allocate(small[2]).expect("room"), small[2])));
                for (block, layout) in mine.into_iter().chain(others.iter().copied()) {
                    // SAFETY: each is freed once, by the one worker that acts.
                    unsafe { deallocate(block, layout) };
                }
                collect();
                // What is kept now is taken, let go of, and given back.
                let again = allocate(small[1]).expect("room");
                // SAFETY: as above.
                unsafe { deallocate(again, small[1]) };
                collect();
                for _look in 0..2 {
                    Realm::Heap.record().look_ns.store(1, SeqCst);
                    while give_back_old().is_some() {}
                }
            },
            || {
                survive(&[0, 1]);
                clear();
            },
        );
        assert!(points > 150, "{points}");
    });
}

// I6, I9, R3: one store makes the new form the live one, and whatever lies on either side of it, the
// box is whole.
#[test]
fn worker_may_die_at_every_store_of_a_conversion() {
    let name = test_name!("worker_may_die_at_every_store_of_a_conversion");
    with_regions(name, ROOMY, || {
        bind();
        // SAFETY: an atomic, in the region's slots for guards, none of which is used here.
        let word = unsafe { &*((CONTROL_ADDR + GUARDS_OFFSET) as *const AtomicU64) };
        let mut maker = Actor::start(1);
        maker.act(|| {
            // SAFETY: a box is its word; this one is dropped as one by the judge.
            let made = unsafe { std::mem::transmute::<Versioned<New>, u64>(new(5, NOTE)) };
            word.store(made, Relaxed);
        });
        let place = word.as_ptr();
        let points = at_every_store(
            0,
            || {
                for tag in [OLD, NEW] {
                    // SAFETY: a live box that nobody else touches.
                    unsafe { convert_box(&mut *place, tag) }.expect("has a form");
                }
            },
            || {
                survive(&[0, 1]);
                // SAFETY: the word outlives the worker.
                let mut word = unsafe { place.read() };
                let mut owned = Owned::default();
                // SAFETY: a live box, by what this test is about.
                unsafe { visit_box(word, &mut owned) };
                assert_eq!(owned.damage, [""; 0]);
                assert!([OLD, NEW].contains(&Tag((word >> 48) as u16)));
                // SAFETY: as above.
                unsafe { convert_box(&mut word, NEW) }.expect("has a form");
                // SAFETY: a box of this form is its word.
                let mut found = unsafe { std::mem::transmute::<u64, Versioned<New>>(word) };
                let value = found.get_mut().expect("its own form");
                assert_eq!((value.extra, &value.note[..]), (5, NOTE.as_bytes()));
                let word = std::mem::ManuallyDrop::new(found);
                // SAFETY: forgotten above, and dropped here once.
                unsafe { drop_box(std::mem::transmute_copy(&word)) };
                assert_eq!(BlockMap::new().unreached(), [], "no block is lost");
                clear();
            },
        );
        assert!(points > 30, "{points}");
    });
}
