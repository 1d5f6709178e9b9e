//! SCAN: a walk over all shards, one locked at a time. And what it has in common with HSCAN.
//!
//! A cursor is the shard's own cursor times the number of shards, plus the shard's number;
//! so 0 is the beginning, and nothing but the end is 0 again.

use resp::{Reply, format_integer, glob_match, parse_cursor, parse_integer};

use crate::call::{Call, Outcome};
use crate::error::CommandError;
use crate::store::{KeySet, Keyspace, Store};
use crate::walk::Doors;

/// Keys that Redis looks at if no COUNT is given.
const DEFAULT_COUNT: usize = 10;

/// Whether what is walked over has types to choose from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Types {
    Different,
    AllTheSame,
}

pub(crate) struct Options<'a> {
    pub(crate) count: usize,
    pub(crate) pattern: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    /// The arguments from `first` on.
    pub(crate) fn parse(call: &Call<'a>, first: usize, types: Types) -> Result<Self, CommandError> {
        let mut options = Self {
            count: DEFAULT_COUNT,
            pattern: None,
            kind: None,
        };
        for at in (first..call.args.len()).step_by(2) {
            let value = call.args.get(at + 1).ok_or(CommandError::SYNTAX)?;
            if call.is(at, "COUNT") {
                let count = parse_integer(value).ok_or(CommandError::NOT_AN_INTEGER)?;
                if count < 1 {
                    return Err(CommandError::SYNTAX);
                }
                options.count = count as usize;
            } else if call.is(at, "MATCH") {
                options.pattern = Some(value).filter(|&pattern| pattern != b"*");
            } else if call.is(at, "TYPE") && types == Types::Different {
                options.kind = Some(value);
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(options)
    }
}

/// The cursor at `place`.
pub(crate) fn cursor(call: &Call<'_>, place: usize) -> Result<u64, CommandError> {
    parse_cursor(call.args.at(place)).ok_or(CommandError::Text(&"ERR invalid cursor"))
}

pub(crate) fn scan<S: Store>(call: &mut Call<'_>, mut doors: Doors<'_, '_, S>) -> Outcome {
    let cursor = cursor(call, 1)?;
    let options = Options::parse(call, 2, Types::Different)?;
    let shards = S::SHARDS as u64;
    let (mut shard, mut inner) = ((cursor % shards) as usize, cursor / shards);
    let mut bytes = Vec::new();
    let mut elements = Reply::new(&mut bytes, call.reply.protocol());
    let mut found = 0;
    let mut visited = 0;
    let next = loop {
        inner = doors.with(KeySet::Shard(shard), call.now, |tx| {
            let mut keys: Vec<Vec<u8>> = Vec::new();
            let next = tx.scan(shard, inner, options.count - visited, &mut |key| {
                visited += 1;
                if options
                    .pattern
                    .is_none_or(|pattern| glob_match(pattern, key))
                {
                    keys.push(key.to_vec());
                }
            })?;
            for key in keys {
                if let Some(wanted) = options.kind {
                    let kind = tx.kind(&key)?;
                    if !kind.is_some_and(|kind| kind.0.as_bytes().eq_ignore_ascii_case(wanted)) {
                        continue;
                    }
                }
                elements.bulk(&key);
                found += 1;
            }
            Ok(next)
        })?;
        if inner == 0 {
            shard += 1;
            if shard == S::SHARDS {
                break 0;
            }
        }
        if visited >= options.count {
            break inner * shards + shard as u64;
        }
    };
    call.reply.array(2);
    call.reply.bulk(format_integer(next as i64, &mut [0; 20]));
    call.reply.array(found);
    call.reply.encoded(&bytes);
    Ok(())
}
