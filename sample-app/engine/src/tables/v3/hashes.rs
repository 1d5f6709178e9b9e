//! Commands on hashes.

use super::{ADD, CHANGING, CUT};
use crate::command::{Command, Handler};
use crate::commands::hashes::{fields, numbers, random, whole};
use crate::spec::Group::Hash;
use crate::spec::{CommandSpec, Flags, KeySpec};
use crate::tables::v1::{DENYOOM, FAST, LOOK, MODIFY, READ, READ_MODIFY, READONLY, WRITE};
use crate::typed::TypedStore;

fn about(
    name: &'static str,
    arity: i32,
    flags: Flags,
    keys: &'static [KeySpec],
    since: &'static str,
    summary: &'static str,
) -> CommandSpec {
    CommandSpec::new(name, arity, Hash, since, summary)
        .flags(flags)
        .keys(keys)
}

pub(super) fn commands<S: TypedStore>() -> Vec<Command<S>> {
    let mut all = on_fields();
    all.extend(on_all_fields());
    all
}

fn on_fields<S: TypedStore>() -> Vec<Command<S>> {
    let grows = WRITE | DENYOOM;
    vec![
        Command::new(
            about("hset", -4, grows | FAST, MODIFY, "2.0.0", "Sets fields."),
            Handler::Keys(fields::hset::<S>),
        ),
        Command::new(
            about(
                "hmset",
                -4,
                grows | FAST,
                MODIFY,
                "2.0.0",
                "Sets fields, by its old name.",
            ),
            Handler::Keys(fields::hmset::<S>),
        ),
        Command::new(
            about(
                "hsetnx",
                4,
                grows | FAST,
                ADD,
                "2.0.0",
                "Sets a field that does not exist.",
            ),
            Handler::Keys(fields::hsetnx::<S>),
        ),
        Command::new(
            about(
                "hget",
                3,
                READONLY | FAST,
                READ,
                "2.0.0",
                "The value of a field.",
            ),
            Handler::Keys(fields::hget::<S>),
        ),
        Command::new(
            about(
                "hmget",
                -3,
                READONLY | FAST,
                READ,
                "2.0.0",
                "The values of fields.",
            ),
            Handler::Keys(fields::hmget::<S>),
        ),
        Command::new(
            about("hdel", -3, WRITE | FAST, CUT, "2.0.0", "Removes fields."),
            Handler::Keys(fields::hdel::<S>),
        ),
        Command::new(
            about(
                "hlen",
                2,
                READONLY | FAST,
                LOOK,
                "2.0.0",
                "How many fields there are.",
            ),
            Handler::Keys(fields::hlen::<S>),
        ),
        Command::new(
            about(
                "hexists",
                3,
                READONLY | FAST,
                LOOK,
                "2.0.0",
                "Whether there is such a field.",
            ),
            Handler::Keys(fields::hexists::<S>),
        ),
        Command::new(
            about(
                "hstrlen",
                3,
                READONLY | FAST,
                LOOK,
                "3.2.0",
                "The length of a field's value.",
            ),
            Handler::Keys(fields::hstrlen::<S>),
        ),
        Command::new(
            about(
                "hincrby",
                4,
                grows | FAST,
                READ_MODIFY,
                "2.0.0",
                "Adds to a field that is a number.",
            ),
            Handler::Keys(numbers::hincrby::<S>),
        ),
        Command::new(
            about(
                "hincrbyfloat",
                4,
                grows | FAST,
                READ_MODIFY,
                "2.6.0",
                "Adds to a field that is a number with decimals.",
            ),
            Handler::Keys(numbers::hincrbyfloat::<S>),
        ),
    ]
}

fn on_all_fields<S: TypedStore>() -> Vec<Command<S>> {
    const UNORDERED: &[&str] = &["nondeterministic_output_order"];
    vec![
        Command::new(
            about(
                "hgetall",
                2,
                READONLY,
                READ,
                "2.0.0",
                "All fields with their values.",
            )
            .tips(UNORDERED),
            Handler::Keys(whole::hgetall::<S>),
        ),
        Command::new(
            about(
                "hkeys",
                2,
                READONLY,
                READ,
                "2.0.0",
                "The names of all fields.",
            )
            .tips(UNORDERED),
            Handler::Keys(whole::hkeys::<S>),
        ),
        Command::new(
            about(
                "hvals",
                2,
                READONLY,
                READ,
                "2.0.0",
                "The values of all fields.",
            )
            .tips(UNORDERED),
            Handler::Keys(whole::hvals::<S>),
        ),
        Command::new(
            about(
                "hscan",
                -3,
                READONLY,
                READ,
                "2.8.0",
                "Walks over the fields, some at a time.",
            )
            .tips(CHANGING),
            Handler::Keys(whole::hscan::<S>),
        ),
        Command::new(
            about("hrandfield", -2, READONLY, READ, "6.2.0", "Any fields.").tips(CHANGING),
            Handler::Keys(random::hrandfield::<S>),
        ),
    ]
}
