//! Random commands over a small universe of keys and telling values.

mod typed;
mod universe;

pub use typed::is_typed;
use universe::{FLOATS, INTEGERS, INTEGERS_BUT_SHORT, KEYS, PATTERNS, SMALL, VALUES};

/// xorshift64*: chance that is the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Version {
    One,
    Two,
    Three,
}

/// How replies to a command are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparison {
    Exact,
    Sorted,
    /// Fields with their values, in any order.
    Pairs,
    /// A cursor and fields with their values, in any order; only the type if the walk goes on.
    Walk,
    /// Of the same type only: what depends on chance.
    Shape,
    /// Of the same type, and with as many elements.
    Length,
    /// Times, which the two servers read at slightly different moments.
    Time,
}

pub struct Generator {
    pub dice: Dice,
    version: Version,
    /// Relative times are all different, so that comparing two of them (GT, LT) does not
    /// depend on which millisecond either was set in.
    times: u64,
}

pub type Request = Vec<Vec<u8>>;

const PLAIN: &[&str] = &[
    "GET",
    "SET",
    "SETOPT",
    "SETNX",
    "GETSET",
    "GETDEL",
    "MGET",
    "MSET",
    "MSETNX",
    "DEL",
    "UNLINK",
    "EXISTS",
    "APPEND",
    "STRLEN",
    "GETRANGE",
    "SUBSTR",
    "SETRANGE",
    "INCR",
    "DECR",
    "INCRBY",
    "DECRBY",
    "INCRBYFLOAT",
    "INCRBYFLOAT",
    "TYPE",
    "KEYS",
    "RANDOMKEY",
    "RENAME",
    "RENAMENX",
    "PING",
    "ECHO",
    "SELECT",
    "DBSIZE",
    "WRONG",
    "FLUSH",
    "SCANERR",
    "CONNECTION",
    "GETKEYS",
];

const EXPIRING: &[&str] = &[
    "SETEX",
    "PSETEX",
    "GETEX",
    "EXPIRE",
    "PEXPIRE",
    "EXPIREAT",
    "PEXPIREAT",
    "TTL",
    "PTTL",
    "EXPIRETIME",
    "PEXPIRETIME",
    "PERSIST",
    "SETOPT",
    "EXPIRE",
    "TTL",
];

impl Generator {
    pub fn new(seed: u64, version: Version) -> Self {
        Self {
            dice: Dice(seed),
            version,
            times: 0,
        }
    }

    pub fn next(&mut self) -> (Request, Comparison) {
        let family = match self.version {
            Version::One if self.dice.below(30) > 0 => PLAIN,
            Version::Two if self.dice.below(2) == 0 => PLAIN,
            Version::Three if self.dice.below(3) > 0 => typed::NAMES,
            Version::Three if self.dice.below(3) > 0 => PLAIN,
            _ => EXPIRING,
        };
        let mut name = self.dice.pick(family);
        // Lists and hashes shall grow.
        if name == "FLUSH" && self.version == Version::Three && self.dice.below(8) > 0 {
            name = "EXISTS";
        }
        // A version that does not know a command quotes its arguments, whatever they are.
        let (mut request, comparison) = self.command(name);
        if self.dice.below(40) == 0 {
            self.spoil(&mut request);
        }
        if self.dice.below(4) == 0 {
            request[0].make_ascii_lowercase();
        }
        if depends_on_the_server(&request) {
            return (request, Comparison::Shape);
        }
        (request, comparison)
    }

