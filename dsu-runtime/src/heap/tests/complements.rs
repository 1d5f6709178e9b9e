//! R10: how long complements live, in boxes and in roots, and the bytes that they are counted with.

use super::super::box_word::BoxWord;
use super::super::{
    Shared, Transaction, Versioned, Visitor, convert_box, convert_root, drop_box, live, make_root,
    sweep_box, sweep_root, visit_box,
};
use super::lenses::{AFTER, After, LAST, Last, NEW, NOTE, New, OLD, Old, bind, new, text};
use super::{Owned, as_worker, test_name};
use crate::abi::Representation;
use crate::error::AccessError;
use crate::ids::Tag;
use std::alloc::Layout;
use std::ptr::NonNull;

/// Sweeps each box that it is shown, as the walk over a guard does.
#[derive(Default)]
struct Sweeper {
    converted: u32,
    foreign: u32,
}

// SAFETY: words are changed by the sweep's conversion alone, and it says that it changes boxes.
unsafe impl Visitor for Sweeper {
    fn block(&mut self, _pointer: NonNull<u8>, _layout: Layout) {}

    fn versioned(&mut self, word: &mut u64, expected: Tag) {
        match sweep_box(word, expected) {
            Ok(is_changed) => self.converted += u32::from(is_changed),
            Err(AccessError::Foreign) => self.foreign += 1,
            Err(error) => panic!("{error}"),
        }
    }

    fn changes_boxes(&self) -> bool {
        true
    }

    fn damage(&mut self, what: &str) {
        panic!("{what}");
    }
}

fn sweep<T: Shared>(value: &mut T) -> Sweeper {
    let mut sweeper = Sweeper::default();
    value.visit(&mut sweeper);
    sweeper
}

/// A box in form `New` that was in form `Old` in between: it has the complement of that lens.
fn been_old() -> Versioned<New> {
    let mut stored = new(5, NOTE).rebind::<Old>();
    stored.get_mut().expect("has an old form");
    let mut stored = stored.rebind::<New>();
    stored.get_mut().expect("has a new form");
    stored
}

// R10
#[test]
fn counts_of_many_conversions_inside_one_that_is_given_up_are_all_forgotten() {
    let name =
        test_name!("counts_of_many_conversions_inside_one_that_is_given_up_are_all_forgotten");
    as_worker(name, || {
        let counts = || [OLD, NEW, LAST].map(live::count);
        let outer = live::open();
        for _ in 0..2_000 {
            let inner = live::open();
            live::add(OLD, -1);
            let innermost = live::open();
            live::add(NEW, 1);
            live::keep(innermost);
            live::add_complement(NEW, 16);
            live::keep(inner);
            live::discard({
                let given_up = live::open();
                live::add(LAST, 1);
                given_up
            });
        }
        assert_eq!(counts(), [0; 3]);
        live::discard(outer);
        assert_eq!((counts(), live::complement_bytes_of(NEW)), ([0; 3], 0));

        let outer = live::open();
        for _ in 0..2_000 {
            let inner = live::open();
            live::add(OLD, -1);
            live::add(NEW, 1);
            live::keep(inner);
        }
        live::gain();
        assert_eq!(counts(), [0, 2_000, 0]);
        live::keep(outer);
        assert_eq!(counts(), [-2_000, 2_000, 0]);
        live::add(OLD, 2_000);
        live::add(NEW, -2_000);
    });
}

