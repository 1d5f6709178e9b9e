//! What becomes of each field: what is obvious as attributes of `#[derive(xform::Lens)]`, the rest as
//! questions. Decides; writes no types.
//!
//! What a new field is in an old value is written only where *nothing* has a form of its own: an empty
//! container, an empty text, `None`. A zero may be a value like any other: a deadline of 0 would have
//! ended every key of the sample. So numbers are asked about.

use super::super::similar::nearest;
use super::names::{Realm, Scope};
use super::text::ident;
use crate::abi::{FieldSchema, TypeKind, TypeSchema};
use std::cmp::Reverse;

/// What becomes of one field of the newer side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// Moved as it is.
    Same,
    /// By this attribute.
    By(String),
    /// The author has to say.
    Ask(String),
}

/// All fields of a pair of structs, or of variants.
pub struct Fates {
    /// In the order of the newer fields.
    pub newer: Vec<Fate>,
    /// Older fields that are gone: options of the type.
    pub drops: Vec<String>,
    /// What the author has to say of older fields.
    pub questions: Vec<String>,
}

/// What is compared, as sentences name it.
pub struct Place<'a> {
    /// The type, or the variant: `Entry`, `Value::Text`.
    pub name: &'a str,
    /// Where options of the type go; `None` in a variant, which has none.
    pub options: Option<&'a str>,
}

/// How the lens of a pair of named types is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Making {
    /// By the derive.
    Derived,
    /// By `variant!`, or by hand.
    Other,
}

pub fn making(left: &TypeSchema, right: &TypeSchema) -> Making {
    match (&left.kind, &right.kind) {
        (TypeKind::Struct(_), TypeKind::Struct(_))
        | (TypeKind::Enum { .. }, TypeKind::Enum { .. }) => Making::Derived,
        _ => Making::Other,
    }
}

/// What becomes of the fields of `before` in `after`.
pub fn fates(before: &[FieldSchema], after: &[FieldSchema], place: &Place, scope: &Scope) -> Fates {
    let gone: Vec<&FieldSchema> = before
        .iter()
        .filter(|f| !after.iter().any(|g| g.name == f.name))
        .collect();
    let fresh: Vec<&FieldSchema> = after
        .iter()
        .filter(|f| !before.iter().any(|g| g.name == f.name))
        .collect();
    let renames = renames(&gone, &fresh);
    let mut fates = Fates {
        newer: Vec::new(),
        drops: Vec::new(),
        questions: Vec::new(),
    };
    for field in after {
        let fate = match before.iter().find(|f| f.name == field.name) {
            Some(was) => changed(&was.ty, field, place, scope),
            None => {
                let was = renames.iter().find(|(_, to)| to.name == field.name);
                let was = was.map(|(from, _)| *from);
                added(field, was, (&gone, &fresh), place, scope)
            }
        };
        fates.newer.push(fate);
    }
    for field in gone {
        if renames.iter().any(|(from, _)| from.name == field.name) {
            // The question stands beside the field that it may have become.
            continue;
        }
        let name = ident(&field.name);
        match (place.options, is_nothing(&field.ty, scope.realm)) {
            (Some(_), true) => fates.drops.push(format!("drop({name})")),
            _ => fates.questions.push(dropped(field, &fresh, place, scope)),
        }
    }
    fates
}

