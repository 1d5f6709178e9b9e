//! What version 1 knows of strings and keys; the rest of it is in [`administration`](super::administration).

use Group::{Generic, String};

use super::administration;
use crate::command::{Command, Handler};
use crate::commands::{keyspace, numbers, ranges, scan, set, strings};
use crate::spec::{Access, CommandSpec, Flags, Group, KeySpec};
use crate::store::Store;

pub(super) const fn one(access: Access) -> KeySpec {
    range(access, 1, 0, 1)
}

pub(super) const fn range(access: Access, first: usize, last: i64, step: usize) -> KeySpec {
    KeySpec {
        access,
        first,
        last,
        step,
        notes: None,
    }
}

pub(super) const READ: &[KeySpec] = &[one(&["RO", "access"])];
pub(super) const LOOK: &[KeySpec] = &[one(&["RO"])];
const INSERT: &[KeySpec] = &[one(&["OW", "insert"])];
pub(super) const OVERWRITE: &[KeySpec] = &[one(&["OW", "update"])];
pub(super) const MODIFY: &[KeySpec] = &[one(&["RW", "update"])];
pub(super) const READ_MODIFY: &[KeySpec] = &[one(&["RW", "access", "update"])];
pub(super) const FAST: Flags = Flags::FAST;
pub(super) const READONLY: Flags = Flags::READONLY;
pub(super) const WRITE: Flags = Flags::WRITE;
pub(super) const DENYOOM: Flags = Flags::DENYOOM;
const AGGREGATE_SUM: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];

pub(super) const SET: CommandSpec =
    CommandSpec::new("set", -3, String, "1.0.0", "Makes a key hold a string.")
        .flags(WRITE)
        .flags(DENYOOM)
        .keys(&[KeySpec {
            notes: Some("RW and ACCESS due to the optional `GET` argument"),
            ..one(&["RW", "access", "update", "variable_flags"])
        }]);

/// The whole list.
pub fn commands<S: Store>() -> Vec<Command<S>> {
    let mut all = administration::connection_commands();
    all.extend(administration::server_commands());
    all.extend(string_commands());
    all.extend(key_commands());
    all
}

fn string_commands<S: Store>() -> Vec<Command<S>> {
    let about = |name, arity, flags, keys, since, summary| {
        CommandSpec::new(name, arity, String, since, summary)
            .flags(flags)
            .keys(keys)
    };
    let grows = WRITE | DENYOOM;
    vec![
        Command::new(SET, Handler::Keys(set::set_plain::<S>)),
        Command::new(
            about(
                "get",
                2,
                READONLY | FAST,
                READ,
                "1.0.0",
                "The string that a key holds.",
            ),
            Handler::Keys(strings::get::<S>),
        ),
        Command::new(
            about(
                "setnx",
                3,
                grows | FAST,
                INSERT,
                "1.0.0",
                "Sets a key that does not exist.",
            ),
            Handler::Keys(strings::setnx::<S>),
        ),
        Command::new(
            about(
                "getset",
                3,
                grows | FAST,
                READ_MODIFY,
                "1.0.0",
                "Sets a key and answers what it held.",
            ),
            Handler::Keys(strings::getset::<S>),
        ),
        Command::new(
            about(
                "getdel",
                2,
                WRITE | FAST,
                const { &[one(&["RW", "access", "delete"])] },
                "6.2.0",
                "Removes a key and answers what it held.",
            ),
            Handler::Keys(strings::getdel::<S>),
        ),
        Command::new(
            about(
                "mget",
                -2,
                READONLY | FAST,
                const { &[range(&["RO", "access"], 1, -1, 1)] },
                "1.0.0",
                "The strings that keys hold.",
            )
            .tips(&["request_policy:multi_shard"]),
            Handler::Keys(strings::mget::<S>),
        ),
        Command::new(
            about(
                "mset",
                -3,
                grows,
                const { &[range(&["OW", "update"], 1, -1, 2)] },
                "1.0.1",
                "Sets several keys at once.",
            )
            .tips(&[
                "request_policy:multi_shard",
                "response_policy:all_succeeded",
            ]),
            Handler::Keys(strings::mset::<S>),
        ),
        Command::new(
            about(
                "msetnx",
                -3,
                grows,
                const { &[range(&["OW", "insert"], 1, -1, 2)] },
                "1.0.1",
                "Sets several keys if none of them exists.",
            )
            .tips(&["request_policy:multi_shard", "response_policy:agg_min"]),
            Handler::Keys(strings::msetnx::<S>),
        ),
        Command::new(
            about(
                "append",
                3,
                grows | FAST,
                const { &[one(&["RW", "insert"])] },
                "2.0.0",
                "Adds to the end of a string.",
            ),
            Handler::Keys(strings::append::<S>),
        ),
        Command::new(
            about(
                "strlen",
                2,
                READONLY | FAST,
                LOOK,
                "2.2.0",
                "The length of a string.",
            ),
            Handler::Keys(strings::strlen::<S>),
        ),
        Command::new(
            about(
                "getrange",
                4,
                READONLY,
                READ,
                "2.4.0",
                "A part of a string.",
            ),
            Handler::Keys(ranges::getrange::<S>),
        ),
        Command::new(
            about(
                "substr",
                4,
                READONLY,
                READ,
                "1.0.0",
                "A part of a string, by its old name.",
            ),
            Handler::Keys(ranges::getrange::<S>),
        ),
        Command::new(
            about(
                "setrange",
                4,
                grows,
                MODIFY,
                "2.2.0",
                "Overwrites a part of a string.",
            ),
            Handler::Keys(ranges::setrange::<S>),
        ),
        Command::new(
            about(
                "incr",
                2,
                grows | FAST,
                READ_MODIFY,
                "1.0.0",
                "Adds one to a number.",
            ),
            Handler::Keys(numbers::incr::<S>),
        ),
        Command::new(
            about(
                "decr",
                2,
                grows | FAST,
                READ_MODIFY,
                "1.0.0",
                "Takes one from a number.",
            ),
            Handler::Keys(numbers::decr::<S>),
        ),
        Command::new(
            about(
                "incrby",
                3,
                grows | FAST,
                READ_MODIFY,
                "1.0.0",
                "Adds to a number.",
            ),
            Handler::Keys(numbers::incrby::<S>),
        ),
        Command::new(
            about(
                "decrby",
                3,
                grows | FAST,
                READ_MODIFY,
                "1.0.0",
                "Takes from a number.",
            ),
            Handler::Keys(numbers::decrby::<S>),
        ),
        Command::new(
            about(
                "incrbyfloat",
                3,
                grows | FAST,
                READ_MODIFY,
                "2.6.0",
                "Adds to a number with decimals.",
            ),
            Handler::Keys(numbers::incrbyfloat::<S>),
        ),
    ]
}

