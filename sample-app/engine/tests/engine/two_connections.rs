//! Two connections to the store under test and two to a real Redis, which hear the same in the same
//! order: what one of them does to what the other watches.

use std::io::{BufRead, BufReader, Write};
use std::mem;
use std::net::TcpStream;

use kv_engine::{Session, tables};

use crate::agreement::{agree, length, seed, show};
use crate::generator::{Comparison, Generator, Request, Version, encode_somehow};
use crate::redis::Redis;
use crate::server::{Local, client};
use crate::value::{Value, encode};

/// A connection to a store on which WATCH is on.
pub fn local() -> Local {
    let mut local = Local::new(tables::v3());
    local.memory.changes.epoch = Some(1);
    local
}

pub struct Pair {
    local: Local,
    /// The one of the two that does not run.
    other: Session,
    running: usize,
    redis: [BufReader<TcpStream>; 2],
    _server: Redis,
}

impl Pair {
    pub fn start() -> Option<Self> {
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
        let bytes: Vec<u8> = requests.iter().flat_map(|args| encode(args)).collect();
        let ours = Value::parse_all(&self.send(who, &bytes));
        let theirs = requests.iter().map(|_| Value::read(&mut self.redis[who]));
        (ours, theirs.map(|reply| reply.expect("a reply")).collect())
    }

    /// Sends bytes to both; what ours answers.
    pub fn send(&mut self, who: usize, bytes: &[u8]) -> Vec<u8> {
        if who != self.running {
            mem::swap(&mut self.local.session, &mut self.other);
            self.running = who;
        }
        let redis = self.redis[who].get_mut();
        redis.write_all(bytes).expect("Redis listens");
        self.local.exchange(bytes)
    }

    /// What Redis answers, up to and with these bytes.
    pub fn redis_until(&mut self, who: usize, end: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        while !answer.ends_with(end) {
            let redis = &mut self.redis[who];
            let length = redis.fill_buf().expect("an answer").len();
            assert!(length > 0, "Redis stays");
            answer.extend_from_slice(redis.buffer());
            redis.consume(length);
        }
        answer
    }
}

#[test]
fn what_the_other_connection_does_to_a_watched_key_counts_as_redis_counts_it() {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    for meanwhile in [
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
        "lpush l x",
        "lpush a x",
        "lpop l 0",
        "lpop l",
        "rpop l 5",
        "lpop l -1",
        "lrem l 0 nope",
        "lrem l 0 1",
        "linsert l before nope x",
        "linsert l after 2 x",
        "lset l 0 x",
        "lset l 9 x",
        "ltrim l 0 -1",
        "ltrim l 5 2",
        "lpushx nope 1",
        "rpushx l 1",
        "lmove l h left right",
        "lmove l nope left right",
        "lmove l l left left",
        "rpoplpush nope l",
        "hset h f 1",
        "hset h f",
        "hsetnx h f 2",
        "hsetnx h g 2",
        "hdel h nope",
        "hdel h f",
        "hincrby h f x",
        "hincrby h f 1",
        "hincrby h text 1",
        "hincrbyfloat h f 1",
        "hget h f",
        "copy a l",
        "copy a l replace",
        "copy nope l replace",
        "copy l nope",
        "object encoding l",
        "expire l 1000",
        "rename l h",
        "getset l 1",
        "set l 1",
    ] {
        for watched in ["a", "b", "n", "text", "ttl", "nope", "nope2 a", "l", "h"] {
            let words = |line: &str| -> Request {
                let line = line.replace("\"\"", "");
                line.split(' ')
                    .map(|word| word.as_bytes().to_vec())
                    .collect()
            };
            for (who, lines) in [
                (
                    0,
                    "reset|flushall|mset a 1 b 2 n 3 text x|set ttl 1 ex 10000|rpush l 1 2|hset h f 1 text x",
                ),
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
    compare(Version::Two);
}

#[test]
fn random_transactions_over_lists_and_hashes_are_answered_as_redis_does() {
    compare(Version::Three);
}

fn compare(version: Version) {
    let Some(mut pair) = Pair::start() else {
        return;
    };
    let mut generator = Generator::new(seed(20_240_301), version);
    let mut sides = [Side::default(), Side::default()];
    let mut history: Vec<String> = Vec::new();
    for _ in 0..length() {
        let who = generator.dice.below(2);
        let sent = sides[who].next(&mut generator);
        let bytes = encode_somehow(&sent.0, &mut generator.dice);
        let ours = Value::parse_all(&pair.send(who, &bytes));
        assert_eq!(ours.len(), 1, "one reply");
        let theirs = Value::read(&mut pair.redis[who]).expect("a reply");
        let (ours, theirs) = (&ours[0], &theirs);
        let shown = show(&sent.0);
        history.push(format!(
            "{who}: {shown}\n    redis {theirs:?}\n    here  {ours:?}"
        ));
        let agreed = sides[who].agree(&sent, ours, theirs);
        let last = history.len().saturating_sub(80);
        assert!(agreed, "{}", history[last..].join("\n"));
    }
}
