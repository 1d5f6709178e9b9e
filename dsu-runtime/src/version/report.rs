//! What `dsu check --against` says of each guard and type: how it passes between two versions, what is
//! lost on the way, and what is missing.
//!
//! Data from two manifests; how it looks is the command line's.

use super::compare::{Advice, Direction, Passage, fields, regroupings, survey};
use super::incompatible::{Incompatibilities, Incompatible, Side};
use super::layout_text::layout;
use super::manifest::{GuardManifest, LensManifest, Manifest};
use super::moves::{moves, successor};
use crate::abi::{LensLosses, LensPolicy, TypeSchema};
use crate::ids::VersionId;
use serde::{Serialize, Serializer};

/// What a row is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A whole guard.
    Guard,
    /// An item, as `GUARD.item`.
    Item,
    /// The type of a `Versioned` box.
    Element,
    /// What a worker carries.
    Carry,
    /// The pair as a whole.
    Pair,
}

/// How it passes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Nothing says how.
    Missing,
    /// By a lens that goes forward only (R14).
    OneWay,
    /// By a lens that goes both ways.
    BothWays,
    /// Only the newer version has it.
    Added,
    /// Only the older version has it, and the newer one says so (R4).
    Removed,
    /// As it is.
    Unchanged,
}

/// Two layouts, line by line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Layouts {
    /// Of the older version.
    pub older: Vec<String>,
    /// Of the newer version, or of the copy that does not match.
    pub newer: Vec<String>,
}

/// One guard, item or type.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Row {
    /// What it is.
    pub kind: Kind,
    /// Its name in the older version, where it is in both.
    pub name: String,
    /// How it passes.
    pub passage: Way,
    /// What becomes of newer values without an older form (R12), where a lens declares it.
    pub policy: Option<LensPolicy>,
    /// What is lost where no complement is at hand (R10): of the older side on the way back, of the
    /// newer one on the way forward.
    pub lossy: LensLosses,
    /// Of what is missing: one sentence.
    pub why: Option<String>,
    /// Of what is missing: both layouts.
    pub layouts: Option<Layouts>,
}

/// A pair of versions, part by part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// Name of the application.
    pub app: String,
    /// The version that would run before.
    pub from: VersionId,
    /// The version that would run then.
    pub to: VersionId,
    /// Which way along the lenses, `forward` or `backward`; `None` for versions that are no neighbours.
    #[serde(serialize_with = "lowercase")]
    pub direction: Option<Direction>,
    /// Guards and items in the order of their names, then types, then the carry.
    pub parts: Vec<Row>,
    /// `rolling`, `barrier`, or `refused`.
    pub strategy: &'static str,
    /// Why not rolling.
    pub why: Vec<String>,
}

fn lowercase<S: Serializer>(
    direction: &Option<Direction>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let word = direction.map(|direction| match direction {
        Direction::Forward => "forward",
        Direction::Backward => "backward",
    });
    word.serialize(serializer)
}

impl Report {
    /// Whether an update is possible.
    pub fn is_possible(&self) -> bool {
        self.strategy != "refused"
    }

    /// How many parts pass this way.
    pub fn count(&self, way: Way) -> usize {
        self.parts.iter().filter(|row| row.passage == way).count()
    }
}

/// Compares `running` with `new`, part by part.
pub fn report(running: &Manifest, new: &Manifest) -> Report {
    let mut report = Report {
        app: new.app.clone(),
        from: running.version,
        to: new.version,
        direction: None,
        parts: Vec::new(),
        strategy: "refused",
        why: Vec::new(),
    };
    let (comparison, wrong) = match survey(running, new) {
        Ok(found) => found,
        Err(Incompatibilities(wrong)) => {
            report.parts.extend(wrong.iter().map(missing));
            return report;
        }
    };
    report.direction = Some(comparison.direction);
    let (older, newer) = match comparison.direction {
        Direction::Forward => (running, new),
        Direction::Backward => (new, running),
    };
    let pair = Pair { older, newer };
    let is_guard = |name: &str| !name.contains('.');
    let items = comparison.items.iter().map(|part| {
        let lens = pair.lens_of_item(&part.name);
        let kind = match is_guard(&part.name) {
            true => Kind::Guard,
            false => Kind::Item,
        };
        row(kind, &part.name, part.passage, lens)
    });
    let elements = comparison.elements.iter().map(|part| {
        let lens = pair.lens_of_element(&part.name);
        row(Kind::Element, &part.name, part.passage, lens)
    });
    report.parts.extend(items.chain(elements));
    report.parts.extend(wrong.iter().map(missing));
    if !report.parts.iter().any(|row| row.kind == Kind::Carry) {
        report.parts.push(pair.carry(comparison.carry));
    }
    report
        .parts
        .sort_by(|a, b| (a.kind, &a.name, a.passage).cmp(&(b.kind, &b.name, b.passage)));
    if wrong.is_empty() {
        (report.strategy, report.why) = match comparison.advice {
            Advice::Rolling => ("rolling", Vec::new()),
            Advice::Barrier(why) => ("barrier", why),
        };
    }
    report
}

