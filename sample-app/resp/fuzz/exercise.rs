//! The codec under libFuzzer. What is to hold is in `resp::fuzz`, which stable tests run as well.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| resp::fuzz::exercise(bytes));
