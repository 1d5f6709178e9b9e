//! The small lenses that larger ones are made of. A rename is no lens of its own: only the names of fields change,
//! which [`record!`](crate::record!) takes care of.

pub mod each;

mod convert;
mod derived;
mod identity;
mod inverse;
mod one_sided;
mod partition;
mod rekey;
mod watched;
mod widen;
mod wrap;

pub use convert::{
    Convert, Exact, Function, MovingFunction, OneWay, convert, exact, one_way, total,
};
pub use derived::{Derived, derived};
pub use identity::{Identity, identity};
pub use inverse::{Inverse, inverse};
pub use one_sided::{Add, Drop, add, drop};
pub use partition::{Part, Partition, partition};
pub use rekey::{Rekey, rekey};
pub use watched::{ResetWhenWritten, Watched, reset_when_written, unless_written, watch};
pub use widen::Widen;
pub use wrap::{Wrap, wrap};
