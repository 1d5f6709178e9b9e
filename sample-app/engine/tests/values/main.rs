//! Lists and hashes beside the collections of std, on a heap that is full now and then. What fails
//! leaves the value as it was; what was dropped gives all its memory back.

mod hashes;
mod heap;
mod lists;
