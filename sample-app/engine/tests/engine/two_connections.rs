//! Two connections to the store under test and two to a real Redis, which hear the same in the same
//! order: what one of them does to what the other watches.

use std::io::{BufReader, Write};
use std::mem;
use std::net::TcpStream;

use kv_engine::{CommandTable, Session, tables};

use crate::agreement::{agree, length, seed, show};
use crate::generator::{Comparison, Generator, Request, Version};
use crate::memory::InMemory;
use crate::redis::Redis;
use crate::server::{Local, client};
use crate::value::{Value, encode};

/// The commands that a version with transactions has.
pub fn table() -> CommandTable<InMemory> {
    CommandTable::new([
        tables::v1_commands(),
        tables::v2_commands(),
        tables::v3_commands(),
        tables::transaction_commands(),
    ])
}

/// A connection to a store on which WATCH is on.
pub fn local() -> Local {
    let mut local = Local::new(table());
    local.memory.changes.epoch = Some(1);
    local
}

struct Pair {
    local: Local,
    /// The one of the two that does not run.
    other: Session,
    running: usize,
    redis: [BufReader<TcpStream>; 2],
    _server: Redis,
}

impl Pair {
    fn start() -> Option<Self> {
        let server = Redis::start()?;
        Some(Self {
            local: local(),
            other: Session::new(client(8)),
            running: 0,
            redis: [server.connect(), server.connect()],
            _server: server,
        })
    }

    /// What both answer to these requests of one connection.
    fn run(&mut self, who: usize, requests: &[Request]) -> (Vec<Value>, Vec<Value>) {
        if who != self.running {
            mem::swap(&mut self.local.session, &mut self.other);
            self.running = who;
        }
        let bytes: Vec<u8> = requests.iter().flat_map(|args| encode(args)).collect();
        let redis = &mut self.redis[who];
        redis.get_mut().write_all(&bytes).expect("Redis listens");
        let ours = Value::parse_all(&self.local.exchange(&bytes));
        let theirs = requests.iter().map(|_| Value::read(redis));
        (ours, theirs.map(|reply| reply.expect("a reply")).collect())
    }
}

/// Whether a transaction of one connection runs that watches one of the keys, after `setup`, while the other
/// one runs one of the commands.
fn counts_as_redis_counts_it(setup: &str, commands: &[&str], keys: &[&str]) {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    for meanwhile in commands {
        for watched in keys {
            let words = |line: &str| -> Request {
                let line = line.replace("\"\"", "");
                line.split(' ')
                    .map(|word| word.as_bytes().to_vec())
                    .collect()
            };
            for (who, lines) in [
                (0, setup),
                (1, "reset"),
                (0, &format!("watch {watched}")),
                (1, meanwhile),
                (0, "multi|set done 1|get done|exec|exec"),
            ] {
                let requests: Vec<Request> = lines.split('|').map(words).collect();
                let (ours, theirs) = pair.run(who, &requests);
                assert_eq!(
                    ours, theirs,
                    "{lines}, while {watched} is watched, {meanwhile}"
                );
            }
        }
    }
}

#[test]
fn what_the_other_connection_does_to_a_watched_key_counts_as_redis_counts_it() {
    let setup = "reset|flushall|mset a 1 b 2 n 3 text x|set ttl 1 ex 10000";
    let commands = [
        "set a 1",
        "set b 1",
        "get a",
        "del a",
        "del nope",
        "incr n",
        "incr text",
        "append text x",
        "append text \"\"",
        "setrange text 0 \"\"",
        "setrange text 0 y",
        "setnx a 2",
        "setnx nope 2",
        "rename a c",
        "rename b a",
        "rename a a",
        "renamenx b a",
        "flushall",
        "flushdb",
        "getdel a",
        "getex a",
        "getex a persist",
        "getex ttl persist",
        "getex a ex 1000",
        "persist a",
        "persist ttl",
        "expire a 1000",
        "expire a 1000 xx",
        "expire nope 1000",
        "expire a -1",
        "pexpireat a 1",
        "mset b 1 a 2",
        "msetnx nope 1 a 2",
        "msetnx nope 1 nope2 2",
        "set a 1 nx",
        "set nope 1 xx",
        "set a 1 xx get",
        "incrbyfloat text 1",
        "incrbyfloat n 1",
        "getset a 5",
        "set nope 1",
        "decrby n 9223372036854775807",
        "unlink nope a",
        "setrange nope 5 \"\"",
        "setrange nope 536870911 xx",
        "setrange n 536870911 xx",
        "setex a 0 v",
        "setex a 100 v",
        "multi",
        "exec",
        "watch a",
    ];
    let keys = ["a", "b", "n", "text", "ttl", "nope", "nope2 a"];
    counts_as_redis_counts_it(setup, &commands, &keys);
}

