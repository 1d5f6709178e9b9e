//! The small lenses that larger ones are made of. A rename is no lens of its own: only the names of fields change,
//! which [`record!`](crate::record!) takes care of.

pub mod each;

mod convert;
mod identity;
mod one_sided;

pub use convert::{
    Convert, Exact, Function, MovingFunction, OneWay, convert, exact, one_way, total,
};
pub use identity::{Identity, identity};
pub use one_sided::{Add, Drop, add, drop};
