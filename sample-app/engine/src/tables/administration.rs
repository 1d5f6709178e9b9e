//! Commands about connections and the server, which every version has.

use Group::{Connection, Server};

use crate::command::{Command, Handler};
use crate::commands::{client, connection, info, introspection, server};
use crate::spec::{CommandSpec, Flags, Group};
use crate::store::Store;

const FAST: Flags = Flags::FAST;
const READONLY: Flags = Flags::READONLY;
const WRITE: Flags = Flags::WRITE;
const ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];

pub(super) fn connection_commands<S: Store>() -> Vec<Command<S>> {
    let about =
        |name, arity, since, summary| CommandSpec::new(name, arity, Connection, since, summary);
    vec![
        Command::new(
            about(
                "ping",
                -1,
                "1.0.0",
                "Answers PONG, or the text it is given.",
            )
            .flags(FAST)
            .tips(ALL_SHARDS),
            Handler::Free(connection::ping),
        ),
        Command::new(
            about("echo", 2, "1.0.0", "Answers the text it is given.")
                .flags(Flags::ANYTIME)
                .flags(FAST),
            Handler::Free(connection::echo),
        ),
        Command::new(
            about(
                "select",
                2,
                "1.0.0",
                "Chooses the database, of which there is one.",
            )
            .flags(Flags::ANYTIME)
            .flags(FAST),
            Handler::Free(connection::select),
        ),
        Command::new(
            about(
                "hello",
                -1,
                "6.0.0",
                "Chooses the protocol and tells about the server.",
            )
            .flags(Flags::BEFORE_AUTH),
            Handler::Free(connection::hello),
        ),
        Command::new(
            about(
                "auth",
                -2,
                "1.0.0",
                "Authenticates, where no password is set.",
            )
            .flags(Flags::BEFORE_AUTH),
            Handler::Free(connection::auth),
        ),
        Command::new(
            about("quit", -1, "1.0.0", "Closes the connection.").flags(Flags::BEFORE_AUTH),
            Handler::Free(connection::quit),
        ),
        Command::new(
            about(
                "reset",
                1,
                "6.2.0",
                "Makes the connection as it was when it was new.",
            )
            .flags(Flags::BEFORE_AUTH),
            Handler::Free(connection::reset),
        ),
        Command::new(
            about("client", -2, "2.4.0", "Commands about connections.").category(None),
            Handler::Container,
        )
        .with(client_commands()),
    ]
}

fn client_commands<S: Store>() -> Vec<Command<S>> {
    let about = |name, arity, since, summary| {
        CommandSpec::new(name, arity, Connection, since, summary)
            .flags(Flags::ANYTIME)
            .flags(Flags::NOSCRIPT)
    };
    vec![
        Command::new(
            CommandSpec::new("client|help", 2, Connection, "5.0.0", "Explains CLIENT.")
                .flags(Flags::ANYTIME),
            Handler::Free(client::help),
        ),
        Command::new(
            about("client|id", 2, "5.0.0", "The number of this connection."),
            Handler::Free(client::id),
        ),
        Command::new(
            about(
                "client|info",
                2,
                "6.2.0",
                "What CLIENT LIST tells of this connection.",
            )
            .tips(&["nondeterministic_output"]),
            Handler::Free(client::info),
        ),
        Command::new(
            about("client|list", -2, "2.4.0", "One line for each connection.")
                .flags(Flags::ADMIN)
                .tips(&["nondeterministic_output"]),
            Handler::Free(client::list),
        ),
        Command::new(
            about("client|getname", 2, "2.6.9", "The name of this connection."),
            Handler::Free(client::get_name),
        ),
        Command::new(
            about("client|setname", 3, "2.6.9", "Names this connection."),
            Handler::Free(client::set_name_command),
        ),
        Command::new(
            about(
                "client|setinfo",
                4,
                "7.2.0",
                "Tells which client library this is.",
            ),
            Handler::Free(client::set_info),
        ),
        Command::new(
            about("client|reply", 3, "3.2.0", "Switches replies on or off."),
            Handler::Free(client::reply),
        ),
        Command::new(
            about(
                "client|no-evict",
                3,
                "7.0.0",
                "Exempts this connection from eviction, of which there is none.",
            )
            .flags(Flags::ADMIN),
            Handler::Free(client::no_evict),
        ),
    ]
}

