//! Waiting for a lock: spin, sleep in the queue, become heir, take or leave.
//!
//! Owns the waiter's side of the protocol that `word` states; upholds its invariant A by never
//! sleeping without a timer under a flag that it set itself, and by setting the flag again after
//! every sleep. Must never know about deaths: recovery makes everybody look again.

use super::party::{Class, Name, TimedOut};
use super::platform::{self, Bits, Half, Nanos, SPIN_ROUNDS, Waited};
use super::word::{LockCell, Word};
use std::time::Duration;

/// An agent of the item's own class names itself heir after this long.
const HEIR_AFTER: Duration = Duration::from_micros(500);

/// One acquisition that found the lock taken.
pub(super) struct Waiter<'a> {
    cell: &'a LockCell,
    me: Name,
    class: Class,
    deadline: Option<Nanos>,
    /// Since when this waiter is its class's agent, if it is.
    agent: Option<Nanos>,
    /// Whether a wake-up may have been spent on this waiter.
    slept: bool,
    /// Whether this agent of the other class saw nobody wake it for a grace period.
    idle: bool,
    spins: u32,
}

impl<'a> Waiter<'a> {
    pub(super) fn new(cell: &'a LockCell, me: Name, class: Class, deadline: Option<Nanos>) -> Self {
        Self {
            cell,
            me,
            class,
            deadline,
            agent: None,
            slept: false,
            idle: false,
            spins: 0,
        }
    }

    pub(super) fn wait(mut self) -> Result<(), TimedOut> {
        loop {
            let word = self.cell.load();
            if self.may_take(word) {
                if self.take(word) {
                    return Ok(());
                }
                continue;
            }
            if self.may_spin(word) {
                platform::pause(4 << self.spins);
                self.spins += 1;
                continue;
            }
            let now = Nanos::now();
            if self.deadline.is_some_and(|deadline| now >= deadline) {
                return self.leave();
            }
            if word.heir() == self.me.0 {
                self.sleep_as_heir(word);
            } else if word.heir() == 0 && self.agent.is_some() && now >= self.due() {
                // A failed exchange is looked at again like any other change of the word.
                self.cell.swap(word, word.with_heir(self.me));
            } else if let Some(flagged) = self.flag(word, now) {
                self.sleep_in_queue(flagged, now);
            }
        }
    }

    fn may_take(&self, word: Word) -> bool {
        if word.owner() != 0 {
            return false;
        }
        if word.heir() != 0 {
            return word.heir() == self.me.0;
        }
        self.cell.welcomes(self.class) || self.idle && !word.used()
    }

    /// Takes the lock that `word` says is free. Who slept took a wake-up out of the queue and
    /// answers for those behind it: its release will wake the next.
    fn take(&self, word: Word) -> bool {
        let taken = word.taken_by(self.me);
        let taken = if self.slept {
            taken.with_waits(self.class)
        } else {
            taken
        };
        self.cell.swap(word, taken)
    }

    /// When an agent may name itself heir.
    fn due(&self) -> Nanos {
        match (self.cell.stay(), self.agent) {
            ((home, until), _) if home != self.class => until,
            (_, Some(since)) => since.after(HEIR_AFTER),
            (_, None) => Nanos(u64::MAX),
        }
    }

    fn at_home(&self) -> bool {
        self.cell.stay().0 == self.class
    }

    /// Spinning pays only where the next release may be for this waiter.
    fn may_spin(&self, word: Word) -> bool {
        let hopeful = word.heir() == self.me.0 || word.heir() == 0 && self.at_home();
        hopeful && word.owner() != 0 && self.spins < SPIN_ROUNDS
    }

    fn sleep_as_heir(&mut self, word: Word) {
        let expected = Half::Low.of(word.0);
        platform::wait(
            &self.cell.word,
            Half::Low,
            expected,
            Bits::ANY,
            self.deadline,
        );
        self.slept = true;
        self.spins = 0;
    }

    /// Makes the word say that this class waits; the word to sleep on, unless it changed meanwhile.
    fn flag(&mut self, word: Word, now: Nanos) -> Option<Word> {
        let mut flagged = word.with_waits(self.class);
        if self.agent.is_some() && !self.at_home() {
            flagged = flagged.without_used();
        }
        if flagged != word {
            if !self.cell.swap(word, flagged) {
                return None;
            }
            if !word.waits(self.class) {
                self.agent.get_or_insert(now);
            }
        }
        Some(flagged)
    }

    fn sleep_in_queue(&mut self, word: Word, now: Nanos) {
        let at_home = self.at_home();
        let timer = self.agent.map(|_| match self.due() {
            // Only another heir keeps an agent whose time has come. Not at once, or all agents
            // would spin through the kernel until that heir gets to run.
            due if due <= now => now.after(HEIR_AFTER),
            due if at_home => due,
            due => due.min(now.after(self.cell.grace())),
        });
        let until = timer.into_iter().chain(self.deadline).min();
        let expected = Half::High.of(word.0);
        let bits = self.class.sleepers();
        let waited = platform::wait(&self.cell.word, Half::High, expected, bits, until);
        if waited != Waited::Stale {
            self.slept = true;
            self.spins = 0;
        }
        self.idle = self.agent.is_some() && !at_home && waited == Waited::TimedOut;
    }

    /// Gives up. Passes on the office of agent, and the wake-up if one was spent on this waiter.
    #[cold]
    fn leave(self) -> Result<(), TimedOut> {
        self.cell.update(|word| {
            let mut left = word.without_waits(self.class);
            if word.heir() == self.me.0 {
                left = left.without_heir();
            }
            if left.waits(self.class.other()) {
                left
            } else {
                left.without_used()
            }
        });
        self.cell.wake_one(self.class);
        Err(TimedOut)
    }
}
