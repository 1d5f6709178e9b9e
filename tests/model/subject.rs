//! One face for the shipped lock and for its mutants, which are the same source in other modules.

use crate::platform::{AtomicU32, Nanos};
use std::time::Duration;

/// A worker's half of a call: its slot, its `busy` word, and where the cell is in the table.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    pub slot: u32,
    pub busy: &'a AtomicU32,
    pub at: u32,
    pub odd: bool,
}

/// The operations of a lock under test.
pub trait Subject: Send + Sync + Sized + 'static {
    fn free() -> Self;
    fn try_acquire_fast(&self, caller: Caller<'_>) -> bool;
    fn try_acquire(&self, caller: Caller<'_>) -> bool;
    fn acquire_slow(&self, caller: Caller<'_>, deadline: Option<Nanos>) -> bool;
    fn await_turn(&self, caller: Caller<'_>, deadline: Option<Nanos>) -> bool;
    fn release_fast(&self, caller: Caller<'_>) -> bool;
    fn release_slow(&self, caller: Caller<'_>);
    fn transforming(&self, odd: bool);
    fn transformed(&self, odd: bool, cost: Duration);
    fn transform_failed(&self, odd: bool);
    fn owner(&self) -> Option<u32>;
    fn is_at_rest(&self) -> bool;
    fn recover(slot: u32, busy: &AtomicU32, cells: &[Self], abandoned: impl FnMut(u32));
}

/// Implements [`Subject`] for the `LockCell` of a module that holds the lock's source files.
#[macro_export]
macro_rules! subject {
    ($($lock:ident)::+) => {
        impl $crate::subject::Subject for $($lock)::+::word::LockCell {
            fn free() -> Self {
                Self::new()
            }
            fn try_acquire_fast(&self, caller: $crate::subject::Caller<'_>) -> bool {
                self.try_acquire_fast($($lock)::+::party::Name::of_slot(caller.slot))
            }
            fn try_acquire(&self, caller: $crate::subject::Caller<'_>) -> bool {
                use $($lock)::+::party::{Class, Name};
                self.try_acquire(Name::of_slot(caller.slot), Class::of_tag(caller.odd.into()))
            }
            fn acquire_slow(
                &self,
                caller: $crate::subject::Caller<'_>,
                deadline: Option<$crate::platform::Nanos>,
            ) -> bool {
                use $($lock)::+::party::{CellIndex, Class, Name, Seat};
                let seat = Seat { name: Name::of_slot(caller.slot), busy: caller.busy };
                let class = Class::of_tag(caller.odd.into());
                self.acquire_slow(&seat, CellIndex(caller.at), class, deadline).is_ok()
            }
            fn await_turn(
                &self,
                caller: $crate::subject::Caller<'_>,
                deadline: Option<$crate::platform::Nanos>,
            ) -> bool {
                use $($lock)::+::party::{CellIndex, Class, Name, Seat};
                let seat = Seat { name: Name::of_slot(caller.slot), busy: caller.busy };
                let class = Class::of_tag(caller.odd.into());
                self.await_turn(&seat, CellIndex(caller.at), class, deadline).is_ok()
            }
            fn release_fast(&self, caller: $crate::subject::Caller<'_>) -> bool {
                self.release_fast($($lock)::+::party::Name::of_slot(caller.slot))
            }
            fn release_slow(&self, caller: $crate::subject::Caller<'_>) {
                use $($lock)::+::party::{CellIndex, Class, Name, Seat};
                let seat = Seat { name: Name::of_slot(caller.slot), busy: caller.busy };
                self.release_slow(&seat, CellIndex(caller.at), Class::of_tag(caller.odd.into()));
            }
            fn transforming(&self, odd: bool) {
                self.transforming($($lock)::+::party::Class::of_tag(odd.into()));
            }
            fn transformed(&self, odd: bool, cost: std::time::Duration) {
                self.transformed($($lock)::+::party::Class::of_tag(odd.into()), cost);
            }
            fn transform_failed(&self, odd: bool) {
                self.transform_failed($($lock)::+::party::Class::of_tag(odd.into()));
            }
            fn owner(&self) -> Option<u32> {
                self.owner().map(|name| name.slot())
            }
            fn is_at_rest(&self) -> bool {
                self.is_at_rest()
            }
            fn recover(
                slot: u32,
                busy: &$crate::platform::AtomicU32,
                cells: &[Self],
                mut abandoned: impl FnMut(u32),
            ) {
                use $($lock)::+::party::{CellIndex, Name, Seat};
                let seat = Seat { name: Name::of_slot(slot), busy };
                let cells = (0..).map(CellIndex).zip(cells);
                $($lock)::+::recovery::recover(&seat, cells, |at| abandoned(at.0));
            }
        }
    };
}
