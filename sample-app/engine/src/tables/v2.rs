//! What version 2 adds to version 1, and what it does otherwise.

use Group::{Generic, String};

use super::v1::{DENYOOM, MODIFY, OVERWRITE, READ, SET, WRITE, one};
use crate::command::{Command, Handler};
use crate::commands::{expiry, set};
use crate::spec::{CommandSpec, Flags, Group, KeySpec};
use crate::store::ExpiringStore;

/// The additions and overrides.
pub fn commands<S: ExpiringStore>() -> Vec<Command<S>> {
    let mut all = setting_commands();
    all.extend(deadline_commands());
    all.extend(lifetime_commands());
    all
}

fn setting_commands<S: ExpiringStore>() -> Vec<Command<S>> {
    let setex = |name, since, summary| {
        CommandSpec::new(name, 4, String, since, summary)
            .flags(WRITE | DENYOOM)
            .keys(OVERWRITE)
    };
    vec![
        Command::new(SET, Handler::Keys(set::set::<S>)),
        Command::new(
            setex(
                "setex",
                "2.0.0",
                "Makes a key hold a string for some seconds.",
            ),
            Handler::Keys(set::setex::<S>),
        ),
        Command::new(
            setex(
                "psetex",
                "2.6.0",
                "Makes a key hold a string for some milliseconds.",
            ),
            Handler::Keys(set::psetex::<S>),
        ),
        Command::new(
            CommandSpec::new(
                "getex",
                -2,
                String,
                "6.2.0",
                "The string that a key holds, its time to live changed.",
            )
            .flags(WRITE | Flags::FAST)
            .keys(
                const {
                    &[KeySpec {
                        notes: Some("RW and UPDATE because it changes the TTL"),
                        ..one(&["RW", "access", "update"])
                    }]
                },
            ),
            Handler::Keys(set::getex::<S>),
        ),
    ]
}

fn deadline_commands<S: ExpiringStore>() -> Vec<Command<S>> {
    let about = |name, arity, since, summary| {
        CommandSpec::new(name, arity, Generic, since, summary)
            .flags(WRITE | Flags::FAST)
            .keys(MODIFY)
    };
    vec![
        Command::new(
            about("expire", -3, "1.0.0", "Lets a key live for some seconds."),
            Handler::Keys(expiry::expire::<S>),
        ),
        Command::new(
            about(
                "pexpire",
                -3,
                "2.6.0",
                "Lets a key live for some milliseconds.",
            ),
            Handler::Keys(expiry::pexpire::<S>),
        ),
        Command::new(
            about(
                "expireat",
                -3,
                "1.2.0",
                "Lets a key live until a second since 1970.",
            ),
            Handler::Keys(expiry::expireat::<S>),
        ),
        Command::new(
            about(
                "pexpireat",
                -3,
                "2.6.0",
                "Lets a key live until a millisecond since 1970.",
            ),
            Handler::Keys(expiry::pexpireat::<S>),
        ),
        Command::new(
            about("persist", 2, "2.2.0", "Lets a key live for ever."),
            Handler::Keys(expiry::persist::<S>),
        ),
    ]
}

fn lifetime_commands<S: ExpiringStore>() -> Vec<Command<S>> {
    let about = |name, since, summary| {
        CommandSpec::new(name, 2, Generic, since, summary)
            .flags(Flags::READONLY | Flags::FAST)
            .keys(READ)
    };
    const CHANGING: &[&str] = &["nondeterministic_output"];
    vec![
        Command::new(
            about("ttl", "1.0.0", "Seconds that a key has to live.").tips(CHANGING),
            Handler::Keys(expiry::ttl::<S>),
        ),
        Command::new(
            about("pttl", "2.6.0", "Milliseconds that a key has to live.").tips(CHANGING),
            Handler::Keys(expiry::pttl::<S>),
        ),
        Command::new(
            about(
                "expiretime",
                "7.0.0",
                "The second since 1970 until which a key lives.",
            ),
            Handler::Keys(expiry::expiretime::<S>),
        ),
        Command::new(
            about(
                "pexpiretime",
                "7.0.0",
                "The millisecond since 1970 until which a key lives.",
            ),
            Handler::Keys(expiry::pexpiretime::<S>),
        ),
    ]
}
