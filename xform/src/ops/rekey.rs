//! A map whose keys take another form.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::marker::PhantomData;

use super::each::Map;
use crate::complement::Pair;
use crate::{Image, Lens, LensError, Loss, Losses, Toward};

/// A map `A` `<->` a map `B` of the same values under other keys.
///
/// Two keys that would become one are unrepresentable, and the error names both (R15). A key that its new form does not
/// give back (a name in lower case, say) is kept beside it, and is good as long as either is still in the map.
#[derive(Clone, Copy, Debug)]
pub struct Rekey<A, B, F, G> {
    forward: F,
    backward: G,
    maps: PhantomData<fn(A) -> B>,
}

/// Makes the lens of a function for keys and of one back.
///
/// ```
/// use std::collections::BTreeMap;
/// use xform::{ErrorKind, Lens, LensError, rekey};
/// let lower = rekey::<BTreeMap<String, u8>, BTreeMap<String, u8>, _, _>(
///     |name| Ok(name.to_lowercase()),
///     |name| Ok(name.clone()),
/// );
/// let (right, kept) = lower.forward([("Ann".to_owned(), 1)].into(), None)?;
/// assert_eq!(right.get("ann"), Some(&1));
/// assert!(lower.backward(right, Some(kept))?.0.contains_key("Ann"));
///
/// let error = lower.forward([("Bob".to_owned(), 1), ("bob".to_owned(), 2)].into(), None).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Unrepresentable);
/// assert_eq!(error.to_string(), r#"the keys "Bob" and "bob" would both become "bob""#);
/// # Ok::<(), LensError>(())
/// ```
pub fn rekey<A, B, F, G>(forward: F, backward: G) -> Rekey<A, B, F, G>
where
    A: Map,
    B: Map<Value = A::Value>,
    F: Fn(&A::Key) -> Result<B::Key, LensError>,
    G: Fn(&B::Key) -> Result<A::Key, LensError>,
{
    Rekey {
        forward,
        backward,
        maps: PhantomData,
    }
}

/// A map, and keys of the one that it was made of with their form in it.
type Rekeyed<From, To> = (To, Vec<(<From as Map>::Key, <To as Map>::Key)>);

/// A map under the keys that `to` gives, and the pairs of keys of which `back` does not give the one that was.
fn convert<From, To>(
    from: From,
    known: BTreeMap<From::Key, To::Key>,
    to: impl Fn(&From::Key) -> Result<To::Key, LensError>,
    back: impl Fn(&To::Key) -> Result<From::Key, LensError>,
) -> Result<Rekeyed<From, To>, LensError>
where
    From: Map,
    To: Map<Value = From::Value>,
    From::Key: Ord + Image + Debug,
    To::Key: Ord + Image + Debug,
{
    let mut known = known;
    let mut all = To::with_room(from.count())?;
    let mut taken = BTreeMap::<To::Key, From::Key>::new();
    for (key, value) in from.into_entries() {
        let new = match known.remove(&key) {
            Some(new) => new,
            None => to(&key)?,
        };
        if let Some(other) = taken.get(&new) {
            return Err(LensError::unrepresentable(format!(
                "the keys {other:?} and {key:?} would both become {new:?}"
            )));
        }
        all.add(new.duplicate()?, value)?;
        taken.insert(new, key);
    }
    let mut kept = Vec::new();
    for (new, key) in taken {
        let is_exact =
            back(&new).is_ok_and(|again| again == key) && to(&key).is_ok_and(|again| again == new);
        if !is_exact {
            kept.push((key, new));
        }
    }
    Ok((all, kept))
}

impl<A, B, F, G> Lens for Rekey<A, B, F, G>
where
    A: Map,
    B: Map<Value = A::Value>,
    A::Key: Ord + Image + Debug,
    B::Key: Ord + Image + Debug,
    F: Fn(&A::Key) -> Result<B::Key, LensError>,
    G: Fn(&B::Key) -> Result<A::Key, LensError>,
{
    type Left = A;
    type Right = B;
    /// Keys that their other form does not give back, with that form.
    type Complement = Vec<Pair<A::Key, B::Key>>;

    fn forward(
        &self,
        left: A,
        kept: Option<Self::Complement>,
    ) -> Result<(B, Self::Complement), LensError> {
        let known = kept.unwrap_or_default();
        let known = known.into_iter().map(|pair| (pair.left, pair.right));
        let (all, kept) = convert(left, known.collect(), &self.forward, &self.backward)?;
        let kept = kept.into_iter().map(|(left, right)| Pair { left, right });
        Ok((all, kept.collect()))
    }

    fn backward(
        &self,
        right: B,
        kept: Option<Self::Complement>,
    ) -> Result<(A, Self::Complement), LensError> {
        let known = kept.unwrap_or_default();
        let known = known.into_iter().map(|pair| (pair.right, pair.left));
        let (all, kept) = convert(right, known.collect(), &self.backward, &self.forward)?;
        let kept = kept.into_iter().map(|(right, left)| Pair { left, right });
        Ok((all, kept.collect()))
    }

    fn is_vacant(&self, kept: &Self::Complement) -> bool {
        kept.is_empty()
    }

    fn losses(&self, _: Toward, report: &mut Losses) {
        report.add(Loss::Approximated);
    }
}
