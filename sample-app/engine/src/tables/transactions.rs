//! The commands of transactions, which a version has from its third on.

use Group::Transactions;

use crate::command::{Command, Handler};
use crate::commands::transactions;
use crate::spec::{CommandSpec, Flags, Group, KeySpec};
use crate::store::Store;

const WATCHED: &[KeySpec] = &[KeySpec {
    access: &["RO"],
    first: 1,
    last: -1,
    step: 1,
    notes: None,
}];

/// The whole list.
pub fn commands<S: Store>() -> Vec<Command<S>> {
    let about = |name, arity, since, summary| {
        CommandSpec::new(name, arity, Transactions, since, summary)
            .flags(Flags::ANYTIME | Flags::NOSCRIPT)
    };
    let fast = Flags::FAST | Flags::ALLOW_BUSY;
    vec![
        Command::new(
            about("multi", 1, "1.2.0", "Queues what follows for EXEC.").flags(fast),
            Handler::Free(transactions::multi),
        ),
        Command::new(
            about(
                "exec",
                1,
                "1.2.0",
                "Runs what was queued since MULTI, as one.",
            )
            .flags(Flags::SKIP_SLOWLOG),
            Handler::Run(transactions::exec::<S>),
        ),
        Command::new(
            about(
                "discard",
                1,
                "2.0.0",
                "Forgets what was queued since MULTI.",
            )
            .flags(fast),
            Handler::Free(transactions::discard),
        ),
        Command::new(
            about(
                "watch",
                -2,
                "2.2.0",
                "Lets the next EXEC run only if these keys were not changed.",
            )
            .flags(fast)
            .keys(WATCHED),
            Handler::Keys(transactions::watch::<S>),
        ),
        Command::new(
            about("unwatch", 1, "2.2.0", "Forgets what WATCH was told.").flags(fast),
            Handler::Free(transactions::unwatch),
        ),
    ]
}
