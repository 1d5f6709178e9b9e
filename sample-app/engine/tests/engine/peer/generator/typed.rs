//! Random commands over lists and hashes, and over keys of all types: few keys, so that types meet.

use super::universe::{INTEGERS, PATTERNS};
use super::{Comparison, Generator, Request};

pub(super) const NAMES: &[&str] = &[
    "LPUSH",
    "RPUSH",
    "LPUSH",
    "RPUSH",
    "LPUSHX",
    "RPUSHX",
    "LPOP",
    "RPOP",
    "LLEN",
    "LRANGE",
    "LRANGE",
    "LINDEX",
    "LSET",
    "LREM",
    "LTRIM",
    "LINSERT",
    "LPOS",
    "LPOS",
    "LMOVE",
    "RPOPLPUSH",
    "HSET",
    "HSET",
    "HSET",
    "HMSET",
    "HSETNX",
    "HGET",
    "HMGET",
    "HDEL",
    "HGETALL",
    "HLEN",
    "HEXISTS",
    "HKEYS",
    "HVALS",
    "HINCRBY",
    "HINCRBYFLOAT",
    "HSTRLEN",
    "HRANDFIELD",
    "HSCAN",
    "COPY",
    "ENCODING",
    "OBJECT",
    "MANY",
];

/// What version 3 knows and version 2 does not.
pub fn is_typed(name: &[u8]) -> bool {
    NAMES.iter().any(|word| word.as_bytes() == name)
}

/// Keys that mostly hold lists.
const LISTS: &[&[u8]] = &[b"list:1", b"list:2", b"list:3"];
/// Keys that mostly hold hashes.
const HASHES: &[&[u8]] = &[b"hash:1", b"hash:2"];

const FIELDS: &[&[u8]] = &[
    b"f",
    b"g",
    b"field:1",
    b"field:2",
    b"field:3",
    b"",
    b"1",
    b"2",
    b"-7",
    b"\x00\r\n",
    b"a field whose name is longer than what a packed hash would keep beside others",
];

/// How replies to the commands of this file are compared: exactly, but for these.
fn comparison(name: &str) -> Comparison {
    match name {
        "HGETALL" => Comparison::Pairs,
        "HKEYS" | "HVALS" => Comparison::Sorted,
        "HSCAN" => Comparison::Walk,
        "HRANDFIELD" => Comparison::Length,
        "OBJECT" => Comparison::Shape,
        _ => Comparison::Exact,
    }
}

impl Generator {
    pub(super) fn typed_key(&mut self) -> Vec<u8> {
        let keys = if self.dice.below(2) == 0 {
            LISTS
        } else {
            HASHES
        };
        self.dice.pick(keys).to_vec()
    }

    /// One of these, or now and then any key.
    fn key_of(&mut self, keys: &[&[u8]]) -> Vec<u8> {
        if self.dice.below(10) == 0 {
            return self.key();
        }
        self.dice.pick(keys).to_vec()
    }

    fn field(&mut self) -> Vec<u8> {
        if self.dice.below(2) == 0 {
            return self.dice.pick(FIELDS).to_vec();
        }
        format!("f{}", self.dice.below(1_000)).into_bytes()
    }

    /// An element of a list: one of few, so that some are equal, and seldom a large one.
    fn element(&mut self) -> Vec<u8> {
        match self.dice.below(40) {
            0 => vec![b'x'; self.dice.below(12_000)],
            1..20 => self.dice.below(12).to_string().into_bytes(),
            _ => self.value(),
        }
    }

    /// A position, mostly one that there is.
    fn position(&mut self) -> Vec<u8> {
        if self.dice.below(3) == 0 {
            return self.dice.pick(INTEGERS).to_vec();
        }
        (self.dice.below(60) as i64 - 25).to_string().into_bytes()
    }

    pub(super) fn typed(&mut self, name: &str) -> (Request, Comparison) {
        let mut request = vec![name.as_bytes().to_vec()];
        match name {
            "MANY" => return (self.many(), Comparison::Exact),
            "COPY" => self.copy(&mut request),
            "ENCODING" => {
                request = vec![
                    b"OBJECT".to_vec(),
                    b"ENCODING".to_vec(),
                    self.key_of(HASHES),
                ];
            }
            "OBJECT" => {
                request.push(self.word(&["IDLETIME", "refcount", "FREQ", "NOPE"]));
                request.push(self.key_of(LISTS));
            }
            _ if name.starts_with('H') => {
                request.push(self.key_of(HASHES));
                self.on_hash(name, &mut request);
            }
            _ => {
                request.push(self.key_of(LISTS));
                self.on_list(name, &mut request);
            }
        }
        (request, comparison(name))
    }

    fn copy(&mut self, request: &mut Request) {
        let keys = self.dice.pick(&[LISTS, HASHES]);
        request.extend([self.key_of(keys), self.key_of(keys)]);
        for _ in 0..self.dice.below(3) {
            match self.dice.below(3) {
                0 => {
                    let database = self.word(&["0", "0", "1", "x", "-1", "4294967296"]);
                    request.extend([b"DB".to_vec(), database]);
                }
                1 => request.push(b"replace".to_vec()),
                _ => request.push(self.word(&["REPLACE", "DB", "NOPE"])),
            }
        }
    }

