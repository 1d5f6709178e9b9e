//! Lists and hashes while version 2, which has none, runs beside version 3 or instead of it.

use dsu_tests::{Fleet, kv, library, until};
use sample_app::load::{Value, Wire};
use std::collections::{BTreeMap, VecDeque};

/// The update or rollback is done when the command answers.
const AT_ONCE: [&str; 3] = ["--probation", "0", "--wait"];
/// A worker crosses, and the update stands still there.
const HELD: [&str; 4] = ["--canary", "1", "--probation", "3600"];

fn at_version_2(test: &str, heap: Option<&str>) -> Fleet {
    let mut settings = kv(2);
    settings.library = library("kv_v2");
    if let Some(heap) = heap {
        settings.more = vec!["--heap".into(), heap.into()];
    }
    Fleet::start(test, &settings)
}

fn ask(wire: &mut Wire, command: &str) -> Value {
    let parts: Vec<&str> = command.split(' ').collect();
    wire.ask(&parts).expect("an answer")
}

fn ok() -> Value {
    Value::Simple("OK".to_owned())
}

fn bulk(text: impl AsRef<[u8]>) -> Value {
    Value::Bulk(Some(text.as_ref().to_vec()))
}

fn bulks(texts: &[&str]) -> Value {
    Value::Array(Some(texts.iter().map(bulk).collect()))
}

fn wrong_type() -> Value {
    let text = "WRONGTYPE Operation against a key holding the wrong kind of value";
    Value::Error(text.to_owned())
}

/// A connection to a worker of this version.
fn connect_to_version(fleet: &Fleet, version: u64) -> Wire {
    let pid = until(|| {
        let workers = fleet.now().workers;
        let mut there = workers
            .iter()
            .filter(|one| one.version == Some(version) && one.state == "serving");
        there.next().map(|one| one.pid)
    });
    fleet.connect_to(pid)
}

fn fill(wire: &mut Wire) {
    assert_eq!(ask(wire, "RPUSH list a b c d"), Value::Integer(4));
    assert_eq!(ask(wire, "HSET hash f 1 g 2"), Value::Integer(2));
    assert_eq!(ask(wire, "SET text 12"), ok());
    assert_eq!(ask(wire, "APPEND text 3"), Value::Integer(3));
    for key in ["moved", "gone", "over", "kept"] {
        assert_eq!(
            ask(wire, &format!("RPUSH {key} x {key}")),
            Value::Integer(2)
        );
    }
    assert_eq!(ask(wire, "EXPIRE kept 5000"), Value::Integer(1));
}

/// What an older worker may do with a value that it cannot read, and what not (R11).
fn use_foreign(wire: &mut Wire) {
    for key in ["list", "hash", "moved", "kept"] {
        for command in ["GET", "STRLEN", "INCR", "GETDEL", "GETEX", "INCRBYFLOAT"] {
            let command = match command {
                "INCRBYFLOAT" => format!("INCRBYFLOAT {key} 1"),
                _ => format!("{command} {key}"),
            };
            assert_eq!(ask(wire, &command), wrong_type(), "{command}");
        }
        for command in [
            "APPEND KEY x",
            "SETRANGE KEY 0 x",
            "GETSET KEY x",
            "SET KEY x GET",
        ] {
            let command = command.replace("KEY", key);
            assert_eq!(ask(wire, &command), wrong_type(), "{command}");
        }
        assert_eq!(
            ask(wire, &format!("TYPE {key}")),
            Value::Simple("foreign".into())
        );
        assert_eq!(ask(wire, &format!("EXISTS {key}")), Value::Integer(1));
        assert_eq!(ask(wire, &format!("SETNX {key} x")), Value::Integer(0));
        let none = Value::Array(Some(vec![Value::Bulk(None)]));
        assert_eq!(ask(wire, &format!("MGET {key}")), none);
        let all = Value::Array(Some(vec![bulk("0"), bulks(&[key])]));
        assert_eq!(ask(wire, &format!("SCAN 0 MATCH {key} COUNT 1000")), all);
    }
    assert_eq!(ask(wire, "TTL list"), Value::Integer(-1));
    assert_eq!(ask(wire, "EXPIRE list 7000"), Value::Integer(1));
    assert_eq!(ask(wire, "RENAME moved there"), ok());
    assert_eq!(ask(wire, "DEL gone"), Value::Integer(1));
    assert_eq!(ask(wire, "SET over written"), ok());
    assert_eq!(ask(wire, "GET text"), bulk("123"));
    assert_eq!(ask(wire, "DBSIZE"), Value::Integer(6));
}

