//! Cambria's ten operations, each as a lens here (Litt, van Hardenberg and Henry, 2020). The table is in `xform::examples`.
//!
//! There a document is untyped and a lens goes both ways by running backward; what a side lacks is lost or defaulted.
//! Here each test also shows what the complement brings back.

use xform::laws;
use xform::{Lens, Losses, Toward};

/// Both ways with an edit on each side: what a complement is for.
fn there_and_back<L>(lens: &L, left: L::Left, right: L::Right) -> laws::Tally
where
    L: Lens,
    L::Left: xform::Image + std::fmt::Debug,
    L::Right: xform::Image + std::fmt::Debug,
    L::Complement: xform::Image,
{
    laws::every(lens, &[left], &[right]).unwrap()
}

macro_rules! example {
    ($name:ident: { $($old:tt)* } { $($new:tt)* } $left:expr => $right:expr) => {
        #[test]
        fn $name() {
            #[derive(Clone, Debug, PartialEq, xform::Lens)]
            $($old)*
            #[derive(Clone, Debug, PartialEq, xform::Lens)]
            $($new)*
            let lens = NewLens;
            assert_eq!(lens.forward($left, None).unwrap().0, $right);
            assert_eq!(there_and_back(&lens, $left, $right).declined, 0);
        }
    };
}

example! {
    add:
    { struct Old { title: u8 } }
    { #[lens(from = Old)] struct New { title: u8, #[lens(add = 7)] priority: u8 } }
    Old { title: 1 } => New { title: 1, priority: 7 }
}

example! {
    remove:
    { struct Old { title: u8, done: bool } }
    { #[lens(from = Old, drop(done = true))] struct New { title: u8 } }
    Old { title: 1, done: false } => New { title: 1 }
}

example! {
    rename:
    { struct Old { body: u8 } }
    { #[lens(from = Old)] struct New { #[lens(rename = body)] description: u8 } }
    Old { body: 1 } => New { description: 1 }
}

example! {
    hoist:
    { struct Old { meta: Meta } }
    { #[lens(from = Old, hoist(meta { created, edited } => meta { edited }, created))]
      struct New { created: u8, meta: Edited } }
    Old { meta: Meta { created: 1, edited: 2 } } => New { created: 1, meta: Edited { edited: 2 } }
}

example! {
    plunge:
    { struct Old { created: u8, meta: Edited } }
    { #[lens(from = Old, plunge(meta { edited }, created => meta { created, edited }))]
      struct New { meta: Meta } }
    Old { created: 1, meta: Edited { edited: 2 } } => New { meta: Meta { created: 1, edited: 2 } }
}

#[derive(Clone, Debug, PartialEq)]
struct Meta {
    created: u8,
    edited: u8,
}

#[derive(Clone, Debug, PartialEq)]
struct Edited {
    edited: u8,
}

example! {
    wrap:
    { struct Old { assignee: u8 } }
    { #[lens(from = Old)] struct New { #[lens(rename = assignee, wrap = 0)] assignees: Vec<u8> } }
    Old { assignee: 3 } => New { assignees: vec![3] }
}

example! {
    head:
    { struct Old { assignees: Vec<u8> } }
    { #[lens(from = Old)] struct New { #[lens(rename = assignees, unwrap = 0)] assignee: u8 } }
    Old { assignees: vec![3, 4] } => New { assignee: 3 }
}

#[derive(Clone, Debug, PartialEq, xform::Lens)]
struct OldInner {
    body: u8,
}

#[derive(Clone, Debug, PartialEq, xform::Lens)]
#[lens(from = OldInner)]
struct Inner {
    #[lens(rename = body)]
    text: u8,
    #[lens(add)]
    size: u8,
}

example! {
    in_a_field:
    { struct Old { inner: OldInner } }
    { #[lens(from = Old)] struct New { #[lens(nested)] inner: Inner } }
    Old { inner: OldInner { body: 1 } } => New { inner: Inner { text: 1, size: 0 } }
}

example! {
    map_over_an_array:
    { struct Old { all: Vec<OldInner> } }
    { #[lens(from = Old)] struct New { #[lens(each(align = position))] all: Vec<Inner> } }
    Old { all: vec![OldInner { body: 1 }] } => New { all: vec![Inner { text: 1, size: 0 }] }
}

example! {
    convert:
    { struct Old { done: bool } }
    { #[lens(from = Old)] struct New {
        #[lens(rename = done, convert(
            |done| Ok(if *done { "done" } else { "todo" }.to_owned()),
            |status: &String| Ok(status == "done")
        ))] status: String } }
    Old { done: false } => New { status: "todo".to_owned() }
}

#[test]
fn a_converted_value_that_has_no_other_form_comes_back_all_the_same() {
    // Cambria's example: a status that is neither done nor todo reads as not done, and is not lost.
    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    struct Old {
        done: bool,
    }
    #[derive(Clone, Debug, PartialEq, xform::Lens)]
    #[lens(from = Old)]
    struct New {
        #[lens(rename = done, convert(
            |done| Ok(if *done { "done" } else { "todo" }.to_owned()),
            |status: &String| Ok(status == "done")
        ))]
        status: String,
    }
    let doing = New {
        status: "doing".into(),
    };
    let (left, kept) = NewLens.backward(doing.clone(), None).unwrap();
    assert!(!left.done);
    assert_eq!(NewLens.forward(left, Some(kept)).unwrap().0, doing);
    let lost = Losses::of(&NewLens, "Todo", Toward::Newer);
    assert_eq!(lost.to_string(), "lossy: Todo.status");
}
