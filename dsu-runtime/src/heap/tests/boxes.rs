//! Boxes between two forms of a type and a third: reading, editing, failing, dropping.

use super::super::{
    Inline, Shared, SharedMap, SharedOrderedMap, SharedVec, Versioned, live, release_scratch,
    transaction::Transaction,
};
use super::lenses::{AFTER, After, LAST, Last, NEW, NOTE, New, OLD, Old, bind, new, old, text};
use super::{Owned, as_worker, failing_after, test_name};
use crate::abi::{Representation, TypeKind};
use crate::error::AccessError;
use std::ptr;

/// As [`as_worker`], with the lenses bound; no box may be left.
fn with_lenses(name: &str, body: impl FnOnce()) {
    as_worker(name, || {
        bind();
        body();
        assert_eq!([OLD, NEW, LAST, AFTER].map(live::count), [0; 4]);
    });
}

// R6, R10
#[test]
fn there_and_back_restores_what_the_older_side_cannot_hold() {
    with_lenses(
        test_name!("there_and_back_restores_what_the_older_side_cannot_hold"),
        || {
            let before = (live::count(OLD), live::count(NEW));
            let mut box_of_old = new(5, NOTE).rebind::<Old>();
            box_of_old.get_mut().expect("has an old form").count += 1;
            assert_eq!(live::count(OLD), before.0 + 1);
            assert_eq!(live::count(NEW), before.1);
            assert_eq!(Owned::of(&mut box_of_old).blocks.len(), 4); // value, name, complement, note
            let mut box_of_new = box_of_old.rebind::<New>();
            for _ in 0..3 {
                let value = box_of_new.get_mut().expect("has a new form");
                assert_eq!(
                    (value.count, value.extra, &value.note[..]),
                    (2, 5, NOTE.as_bytes())
                );
                let mut back = box_of_new.rebind::<Old>();
                back.get_mut().expect("has an old form");
                box_of_new = back.rebind();
            }
            drop(box_of_new);
            assert_eq!((live::count(OLD), live::count(NEW)), before);
        },
    );
}

// R20
#[test]
fn reading_another_form_changes_nothing() {
    with_lenses(test_name!("reading_another_form_changes_nothing"), || {
        let mut stored = new(5, NOTE);
        let blocks = Owned::of(&mut stored);
        let bytes = blocks.bytes();
        let counts = (live::count(OLD), live::count(NEW));
        let stored = stored.rebind::<Old>();
        let first = stored.get().expect("has an old form");
        let second = stored.get().expect("has an old form");
        assert_eq!(first, second);
        assert_eq!(&first.name[..], b"a name that lies in a block of its own");
        assert_eq!(stored.tag(), NEW);
        release_scratch();
        let mut stored = stored.rebind::<New>();
        assert_eq!(Owned::of(&mut stored).bytes(), bytes);
        assert_eq!((live::count(OLD), live::count(NEW)), counts);
    });
}

// R6
#[test]
fn overwriting_drops_the_complement_and_editing_keeps_it() {
    with_lenses(
        test_name!("overwriting_drops_the_complement_and_editing_keeps_it"),
        || {
            for (overwrites, extra) in [(true, 7), (false, 5)] {
                let mut stored = new(5, NOTE).rebind::<Old>();
                stored.get_mut().expect("has an old form").count = 9;
                if overwrites {
                    stored
                        .replace(Old {
                            count: 9,
                            name: text("other"),
                        })
                        .expect("room");
                }
                let mut stored = stored.rebind::<New>();
                let value = stored.get_mut().expect("has a new form");
                assert_eq!((value.count, value.extra), (9, extra));
            }
        },
    );
}

