//! Updates of running servers, as operators and clients see them.

mod clients;
mod deaths;
mod halves;
mod mixed;
mod older;
mod refusals;
mod rooms;
mod signals;
mod under_load;