fn row(kind: Kind, name: &str, passage: Passage, lens: Option<&LensManifest>) -> Row {
    Row {
        kind,
        name: name.to_owned(),
        passage: match passage {
            Passage::Unchanged => Way::Unchanged,
            Passage::BothWays => Way::BothWays,
            Passage::ForwardOnly => Way::OneWay,
            Passage::Added => Way::Added,
            Passage::Removed => Way::Removed,
        },
        policy: lens.map(|lens| lens.unrepresentable),
        lossy: lens.map(|lens| lens.losses.clone()).unwrap_or_default(),
        why: None,
        layouts: None,
    }
}

/// What stands in the way, as a row.
fn missing(wrong: &Incompatible) -> Row {
    use Incompatible::*;
    let layouts = |older: &Side, newer: &Side| Layouts {
        older: layout(&older.schema),
        newer: layout(&newer.schema),
    };
    let (kind, name, layouts) = match wrong {
        MissingLens {
            place,
            older,
            newer,
        } => {
            let kind = match place.contains('.') {
                true => Kind::Item,
                false => Kind::Element,
            };
            (kind, place.clone(), Some(layouts(older, newer)))
        }
        FrozenDiffers { stated, frozen } => (
            Kind::Element,
            stated.schema.name.clone(),
            Some(layouts(stated, frozen)),
        ),
        FrozenOfNothing { name, .. } => (Kind::Element, name.clone(), None),
        MissingCarryLens { older, newer } => (
            Kind::Carry,
            older.schema.name.clone(),
            Some(layouts(older, newer)),
        ),
        GuardGone { guard, .. }
        | RenamedFromNothing { guard, .. }
        | FamilyChanged { guard, .. } => (Kind::Guard, guard.clone(), None),
        ItemGone { item, .. } | ItemTwice { item } | OneWay { name: item } => {
            (Kind::Item, item.clone(), None)
        }
        // What is wrong with the pair as a whole.
        _ => (Kind::Pair, String::new(), None),
    };
    let text = wrong.to_string();
    Row {
        kind,
        name,
        passage: Way::Missing,
        policy: None,
        lossy: LensLosses::default(),
        why: text.lines().next().map(str::to_owned),
        layouts,
    }
}

struct Pair<'a> {
    older: &'a Manifest,
    newer: &'a Manifest,
}