/// Which field may have become which: the same type, the nearest name, else the nearest place.
fn renames<'a>(
    gone: &[&'a FieldSchema],
    fresh: &[&'a FieldSchema],
) -> Vec<(&'a FieldSchema, &'a FieldSchema)> {
    let mut pairs = Vec::new();
    for (from_at, from) in gone.iter().enumerate() {
        for (to_at, to) in fresh.iter().enumerate().filter(|(_, to)| to.ty == from.ty) {
            let is_near = nearest(&from.name, [to.name.as_str()]).is_some()
                || to.name.contains(&from.name)
                || from.name.contains(&to.name);
            pairs.push((Reverse(is_near), from_at.abs_diff(to_at), from_at, to_at));
        }
    }
    pairs.sort();
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (_, _, from, to) in pairs {
        if !found.iter().any(|(a, b)| *a == from || *b == to) {
            found.push((from, to));
        }
    }
    found
        .into_iter()
        .map(|(a, b)| (gone[a], fresh[b]))
        .collect()
}

/// Whether the default of the type is nothing at all.
fn is_nothing(schema: &TypeSchema, realm: Realm) -> bool {
    const SHARED: &[&str] = &[
        "Option",
        "SharedString",
        "SharedBytes",
        "SharedVec",
        "SharedMap",
        "SharedOrderedMap",
        "SharedDeque",
    ];
    const CARRIED: &[&str] = &[
        "Option", "String", "Vec", "VecDeque", "BTreeSet", "BTreeMap", "HashMap", "HashSet",
    ];
    let base = schema.name.split('<').next().unwrap_or_default();
    let is_plain = matches!(schema.kind, TypeKind::Leaf | TypeKind::Container(_));
    is_plain
        && match realm {
            Realm::Shared => SHARED.contains(&base),
            Realm::Carried => CARRIED.contains(&base),
        }
}

/// What `add` and `drop` alone would make of it.
fn default_of(schema: &TypeSchema) -> &'static str {
    match schema.name.as_str() {
        "bool" => "false",
        "f32" | "f64" => "0.0",
        name if bits(name).is_some() => "0",
        _ => "its Default",
    }
}

fn added(
    field: &FieldSchema,
    was: Option<&FieldSchema>,
    (gone, fresh): (&[&FieldSchema], &[&FieldSchema]),
    place: &Place,
    scope: &Scope,
) -> Fate {
    let (older, newer) = (&scope.versions.0, &scope.versions.1);
    let (name, on, ty) = (&field.name, place.name, scope.say(&field.ty));
    if let Some(was) = was {
        let was = &was.name;
        let otherwise = match place.options {
            Some(options) => {
                format!("add = VALUE here, and drop({was} = VALUE) to #[lens(from …)] of {options}")
            }
            None => "keep both until the lens is written by hand".to_owned(),
        };
        return Fate::Ask(format!(
            "{on} of {older} has {was}: {ty}, and {on} of {newer} has {name}: {ty}. If {was} became {name}, write rename = {was} in place of this compile_error!. If it did not, write {otherwise}"
        ));
    }
    if is_nothing(&field.ty, scope.realm) {
        return Fate::By("add".to_owned());
    }
    let mut ask = format!(
        "{name}: {ty} is new in {on} of {newer}. Say what it is in a value that {older} made: add for {}, add = VALUE",
        default_of(&field.ty)
    );
    if place.options.is_some() {
        ask.push_str(", or add = |old| VALUE to compute it");
    }
    if let Some(holder) = holder(field, gone, fresh, scope) {
        ask.push_str(&holder);
    }
    Fate::Ask(ask)
}

