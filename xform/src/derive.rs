//! `#[derive(Lens)]`: a lens to a type from the one that it replaces.
//!
//! ```
//! mod old {
//!     #[derive(xform::Lens)]
//!     pub struct Stats { pub commands: u64, pub get_hits: u64, pub motd: String }
//! }
//!
//! #[derive(xform::Lens)]
//! #[lens(from = old::Stats, drop(motd))]
//! pub struct Stats {
//!     pub commands: u64,
//!     #[lens(rename = get_hits)]
//!     pub hits: u64,
//!     #[lens(add = |old| old.commands)]
//!     pub commands_at_update: u64,
//! }
//!
//! use xform::Lens;
//! let old = old::Stats { commands: 7, get_hits: 3, motd: "hello".into() };
//! let (new, kept) = StatsLens.forward(old, None)?;
//! assert_eq!((new.commands, new.hits, new.commands_at_update), (7, 3, 7));
//! assert_eq!(StatsLens.backward(new, Some(kept))?.0.motd, "hello");
//! # Ok::<(), xform::LensError>(())
//! ```
//!
//! Both types derive it; the older one needs no attribute. `StatsLens`, or what `name = …` says, is as visible as the type, and
//! `Stats` becomes the [`Successor`](crate::Successor) of `old::Stats`. Fields are matched by name and moved as they are;
//! one that is left over on either side, or has another type, does not compile, and the error shows both types and what to
//! add. Expressions may use `?` on a [`LensError`](crate::LensError), except where they are computed from siblings.
//!
//! The older type is named by a path through its own module, under its own name. A type that holds itself needs a box
//! between, which has its own complement: the complement of a lens is a plain type, and cannot hold itself either.
//!
//! In the place of any attribute, `compile_error!("…")` marks a decision that is still open: of a type that has some, the
//! compiler says nothing else. `dsu xfgen` writes them.
//!
//! # On a field
//!
//! | attribute | effect |
//! |---|---|
//! | `rename = old` | was called that; in tuple structs, had that number |
//! | `add`, `add = value`, <code>add = &#124;old&#124; value</code> | is new: `Default`, a value, or computed from a borrow of the older struct |
//! | <code>derived = &#124;a, b&#124; value</code> | computed at every crossing from borrows of the fields so named, never kept (R9) |
//! | `nested` | through the lens that its own type derives |
//! | `with = LensType` | through that lens, made by `Default` |
//! | `convert(f, g)` | by functions from borrows, with a residual (R7) |
//! | `exact(f, g)` | by functions that undo each other; nothing is kept |
//! | `one_way(f)` | by a function without a way back; the lens then goes forward only, and says so in its type (R14) |
//! | `each(option)`, `each(btree_map)`, `each(hash_map)` | what is in it, through `nested`; or `each(option, with = LensType)` and so on |
//! | `each(key: u16 = f)` | each element of a sequence, recognised by a key computed on both sides (R8) |
//! | `each(align = position)` | the same, by its index (R8) |
//! | `wrap`, `wrap = stand_in` | into an option or a sequence; the stand-in is what the older side sees of an empty one |
//! | `unwrap`, `unwrap = stand_in` | out of one |
//! | `reset_when_written = "field"` | what is kept of this one ends when the other side writes that one (R7) |
//!
//! # On the type
//!
//! | attribute | effect |
//! |---|---|
//! | `from = path` | the type that it replaces |
//! | `to = path` | the newer type, which stands elsewhere: what derives it describes that one, field by field, and is nothing else |
//! | `name = Ident` | what the lens is called |
//! | `drop(f)`, `drop(f = value)`, <code>drop(f = &#124;new&#124; value)</code> | the older field `f` is gone; what it is in a value that never had it |
//! | <code>derived(f = &#124;a, b&#124; value)</code> | the older field `f` is computed from its siblings |
//! | `split(a => (b, c), f, g)` | one older field becomes several; or `split(a => (b, c), with = LensType)` |
//! | `merge((a, b) => c, f, g)` | several become one |
//! | `hoist(h { a, b } => h { b }, a)` | out of a nested struct |
//! | `plunge(h { b }, a => h { a, b })` | into one |
//!
//! # On an enum
//!
//! | attribute | effect |
//! |---|---|
//! | on a variant: `rename = Old` | was called that |
//! | on a variant: `add` | is new |
//! | on a variant: `merge(A, B)` | both older ones become it; which it was comes back unless it is edited (R7) |
//! | `drop(A)`, `drop(A = value)`, <code>drop(A = &#124;old&#124; value)</code> | the older variant is gone: it cannot cross, or a stand-in does while it waits |
//! | `unrepresentable = foreign`, `placeholder(f)`, `forbid` | what becomes of the new variants on the older side (R12) |
//!
//! The fields of variants take the attributes of fields.
