//! What becomes of guards and their items: lenses between items, and questions about those that are
//! gone. Items are the fields of a guard's tuple.

use super::super::compare::fields;
use super::super::manifest::{GuardManifest, Manifest};
use super::super::moves::{Move, moves, successor};
use super::super::similar::nearest;
use super::fields::obvious_lens;
use super::lenses::signature;
use super::names::{Scope, is_tuple};
use super::text::{ident, let_literal, question_item, question_value, statement, type_ident};
use crate::abi::{FieldSchema, TypeKind, TypeSchema};
use std::collections::BTreeSet;
use std::fmt::Write;

/// All that the module says about guards.
#[derive(Default)]
pub struct Written {
    pub text: String,
    /// Older types of items that a lens takes together with others.
    pub taken: BTreeSet<String>,
}

/// What becomes of all guards of `old`.
pub fn guards(old: &Manifest, new: &Manifest, scope: &Scope) -> Written {
    let mut written = Written::default();
    let mut widened = BTreeSet::new();
    let mut by_name: Vec<&GuardManifest> = old.guards.iter().collect();
    by_name.sort_by(|a, b| a.name.cmp(&b.name));
    let moves = moves(&old.guards, &new.guards).0;
    for guard in by_name {
        match successor(guard, &new.guards) {
            Some(next) => {
                let mut pair = Pair {
                    older: guard,
                    newer: next,
                    old,
                    new,
                    scope,
                    moves: &moves,
                    written: &mut written,
                };
                pair.write(&mut widened);
            }
            None => written.text.push_str(&gone_guard(guard, old, new)),
        }
    }
    for moved in &moves {
        let mut pair = Pair {
            older: moved.from,
            newer: moved.to,
            old,
            new,
            scope,
            moves: &moves,
            written: &mut written,
        };
        pair.changed(moved.older, moved.newer, &mut widened);
    }
    written
}

/// Pairs of items of one name, or of which one moved, for who looks for types that took each other's place.
pub fn places<'a>(old: &'a Manifest, new: &'a Manifest) -> Vec<(&'a TypeSchema, &'a TypeSchema)> {
    let pairs = old
        .guards
        .iter()
        .filter_map(|guard| Some((guard, successor(guard, &new.guards)?)));
    let moves = moves(&old.guards, &new.guards).0.into_iter();
    pairs
        .map(|(guard, next)| (&guard.items, &next.items))
        .chain(moves.map(|moved| (&moved.older.ty, &moved.newer.ty)))
        .collect()
}

fn gone_guard(guard: &GuardManifest, old: &Manifest, new: &Manifest) -> String {
    let name = &guard.name;
    if new.removed.contains(name) {
        return format!("\ndsu::removed!(\"{name}\");\n");
    }
    let is_fresh = |g: &&GuardManifest| !old.guards.iter().any(|had| had.name == g.name);
    let fresh = || new.guards.iter().filter(is_fresh);
    let alike = fresh().find(|g| item_names(g) == item_names(guard) && g.family == guard.family);
    let near = alike
        .map(|g| g.name.as_str())
        .or_else(|| nearest(name, fresh().map(|g| g.name.as_str())));
    let become_what = near.unwrap_or("the guard that it became");
    let sentence = format!(
        "guard {name} of {} is not in {}. If it is gone, write dsu::removed!(\"{name}\"); in place of this line. If it was renamed, remove this line and write renamed_from = \"{name}\" into #[guards(…)] of {become_what}",
        old.version, new.version
    );
    format!("\n{}", question_item(&sentence))
}

fn item_names(guard: &GuardManifest) -> Vec<&str> {
    let items = fields(&guard.items).iter();
    items.map(|item| item.name.as_str()).collect()
}

/// A field of an item: the item and the field, by their indices.
type At = (usize, usize);

struct Pair<'a, 's> {
    older: &'a GuardManifest,
    newer: &'a GuardManifest,
    old: &'a Manifest,
    new: &'a Manifest,
    scope: &'s Scope<'a>,
    moves: &'s [Move<'a>],
    written: &'s mut Written,
}

