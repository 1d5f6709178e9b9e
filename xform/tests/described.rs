//! Lenses to types that stand elsewhere, by `#[lens(to = …)]`: what `dsu xfgen` writes.
#![deny(warnings)]

use xform::{ErrorKind, Lens, LensError, Losses, Toward, Widen, laws};

mod now {
    #[derive(Clone, Debug, PartialEq)]
    pub struct Entry {
        pub hits: u64,
        pub tags: Vec<u8>,
        pub place: Place,
        pub pair: Pair<u64>,
    }

    #[derive(Clone, Debug, PartialEq)]
    pub struct Place {
        pub x: u8,
        pub label: String,
    }

    #[derive(Clone, Debug, PartialEq)]
    pub struct Pair<T> {
        pub first: T,
        pub last: T,
    }

    #[derive(Clone, Debug, PartialEq)]
    pub struct Secs(pub u64);

    #[derive(Clone, Debug, PartialEq)]
    pub enum Value {
        Text(String),
        Number { value: u64 },
        List(Vec<u8>),
    }
}

#[derive(Clone, Debug, PartialEq, Lens)]
struct Entry {
    hits: u32,
    motd: String,
    place: Place,
    pair: PairU64,
}

// No lint says that what only describes a type is never made.
#[derive(Lens)]
#[lens(from = self::Entry, to = now::Entry, drop(motd))]
struct EntryNow {
    #[lens(with = Widen<u32, u64>)]
    hits: u64,
    #[lens(add)]
    tags: Vec<u8>,
    #[lens(nested)]
    place: now::Place,
    #[lens(nested)]
    pair: now::Pair<u64>,
}

#[derive(Clone, Debug, PartialEq, Lens)]
struct Place {
    x: u8,
}

#[derive(Lens)]
#[lens(from = self::Place, to = now::Place)]
struct PlaceNow {
    x: u8,
    #[lens(add)]
    label: String,
}

#[derive(Clone, Debug, PartialEq, Lens)]
struct PairU64 {
    first: u64,
}

#[derive(Lens)]
#[lens(from = self::PairU64, to = now::Pair<u64>, name = PairU64Lens)]
struct PairU64Now {
    first: u64,
    #[lens(add = |old| old.first)]
    last: u64,
}

#[derive(Clone, Debug, PartialEq, Lens)]
struct Secs(u32);

#[derive(Lens)]
#[lens(from = self::Secs, to = now::Secs)]
struct SecsNow(#[lens(with = Widen<u32, u64>)] u64);

#[derive(Clone, Debug, PartialEq, Lens)]
enum Value {
    Text(String),
    Number { value: u32 },
}

#[derive(Lens)]
#[lens(from = self::Value, to = now::Value)]
enum ValueNow {
    Text(String),
    Number {
        #[lens(with = Widen<u32, u64>)]
        value: u64,
    },
    #[lens(add)]
    List(Vec<u8>),
}

fn entry() -> Entry {
    Entry {
        hits: 3,
        motd: "hello".to_owned(),
        place: Place { x: 1 },
        pair: PairU64 { first: 9 },
    }
}

#[test]
fn a_type_that_stands_elsewhere_is_reached_by_its_description() -> Result<(), LensError> {
    let (mut new, kept) = EntryLens.forward(entry(), None)?;
    assert_eq!((new.hits, new.pair.last), (3, 9));
    new.tags.push(7);
    new.place.label.push('a');
    let (old, kept) = EntryLens.backward(new.clone(), Some(kept))?;
    assert_eq!(old, entry());
    assert_eq!(EntryLens.forward(old, Some(kept))?.0, new);
    let lost = Losses::of(&EntryLens, "Entry", Toward::Newer);
    assert_eq!(
        lost.to_string(),
        "lossy: Entry.tags, Entry.place.label, Entry.pair.last"
    );
    Ok(())
}

#[test]
fn variants_and_tuple_structs_are_described_alike() -> Result<(), LensError> {
    assert_eq!(SecsLens.forward(Secs(4), None)?.0, now::Secs(4));
    let (number, _) = ValueLens.forward(Value::Number { value: 5 }, None)?;
    assert_eq!(number, now::Value::Number { value: 5 });
    let list = ValueLens.backward(now::Value::List(Vec::new()), None);
    assert_eq!(list.unwrap_err().kind(), ErrorKind::Unrepresentable);
    assert!(!ValueLens.represents(&now::Value::Number { value: 1 << 40 }));
    laws::from_left(&ValueLens, Value::Text("a".to_owned()))
        .restored()
        .map(drop)
        .expect("there and back");
    Ok(())
}

// R12: a number that does not fit is named, and is there again on the way forward.
#[test]
fn a_number_that_does_not_fit_is_unrepresentable_by_name() {
    let wide = Widen::<u8, i64>::default();
    let error = wide.backward(-1, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unrepresentable);
    assert!(error.to_string().contains("-1 does not fit u8"), "{error}");
    assert!(wide.represents(&255) && !wide.represents(&256));
}
