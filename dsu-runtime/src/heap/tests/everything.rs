//! Every container, made empty by one process and used by another: nothing in an empty one points
//! anywhere, and no operation needs more than the value itself.

use super::super::testing::{begin_section, in_processes};
use super::super::{
    Inline, Shared, SharedBox, SharedBytes, SharedDeque, SharedMap, SharedOrderedMap, SharedRc,
    SharedString, SharedVec, SharedWeak, Visitor, live,
};
use super::lenses::{NEW, New, bind};
use super::{Owned, allocated, as_worker, test_name};
use crate::abi::{CONTROL_ADDR, GUARDS_OFFSET, TypeSchema, WorkerContext};
use crate::ids::WorkerSlot;
use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One of each, all zero when empty.
#[derive(Default)]
#[repr(C)]
struct Everything {
    map: SharedMap<SharedBytes, SharedBytes>,
    vec: SharedVec<u64>,
    deque: SharedDeque<u64>,
    bytes: SharedBytes,
    string: SharedString,
    boxes: SharedMap<u64, New>,
    list: SharedVec<New>,
    line: SharedDeque<New>,
    ordered: SharedOrderedMap<SharedBytes, SharedBytes>,
    ranked: SharedOrderedMap<u64, New>,
    boxed: Option<SharedBox<SharedBytes>>,
    shared: Option<SharedRc<New>>,
    weak: Option<SharedWeak<New>>,
}

// SAFETY: made of shared types.
unsafe impl Shared for Everything {
    type Cell = Inline<Self>;

    fn schema() -> TypeSchema {
        TypeSchema::leaf::<Self>("Everything")
    }

    fn visit(&mut self, visitor: &mut dyn Visitor) {
        self.map.visit(visitor);
        self.vec.visit(visitor);
        self.deque.visit(visitor);
        self.bytes.visit(visitor);
        self.string.visit(visitor);
        self.boxes.visit(visitor);
        self.list.visit(visitor);
        self.line.visit(visitor);
        self.ordered.visit(visitor);
        self.ranked.visit(visitor);
        self.boxed.visit(visitor);
        self.shared.visit(visitor);
        self.weak.visit(visitor);
    }
}

fn key(n: u64) -> SharedBytes {
    SharedBytes::from_slice(format!("{n} is a key with a block").as_bytes()).expect("room")
}

fn element(n: u64) -> New {
    New {
        count: n,
        note: key(n),
        ..New::default()
    }
}

/// What has become of one in the ordered map.
fn element_of(n: u64) -> New {
    let mut element = element(n);
    element.name.append(b"ranked").expect("room");
    element
}

const MANY: u64 = 1_000;