impl<'a> Pair<'a> {
    fn lens(&self, left: &TypeSchema, right: &TypeSchema) -> Option<&'a LensManifest> {
        let mut all = self.newer.lenses.iter();
        all.find(|lens| lens.items.is_none() && lens.left == *left && lens.right == *right)
    }

    fn lens_of_item(&self, name: &str) -> Option<&'a LensManifest> {
        let (guard, item) = name.split_once('.')?;
        let moves = moves(&self.older.guards, &self.newer.guards).0;
        let mut moves = moves.iter();
        if let Some(moved) = moves.find(|m| m.from.name == guard && m.older.name == item) {
            return self.lens(&moved.older.ty, &moved.newer.ty);
        }
        let before = self.older.guards.iter().find(|g| g.name == guard)?;
        let after = successor(before, &self.newer.guards)?;
        let together = regroupings(self.newer, before, after);
        let together = together
            .into_iter()
            .find(|(_, group)| group.older.iter().any(|name| name == item));
        if let Some((lens, _)) = together {
            return Some(lens);
        }
        let find = |guard: &'a GuardManifest| fields(&guard.items).iter().find(|f| f.name == item);
        self.lens(&find(before)?.ty, &find(after)?.ty)
    }

    fn lens_of_element(&self, name: &str) -> Option<&'a LensManifest> {
        let left = self.older.types.iter().find(|ty| ty.schema.name == name)?;
        let right = self.newer.types.iter().find(|ty| ty.schema.name == name);
        match right {
            Some(right) => self.lens(&left.schema, &right.schema),
            None => {
                let mut all = self.newer.lenses.iter();
                all.find(|lens| lens.items.is_none() && lens.left == left.schema)
            }
        }
    }

    fn carry(&self, passage: Passage) -> Row {
        let (left, right) = (&self.older.carry.schema, &self.newer.carry.schema);
        let mut lenses = self.newer.carry_lenses.iter();
        let lens = lenses.find(|lens| lens.left == *left && lens.right == *right);
        Row {
            lossy: lens.map(|lens| lens.losses.clone()).unwrap_or_default(),
            ..row(Kind::Carry, &left.name, passage, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::{LensLoss, LossKind};
    use crate::version::manifest::MovedManifest;
    use crate::version::samples::*;

    fn pair() -> (Manifest, Manifest) {
        let entry = |fields: &[&str]| {
            let fields: Vec<_> = fields.iter().map(|name| (*name, leaf("u64", 8))).collect();
            record("Entry", &fields)
        };
        let (old, new) = (entry(&["flags"]), entry(&["flags", "ttl"]));
        let shard = |_: &TypeSchema| {
            guard(
                "SHARD",
                &[("map", container("SharedMap", &[boxed("Entry")]))],
            )
        };
        let one = manifest(1, vec![shard(&old), guard("GONE", &[])], vec![old.clone()]);
        let two = manifest(2, vec![shard(&new)], vec![new.clone()]);
        (one, two)
    }

    fn named<'a>(report: &'a Report, name: &str) -> &'a Row {
        report
            .parts
            .iter()
            .find(|row| row.name == name)
            .expect(name)
    }

    // R3, R4, R10
    #[test]
    fn every_part_has_a_row_and_what_is_missing_both_layouts() {
        let (one, mut two) = pair();
        let found = report(&one, &two);
        assert!(!found.is_possible());
        assert_eq!(named(&found, "SHARD.map").passage, Way::Unchanged);
        let entry = named(&found, "Entry");
        assert_eq!((entry.kind, entry.passage), (Kind::Element, Way::Missing));
        let layouts = entry.layouts.as_ref().expect("both");
        assert!(layouts.newer.iter().any(|line| line.contains("ttl")));
        assert_eq!(named(&found, "GONE").passage, Way::Missing);

        let (old, new) = (one.types[0].schema.clone(), two.types[0].schema.clone());
        let mut by = lens(&old, &new);
        by.unrepresentable = LensPolicy::Placeholder;
        by.losses.newer.push(LensLoss {
            path: "Entry.ttl".to_owned(),
            kind: LossKind::Defaulted,
        });
        two.lenses.push(by);
        two.removed.push("GONE".to_owned());
        let found = report(&one, &two);
        let entry = named(&found, "Entry");
        assert_eq!(entry.passage, Way::BothWays);
        assert_eq!(entry.policy, Some(LensPolicy::Placeholder));
        assert_eq!(entry.lossy.newer[0].path, "Entry.ttl");
        assert_eq!(found.strategy, "rolling");
        assert_eq!(found.count(Way::Removed), 1);
        // The other way, the same rows.
        let back = report(&two, &one);
        assert_eq!(back.direction, Some(Direction::Backward));
        assert_eq!(named(&back, "Entry"), entry);
    }

    // R4, R10: also of an item that leaves a guard that is gone for one that is new.
    #[test]
    fn the_lens_of_an_item_that_moves_is_named_with_what_it_loses() {
        let (old, new) = (record("Hits", &[("a", leaf("u32", 4))]), leaf("u64", 8));
        let one = manifest(1, vec![guard("OLD", &[("hits", old.clone())])], Vec::new());
        let mut two = manifest(2, vec![guard("NEW", &[("count", new.clone())])], Vec::new());
        two.guards[0].moved.push(MovedManifest {
            item: "count".into(),
            guard: "OLD".into(),
            from: "hits".into(),
        });
        two.removed.push("OLD".into());
        assert_eq!(named(&report(&one, &two), "OLD.hits").passage, Way::Missing);
        let mut by = lens(&old, &new);
        by.losses.older.push(LensLoss {
            path: "Hits.a".to_owned(),
            kind: LossKind::Approximated,
        });
        two.lenses.push(by);
        let found = report(&one, &two);
        let hits = named(&found, "OLD.hits");
        assert_eq!((hits.kind, hits.passage), (Kind::Item, Way::BothWays));
        assert_eq!(hits.lossy.older[0].path, "Hits.a");
        assert_eq!(named(&found, "OLD").passage, Way::Removed);
        assert_eq!(named(&found, "NEW").passage, Way::Added);
        assert_eq!(found.strategy, "barrier");
    }

    #[test]
    fn versions_that_are_no_neighbours_have_one_row_that_says_so() {
        let (one, _) = pair();
        let three = manifest(3, Vec::new(), Vec::new());
        let found = report(&one, &three);
        assert_eq!(found.parts.len(), 1);
        assert_eq!(found.parts[0].kind, Kind::Pair);
        assert!(
            found.parts[0]
                .why
                .as_deref()
                .is_some_and(|why| why.contains("first"))
        );
    }
}
