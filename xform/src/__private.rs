//! What the expansion of `#[derive(Lens)]` calls; not for use by hand.

pub use dsu_macros::lens_between;

use crate::Image;
use crate::ops::{Watched, unless_written};

/// A field that keeps its type.
#[diagnostic::on_unimplemented(
    message = "the field is not of the same type on both sides: `{Self}` and `{R}`",
    label = "a field without an attribute is moved as it is",
    note = "say how one becomes the other: `#[lens(nested)]` if the newer type derives a lens from the older, `#[lens(with = LENS)]`, `#[lens(convert(forward, backward))]`, `#[lens(each(..))]` or `#[lens(wrap)]`"
)]
pub trait Moves<R> {
    /// The same value.
    fn moved(self) -> R;
}

impl<T> Moves<T> for T {
    #[inline(always)]
    fn moved(self) -> T {
        self
    }
}

/// Nobody makes one. With a second implementation the compiler does not infer that the types must be equal, and so tells
/// of the trait, with what to do about it, and not of the types alone.
#[derive(Debug)]
pub struct Never<R>(R);

impl<R> Moves<R> for Never<R> {
    fn moved(self) -> R {
        self.0
    }
}

/// The same value.
#[inline(always)]
pub fn moved<L: Moves<R>, R>(value: L) -> R {
    value.moved()
}

/// What is left of a complement that lies beside the watched part of the older side.
pub fn recall_older<C, W: Image, V>(kept: Option<Watched<C, W, V>>, now: &W) -> Option<C> {
    let (kept, (older, _)) = kept?;
    unless_written(Some(kept), now, Some(older))
}

/// What is left of a complement that lies beside the watched part of the newer side.
pub fn recall_newer<C, W, V: Image>(kept: Option<Watched<C, W, V>>, now: &V) -> Option<C> {
    let (kept, (_, newer)) = kept?;
    unless_written(Some(kept), now, Some(newer))
}

/// Gives the arguments of two closures their types.
pub fn keys<L, R, K>(
    of_left: impl Fn(&L) -> K,
    of_right: impl Fn(&R) -> K,
) -> (impl Fn(&L) -> K, impl Fn(&R) -> K) {
    (of_left, of_right)
}

/// Gives the argument of a closure its type.
pub fn stand_in<W, S>(make: impl FnOnce(&W) -> S, waiting: &W) -> S {
    make(waiting)
}
