//! Types of another library, whose memory can run out, take part everywhere the standard ones do.

use xform::ops::each::{EachByPosition, Sequence};
use xform::{ErrorKind, Image, Kept, Lens, LensError, convert, drop};

/// A text that cannot simply be cloned.
#[derive(Debug, PartialEq)]
struct Text(String);

/// There was no memory.
struct Full;

impl From<Full> for LensError {
    fn from(_: Full) -> Self {
        LensError::no_room("the shelf is full")
    }
}

impl Text {
    fn new(text: &str) -> Result<Text, Full> {
        if text.len() > 8 {
            return Err(Full);
        }
        Ok(Text(text.to_owned()))
    }
}

impl Image for Text {
    fn duplicate(&self) -> Result<Self, LensError> {
        Ok(Text::new(&self.0)?)
    }

    fn matches(&self, kept: &Self) -> bool {
        self == kept
    }
}

/// A container that holds few things.
#[derive(Debug, PartialEq)]
struct Shelf<T>(Vec<T>);

impl<T: PartialEq + Image> Image for Shelf<T> {
    fn duplicate(&self) -> Result<Self, LensError> {
        let copies: Result<_, _> = self.0.iter().map(T::duplicate).collect();
        Ok(Shelf(copies?))
    }

    fn matches(&self, kept: &Self) -> bool {
        self == kept
    }
}

impl<T> Sequence for Shelf<T> {
    type Item = T;

    fn with_room(items: usize) -> Result<Self, LensError> {
        if items > 3 {
            return Err(Full.into());
        }
        Ok(Shelf(Vec::new()))
    }

    fn count(&self) -> usize {
        self.0.len()
    }

    fn append(&mut self, item: T) -> Result<(), LensError> {
        self.0.push(item);
        Ok(())
    }

    fn items(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    fn into_items(self) -> impl Iterator<Item = T> {
        self.0.into_iter()
    }
}

#[derive(Debug, PartialEq)]
struct Old {
    id: u8,
    owner: Text,
}

#[derive(Debug, PartialEq)]
struct New {
    id: u8,
    priority: u16,
}

xform::record! {
    /// Each side has something that the other lacks.
    struct JobLens: Old => New {
        same id;
        add priority: u16 = 50;
        drop owner: Text = Text::new("nobody")?;
    }
}

#[test]
fn foreign_containers_stand_on_either_side_and_hold_complements() {
    type Complements = Shelf<(u64, <JobLens as Lens>::Complement)>;
    type VecToShelf = EachByPosition<Vec<Old>, Shelf<New>, Complements, JobLens>;
    let lens = VecToShelf::default();
    let old = |id| Old {
        id,
        owner: Text("ann".into()),
    };
    let (right, kept) = lens.forward(vec![old(3)], None).unwrap();
    assert_eq!(
        right,
        Shelf(vec![New {
            id: 3,
            priority: 50
        }])
    );
    assert_eq!(kept.0[0].1.1.0, Kept::of(Text("ann".into())));
    assert_eq!(lens.backward(right, Some(kept)).unwrap().0, [old(3)]);

    let error = lens.forward((0..4).map(old).collect(), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRoom);
}

#[test]
fn an_image_that_cannot_be_copied_is_no_room_and_not_an_abort() {
    let lens = convert(
        |text: &Text| Ok(Shelf(vec![Text(text.0.repeat(2))])),
        |shelf: &Shelf<Text>| Ok(Text::new(&shelf.0[0].0)?),
    );
    let (right, kept) = lens.forward(Text("abcd".into()), None).unwrap();
    let (left, _) = lens.backward(right, Some(kept)).unwrap();
    assert_eq!(left, Text("abcd".into()));
    let error = lens.forward(Text("abcde".into()), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRoom);
    assert_eq!(error.to_string(), "the shelf is full");
}

#[test]
fn a_default_that_finds_no_memory_is_no_room() {
    let lens = drop(|| Ok(Text::new("far too long")?));
    assert_eq!(
        lens.backward((), None).unwrap_err().kind(),
        ErrorKind::NoRoom
    );
    let (kept, _) = lens
        .backward((), Some(Kept::of(Text("old".into()))))
        .unwrap();
    assert_eq!(kept, Text("old".into()));
}