    fn command(&mut self, name: &str) -> (Request, Comparison) {
        if typed::NAMES.contains(&name) {
            return self.typed(name);
        }
        let mut request = vec![name.as_bytes().to_vec()];
        let mut comparison = Comparison::Exact;
        match name {
            "GET" | "GETDEL" | "STRLEN" | "INCR" | "DECR" | "TYPE" | "PERSIST" => {
                request.push(self.key());
            }
            "TTL" | "PTTL" | "EXPIRETIME" | "PEXPIRETIME" => {
                request.push(self.key());
                comparison = Comparison::Time;
            }
            "SET" | "SETNX" | "GETSET" | "APPEND" => {
                request.push(self.key());
                request.push(self.value());
            }
            "SETOPT" => return self.set_with_options(),
            "GETEX" => {
                request.push(self.key());
                self.lifetime_options(&mut request, "PERSIST");
            }
            "MGET" | "DEL" | "UNLINK" | "EXISTS" => {
                for _ in 0..=self.dice.below(4) {
                    request.push(self.key());
                }
            }
            "MSET" | "MSETNX" => {
                for _ in 0..=self.dice.below(3) {
                    request.push(self.key());
                    request.push(self.value());
                }
            }
            "GETRANGE" | "SUBSTR" => {
                request.push(self.key());
                request.push(self.dice.pick(INTEGERS).to_vec());
                request.push(self.dice.pick(INTEGERS).to_vec());
            }
            "SETRANGE" => {
                request.push(self.key());
                request.push(self.dice.pick(SMALL).to_vec());
                request.push(self.value());
            }
            "INCRBY" | "DECRBY" => {
                request.push(self.key());
                request.push(self.dice.pick(INTEGERS).to_vec());
            }
            "INCRBYFLOAT" => {
                request.push(self.float_key());
                request.push(self.float());
            }
            "KEYS" => {
                request.push(self.dice.pick(PATTERNS).to_vec());
                comparison = Comparison::Sorted;
            }
            "RANDOMKEY" => comparison = Comparison::Shape,
            "DBSIZE" => {
                // Keys that are over and that nobody looked at count, until someone does.
                if self.version >= Version::Two {
                    comparison = Comparison::Shape;
                }
            }
            "RENAME" | "RENAMENX" => {
                request.push(self.key());
                request.push(self.key());
            }
            "SETEX" | "PSETEX" => {
                request.push(self.key());
                request.push(self.relative());
                request.push(self.value());
            }
            "EXPIRE" | "PEXPIRE" | "EXPIREAT" | "PEXPIREAT" => {
                request.push(self.key());
                let absolute = name.ends_with("AT");
                let time = if absolute {
                    self.absolute()
                } else {
                    self.relative()
                };
                request.push(time);
                for _ in 0..self.dice.below(3) {
                    request.push(self.word(&["NX", "XX", "GT", "LT", "gt", "foo"]));
                }
            }
            "PING" | "ECHO" => request.push(self.value()),
            "SELECT" => request.push(self.dice.pick(INTEGERS).to_vec()),
            "WRONG" => {
                request[0] = self.word(&["nonsense", "GE\r\nT", "", "LPUSHX2", "config|get"]);
                for _ in 0..self.dice.below(5) {
                    request.push(self.value());
                }
            }
            "FLUSH" => {
                request[0] = self.word(&["FLUSHALL", "FLUSHDB"]);
                if self.dice.below(2) == 0 {
                    request.push(self.word(&["ASYNC", "sync", "x"]));
                }
            }
            "SCANERR" => {
                request[0] = b"SCAN".to_vec();
                request.push(self.word(&["x", "0", " 1", "18446744073709551616"]));
                request.push(self.word(&["COUNT", "MATCH", "TYPE", "x"]));
                request.push(self.word(&["0", "-1", "x", "1.5"]));
                comparison = Comparison::Shape;
            }
            "CONNECTION" => return (self.connection(), Comparison::Exact),
            "GETKEYS" => {
                request = vec![
                    b"COMMAND".to_vec(),
                    self.word(&["GETKEYS", "getkeysandflags"]),
                ];
                let inner = self
                    .dice
                    .pick(&["GET", "MSET", "RENAME", "DEL", "PING", "nope"]);
                request.push(inner.as_bytes().to_vec());
                for _ in 0..=self.dice.below(4) {
                    request.push(self.key());
                }
            }
            other => unreachable!("no arguments for {other}"),
        }
        (request, comparison)
    }

    fn connection(&mut self) -> Request {
        let line = self.dice.pick(&[
            "CLIENT GETNAME",
            "CLIENT SETNAME me",
            "CLIENT SETNAME a:b",
            "CLIENT NOPE",
            "CLIENT",
            "CLIENT SETNAME",
            "AUTH x",
            "AUTH default x",
            "AUTH other x",
            "AUTH a b c",
            "HELLO 9",
            "HELLO x",
            "HELLO 2 AUTH a b",
            "HELLO 2 AUTH a",
            "HELLO 3 NOPE",
            "CONFIG GET save",
            "CONFIG NOPE",
            "CONFIG GET",
            "CLIENT REPLY nope",
            "CLIENT REPLY on",
            "QUIT2",
            "CLIENT NO-EVICT on",
            "CLIENT NO-EVICT x",
            "CLIENT LIST TYPE x",
            "CLIENT LIST TYPE master",
            "CLIENT LIST ID x",
            "CLIENT LIST x",
            "CLIENT ID x",
            "COMMAND NOPE",
            "COMMAND GETKEYS GET",
            "COMMAND LIST x",
            "COMMAND INFO nope",
            "COMMAND DOCS nope",
            "PING",
            "PING a b",
            "HELLO 3",
            "HELLO 3",
            "HELLO 2",
            "RESET",
            "CONFIG GET databases",
        ]);
        line.split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect()
    }

