//! A worker dies at every store of a preparation, a flip and a discarding: what is left is sound, holds what
//! it held, and loses at most the blocks of a twin.

use super::super::prepare::Progress;
use super::index::HashedIndexed;
use super::lists;
use super::maps::ToOrdered;
use super::parts::HashedParts;
use super::world::{Row, Side, Tested, bind_twins, living};
use crate::abi::{CONTROL_ADDR, Converter, GUARDS_OFFSET, Representation, WorkerContext};
use crate::expansion::{backward, drop_value, forward, visit_value};
use crate::heap::block;
use crate::heap::box_word::{BoxWord, Form};
use crate::heap::stepping::at_every_store;
use crate::heap::testing::{Actor, ROOMY, begin_section, clear, with_regions};
use crate::heap::tests::{Owned, lenses};
use crate::heap::{Shared, convert_box, drop_box, live, recover, release_scratch, visit_box};
use crate::ids::{Tag, WorkerSlot};
use crate::sys::time::Nanos;
use std::collections::BTreeMap;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

const LEFT: Tag = Tag(350);
const RIGHT: Tag = Tag(351);
const KEYS: u64 = 5;
const END: Nanos = Nanos(u64::MAX);

/// What the judges see of the worker's mind.
#[repr(C)]
struct Plan {
    /// The box that has the container.
    word: AtomicU64,
    /// Not 0 while the application writes, whose death would poison the guard.
    writes: AtomicU64,
    /// How many elements there are, those of the smallest keys, and the count of each.
    elements: AtomicU64,
    count: AtomicU64,
}

/// A container as the content of a box.
pub(super) fn bind_container<T: Shared>(tag: Tag, to: Option<Converter>) {
    // SAFETY: the table is mapped and this thread is the worker; all zero is an entry.
    unsafe {
        let entry = Representation::pointer(tag);
        entry.write_bytes(0, 1);
        (*entry).size = size_of::<T>() as u32;
        (*entry).align = align_of::<T>() as u32;
        (*entry).holds_boxes = true;
        (*entry).drop = Some(drop_value::<T>);
        (*entry).visit = Some(visit_value::<T>);
        if let Some(to) = to {
            (*entry).converters[0] = to;
        }
    }
}

/// Containers as contents of a box, with the lens between them.
fn bind_sides<L: Tested>() {
    lenses::bind();
    bind_twins();
    let lens = |target: Tag, is_forward, call| Converter {
        target: target.0,
        forward: is_forward,
        complement_size: 0,
        complement_align: 1,
        call: Some(call),
        environment: ptr::null(),
        twin: None,
        drop_complement: None,
        visit_complement: None,
    };
    bind_container::<L::Left>(LEFT, Some(lens(RIGHT, true, forward::<L>)));
    bind_container::<L::Right>(RIGHT, Some(lens(LEFT, false, backward::<L>)));
}

pub(super) fn boxed<T>(tag: Tag, value: T) -> u64 {
    let layout = Form::of::<T>().layout(false).expect("sane");
    let block = block::allocate(layout).expect("room");
    // SAFETY: a new block of this layout.
    unsafe { block.cast::<T>().write(value) };
    live::add(tag, 1);
    BoxWord::new(tag, block, None).0
}

/// The container in the box.
fn inside<'a, T>(word: u64) -> &'a mut T {
    // SAFETY: each test looks at one container at a time.
    unsafe { BoxWord(word).block().cast::<T>().as_mut() }
}

fn prepare<L: Tested>(word: u64) {
    begin_section();
    let prepared = match BoxWord(word).tag() {
        LEFT => L::prepare_forward(inside(word), END),
        _ => L::prepare_backward(inside(word), END),
    };
    assert_eq!(prepared, Ok(Progress::Done));
}

fn discard<L: Tested>(word: u64) {
    let discarded = match BoxWord(word).tag() {
        LEFT => L::discard_left(inside(word), END),
        _ => L::discard_right(inside(word), END),
    };
    assert_eq!(discarded, Ok(Progress::Done));
}

fn rows<L: Tested>(word: u64) -> BTreeMap<u64, Row> {
    match BoxWord(word).tag() {
        LEFT => inside::<L::Left>(word).rows(),
        _ => inside::<L::Right>(word).rows(),
    }
}