/// Every kind of operation on what somebody else made; afterwards `must_be_as_left` holds.
fn use_everything(all: &mut Everything) {
    let reserve = 10;
    all.map.try_reserve(reserve).expect("room");
    all.vec.try_reserve(reserve).expect("room");
    all.deque.try_reserve(reserve).expect("room");
    all.bytes.try_reserve(reserve).expect("room");
    for n in 0..MANY {
        assert!(!all.map.contains(&key(n)[..]));
        all.map.insert(key(n), SharedBytes::new()).expect("room");
        all.vec.push(n).expect("room");
        all.deque.push_front(n).expect("room");
        all.bytes.append(&n.to_le_bytes()).expect("room");
        all.string.append("é").expect("room");
        all.boxes.insert(n, element(n)).expect("room");
        all.list.push(element(n)).expect("room");
        all.line.push_back(element(n)).expect("room");
        assert!(!all.ordered.contains(&key(n)[..]));
        all.ordered.insert(key(n), key(n)).expect("room");
        all.ranked.insert(n, element(n)).expect("room");
    }
    assert_eq!(all.map.iter().count() as u64, MANY);
    let removed = all.map.remove(&key(7)[..]);
    assert_eq!(removed.expect("inline"), Some(SharedBytes::new()));
    let value = all
        .map
        .get_mut(&key(8)[..])
        .expect("inline")
        .expect("there");
    value.append(b"eight").expect("room");
    all.map
        .replace(&key(9)[..], key(9))
        .expect("inline")
        .expect("there");
    let (nine, cell) = all
        .map
        .remove_entry(&key(9)[..])
        .expect("room")
        .expect("there");
    all.map.insert_cell(nine, cell).expect("room");
    let found = all
        .map
        .get_or_insert_with(&key(7)[..], || Ok((key(7), key(7))));
    assert_eq!(found.expect("room"), &key(7));
    assert_eq!(all.map.remove(&key(7)[..]).expect("inline"), Some(key(7)));
    let mut seen = 0;
    assert_eq!(all.map.scan(0, usize::MAX, |_, _| seen += 1), 0);
    assert_eq!(seen, MANY - 1);
    assert!(all.map.random(|| 1 << 63 | 12_345).is_some());

    assert_eq!(all.vec.remove(3).expect("inline"), Some(3));
    all.vec.insert(3, 33).expect("room");
    *all.vec.get_mut(4).expect("inline").expect("there") = 44;
    assert_eq!(all.vec.pop().expect("inline"), Some(MANY - 1));
    all.deque.push_back(77).expect("room");
    assert_eq!(all.deque.pop_back().expect("inline"), Some(77));
    assert_eq!(all.deque.pop_front().expect("inline"), Some(MANY - 1));
    *all.deque.get_mut(0).expect("inline").expect("there") = 55;
    all.bytes.write_at(0, b"written!").expect("room");
    all.bytes.resize(80, 1).expect("room");
    all.string.truncate(4);

    for n in 0..MANY {
        let of_map = all.boxes.get_mut(&n).expect("its own form").expect("there");
        of_map.name.append(b"edited").expect("room");
        let ranked = all.ranked.get_mut(&n).expect("its own form");
        ranked.expect("there").name.append(b"ranked").expect("room");
    }
    let ordered = &mut all.ordered;
    assert_eq!(ordered.remove(&key(7)[..]).expect("inline"), Some(key(7)));
    let value = ordered.get_mut(&key(8)[..]).expect("inline");
    value.expect("there").append(b"!").expect("room");
    let found = ordered.get_or_insert_with(&b"0"[..], || Ok((key(7), key(7))));
    assert_eq!(found.expect("room"), &key(7));
    assert_eq!(
        ordered.remove_nth(0).expect("room").map(|(k, _)| k),
        Some(key(7))
    );
    ordered.retain(|_, cell| cell.0 != key(5)).expect("room");
    let (ranked, last) = (&mut all.ranked, MANY - 1);
    assert_eq!(
        ranked.pop_last().expect("own form"),
        Some((last, element_of(last)))
    );
    let (_, cell) = ranked.nth_mut(3).expect("room").expect("there");
    cell.get_mut().expect("its own form").count = 33;
    assert_eq!(all.list.remove(5).expect("its own form"), Some(element(5)));
    let first = all.line.pop_front().expect("its own form");
    assert_eq!(first, Some(element(0)));
    match &mut all.boxed {
        Some(boxed) => boxed.get_mut().expect("room").append(b"!").expect("room"),
        empty => *empty = Some(SharedBox::new(key(1)).expect("room")),
    }
    under_guard(|| {
        let node = SharedRc::new(element(11)).expect("room");
        all.weak = Some(node.downgrade().expect("held"));
        drop(all.shared.replace(node));
        let node = all.shared.as_ref().expect("just put there");
        let other = node.try_clone().expect("held");
        other.edit(|value| value.count = 12).expect("its own form");
    });
    must_be_as_left(all);
}