// R10
#[test]
fn sweep_to_the_next_version_drops_what_only_the_one_before_the_last_needs() {
    let name =
        test_name!("sweep_to_the_next_version_drops_what_only_the_one_before_the_last_needs");
    as_worker(name, || {
        bind();
        let mut stored = been_old();
        let of_one = live::complement_bytes();
        assert!(of_one > 0);
        let blocks = Owned::of(&mut stored).blocks.len();
        assert_eq!(sweep(&mut stored).converted, 0);
        assert_eq!(Owned::of(&mut stored).blocks.len(), blocks);

        let mut stored = stored.rebind::<Last>();
        stored.get_mut().expect("has a form");
        assert_eq!(live::complement_bytes(), 2 * of_one);
        assert_eq!(sweep(&mut stored).converted, 0);
        assert_eq!(live::complement_bytes(), of_one);
        assert_eq!(Owned::of(&mut stored).blocks.len(), 4); // value, name, complement, note
        // What is left is what going back by one version needs.
        let mut stored = stored.rebind::<New>();
        let value = stored.get_mut().expect("has a form");
        assert_eq!((value.extra, &value.note[..]), (5, NOTE.as_bytes()));
    });
}

// R10
#[test]
fn sweep_that_converts_over_several_lenses_drops_all_that_it_passed() {
    let name = test_name!("sweep_that_converts_over_several_lenses_drops_all_that_it_passed");
    as_worker(name, || {
        bind();
        let mut stored = been_old().rebind::<After>();
        assert_eq!(sweep(&mut stored).converted, 1);
        assert_eq!(stored.tag(), AFTER);
        assert_eq!(live::complement_bytes(), 0);
        assert_eq!(Owned::of(&mut stored).blocks.len(), 2); // value, name
        // The block has room for a chain still, which is empty.
        assert_eq!(sweep(&mut stored).converted, 0);
        assert_eq!(stored.get().expect("its own form").count, 1);
    });
}

// R6, R10: most values keep nothing on the way to the version that knows more.
#[test]
fn vacant_complement_takes_no_block() {
    as_worker(test_name!("vacant_complement_takes_no_block"), || {
        bind();
        let name = text("whole, and too long for a string without a block");
        let value = Old { count: 1, name };
        let mut stored = Versioned::new(value).expect("room").rebind::<New>();
        let before = Owned::of(&mut stored).blocks.len();
        stored.get_mut().expect("has a new form").extra = 9;
        assert_eq!(stored.tag(), NEW);
        assert_eq!(Owned::of(&mut stored).blocks.len(), before);
        assert_eq!(live::complement_bytes(), 0);

        let mut stored = stored.rebind::<Old>();
        stored.get_mut().expect("has an old form");
        assert!(live::complement_bytes() > 0);
        let mut stored = stored.rebind::<New>();
        assert_eq!(stored.get_mut().expect("has a new form").extra, 9);
        assert_eq!(live::complement_bytes(), 0);
        assert_eq!(Owned::of(&mut stored).blocks.len(), before);
    });
}

// R10, R13
#[test]
fn what_has_no_form_in_the_target_keeps_its_complements() {
    let name = test_name!("what_has_no_form_in_the_target_keeps_its_complements");
    as_worker(name, || {
        bind();
        let mut stored = been_old();
        stored.get_mut().expect("its own form").extra = 666;
        let before = Owned::of(&mut stored).bytes();
        let mut stored = stored.rebind::<Old>();
        assert_eq!(sweep(&mut stored).foreign, 1);
        assert_eq!(Owned::of(&mut stored).bytes(), before);
    });
}

// R10
#[test]
fn bytes_of_complements_follow_commits_and_aborts() {
    as_worker(
        test_name!("bytes_of_complements_follow_commits_and_aborts"),
        || {
            bind();
            let mut stored = new(5, NOTE).rebind::<Old>();
            assert_eq!(live::complement_bytes(), 0);
            stored.get().expect("a copy to read");
            assert_eq!(live::complement_bytes(), 0);
            let transaction = Transaction::begin();
            // SAFETY: as a lens does it: moved out bit by bit, the source is live after the abort.
            let mut moved = unsafe { std::ptr::read(&stored) };
            moved.get_mut().expect("has an old form");
            std::mem::forget(moved);
            transaction.abort();
            assert_eq!(live::complement_bytes(), 0);
            stored.get_mut().expect("has an old form");
            assert!(live::complement_bytes() > 0);
        },
    );
}

