//! Typed guards, by two versions that share their slots in one process: access, flips, deaths.

mod access;
mod circles;
mod crashes;
mod death;
mod flips;
mod order;
mod sweeps;
mod world;
