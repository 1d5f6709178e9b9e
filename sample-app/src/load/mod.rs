//! Load over real sockets that notices every lost write.
//!
//! Each connection has a thread, keys of its own and a [`mirror`](self) of what they must hold; all of
//! them raise a few common counters. A reply that is not the one the mirror foretold is an error, and so
//! is a reply that never comes. Knows nothing of versions, workers or updates: what happens to the server
//! meanwhile is the caller's business, who only names phases.

mod connection;
mod mirror;
mod orders;
mod results;
#[cfg(test)]
mod tests;
mod wire;

pub use orders::Commands;
pub use results::{Phase, Results};
pub use wire::{Value, Wire};

use connection::Connection;
use orders::{Orders, Run};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How many counters all connections raise together.
pub const COMMON_COUNTERS: usize = 8;

/// What to load, and how.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub address: SocketAddr,
    /// Connections; every second one sends its requests in batches of `depth`.
    pub connections: usize,
    /// Requests that a pipelining connection sends before it reads.
    pub depth: usize,
    /// Keys of each connection.
    pub keys: usize,
    /// How long a connection rests between batches. Zero: the server's and the load's threads are all
    /// that limits the rate, and latencies are those of a full run queue.
    pub rest: Duration,
    /// A request that waits this long has failed.
    pub patience: Duration,
    /// In front of every key, so that several loads can share a server.
    pub prefix: String,
    /// Of the random choices.
    pub seed: u64,
}

impl Plan {
    /// Twenty connections, half of them 16 deep, at full speed.
    pub fn new(address: SocketAddr) -> Plan {
        Plan {
            address,
            connections: 20,
            depth: 16,
            keys: 100,
            rest: Duration::ZERO,
            patience: Duration::from_secs(60),
            prefix: "load".to_owned(),
            seed: 1,
        }
    }

    fn common_counter(&self, index: usize) -> String {
        format!("{}:common:{index}", self.prefix)
    }
}

/// A running load. Dropping it without [`finish`](Load::finish) stops the threads without verification.
pub struct Load {
    plan: Plan,
    orders: Arc<Orders>,
    threads: Vec<JoinHandle<results::Tally>>,
}

impl Load {
    /// Connects everybody and starts the first phase, called `phase`.
    ///
    /// # Errors
    /// A connection was refused.
    pub fn start(plan: Plan, phase: &str) -> io::Result<Load> {
        let orders = Arc::new(Orders::new(plan.connections, phase));
        let wires = (0..plan.connections)
            .map(|_| Wire::connect(plan.address, plan.patience))
            .collect::<io::Result<Vec<Wire>>>()?;
        let threads = wires
            .into_iter()
            .enumerate()
            .map(|(seat, wire)| {
                let connection = Connection::new(seat, wire, plan.clone(), Arc::clone(&orders));
                std::thread::spawn(move || connection.run())
            })
            .collect();
        Ok(Load {
            plan,
            orders,
            threads,
        })
    }

    /// From here on requests are counted in a phase of this name; one that is on its way counts in both.
    pub fn phase(&self, name: &str) {
        self.orders
            .change(|state| state.phases.push(name.to_owned()));
    }

    /// Uses these commands from now on. When it returns, no request of another kind is on its way.
    pub fn use_commands(&self, commands: Commands) {
        self.orders.change(|state| state.commands = commands);
        self.orders.wait_until_heard();
    }

    /// Stops sending. When it returns, everything that was sent has been answered.
    pub fn pause(&self) {
        self.orders.change(|state| state.run = Run::Paused);
        self.orders.wait_until_heard();
    }

    /// Goes on after [`pause`](Load::pause).
    pub fn resume(&self) {
        self.orders.change(|state| state.run = Run::Going);
    }

    /// Requests answered until now.
    pub fn answered(&self) -> u64 {
        self.orders.answered()
    }

    /// Errors and disconnects until now.
    pub fn failed(&self) -> u64 {
        self.orders.failed()
    }

    /// Stops, reads every key back, and adds up.
    ///
    /// # Errors
    /// The server cannot be reached any more to read the common counters.
    pub fn finish(mut self) -> io::Result<Results> {
        self.orders.change(|state| state.run = Run::Verify);
        let tallies = std::mem::take(&mut self.threads)
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| results::Tally::of_a_panic())
            })
            .collect::<Vec<_>>();
        let mut results = Results::add_up(&self.orders.phases(), tallies);
        let mut wire = Wire::connect(self.plan.address, self.plan.patience)?;
        for index in 0..COMMON_COUNTERS {
            let key = self.plan.common_counter(index);
            wire.push(&[b"GET", key.as_bytes()]);
            wire.flush()?;
            results.check_common(index, &key, wire.reply()?);
        }
        Ok(results)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.orders.change(|state| state.run = Run::Abandoned);
    }
}
