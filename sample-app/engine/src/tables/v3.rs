//! What version 3 adds to version 2: lists, hashes, and what there is to know of values.

mod hashes;
mod lists;

use Group::Generic;

use super::v1::{DENYOOM, READONLY, WRITE, one, range};
use crate::command::{Command, Handler};
use crate::commands::{copy, object};
use crate::spec::{CommandSpec, Flags, Group, KeySpec};
use crate::typed::TypedStore;

const ADD: &[KeySpec] = &[one(&["RW", "insert"])];
const TAKE: &[KeySpec] = &[one(&["RW", "access", "delete"])];
const CUT: &[KeySpec] = &[one(&["RW", "delete"])];
const CHANGING: &[&str] = &["nondeterministic_output"];

/// The additions.
pub fn commands<S: TypedStore>() -> Vec<Command<S>> {
    let mut all = lists::commands();
    all.extend(hashes::commands());
    all.push(Command::new(
        CommandSpec::new(
            "copy",
            -3,
            Generic,
            "6.2.0",
            "Makes a key hold what another one holds.",
        )
        .flags(WRITE | DENYOOM)
        .keys(const { &[one(&["RO", "access"]), range(&["OW", "update"], 2, 0, 1)] }),
        Handler::Keys(copy::copy::<S>),
    ));
    all.push(
        Command::new(
            CommandSpec::new(
                "object",
                -2,
                Generic,
                "2.2.3",
                "Commands about how values are kept.",
            )
            .category(None),
            Handler::Container,
        )
        .with(object_commands()),
    );
    all
}

fn object_commands<S: TypedStore>() -> Vec<Command<S>> {
    let about = |name, since, summary| {
        CommandSpec::new(name, 3, Generic, since, summary)
            .flags(READONLY)
            .keys(const { &[range(&["RO"], 2, 0, 1)] })
            .tips(CHANGING)
    };
    vec![
        Command::new(
            about("object|encoding", "2.2.3", "How a value is kept."),
            Handler::Keys(object::encoding::<S>),
        ),
        Command::new(
            about("object|freq", "4.0.0", "How often a value is used."),
            Handler::Keys(object::freq::<S>),
        ),
        Command::new(
            CommandSpec::new("object|help", 2, Generic, "6.2.0", "Explains OBJECT.")
                .flags(Flags::ANYTIME),
            Handler::Free(object::help),
        ),
        Command::new(
            about(
                "object|idletime",
                "2.2.3",
                "Seconds since a value was used.",
            ),
            Handler::Keys(object::idletime::<S>),
        ),
        Command::new(
            about("object|refcount", "2.2.3", "How many keys share a value."),
            Handler::Keys(object::refcount::<S>),
        ),
    ]
}
