//! What Kitsune's tutorial and tests ask of transformers, as lenses that also go back. The table is in `xform::examples`.

use std::collections::BTreeMap;

use xform::laws;
use xform::{Lens, add, compose, exact, identity};

mod automatic {
    /// Globals, statics and locals are fields of an item here: those that nobody mentions are moved as they are.
    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    pub struct Old {
        pub x: i32,
        pub xx: i32,
        pub y: i32,
        pub q: i32,
    }

    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    #[lens(from = Old, drop(xx))]
    pub struct New {
        pub x: i32,
        #[lens(add = 100)]
        pub xx: i32,
        pub y: i32,
        pub q: i32,
    }
}

#[test]
fn automigrate_globalreg_and_cast_move_what_nobody_mentions_and_start_anew_what_is_marked() {
    use automatic::{New, NewLens, Old};
    let old = Old {
        x: 101,
        xx: 101,
        y: 201,
        q: 401,
    };
    let (new, kept) = NewLens.forward(old.clone(), None).unwrap();
    assert_eq!(
        new,
        New {
            x: 101,
            xx: 100,
            y: 201,
            q: 401
        }
    );
    assert_eq!(NewLens.backward(new, Some(kept)).unwrap().0, old);
}

mod renamed {
    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    pub struct Old {
        pub x: u8,
        pub main_y: u8,
        pub main_z: u8,
        pub foo_z: u8,
        pub main_q: u8,
    }

    /// Each takes the name of the one before, round in a circle.
    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    #[lens(from = Old)]
    pub struct New {
        #[lens(rename = main_q)]
        pub x: u8,
        #[lens(rename = foo_z)]
        pub main_y: u8,
        #[lens(rename = main_y)]
        pub main_z: u8,
        #[lens(rename = x)]
        pub foo_z: u8,
        #[lens(rename = main_z)]
        pub main_q: u8,
    }
}

#[test]
fn swapvars_and_rename_5_2_exchange_names_and_take_others() {
    use renamed::{New, NewLens, Old};
    let old = Old {
        x: 1,
        main_y: 2,
        main_z: 3,
        foo_z: 4,
        main_q: 5,
    };
    let new = New {
        x: 5,
        main_y: 4,
        main_z: 2,
        foo_z: 1,
        main_q: 3,
    };
    assert_eq!(NewLens.forward(old.clone(), None).unwrap().0, new);
    laws::every(&NewLens, &[old], &[new]).unwrap();
}

mod shifted {
    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    pub struct Old {
        pub y: i64,
        pub z: i64,
    }

    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    #[lens(from = Old)]
    pub struct New {
        #[lens(exact(|y: i64| Ok(y + 5), |y: i64| Ok(y - 5)))]
        pub y: i64,
        #[lens(exact(|z: i64| Ok(z + 5), |z: i64| Ok(z - 5)))]
        pub z: i64,
    }
}

#[test]
fn simplexf_autoxf_and_prestartxform_compute_the_new_value_from_the_old() {
    use shifted::{New, NewLens, Old};
    let (old, new) = (Old { y: 202, z: 302 }, New { y: 207, z: 307 });
    assert_eq!(NewLens.forward(old.clone(), None).unwrap().0, new);
    laws::agree(&NewLens, old, new, |old| old.y = 1, |new| new.y = 6).unwrap();
}

mod ranges {
    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    pub struct OldRange {
        pub start: i64,
        pub end: i64,
    }

    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    #[lens(from = OldRange)]
    pub struct Range {
        pub start: i64,
        pub end: i64,
        #[lens(add = 0)]
        pub data: i64,
    }

    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    pub struct Old {
        pub ten: Vec<OldRange>,
        pub one: usize,
    }

    /// A pointer into the array is an index here, which means the same in every version.
    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    #[lens(from = Old)]
    pub struct New {
        #[lens(each(align = position))]
        pub ten: Vec<Range>,
        pub one: usize,
    }
}

#[test]
fn alloctrack_autoxf_adds_a_field_to_each_element_and_keeps_what_points_into_the_array() {
    use ranges::{NewLens, Old, OldRange};
    let ten: Vec<_> = (0..10)
        .map(|start| OldRange {
            start,
            end: start + 4,
        })
        .collect();
    let old = Old { ten, one: 3 };
    let (mut new, kept) = NewLens.forward(old.clone(), None).unwrap();
    assert_eq!((new.ten[new.one].end, new.ten[new.one].data), (7, 0));
    new.ten[3].data = 9;
    let (back, kept_back) = NewLens.backward(new.clone(), Some(kept)).unwrap();
    assert_eq!(back, old);
    assert_eq!(NewLens.forward(back, Some(kept_back)).unwrap().0, new);
}

