//! What benchmarks are told by the environment.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// A setting, or its default.
pub fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// A setting that is a number, or its default.
///
/// # Panics
/// If it is none.
pub fn number<T: FromStr + Display>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

/// The second where cargo only runs benchmarks as tests.
pub fn or_quick<T>(full: T, quick: T) -> T {
    match std::env::args().any(|argument| argument == "--test") {
        true => quick,
        false => full,
    }
}

/// The middle one, in milliseconds; 0 of none.
pub fn median_ms(mut values: Vec<Duration>) -> f64 {
    values.sort_unstable();
    let middle = values.get(values.len() / 2).copied();
    middle.unwrap_or_default().as_secs_f64() * 1000.0
}