impl Pair<'_, '_> {
    fn write(&mut self, widened: &mut BTreeSet<String>) {
        let (older, newer) = (self.older, self.newer);
        let leaves = |item: &FieldSchema| {
            let mut moves = self.moves.iter();
            moves.any(|m| m.from.name == older.name && m.older.name == item.name)
        };
        let arrives = |item: &FieldSchema| {
            let mut moves = self.moves.iter();
            moves.any(|m| m.to.name == newer.name && m.newer.name == item.name)
        };
        let stay = |items: &[FieldSchema], goes: &dyn Fn(&FieldSchema) -> bool| -> Vec<_> {
            items.iter().filter(|item| !goes(item)).cloned().collect()
        };
        let (before, after) = (
            stay(fields(&older.items), &leaves),
            stay(fields(&newer.items), &arrives),
        );
        let (before, after) = (&before[..], &after[..]);
        if self.older.family != self.newer.family {
            let size = |family: Option<u32>| {
                family.map_or("no family".to_owned(), |count| format!("{count} members"))
            };
            self.ask(&format!(
                "guard {} has {} in {} and {} in {}: a family keeps its number. Keep it, or declare a family of another name",
                self.newer.name,
                size(self.older.family),
                self.old.version,
                size(self.newer.family),
                self.new.version
            ));
        }
        let regrouped = self.regrouped(before, after);
        for item in before {
            let is_regrouped = regrouped.0.contains(&item.name);
            match after.iter().find(|next| next.name == item.name) {
                _ if is_regrouped => {}
                Some(next) => self.changed(item, next, widened),
                None => self.gone(item, before, after, &regrouped.1),
            }
        }
    }

    fn ask(&mut self, sentence: &str) {
        let _ = write!(self.written.text, "\n{}", question_item(sentence));
    }

    /// An item whose type is another. Named types have their lens elsewhere.
    fn changed(&mut self, item: &FieldSchema, next: &FieldSchema, widened: &mut BTreeSet<String>) {
        if item.ty == next.ty {
            return;
        }
        let key = self.scope.before.key(&item.ty);
        let has_lens = self.scope.frozen.get(&key).cloned().flatten();
        if has_lens.is_some_and(|to| to == self.scope.after.key(&next.ty)) {
            return;
        }
        if let Some(lens) = obvious_lens(&item.ty, &next.ty) {
            // Two items of the same types share a lens.
            if widened.insert(lens.clone()) {
                let _ = write!(self.written.text, "\ndsu::transformer!({lens});\n");
            }
            return;
        }
        let (from, to) = (self.scope.say(&item.ty), self.scope.say(&next.ty));
        self.ask(&format!(
            "item {} of {} is {from} in {} and {to} in {}. Say how one becomes the other: write a lens between the two, and dsu::transformer!(LENS); in place of this line",
            item.name, self.newer.name, self.old.version, self.new.version
        ));
    }

    fn gone(
        &mut self,
        item: &FieldSchema,
        before: &[FieldSchema],
        after: &[FieldSchema],
        made: &BTreeSet<String>,
    ) {
        let (guard, name) = (&self.older.name, &item.name);
        let full = format!("{guard}.{name}");
        if self.new.removed.contains(&full) {
            let _ = write!(self.written.text, "\ndsu::removed!(\"{full}\");\n");
            return;
        }
        let ty = self.scope.say(&item.ty);
        let mut sentence = format!(
            "item {name}: {ty} of guard {guard} of {} is not in {}. If it is gone, write dsu::removed!(\"{full}\"); in place of this line",
            self.old.version, self.new.version
        );
        let fresh = after.iter().filter(|next| {
            !made.contains(&next.name) && !before.iter().any(|had| had.name == next.name)
        });
        let mut alike = fresh.filter(|next| next.ty == item.ty);
        if let Some(next) = alike.next() {
            let spelled = self.scope.spell_newer(&next.ty);
            let _ = write!(
                sentence,
                ". If it is {} now, write dsu::transformer!(xform::Identity<({spelled},)>, {}: ({name}) => ({}));",
                next.name, self.newer.name, next.name
            );
        } else if let Some(other) = self.moved_to(item) {
            let _ = write!(
                sentence,
                "; then {name} of {other} begins as {} says there. If it is the same, write moved({name}: …, from = \"{full}\") into #[guards(…)] of {other}, and remove this line",
                self.new.version
            );
        }
        self.ask(&sentence);
    }

