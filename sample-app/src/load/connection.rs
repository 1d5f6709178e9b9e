//! One connection: sends batches, compares replies, reconnects, and reads everything back at the end.

use super::Plan;
use super::mirror::{Found, Mirror, Planned, Stored};
use super::orders::{Commands, Order, Orders, Run};
use super::results::Tally;
use super::wire::{Value, Wire};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Keys read back at a time.
const READ_BACK: usize = 64;
/// A server that does not take connections for this long is gone.
const RECONNECT: Duration = Duration::from_secs(20);
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Connection {
    seat: usize,
    depth: usize,
    wire: Wire,
    plan: Plan,
    orders: Arc<Orders>,
    mirror: Mirror,
    tally: Tally,
}

impl Connection {
    pub fn new(seat: usize, wire: Wire, plan: Plan, orders: Arc<Orders>) -> Connection {
        Connection {
            seat,
            depth: if seat.is_multiple_of(2) {
                plan.depth
            } else {
                1
            },
            wire,
            mirror: Mirror::new(&plan, seat),
            plan,
            orders,
            tally: Tally::default(),
        }
    }

    pub fn run(mut self) -> Tally {
        // Also if something below panics, nobody may wait for this thread.
        let _seat = Seat(self.seat, Arc::clone(&self.orders));
        loop {
            let order = self.orders.next(self.seat);
            let went_on = match order.run {
                Run::Going | Run::Paused => self.batch(order),
                Run::Verify => {
                    self.verify(order.commands);
                    return self.tally;
                }
                Run::Abandoned => return self.tally,
            };
            if !went_on {
                return self.tally;
            }
            if !self.plan.rest.is_zero() {
                std::thread::sleep(self.plan.rest);
            }
        }
    }

    /// False if the server is gone for good.
    fn batch(&mut self, order: Order) -> bool {
        let mut planned: Vec<Planned> = (0..self.depth)
            .map(|_| self.mirror.plan(order.commands))
            .collect();
        let errors = self.tally.errors;
        let (answered, result) = self.exchange(&planned, Some(order.phase));
        self.orders
            .count(answered as u64, self.tally.errors - errors);
        match result {
            Ok(()) => true,
            Err(error) => {
                planned.drain(..answered);
                self.broken(&planned, &error)
            }
        }
    }

    /// Sends, reads and checks; how many were answered, and what ended it.
    fn exchange(&mut self, planned: &[Planned], phase: Option<usize>) -> (usize, io::Result<()>) {
        for one in planned {
            self.wire.push(&one.parts);
        }
        let start = Instant::now();
        if let Err(error) = self.wire.flush() {
            return (0, Err(error));
        }
        for (n, one) in planned.iter().enumerate() {
            let reply = match self.wire.reply() {
                Ok(reply) => reply,
                Err(error) => return (n, Err(error)),
            };
            if let Some(phase) = phase {
                self.record(start.elapsed(), phase);
            }
            self.judge(one, &reply);
        }
        (planned.len(), Ok(()))
    }

    /// A request that was sent in one phase and answered in another belongs to both.
    fn record(&mut self, latency: Duration, phase: usize) {
        self.tally.requests += 1;
        self.tally.latency(phase, latency);
        let now = self.orders.phase();
        if now != phase {
            self.tally.latency(now, latency);
        }
    }

    fn judge(&mut self, planned: &Planned, reply: &Value) {
        match self.mirror.check(planned, reply) {
            Ok(()) if planned.is_write() => {
                self.tally.acknowledged_writes += 1;
                if let Some(index) = planned.common() {
                    self.tally.common[index].0 += 1;
                }
            }
            Ok(()) => {}
            Err(text) => self.tally.error(text),
        }
    }

    /// After a broken connection: connects again and finds out what became of the unanswered commands.
    fn broken(&mut self, unanswered: &[Planned], error: &io::Error) -> bool {
        self.tally.disconnects += 1;
        self.orders.count(0, 1);
        if matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        ) {
            let waited = self.plan.patience.as_secs();
            self.tally.error(format!("no answer within {waited} s"));
        }
        for index in unanswered.iter().filter_map(Planned::common) {
            self.tally.common[index].1 += 1;
        }
        let settled = self.reconnect().and_then(|()| self.settle(unanswered));
        if let Err(error) = &settled {
            self.tally
                .error(format!("after a broken connection: {error}"));
        }
        settled.is_ok()
    }

    fn reconnect(&mut self) -> io::Result<()> {
        let end = Instant::now() + RECONNECT;
        loop {
            match Wire::connect(self.plan.address, self.plan.patience) {
                Ok(wire) => {
                    self.wire = wire;
                    return Ok(());
                }
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => std::thread::sleep(RECONNECT_PAUSE),
            }
        }
    }

    /// A key that an unanswered command wrote holds what it held before, or after any of them. A list or
    /// hash is removed then: the versions that run may not be able to tell which one it is.
    fn settle(&mut self, unanswered: &[Planned]) -> io::Result<()> {
        for (key, may_hold) in self.mirror.doubtful(unanswered) {
            let found = Found::ask(&mut self.wire, &key)?;
            if !may_hold.iter().any(|stored| found.is(stored.as_ref())) {
                let text = format!("{key}: lost when its connection broke");
                self.tally.loss(text);
            }
            let value = match found {
                Found::Text(text) => Some(Stored::Text(text)),
                Found::Nothing => None,
                Found::AnotherType => {
                    self.wire.ask(&["DEL", &key])?;
                    None
                }
            };
            self.mirror.settle(key, value);
        }
        Ok(())
    }

    fn verify(&mut self, commands: Commands) {
        let keys: Vec<String> = self.mirror.all_keys().collect();
        for keys in keys.chunks(READ_BACK) {
            let mut planned = Vec::new();
            for key in keys {
                planned.push(self.mirror.read_back(key.clone(), commands));
                if commands >= Commands::Expiring {
                    planned.push(self.mirror.lifetime(key.clone()));
                }
            }
            // What is wrong here is a loss rather than an error.
            let errors = self.tally.errors;
            let (_, result) = self.exchange(&planned, None);
            self.tally.lost += self.tally.errors - errors;
            self.tally.errors = errors;
            if let Err(error) = result {
                self.tally
                    .loss(format!("cannot read back {} keys: {error}", keys.len()));
                return;
            }
            self.tally.keys_verified += keys.len() as u64;
        }
    }
}

struct Seat(usize, Arc<Orders>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.1.leave(self.0);
    }
}
