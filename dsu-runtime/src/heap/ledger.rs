//! What a worker has in its open conversion, and which handles to shared nodes it is still to count down,
//! written where its death leaves it to be read.
//!
//! ```text
//! 0  counts  fresh blocks 0..31 | old blocks 31..62 | 63: the conversion stands
//! 8  word    address of the word that the outermost conversion publishes; 0: nobody can look at it
//! 16 old     what stood there before
//! 24 hand    place + 1 of the block that is being freed | reuses of its superblock when it was begun
//! 32 room    for each list, lines committed beyond its first page
//! 40 owed    handles to be counted down 0..32 | those of them that are if the conversion stands as well
//! 64 handles owed … | 2048 fresh lines … | half of the stride: old lines …
//! line       63..60 kind: 0 block, 1 object, 2 handle | address, or generation and slot of the object;
//!            of a handle its node's address, and in the low bits what becomes of the count
//! ```
//! A fresh block is written here before the allocator marks it as taken, and taken out after it is free
//! again; so a line may name a block that is not allocated, and no fresh block is without a line. Freeing
//! old ones goes by the line, one after another, with `hand` ahead. Which way a conversion went is told by
//! `counts`, or, between the store that publishes and that one, by the word itself.
//! What a conversion has counted up before it is published is owed if it does not stand; what goes with
//! its old value is owed before it is closed. Whoever takes the slot of the dead owes what they owed.
//! What does not fit, or has no memory, is not written, and lost if its worker dies.
#![allow(unsafe_code)] // fixed addresses

use super::context::{Descriptor, HeapContext};
use super::journal::Entry;
use super::objects::ObjectId;
use super::rc::{Change, NodePtr};
use super::superblock::Superblock;
use crate::abi::{CONTROL_ADDR, LEDGER_OFFSET, LEDGER_STRIDE};
use crate::ids::GuardIndex;
use crate::sys::memory::{self, PAGE_SIZE};
use std::sync::atomic::Ordering::{Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64, compiler_fence};

/// The two lists of a conversion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum List {
    /// Allocated in it.
    Fresh = 0,
    /// To be freed if it stands.
    Old = 1,
}

const HALF: usize = LEDGER_STRIDE / 2;
const HEADER: usize = 64;
/// Where fresh lines begin.
const FRESH: usize = 2048;
/// Handles that have a line.
const MOST_OWED: usize = (FRESH - HEADER) / 8;
const STANDS: u64 = 1 << 63;
const COUNT_BITS: u32 = 31;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const KINDS: u64 = 0xf << 60;
const OBJECT: u64 = 1 << 60;
const HANDLE: u64 = 2 << 60;
const CHANGES: u64 = 0xf;

impl List {
    /// Offset of its first line, and how many there are at most.
    const fn place(self) -> (usize, usize) {
        match self {
            List::Fresh => (FRESH, (HALF - FRESH) / 8),
            List::Old => (HALF, HALF / 8),
        }
    }

    /// Lines in its first page, which is always there.
    const fn at_first(self) -> usize {
        (PAGE_SIZE - self.place().0 % PAGE_SIZE) / 8
    }
}

/// What a line names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Line {
    /// A block by its address.
    Block(usize),
    /// An object.
    Object(ObjectId),
    /// A handle to a shared node that came or went.
    Handle(NodePtr, Change),
}

impl Line {
    /// What was not written: memory for the line came after its place.
    pub(super) const NOTHING: Line = Line::Block(0);

    fn word(entry: Entry) -> u64 {
        match (entry.to_object(), entry.to_counted()) {
            (Some(id), _) => OBJECT | u64::from(id.generation) << 20 | u64::from(id.index.0),
            (None, Some((node, change))) => HANDLE | node.address() as u64 | change as u64,
            (None, None) => entry.address() as u64,
        }
    }

    fn from_word(word: u64) -> Line {
        match word & KINDS {
            0 => return Line::Block(word as usize),
            HANDLE => {
                let node = NodePtr::at((word & !KINDS & !CHANGES) as usize);
                let change = Change::numbered((word & CHANGES) as usize);
                return match node.zip(change) {
                    Some((node, change)) => Line::Handle(node, change),
                    None => Line::NOTHING,
                };
            }
            _ => {}
        }
        Line::Object(ObjectId {
            index: GuardIndex(word as u32 & 0xf_ffff),
            generation: (word >> 20) as u32,
        })
    }
}