    /// Another guard that has an item of this name and type, and had none before.
    fn moved_to(&self, item: &FieldSchema) -> Option<&str> {
        let has = |guard: &GuardManifest| {
            let mut items = fields(&guard.items).iter();
            items.any(|other| other.name == item.name && other.ty.name == item.ty.name)
        };
        let had = |guard: &GuardManifest| {
            let mut old = self.old.guards.iter();
            old.any(|g| g.name == guard.name && has(g))
        };
        let mut others = self.new.guards.iter();
        let other = others.find(|g| g.name != self.newer.name && has(g) && !had(g))?;
        Some(&other.name)
    }

    /// Items whose fields went into other items: writes the lens, and names the items of both sides.
    fn regrouped(
        &mut self,
        before: &[FieldSchema],
        after: &[FieldSchema],
    ) -> (BTreeSet<String>, BTreeSet<String>) {
        let matched = matches(before, after);
        let crossing = |(from, to): &(At, At)| before[from.0].name != after[to.0].name;
        let mut lefts = BTreeSet::new();
        let mut rights = BTreeSet::new();
        for (from, to) in matched.iter().filter(|pair| crossing(pair)) {
            lefts.insert(from.0);
            rights.insert(to.0);
        }
        // What has kept its name on one of the sides is there on the other as well.
        let twins: Vec<At> = (0..before.len())
            .filter_map(|at| {
                let next = after.iter().position(|f| f.name == before[at].name)?;
                Some((at, next))
            })
            .filter(|(left, right)| lefts.contains(left) || rights.contains(right))
            .collect();
        for (left, right) in twins {
            lefts.insert(left);
            rights.insert(right);
        }
        if lefts.is_empty() {
            return Default::default();
        }
        let side = |all: &BTreeSet<usize>, items: &[FieldSchema]| -> Vec<FieldSchema> {
            all.iter().map(|at| items[*at].clone()).collect()
        };
        let (lefts, rights) = (side(&lefts, before), side(&rights, after));
        self.regrouping(&lefts, &rights);
        let taken = lefts.iter().map(|item| self.scope.before.key(&item.ty));
        self.written.taken.extend(taken);
        let names = |items: &[FieldSchema]| items.iter().map(|f| f.name.clone()).collect();
        (names(&lefts), names(&rights))
    }

    fn regrouping(&mut self, lefts: &[FieldSchema], rights: &[FieldSchema]) {
        let guard = &self.newer.name;
        let lens = format!("{}ItemsLens", type_ident(&camel(guard)));
        let names = |items: &[FieldSchema]| {
            let all: Vec<_> = items.iter().map(|f| ident(&f.name)).collect();
            all.join(", ")
        };
        let types = |items: &[FieldSchema], spell: &dyn Fn(&TypeSchema) -> String| {
            let all: Vec<_> = items.iter().map(|f| spell(&f.ty)).collect();
            tuple_of(&all)
        };
        let older = |ty: &TypeSchema| self.scope.spell_older(ty);
        let newer = |ty: &TypeSchema| self.scope.spell_newer(ty);
        let mut text = format!(
            "\n/// The items `{}` of {guard} of {} are `{}` in {}.\n\
             #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]\n\
             pub(crate) struct {lens};\n\n\
             impl xform::Lens for {lens} {{\n",
            names(lefts),
            self.old.version,
            names(rights),
            self.new.version
        );
        text.push_str(&statement(4, "type Left =", &types(lefts, &older)));
        text.push_str(&statement(4, "type Right =", &types(rights, &newer)));
        text.push_str("    type Complement = ();\n\n");
        let versions = (self.old.version.to_string(), self.new.version.to_string());
        for (function, from, to, kinds, spell, version) in [
            (
                "forward",
                lefts,
                rights,
                ("Left", "Right"),
                &newer as &dyn Fn(&TypeSchema) -> String,
                &versions.1,
            ),
            (
                "backward",
                rights,
                lefts,
                ("Right", "Left"),
                &older,
                &versions.0,
            ),
        ] {
            if function == "backward" {
                text.push('\n');
            }
            let bound: Vec<_> = from.iter().map(|f| ident(&f.name)).collect();
            text.push_str(&signature(
                function,
                &tuple_of(&bound),
                kinds.0,
                "_",
                kinds.1,
            ));
            text.push_str(&body(from, to, spell, version));
            text.push_str("    }\n");
        }
        let _ = write!(
            text,
            "}}\n\ndsu::transformer!({lens}, {guard}: ({}) => ({}));\n",
            names(lefts),
            names(rights)
        );
        self.written.text.push_str(&text);
    }
}

