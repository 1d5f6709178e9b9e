//! CONFIG, DBSIZE, FLUSHALL and FLUSHDB.

use resp::glob_match_ignoring_case;

use crate::call::{Call, Outcome};
use crate::error::CommandError;
use crate::store::{Keyspace, Store};

pub(crate) fn config_get(call: &mut Call<'_>) -> Outcome {
    let patterns = call.args.from(2);
    let mut found: Vec<(Vec<u8>, String)> = Vec::new();
    call.server.settings(&mut |name, value| {
        let name = name.as_bytes();
        let shown = patterns.iter().find_map(|pattern| {
            if pattern.iter().any(|byte| b"[*?".contains(byte)) {
                glob_match_ignoring_case(pattern, name).then_some(name)
            } else {
                // Who asks for one by its name hears the name as it was asked for.
                pattern.eq_ignore_ascii_case(name).then_some(pattern)
            }
        });
        found.extend(shown.map(|shown| (shown.to_vec(), value.to_owned())));
    });
    call.reply.map(found.len());
    for (name, value) in found {
        call.reply.bulk(&name);
        call.reply.bulk(value.as_bytes());
    }
    Ok(())
}

pub(crate) fn config_help(call: &mut Call<'_>) -> Outcome {
    help(
        call,
        "CONFIG",
        &[(
            "GET <pattern> [<pattern> ...]",
            "Settings whose names match.",
        )],
    )
}

/// The reply of a container's HELP subcommand.
pub(crate) fn help(call: &mut Call<'_>, container: &str, lines: &[(&str, &str)]) -> Outcome {
    let reply = &mut call.reply;
    reply.array(1 + 2 * lines.len() + 2);
    reply.simple(&format!(
        "{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    ));
    for (usage, meaning) in lines.iter().copied().chain([("HELP", "This text.")]) {
        reply.simple(usage);
        reply.simple(&format!("    {meaning}"));
    }
    Ok(())
}

pub(crate) fn dbsize<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let keys = tx.totals()?.keys;
    call.reply.integer(keys as i64);
    Ok(())
}

/// FLUSHALL and FLUSHDB alike, as there is one database. ASYNC and SYNC are accepted and
/// make no difference.
pub(crate) fn flush<S: Store>(call: &mut Call<'_>, tx: &mut S::Tx<'_>) -> Outcome {
    let known = match call.args.len() {
        1 => true,
        2 => call.is(1, "SYNC") || call.is(1, "ASYNC"),
        _ => false,
    };
    if !known {
        return Err(CommandError::SYNTAX);
    }
    tx.clear()?;
    call.reply.ok();
    Ok(())
}
