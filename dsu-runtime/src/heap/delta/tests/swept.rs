//! What a sweep does with containers whose other form is there.

use super::super::prepare::{Prepare, Progress};
use super::super::shape::{Hashed, MapShape};
use super::cases::{END, old_map, with_all};
use super::deaths::{bind_container, boxed};
use super::maps::ToOrdered;
use super::world::Side;
use crate::error::AccessError;
use crate::heap::box_word::BoxWord;
use crate::heap::root::{show_boxes_inside, sweep_box};
use crate::heap::testing::test_name;
use crate::heap::tests::Owned;
use crate::heap::tests::lenses::{NEW, Old};
use crate::heap::{Shared, SharedBytes, SharedMap, Visitor, drop_box, live};
use crate::ids::Tag;
use std::alloc::Layout;
use std::ptr::NonNull;
use xform::Lens;

type OldMap = SharedMap<SharedBytes, Old>;

/// A map in a box, from which no way leads anywhere.
const STUCK: Tag = Tag(370);

/// Does to each box what the sweep of the newer version does, and takes out every third element.
#[derive(Default)]
struct Sweep {
    takes_out: bool,
    shown: u64,
    failed: u64,
}

// SAFETY: words are changed by the sweep's conversion alone, and it says that it changes boxes.
unsafe impl Visitor for Sweep {
    fn block(&mut self, _: NonNull<u8>, _: Layout) {}

    fn versioned(&mut self, word: &mut u64, _: Tag) {
        match sweep_box(word, NEW) {
            Ok(_) => {}
            Err(AccessError::Foreign) => self.failed += 1,
            Err(error) => panic!("{error}"),
        }
        show_boxes_inside(*word, self);
    }

    fn wants_boxes_only(&self) -> bool {
        true
    }

    fn changes_boxes(&self) -> bool {
        true
    }

    fn takes_out(&mut self, _: u64) -> bool {
        self.shown += 1;
        self.takes_out && self.shown.is_multiple_of(3)
    }

    fn damage(&mut self, what: &str) {
        panic!("{what}");
    }
}

fn twins() -> i64 {
    live::count(Tag(301))
}

/// A map with all of its ordered form.
fn prepared() -> OldMap {
    let mut map = old_map(0..50);
    let whole = ToOrdered::prepare_forward(&mut map, END);
    assert_eq!((whole, twins()), (Ok(Progress::Done), 1));
    map
}

#[test] // R13, R29, D3
fn a_sweep_that_changes_elements_leaves_nothing_that_says_what_they_were() {
    let name = test_name!("a_sweep_that_changes_elements_leaves_nothing_that_says_what_they_were");
    with_all(name, || {
        for takes_out in [false, true] {
            let mut map = prepared();
            map.visit(&mut Sweep {
                takes_out,
                ..Sweep::default()
            });
            assert!(!Hashed::twin::<Old>(&mut map).is_set());
            assert_eq!(twins(), 0);
            let before = map.rows();
            assert_eq!(before.len(), if takes_out { 34 } else { 50 });
            let (mut ordered, ()) = ToOrdered::default().forward(map, None).expect("room");
            assert_eq!(ordered.rows().len(), before.len());
            assert_eq!(Owned::of(&mut ordered).damage(), [""; 0]);
        }
    });
}

/// Would have everything dropped, and changes no boxes.
struct Looks;

// SAFETY: it looks, and leaves words and blocks as they are.
unsafe impl Visitor for Looks {
    fn block(&mut self, _: NonNull<u8>, _: Layout) {}

    fn versioned(&mut self, _: &mut u64, _: Tag) {}

    fn takes_out(&mut self, _: u64) -> bool {
        true
    }

    fn damage(&mut self, what: &str) {
        panic!("{what}");
    }
}

#[test] // D1, D2
fn nothing_is_taken_out_by_who_leaves_the_other_form_there() {
    let name = test_name!("nothing_is_taken_out_by_who_leaves_the_other_form_there");
    with_all(name, || {
        let mut map = prepared();
        map.visit(&mut Looks);
        assert!(Hashed::twin::<Old>(&mut map).is_set());
        assert_eq!((map.rows().len(), twins()), (50, 1));
        // The other form has the words of the elements: it reads all of them.
        let (mut ordered, ()) = ToOrdered::default().forward(map, None).expect("room");
        assert_eq!(ordered.rows().len(), 50);
        ordered.visit(&mut Looks);
        assert_eq!(ordered.rows().len(), 50);
        assert_eq!(Owned::of(&mut ordered).damage(), [""; 0]);
    });
}

#[test] // R13, R29
fn a_sweep_leaves_no_other_form_in_what_it_cannot_convert() {
    let name = test_name!("a_sweep_leaves_no_other_form_in_what_it_cannot_convert");
    with_all(name, || {
        bind_container::<OldMap>(STUCK, None);
        let mut word = boxed(STUCK, prepared());
        let mut sweep = Sweep::default();
        sweep.versioned(&mut word, NEW);
        assert_eq!(sweep.failed, 1, "the map, and none of its elements");
        assert_eq!((BoxWord(word).tag(), twins()), (STUCK, 0));
        // SAFETY: the word is not used again.
        unsafe { drop_box(word) };
    });
}

#[test] // R29
fn who_changes_nothing_leaves_the_other_form_where_it_is() {
    let name = test_name!("who_changes_nothing_leaves_the_other_form_where_it_is");
    with_all(name, || {
        let mut map = prepared();
        assert_eq!(Owned::of(&mut map).damage(), [""; 0]);
        assert_eq!(twins(), 1);
    });
}
