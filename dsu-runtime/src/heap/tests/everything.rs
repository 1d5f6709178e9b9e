//! Every container, made empty by one process and used by another: nothing in an empty one points
//! anywhere, and no operation needs more than the value itself.

use super::super::{
    Inline, Shared, SharedBytes, SharedDeque, SharedMap, SharedString, SharedVec, Visitor,
};
use super::{Owned, worker};
use crate::abi::TypeSchema;

/// One of each, all zero when empty.
#[derive(Default)]
#[repr(C)]
struct Everything {
    map: SharedMap<SharedBytes, SharedBytes>,
    vec: SharedVec<u64>,
    deque: SharedDeque<u64>,
    bytes: SharedBytes,
    string: SharedString,
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
    }
}

/// Every kind of operation on what somebody else made.
fn use_everything(all: &mut Everything) {
    for n in 0..1_000u64 {
        let key = SharedBytes::from_slice(format!("{n} is a key with a block").as_bytes());
        let key = key.expect("room");
        assert!(!all.map.contains(&key[..]));
        all.map.insert(key, SharedBytes::new()).expect("room");
        all.vec.push(n).expect("room");
        all.deque.push_front(n).expect("room");
        all.bytes.append(&n.to_le_bytes()).expect("room");
        all.string.append("é").expect("room");
    }
    assert_eq!(all.map.iter().count(), 1_000);
    let removed = all.map.remove(&b"7 is a key with a block"[..]);
    assert_eq!(removed.expect("inline"), Some(SharedBytes::new()));
    assert_eq!(all.vec.remove(3).expect("inline"), Some(3));
    assert_eq!(all.deque.pop_back().expect("inline"), Some(0));
    assert_eq!(all.bytes.len(), 8_000);
    all.string.truncate(4);
    assert_eq!(all.string.as_str(), "éé");
    Owned::of(all);
}

#[test]
fn empty_containers_are_all_zero_and_usable_from_their_bytes_alone() {
    let _turn = worker();
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
    all.map.clear();
    all.vec.clear();
    all.deque.clear();
    all.bytes.clear();
    all.string.clear();
    assert!(Owned::of(&mut all).blocks.is_empty());
}

#[test]
fn nonsense_in_a_container_is_reported_and_not_followed() {
    let _turn = worker();
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
}

/// Hash keys, capacities of nothing, a front of nothing, bytes that lie inline.
fn words_without_meaning() -> Vec<usize> {
    let map = size_of::<SharedMap<SharedBytes, SharedBytes>>() / 8;
    vec![
        0,
        1,
        map + 1,
        map + 4,
        map + 5,
        map + 7,
        map + 8,
        map + 9,
        map + 10,
    ]
}
