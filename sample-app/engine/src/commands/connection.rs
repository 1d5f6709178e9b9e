//! PING, ECHO, SELECT, HELLO, AUTH, QUIT, RESET.

use resp::{Protocol, parse_integer};

use crate::call::{Call, Outcome};
use crate::commands::client::set_name;
use crate::error::CommandError;

pub(crate) fn ping(call: &mut Call<'_>) -> Outcome {
    match call.args.len() {
        1 => call.reply.simple("PONG"),
        2 => call.reply.bulk(call.args.at(1)),
        _ => return Err(CommandError::arity(call.name)),
    }
    Ok(())
}

pub(crate) fn echo(call: &mut Call<'_>) -> Outcome {
    call.reply.bulk(call.args.at(1));
    Ok(())
}

pub(crate) fn select(call: &mut Call<'_>) -> Outcome {
    check_database(call, 1)?;
    call.reply.ok();
    Ok(())
}

/// Whether the argument at `place` is the number of the one database that there is.
pub(crate) fn check_database(call: &Call<'_>, place: usize) -> Outcome {
    let index = call.integer(place)?;
    if i32::try_from(index).is_err() {
        return Err(CommandError::Text(
            &"ERR value is out of range, value must between -2147483648 and 2147483647",
        ));
    }
    if index != 0 {
        return Err(CommandError::Text(&"ERR DB index is out of range"));
    }
    Ok(())
}

/// There is no password: the default user may give any, and there is no other user.
pub(crate) fn auth(call: &mut Call<'_>) -> Outcome {
    match call.args.len() {
        2 => Err(CommandError::Text(
            &"ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?",
        )),
        3 => {
            check_user(call.args.at(1))?;
            call.reply.ok();
            Ok(())
        }
        _ => Err(CommandError::SYNTAX),
    }
}

fn check_user(user: &[u8]) -> Outcome {
    if user == b"default" {
        Ok(())
    } else {
        Err(CommandError::Text(
            &"WRONGPASS invalid username-password pair or user is disabled.",
        ))
    }
}

pub(crate) fn hello(call: &mut Call<'_>) -> Outcome {
    let protocol = match call.args.get(1) {
        None => None,
        Some(text) => Some(match parse_integer(text) {
            None => {
                return Err(CommandError::Text(
                    &"ERR Protocol version is not an integer or out of range",
                ));
            }
            Some(2) => Protocol::Resp2,
            Some(3) => Protocol::Resp3,
            Some(_) => {
                return Err(CommandError::Text(&"NOPROTO unsupported protocol version"));
            }
        }),
    };
    let mut at = 2;
    while at < call.args.len() {
        let more = call.args.len() - 1 - at;
        if call.is(at, "AUTH") && more >= 2 {
            check_user(call.args.at(at + 1))?;
            at += 3;
        } else if call.is(at, "SETNAME") && more >= 1 {
            // It stays even if a later option is refused, as in Redis.
            set_name(call.client, call.args.at(at + 1))?;
            at += 2;
        } else {
            let option = call.args.at(at);
            let before = "ERR Syntax error in HELLO option '";
            return Err(CommandError::quoting(before, option, "'"));
        }
    }
    if let Some(protocol) = protocol {
        call.client.protocol = protocol;
        call.reply.set_protocol(protocol);
    }
    let facts = call.server.facts();
    let reply = &mut call.reply;
    reply.map(7);
    reply.bulk(b"server");
    reply.bulk(b"redis");
    reply.bulk(b"version");
    reply.bulk(facts.redis_version.as_bytes());
    reply.bulk(b"proto");
    reply.integer(call.client.protocol.number());
    reply.bulk(b"id");
    reply.integer(call.client.id as i64);
    reply.bulk(b"mode");
    reply.bulk(b"standalone");
    reply.bulk(b"role");
    reply.bulk(b"master");
    reply.bulk(b"modules");
    reply.array(0);
    Ok(())
}

pub(crate) fn quit(call: &mut Call<'_>) -> Outcome {
    call.reply.ok();
    call.close();
    Ok(())
}

pub(crate) fn reset(call: &mut Call<'_>) -> Outcome {
    call.client.pending.discard();
    call.client.name.clear();
    call.client.protocol = Protocol::Resp2;
    // What CLIENT REPLY SKIP skips may be RESET itself.
    call.client.reply_mode.reset();
    call.reply.simple("RESET");
    Ok(())
}
