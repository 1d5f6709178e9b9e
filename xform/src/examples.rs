//! Two older systems' examples, and where they are here.
//!
//! # Kitsune
//!
//! Hayden, Saur, Smith, Hicks and Foster, *Kitsune: Efficient, General-Purpose Dynamic Software Updating for C* (TOPLAS 2014):
//! the exercises of its tutorial and the folders of its tests that have transformers. Each is a test in `tests/kitsune.rs`,
//! which goes back as well, or is needless for the reason given.
//!
//! | example | asks for | here |
//! |---|---|---|
//! | tutorial 5.1, `initialize` | a first value for what is new | `add = value`, `add = \|old\| …` |
//! | tutorial 5.2, `rename` | another name, another scope | `rename = old` |
//! | tutorial 5.3, `annotations` | types for `void *` | type parameters; nothing to write |
//! | tutorial 5.4, `newfield` | a field more in each node of a tree | `each(btree_map)` over a lens with `add` |
//! | `prestartxform`, `simplexf`, `autoxf` | a new value computed from the old | `exact(f, g)`, `convert(f, g)` |
//! | `swapvars` | variables that exchange names | `rename`, in a circle |
//! | `automigrate`, `globalreg` | what is unchanged, without a word; one that starts anew | matching by name; `drop(x)` and `add` |
//! | `cast` | nothing: a constant is no state | matching by name |
//! | `alloctrack-autoxf` | a field more in each element, and a pointer into the array | `each(align = position)`; the pointer is an index |
//! | `autoarray` | a longer array | `identity` beside `add` |
//! | `generics` | containers of anything | type parameters |
//! | `shallow` | a type that is held by value and by pointer | `nested`, `each(option)` |
//! | `union` | which member is live | an enum: the variant says so |
//! | `staticxf` | pointers to functions and to globals | needless: a shared type holds no address, which its derive refuses; what is to be named is kept by name |
//!
//! `shallow` and `generics` also hold a type in itself by pointer. Here that is a box with a representation of its own, and a
//! lens ends at a box: whoever owns the boxes takes each of them over when it is next used.
//!
//! # Cambria
//!
//! Litt, van Hardenberg and Henry, *Project Cambria* (Ink & Switch, 2020): a closed list of ten operations on documents.
//! Each is a test in `tests/cambria.rs`.
//!
//! | operation | here |
//! |---|---|
//! | `add` | `#[lens(add = value)]`, [`add`](crate::add()) |
//! | `remove` | `#[lens(drop(field = value))]`, [`drop`](crate::drop()) |
//! | `rename` | `#[lens(rename = field)]` |
//! | `hoist` | `#[lens(hoist(host { a, b } => host { b }, a))]` |
//! | `plunge` | `#[lens(plunge(host { b }, a => host { a, b }))]` |
//! | `wrap` | `#[lens(wrap)]`, [`wrap`](crate::wrap()) |
//! | `head` | `#[lens(unwrap)]`, [`inverse`](crate::inverse()) of [`wrap`](crate::wrap()) |
//! | `in` | `#[lens(nested)]`, `#[lens(with = Lens)]` |
//! | `map` | `#[lens(each(…))]`, [`each`](crate::each) |
//! | `convert` | `#[lens(convert(f, g))]`, [`convert`](crate::convert()) |
