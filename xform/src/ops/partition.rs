//! One map that becomes two; its inverse joins them. Several are partitions of partitions.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::marker::PhantomData;

use super::each::Map;
use crate::{Image, Lens, LensError, Segment};

/// Which of two maps an entry goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The first.
    First,
    /// The second.
    Second,
}

/// A map `A` `<->` a pair of maps `(B, C)` with the same keys and values.
///
/// A key that stands in both is unrepresentable. An entry that the newer side has put where the function would not
/// goes back there: its key is kept, for as long as it is in the map.
#[derive(Clone, Copy, Debug)]
pub struct Partition<A, B, C, F> {
    part_of: F,
    maps: PhantomData<fn(A) -> (B, C)>,
}

/// Divides a map by a function of key and value.
///
/// ```
/// use std::collections::BTreeMap;
/// use xform::{Lens, LensError, Part, partition};
/// type Map = BTreeMap<&'static str, i32>;
/// let by_sign = partition::<Map, Map, Map, _>(|_, value| match *value < 0 {
///     true => Part::Second,
///     false => Part::First,
/// });
/// let ((plus, minus), _) = by_sign.forward([("a", 1), ("b", -2)].into(), None)?;
/// assert_eq!((plus, minus), ([("a", 1)].into(), [("b", -2)].into()));
/// # Ok::<(), LensError>(())
/// ```
pub fn partition<A, B, C, F>(part_of: F) -> Partition<A, B, C, F>
where
    A: Map,
    F: Fn(&A::Key, &A::Value) -> Part,
{
    Partition {
        part_of,
        maps: PhantomData,
    }
}

impl<A, B, C, F> Lens for Partition<A, B, C, F>
where
    A: Map,
    A::Key: Ord + Image + Debug,
    B: Map<Key = A::Key, Value = A::Value>,
    C: Map<Key = A::Key, Value = A::Value>,
    F: Fn(&A::Key, &A::Value) -> Part,
{
    type Left = A;
    type Right = (B, C);
    /// The keys of entries of the first and of the second map that the function would put into the other.
    type Complement = (Vec<A::Key>, Vec<A::Key>);

    fn forward(
        &self,
        left: A,
        kept: Option<Self::Complement>,
    ) -> Result<((B, C), Self::Complement), LensError> {
        let (in_first, in_second) = kept.unwrap_or_default();
        let in_first: BTreeSet<A::Key> = in_first.into_iter().collect();
        let in_second: BTreeSet<A::Key> = in_second.into_iter().collect();
        let (mut first, mut second) = (B::with_room(0)?, C::with_room(0)?);
        for (key, value) in left.into_entries() {
            let part = match (in_first.contains(&key), in_second.contains(&key)) {
                (true, _) => Part::First,
                (_, true) => Part::Second,
                _ => (self.part_of)(&key, &value),
            };
            match part {
                Part::First => first.add(key, value)?,
                Part::Second => second.add(key, value)?,
            }
        }
        Ok(((first, second), Default::default()))
    }

    fn backward(
        &self,
        (first, mut second): (B, C),
        _: Option<Self::Complement>,
    ) -> Result<(A, Self::Complement), LensError> {
        let mut all = A::with_room(first.count() + second.count())?;
        let (mut in_first, mut in_second) = (Vec::new(), Vec::new());
        for (key, value) in first.into_entries() {
            if second.take(&key).is_some() {
                let both = LensError::unrepresentable("the key is in both maps");
                return Err(both.within(Segment::Key(format!("{key:?}"))));
            }
            if (self.part_of)(&key, &value) == Part::Second {
                in_first.push(key.duplicate()?);
            }
            all.add(key, value)?;
        }
        for (key, value) in second.into_entries() {
            if (self.part_of)(&key, &value) == Part::First {
                in_second.push(key.duplicate()?);
            }
            all.add(key, value)?;
        }
        Ok((all, (in_first, in_second)))
    }

    fn is_vacant(&self, (in_first, in_second): &Self::Complement) -> bool {
        in_first.is_empty() && in_second.is_empty()
    }
}
