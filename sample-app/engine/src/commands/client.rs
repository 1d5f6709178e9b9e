//! CLIENT and its subcommands.

use resp::{Args, parse_integer};

use crate::call::{Call, Client, Outcome};
use crate::error::CommandError;

pub(crate) fn id(call: &mut Call<'_>) -> Outcome {
    call.reply.integer(call.client.id as i64);
    Ok(())
}

pub(crate) fn get_name(call: &mut Call<'_>) -> Outcome {
    if call.client.name.is_empty() {
        call.reply.null();
    } else {
        call.reply.bulk(call.client.name.as_bytes());
    }
    Ok(())
}

pub(crate) fn set_name_command(call: &mut Call<'_>) -> Outcome {
    set_name(call.client, call.args.at(2))?;
    call.reply.ok();
    Ok(())
}

/// Gives the connection a name; an empty one takes it away.
pub(crate) fn set_name(client: &mut Client, name: &[u8]) -> Outcome {
    client.name = plain(name).ok_or(CommandError::Text(
        &"ERR Client names cannot contain spaces, newlines or special characters.",
    ))?;
    Ok(())
}

/// The text if it can stand in a line of CLIENT LIST.
fn plain(text: &[u8]) -> Option<String> {
    text.iter()
        .map(|&byte| (b'!'..=b'~').contains(&byte).then_some(byte as char))
        .collect()
}

/// As Redis 7.2 has it, for clients that send it unasked.
pub(crate) fn set_info(call: &mut Call<'_>) -> Outcome {
    let refused = |option: &str| {
        CommandError::whole(format!(
            "ERR {option} cannot contain spaces, newlines or special characters."
        ))
    };
    let value = plain(call.args.at(3));
    if call.is(2, "lib-name") {
        call.client.library_name = value.ok_or_else(|| refused("lib-name"))?;
    } else if call.is(2, "lib-ver") {
        call.client.library_version = value.ok_or_else(|| refused("lib-ver"))?;
    } else {
        let before = "ERR Unrecognized option '";
        return Err(CommandError::quoting(before, call.args.at(2), "'"));
    }
    call.reply.ok();
    Ok(())
}

pub(crate) fn info(call: &mut Call<'_>) -> Outcome {
    let mut line = call.client.describe(call.now, call.buffers());
    line.push('\n');
    call.reply.verbatim_text(line.as_bytes());
    Ok(())
}

pub(crate) fn list(call: &mut Call<'_>) -> Outcome {
    let wanted = Wanted::parse(call)?;
    let own = call.client.id;
    let mut lines = Vec::new();
    if wanted.has(own) {
        lines.push((own, call.client.describe(call.now, call.buffers())));
    }
    call.server.other_clients(own, &mut |id, line| {
        if wanted.has(id) {
            lines.push((id, line.to_owned()));
        }
    });
    lines.sort_by_key(|(id, _)| *id);
    let mut text = String::new();
    for (_, line) in lines {
        text.push_str(&line);
        text.push('\n');
    }
    call.reply.verbatim_text(text.as_bytes());
    Ok(())
}

/// Which connections CLIENT LIST shows.
enum Wanted<'a> {
    All,
    None,
    Ids(Args<'a>),
}

impl<'a> Wanted<'a> {
    fn parse(call: &Call<'a>) -> Result<Self, CommandError> {
        match call.args.len() {
            2 => Ok(Self::All),
            4 if call.is(2, "TYPE") => match call.args.at(3).to_ascii_lowercase().as_slice() {
                b"normal" => Ok(Self::All),
                b"master" | b"replica" | b"slave" | b"pubsub" => Ok(Self::None),
                _ => {
                    let before = "ERR Unknown client type '";
                    Err(CommandError::quoting(before, call.args.at(3), "'"))
                }
            },
            4.. if call.is(2, "ID") => {
                let ids = call.args.from(3);
                if ids.iter().all(|id| parse_integer(id).is_some()) {
                    Ok(Self::Ids(ids))
                } else {
                    Err(CommandError::Text(&"ERR Invalid client ID"))
                }
            }
            _ => Err(CommandError::SYNTAX),
        }
    }

    fn has(&self, id: u64) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Ids(ids) => ids.iter().any(|one| parse_integer(one) == Some(id as i64)),
        }
    }
}

/// ON is answered; OFF and SKIP are not.
pub(crate) fn reply(call: &mut Call<'_>) -> Outcome {
    let mode = &mut call.client.reply_mode;
    if call.args.at(2).eq_ignore_ascii_case(b"on") {
        mode.turn_on();
        call.reply.ok();
    } else if call.args.at(2).eq_ignore_ascii_case(b"off") {
        mode.turn_off();
    } else if call.args.at(2).eq_ignore_ascii_case(b"skip") {
        mode.skip_next();
    } else {
        return Err(CommandError::SYNTAX);
    }
    Ok(())
}

/// Connections are never evicted, so either wish is granted.
pub(crate) fn no_evict(call: &mut Call<'_>) -> Outcome {
    call.client.no_evict = call.is(2, "ON");
    if !call.client.no_evict && !call.is(2, "OFF") {
        return Err(CommandError::SYNTAX);
    }
    call.reply.ok();
    Ok(())
}

pub(crate) fn help(call: &mut Call<'_>) -> Outcome {
    super::server::help(
        call,
        "CLIENT",
        &[
            ("GETNAME", "The name of this connection."),
            ("ID", "The number of this connection."),
            ("INFO", "What CLIENT LIST tells of this connection."),
            (
                "LIST [TYPE <type> | ID <id> [<id> ...]]",
                "One line for each connection.",
            ),
            (
                "NO-EVICT (ON|OFF)",
                "Accepted; connections are never evicted.",
            ),
            (
                "REPLY (ON|OFF|SKIP)",
                "Answer, do not answer, do not answer the next command.",
            ),
            (
                "SETINFO (LIB-NAME|LIB-VER) <value>",
                "Tell which client library this is.",
            ),
            ("SETNAME <name>", "Name this connection."),
        ],
    )
}