pub(super) fn server_commands<S: Store>() -> Vec<Command<S>> {
    let about = |name, arity, since, summary| CommandSpec::new(name, arity, Server, since, summary);
    vec![
        Command::new(
            about("command", -1, "2.8.13", "Details of every command.")
                .category(Some("@connection"))
                .flags(Flags::ANYTIME)
                .tips(&["nondeterministic_output_order"]),
            Handler::Table(introspection::all),
        )
        .with(command_commands()),
        Command::new(
            about("config", -2, "2.0.0", "Commands about settings."),
            Handler::Container,
        )
        .with(vec![
            Command::new(
                about("config|get", -3, "2.0.0", "Settings whose names match.")
                    .flags(Flags::ADMIN)
                    .flags(Flags::ANYTIME)
                    .flags(Flags::NOSCRIPT),
                Handler::Free(server::config_get),
            ),
            Command::new(
                about("config|help", 2, "5.0.0", "Explains CONFIG.").flags(Flags::ANYTIME),
                Handler::Free(server::config_help),
            ),
        ]),
        Command::new(
            about("info", -1, "1.0.0", "Facts about the server.")
                .flags(Flags::ANYTIME)
                .dangerous()
                .tips(&[
                    "nondeterministic_output",
                    "request_policy:all_shards",
                    "response_policy:special",
                ]),
            Handler::Walk(info::info::<S>),
        ),
        Command::new(
            about("dbsize", 1, "1.0.0", "How many keys there are.")
                .category(Some("@keyspace"))
                .flags(READONLY)
                .flags(FAST)
                .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
            Handler::All(server::dbsize::<S>),
        ),
        Command::new(
            about("flushall", -1, "1.0.0", "Removes every key.")
                .category(Some("@keyspace"))
                .flags(WRITE)
                .dangerous()
                .tips(ALL_SHARDS),
            Handler::All(server::flush::<S>),
        ),
        Command::new(
            about("flushdb", -1, "1.0.0", "Removes every key of the database.")
                .category(Some("@keyspace"))
                .flags(WRITE)
                .dangerous()
                .tips(ALL_SHARDS),
            Handler::All(server::flush::<S>),
        ),
    ]
}

fn command_commands<S: Store>() -> Vec<Command<S>> {
    let about = |name, arity, since, summary| {
        CommandSpec::new(name, arity, Server, since, summary)
            .category(Some("@connection"))
            .flags(Flags::ANYTIME)
    };
    const UNORDERED: &[&str] = &["nondeterministic_output_order"];
    vec![
        Command::new(
            about("command|count", 2, "2.8.13", "How many commands there are."),
            Handler::Table(introspection::count),
        ),
        Command::new(
            about("command|docs", -2, "7.0.0", "What commands do.").tips(UNORDERED),
            Handler::Table(introspection::docs),
        ),
        Command::new(
            about(
                "command|getkeys",
                -4,
                "2.8.13",
                "The keys in a command line.",
            ),
            Handler::Table(introspection::get_keys),
        ),
        Command::new(
            about(
                "command|getkeysandflags",
                -4,
                "7.0.0",
                "The keys in a command line, and their use.",
            ),
            Handler::Table(introspection::get_keys_and_flags),
        ),
        Command::new(
            about("command|help", 2, "5.0.0", "Explains COMMAND."),
            Handler::Free(introspection::help),
        ),
        Command::new(
            about("command|info", -2, "2.8.13", "Details of commands.").tips(UNORDERED),
            Handler::Table(introspection::info),
        ),
        Command::new(
            about("command|list", -2, "7.0.0", "The names of commands.").tips(UNORDERED),
            Handler::Table(introspection::list),
        ),
    ]
}
