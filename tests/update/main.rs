//! Updates of running servers, as operators and clients see them.

mod careless_lenses;
mod clients;
mod deaths;
mod graph;
mod halves;
mod journey;
mod listeners;
mod mixed;
mod moved_items;
mod names;
mod older;
mod orders;
mod parked;
mod refusals;
mod repaired;
mod reshaped;
mod rooms;
mod signals;
mod transactions;
mod typed;
mod under_load;