// R20
#[test]
fn failing_conversion_leaves_the_element_untouched() {
    with_lenses(
        test_name!("failing_conversion_leaves_the_element_untouched"),
        || {
            let mut bad = old("bad, and too long to lie inline").rebind::<New>();
            let before = Owned::of(&mut bad).bytes();
            let counts = (live::count(OLD), live::count(NEW));
            let failed = AccessError::Failed("bad name".to_owned());
            assert_eq!(bad.get().map(drop), Err(failed.clone()));
            assert_eq!(bad.get_mut().map(drop), Err(failed));
            assert_eq!(Owned::of(&mut bad).bytes(), before);

            let mut foreign = new(666, NOTE).rebind::<Old>();
            assert_eq!(foreign.get_mut().map(drop), Err(AccessError::Foreign));
            assert_eq!(
                foreign.rebind::<New>().get().expect("its own form").extra,
                666
            );

            let mut full = new(5, NOTE).rebind::<Old>();
            full.get_mut().expect("has an old form");
            let mut full = full.rebind::<New>();
            let bytes = Owned::of(&mut full).bytes();
            let mut allocations = 0;
            while failing_after(allocations, || full.get_mut().is_err()) {
                assert_eq!(Owned::of(&mut full).bytes(), bytes);
                assert_eq!(full.tag(), OLD);
                allocations += 1;
            }
            assert!(allocations >= 2);
            assert_eq!(full.get().expect("its own form").extra, 5);
            drop(full);
            assert_eq!((live::count(OLD), live::count(NEW)), counts);
        },
    );
}

// R11
#[test]
fn foreign_elements_are_counted_listed_replaced_and_removed() {
    with_lenses(
        test_name!("foreign_elements_are_counted_listed_replaced_and_removed"),
        || {
            let counts = (live::count(OLD), live::count(NEW));
            let mut map: SharedMap<u64, New> = SharedMap::new();
            for n in 0..300 {
                let value = New {
                    count: n,
                    name: text("n"),
                    extra: 666,
                    note: text(NOTE),
                };
                map.insert(n, value).expect("room");
            }
            let mut map = map.rebind::<Old>();
            assert_eq!((map.len(), map.contains(&5)), (300, true));
            assert_eq!(map.get(&5).map(|_| ()), Err(AccessError::Foreign));
            assert_eq!(map.remove(&5).map(|_| ()), Err(AccessError::Foreign));
            assert_eq!(
                map.iter().filter(|(_, cell)| cell.get().is_err()).count(),
                300
            );
            map.replace(
                &5,
                Old {
                    count: 1,
                    name: text("mine"),
                },
            )
            .expect("room")
            .expect("was there");
            assert_eq!(map.get(&5).expect("own form").expect("there").count, 1);
            let (key, cell) = map.remove_entry(&6).expect("room").expect("there");
            map.insert_cell(key + 1_000, cell).expect("room");
            assert!(map.contains(&1_006) && !map.contains(&6));
            Owned::of(&mut map);
            drop(map);
            assert_eq!((live::count(OLD), live::count(NEW)), counts);
        },
    );
}

// R11
#[test]
fn foreign_elements_of_an_ordered_map_are_counted_listed_replaced_and_removed() {
    with_lenses(
        test_name!("foreign_elements_of_an_ordered_map_are_counted_listed_replaced_and_removed"),
        || {
            let counts = (live::count(OLD), live::count(NEW));
            let mut map: SharedOrderedMap<u64, New> = SharedOrderedMap::new();
            for n in 0..300 {
                let value = New {
                    count: n,
                    name: text("n"),
                    extra: 666,
                    note: text(NOTE),
                };
                map.insert(n, value).expect("room");
            }
            let mut map = map.rebind::<Old>();
            assert_eq!((map.len(), map.contains(&5)), (300, true));
            assert_eq!(map.get(&5).map(|_| ()), Err(AccessError::Foreign));
            assert_eq!(map.remove(&5).map(|_| ()), Err(AccessError::Foreign));
            assert_eq!(map.pop_first().map(|_| ()), Err(AccessError::Foreign));
            assert_eq!(map.pop_last().map(|_| ()), Err(AccessError::Foreign));
            assert_eq!((map.len(), map.rank_of(&5)), (300, Ok(5)));
            assert!(map.current(&5).is_none());
            assert_eq!(map.values().filter(Result::is_err).count(), 300);
            assert_eq!(
                map.range(10..20).filter(|(_, c)| c.get().is_err()).count(),
                10
            );
            let mine = Old {
                count: 1,
                name: text("mine"),
            };
            map.replace(&5, mine).expect("room").expect("was there");
            assert_eq!(map.get(&5).expect("own form").expect("there").count, 1);
            let (key, cell) = map.remove_entry(&6).expect("room").expect("there");
            map.insert_cell(key + 1_000, cell).expect("room");
            assert!(map.contains(&1_006) && !map.contains(&6));
            let (key, _) = map.remove_nth(6).expect("room").expect("there");
            assert_eq!(key, 7);
            map.retain(|key, _| key % 2 == 0).expect("room");
            assert_eq!(map.len(), 150);
            Owned::of(&mut map);
            drop(map);
            assert_eq!((live::count(OLD), live::count(NEW)), counts);
        },
    );
}