/// The ledger of one worker slot.
#[repr(C)]
pub(super) struct Ledger {
    counts: AtomicU64,
    word: AtomicU64,
    old: AtomicU64,
    hand: AtomicU64,
    room: [AtomicU32; 2],
    owed: AtomicU64,
}

const _: () = assert!(size_of::<Ledger>() <= HEADER);

/// How a conversion stood when its worker died.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) fresh: usize,
    pub(super) old: usize,
    pub(super) stands: bool,
}

impl Ledger {
    /// That of the slot which is called `owner` (slot + 1).
    #[inline]
    pub(super) fn of(owner: u32) -> &'static Ledger {
        debug_assert!(owner != 0);
        let address = CONTROL_ADDR + LEDGER_OFFSET + (owner as usize - 1) * LEDGER_STRIDE;
        // SAFETY: the control region is mapped before a slot exists and never unmapped; the first page
        // of each list is committed with it, and atomics are valid whatever the bits.
        unsafe { &*(address as *const Ledger) }
    }

    /// Ranges of the control region that every ledger has from the start.
    pub(super) fn first_pages() -> impl Iterator<Item = (usize, usize)> {
        (0..crate::abi::MAX_WORKERS).flat_map(|slot| {
            let at = LEDGER_OFFSET + slot * LEDGER_STRIDE;
            [(at, PAGE_SIZE), (at + HALF, PAGE_SIZE)]
        })
    }

    /// An outermost conversion begins, which so far publishes nothing that others can see.
    #[inline]
    pub(super) fn open(&self) {
        self.word.store(0, Release);
        self.hand.store(0, Release);
        compiler_fence(SeqCst);
    }

    /// It will publish by a store to the word at `address`, where `old` stands.
    #[inline]
    pub(super) fn aim(&self, address: usize, old: u64) {
        self.old.store(old, Release);
        self.word.store(address as u64, Release);
        compiler_fence(SeqCst);
    }

    /// Writes a line; false if there is no room. It counts from the next [`count`](Self::count) on.
    #[inline]
    pub(super) fn write(&self, list: List, at: usize, entry: Entry) -> bool {
        let has_room = at < self.capacity(list) || self.grow(list, at);
        if has_room {
            self.line(list, at).store(Line::word(entry), Release);
        }
        has_room
    }

    /// So many lines count.
    #[inline]
    pub(super) fn count(&self, fresh: usize, old: usize) {
        self.counts.store(packed(fresh, old), Release);
        compiler_fence(SeqCst);
    }

    /// The conversion is about to be published. By its word, if it aimed at one; else it publishes several
    /// or none, so that no word tells how it stands, and a death before [`stand`](Self::stand) frees nothing.
    #[inline]
    pub(super) fn publish(&self) {
        if self.word.load(Relaxed) == 0 {
            self.counts.store(0, Release);
        }
    }

    /// From here on the conversion stands, whatever its word says.
    #[inline]
    pub(super) fn stand(&self, fresh: usize, old: usize) {
        compiler_fence(SeqCst);
        self.counts.store(packed(fresh, old) | STANDS, Release);
        compiler_fence(SeqCst);
    }

    /// Nothing is left to be done.
    #[inline]
    pub(super) fn close(&self) {
        compiler_fence(SeqCst);
        self.counts.store(0, Release);
    }

    /// The block of line `at` is about to be freed, and, of those to be freed after a publication, those
    /// before it are.
    #[inline]
    pub(super) fn take_in_hand(&self, at: usize, address: usize) {
        let hand = (at as u64 + 1) | u64::from(reuses(address)) << 32;
        self.hand.store(hand, Release);
        compiler_fence(SeqCst);
    }

    /// The handle of line `at` is about to be owed, and those before it are.
    pub(super) fn take_handle_in_hand(&self, at: usize) {
        let hand = (at as u64 + 1) | (self.owed() as u64) << 32;
        self.hand.store(hand, Release);
        compiler_fence(SeqCst);
    }

    /// Writes who is owed in this place, if there is a line for it.
    pub(super) fn write_owed(&self, at: usize, entry: Option<Entry>) {
        if at < MOST_OWED {
            self.owed_line(at)
                .store(entry.map_or(0, Line::word), Release);
            compiler_fence(SeqCst);
        }
    }

    /// So many are owed in any case, and so many if the open conversion does not stand.
    pub(super) fn count_owed(&self, sure: usize, undone: usize) {
        let [sure, undone] = [sure, undone].map(|count| count.min(MOST_OWED) as u64);
        compiler_fence(SeqCst);
        self.owed.store(undone | sure << 32, Release);
        compiler_fence(SeqCst);
    }

    /// How many are owed in any case.
    pub(super) fn owed(&self) -> usize {
        ((self.owed.load(SeqCst) >> 32) as usize).min(MOST_OWED)
    }

    /// How many would be if the open conversion did not stand.
    pub(super) fn owed_if_undone(&self) -> usize {
        (self.owed.load(SeqCst) as u32 as usize).clamp(self.owed(), MOST_OWED)
    }

    /// For recovery: one more is owed.
    pub(super) fn owe(&self, node: NodePtr, change: Change) {
        let at = self.owed();
        self.write_owed(at, Some(Entry::counted(node, change)));
        self.count_owed(at + 1, at + 1);
    }

    /// Handles that are owed in any case.
    pub(super) fn all_owed(&self) -> impl Iterator<Item = (NodePtr, Change)> {
        let lines = (0..self.owed()).map(|at| Line::from_word(self.owed_line(at).load(SeqCst)));
        lines.filter_map(|line| match line {
            Line::Handle(node, change) => Some((node, change)),
            _ => None,
        })
    }

    fn owed_line(&self, at: usize) -> &'static AtomicU64 {
        debug_assert!(at < MOST_OWED);
        let address = std::ptr::from_ref(self).addr() + HEADER + at * 8;
        // SAFETY: in the first page of the ledger, which is always there.
        unsafe { &*(address as *const AtomicU64) }
    }

    /// It is done, and out of the list.
    pub(super) fn let_go(&self) {
        compiler_fence(SeqCst);
        self.hand.store(0, Release);
    }

    /// What a dead worker left; `None` where it had no conversion open.
    pub(super) fn left(&self) -> Option<Standing> {
        let counts = self.counts.load(SeqCst);
        (counts != 0).then_some(Standing {
            fresh: (counts & COUNT) as usize,
            old: (counts >> COUNT_BITS & COUNT) as usize,
            stands: counts & STANDS != 0,
        })
    }

    /// Where the word is that tells, and what stood there.
    pub(super) fn aimed_at(&self) -> (usize, u64) {
        (self.word.load(SeqCst) as usize, self.old.load(SeqCst))
    }

    /// Place of the block that was in hand, and the reuses of its superblock at that time.
    pub(super) fn hand(&self) -> Option<(usize, u32)> {
        let hand = self.hand.load(SeqCst);
        let place = (hand as u32).checked_sub(1)?;
        Some((place as usize, (hand >> 32) as u32))
    }

    /// The first `count` lines of a list, as far as they were written.
    pub(super) fn lines(&self, list: List, count: usize) -> impl Iterator<Item = (usize, Line)> {
        let written = count.min(self.capacity(list));
        (0..written).map(move |at| (at, Line::from_word(self.line(list, at).load(SeqCst))))
    }

    fn capacity(&self, list: List) -> usize {
        let more = self.room[list as usize].load(Relaxed) as usize;
        // Whatever was written there, the walk stays inside the list.
        (list.at_first() + more).min(list.place().1)
    }

    fn line(&self, list: List, at: usize) -> &'static AtomicU64 {
        let (offset, most) = list.place();
        debug_assert!(at < most);
        let address = std::ptr::from_ref(self).addr() + offset + at * 8;
        // SAFETY: below the list's end, in the control region, which stays mapped; committed by `grow`.
        unsafe { &*(address as *const AtomicU64) }
    }

    /// Commits as much again, until there is this line. It may be far off, where there was no memory before.
    #[cold]
    fn grow(&self, list: List, at: usize) -> bool {
        at < list.place().1 && {
            while at >= self.capacity(list) && self.double(list) {}
            at < self.capacity(list)
        }
    }

    /// False if there is no memory.
    fn double(&self, list: List) -> bool {
        let offset = list.place().0;
        let Some(control) = HeapContext::current().descriptor(Descriptor::Control) else {
            return false;
        };
        let first = std::ptr::from_ref(self).addr() - CONTROL_ADDR;
        let have = offset + self.capacity(list) * 8;
        let end = (have - offset / HALF * HALF) * 2;
        let end = (offset / HALF * HALF + end).min(offset / HALF * HALF + HALF);
        if memory::commit(control, first + have, end - have).is_err() {
            return false;
        }
        let lines = (end - offset) / 8 - list.at_first();
        self.room[list as usize].store(lines as u32, Release);
        true
    }
}