fn until_in(wire: &mut Wire, key: &str, seconds: i64) {
    let Value::Integer(left) = ask(wire, &format!("TTL {key}")) else {
        panic!("TTL is no number");
    };
    assert!((seconds - 120..=seconds).contains(&left), "{key}: {left}");
}

fn check_after_foreign(wire: &mut Wire) {
    assert_eq!(ask(wire, "LRANGE list 0 -1"), bulks(&["a", "b", "c", "d"]));
    assert_eq!(ask(wire, "HMGET hash f g"), bulks(&["1", "2"]));
    assert_eq!(ask(wire, "LRANGE there 0 -1"), bulks(&["x", "moved"]));
    assert_eq!(ask(wire, "EXISTS moved gone"), Value::Integer(0));
    assert_eq!(ask(wire, "GET over"), bulk("written"));
    assert_eq!(ask(wire, "LRANGE kept 0 -1"), bulks(&["x", "kept"]));
    // What made the string was kept beside it, as version 2 does not know of it (R6).
    assert_eq!(ask(wire, "OBJECT ENCODING text"), bulk("raw"));
    until_in(wire, "kept", 5000);
    until_in(wire, "list", 7000);
}

// R11, R13
#[test]
fn lists_and_hashes_are_foreign_to_version_2_and_the_same_again_in_version_3() {
    let fleet = at_version_2("parked lists and hashes", None);
    fleet.updated(&library("kv_v3"), &AT_ONCE);
    let mut wire = fleet.connect();
    fill(&mut wire);
    fleet.accepted(&["rollback", "--wait"]);
    use_foreign(&mut wire);
    fleet.updated(&library("kv_v3"), &AT_ONCE);
    check_after_foreign(&mut wire);
    assert_eq!(ask(&mut wire, "RPUSH list e"), Value::Integer(5));
    fleet.finish();
}

// R11, R20
#[test]
fn old_and_new_workers_share_keys_that_only_the_new_ones_can_read() {
    let fleet = at_version_2("foreign while mixed", None);
    fleet.updated(&library("kv_v3"), &HELD);
    let mut new = connect_to_version(&fleet, 3);
    let mut old = connect_to_version(&fleet, 2);
    fill(&mut new);
    use_foreign(&mut old);
    check_after_foreign(&mut new);
    assert_eq!(ask(&mut old, "FLUSHALL"), ok());
    assert_eq!(ask(&mut new, "LLEN list"), Value::Integer(0));
    fill(&mut new);
    let back = fleet.ask(&["rollback", "--wait"]);
    assert!(matches!(back.code, 0 | 2), "{}", back.text);
    fleet.until_idle();
    use_foreign(&mut new);
    fleet.updated(&library("kv_v3"), &AT_ONCE);
    check_after_foreign(&mut old);
    fleet.finish();
}

// R5, R13: a second copy of its elements would not fit.
#[test]
fn a_list_of_a_million_elements_crosses_and_is_parked_where_a_copy_has_no_room() {
    let fleet = at_version_2("a million elements", Some("120M"));
    fleet.updated(&library("kv_v3"), &AT_ONCE);
    let mut wire = fleet.connect();
    let element = |n: usize| format!("{n:0>64}");
    for start in (0..1_000_000).step_by(5000) {
        let mut parts = vec!["RPUSH".to_owned(), "long".to_owned()];
        parts.extend((start..start + 5000).map(element));
        let length = wire.ask(&parts).expect("an answer");
        assert_eq!(length, Value::Integer(start as i64 + 5000));
    }
    for _ in 0..2 {
        fleet.accepted(&["rollback", "--wait"]);
        assert_eq!(ask(&mut wire, "GET long"), wrong_type());
        fleet.updated(&library("kv_v3"), &AT_ONCE);
        for n in [0, 1, 499_999, 999_999] {
            let found = ask(&mut wire, &format!("LINDEX long {n}"));
            assert_eq!(found, bulk(element(n)));
        }
    }
    assert_eq!(ask(&mut wire, "DEL long"), Value::Integer(1));
    fleet.finish();
}

