//! How many connections each worker has, so that they are spread evenly and are together no more than
//! allowed.
//!
//! Owns the shared count and the decision who takes a newcomer; knows no socket. All workers see a
//! newcomer at the same time. Who has clearly more than another, those counted that it took lately and
//! that have gone, leaves it to the others, and looks again a moment later: the later, the more it has.
//! What must hold:
//!
//! - *Nobody waits for another worker.* Who has left a newcomer takes it at the second look, whatever
//!   the counts say then. So a worker that is busy, stopped, crossing or dead costs a newcomer a moment,
//!   and a queue of them no more than [`PRESENT_MS`].
//! - *Who is not there does not count.* A worker that has not shown itself for [`PRESENT_MS`], drains,
//!   or has no descriptors left is no reason to leave anybody.
//! - *Never more than allowed*, counting those of stopped workers too: a place is taken under the lock
//!   before the connection is. A dead worker's connections are gone when another is in its slot.
//!
//! If the guard cannot be had, each worker goes by what it saw last and takes who comes.

use crate::store::UnixMs;
use dsu_runtime::prelude::*;

/// Worker slots.
const SLOTS: usize = 128;
/// A worker that has shown itself so long ago is there. They do so ten times a second.
const PRESENT_MS: u64 = 500;
/// Connections that a worker may have more than another before it leaves newcomers to it; and one for
/// each so many that the other has.
const SLACK: u64 = 1;
const SLACK_OF: u64 = 16;

/// What each worker says of itself, by its slot.
#[derive(Shared)]
pub struct Room {
    clients: [u64; SLOTS],
    recent: [u64; SLOTS],
    seen_ms: [u64; SLOTS],
    takes: [bool; SLOTS],
}

impl Default for Room {
    fn default() -> Self {
        Room {
            clients: [0; SLOTS],
            recent: [0; SLOTS],
            seen_ms: [0; SLOTS],
            takes: [false; SLOTS],
        }
    }
}

#[guards(room: Room)]
pub static ROOM: GuardMutex;

/// What a worker says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presence {
    pub slot: usize,
    /// Its connections.
    pub clients: u64,
    /// Connections that it took lately.
    pub recent: u64,
    /// Whether it can have more.
    pub takes: bool,
    pub now: UnixMs,
}

/// What becomes of a newcomer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// It is this worker's; its place is taken.
    Mine,
    /// Others should have it: this worker has so many more than another, and more than the slack.
    Others { excess: u64 },
    /// There is no place for it.
    Refused,
}

/// Whether a worker may leave a newcomer to others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Look {
    First,
    /// It has left one a moment ago, and there still is one.
    Second,
}

impl Room {
    /// A worker shows itself.
    pub(crate) fn show(&mut self, who: Presence) {
        self.clients[who.slot] = who.clients;
        self.recent[who.slot] = who.recent;
        self.seen_ms[who.slot] = who.now.0;
        self.takes[who.slot] = who.takes;
    }

    /// Decides about one newcomer, and takes its place if it is the worker's own.
    pub(crate) fn admit(&mut self, who: Presence, look: Look, most: u64) -> Turn {
        self.show(who);
        let least = (0..SLOTS)
            .filter(|&slot| slot != who.slot && self.takes[slot])
            .filter(|&slot| who.now.0.saturating_sub(self.seen_ms[slot]) < PRESENT_MS)
            .map(|slot| self.clients[slot] + self.recent[slot])
            .min();
        if look == Look::First
            && let Some(least) = least
        {
            let most = least + SLACK + least / SLACK_OF;
            let excess = (who.clients + who.recent).saturating_sub(most);
            if excess > 0 || !who.takes {
                return Turn::Others { excess };
            }
        }
        if !who.takes || self.clients.iter().sum::<u64>() >= most {
            return Turn::Refused;
        }
        self.clients[who.slot] += 1;
        Turn::Mine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn who(slot: usize, clients: u64) -> Presence {
        Presence {
            slot,
            clients,
            recent: 0,
            takes: true,
            now: UnixMs(NOW),
        }
    }

    fn room(clients: &[u64]) -> Room {
        let mut room = Room::default();
        for (slot, &clients) in clients.iter().enumerate() {
            room.show(who(slot, clients));
        }
        room
    }

    #[test]
    fn newcomers_are_even_whoever_is_quicker() {
        for workers in [2, 4, 7] {
            let mut room = room(&vec![0; workers]);
            for _ in 0..1000 {
                // Always the same one looks first.
                let taker = (0..workers)
                    .find(|&slot| {
                        let me = who(slot, room.clients[slot]);
                        room.admit(me, Look::First, 10_000) == Turn::Mine
                    })
                    .expect("the one with the fewest takes it");
                assert!(taker < workers);
            }
            let share = 1000 / workers as u64;
            let range = share - share / 8..=share + share / 8 + 1;
            for slot in 0..workers {
                assert!(range.contains(&room.clients[slot]), "{:?}", room.clients);
            }
        }
    }

    #[test]
    fn newcomers_that_have_gone_again_count_for_a_while() {
        let mut room = room(&[0, 0]);
        let me = Presence {
            recent: 10,
            ..who(0, 0)
        };
        assert_eq!(
            room.admit(me, Look::First, 10_000),
            Turn::Others { excess: 9 }
        );
        assert_eq!(room.admit(who(1, 0), Look::First, 10_000), Turn::Mine);
    }

    #[test]
    fn a_second_look_takes_what_the_other_has_not() {
        let mut room = room(&[100, 0]);
        let me = who(0, 100);
        assert_eq!(
            room.admit(me, Look::First, 10_000),
            Turn::Others { excess: 99 }
        );
        assert_eq!(room.admit(me, Look::Second, 10_000), Turn::Mine);
        assert_eq!(room.clients[0], 101);
    }

    #[test]
    fn nobody_leaves_anything_to_who_is_not_there() {
        let mut alone = room(&[100]);
        assert_eq!(alone.admit(who(0, 100), Look::First, 10_000), Turn::Mine);
        let mut absent = room(&[100, 0]);
        absent.show(Presence {
            now: UnixMs(NOW - PRESENT_MS),
            ..who(1, 0)
        });
        assert_eq!(absent.admit(who(0, 100), Look::First, 10_000), Turn::Mine);
        let mut full = room(&[100, 0]);
        full.show(Presence {
            takes: false,
            ..who(1, 0)
        });
        assert_eq!(full.admit(who(0, 100), Look::First, 10_000), Turn::Mine);
    }

    #[test]
    fn all_workers_together_have_no_more_than_allowed() {
        let mut room = room(&[3, 3]);
        assert_eq!(room.admit(who(0, 3), Look::First, 7), Turn::Mine);
        assert_eq!(room.admit(who(1, 3), Look::First, 7), Turn::Refused);
        // Its connections are there though it is not.
        let late = Presence {
            now: UnixMs(NOW + 10 * PRESENT_MS),
            ..who(1, 3)
        };
        assert_eq!(room.admit(late, Look::First, 7), Turn::Refused);
        // One has left.
        room.show(who(0, 3));
        assert_eq!(room.admit(who(1, 3), Look::First, 7), Turn::Mine);
    }

    #[test]
    fn who_can_have_no_more_leaves_it_to_who_can() {
        let mut room = room(&[5, 50]);
        let full = Presence {
            takes: false,
            ..who(0, 5)
        };
        assert_eq!(
            room.admit(full, Look::First, 10_000),
            Turn::Others { excess: 0 }
        );
        assert_eq!(room.admit(full, Look::Second, 10_000), Turn::Refused);
    }
}
