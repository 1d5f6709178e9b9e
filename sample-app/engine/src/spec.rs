//! What is known of a command without running it: what COMMAND tells, and what the
//! dispatcher needs to lock its keys.

use std::ops::BitOr;

/// A set of command flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flags(u16);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// May change the data set.
    pub const WRITE: Self = Self(1);
    /// Never changes the data set.
    pub const READONLY: Self = Self(1 << 1);
    /// May take memory, so that a full heap refuses it.
    pub const DENYOOM: Self = Self(1 << 2);
    /// For administrators.
    pub const ADMIN: Self = Self(1 << 3);
    /// Not in scripts.
    pub const NOSCRIPT: Self = Self(1 << 4);
    /// Answered while loading.
    pub const LOADING: Self = Self(1 << 5);
    /// Answered with stale data.
    pub const STALE: Self = Self(1 << 6);
    /// Takes constant or logarithmic time.
    pub const FAST: Self = Self(1 << 7);
    /// Needs no authentication.
    pub const NO_AUTH: Self = Self(1 << 8);
    /// Answered while a script runs.
    pub const ALLOW_BUSY: Self = Self(1 << 9);
    /// Not in the log of slow commands.
    pub const SKIP_SLOWLOG: Self = Self(1 << 10);
    /// What most connection commands have.
    pub(crate) const ANYTIME: Self = Self(Self::LOADING.0 | Self::STALE.0);
    /// What those have that come before authentication.
    pub(crate) const BEFORE_AUTH: Self = Self(
        Self::ANYTIME.0 | Self::NOSCRIPT.0 | Self::FAST.0 | Self::NO_AUTH.0 | Self::ALLOW_BUSY.0,
    );

    const NAMES: [(Self, &'static str); 11] = [
        (Self::WRITE, "write"),
        (Self::READONLY, "readonly"),
        (Self::DENYOOM, "denyoom"),
        (Self::ADMIN, "admin"),
        (Self::NOSCRIPT, "noscript"),
        (Self::LOADING, "loading"),
        (Self::STALE, "stale"),
        (Self::SKIP_SLOWLOG, "skip_slowlog"),
        (Self::FAST, "fast"),
        (Self::NO_AUTH, "no_auth"),
        (Self::ALLOW_BUSY, "allow_busy"),
    ];

    /// Whether all of `other` are in this set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of its members as COMMAND INFO has them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |(flag, _)| self.has(*flag))
            .map(|(_, name)| name)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The family a command is documented under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// Of the connection itself.
    Connection,
    /// Of the server.
    Server,
    /// On keys of any type.
    Generic,
    /// On strings.
    String,
    /// On lists.
    List,
    /// On hashes.
    Hash,
    /// Of transactions.
    Transactions,
}

impl Group {
    /// Its name in COMMAND DOCS.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Server => "server",
            Self::Generic => "generic",
            Self::String => "string",
            Self::List => "list",
            Self::Hash => "hash",
            Self::Transactions => "transactions",
        }
    }

    /// The access category that commands of the family are in.
    fn category(self) -> Option<&'static str> {
        match self {
            Self::Connection => Some("@connection"),
            Self::Server => None,
            Self::Generic => Some("@keyspace"),
            Self::String => Some("@string"),
            Self::List => Some("@list"),
            Self::Hash => Some("@hash"),
            Self::Transactions => Some("@transaction"),
        }
    }
}

/// What a command does to the keys it names, in COMMAND INFO's words.
pub type Access = &'static [&'static str];

/// A range of arguments that are keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeySpec {
    /// What happens to them.
    pub access: Access,
    /// The first key's index; the command's name is 0.
    pub first: usize,
    /// The last key, from the first, or from the end of the arguments if negative.
    pub last: i64,
    /// The distance from key to key.
    pub step: usize,
    /// What COMMAND INFO adds in words.
    pub notes: Option<&'static str>,
}

/// Everything known of a command but what it does.
#[derive(Clone, Copy, Debug)]
pub struct CommandSpec {
    /// In lower case; of a subcommand with its container's, as in `client|id`.
    pub name: &'static str,
    /// Arguments with the name: exactly so many, or at least so many if negative.
    pub arity: i32,
    /// See [`Flags`].
    pub flags: Flags,
    /// Where it is documented.
    pub group: Group,
    /// Its category if not that of its group.
    category: Option<Option<&'static str>>,
    dangerous: bool,
    /// Where its keys are.
    pub keys: &'static [KeySpec],
    /// Hints for proxies and clients.
    pub tips: &'static [&'static str],
    /// The Redis version that brought it.
    pub since: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
}

impl CommandSpec {
    /// A command without keys, tips or flags.
    pub const fn new(
        name: &'static str,
        arity: i32,
        group: Group,
        since: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            name,
            arity,
            flags: Flags::NONE,
            group,
            category: None,
            dangerous: false,
            keys: &[],
            tips: &[],
            since,
            summary,
        }
    }

    /// With these flags.
    pub const fn flags(mut self, flags: Flags) -> Self {
        self.flags = Flags(self.flags.0 | flags.0);
        self
    }

    /// With keys.
    pub const fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys = keys;
        self
    }

    /// With hints.
    pub const fn tips(mut self, tips: &'static [&'static str]) -> Self {
        self.tips = tips;
        self
    }

    /// In another access category than its group's, or in none.
    pub const fn category(mut self, category: Option<&'static str>) -> Self {
        self.category = Some(category);
        self
    }

    /// In the access category of commands to be careful with.
    pub const fn dangerous(mut self) -> Self {
        self.dangerous = true;
        self
    }

    /// The name without its container's.
    pub fn short_name(&self) -> &'static str {
        match self.name.split_once('|') {
            Some((_, name)) => name,
            None => self.name,
        }
    }

    /// Whether a request of so many arguments, the name included, is acceptable.
    #[inline]
    pub fn accepts(&self, arguments: usize) -> bool {
        if self.arity >= 0 {
            arguments == self.arity as usize
        } else {
            arguments >= self.arity.unsigned_abs() as usize
        }
    }

    /// Access categories as COMMAND INFO has them, in its order.
    pub fn categories(&self) -> Vec<&'static str> {
        let own = self.category.unwrap_or(self.group.category());
        let is_admin = self.flags.has(Flags::ADMIN);
        let is_fast = self.flags.has(Flags::FAST);
        [
            ("@keyspace", own == Some("@keyspace")),
            ("@read", self.flags.has(Flags::READONLY)),
            ("@write", self.flags.has(Flags::WRITE)),
            ("@list", own == Some("@list")),
            ("@hash", own == Some("@hash")),
            ("@string", own == Some("@string")),
            ("@admin", is_admin),
            ("@fast", is_fast),
            ("@slow", !is_fast),
            ("@dangerous", self.dangerous || is_admin),
            ("@connection", own == Some("@connection")),
            ("@transaction", own == Some("@transaction")),
        ]
        .into_iter()
        .filter_map(|(name, is_in)| is_in.then_some(name))
        .collect()
    }

    /// First key, last key and step, as Redis told them before it had key specifications.
    pub fn key_range(&self) -> (i64, i64, i64) {
        let Some(first) = self.keys.first() else {
            return (0, 0, 0);
        };
        let last = self.keys.iter().map(|keys| {
            if keys.last < 0 {
                keys.last
            } else {
                keys.first as i64 + keys.last
            }
        });
        (
            first.first as i64,
            last.max().unwrap_or(0),
            first.step as i64,
        )
    }
}