    fn on_list(&mut self, name: &str, request: &mut Request) {
        match name {
            "LPUSH" | "RPUSH" | "LPUSHX" | "RPUSHX" => {
                for _ in 0..=self.dice.below(5) {
                    request.push(self.element());
                }
            }
            "LPOP" | "RPOP" => {
                let counts = ["0", "1", "2", "3", "10", "-1", "x", "9223372036854775807"];
                let wanted = self.dice.below(2);
                request.extend((0..wanted).map(|_| self.word(&counts)));
            }
            "LRANGE" | "LTRIM" => {
                // Trims that leave next to nothing would keep lists short.
                let gentle = name == "LTRIM" && self.dice.below(4) > 0;
                let (start, end) = if gentle {
                    (self.word(&["0", "1", "2"]), self.word(&["-1", "-2", "100"]))
                } else {
                    (self.position(), self.position())
                };
                request.extend([start, end]);
            }
            "LINDEX" => request.push(self.position()),
            "LSET" => request.extend([self.position(), self.element()]),
            "LREM" => {
                let count = self.dice.pick(INTEGERS).to_vec();
                request.extend([count, self.element()]);
            }
            "LINSERT" => {
                let place = self.word(&["BEFORE", "after", "AFTER", "before", "beside"]);
                request.extend([place, self.element(), self.element()]);
            }
            "LPOS" => {
                request.push(self.element());
                for _ in 0..self.dice.below(4) {
                    let option = self.word(&["RANK", "COUNT", "MAXLEN", "rank", "count", "NOPE"]);
                    request.push(option);
                    let small = self.word(&["0", "1", "2", "-1", "-2", "3", "7", "20"]);
                    let any = self.dice.pick(INTEGERS).to_vec();
                    request.push(if self.dice.below(4) == 0 { any } else { small });
                }
            }
            "LMOVE" => {
                request.push(self.key_of(LISTS));
                for _ in 0..2 {
                    request.push(self.word(&["LEFT", "RIGHT", "left", "right", "LEFT", "UP"]));
                }
            }
            "RPOPLPUSH" => request.push(self.key_of(LISTS)),
            _ => {}
        }
    }

    fn on_hash(&mut self, name: &str, request: &mut Request) {
        match name {
            "HSET" | "HMSET" => {
                for _ in 0..=self.dice.below(4) {
                    request.extend([self.field(), self.field_value()]);
                }
            }
            "HSETNX" => request.extend([self.field(), self.field_value()]),
            "HGET" | "HEXISTS" | "HSTRLEN" => request.push(self.field()),
            "HMGET" | "HDEL" => {
                for _ in 0..=self.dice.below(4) {
                    request.push(self.field());
                }
            }
            "HINCRBY" => request.extend([self.field(), self.dice.pick(INTEGERS).to_vec()]),
            "HINCRBYFLOAT" => request.extend([self.field(), self.float()]),
            "HRANDFIELD" => self.random_fields(request),
            "HSCAN" => {
                request.push(self.word(&["0", "0", "0", "0", "0", "x", ""]));
                for _ in 0..self.dice.below(3) {
                    match self.dice.below(4) {
                        0 => {
                            let pattern = self.dice.pick(PATTERNS).to_vec();
                            request.extend([b"MATCH".to_vec(), pattern]);
                        }
                        1 | 2 => {
                            let count = self.word(&["0", "-1", "x", "100000", "5"]);
                            request.extend([b"count".to_vec(), count]);
                        }
                        _ => request.extend([self.word(&["TYPE", "NOPE"]), b"hash".to_vec()]),
                    }
                }
            }
            _ => {}
        }
    }

    fn random_fields(&mut self, request: &mut Request) {
        const SOME: &[&str] = &["0", "1", "2", "-1", "-5", "20", "-30", "300", "2000", "x"];
        // Not the smallest that are allowed, for which Redis would write until its memory ends.
        const BOUNDS: &[&str] = &[
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "",
        ];
        if self.dice.below(5) == 0 {
            return;
        }
        let counts = if self.dice.below(8) == 0 {
            BOUNDS
        } else {
            SOME
        };
        request.push(self.word(counts));
        if self.dice.below(2) == 0 {
            request.push(self.word(&["WITHVALUES", "withvalues", "NOPE"]));
        }
    }

    fn field_value(&mut self) -> Vec<u8> {
        // Most values are short: a single long one unpacks its hash for ever.
        let value = self.value();
        if value.len() > 64 && self.dice.below(20) > 0 {
            return b"short".to_vec();
        }
        value
    }

    /// Many elements or fields at once: what the other commands would not come to.
    fn many(&mut self) -> Request {
        if self.dice.below(2) == 0 {
            let mut request = vec![self.word(&["RPUSH", "LPUSH"]), self.key_of(LISTS)];
            for _ in 0..self.dice.below(300) {
                request.push(self.element());
            }
            return request;
        }
        let mut request = vec![self.word(&["HSET", "HDEL"]), self.key_of(HASHES)];
        let sets = request[0] == b"HSET";
        let most = self.dice.pick(&[20, 300, 1_000]);
        for _ in 0..self.dice.below(most) {
            request.push(format!("f{}", self.dice.below(1_000)).into_bytes());
            if sets {
                request.push(self.field_value());
            }
        }
        request
    }
}
