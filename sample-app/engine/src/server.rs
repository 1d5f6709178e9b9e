//! What commands ask of the server around them: time, chance, settings, other connections,
//! and the facts of INFO.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

use crate::metrics::{CommandRow, Metrics};
use crate::store::UnixMs;

/// What one batch of commands counted. The application adds it to its totals.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Commands run, each of a transaction by itself; not those that were refused before they ran.
    pub commands: u64,
    /// Lookups by reading commands that found their key.
    pub hits: u64,
    /// Lookups by reading commands that did not.
    pub misses: u64,
    /// Error replies.
    pub errors: u64,
    /// Keys removed because their time was up.
    pub expired: u64,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.commands += other.commands;
        self.hits += other.hits;
        self.misses += other.misses;
        self.errors += other.errors;
        self.expired += other.expired;
    }
}

/// The server as the application knows it.
pub trait Server {
    /// The time.
    fn now(&self) -> UnixMs;

    /// An evenly distributed number.
    fn random(&mut self) -> u64;

    /// Takes what a batch counted.
    fn count(&mut self, counters: Counters);

    /// Lends what was counted about commands and errors for one batch.
    fn lend_metrics(&mut self) -> Metrics;

    /// Takes back what was lent, with what the batch counted.
    fn return_metrics(&mut self, metrics: Metrics);

    /// The calls of every command by all workers, this one's being `own`; by name.
    fn command_rows(&self, own: &Metrics) -> Vec<CommandRow>;

    /// How often each kind of error was answered by all workers, this one's being `own`; by its word.
    fn error_rows(&self, own: &Metrics) -> Vec<(String, u64)>;

    /// Bytes that the reply to one request may have: a connection is closed instead of getting more.
    fn most_reply(&self) -> usize;

    /// A connection is closed for that.
    fn count_cut(&mut self);

    /// What INFO and HELLO tell; gathered when asked for.
    fn facts(&self) -> Facts;

    /// The settings of CONFIG GET, each once.
    fn settings(&self, visit: &mut dyn FnMut(&str, &str));

    /// The lines of CLIENT LIST for all connections but the one that asks, each with its id
    /// and without an end of line.
    fn other_clients(&self, asking: u64, visit: &mut dyn FnMut(u64, &str));
}

/// What all workers did in a second, lately.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Rates {
    /// Commands.
    pub commands: f64,
    /// Bytes received.
    pub bytes_in: f64,
    /// Bytes sent.
    pub bytes_out: f64,
}

/// What INFO tells. Times are in seconds, sizes in bytes.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Facts {
    /// The Redis version whose behaviour is followed, for clients that look at it.
    pub redis_version: String,
    /// The build of the application.
    pub build_id: String,
    /// Forty hexadecimal digits, new at each start.
    pub run_id: String,
    /// Name and release of the operating system.
    pub os: String,
    /// The process that answers.
    pub process_id: u32,
    /// Where the server listens.
    pub tcp_port: u16,
    /// Since the server started.
    pub uptime_s: u64,
    /// The program.
    pub executable: String,
    /// Connections now.
    pub connected_clients: u64,
    /// Connections allowed.
    pub max_clients: u64,
    /// Heap in use.
    pub used_memory: u64,
    /// The most heap ever in use.
    pub used_memory_peak: u64,
    /// Resident memory of the server.
    pub used_memory_rss: u64,
    /// Memory of the machine.
    pub total_system_memory: u64,
    /// The size of the heap.
    pub max_memory: u64,
    /// Connections ever accepted.
    pub total_connections: u64,
    /// Connections ever turned away.
    pub rejected_connections: u64,
    /// What was done in a second, lately.
    pub rates: Rates,
    /// Bytes ever received.
    pub net_input_bytes: u64,
    /// Bytes ever sent.
    pub net_output_bytes: u64,
    /// Sums of all batches.
    pub counters: Counters,
    /// Seconds of CPU in the kernel.
    pub cpu_system_s: f64,
    /// Seconds of CPU outside of it.
    pub cpu_user_s: f64,
    /// What the application adds: a section's name and its fields.
    pub extra: Vec<(String, Vec<(String, String)>)>,
}

/// Settings that are as in a Redis without persistence and with one database, and that
/// clients look at. The application visits these and its own.
pub fn config_defaults() -> &'static [(&'static str, &'static str)] {
    &[
        ("activedefrag", "no"),
        ("appendfsync", "everysec"),
        ("appendonly", "no"),
        ("bind", "* -::*"),
        ("client-query-buffer-limit", "1073741824"),
        ("cluster-enabled", "no"),
        ("databases", "1"),
        ("hz", "10"),
        ("io-threads", "1"),
        ("lazyfree-lazy-eviction", "no"),
        ("lazyfree-lazy-expire", "no"),
        ("lazyfree-lazy-server-del", "no"),
        ("lazyfree-lazy-user-del", "no"),
        ("lazyfree-lazy-user-flush", "no"),
        ("maxmemory-policy", "noeviction"),
        ("notify-keyspace-events", ""),
        ("proto-max-bulk-len", "536870912"),
        ("requirepass", ""),
        ("save", ""),
        ("tcp-keepalive", "300"),
    ]
}