/// What a key holds.
#[derive(Clone, PartialEq, Debug)]
enum Held {
    Text(String),
    List(VecDeque<String>),
    Hash(BTreeMap<String, String>),
}

#[derive(Clone, PartialEq, Debug)]
struct Entry {
    held: Held,
    expires: bool,
}

/// Random commands for both versions, and what they leave.
struct Model {
    keys: BTreeMap<String, Entry>,
    dice: u64,
}

impl Model {
    fn new(seed: u64) -> Self {
        Model {
            keys: BTreeMap::new(),
            dice: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    fn below(&mut self, limit: u64) -> u64 {
        // xorshift64*
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        (self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    fn key(&mut self) -> String {
        format!("key:{}", self.below(40))
    }

    /// Now and then one that is too large for what lies packed.
    fn text(&mut self) -> String {
        let length = match self.below(20) {
            0 => 2000,
            1 => 100,
            _ => 1 + self.below(12),
        };
        let letter = char::from(b'a' + self.below(26) as u8);
        String::from_iter((0..length).map(|_| letter))
    }

    /// A command that both versions have, over a key of any type.
    fn common(&mut self, wire: &mut Wire, reads_all: bool) {
        let (key, text) = (self.key(), self.text());
        let found = self.keys.get(&key).cloned();
        let is_there = Value::Integer(i64::from(found.is_some()));
        match self.below(8) {
            0 => {
                assert_eq!(ask(wire, &format!("DEL {key}")), is_there);
                self.keys.remove(&key);
            }
            1 => {
                let to = self.key();
                let answer = ask(wire, &format!("RENAME {key} {to}"));
                match found {
                    None => assert_eq!(answer, Value::Error("ERR no such key".into())),
                    Some(entry) => {
                        assert_eq!(answer, ok());
                        self.keys.remove(&key);
                        self.keys.insert(to, entry);
                    }
                }
            }
            2 => {
                assert_eq!(ask(wire, &format!("EXPIRE {key} 9000")), is_there);
                if let Some(entry) = self.keys.get_mut(&key) {
                    entry.expires = true;
                }
            }
            3 => {
                let persisted = found.is_some_and(|entry| entry.expires);
                let answer = ask(wire, &format!("PERSIST {key}"));
                assert_eq!(answer, Value::Integer(i64::from(persisted)));
                if let Some(entry) = self.keys.get_mut(&key) {
                    entry.expires = false;
                }
            }
            4 => {
                assert_eq!(ask(wire, &format!("SET {key} {text}")), ok());
                let held = Held::Text(text);
                let expires = false;
                self.keys.insert(key, Entry { held, expires });
            }
            5 => {
                let answer = ask(wire, &format!("APPEND {key} {text}"));
                match self.keys.get_mut(&key).map(|entry| &mut entry.held) {
                    Some(Held::Text(old)) => {
                        old.push_str(&text);
                        assert_eq!(answer, Value::Integer(old.len() as i64));
                    }
                    Some(_) => assert_eq!(answer, wrong_type()),
                    None => {
                        let held = Held::Text(text);
                        let expires = false;
                        self.keys.insert(key, Entry { held, expires });
                    }
                }
            }
            6 => assert_eq!(ask(wire, &format!("EXISTS {key}")), is_there),
            _ => {
                let kind = match found.map(|entry| entry.held) {
                    None => "none",
                    Some(Held::Text(_)) => "string",
                    Some(_) if !reads_all => "foreign",
                    Some(Held::List(_)) => "list",
                    Some(Held::Hash(_)) => "hash",
                };
                let answer = ask(wire, &format!("TYPE {key}"));
                assert_eq!(answer, Value::Simple(kind.to_owned()));
            }
        }
    }

    /// A command over lists or hashes.
    fn typed(&mut self, wire: &mut Wire) {
        let (key, text) = (self.key(), self.text());
        let field = format!("field:{}", self.below(30));
        let command = match self.below(6) {
            0 => format!("LPUSH {key} {text}"),
            1 => format!("RPUSH {key} {text}"),
            2 => format!("LINSERT {key} BEFORE {text} {text}"),
            3 => format!("LPOP {key}"),
            4 => format!("HDEL {key} {field}"),
            _ => format!("HSET {key} {field} {text}"),
        };
        let answer = ask(wire, &command);
        let words: Vec<&str> = command.split(' ').collect();
        let makes = matches!(words[0], "LPUSH" | "RPUSH" | "HSET");
        let is_of_hash = words[0].starts_with('H');
        if makes && !self.keys.contains_key(&key) {
            let held = match is_of_hash {
                true => Held::Hash(BTreeMap::new()),
                false => Held::List(VecDeque::new()),
            };
            let expires = false;
            self.keys.insert(key.clone(), Entry { held, expires });
        }
        let is_empty = match self.keys.get_mut(&key).map(|entry| &mut entry.held) {
            Some(Held::List(list)) if !is_of_hash => {
                let same = list.iter().position(|element| *element == text);
                match words[0] {
                    "LPUSH" => list.push_front(text),
                    "RPUSH" => list.push_back(text),
                    "LPOP" => drop(list.pop_front()),
                    _ => {
                        if let Some(at) = same {
                            list.insert(at, text);
                        }
                    }
                }
                list.is_empty()
            }
            Some(Held::Hash(hash)) if is_of_hash => {
                if words[0] == "HSET" {
                    hash.insert(field, text);
                } else {
                    hash.remove(&field);
                }
                hash.is_empty()
            }
            Some(_) => {
                assert_eq!(answer, wrong_type(), "{command}");
                false
            }
            None => false,
        };
        if is_empty {
            self.keys.remove(&key);
        }
    }

    /// Compares everything, as a worker of version 3 tells it.
    fn check(&self, wire: &mut Wire) {
        let count = Value::Integer(self.keys.len() as i64);
        assert_eq!(ask(wire, "DBSIZE"), count);
        for (key, Entry { held, expires }) in &self.keys {
            match held {
                Held::Text(text) => assert_eq!(ask(wire, &format!("GET {key}")), bulk(text)),
                Held::List(list) => {
                    let list: Vec<&str> = list.iter().map(String::as_str).collect();
                    let found = ask(wire, &format!("LRANGE {key} 0 -1"));
                    assert_eq!(found, bulks(&list), "{key}");
                }
                Held::Hash(hash) => {
                    let Value::Array(Some(flat)) = ask(wire, &format!("HGETALL {key}")) else {
                        panic!("{key} is no hash");
                    };
                    let found: Vec<(Value, Value)> = flat
                        .chunks(2)
                        .map(|pair| (pair[0].clone(), pair[1].clone()))
                        .collect();
                    assert_eq!(found.len(), hash.len(), "{key}");
                    for (field, value) in hash {
                        assert!(found.contains(&(bulk(field), bulk(value))), "{key} {field}");
                    }
                }
            }
            let Value::Integer(left) = ask(wire, &format!("TTL {key}")) else {
                panic!("TTL is no number");
            };
            assert_eq!(left > 0, *expires, "{key}: {left}");
        }
    }
}

// R6, R11, R13, R20: whatever older workers did with them meanwhile, values are what they were.
#[test]
fn any_commands_of_both_versions_leave_what_a_model_has_through_updates_and_rollbacks() {
    let fleet = at_version_2("random commands and rollbacks", None);
    for seed in 1..=3 {
        let mut model = Model::new(seed);
        assert_eq!(ask(&mut fleet.connect(), "FLUSHALL"), ok());
        for _round in 0..2 {
            fleet.updated(&library("kv_v3"), &HELD);
            let mut new = connect_to_version(&fleet, 3);
            let mut old = connect_to_version(&fleet, 2);
            for _ in 0..300 {
                match model.below(3) {
                    0 => model.common(&mut old, false),
                    1 => model.common(&mut new, true),
                    _ => model.typed(&mut new),
                }
            }
            model.check(&mut new);
            let back = fleet.ask(&["rollback", "--wait"]);
            assert!(matches!(back.code, 0 | 2), "{}", back.text);
            fleet.until_idle();
            for _ in 0..100 {
                model.common(&mut old, false);
                model.common(&mut new, false);
            }
            fleet.updated(&library("kv_v3"), &AT_ONCE);
            model.check(&mut old);
            for _ in 0..100 {
                model.common(&mut old, true);
                model.typed(&mut new);
            }
            model.check(&mut old);
            fleet.accepted(&["rollback", "--wait"]);
        }
        fleet.updated(&library("kv_v3"), &AT_ONCE);
        model.check(&mut fleet.connect());
        fleet.accepted(&["rollback", "--wait"]);
    }
    fleet.finish();
}