fn key_commands<S: Store>() -> Vec<Command<S>> {
    let about = |name, arity, flags, since, summary| {
        CommandSpec::new(name, arity, Generic, since, summary).flags(flags)
    };
    const REMOVE: &[KeySpec] = &[range(&["RM", "delete"], 1, -1, 1)];
    vec![
        Command::new(
            about("del", -2, WRITE, "1.0.0", "Removes keys.")
                .keys(REMOVE)
                .tips(AGGREGATE_SUM),
            Handler::Keys(keyspace::del::<S>),
        ),
        Command::new(
            about("unlink", -2, WRITE | FAST, "4.0.0", "Removes keys.")
                .keys(REMOVE)
                .tips(AGGREGATE_SUM),
            Handler::Keys(keyspace::del::<S>),
        ),
        Command::new(
            about(
                "exists",
                -2,
                READONLY | FAST,
                "1.0.0",
                "How many of these keys exist.",
            )
            .keys(const { &[range(&["RO"], 1, -1, 1)] })
            .tips(AGGREGATE_SUM),
            Handler::Keys(keyspace::exists::<S>),
        ),
        Command::new(
            about(
                "type",
                2,
                READONLY | FAST,
                "1.0.0",
                "The type of what a key holds.",
            )
            .keys(LOOK),
            Handler::Keys(keyspace::kind::<S>),
        ),
        Command::new(
            about(
                "keys",
                2,
                READONLY,
                "1.0.0",
                "The keys that match a pattern.",
            )
            .dangerous()
            .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
            Handler::All(keyspace::keys::<S>),
        ),
        Command::new(
            about(
                "scan",
                -2,
                READONLY,
                "2.8.0",
                "Walks over the keys, some at a time.",
            )
            .tips(&["nondeterministic_output", "request_policy:special"]),
            Handler::Walk(scan::scan::<S>),
        ),
        Command::new(
            about("randomkey", 1, READONLY, "1.0.0", "Any key.")
                .tips(&["request_policy:all_shards", "nondeterministic_output"]),
            Handler::All(keyspace::random_key::<S>),
        ),
        Command::new(
            about(
                "rename",
                3,
                WRITE,
                "1.0.0",
                "Moves a key, over what the new one held.",
            )
            .keys(
                const {
                    &[
                        range(&["RW", "access", "delete"], 1, 0, 1),
                        range(&["OW", "update"], 2, 0, 1),
                    ]
                },
            ),
            Handler::Keys(keyspace::rename::<S>),
        ),
        Command::new(
            about(
                "renamenx",
                3,
                WRITE | FAST,
                "1.0.0",
                "Moves a key if the new one does not exist.",
            )
            .keys(
                const {
                    &[
                        range(&["RW", "access", "delete"], 1, 0, 1),
                        range(&["OW", "insert"], 2, 0, 1),
                    ]
                },
            ),
            Handler::Keys(keyspace::renamenx::<S>),
        ),
    ]
}
