//! Two-way transformations that lose nothing.
//!
//! A [`Lens`] connects an older representation (*left*) and a newer one (*right*) of the same thing.
//! What one side cannot hold is kept in a **complement**, so that going there and back restores what was,
//! and an edit made on either side survives the way back.
//! The crate is pure: it knows nothing of processes, locks or heaps, does no I/O and has no `unsafe` code.
//!
//! ```
//! mod old {
//!     #[derive(Clone, Debug, PartialEq)]
//!     pub struct Stats { pub commands: u64, pub get_hits: u64, pub motd: String }
//! }
//! mod new {
//!     #[derive(Clone, Debug, PartialEq)]
//!     pub struct Stats { pub commands: u64, pub hits: u64, pub expired: u64 }
//! }
//! xform::record! {
//!     /// Totals of version 1 to totals of version 2.
//!     pub struct StatsLens: old::Stats => new::Stats {
//!         same commands;
//!         rename get_hits => hits;
//!         add expired: u64 = 0;
//!         drop motd: String = String::new();
//!     }
//! }
//! use xform::Lens;
//!
//! # fn main() -> Result<(), xform::LensError> {
//! let left = old::Stats { commands: 7, get_hits: 3, motd: "hello".into() };
//! let (mut right, complement) = StatsLens.forward(left, None)?;
//! assert_eq!(right, new::Stats { commands: 7, hits: 3, expired: 0 });
//!
//! right.expired = 40; // only the new side knows of this
//! let (mut left, complement) = StatsLens.backward(right, Some(complement))?;
//! assert_eq!(left.motd, "hello"); // came back out of the complement
//!
//! left.commands += 1; // an edit by old code
//! let (right, _) = StatsLens.forward(left, Some(complement))?;
//! assert_eq!(right, new::Stats { commands: 8, hits: 3, expired: 40 });
//! # Ok(())
//! # }
//! ```
//!
//! # Where things are
//!
//! | module | holds |
//! |---|---|
//! | [`lens`] | the trait, and which ways a lens goes |
//! | [`error`] | why a value could not cross, and where in it |
//! | [`complement`] | the closed list of what complements are made of |
//! | [`ops`] | small lenses: identity, add, drop, derived, convert, one-way, widen, wrap, each, re-key, partition, inverse |
//! | [`mod@compose`] | one lens after another, and lenses side by side |
//! | [`mod@record`] | the macro that makes a lens between two structs |
//! | [`mod@variant`] | the macro that makes a lens to an enum that has more variants |
//! | [`losses`] | what is lost where no complement is at hand, as data |
//! | [`mod@derive`] | the derive that makes a lens of two types, and its attributes |
//! | [`successor`] | which type replaces which, for lenses of nested types |
//! | [`examples`] | those of two older systems, and where they are here |
//! | [`laws`] | checks that a lens loses nothing, with and without edits |
//!
//! # Origin
//!
//! Symmetric lenses and their complements: Hofmann, Pierce and Wagner, *Symmetric Lenses*, POPL 2011.
//! What happens to a complement when the value is edited in between: the same authors, *Edit Lenses*, POPL 2012.
//! The idea of a short, closed list of small operations that combine: Litt, van Hardenberg and Henry, *Cambria* (Ink & Switch, 2020).
#![forbid(unsafe_code)]

pub mod complement;
pub mod compose;
pub mod derive;
pub mod error;
pub mod examples;
pub mod laws;
pub mod lens;
pub mod losses;
pub mod ops;
pub mod record;
pub mod successor;
pub mod variant;

#[doc(hidden)]
pub mod __private;

pub use complement::{Image, Kept, Pair, Residual};
pub use compose::{Compose, compose};
pub use dsu_macros::Lens;
pub use error::{ErrorKind, LensError, Segment};
pub use lens::{Directions, Lens, Unrepresentable, two_way};
pub use losses::{Loss, Losses, Toward};
pub use ops::{
    Add, Convert, Derived, Drop, Exact, Identity, Inverse, OneWay, Part, Partition, Rekey,
    ResetWhenWritten, Widen, Wrap, add, convert, derived, drop, each, exact, identity, inverse,
    one_way, partition, rekey, reset_when_written, total, wrap,
};
pub use successor::Successor;