#[test]
fn chain_of_lenses_leads_where_no_single_one_does() {
    with_lenses(
        test_name!("chain_of_lenses_leads_where_no_single_one_does"),
        || {
            let mut stored = old("x").rebind::<Last>();
            assert_eq!(&stored.get().expect("by way of New").name[..], b"x (new)");
            assert_eq!(
                &stored.get_mut().expect("by way of New").name[..],
                b"x (new)"
            );
            Owned::of(&mut stored);
            let mut stored = stored.rebind::<After>();
            stored.get_mut().expect("by way of Last");
            let stored = stored.rebind::<Old>();
            assert_eq!(stored.get().map(|_| ()), Err(AccessError::Foreign));
        },
    );
}

#[test]
fn edits_inside_an_aborted_transformer_leave_the_box_as_it_was() {
    with_lenses(
        test_name!("edits_inside_an_aborted_transformer_leave_the_box_as_it_was"),
        || {
            let mut stored = new(5, NOTE).rebind::<Old>();
            let before = Owned::of(&mut stored).bytes();
            let counts = (live::count(OLD), live::count(NEW));
            let transaction = Transaction::begin();
            // SAFETY: as a lens does it: moved out bit by bit, the source is live again after the abort.
            let mut moved = unsafe { ptr::read(&stored) };
            moved
                .get_mut()
                .expect("has an old form")
                .name
                .append(b"changed")
                .expect("room");
            moved.get_mut().expect("has an old form").count = 77;
            let mut moved = moved.rebind::<New>();
            moved.get_mut().expect("has a new form").extra = 8;
            drop(moved);
            drop(old("made and dropped inside"));
            transaction.abort();
            assert_eq!(Owned::of(&mut stored).bytes(), before);
            assert_eq!((live::count(OLD), live::count(NEW)), counts);
        },
    );
}

#[test]
fn value_of_an_unknown_version_is_neither_read_nor_dropped() {
    with_lenses(
        test_name!("value_of_an_unknown_version_is_neither_read_nor_dropped"),
        || {
            let mut stored = old("x").rebind::<New>();
            // SAFETY: as if the library that knows the tag had never been loaded.
            unsafe { Representation::pointer(OLD).write_bytes(0, 1) };
            assert_eq!(stored.get().map(|_| ()), Err(AccessError::Foreign));
            let mut owned = Owned::default();
            Shared::visit(&mut stored, &mut owned);
            assert_eq!(owned.damage.len(), 1);
            // SAFETY: the box again, as it was before the drop that did nothing.
            let same = unsafe { ptr::read(&stored) };
            drop(stored);
            bind();
            drop(same.rebind::<Old>());
        },
    );
}

#[test]
fn schema_of_a_box_stops_at_the_name() {
    // R2
    assert_ne!(Old::schema(), New::schema());
    let of = <Versioned<Old> as Shared>::schema();
    assert_eq!(of.kind, TypeKind::Versioned("Old".to_owned()));
    assert_eq!(
        <Inline<u64> as super::super::Cell<u64>>::schema(),
        u64::schema()
    );
}

/// Contains boxes of itself.
#[derive(dsu_runtime::prelude::Shared)]
struct Tree {
    label: u64,
    branches: SharedVec<Tree>,
}

// R2
#[test]
fn schema_of_a_recursive_type_ends() {
    let branches = <SharedVec<Tree> as Shared>::schema();
    let of_tree = TypeKind::Versioned("Tree".to_owned());
    assert_eq!(<Versioned<Tree> as Shared>::schema().kind, of_tree);
    match (Tree::schema().kind, branches.kind) {
        (TypeKind::Struct(fields), TypeKind::Container(elements)) => {
            assert_eq!(fields[1].ty.name, branches.name);
            assert_eq!(elements[0].kind, of_tree);
        }
        other => panic!("{other:?}"),
    }
    let leaf = Tree {
        label: 1,
        branches: SharedVec::new(),
    };
    assert_eq!(leaf.label + leaf.branches.len() as u64, 1);
}
