//! What every copy of the runtime in every process agrees on: addresses, byte maps, call tables.
//!
//! A worker holds several copies of this crate, one in the host executable and one in each version.
//! They share no statics; they meet only in the structures of this room, all `repr(C)`, and in the
//! shared regions. A change here is a change of `RUNTIME_ABI`.
#![allow(unsafe_code)] // the one place that turns fixed addresses into references

mod calls;
mod context;
mod filling;
mod fleet;
mod header;
mod held;
mod layout;
mod order;
mod registration;
mod representation;
mod schema;
mod slot;

pub use calls::{
    Conversion, ConversionStatus, ConvertFn, Converter, Directive, DropFn, ErrorText, HostCalls,
    LibraryCalls, NoticeUse, Parked, ReportKind, RunArguments, RunOutcome, Sink, TwinFn, TwinTask,
    VisitFn, WatchChange,
};
pub use context::{NodeUse, OpenBorrow, WorkerContext};
pub use filling::FillingWord;
pub use fleet::{FleetState, FleetWord};
pub use header::{CONTAINER_ABI, HEADER_SECTION, LibraryHeader, RUNTIME_ABI, fixed_text};
pub use held::Held;
pub use layout::*;
pub use order::{Node, ORDER_ROW_WORDS, OrderHeader, OrderTable};
pub use registration::{
    CarryCalls, CarryLensRegistration, ForbidCell, FunctionRegistration, FunctionSignature,
    GuardCell, GuardRegistration, ItemCalls, LensDirections, LensLoss, LensLosses, LensPolicy,
    LossKind, MovedItem, PrepareCalls, PrepareFn, PrepareStatus, PrivateStaticRegistration,
    RegroupedItems, RemovedRegistration, RewriteFn, RunFn, TWIN_NAME, TagCell,
    TransformerRegistration, TwinRegistration, TypeRegistration, UpdatePointRegistration,
    VersionRegistration, WorkerRegistration,
};
pub use representation::{MAX_CONVERTERS, Representation};
pub use schema::{FieldSchema, TypeKind, TypeSchema, VariantSchema};
pub use slot::{SlotState, WorkerRecord};