#[test]
fn autoarray_grows_and_an_edit_of_the_old_part_leaves_the_new_one() {
    let apart = exact(
        |all: [i32; 2]| Ok((all, ())),
        |(all, ()): ([i32; 2], ())| Ok(all),
    );
    let together = exact(
        |([a, b], [c, d]): ([i32; 2], [i32; 2])| Ok([a, b, c, d]),
        |[a, b, c, d]: [i32; 4]| Ok(([a, b], [c, d])),
    );
    let grown = compose(compose(apart, (identity(), add(|| Ok([0, 0])))), together);
    assert_eq!(grown.forward([0, 1], None).unwrap().0, [0, 1, 0, 0]);
    let (mut old, kept) = grown.backward([5, 6, 7, 8], None).unwrap();
    old[0] = 50;
    assert_eq!(grown.forward(old, Some(kept)).unwrap().0, [50, 6, 7, 8]);
}

mod generic {
    /// The parameters that Kitsune has programmers write as annotations are the compiler's own here.
    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    pub struct OldList<T, U> {
        pub dummy: i32,
        pub data: Option<T>,
        pub others: Vec<U>,
    }

    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    #[lens(from = OldList<T, U>)]
    pub struct List<T, U> {
        pub data: Option<T>,
        pub others: Vec<U>,
        #[lens(rename = dummy)]
        pub size: i32,
    }
}

#[test]
fn generics_and_annotations_5_3_are_type_parameters() {
    use generic::{List, ListLens, OldList};
    let lens = ListLens::<u8, &str>::default();
    let old = OldList {
        dummy: 5,
        data: Some(16),
        others: vec!["opaque"],
    };
    let new = List {
        data: Some(16),
        others: vec!["opaque"],
        size: 5,
    };
    assert_eq!(lens.forward(old.clone(), None).unwrap().0, new);
    laws::every(&lens, &[old], &[new]).unwrap();
}

mod nested {
    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    pub struct OldInner {
        pub f0: i32,
    }

    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    #[lens(from = OldInner)]
    pub struct Inner {
        pub f0: i32,
        #[lens(add)]
        pub f1: i32,
    }

    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    pub struct Old {
        pub inside: OldInner,
        pub absent: Option<OldInner>,
    }

    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    #[lens(from = Old)]
    pub struct New {
        #[lens(nested)]
        pub inside: Inner,
        #[lens(each(option))]
        pub absent: Option<Inner>,
    }
}

#[test]
fn shallow_changes_a_type_wherever_it_is_held() {
    use nested::{NewLens, Old, OldInner};
    for absent in [None, Some(OldInner { f0: 2 })] {
        let old = Old {
            inside: OldInner { f0: 1 },
            absent,
        };
        let (mut new, kept) = NewLens.forward(old.clone(), None).unwrap();
        new.inside.f1 = 7;
        let (back, kept) = NewLens.backward(new.clone(), Some(kept)).unwrap();
        assert_eq!(back, old);
        assert_eq!(NewLens.forward(back, Some(kept)).unwrap().0, new);
    }
}

mod union {
    /// Which member is live is said by the variant, so nobody has to write a transformer for it.
    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    pub enum OldHook {
        Named(String),
        Opaque(u64),
    }

    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    #[lens(from = OldHook)]
    pub enum Hook {
        #[lens(rename = Named)]
        Function(String),
        Opaque(u64),
    }
}

#[test]
fn union_is_an_enum_whose_variants_go_over_one_by_one() {
    use union::{Hook, HookLens, OldHook};
    let olds = [OldHook::Named("configure".into()), OldHook::Opaque(3)];
    let news = [Hook::Function("configure".into()), Hook::Opaque(3)];
    for (old, new) in olds.iter().zip(&news) {
        assert_eq!(HookLens.forward(old.clone(), None).unwrap().0, *new);
    }
    laws::every(&HookLens, &olds, &news).unwrap();
}

mod server {
    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    pub struct OldNode {
        pub value: String,
    }

    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    #[lens(from = OldNode)]
    pub struct Node {
        pub value: String,
        #[lens(add)]
        pub entered_at: u64,
    }

    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    pub struct Old {
        pub store: std::collections::BTreeMap<String, OldNode>,
        pub server_sock: i32,
    }

    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    #[lens(from = Old)]
    pub struct New {
        #[lens(each(btree_map))]
        pub store: std::collections::BTreeMap<String, Node>,
        #[lens(rename = server_sock)]
        pub server: i32,
        /// Computed of the rest, as an `INIT` block may.
        #[lens(add = |old| old.store.len())]
        pub connected_count: usize,
    }
}

#[test]
fn initialize_5_1_and_newfield_5_4_give_what_is_new_its_first_value() {
    use server::{NewLens, Old, OldNode};
    let store: BTreeMap<_, _> = [("a".to_owned(), OldNode { value: "1".into() })].into();
    let old = Old {
        store,
        server_sock: 4,
    };
    let (mut new, kept) = NewLens.forward(old.clone(), None).unwrap();
    assert_eq!((new.connected_count, new.server), (1, 4));
    if let Some(node) = new.store.get_mut("a") {
        node.entered_at = 99;
    }
    let (back, kept) = NewLens.backward(new.clone(), Some(kept)).unwrap();
    assert_eq!(back, old);
    assert_eq!(NewLens.forward(back, Some(kept)).unwrap().0, new);
}