fn packed(fresh: usize, old: usize) -> u64 {
    (fresh as u64).min(COUNT) | (old as u64).min(COUNT) << COUNT_BITS
}

/// How often blocks that were free in the superblock of this address may have become somebody's.
fn reuses(address: usize) -> u32 {
    match Superblock::containing(address) {
        Some(superblock) => superblock.meta().reuses.load(SeqCst),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::testing::{ROOMY, test_name, with_regions};
    use std::alloc::Layout;
    use std::ptr::NonNull;

    // A list whose memory ended for a while, and came back.
    #[test]
    fn a_line_beyond_others_that_were_not_written_is_read_and_they_are_nothing() {
        let name =
            test_name!("a_line_beyond_others_that_were_not_written_is_read_and_they_are_nothing");
        with_regions(name, ROOMY, || {
            let ledger = Ledger::of(3);
            let block = NonNull::new(4096 as *mut u8).expect("not null");
            let entry = Entry::new(block, Layout::new::<u64>());
            for list in [List::Fresh, List::Old] {
                let far = list.place().1 - 1;
                assert!(ledger.write(list, far, entry));
                assert!(!ledger.write(list, far + 1, entry), "the list is full");
                let mut lines = ledger.lines(list, far + 1);
                let last = lines.by_ref().find(|(_, line)| *line != Line::NOTHING);
                assert_eq!(last, Some((far, Line::Block(4096))));
            }
        });
    }

    #[test]
    fn a_ledger_says_what_was_written_and_stops_at_its_end() {
        let name = test_name!("a_ledger_says_what_was_written_and_stops_at_its_end");
        with_regions(name, ROOMY, || {
            let ledger = Ledger::of(3);
            let entry = |at: usize| {
                let block = NonNull::new((at * 16 + 16) as *mut u8).expect("not null");
                Entry::new(block, Layout::new::<u64>())
            };
            let id = ObjectId {
                index: GuardIndex(0xf_fffe),
                generation: u32::MAX,
            };
            for list in [List::Fresh, List::Old] {
                let most = list.place().1;
                (0..most + 2)
                    .for_each(|at| assert_eq!(ledger.write(list, at, entry(at)), at < most));
                ledger.write(list, 1, Entry::object(id));
                let mut found = ledger.lines(list, most + 2);
                assert_eq!(found.next(), Some((0, Line::Block(16))));
                assert_eq!(found.next(), Some((1, Line::Object(id))));
                assert!(found.all(|(at, line)| line == Line::Block(at * 16 + 16)));
                assert_eq!(ledger.lines(list, most + 2).count(), most);
            }
            // The next slot's ledger is not touched.
            assert!(Ledger::of(4).left().is_none());
            assert_eq!(
                Ledger::of(4).lines(List::Fresh, 1).next(),
                Some((0, Line::Block(0)))
            );
            ledger.count(7, 9);
            let left = ledger.left().expect("open");
            assert_eq!((left.fresh, left.old, left.stands), (7, 9, false));
            ledger.stand(COUNT as usize + 5, 1);
            let left = ledger.left().expect("open");
            assert_eq!(
                (left.fresh, left.old, left.stands),
                (COUNT as usize, 1, true)
            );
            ledger.close();
            assert!(ledger.left().is_none());
        });
    }
}