fn write<L: Tested>(plan: &Plan, elements: u64, count: u64) {
    fn all(side: &mut impl Side, before: u64, elements: u64, count: u64) {
        (0..elements).for_each(|key| assert!(side.put(key, count, 7)));
        (elements..before).for_each(|key| assert!(side.erase(key)));
    }
    begin_section();
    plan.writes.store(1, SeqCst);
    let (word, before) = (plan.word.load(SeqCst), plan.elements.load(SeqCst));
    match BoxWord(word).tag() {
        LEFT => all(inside::<L::Left>(word), before, elements, count),
        _ => all(inside::<L::Right>(word), before, elements, count),
    }
    plan.elements.store(elements, SeqCst);
    plan.count.store(count, SeqCst);
    plan.writes.store(0, SeqCst);
}

fn flip(plan: &Plan) {
    let word = plan.word.as_ptr();
    // SAFETY: a live box that nobody else touches.
    unsafe {
        let to = if BoxWord(*word).tag() == LEFT {
            RIGHT
        } else {
            LEFT
        };
        convert_box(&mut *word, to).expect("has a form");
    }
}

/// What the survivors find: the container whole, with what it held, and able to go on.
fn judge<L: Tested>(plan: &Plan) {
    if plan.writes.load(SeqCst) != 0 {
        return;
    }
    for slot in [0, 1, 0] {
        recover(WorkerSlot(slot));
    }
    WorkerContext::current().attach(WorkerSlot(5));
    begin_section();
    let mut word = plan.word.load(SeqCst);
    let mut owned = Owned::default();
    // SAFETY: a live box, by what this test is about.
    unsafe { visit_box(word, &mut owned) };
    assert_eq!(owned.damage(), [""; 0]);
    let (elements, count) = (plan.elements.load(SeqCst), plan.count.load(SeqCst));
    let check = |word| {
        let rows = rows::<L>(word);
        assert_eq!(rows.len() as u64, elements);
        assert!(
            rows.values()
                .all(|row| row.is_some_and(|row| row.0 == count))
        );
        release_scratch();
    };
    check(word);
    prepare::<L>(word);
    check(word);
    for _ in 0..2 {
        let to = if BoxWord(word).tag() == LEFT {
            RIGHT
        } else {
            LEFT
        };
        // SAFETY: as above.
        unsafe { convert_box(&mut word, to) }.expect("has a form");
        check(word);
    }
    // SAFETY: the word is not used again.
    unsafe { drop_box(word) };
    // Whoever dies in the middle of a change leaves too many in the books, never too few: an update then
    // looks once more, and finds none.
    assert!(living() >= 0, "{}", living());
    clear();
}

fn try_every_death<L: Tested>(name: &str) {
    with_regions(name, ROOMY, || {
        bind_sides::<L>();
        // SAFETY: atomics, in the region's slots for guards, none of which is used here: where recovery
        // finds the word of a box.
        let plan = unsafe { &*((CONTROL_ADDR + GUARDS_OFFSET) as *const Plan) };
        let mut maker = Actor::start(1);
        maker.act(|| {
            let word = boxed(LEFT, L::Left::default());
            plan.word.store(word, SeqCst);
            write::<L>(plan, KEYS, 1);
        });
        let points = at_every_store(
            0,
            || {
                let word = || plan.word.load(SeqCst);
                prepare::<L>(word());
                write::<L>(plan, KEYS - 2, 2);
                prepare::<L>(word());
                flip(plan);
                write::<L>(plan, KEYS, 3);
                prepare::<L>(word());
                flip(plan);
                discard::<L>(word());
                // Without preparation.
                flip(plan);
                discard::<L>(word());
            },
            || judge::<L>(plan),
        );
        assert!(points > 200, "{points}");
    });
}

macro_rules! deaths {
    ($($name:ident: $lens:ty;)*) => {$(
        // I6, D1, D2, D3
        #[test]
        fn $name() {
            try_every_death::<$lens>(concat!(module_path!(), "::", stringify!($name)));
        }
    )*};
}

deaths! {
    worker_may_die_at_every_store_while_a_map_becomes_ordered: ToOrdered;
    worker_may_die_at_every_store_while_a_map_becomes_two: HashedParts;
    worker_may_die_at_every_store_while_a_vector_becomes_a_map: lists::ToHashed;
    worker_may_die_at_every_store_while_a_map_gains_an_index: HashedIndexed;
}
