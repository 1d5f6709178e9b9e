//! Where everything is mapped. Byte maps are drawn in `DESIGN.md`; these are the numbers.

/// Worker slots in the control region; some are reserved for recovery and rehearsal.
pub const MAX_WORKERS: usize = 128;
/// Slots that `--workers` may use.
pub const MAX_SERVING_WORKERS: usize = 112;
/// Guard slots, static guards and run-time objects together.
pub const MAX_GUARDS: usize = 1 << 20;
/// Of these the first are for static guards.
pub const MAX_STATIC_GUARDS: usize = 1 << 18;
/// The others are for objects made at run time.
pub const MAX_OBJECTS: usize = MAX_GUARDS - MAX_STATIC_GUARDS;

/// The private worker context: two pages for the core, the rest for the allocator.
pub const CONTEXT_ADDR: usize = 0x0f00_0000_0000;
/// Bytes mapped at [`CONTEXT_ADDR`].
pub const CONTEXT_SIZE: usize = 1 << 20;
/// Where the allocator keeps its part of the worker context.
pub const HEAP_CONTEXT_ADDR: usize = CONTEXT_ADDR + 0x2000;

/// The private table of representations, indexed by tag.
pub const REPRESENTATIONS_ADDR: usize = 0x0f10_0000_0000;
/// Bytes of one entry of that table.
pub const REPRESENTATION_STRIDE: usize = 512;

/// The control region.
pub const CONTROL_ADDR: usize = 0x1000_0000_0000;
/// Bytes of addresses for the control region (sparse).
pub const CONTROL_SIZE: usize = 32 << 30;
/// Offset of the word that says which versions workers may run: a cache line of its own.
pub const FLEET_OFFSET: usize = 0x40;
/// Offset of the word that says which filling may go on: a cache line of its own.
pub const FILLING_OFFSET: usize = 0x80;
/// Offset of the worker records, one page each.
pub const WORKERS_OFFSET: usize = 0x1_0000;
/// Bytes of one worker record.
pub const WORKER_STRIDE: usize = 4096;
/// Offset of the record of the object slots: one page, then a bit for each slot that is taken.
pub const OBJECTS_OFFSET: usize = WORKERS_OFFSET + MAX_WORKERS * WORKER_STRIDE;
/// Bytes of that record.
pub const OBJECTS_SIZE: usize = 4096 + MAX_OBJECTS / 8;
/// Offset of the guard slots.
pub const GUARDS_OFFSET: usize = 0x1000_0000;
/// Bytes of one guard slot: a cache line.
pub const GUARD_STRIDE: usize = 64;
/// Offset of the records of walks over shared nodes, one a guard slot (`heap::rc`).
pub const WALKS_OFFSET: usize = 0x1800_0000;
/// Bytes of one such record.
pub const WALK_STRIDE: usize = 32;
/// Offset of the live counts: per worker and representation, one `i64` for boxes and one for complements.
pub const LIVE_OFFSET: usize = 0x2000_0000;
/// Where in a worker's row those of complements begin.
pub const LIVE_OF_COMPLEMENTS: usize = 65536 * 8;
/// Bytes of one worker's row of live counts.
pub const LIVE_STRIDE: usize = 2 * LIVE_OF_COMPLEMENTS;
/// Offset of the superblock states, one `u64` each.
pub const SUPERBLOCK_STATE_OFFSET: usize = 0x4000_0000;
/// Offset of the superblock metadata.
pub const SUPERBLOCK_META_OFFSET: usize = 0x8000_0000;
/// Bytes of the metadata of one superblock.
pub const SUPERBLOCK_META_STRIDE: usize = 1088;
/// Offset of the pending lines: which superblocks have blocks that others freed.
pub const PENDING_OFFSET: usize = 0x6_0000_0000;
/// Bytes of addresses for the pending lines.
pub const PENDING_SIZE: usize = 0x1_0000_0000;
/// Offset of the allocator's records of worker slots.
pub const HEAP_SLOTS_OFFSET: usize = 0x7_0000_0000;
/// Bytes of one such record.
pub const HEAP_SLOT_STRIDE: usize = 8192;
/// Offset of the allocator's records of roots and heap, one each.
pub const HEAP_REALMS_OFFSET: usize = HEAP_SLOTS_OFFSET + MAX_WORKERS * HEAP_SLOT_STRIDE;
/// Bytes of one such record.
pub const HEAP_REALM_STRIDE: usize = 4096;

