//! The laws of lenses, over containers of elements that are the same on both sides: what an element's own
//! lens keeps lies in its box, and a copy of a container would not have it.

use super::super::keyed::Keyed;
use super::super::partitioned::Partitioned;
use super::super::reshaped::Reshaped;
use super::super::shape::{Hashed, Ordered};
use super::lists::ByName;
use super::parts::ByCount;
use super::world::{Row, Side, with_twins};
use crate::heap::SharedBytes;
use crate::heap::tests::lenses::New;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt;
use xform::{Image, Lens, LensError, laws};

/// A container that can be copied and compared, as the laws ask.
struct Held<M>(M);

impl<M: Side> Held<M> {
    fn of(rows: &BTreeMap<u64, Row>) -> Self {
        let mut side = M::default();
        for (key, row) in rows {
            let (count, extra) = row.expect("all have a form");
            assert!(side.put(*key, count, extra.expect("of the newer version")));
        }
        Held(side)
    }
}

impl<M: Side> Image for Held<M> {
    fn duplicate(&self) -> Result<Self, LensError> {
        Ok(Self::of(&self.0.rows()))
    }

    fn matches(&self, kept: &Self) -> bool {
        self.0.rows() == kept.0.rows()
    }
}

impl<M: Side> fmt::Debug for Held<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.rows().fmt(f)
    }
}

/// A lens over such containers.
struct Over<L>(L);

impl<L: Lens<Left: Side, Right: Side, Complement = ()>> Lens for Over<L> {
    type Left = Held<L::Left>;
    type Right = Held<L::Right>;
    type Complement = ();

    fn forward(&self, left: Self::Left, kept: Option<()>) -> Result<(Self::Right, ()), LensError> {
        let (right, ()) = self.0.forward(left.0, kept)?;
        Ok((Held(right), ()))
    }

    fn backward(
        &self,
        right: Self::Right,
        kept: Option<()>,
    ) -> Result<(Self::Left, ()), LensError> {
        let (left, ()) = self.0.backward(right.0, kept)?;
        Ok((Held(left), ()))
    }
}

fn obeys<L>(rows: &BTreeMap<u64, Row>, at: u64, count: u64) -> Result<(), laws::Broken>
where
    L: Lens<Left: Side, Right: Side, Complement = ()> + Default,
{
    let lens = Over(L::default());
    laws::from_left(&lens, Held::of(rows))
        .restored()?
        .edit_kept(|right| assert!(right.0.put(at, count, 1)))?
        .edit_kept(|right| assert!(right.0.erase(at)))?
        .edits_agree(
            |right| assert!(right.0.put(at, count, 1)),
            |left| assert!(left.0.put(at, count, 1)),
        )?;
    laws::from_right(&lens, Held::of(rows))
        .restored()?
        .edit_kept(|left| assert!(left.0.put(at, count, 1)))?
        .edits_agree(
            |left| assert!(left.0.erase(at)),
            |right| assert!(right.0.erase(at)),
        )?;
    Ok(())
}

#[test] // R36
fn lenses_between_shapes_obey_the_laws() {
    let name = crate::heap::testing::test_name!("lenses_between_shapes_obey_the_laws");
    let row = (0..9u64, 0..600u32).prop_map(|(count, extra)| Some((count, Some(extra))));
    let rows = prop::collection::btree_map(0..30u64, row, 0..20);
    with_twins(name, 60, (rows, 0..30u64, 0..9u64), |(rows, at, count)| {
        obeys::<Reshaped<Hashed, Ordered, SharedBytes, New, New>>(&rows, at, count)?;
        obeys::<Partitioned<ByCount, Hashed, SharedBytes, New, New, 2>>(&rows, at, count)?;
        obeys::<Keyed<ByName, Hashed, SharedBytes, New, New>>(&rows, at, count)?;
        Ok(())
    });
}
