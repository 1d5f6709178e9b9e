//! What the allocator's metadata says of itself: for `status` and the heap check.
//!
//! Reads only, trusts nothing: damaged metadata gives findings. Never touches a block.

use super::claim;
use super::classes::SizeClass;
use super::context::HeapContext;
use super::superblock::{Realm, SlotRecord, State, Superblock};
use crate::abi::{MAX_WORKERS, SUPERBLOCK_SIZE};
use crate::ids::WorkerSlot;
use crate::sys::memory::PAGE_SIZE;
use std::sync::atomic::Ordering::SeqCst;

/// Whether workers allocate and free while somebody looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activity {
    /// They may: only what is wrong at any moment is a finding.
    Live,
    /// Nobody does, and the dead are recovered: what is half done is a finding, too.
    Quiescent,
}

/// Blocks of one size, over both realms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClassAccount {
    /// Bytes of a block.
    pub block_bytes: usize,
    /// Superblocks of the class.
    pub superblocks: usize,
    /// Allocated blocks.
    pub blocks: usize,
}

/// What one worker slot owns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotAccount {
    /// The slot.
    pub slot: WorkerSlot,
    /// Superblocks that it owns.
    pub superblocks: usize,
    /// Bytes of allocated blocks in them.
    pub used_bytes: usize,
    /// Frees by this slot that were refused: no such block was allocated.
    pub refused_frees: u64,
}

/// An account of the whole heap, roots included.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HeapAccount {
    /// Bytes in allocated blocks, counted by block size.
    pub used_bytes: usize,
    /// Bytes that the machine has given for blocks.
    pub committed_bytes: usize,
    /// Of those at most, the ones that no block is in: kept a few seconds for the next need, and given
    /// back before the heap is called full.
    pub kept_bytes: usize,
    /// Bytes that it may give at most, and those of them that are kept for recovery and rollback.
    pub limit_bytes: usize,
    /// See `limit_bytes`.
    pub reserve_bytes: usize,
    /// Large blocks.
    pub large_blocks: usize,
    /// Bytes of large blocks, by pages.
    pub large_bytes: usize,
    /// Superblocks whose owner died and that nobody has adopted yet.
    pub abandoned_superblocks: usize,
    /// By size class, smallest first.
    pub classes: Vec<ClassAccount>,
    /// Slots that own or refused something.
    pub slots: Vec<SlotAccount>,
    /// What is wrong, as sentences that say where.
    pub findings: Vec<String>,
}

impl HeapAccount {
    /// Walks all superblocks. The regions must be mapped, in whatever role; takes
    /// time in proportion to the addresses in use.
    pub fn take(activity: Activity) -> HeapAccount {
        let context = HeapContext::current();
        let mut account = HeapAccount {
            committed_bytes: claim::committed(context).unwrap_or(0),
            limit_bytes: context.heap_bytes.get(),
            reserve_bytes: context.reserve_bytes.get(),
            classes: SizeClass::all()
                .map(|class| ClassAccount {
                    block_bytes: class.size(),
                    superblocks: 0,
                    blocks: 0,
                })
                .collect(),
            ..HeapAccount::default()
        };
        let mut slots = vec![(0, 0); MAX_WORKERS + 1];
        for realm in Realm::BOTH {
            let frontier = realm.record().frontier.load(SeqCst);
            let (first, end) = realm.range();
            if frontier > (end - first) as u64 {
                account.finding(format!(
                    "the frontier of {realm:?} is {frontier}, beyond its {} superblocks",
                    end - first
                ));
            }
        }
        for superblock in claim::all_known() {
            account.add(superblock, activity, &mut slots);
        }
        for (owner, (superblocks, used_bytes)) in slots.into_iter().enumerate().skip(1) {
            let refused = SlotRecord::of(owner as u32).map(|r| r.refused_frees.load(SeqCst));
            let slot = SlotAccount {
                slot: WorkerSlot(owner as u32 - 1),
                superblocks,
                used_bytes,
                refused_frees: refused.unwrap_or(0),
            };
            if slot.refused_frees > 0 {
                account.finding(format!(
                    "{} freed {} times what was not allocated with that layout",
                    slot.slot, slot.refused_frees
                ));
            }
            if slot.superblocks > 0 || slot.refused_frees > 0 {
                account.slots.push(slot);
            }
        }
        let unknown = account
            .committed_bytes
            .saturating_sub(account.expected_bytes());
        if activity == Activity::Quiescent && unknown > 0 {
            account.finding(format!(
                "{unknown} bytes are committed in superblocks that nobody has"
            ));
        }
        account.kept_bytes = account
            .kept_bytes
            .min(account.committed_bytes.saturating_sub(account.used_bytes));
        if activity == Activity::Quiescent && account.committed_bytes > account.limit_bytes {
            account.finding(format!(
                "{} bytes are committed, more than the limit of {}",
                account.committed_bytes, account.limit_bytes
            ));
        }
        account
    }