/// Offset of what is recorded of the order of locks (R16): a page for the header, then the tables.
pub const ORDER_OFFSET: usize = 0x7_4000_0000;
/// Bytes of the header and of each table: a page.
pub const ORDER_STRIDE: usize = 4096;
/// Tables, one for each code that ever ran; what comes later is not recorded.
pub const MAX_ORDER_TABLES: usize = 16_384;
/// Declarations of guards that a table tells apart; those that come later are not recorded.
pub const MAX_ORDER_NODES: usize = 128;

/// Offset of what workers have in their open conversions, one ledger each (sparse).
pub const LEDGER_OFFSET: usize = 0x7_8000_0000;
/// Bytes of addresses for one ledger: half for each of its lists.
pub const LEDGER_STRIDE: usize = 8 << 20;

/// Bytes of a superblock, the unit in which addresses are given out.
pub const SUPERBLOCK_SIZE: usize = 64 << 10;
/// The roots region: item tuples of guards, on pages of their own.
pub const ROOTS_ADDR: usize = 0x1ffc_0000_0000;
/// Bytes of addresses for roots; the heap follows without a gap, so one index names both.
pub const ROOTS_SIZE: usize = 0x4_0000_0000;
/// The shared heap.
pub const HEAP_ADDR: usize = ROOTS_ADDR + ROOTS_SIZE;
/// Bytes of addresses reserved for the heap, whatever `--heap` allows.
pub const HEAP_SIZE: usize = 1 << 40;
/// Superblocks in roots and heap.
pub const SUPERBLOCKS: usize = (ROOTS_SIZE + HEAP_SIZE) / SUPERBLOCK_SIZE;

/// Always shared second mapping of roots and heap.
pub const ALIAS_ADDR: usize = 0x4000_0000_0000;

const _: () = assert!(HEAP_ADDR == 0x2000_0000_0000);
const _: () = assert!(OBJECTS_OFFSET + OBJECTS_SIZE <= GUARDS_OFFSET);
const _: () = assert!(GUARDS_OFFSET + MAX_GUARDS * GUARD_STRIDE <= WALKS_OFFSET);
const _: () = assert!(WALKS_OFFSET + MAX_GUARDS * WALK_STRIDE <= LIVE_OFFSET);
const _: () = assert!(LIVE_OFFSET + MAX_WORKERS * LIVE_STRIDE <= SUPERBLOCK_STATE_OFFSET);
const _: () = assert!(SUPERBLOCK_STATE_OFFSET + SUPERBLOCKS * 8 <= SUPERBLOCK_META_OFFSET);
const _: () =
    assert!(SUPERBLOCK_META_OFFSET + SUPERBLOCKS * SUPERBLOCK_META_STRIDE <= PENDING_OFFSET);
const _: () = assert!(PENDING_OFFSET + PENDING_SIZE <= HEAP_SLOTS_OFFSET);
const _: () = assert!(HEAP_REALMS_OFFSET + 2 * HEAP_REALM_STRIDE <= ORDER_OFFSET);
const _: () = assert!(ORDER_OFFSET + (1 + MAX_ORDER_TABLES) * ORDER_STRIDE <= LEDGER_OFFSET);
const _: () = assert!(LEDGER_OFFSET + MAX_WORKERS * LEDGER_STRIDE <= CONTROL_SIZE);
