//! Commands on lists.

use super::{ADD, CUT, TAKE};
use crate::command::{Command, Handler};
use crate::commands::lists::{ends, positions, search};
use crate::spec::Group::List;
use crate::spec::{CommandSpec, Flags, KeySpec};
use crate::tables::v1::{DENYOOM, FAST, LOOK, MODIFY, READ, READONLY, WRITE, one, range};
use crate::typed::TypedStore;

const MOVE: &[KeySpec] = &[
    one(&["RW", "access", "delete"]),
    range(&["RW", "insert"], 2, 0, 1),
];

fn about(
    name: &'static str,
    arity: i32,
    flags: Flags,
    keys: &'static [KeySpec],
    since: &'static str,
    summary: &'static str,
) -> CommandSpec {
    CommandSpec::new(name, arity, List, since, summary)
        .flags(flags)
        .keys(keys)
}

pub(super) fn commands<S: TypedStore>() -> Vec<Command<S>> {
    let mut all = at_the_ends();
    all.extend(within());
    all
}

fn at_the_ends<S: TypedStore>() -> Vec<Command<S>> {
    let grows = WRITE | DENYOOM;
    vec![
        Command::new(
            about(
                "lpush",
                -3,
                grows | FAST,
                ADD,
                "1.0.0",
                "Adds elements at the head of a list.",
            ),
            Handler::Keys(ends::lpush::<S>),
        ),
        Command::new(
            about(
                "rpush",
                -3,
                grows | FAST,
                ADD,
                "1.0.0",
                "Adds elements at the tail of a list.",
            ),
            Handler::Keys(ends::rpush::<S>),
        ),
        Command::new(
            about(
                "lpushx",
                -3,
                grows | FAST,
                ADD,
                "2.2.0",
                "Adds elements at the head of a list that exists.",
            ),
            Handler::Keys(ends::lpushx::<S>),
        ),
        Command::new(
            about(
                "rpushx",
                -3,
                grows | FAST,
                ADD,
                "2.2.0",
                "Adds elements at the tail of a list that exists.",
            ),
            Handler::Keys(ends::rpushx::<S>),
        ),
        Command::new(
            about(
                "lpop",
                -2,
                WRITE | FAST,
                TAKE,
                "1.0.0",
                "Takes elements off the head of a list.",
            ),
            Handler::Keys(ends::lpop::<S>),
        ),
        Command::new(
            about(
                "rpop",
                -2,
                WRITE | FAST,
                TAKE,
                "1.0.0",
                "Takes elements off the tail of a list.",
            ),
            Handler::Keys(ends::rpop::<S>),
        ),
        Command::new(
            about(
                "lmove",
                5,
                grows,
                MOVE,
                "6.2.0",
                "Moves an element from an end of a list to one of another.",
            ),
            Handler::Keys(ends::lmove::<S>),
        ),
        Command::new(
            about(
                "rpoplpush",
                3,
                grows,
                MOVE,
                "1.2.0",
                "Moves the last element of a list to the head of another.",
            ),
            Handler::Keys(ends::rpoplpush::<S>),
        ),
    ]
}

fn within<S: TypedStore>() -> Vec<Command<S>> {
    let grows = WRITE | DENYOOM;
    vec![
        Command::new(
            about(
                "llen",
                2,
                READONLY | FAST,
                LOOK,
                "1.0.0",
                "How many elements a list has.",
            ),
            Handler::Keys(positions::llen::<S>),
        ),
        Command::new(
            about(
                "lindex",
                3,
                READONLY,
                READ,
                "1.0.0",
                "The element at a position.",
            ),
            Handler::Keys(positions::lindex::<S>),
        ),
        Command::new(
            about(
                "lset",
                4,
                grows,
                MODIFY,
                "1.0.0",
                "Replaces the element at a position.",
            ),
            Handler::Keys(positions::lset::<S>),
        ),
        Command::new(
            about(
                "lrange",
                4,
                READONLY,
                READ,
                "1.0.0",
                "The elements between two positions.",
            ),
            Handler::Keys(positions::lrange::<S>),
        ),
        Command::new(
            about(
                "ltrim",
                4,
                WRITE,
                CUT,
                "1.0.0",
                "Leaves the elements between two positions.",
            ),
            Handler::Keys(positions::ltrim::<S>),
        ),
        Command::new(
            about(
                "lpos",
                -3,
                READONLY,
                READ,
                "6.0.6",
                "The positions of equal elements.",
            ),
            Handler::Keys(search::lpos::<S>),
        ),
        Command::new(
            about("lrem", 4, WRITE, CUT, "1.0.0", "Removes equal elements."),
            Handler::Keys(search::lrem::<S>),
        ),
        Command::new(
            about(
                "linsert",
                5,
                grows,
                ADD,
                "2.2.0",
                "Adds an element beside another.",
            ),
            Handler::Keys(search::linsert::<S>),
        ),
    ]
}
