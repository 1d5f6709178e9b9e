//! A command: what is known of it, and how to run it.

use crate::call::{Call, Outcome};
use crate::metrics::Meter;
use crate::spec::CommandSpec;
use crate::store::Store;
use crate::table::CommandTable;
use crate::walk::Doors;

/// How a command runs, by what it needs locked. A handler writes its reply; if it returns
/// an error, whatever it wrote is taken back and the error is the reply.
pub enum Handler<S: Store> {
    /// Needs no key.
    Free(fn(&mut Call<'_>) -> Outcome),
    /// Runs with the shards of the keys in its specification locked.
    Keys(for<'t> fn(&mut Call<'_>, &mut S::Tx<'t>) -> Outcome),
    /// Runs with every shard locked.
    All(for<'t> fn(&mut Call<'_>, &mut S::Tx<'t>) -> Outcome),
    /// Opens shards as it goes.
    Walk(for<'a, 't> fn(&mut Call<'_>, Doors<'a, 't, S>) -> Outcome),
    /// Tells about commands.
    Table(fn(&mut Call<'_>, &CommandTable<S>) -> Outcome),
    /// Runs other commands.
    Run(fn(&mut Call<'_>, &CommandTable<S>, &mut S::Context) -> Outcome),
    /// Only its subcommands run.
    Container,
}

impl<S: Store> Clone for Handler<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Store> Copy for Handler<S> {}

/// An entry of the command table.
pub struct Command<S: Store> {
    /// What is known of it.
    pub spec: CommandSpec,
    /// How it runs.
    pub handler: Handler<S>,
    /// Commands under its name.
    pub subcommands: Vec<Command<S>>,
    /// Where it is counted; given by the table.
    pub(crate) meter: Meter,
}

impl<S: Store> Command<S> {
    /// A command of its own.
    pub fn new(spec: CommandSpec, handler: Handler<S>) -> Self {
        Self {
            spec,
            handler,
            subcommands: Vec::new(),
            meter: Meter::default(),
        }
    }

    /// With commands under its name.
    pub fn with(mut self, subcommands: Vec<Command<S>>) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// The subcommand of this name, in any case.
    pub fn subcommand(&self, name: &[u8]) -> Option<&Self> {
        self.subcommands
            .iter()
            .find(|sub| sub.spec.short_name().as_bytes().eq_ignore_ascii_case(name))
    }
}