/// One direction: every field from where it is, or a question.
fn body(
    from: &[FieldSchema],
    to: &[FieldSchema],
    spell: &dyn Fn(&TypeSchema) -> String,
    version: &str,
) -> String {
    let sources = matches(to, from);
    let mut text = String::new();
    let mut made = Vec::new();
    for (item_at, item) in to.iter().enumerate() {
        let name = match from.iter().any(|other| other.name == item.name) {
            true => format!("made_{}", item.name),
            false => ident(&item.name),
        };
        let (mut values, mut asked) = (Vec::new(), String::new());
        for (at, field) in fields(&item.ty).iter().enumerate() {
            let source = sources.iter().find(|(to, _)| *to == (item_at, at));
            match source {
                Some((_, (item, inside))) => {
                    let item = &from[*item];
                    let inside = &fields(&item.ty)[*inside].name;
                    let value = format!("{}.{}", ident(&item.name), ident(inside));
                    values.push((ident(&field.name), value));
                }
                None => asked.push_str(&question_value(
                    12,
                    &ident(&field.name),
                    &format!(
                        "{} of {} has no source. Say what it is in {version}; what it was on the other side is lost unless the Complement keeps it, as an xform::Kept",
                        field.name, item.ty.name
                    ),
                )),
            }
        }
        text.push_str(&let_literal(8, &name, &spell(&item.ty), &values, &asked));
        made.push(name);
    }
    let _ = writeln!(text, "        Ok(({}, ()))", tuple_of(&made));
    text
}

/// Fields of one name and type, each taken once: those of items of one name first.
fn matches(before: &[FieldSchema], after: &[FieldSchema]) -> Vec<(At, At)> {
    let is_named = |item: &&FieldSchema| {
        matches!(&item.ty.kind, TypeKind::Struct(fields) if !is_tuple(fields))
            && !item.ty.name.starts_with('(')
    };
    let mut found: Vec<(At, At)> = Vec::new();
    for same_item in [true, false] {
        for (left_at, left) in before.iter().enumerate().filter(|(_, f)| is_named(f)) {
            for (right_at, right) in after.iter().enumerate().filter(|(_, f)| is_named(f)) {
                // An item that did not change gives nothing away.
                let is_settled = |item: &FieldSchema, others: &[FieldSchema]| {
                    others
                        .iter()
                        .any(|o| o.name == item.name && o.ty == item.ty)
                };
                // One that is the same under another name is a question of its own.
                if left.ty == right.ty
                    || (left.name == right.name) != same_item
                    || is_settled(left, after)
                    || is_settled(right, before)
                {
                    continue;
                }
                for (a, f) in fields(&left.ty).iter().enumerate() {
                    for (b, g) in fields(&right.ty).iter().enumerate() {
                        let (from, to) = ((left_at, a), (right_at, b));
                        let is_free = !found.iter().any(|(x, y)| *x == from || *y == to);
                        if f.name == g.name && f.ty == g.ty && is_free {
                            found.push((from, to));
                        }
                    }
                }
            }
        }
    }
    found
}

fn tuple_of(parts: &[String]) -> String {
    match parts {
        [one] => format!("({one},)"),
        _ => format!("({})", parts.join(", ")),
    }
}

/// `TOTALS_BY_DAY` as a type would be called.
fn camel(name: &str) -> String {
    let words = name.split('_').map(str::to_lowercase);
    words.collect::<Vec<_>>().join(" ")
}