    fn set_with_options(&mut self) -> (Request, Comparison) {
        let mut request = vec![b"SET".to_vec(), self.key(), self.value()];
        for _ in 0..=self.dice.below(2) {
            if self.dice.below(2) == 0 {
                request.push(self.word(&["NX", "XX", "GET", "get", "FOO", "PERSIST"]));
            } else if self.version >= Version::Two || self.dice.below(50) == 0 {
                self.lifetime_options(&mut request, "KEEPTTL");
            }
        }
        // Version 1 takes times for syntax errors, which is compared in `errors`.
        if self.version == Version::One {
            request.retain(|arg| !matches!(arg.as_slice(), b"EX" | b"PX" | b"EXAT" | b"PXAT"));
            request.retain(|arg| arg != b"KEEPTTL" && arg != b"ex");
        }
        (request, Comparison::Exact)
    }

    fn lifetime_options(&mut self, request: &mut Request, own: &str) {
        for _ in 0..=self.dice.below(8) / 7 {
            match self.dice.below(6) {
                0 => request.push(own.as_bytes().to_vec()),
                1 => {
                    request.push(self.word(&["EX", "PX", "ex"]));
                    request.push(self.relative());
                }
                2 | 3 => {
                    request.push(self.word(&["EXAT", "PXAT"]));
                    request.push(self.absolute());
                }
                4 => request.push(self.word(&["EX", "PXAT", "KEEPTTL", "PERSIST"])),
                _ => {}
            }
        }
    }

    /// Far enough ahead that nothing expires during a test, or an error.
    fn relative(&mut self) -> Vec<u8> {
        if self.dice.below(8) == 0 {
            return self.dice.pick(INTEGERS_BUT_SHORT).to_vec();
        }
        self.times += 1;
        let spread = self.times * 7_919_003 % 99_999_989;
        (100_000_000 + spread * 1_000).to_string().into_bytes()
    }

    /// Past, or far ahead.
    fn absolute(&mut self) -> Vec<u8> {
        match self.dice.below(6) {
            0 => self.dice.pick(INTEGERS).to_vec(),
            1 => self.word(&["1000000000", "1500000000000"]),
            _ => {
                let spread = self.dice.below(1_000_000) as u64;
                (9_000_000_000_000 + spread * 500_000)
                    .to_string()
                    .into_bytes()
            }
        }
    }

    pub fn key(&mut self) -> Vec<u8> {
        if self.version == Version::Three && self.dice.below(8) == 0 {
            return self.typed_key();
        }
        self.dice.pick(KEYS).to_vec()
    }

    fn float_key(&mut self) -> Vec<u8> {
        if self.dice.below(3) == 0 {
            self.key()
        } else {
            b"float".to_vec()
        }
    }

    fn float(&mut self) -> Vec<u8> {
        if self.dice.below(2) == 0 {
            return self.dice.pick(FLOATS).to_vec();
        }
        let sign = self.dice.pick(&["", "-"]);
        let (whole, places) = (self.dice.below(100_000), self.dice.below(19));
        let fraction = self.dice.next() % 10_u64.pow(places as u32).max(1);
        let exponent = self.dice.pick(&["", "", "", "e3", "e-4", "e12", "e-9"]);
        format!("{sign}{whole}.{fraction:0places$}{exponent}").into_bytes()
    }

    fn value(&mut self) -> Vec<u8> {
        if self.dice.below(3) == 0 {
            return self.dice.below(1_000).to_string().into_bytes();
        }
        self.dice.pick(VALUES).to_vec()
    }

    fn word(&mut self, from: &[&str]) -> Vec<u8> {
        self.dice.pick(from).as_bytes().to_vec()
    }

    /// Takes an argument away or adds one.
    fn spoil(&mut self, request: &mut Request) {
        if self.dice.below(2) == 0 && request.len() > 1 {
            request.pop();
        } else {
            request.push(self.value());
        }
    }
}

/// Whether the reply tells of connections, or of all commands there are.
fn depends_on_the_server(request: &Request) -> bool {
    let word = |at: usize| request.get(at).map(|word| word.to_ascii_uppercase());
    let (first, second) = (word(0), word(1));
    let whole = request.len() < 3;
    match first.as_deref() {
        Some(b"HELLO") => true,
        Some(b"COMMAND") => whole,
        Some(b"CLIENT") => matches!(second.as_deref(), Some(b"LIST" | b"ID" | b"INFO")),
        _ => false,
    }
}
