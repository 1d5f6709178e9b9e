//! A server as its operator meets it at night: updates that go wrong by themselves, workers that stand
//! still, ways back, wrong words.

mod answers;
mod canaries;
mod comparisons;
mod orphans;
mod stumbles;
mod ways_back;
