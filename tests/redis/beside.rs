//! Random commands to the running server and to a real Redis: the replies are equal, whichever version
//! runs and while versions change.

use crate::agreement::{agree, knows, length, questions, seed, show, walk};
use crate::conversation::Conversation;
use crate::generator::{Comparison, Generator, Request, Version};
use crate::real::Redis;
use crate::value::{Value, encode};
use dsu_tests::{Fleet, kv, library};
use sample_app::server::Settings;
use std::thread::{Scope, ScopedJoinHandle};

const PIPELINE: usize = 40;
/// Commands between two looks at all keys.
const LOOK_EVERY: usize = 1000;
/// Commands between two changes of the version. The commands go on while it changes.
const CHANGE_EVERY: usize = 2500;
/// Chances, unless others are asked for.
const SEED: u64 = 20_250_301;

/// Both servers: one connection to Redis, one to each worker of the server under test.
struct Pair {
    redis: Redis,
    ours: Vec<Conversation>,
    /// The worker that gets the next batch.
    turn: usize,
    version: Version,
}

impl Pair {
    /// The same commands to both. Those about the connection itself go to every worker, so that all
    /// connections are in the state that the one to Redis is in.
    fn exchange(&mut self, batch: &[(Request, Comparison)]) {
        self.turn = (self.turn + 1) % self.ours.len();
        let bytes: Vec<u8> = batch.iter().flat_map(|(args, _)| encode(args)).collect();
        self.redis.send(&bytes);
        for (place, ours) in self.ours.iter_mut().enumerate() {
            let mine = batch
                .iter()
                .filter(|(request, _)| place == self.turn || is_of_the_connection(request));
            let bytes: Vec<u8> = mine.flat_map(|(args, _)| encode(args)).collect();
            ours.send(&bytes);
        }
        let mut history = Vec::new();
        for (request, comparison) in batch {
            let theirs = self.redis.receive();
            for (place, ours) in self.ours.iter_mut().enumerate() {
                if place != self.turn && !is_of_the_connection(request) {
                    continue;
                }
                let ours = ours.receive();
                let shown = show(request);
                history.push(format!(
                    "{shown}\n    redis    {theirs:?}\n    worker {place} {ours:?}"
                ));
                assert!(agree(*comparison, &ours, &theirs), "{}", history.join("\n"));
            }
        }
    }

    /// Every key, what it holds, and how long it lives, as each worker tells; and SCAN finds each once.
    fn compare_contents(&mut self) {
        let theirs = self.theirs(&["KEYS", "*"]).sorted();
        let Value::Array(keys) = &theirs else {
            panic!("KEYS answers {theirs:?}");
        };
        for place in 0..self.ours.len() {
            let listed = self.ours[place].run(&["KEYS", "*"]).sorted();
            assert_eq!(listed, theirs, "the keys, as worker {place} tells");
            let ours = &mut self.ours[place];
            let mut scanned = walk(|args| ours.run(args), &[b"SCAN"]);
            scanned.sort();
            assert_eq!(&scanned, keys, "SCAN of a store at rest, by worker {place}");
            for key in keys {
                let Value::Bulk(key) = key else {
                    panic!("{key:?} is a key");
                };
                self.compare_value(place, key);
            }
        }
    }

    fn compare_value(&mut self, place: usize, key: &[u8]) {
        let kind = self.ours[place].run(&[&b"TYPE"[..], key]);
        assert_eq!(kind, self.theirs(&[&b"TYPE"[..], key]), "at worker {place}");
        let kind = kind.text();
        for (request, comparison) in questions(self.version, &kind, key) {
            let ours = self.ours[place].run(&request);
            let theirs = self.theirs(&request);
            let agreed = agree(comparison, &ours, &theirs);
            let shown = show(&request);
            assert!(agreed, "{shown}: {ours:?} {theirs:?} at worker {place}");
        }
        if kind == "hash" {
            let ours = &mut self.ours[place];
            let walked = Value::Array(walk(|args| ours.run(args), &[b"HSCAN", key]));
            let whole = ours.run(&[&b"HGETALL"[..], key]);
            assert_eq!(walked.pairs(), whole.pairs(), "each field once");
        }
    }

    fn theirs(&mut self, args: &[impl AsRef<[u8]>]) -> Value {
        self.redis.send(&encode(args));
        self.redis.receive()
    }
}

