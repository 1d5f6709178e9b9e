//! Entry points of the macros; one file holds each expansion.
//!
//! Every path in an expansion goes through `::dsu_runtime`; names that stand beside the application's own tokens
//! begin with two underscores. What can be audited at a glance is emitted;
//! anything cleverer is a generic function or a table that `dsu_runtime::expansion` walks.
//! Unsafe tokens carry the span of the macro, not of the caller: rustc does not lint those, so applications may
//! forbid `unsafe_code`. An expansion never emits `#[allow(unsafe_code)]`, which a forbidden lint refuses.

mod attributes;
mod carry;
mod enums;
mod errors;
mod function;
mod guards;
mod guards_input;
mod lens;
mod private;
mod shared;
mod version;
mod worker;

use proc_macro::TokenStream;

/// Makes a type fit for shared memory.
///
/// Structs, tuple structs, and enums with an explicit `repr(u8)` or another integer. Every field must be
/// `Shared` itself; the error points at the one that is not.
///
/// Containers hold values as `Versioned` boxes unless `#[shared(inline)]` says otherwise (R5); generic types are
/// always inline, since a tag names one type.
///
/// - `#[shared(name = "…")]`: the stable name, where it is not the type's own
/// - `#[shared(meaning = N)]`: a change that the types cannot show (R2)
/// - `#[shared(frozen = N)]`: a frozen copy of version N of the type of this name
/// - `#[shared(inline)]`: no box, no tag of its own
/// - `#[shared(forbid)]`: a lens may forbid to make some values while older workers live (R12), so that
///   `Versioned::new` of it answers `MakeError`
#[proc_macro_derive(Shared, attributes(shared))]
pub fn derive_shared(input: TokenStream) -> TokenStream {
    shared::derive(input.into()).into()
}

/// States the schema of a type that a worker carries from one version to the next (R24).
///
/// The values themselves cross through serde: derive `Serialize` and `Deserialize` beside it.
/// `#[carry(name = "…")]` and `#[carry(meaning = N)]` say what they say for shared types.
#[proc_macro_derive(Carry, attributes(carry, serde))]
pub fn derive_carry(input: TokenStream) -> TokenStream {
    carry::derive(input.into()).into()
}

/// Makes a lens to a type from the one that it replaces, and lets others be made from it.
///
/// `xform` re-exports it beside the trait of this name; its module `derive` documents every attribute.
#[proc_macro_derive(Lens, attributes(lens))]
pub fn derive_lens(input: TokenStream) -> TokenStream {
    lens::derive(input.into()).into()
}

/// What [`Lens`] of the newer type makes the older type's macro call; not for use by hand.
#[doc(hidden)]
#[proc_macro]
pub fn lens_between(input: TokenStream) -> TokenStream {
    lens::between(input.into()).into()
}

/// Declares a lock, or a family of locks, together with the data that it guards.
///
/// ```text
/// #[guards(shard: Shard)]                             static SHARDS: [GuardMutex; 16];
/// #[guards(stats: Stats = Stats::new(), peers: Peers)] static TOTALS: GuardMutex;
/// ```
///
/// An item without an initialiser starts as its `Default`: `hits: u64 = 1`. One may be made of items that are
/// declared before it, also when it is new to a guard that is in use: `sum: u64 = |hits, misses| hits + misses`. `renamed_from = "OLD"` among the items says what the
/// guard was called in the version before (R4). The items become the fields of a struct named after the
/// static (`ShardsItems`, `TotalsItems`), which is what a guard dereferences to.
#[proc_macro_attribute]
pub fn guards(arguments: TokenStream, item: TokenStream) -> TokenStream {
    guards::expand(arguments.into(), item.into()).into()
}

/// Names the function that a worker runs: `fn(&mut Worker, C) -> Step<C>`, where `C` is its carry.
///
/// The first carry is `C::default()`, or what `#[dsu::worker(start = path)]` returns:
/// `fn(&mut Worker) -> Result<C, WorkerError>`. A library has exactly one: a second is refused by the compiler or,
/// from another crate, by the linker (both define the symbol `DSU_EXACTLY_ONE_WORKER`).
#[proc_macro_attribute]
pub fn worker(arguments: TokenStream, item: TokenStream) -> TokenStream {
    worker::expand(arguments.into(), item.into()).into()
}

/// States which application and version a library is: `dsu::version! { app: "kv", version: 2, from: 1 }`.
///
/// Without `from` it is a first version. Emits the header section that the supervisor reads before it loads
/// anything, and the entry symbol `dsu_library`.
///
/// `crates: [engine, codec]` names dependencies whose writable statics are the application's own, to be marked
/// like those of this crate (R4). Crates that use this runtime's macros need not be named.
#[proc_macro]
pub fn version(input: TokenStream) -> TokenStream {
    version::expand(input.into()).into()
}

/// Marks a writable static as private to a worker: it starts anew at every crossing, and that is meant (R4).
///
/// A cache, say, or a counter for the log. An update to a version with writable statics that are not marked is
/// refused. Inside `thread_local!` it goes on each static.
#[proc_macro_attribute]
pub fn private(arguments: TokenStream, item: TokenStream) -> TokenStream {
    private::expand(arguments.into(), item.into()).into()
}

/// Gives a plain function a name by which shared memory can keep it (`SharedFn`).
///
/// The name is the function's own, or what `#[dsu::function(name = "…")]` says: keep the name when the function
/// is renamed, and old and new values mean the same. Each version calls its own function of that name. An update
/// to a version that does not have it, or has it with other types, is refused, unless that version says
/// `removed!("fn NAME")` (R4).
///
/// Beside the function a type of its name is declared, for `SharedFn::of::<name>()`.
#[proc_macro_attribute]
pub fn function(arguments: TokenStream, item: TokenStream) -> TokenStream {
    function::expand(arguments.into(), item.into()).into()
}