/// Runs `body` as if a guard were held: nodes are touched under one alone.
fn under_guard(body: impl FnOnce()) {
    const GUARD: usize = CONTROL_ADDR + GUARDS_OFFSET;
    let context = WorkerContext::current();
    // SAFETY: the lock word of a slot that nobody uses here.
    let lock = unsafe { &*(GUARD as *const AtomicU64) };
    lock.store(context.owner().into(), Relaxed);
    // Instead of the section of no guard.
    context.end_section();
    context.took(GUARD);
    body();
    context.released(GUARD);
    begin_section();
    lock.store(0, Relaxed);
}

fn must_be_as_left(all: &mut Everything) {
    Owned::of(all);
    assert_eq!(all.map.len() as u64, MANY - 1);
    assert!(!all.map.contains(&key(7)[..]));
    let value = |n| all.map.get(&key(n)[..]).expect("inline").expect("there");
    assert_eq!(&value(8)[..], b"eight");
    assert_eq!((value(9), value(10)), (&key(9), &SharedBytes::new()));
    let of_vec: Vec<u64> = (0..6)
        .map(|n| *all.vec.get(n).expect("inline").expect("there"))
        .collect();
    assert_eq!(of_vec, [0, 1, 2, 33, 44, 5]);
    assert_eq!(all.vec.len() as u64, MANY - 1);
    assert_eq!(all.deque.len() as u64, MANY - 1);
    assert_eq!(all.deque.get(0).expect("inline"), Some(&55));
    assert_eq!((&all.bytes[..8], all.bytes.len()), (&b"written!"[..], 80));
    assert_eq!(all.string.as_str(), "éé");
    for n in 0..MANY {
        let of_map = all.boxes.get(&n).expect("its own form").expect("there");
        assert_eq!((of_map.count, &of_map.name[..]), (n, &b"edited"[..]));
    }
    assert_eq!(all.list.get(5).expect("own form"), Some(&element(6)));
    assert_eq!(all.line.get(0).expect("own form"), Some(&element(1)));
    assert!(all.boxed.as_deref().expect("there").starts_with(&key(1)));
    assert_eq!(
        (all.ordered.len() as u64, all.ranked.len() as u64),
        (MANY - 2, MANY - 1)
    );
    assert!(
        all.ordered.keys().is_sorted() && all.ordered.keys().rev().count() == all.ordered.len()
    );
    let eight = all
        .ordered
        .get(&key(8)[..])
        .expect("inline")
        .expect("there");
    assert!(eight.ends_with(b"!") && !all.ordered.contains(&key(5)[..]));
    let counts = all
        .ranked
        .values()
        .take(5)
        .map(|value| value.expect("own form").count);
    assert_eq!(counts.collect::<Vec<_>>(), [0, 1, 2, 33, 4]);
    assert_eq!(
        all.ranked.range(10..20).rev().map(|(n, _)| *n).sum::<u64>(),
        145
    );
    assert_eq!(all.ranked.rank_of(&500), Ok(500));
    under_guard(|| {
        let (node, weak) = (all.shared.as_ref(), all.weak.as_ref());
        let (node, weak) = (node.expect("there"), weak.expect("there"));
        assert_eq!(node.read(|value| value.count), Ok(12));
        assert_eq!((node.strong_count(), node.weak_count()), (Ok(1), Ok(1)));
        let other = weak.upgrade().expect("held").expect("alive");
        assert!(other.ptr_eq(node));
    });
    assert_eq!(live::count(NEW) as u64, 4 * MANY - 2);
}

fn clear(all: &mut Everything) {
    all.map.clear();
    all.vec.clear();
    all.deque.clear();
    all.bytes.clear();
    all.string.clear();
    all.boxes.clear();
    all.list.clear();
    all.line.clear();
    all.ordered.clear();
    all.ranked.clear();
    all.boxed = None;
    under_guard(|| {
        all.shared = None;
        let gone = all.weak.take().expect("there");
        assert!(gone.upgrade().expect("held").is_none());
    });
    assert!(Owned::of(all).blocks.is_empty());
}

