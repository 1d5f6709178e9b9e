//! `each` over a sequence whose elements are recognised by a key computed from them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::marker::PhantomData;

use super::Sequence;
use super::walk::{Walk, walk};
use crate::{Directions, Lens, LensError, Losses, Toward, Unrepresentable};

/// How an element is recognised. An element and its image must have the same key.
pub trait ElementKey<L: Lens> {
    /// What elements are compared by.
    type Key: Ord + Debug;

    /// The key of an older element.
    fn of_left(&self, left: &L::Left) -> Self::Key;

    /// The key of a newer element.
    fn of_right(&self, right: &L::Right) -> Self::Key;
}

/// A pair of functions is a key.
impl<L: Lens, K: Ord + Debug, F, G> ElementKey<L> for (F, G)
where
    F: Fn(&L::Left) -> K,
    G: Fn(&L::Right) -> K,
{
    type Key = K;

    fn of_left(&self, left: &L::Left) -> K {
        (self.0)(left)
    }

    fn of_right(&self, right: &L::Right) -> K {
        (self.1)(right)
    }
}

/// `A` of lefts `<->` `B` of rights; the complements stand in a `S` with their keys.
///
/// An element keeps its complement however often the sequence is reordered, and whatever is inserted or removed.
/// Where several elements have the same key, the first gets the first of their complements, and so on;
/// a surplus element is a new one (R8).
#[derive(Clone, Copy, Debug)]
pub struct EachByKey<A, B, S, L, K> {
    lens: L,
    key: K,
    containers: PhantomData<fn(A, S) -> B>,
}

impl<A, B, S, L, K> EachByKey<A, B, S, L, K> {
    /// Lifts a lens for elements to containers of the caller's choice.
    pub const fn new(lens: L, key: K) -> Self {
        EachByKey {
            lens,
            key,
            containers: PhantomData,
        }
    }
}

impl<A, B, S, L: Default, K: Default> Default for EachByKey<A, B, S, L, K> {
    fn default() -> Self {
        Self::new(L::default(), K::default())
    }
}

/// [`EachByKey`] from vector to vector.
pub type VecByKey<L, K> = EachByKey<
    Vec<<L as Lens>::Left>,
    Vec<<L as Lens>::Right>,
    Vec<(<K as ElementKey<L>>::Key, <L as Lens>::Complement)>,
    L,
    K,
>;

/// Lifts a lens to vectors whose elements are recognised by their key.
///
/// ```
/// use xform::{each, exact, Lens, LensError};
/// // A port becomes a port with an optional label; it is recognised by its number.
/// xform::record! {
///     pub struct PortLens: Old => New { same number; add label: Option<String> = None; }
/// }
/// pub struct Old { number: u16 }
/// pub struct New { number: u16, label: Option<String> }
///
/// let ports = each::vec_by_key(PortLens, (|old: &Old| old.number, |new: &New| new.number));
/// let right = vec![
///     New { number: 80, label: Some("web".into()) },
///     New { number: 53, label: None },
/// ];
/// let (mut left, kept) = ports.backward(right, None)?;
/// left.insert(0, Old { number: 22 });
/// let (right, _) = ports.forward(left, Some(kept))?;
/// assert_eq!(right[1].label.as_deref(), Some("web"));
/// # Ok::<(), LensError>(())
/// ```
pub fn vec_by_key<L: Lens, K: ElementKey<L>>(lens: L, key: K) -> VecByKey<L, K> {
    EachByKey::new(lens, key)
}

/// Complements waiting for the element with their key.
///
/// As long as elements come in the order of the complements nothing is indexed; the index is made when they first differ.
struct Waiting<K, C, I: Iterator<Item = (K, C)>> {
    in_order: Option<std::iter::Peekable<I>>,
    by_key: Option<BTreeMap<K, VecDeque<C>>>,
}

impl<K: Ord, C, I: Iterator<Item = (K, C)>> Waiting<K, C, I> {
    fn take(&mut self, key: &K) -> Option<C> {
        if self.by_key.is_none() {
            let in_order = self.in_order.as_mut()?;
            if let Some((_, complement)) = in_order.next_if(|(next, _)| next == key) {
                return Some(complement);
            }
            in_order.peek()?;
        }
        let by_key = self.by_key.get_or_insert_with(|| {
            let mut by_key = BTreeMap::<K, VecDeque<C>>::new();
            for (key, complement) in self.in_order.take().into_iter().flatten() {
                by_key.entry(key).or_default().push_back(complement);
            }
            by_key
        });
        by_key.get_mut(key)?.pop_front()
    }
}

/// Walks with the complement that has each item's key. Every one has a place, so that of equal keys the first gets the first.
fn convert<From: Sequence, To: Sequence, K: Ord + Debug, C, S: Sequence<Item = (K, C)>>(
    from: From,
    complements: Option<S>,
    key_of: impl Fn(&From::Item) -> K,
    cross: impl Fn(From::Item, Option<C>) -> Result<(To::Item, C), LensError>,
) -> Result<(To, S), LensError> {
    let mut waiting = Waiting {
        in_order: complements.map(|all| all.into_items().peekable()),
        by_key: None,
    };
    let with = Walk {
        recall: |key: &K| waiting.take(key),
        key_of: |_, item: &From::Item| key_of(item),
        cross,
        is_kept: |_: &C| true,
    };
    walk(from, with)
}

impl<A, B, S, L, K> Lens for EachByKey<A, B, S, L, K>
where
    L: Lens,
    K: ElementKey<L>,
    A: Sequence<Item = L::Left>,
    B: Sequence<Item = L::Right>,
    S: Sequence<Item = (K::Key, L::Complement)>,
{
    type Left = A;
    type Right = B;
    type Complement = S;
    const DIRECTIONS: Directions = L::DIRECTIONS;

    fn forward(&self, left: A, complements: Option<S>) -> Result<(B, S), LensError> {
        convert(
            left,
            complements,
            |item| self.key.of_left(item),
            |item, complement| self.lens.forward(item, complement),
        )
    }

    fn backward(&self, right: B, complements: Option<S>) -> Result<(A, S), LensError> {
        convert(
            right,
            complements,
            |item| self.key.of_right(item),
            |item, complement| self.lens.backward(item, complement),
        )
    }

    fn is_vacant(&self, complements: &S) -> bool {
        complements.count() == 0
    }

    fn unrepresentable(&self) -> Unrepresentable {
        self.lens.unrepresentable()
    }

    fn represents(&self, right: &B) -> bool {
        right.items().all(|item| self.lens.represents(item))
    }

    fn losses(&self, toward: Toward, report: &mut Losses) {
        report.each(|report| self.lens.losses(toward, report));
    }
}
