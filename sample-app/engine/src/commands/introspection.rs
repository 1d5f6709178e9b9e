//! COMMAND and its subcommands.

use resp::{Args, Reply, glob_match_ignoring_case};

use crate::call::{Call, Outcome};
use crate::command::Command;
use crate::error::CommandError;
use crate::spec::{Access, CommandSpec, KeySpec};
use crate::store::Store;
use crate::table::CommandTable;

pub(crate) fn all<S: Store>(call: &mut Call<'_>, table: &CommandTable<S>) -> Outcome {
    call.reply.array(table.iter().len());
    for command in table.iter() {
        describe(&mut call.reply, command);
    }
    Ok(())
}

pub(crate) fn count<S: Store>(call: &mut Call<'_>, table: &CommandTable<S>) -> Outcome {
    call.reply.count(table.iter().len());
    Ok(())
}

pub(crate) fn info<S: Store>(call: &mut Call<'_>, table: &CommandTable<S>) -> Outcome {
    let names = call.args.from(2);
    if names.is_empty() {
        return all(call, table);
    }
    call.reply.array(names.len());
    for name in names.iter() {
        match table.find_full(name) {
            Some(command) => describe(&mut call.reply, command),
            None => call.reply.null(),
        }
    }
    Ok(())
}

fn describe<S: Store>(reply: &mut Reply<'_>, command: &Command<S>) {
    let spec = &command.spec;
    let (first, last, step) = spec.key_range();
    reply.array(10);
    reply.bulk(spec.name.as_bytes());
    reply.integer(i64::from(spec.arity));
    let flags: Vec<&str> = spec.flags.names().collect();
    reply.set(flags.len());
    for flag in flags {
        reply.simple(flag);
    }
    reply.integer(first);
    reply.integer(last);
    reply.integer(step);
    let categories = spec.categories();
    reply.set(categories.len());
    for category in categories {
        reply.simple(category);
    }
    reply.set(spec.tips.len());
    for tip in spec.tips {
        reply.bulk(tip.as_bytes());
    }
    reply.set(spec.keys.len());
    for keys in spec.keys {
        describe_keys(reply, keys);
    }
    reply.set(command.subcommands.len());
    for sub in &command.subcommands {
        describe(reply, sub);
    }
}

fn describe_keys(reply: &mut Reply<'_>, keys: &KeySpec) {
    reply.map(3 + usize::from(keys.notes.is_some()));
    if let Some(notes) = keys.notes {
        reply.bulk(b"notes");
        reply.bulk(notes.as_bytes());
    }
    reply.bulk(b"flags");
    reply.set(keys.access.len());
    for access in keys.access {
        reply.simple(access);
    }
    reply.bulk(b"begin_search");
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(b"index");
    reply.bulk(b"spec");
    reply.map(1);
    reply.bulk(b"index");
    reply.count(keys.first);
    reply.bulk(b"find_keys");
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(b"range");
    reply.bulk(b"spec");
    reply.map(3);
    reply.bulk(b"lastkey");
    reply.integer(keys.last);
    reply.bulk(b"keystep");
    reply.count(keys.step);
    reply.bulk(b"limit");
    reply.integer(0);
}

pub(crate) fn docs<S: Store>(call: &mut Call<'_>, table: &CommandTable<S>) -> Outcome {
    let names = call.args.from(2);
    let found: Vec<&Command<S>> = if names.is_empty() {
        table.iter().collect()
    } else {
        names
            .iter()
            .filter_map(|name| table.find_full(name))
            .collect()
    };
    document(&mut call.reply, &found);
    Ok(())
}

fn document<S: Store>(reply: &mut Reply<'_>, commands: &[&Command<S>]) {
    reply.map(commands.len());
    for command in commands {
        let spec = &command.spec;
        let has_subcommands = !command.subcommands.is_empty();
        reply.bulk(spec.name.as_bytes());
        reply.map(3 + usize::from(has_subcommands));
        reply.bulk(b"summary");
        reply.bulk(spec.summary.as_bytes());
        reply.bulk(b"since");
        reply.bulk(spec.since.as_bytes());
        reply.bulk(b"group");
        reply.bulk(spec.group.name().as_bytes());
        if has_subcommands {
            reply.bulk(b"subcommands");
            let subcommands: Vec<&Command<S>> = command.subcommands.iter().collect();
            document(reply, &subcommands);
        }
    }
}

