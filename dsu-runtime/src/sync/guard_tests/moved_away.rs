//! A guard that version 2 splits off and version 3 merges away again: between its form without items and that
//! with them two lenses lead, and neither is taken for the other (R4, I14).
//!
//! YARD's crew goes to STALL, which is new in version 2, and from there back to YARD in version 3, which has
//! no STALL.

use super::moved_new::{NewCrew, OldCrew, as_it_is};
use super::world::*;
use crate::abi::TypeSchema;
use crate::heap::testing::test_name;
use crate::ids::VersionId;
use crate::update::{check_guards, move_items};
use crate::version::{Binding, GuardBinding, GuardManifest, RepresentationBinding, digest};
use crate::worker::Worker;
use dsu_macros::guards;

#[guards(hits: u64 = 3, crew: OldCrew)]
pub static YARD_OLD: GuardMutex;
#[guards(hits: u64, renamed_from = "YARD_OLD")]
pub static YARD_NEW: GuardMutex;
#[guards(
    hits: u64,
    moved(crew: NewCrew, from = "STALL.crew"),
    renamed_from = "YARD_NEW"
)]
pub static YARD_LAST: GuardMutex;

#[guards(moved(crew: NewCrew, from = "YARD_OLD.crew"), opened: u64 = 7)]
pub static STALL_NEW: GuardMutex;

fn items(guard: &str) -> TypeSchema {
    (registration(guard).schema)()
}

fn manifest(name: &str, items: TypeSchema) -> GuardManifest {
    GuardManifest {
        name: name.into(),
        renamed_from: String::new(),
        family: None,
        items,
        moved: Vec::new(),
    }
}

/// Binds the binary as version 3, whose version before is [`bind`]'s version 2. That calls the guard that is
/// gone STALL, for all that is declared in this binary is there.
fn bind_last() {
    let Binding {
        mut guards,
        mut representations,
        older,
        order_table,
        forgets,
        ..
    } = binding(Older::First);
    let place = |guards: &[GuardBinding], name: &str| {
        let mut all = guards.iter();
        all.position(|guard| guard.name == name).expect("declared")
    };
    let (yard, stall) = (place(&guards, "YARD_NEW"), place(&guards, "STALL_NEW"));
    let last = place(&guards, "YARD_LAST");
    (guards[last].first, guards[last].node) = (YARD, guards[yard].node);
    let (yard_items, stall_items) = (items("YARD_NEW"), items("STALL_NEW"));
    // Nothing leads from the form without items to a guard of this version.
    representations.retain(|form| form.tag != empty_tag("STALL_NEW"));
    for (schema, tag) in [
        (&stall_items, guards[stall].tag),
        (&TypeSchema::no_items(), empty_tag("STALL_NEW")),
    ] {
        representations.push(RepresentationBinding {
            name: "guard:STALL".into(),
            digest: digest(schema),
            tag,
            same: Vec::new(),
        });
    }
    let emptied = GuardBinding {
        name: "STALL".into(),
        first: STALL,
        count: 1,
        tag: empty_tag("STALL_NEW"),
        node: STALL.0 as u16,
    };
    let mut older = older.expect("a version before");
    older.version = VersionId(2);
    older.guards = vec![
        manifest("STALL", stall_items),
        manifest("YARD_NEW", yard_items),
    ];
    bind_to(&Binding {
        version: VersionId(3),
        guards,
        emptied: vec![emptied],
        representations,
        lenses: Vec::new(),
        order_table,
        older: Some(older),
        forgets,
    });
}

/// With all that waits in complements, in the form that each is in.
fn findings() -> Vec<String> {
    let cells = [YARD, STALL].into_iter().filter_map(as_it_is).collect();
    check_guards(cells).findings
}

fn there_and_back(cx: &Worker) {
    drop(YARD_OLD.lock(cx).unwrap());
    for round in 0..3 {
        assert_eq!(move_items(true), Ok(()), "1 to 2");
        let mut stall = STALL_NEW.lock(cx).unwrap();
        assert_eq!((stall.crew.count, stall.opened), (5 + round, 7 + round));
        assert_eq!(stall.crew.limit, 70 + 2 * round);
        stall.crew.limit += 1;
        stall.opened += 1;
        drop(stall);

        bind_last();
        assert_eq!(move_items(true), Ok(()), "2 to 3");
        assert_eq!(findings(), [""; 0], "in version 3");
        let mut yard = YARD_LAST.lock(cx).unwrap();
        assert_eq!((yard.hits, yard.crew.count), (3, 5 + round));
        assert_eq!(yard.crew.limit, 71 + 2 * round);
        yard.crew.limit += 1;
        yard.crew.count += 1;
        drop(yard);

        assert_eq!(move_items(false), Ok(()), "3 to 2");
        assert_eq!(findings(), [""; 0], "before version 2 is bound again");
        bind(Older::First);
        assert_eq!(findings(), [""; 0], "in version 2");
        let stall = STALL_NEW.lock(cx).unwrap();
        assert_eq!((stall.crew.count, stall.opened), (6 + round, 8 + round));
        assert_eq!(stall.crew.limit, 72 + 2 * round);
        drop(stall);

        assert_eq!(move_items(false), Ok(()), "2 to 1");
        assert_eq!(findings(), [""; 0], "in version 1");
        let yard = YARD_OLD.lock(cx).unwrap();
        assert_eq!((yard.hits, u64::from(yard.crew.count)), (3, 6 + round));
        assert_eq!(yard.crew.odd.as_slice(), NOTE, "kept all the way");
    }
}

// R4, R6, I14
#[test]
fn what_is_split_off_and_merged_away_again_comes_back() {
    let name = test_name!("what_is_split_off_and_merged_away_again_comes_back");
    with_world(name, || play(0, |cx| there_and_back(cx)));
}