/// A struct beside a new field, from which the field may have been taken out.
fn holder(
    field: &FieldSchema,
    gone: &[&FieldSchema],
    fresh: &[&FieldSchema],
    scope: &Scope,
) -> Option<String> {
    for (key, next) in &scope.frozen {
        let (TypeKind::Struct(before), Some(TypeKind::Struct(after))) = (
            &scope.before.by_key[key].kind,
            next.as_ref().map(|next| &scope.after.by_key[next].kind),
        ) else {
            continue;
        };
        let had = before
            .iter()
            .any(|f| f.name == field.name && f.ty == field.ty);
        if had && !after.iter().any(|f| f.name == field.name) {
            return Some(format!(
                ". {key} of {} had it: if it moved out of there, write hoist(FIELD {{ all fields }} => FIELD {{ those left }}, {}) on the type",
                scope.versions.0, field.name
            ));
        }
    }
    match (gone, fresh.len()) {
        ([one], 2..) => Some(format!(
            ". If {} was split, write split({} => ({}), f, g) on the type",
            one.name,
            one.name,
            fresh
                .iter()
                .map(|f| f.name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        )),
        _ => None,
    }
}

fn dropped(field: &FieldSchema, fresh: &[&FieldSchema], place: &Place, scope: &Scope) -> String {
    let (older, newer) = (&scope.versions.0, &scope.versions.1);
    let (name, on, ty) = (&field.name, place.name, scope.say(&field.ty));
    if place.options.is_none() {
        return format!(
            "{on} of {older} has {name}: {ty}, and {on} of {newer} does not: a variant cannot say what becomes of it. Keep the field, or implement xform::Lens by hand"
        );
    }
    let mut ask = format!(
        "{name}: {ty} of {on} of {older} is gone in {newer}. Say what {older} reads in a value that {newer} made: drop({name}) for {}, or drop({name} = VALUE)",
        default_of(&field.ty)
    );
    if let [one] = fresh {
        ask.push_str(&format!(
            ". If it went into {}, write merge(({name}, …) => {}, f, g)",
            one.name, one.name
        ));
    }
    ask
}

/// A field of one name whose type is another.
fn changed(was: &TypeSchema, field: &FieldSchema, place: &Place, scope: &Scope) -> Fate {
    let is = &field.ty;
    // A box is the same box, whatever becomes of its content; unless that has another name.
    if was == is {
        return Fate::Same;
    }
    if let Some(option) = obvious(was, is, scope) {
        return Fate::By(option);
    }
    let (older, newer) = (&scope.versions.0, &scope.versions.1);
    let (name, on) = (&field.name, place.name);
    let (from, to) = (scope.say(was), scope.say(is));
    let what = format!("{name} is {from} in {on} of {older} and {to} in {on} of {newer}");
    let ask = match (wraps(was, is), wraps(is, was)) {
        (true, _) => format!(
            "{what}. Say what {older} reads where there is none: wrap = VALUE; or wrap, and {older} cannot read such a value at all"
        ),
        (_, true) => format!(
            "{what}. Say what {newer} reads where there was none: unwrap = VALUE; or unwrap, and such a value cannot cross"
        ),
        _ if from == to => format!(
            "{what}: each element lies in place, and its type changes. Say how all are converted: convert(f, g), both of which borrow; in a Vec of a carry each(key: TYPE = FUNCTION) or each(align = position) do as well"
        ),
        _ => format!(
            "{what}. Say how one is made of the other: convert(|old| …, |new| …), both of which borrow; with = LENS; or one_way(|old| …) if there is no way back"
        ),
    };
    Fate::Ask(ask)
}

/// The lens between two numbers, of which one is wider.
pub fn obvious_lens(was: &TypeSchema, is: &TypeSchema) -> Option<String> {
    let are_leaves = matches!((&was.kind, &is.kind), (TypeKind::Leaf, TypeKind::Leaf));
    let is_obvious = are_leaves && is_wider(&was.name, &is.name);
    is_obvious.then(|| format!("xform::Widen<{}, {}>", was.name, is.name))
}

/// What holds boxes and can be given another type of content in O(1).
const REBINDING: [&str; 5] = [
    "SharedVec",
    "SharedDeque",
    "SharedMap",
    "SharedOrderedMap",
    "Guarded",
];

/// What needs nobody's decision.
fn obvious(was: &TypeSchema, is: &TypeSchema, scope: &Scope) -> Option<String> {
    if let Some(lens) = obvious_lens(was, is) {
        return Some(format!("with = {lens}"));
    }
    let is_pair = |left: &TypeSchema, right: &TypeSchema| {
        let next = scope.frozen.get(&scope.before.key(left)).cloned().flatten();
        next.is_some_and(|next| next == scope.after.key(right))
    };
    match (&was.kind, &is.kind) {
        (
            TypeKind::Struct(_) | TypeKind::Enum { .. },
            TypeKind::Struct(_) | TypeKind::Enum { .. },
        ) if is_pair(was, is) => Some(match making(was, is) {
            Making::Derived => "nested".to_owned(),
            Making::Other => format!("with = {}", super::lenses::name(is, scope)),
        }),
        (TypeKind::Versioned(left), TypeKind::Versioned(right)) => {
            let next = scope.frozen.get(left)?.as_ref()?;
            (next == right).then(|| rebound(was, is, scope))
        }
        (TypeKind::Container(left), TypeKind::Container(right)) => {
            let base = |schema: &TypeSchema| schema.name.split('<').next().map(str::to_owned);
            if base(was) != base(is) || left.len() != right.len() {
                return None;
            }
            let (last_left, last_right) = (left.last()?, right.last()?);
            let keys = left.len() - 1;
            if left[..keys] != right[..keys] {
                return None;
            }
            match (&last_left.kind, &last_right.kind) {
                (TypeKind::Versioned(a), TypeKind::Versioned(b)) => {
                    let next = scope.frozen.get(a)?.as_ref()?;
                    let can = REBINDING.contains(&base(was)?.as_str());
                    (next == b && can).then(|| rebound(was, is, scope))
                }
                _ if !is_pair(last_left, last_right) => None,
                _ => {
                    let how = match base(was)?.as_str() {
                        "Option" => "option",
                        "BTreeMap" => "btree_map",
                        "HashMap" => "hash_map",
                        _ => return None,
                    };
                    Some(match making(last_left, last_right) {
                        Making::Derived => format!("each({how})"),
                        Making::Other => {
                            let lens = super::lenses::name(last_right, scope);
                            format!("each({how}, with = {lens})")
                        }
                    })
                }
            }
        }
        _ => None,
    }
}

/// Boxes know their form by themselves, so that what holds them is given the other type in O(1) (R5).
fn rebound(was: &TypeSchema, is: &TypeSchema, scope: &Scope) -> String {
    let (left, right) = (scope.spell_older(was), scope.spell_newer(is));
    format!("exact(|old: {left}| Ok(old.rebind()), |new: {right}| Ok(new.rebind()))")
}

/// Whether `outer` is an option or a sequence of `inner`.
fn wraps(inner: &TypeSchema, outer: &TypeSchema) -> bool {
    let base = outer.name.split('<').next().unwrap_or_default();
    let is_option = outer.name == format!("Option<{}>", inner.name);
    let holds = match &outer.kind {
        TypeKind::Container(arguments) => arguments.len() == 1 && arguments[0] == *inner,
        _ => false,
    };
    is_option || (holds && matches!(base, "Option" | "Vec" | "VecDeque"))
}

/// Bits of an integer, signed ones as negative numbers.
fn bits(name: &str) -> Option<i32> {
    let (sign, digits) = match name.split_at_checked(1)? {
        ("u", digits) => (1, digits),
        ("i", digits) => (-1, digits),
        _ => return None,
    };
    let bits = match digits {
        "size" => 64,
        digits => digits.parse().ok()?,
    };
    Some(sign * bits)
}

/// Whether the language converts every `from` into a `to`.
fn is_wider(from: &str, to: &str) -> bool {
    // Only what is sure on every machine is `From`: 16 bits.
    if to.ends_with("size") {
        return matches!(
            (from, to),
            ("u8" | "u16", "usize") | ("u8" | "i8" | "i16", "isize")
        );
    }
    if from.ends_with("size") {
        return false;
    }
    match (bits(from), bits(to)) {
        (Some(from @ 1..), Some(to @ 1..)) => from < to,
        (Some(from @ 1..), Some(to)) => from < -to,
        (Some(from), Some(to @ ..=-1)) => from > to,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What `From` has, and no more.
    #[test]
    fn numbers_widen_where_every_value_fits() {
        for (from, to) in [
            ("u8", "u16"),
            ("u32", "u64"),
            ("u32", "i64"),
            ("i8", "i128"),
            ("u16", "usize"),
        ] {
            assert!(is_wider(from, to), "{from} {to}");
        }
        for (from, to) in [
            ("u64", "u32"),
            ("u64", "u64"),
            ("i32", "u64"),
            ("u32", "i32"),
            ("u32", "usize"),
            ("usize", "u128"),
            ("f32", "f64"),
            ("bool", "u8"),
        ] {
            assert!(!is_wider(from, to), "{from} {to}");
        }
    }
}