pub(crate) fn list<S: Store>(call: &mut Call<'_>, table: &CommandTable<S>) -> Outcome {
    let args = call.args;
    let wanted: Box<dyn Fn(&CommandSpec) -> bool> = match args.len() {
        2 => Box::new(|_: &CommandSpec| true),
        5 if call.is(2, "FILTERBY") => {
            let value = args.at(4);
            if call.is(3, "PATTERN") {
                Box::new(move |spec| glob_match_ignoring_case(value, spec.name.as_bytes()))
            } else if call.is(3, "ACLCAT") {
                Box::new(move |spec| {
                    spec.categories()
                        .iter()
                        .any(|category| category.as_bytes()[1..].eq_ignore_ascii_case(value))
                })
            } else if call.is(3, "MODULE") {
                Box::new(|_| false)
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        _ => return Err(CommandError::SYNTAX),
    };
    let only_commands = args.len() == 2;
    let mut names = Vec::new();
    for command in table.iter() {
        if wanted(&command.spec) {
            names.push(command.spec.name);
        }
        if !only_commands {
            let subcommands = command.subcommands.iter().map(|sub| &sub.spec);
            names.extend(
                subcommands
                    .filter(|spec| wanted(spec))
                    .map(|spec| spec.name),
            );
        }
    }
    call.reply.array(names.len());
    for name in names {
        call.reply.bulk(name.as_bytes());
    }
    Ok(())
}

/// The keys of the command line from the third argument on, with what happens to them.
fn keys_of<'a, S: Store>(
    call: &Call<'a>,
    table: &CommandTable<S>,
) -> Result<Vec<(&'a [u8], Access)>, CommandError> {
    let line = call.args.from(2);
    let mut command = table
        .find(line.at(0))
        .ok_or(CommandError::Text(&"ERR Invalid command specified"))?;
    if !command.subcommands.is_empty() {
        command = line
            .get(1)
            .and_then(|name| command.subcommand(name))
            .ok_or(CommandError::Text(&"ERR Invalid command specified"))?;
    }
    let spec = &command.spec;
    if spec.keys.is_empty() {
        return Err(CommandError::Text(&"ERR The command has no key arguments"));
    }
    if !spec.accepts(line.len()) {
        return Err(CommandError::Text(
            &"ERR Invalid number of arguments specified for command",
        ));
    }
    let mut found = Vec::new();
    for keys in spec.keys {
        let last = if keys.last < 0 {
            line.len() as i64 + keys.last
        } else {
            keys.first as i64 + keys.last
        };
        let places = (keys.first..=last as usize).step_by(keys.step);
        found.extend(places.map(|at| (line.at(at), access_of(keys, line))));
    }
    Ok(found)
}

/// What this command line does to its keys, where that depends on its options: SET answers what it
/// overwrites only if it is asked to.
fn access_of(keys: &KeySpec, line: Args<'_>) -> Access {
    if !keys.access.contains(&"variable_flags") {
        return keys.access;
    }
    let options = line.from(3);
    if options
        .iter()
        .any(|option| option.eq_ignore_ascii_case(b"get"))
    {
        &["RW", "access", "update"]
    } else {
        &["OW", "update"]
    }
}

pub(crate) fn get_keys<S: Store>(call: &mut Call<'_>, table: &CommandTable<S>) -> Outcome {
    let keys = keys_of(call, table)?;
    call.reply.array(keys.len());
    for (key, _) in keys {
        call.reply.bulk(key);
    }
    Ok(())
}

pub(crate) fn get_keys_and_flags<S: Store>(
    call: &mut Call<'_>,
    table: &CommandTable<S>,
) -> Outcome {
    let keys = keys_of(call, table)?;
    call.reply.array(keys.len());
    for (key, access) in keys {
        call.reply.array(2);
        call.reply.bulk(key);
        call.reply.set(access.len());
        for word in access {
            call.reply.simple(word);
        }
    }
    Ok(())
}

pub(crate) fn help(call: &mut Call<'_>) -> Outcome {
    super::server::help(
        call,
        "COMMAND",
        &[
            ("(no subcommand)", "Details of every command."),
            ("COUNT", "How many commands there are."),
            ("DOCS [<command-name> ...]", "What commands do."),
            ("GETKEYS <full-command>", "The keys in a command line."),
            (
                "GETKEYSANDFLAGS <full-command>",
                "The keys in a command line and their use.",
            ),
            ("INFO [<command-name> ...]", "Details of commands."),
            ("LIST [FILTERBY <filter> <value>]", "The names of commands."),
        ],
    )
}