// R13: by the newer side of its lens, so that whoever starts workers knows whose code it needs.
#[test]
fn complements_are_counted_by_the_lens_that_they_are_of() {
    let name = test_name!("complements_are_counted_by_the_lens_that_they_are_of");
    as_worker(name, || {
        bind();
        let bytes = || [OLD, NEW, LAST].map(live::complement_bytes_of);
        let stored = been_old();
        let of_one = live::complement_bytes();
        assert_eq!(bytes(), [0, of_one, 0]);
        let mut stored = {
            let mut next = stored.rebind::<Last>();
            next.get_mut().expect("has a form");
            next
        };
        let of_both = live::complement_bytes();
        assert_eq!(bytes(), [0, of_one, of_both - of_one]);
        assert!(of_both > of_one);
        let transaction = Transaction::begin();
        // SAFETY: as a lens does it: moved out bit by bit, the source is live after the abort.
        drop(unsafe { std::ptr::read(&stored) });
        transaction.abort();
        assert_eq!(bytes(), [0, of_one, of_both - of_one]);
        sweep(&mut stored);
        assert_eq!(bytes(), [0, 0, of_both - of_one]);
        drop(stored);
        assert_eq!(bytes(), [0; 3]);
    });
}

// R13: a library knows its lens from an older form though nobody here has the version of that form.
#[test]
fn what_a_lens_kept_is_dropped_where_its_older_form_is_not_known() {
    let name = test_name!("what_a_lens_kept_is_dropped_where_its_older_form_is_not_known");
    as_worker(name, || {
        bind();
        let name = text("kept on the way forward");
        let value = Old { count: 1, name };
        let mut stored = Versioned::new(value).expect("room").rebind::<New>();
        stored.get_mut().expect("has a new form");
        assert!(live::complement_bytes_of(NEW) > 0);
        // As if its library had never been loaded.
        // SAFETY: nobody looks at the entry meanwhile.
        unsafe { (*Representation::pointer(OLD)).drop = None };
        let mut stored = stored.rebind::<Last>();
        stored.get_mut().expect("has a form");
        assert_eq!(Owned::of(&mut stored).damage, [""; 0]);
        sweep(&mut stored);
        assert_eq!(live::complement_bytes_of(NEW), 0);
    });
}

// R10
#[test]
fn root_loses_outdated_complements_and_stays_where_it_is() {
    as_worker(
        test_name!("root_loses_outdated_complements_and_stays_where_it_is"),
        || {
            bind();
            let mut word = 0;
            let fill = |tuple: NonNull<u8>| {
                let value = New {
                    count: 3,
                    name: text("a name that lies in a block of its own (new)"),
                    extra: 5,
                    note: text(NOTE),
                };
                // SAFETY: room for a `New`.
                unsafe { tuple.cast::<New>().write(value) };
                Ok(())
            };
            make_root(NEW, 0, fill, |made| word = made).expect("room");
            // SAFETY: the word of a live root that nobody else knows.
            unsafe {
                for tag in [OLD, NEW, LAST] {
                    let mut next = word;
                    convert_root(word, tag, 0, |new| next = new).expect("has a form");
                    word = next;
                }
                let owned = |word| {
                    let mut owned = Owned::default();
                    visit_box(word, &mut owned);
                    assert_eq!(owned.damage, [""; 0]);
                    owned.blocks.len()
                };
                assert_eq!(owned(word), 5); // value, name, two complements, note
                sweep_root(word);
                assert_eq!(owned(word), 4);
                sweep_root(word);
                assert_eq!(owned(word), 4);
                convert_box(&mut word, NEW).expect("has a form");
                assert_eq!(BoxWord(word).block().cast::<New>().as_ref().extra, 5);
                drop_box(word);
            }
            assert_eq!([OLD, NEW, LAST].map(live::count), [0; 3]);
        },
    );
}