/// What the process before left, by its address.
fn found(address: usize) -> &'static mut Everything {
    bind();
    // SAFETY: a stage before made it and is gone; nobody else uses it.
    unsafe { &mut *(address as *mut Everything) }
}

// Design, section 3: containers.
#[test]
fn what_one_process_made_empty_others_use_read_and_drop() {
    let name = test_name!("what_one_process_made_empty_others_use_read_and_drop");
    let make_empty = |_| {
        let all = SharedBox::new(Everything::default()).expect("room");
        let address = std::ptr::from_ref(&*all) as usize;
        std::mem::forget(all);
        address
    };
    let fill = |address| {
        use_everything(found(address));
        address
    };
    let read_and_empty = |address| {
        must_be_as_left(found(address));
        clear(found(address));
        address
    };
    let drop_full = |address| {
        must_be_as_left(found(address));
        let place: *mut Everything = found(address);
        // SAFETY: `SharedBox` is one pointer to its block; it was forgotten where it was made.
        let all = unsafe { std::mem::transmute::<*mut Everything, SharedBox<Everything>>(place) };
        under_guard(|| drop(all));
        0
    };
    let stages: [fn(usize) -> usize; 5] = [make_empty, fill, read_and_empty, fill, drop_full];
    in_processes(name, &stages, || {
        WorkerContext::current().attach(WorkerSlot(9));
        assert_eq!(allocated(), []);
        assert_eq!(live::count(NEW), 0);
    });
}

#[test]
fn empty_containers_are_all_zero_and_usable_from_their_bytes_alone() {
    as_worker(
        test_name!("empty_containers_are_all_zero_and_usable_from_their_bytes_alone"),
        || {
            bind();
            let empty = [0u64; size_of::<Everything>() / 8];
            // SAFETY: `Everything` is made of whole words, all initialised.
            let bits = unsafe {
                std::mem::transmute_copy::<Everything, [u64; size_of::<Everything>() / 8]>(
                    &Everything::default(),
                )
            };
            assert_eq!(bits, empty);
            // SAFETY: all zero is an empty container, as just shown.
            let mut all: Everything = unsafe { std::mem::transmute_copy(&empty) };
            use_everything(&mut all);
            clear(&mut all);
        },
    );
}

#[test]
fn nonsense_in_a_container_is_reported_and_not_followed() {
    as_worker(
        test_name!("nonsense_in_a_container_is_reported_and_not_followed"),
        || {
            for word in 0..size_of::<Everything>() / 8 {
                for nonsense in [0x10u64, u64::MAX, 0x7fff_0000_0010] {
                    let mut words = [0u64; size_of::<Everything>() / 8];
                    words[word] = nonsense;
                    // SAFETY: any bits may be shown; the value is never used or dropped.
                    let mut all: std::mem::ManuallyDrop<Everything> =
                        unsafe { std::mem::transmute_copy(&words) };
                    let mut owned = Owned::default();
                    all.visit(&mut owned);
                    let is_harmless = words_without_meaning().contains(&word);
                    assert!(
                        is_harmless || !owned.damage.is_empty(),
                        "word {word}: {nonsense:#x}"
                    );
                }
            }
        },
    );
}

/// Hash keys, capacities of nothing, a front of nothing, bytes that lie inline.
fn words_without_meaning() -> Vec<usize> {
    let of_field = [
        (offset_of!(Everything, map), &[0, 1][..]),
        (offset_of!(Everything, vec), &[1]),
        (offset_of!(Everything, deque), &[1, 2]),
        (offset_of!(Everything, bytes), &[0, 1]),
        (offset_of!(Everything, string), &[0, 1]),
        (offset_of!(Everything, boxes), &[0, 1]),
        (offset_of!(Everything, list), &[1]),
        (offset_of!(Everything, line), &[1, 2]),
    ];
    of_field
        .iter()
        .flat_map(|(offset, words)| words.iter().map(move |word| offset / 8 + word))
        .collect()
}
