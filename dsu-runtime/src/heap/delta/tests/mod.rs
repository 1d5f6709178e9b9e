//! Containers that change shape while both sides write: against a model, with slices of any length, flips
//! that stand or do not, and a heap that fails at any allocation.
//!
//! D1: a key that is not marked has in the twin the word that the container has, or both have none, or
//! the twin has not come there. D2: a twin reads, drops and shows nothing that a word leads to: every
//! block is reached once. D3: nobody trusts a twin that was given up, that somebody died in, or that is
//! another lens's or another family's. D4: what a twin says, it says wherever its container is.

mod cases;
mod deaths;
mod exchanged;
mod index;
mod keys;
mod laws;
mod lists;
mod maps;
mod parts;
mod swept;
mod world;
