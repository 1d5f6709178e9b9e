//! Which type a type replaces, and by which lens.
//!
//! Owns the relation; `#[derive(Lens)]` states it.

use crate::Lens;

/// A type that replaces `Older`.
///
/// `#[derive(Lens)]` implements it, and `#[lens(nested)]` asks for it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no lens from `{Older}`",
    note = "add `#[derive(Lens)]` with `#[lens(from = …)]` to it, or name a lens with `#[lens(with = …)]`"
)]
pub trait Successor<Older>: Sized {
    /// The lens between the two.
    type Lens: Lens<Left = Older, Right = Self> + Default;
}