/// Commands that change or tell the state of a connection.
fn is_of_the_connection(request: &Request) -> bool {
    let name = request[0].to_ascii_uppercase();
    let names: [&[u8]; 5] = [b"HELLO", b"CLIENT", b"RESET", b"AUTH", b"SELECT"];
    names.contains(&name.as_slice())
}

/// Runs the commands of `version`; `every` is called with the number of commands run so far.
fn compare(fleet: &Fleet, redis: Redis, version: Version, mut every: impl FnMut(usize)) {
    let mut pair = Pair {
        redis,
        ours: Conversation::at_each_worker(fleet),
        turn: 0,
        version,
    };
    let mut generator = Generator::new(seed(SEED), version);
    let (mut run, mut looked) = (0, 0);
    while run < length() {
        every(run);
        let batch: Vec<(Request, Comparison)> = (0..PIPELINE)
            .map(|_| generator.next())
            .filter(|(request, _)| knows(version, request))
            .collect();
        pair.exchange(&batch);
        run += batch.len();
        if run - looked >= LOOK_EVERY {
            looked = run;
            pair.compare_contents();
        }
    }
    pair.compare_contents();
}

/// A version by itself beside Redis.
fn alone(name: &str, version: Version) {
    if let Some(redis) = Redis::start() {
        let fleet = Fleet::start(name, &running(version));
        compare(&fleet, redis, version, |_| {});
        fleet.finish();
    }
}

fn running(version: Version) -> Settings {
    let mut settings = kv(2);
    settings.library = library(library_of(version));
    settings
}

fn library_of(version: Version) -> &'static str {
    match version {
        Version::One => "kv_v1",
        Version::Two => "kv_v2",
        Version::Three => "kv_v3",
    }
}

#[test]
fn version_1_answers_as_redis_does() {
    alone("version 1 beside redis", Version::One);
}

#[test]
fn version_2_answers_as_redis_does() {
    alone("version 2 beside redis", Version::Two);
}

#[test]
fn version_3_answers_as_redis_does() {
    alone("version 3 beside redis", Version::Three);
}

/// The commands of the older of two versions, while each in turn is what runs.
fn alternating(name: &str, older: Version, newer: Version) {
    let Some(redis) = Redis::start() else {
        return;
    };
    let fleet = Fleet::start(name, &running(older));
    let changes = std::thread::scope(|scope| {
        let mut changes = Changes::to(newer);
        compare(&fleet, redis, older, |run| {
            if run >= (changes.count + 1) * CHANGE_EVERY {
                changes.next(scope, &fleet);
            }
        });
        changes.end();
        changes.count
    });
    assert!(changes >= length() / CHANGE_EVERY - 1, "{changes} changes");
    let forward = changes as u64 % 2;
    assert_eq!(fleet.now().version, older as u64 + 1 + forward);
    fleet.finish();
}

// R1, R3, R20, R24
#[test]
fn clients_cannot_tell_from_redis_that_versions_alternate() {
    alternating("1 and 2 beside redis", Version::One, Version::Two);
}

// R1, R3, R20, R24
#[test]
fn clients_cannot_tell_from_redis_that_versions_2_and_3_alternate() {
    alternating("2 and 3 beside redis", Version::Two, Version::Three);
}

/// Updates and rollbacks in turn, each beside the commands.
struct Changes<'scope> {
    newer: Version,
    count: usize,
    current: Option<ScopedJoinHandle<'scope, ()>>,
}

impl<'scope> Changes<'scope> {
    fn to(newer: Version) -> Self {
        Self {
            newer,
            count: 0,
            current: None,
        }
    }

    fn next(&mut self, scope: &'scope Scope<'scope, '_>, fleet: &'scope Fleet) {
        self.end();
        let forward = self.count.is_multiple_of(2);
        let newer = library(library_of(self.newer));
        self.count += 1;
        self.current = Some(scope.spawn(move || {
            if forward {
                fleet.updated(&newer, &["--probation", "0", "--wait"]);
            } else {
                fleet.accepted(&["rollback", "--wait"]);
            }
        }));
    }

    /// Waits until the change under way is done.
    fn end(&mut self) {
        if let Some(current) = self.current.take() {
            current.join().expect("an accepted change");
        }
    }
}