    /// The most that can be committed.
    fn expected_bytes(&self) -> usize {
        let of_class = |(class, account): (SizeClass, &ClassAccount)| {
            account.superblocks * class.committed_bytes()
        };
        let small: usize = SizeClass::all().zip(&self.classes).map(of_class).sum();
        small + self.large_bytes + self.kept_bytes
    }

    fn finding(&mut self, sentence: String) {
        const MOST: usize = 1000;
        match self.findings.len() {
            n if n < MOST => self.findings.push(sentence),
            MOST => self.findings.push("there are more findings".to_owned()),
            _ => {}
        }
    }

    fn add(&mut self, superblock: Superblock, activity: Activity, slots: &mut [(usize, usize)]) {
        let word = superblock.state().load(SeqCst);
        let name = describe(superblock);
        match State::from_word(word) {
            None => self.finding(format!("{name}: state {word:#x} means nothing")),
            Some(State::Free) => {}
            Some(State::Kept(_)) => self.kept_bytes += SUPERBLOCK_SIZE,
            Some(State::Owned { owner, class }) => {
                let used = self.add_blocks(superblock, class, activity);
                slots[owner as usize].0 += 1;
                slots[owner as usize].1 += used;
            }
            Some(State::Abandoned { class }) => {
                self.abandoned_superblocks += 1;
                self.add_blocks(superblock, class, activity);
            }
            Some(State::Large { len }) => self.add_large(superblock, len, activity),
            Some(State::Part { offset }) => {
                if activity == Activity::Quiescent && !is_part(superblock, offset) {
                    self.finding(format!(
                        "{name}: part {offset} of a large block that is not there"
                    ));
                }
            }
            Some(
                State::Claiming { owner }
                | State::PartClaiming { owner }
                | State::LargeClaiming { owner, .. },
            ) => {
                if activity == Activity::Quiescent {
                    self.finding(format!(
                        "{name}: left half-claimed by {}",
                        WorkerSlot(owner - 1)
                    ));
                }
            }
        }
    }

    fn add_blocks(
        &mut self,
        superblock: Superblock,
        class: SizeClass,
        activity: Activity,
    ) -> usize {
        let meta = superblock.meta();
        let name = describe(superblock);
        let (mut blocks, mut unharvested) = (0, 0);
        for word in 0..meta.allocated.len() {
            let valid = class.valid_bits(word);
            // Remote first: a bit that is harvested in between is then counted as allocated.
            let remote = meta.remote[word].load(SeqCst);
            let allocated = meta.allocated[word].load(SeqCst);
            blocks += (allocated & valid & !remote).count_ones() as usize;
            unharvested += (allocated & valid & remote).count_ones() as usize;
            if allocated & !valid != !valid || remote & !valid != 0 {
                self.finding(format!(
                    "{name}: bitmap word {word} says something of blocks that do not exist"
                ));
            }
            if activity == Activity::Quiescent && remote & !allocated != 0 {
                self.finding(format!(
                    "{name}: bitmap word {word} has remote frees of blocks that are not allocated"
                ));
            }
        }
        let used = meta.used.load(SeqCst) as usize;
        if activity == Activity::Quiescent && used != blocks + unharvested {
            self.finding(format!(
                "{name}: counts {used} blocks, but its bitmap has {}",
                blocks + unharvested
            ));
        }
        let account = &mut self.classes[class.number()];
        account.superblocks += 1;
        account.blocks += blocks;
        self.used_bytes += blocks * class.size();
        blocks * class.size()
    }

    fn add_large(&mut self, head: Superblock, len: u32, activity: Activity) {
        let bytes = head.meta().pages.load(SeqCst) as usize * PAGE_SIZE;
        self.large_blocks += 1;
        self.large_bytes += bytes;
        self.used_bytes += bytes;
        if activity == Activity::Live {
            return;
        }
        let name = describe(head);
        if len == 0 || bytes == 0 || bytes > len as usize * SUPERBLOCK_SIZE {
            self.finding(format!(
                "{name}: a large block of {bytes} bytes in {len} superblocks"
            ));
        }
        let missing = (1..len).find(|offset| {
            let part = Superblock(head.0.saturating_add(*offset));
            !part.is_known()
                || part.state().load(SeqCst) != (State::Part { offset: *offset }).word()
        });
        if let Some(offset) = missing {
            self.finding(format!(
                "{name}: a large block of {len} superblocks lacks part {offset}"
            ));
        }
    }
}

fn is_part(part: Superblock, offset: u32) -> bool {
    let Some(head) = part.0.checked_sub(offset).map(Superblock) else {
        return false;
    };
    offset > 0
        && head.is_known()
        && matches!(State::from_word(head.state().load(SeqCst)),
            Some(State::Large { len }) if offset < len)
}

/// Name of a superblock in a finding.
pub(super) fn describe(superblock: Superblock) -> String {
    let realm = match superblock.realm() {
        Realm::Roots => "roots",
        Realm::Heap => "heap",
    };
    format!("superblock at {:#x} ({realm})", superblock.base())
}
