//! What the control region keeps of the order of locks (R16): a table for each code that ever ran, and
//! which two of them are mixed now. The meaning of both is `sync::order`'s.

use super::layout::{CONTROL_ADDR, MAX_ORDER_NODES, MAX_ORDER_TABLES, ORDER_OFFSET, ORDER_STRIDE};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// A declaration of guards as the order of locks knows it: a single guard or a whole family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Node(pub u16);

/// Words of a row of a table, a bit for each declaration of guards.
pub const ORDER_ROW_WORDS: usize = MAX_ORDER_NODES / 64;

/// The page before the tables. All zero: nothing recorded, nobody mixed.
#[repr(C)]
pub struct OrderHeader {
    /// Counts what may change an answer: edges that were new, versions that mix or no longer do. Who
    /// has looked something up looks again when this has changed.
    pub generation: AtomicU64,
    /// Tables of the two versions that are mixed, each plus one: of the one that the update comes from
    /// in the low half, of the one that it goes to in the high half. 0 while one version runs.
    pub mixed: AtomicU64,
    /// Number of the version that the update goes to, while two are mixed.
    pub target: AtomicU32,
}

/// The edges of one code. Bits are only ever set, by its workers, so a table is never torn and
/// survives whoever dies. All zero: none.
#[repr(C)]
pub struct OrderTable {
    /// Bit b of row a: b was wanted while a was held; on the diagonal: a later member of the family
    /// while an earlier one was held.
    pub after: [[AtomicU64; ORDER_ROW_WORDS]; MAX_ORDER_NODES],
    /// Bit a: an earlier member of a while a later one was held.
    pub descending: [AtomicU64; ORDER_ROW_WORDS],
}

const _: () = assert!(size_of::<OrderHeader>() <= ORDER_STRIDE);
const _: () = assert!(size_of::<OrderTable>() <= ORDER_STRIDE);

impl OrderHeader {
    /// The header. The control region must be mapped.
    pub fn get() -> &'static OrderHeader {
        // SAFETY: a worker or supervisor maps the control region before it asks for a guard or a
        // table, and never unmaps it; the header is made of atomics that are valid when zero.
        unsafe { &*((CONTROL_ADDR + ORDER_OFFSET) as *const OrderHeader) }
    }
}

impl OrderTable {
    /// Where a table is in the control region, in bytes; `None` beyond the last.
    pub fn offset(table: u32) -> Option<usize> {
        let table = table as usize;
        (table < MAX_ORDER_TABLES).then_some(ORDER_OFFSET + (1 + table) * ORDER_STRIDE)
    }

    /// A table; `None` beyond the last. The control region must be mapped.
    pub fn at(table: u32) -> Option<&'static OrderTable> {
        let offset = Self::offset(table)?;
        // SAFETY: as for the header; the offset is inside the region.
        Some(unsafe { &*((CONTROL_ADDR + offset) as *const OrderTable) })
    }
}
