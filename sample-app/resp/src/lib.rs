//! What a Redis-compatible server must know about bytes: requests, replies, and the
//! text rules for integers, floats and patterns.
//!
//! Every function here is a function of its arguments. The crate never reads a socket or a
//! clock, never keeps a key, and never allocates in proportion to a length that a peer
//! merely announced: memory follows the bytes that have arrived.

#![forbid(unsafe_code)]

mod ahead;
mod bignum;
mod double;
mod glob;
mod inline;
mod integer;
mod kept;
mod long_double;
mod reply;
mod request;

pub mod fuzz;

pub use ahead::{Plain, look_ahead};
pub use double::format_double;
pub use glob::{glob_match, glob_match_ignoring_case};
pub use integer::{format_integer, parse_cursor, parse_integer};
pub use kept::KeptRequests;
pub use long_double::LongDouble;
pub use reply::{Protocol, Reply};
pub use request::{Args, MAX_ARGUMENTS, MAX_BULK, MAX_LINE, Parsed, ProtocolError, RequestParser};