#[test]
fn what_the_other_connection_does_to_a_watched_list_counts_as_redis_counts_it() {
    let setup = "reset|flushall|rpush l a b c|rpush one a|set s 1";
    let commands = [
        "rpush l d",
        "lpush nope a",
        "lpushx l a",
        "rpushx nope a",
        "rpush s a",
        "lpop l",
        "lpop l 0",
        "rpop l 2",
        "lpop one",
        "lpop nope",
        "lset l 0 a",
        "lset l 9 a",
        "lset nope 0 a",
        "lrem l 0 a",
        "lrem l 0 z",
        "lrem one 0 a",
        "ltrim l 0 -1",
        "ltrim l 1 1",
        "ltrim one 1 0",
        "ltrim nope 0 1",
        "linsert l before b x",
        "linsert l before z x",
        "lmove l one left right",
        "lmove l l left right",
        "lmove l l left left",
        "lmove one nope left left",
        "lmove nope l left left",
        "lmove l s left left",
        "rpoplpush one one",
        "lrange l 0 -1",
        "copy l nope",
        "copy l one",
        "copy l one replace",
        "copy nope l replace",
        "object encoding l",
    ];
    counts_as_redis_counts_it(setup, &commands, &["l", "one", "s", "nope"]);
}

#[test]
fn what_the_other_connection_does_to_a_watched_hash_counts_as_redis_counts_it() {
    let setup = "reset|flushall|hset h f 1 g x|hset one f 1|set s 1";
    let commands = [
        "hset h f 1",
        "hset h new 1",
        "hset nope f 1",
        "hset s f 1",
        "hmset h f 2",
        "hsetnx h f 1",
        "hsetnx h new 1",
        "hsetnx nope f 1",
        "hdel h f",
        "hdel h z",
        "hdel one f",
        "hdel nope f",
        "hincrby h f 1",
        "hincrby h f 0",
        "hincrby h g 1",
        "hincrby nope f 1",
        "hincrby s f 1",
        "hincrbyfloat h f 0.5",
        "hincrbyfloat h g 1",
        "hincrbyfloat h f inf",
        "hget h f",
        "hgetall one",
        "hrandfield one",
        "hscan one 0",
        "copy h one replace",
        "copy h nope",
    ];
    counts_as_redis_counts_it(setup, &commands, &["h", "one", "s", "nope"]);
}

/// What one connection has in mind.
#[derive(Default)]
struct Side {
    queued: Option<Vec<Comparison>>,
}

impl Side {
    fn next(&self, generator: &mut Generator) -> (Request, Comparison) {
        let line = match (generator.dice.below(100), &self.queued) {
            (0..12, None) => "WATCH",
            (12..24, None) => "MULTI",
            (24..27, None) => "UNWATCH",
            (27..29, None) => "EXEC",
            (29..30, None) => "DISCARD",
            (0..14, Some(_)) => "EXEC",
            (14..17, Some(_)) => "DISCARD",
            (17..19, Some(_)) => "MULTI",
            (19..21, Some(_)) => "WATCH",
            (21..23, Some(_)) => "UNWATCH",
            (23, Some(_)) => "EXEC x",
            (24, Some(_)) => "DISCARD x",
            (25, Some(_)) => "RESET",
            _ => return generator.next(),
        };
        let words = line.split(' ').map(|word| word.as_bytes().to_vec());
        let mut request: Request = words.collect();
        if line == "WATCH" {
            for _ in 0..=generator.dice.below(2) {
                request.push(generator.key());
            }
        }
        (request, Comparison::Exact)
    }

    fn agree(&mut self, sent: &(Request, Comparison), ours: &Value, theirs: &Value) -> bool {
        let (request, comparison) = sent;
        let name = request[0].to_ascii_uppercase();
        let agreed = match (&self.queued, ours, theirs) {
            (Some(queued), Value::Array(ours), Value::Array(theirs)) if name == b"EXEC" => {
                ours.len() == theirs.len()
                    && queued.len() == ours.len()
                    && queued
                        .iter()
                        .zip(ours.iter().zip(theirs))
                        .all(|(comparison, (ours, theirs))| agree(*comparison, ours, theirs))
            }
            (Some(_), ..) => ours == theirs,
            (None, ..) => agree(*comparison, ours, theirs),
        };
        match (name.as_slice(), ours) {
            (b"EXEC", _) => self.queued = None,
            (b"MULTI", Value::Simple(_)) => self.queued = Some(Vec::new()),
            (b"DISCARD" | b"RESET", Value::Simple(text)) if text != "QUEUED" => self.queued = None,
            (_, Value::Simple(text)) if text == "QUEUED" => {
                let queued = self
                    .queued
                    .as_mut()
                    .expect("only MULTI lets a request be queued");
                queued.push(*comparison);
            }
            _ => {}
        }
        agreed
    }
}

#[test]
fn random_transactions_of_two_connections_are_answered_as_redis_does() {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    let mut generator = Generator::new(seed(20_240_301), Version::Three);
    let mut sides = [Side::default(), Side::default()];
    let mut history: Vec<String> = Vec::new();
    for _ in 0..length() {
        let who = generator.dice.below(2);
        let sent = sides[who].next(&mut generator);
        let (ours, theirs) = pair.run(who, std::slice::from_ref(&sent.0));
        assert_eq!(ours.len(), 1, "one reply");
        let (ours, theirs) = (&ours[0], &theirs[0]);
        let shown = show(&sent.0);
        history.push(format!(
            "{who}: {shown}\n    redis {theirs:?}\n    here  {ours:?}"
        ));
        let agreed = sides[who].agree(&sent, ours, theirs);
        let last = history.len().saturating_sub(80);
        assert!(agreed, "{}", history[last..].join("\n"));
    }
}
