//! Why two versions cannot follow one another: one clause each, and what to write about it.

use super::layout_text::side_by_side;
use super::xfgen::{frozen_stub, lens_stub};
use crate::abi::TypeSchema;
use crate::ids::VersionId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A schema and the version that states it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Side {
    /// The version.
    pub version: VersionId,
    /// What it states.
    pub schema: Box<TypeSchema>,
}

/// One thing that stands in the way of an update.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)] // the text of each variant is its documentation
pub enum Incompatible {
    OtherApplication {
        running: String,
        new: String,
    },
    NotAdjacent {
        running: VersionId,
        new: VersionId,
        from: Option<VersionId>,
    },
    OtherCompiler {
        older: String,
        newer: String,
        because: String,
    },
    GuardGone {
        guard: String,
        near: Option<String>,
    },
    ItemGone {
        item: String,
        near: Option<String>,
    },
    ItemTwice {
        item: String,
    },
    CannotMove {
        item: String,
        why: String,
    },
    RenamedFromNothing {
        guard: String,
        from: String,
        near: Option<String>,
    },
    FamilyChanged {
        guard: String,
        older: Option<u32>,
        newer: Option<u32>,
    },
    MissingLens {
        place: String,
        older: Side,
        newer: Side,
    },
    FrozenDiffers {
        stated: Side,
        frozen: Side,
    },
    FrozenOfNothing {
        name: String,
        version: VersionId,
        near: Option<String>,
    },
    KeysDiffer {
        key: String,
        container: String,
        place: String,
        differences: Vec<KeyDifference>,
        older: VersionId,
        newer: VersionId,
    },
    MissingCarryLens {
        older: Side,
        newer: Side,
    },
    OneWay {
        name: String,
    },
    FunctionGone {
        function: String,
        near: Option<String>,
    },
    FunctionChanged {
        function: String,
        older: String,
        newer: String,
    },
}

/// What a key type does otherwise than before (R15).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum KeyDifference {
    /// Keys hash to something else.
    Hash,
    /// Other keys are equal.
    Equality,
    /// Keys come in another order.
    Order,
}

impl KeyDifference {
    fn as_str(self) -> &'static str {
        match self {
            KeyDifference::Hash => "hash otherwise",
            KeyDifference::Equality => "equal each other otherwise",
            KeyDifference::Order => "are ordered otherwise",
        }
    }
}

impl fmt::Display for Incompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Incompatible::*;
        let size = |family: &Option<u32>| {
            family.map_or("no family".to_owned(), |n| format!("{n} members"))
        };
        match self {
            OtherApplication { running, new } => write!(
                f,
                "the library is of application {new}, {running} is running: give a version of {running}"
            ),
            NotAdjacent {
                running,
                new,
                from: Some(from),
            } if new > running => write!(
                f,
                "{new} updates from {from} and {running} is running: update to {from} first"
            ),
            NotAdjacent { running, new, .. } if new == running => write!(
                f,
                "{new} is running already: give the library another number, or go to an adjacent version first"
            ),
            NotAdjacent {
                running,
                new,
                from: None,
            } if new > running => write!(
                f,
                "{new} says of no version that it updates from it: write `from: {}` in its dsu::version!",
                running.0
            ),
            NotAdjacent { running, new, .. } => write!(
                f,
                "{new} is not adjacent to {running}, which is running: go back one version at a time"
            ),
            OtherCompiler {
                older,
                newer,
                because,
            } => write!(
                f,
                "the versions were built by different compilers ({older}; {newer}) and share {because}, which only one compiler lays out the same each time: build both with one, or take a snapshot and restore it"
            ),
            GuardGone { guard, near } => write!(
                f,
                "guard {guard} is gone without a word{}: write removed!(\"{guard}\") or renamed_from = \"{guard}\"",
                Near(near)
            ),
            ItemGone { item, near } => write!(
                f,
                "item {item} is gone without a word{}: write removed!(\"{item}\")",
                Near(near)
            ),
            ItemTwice { item } => write!(
                f,
                "item {item} is named twice by transformers between items: name each once on either side"
            ),
            CannotMove { item, why } => write!(f, "item {item} cannot move: {why}"),
            RenamedFromNothing { guard, from, near } => write!(
                f,
                "guard {guard} is renamed from {from}, which the older version does not have{}: correct renamed_from",
                Near(near)
            ),
            FamilyChanged {
                guard,
                older,
                newer,
            } => write!(
                f,
                "guard {guard} changes from {} to {}: keep the number, or declare a family of another name and move the items",
                size(older),
                size(newer)
            ),
            MissingLens {
                place,
                older,
                newer,
            } => {
                writeln!(
                    f,
                    "{place} changes and has no transformer: add the frozen type and the lens, or run dsu xfgen"
                )?;
                f.write_str(&compared(older, newer))?;
                f.write_str(&indented(&frozen_stub(&older.schema, older.version)))?;
                let older = (&*older.schema, older.version);
                f.write_str(&indented(&lens_stub(older, &newer.schema)))
            }
            FrozenDiffers { stated, frozen } => {
                writeln!(
                    f,
                    "the frozen copy of {} is not what {} states: replace it by what follows",
                    stated.schema.name, stated.version
                )?;
                let titles = (
                    format!("{} states", stated.version),
                    format!("{} froze", frozen.version),
                );
                f.write_str(&side_by_side(
                    (&titles.0, &stated.schema),
                    (&titles.1, &frozen.schema),
                ))?;
                f.write_str(&indented(&frozen_stub(&stated.schema, stated.version)))
            }
            FrozenOfNothing {
                name,
                version,
                near,
            } => write!(
                f,
                "a frozen copy of {name} is kept, which {version} does not have{}: remove it or correct its name",
                Near(near)
            ),
            KeysDiffer {
                key,
                container,
                place,
                differences,
                older,
                newer,
            } => {
                let differences: Vec<_> = differences.iter().map(|d| d.as_str()).collect();
                write!(
                    f,
                    "keys of {container} in {place} {} in {newer} than in {older}, though the schema of {key} is the same: entries would be there and not be found. Leave that as it was, or give {key} another #[shared(meaning = N)] and convert the container",
                    differences.join(" and ")
                )
            }
            MissingCarryLens { older, newer } => {
                writeln!(
                    f,
                    "the carry changes from {} to {} and has no lens: write one",
                    older.schema.name, newer.schema.name
                )?;
                f.write_str(&compared(older, newer))
            }
            FunctionGone { function, near } => write!(
                f,
                "function {function} is gone without a word{}: write removed!(\"fn {function}\"), or keep its name with #[dsu::function(name = \"{function}\")]",
                Near(near)
            ),
            FunctionChanged {
                function,
                older,
                newer,
            } => write!(
                f,
                "function {function} changes from {older} to {newer}: give the new one another name, or write removed!(\"fn {function}\")"
            ),
            OneWay { name } => write!(
                f,
                "one-way: {name}: its lens goes forward only, restore a snapshot to go back"
            ),
        }
    }
}

struct Near<'a>(&'a Option<String>);

impl fmt::Display for Near<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .as_ref()
            .map_or(Ok(()), |near| write!(f, " (did you mean {near}?)"))
    }
}

fn compared(older: &Side, newer: &Side) -> String {
    let titles = (older.version.to_string(), newer.version.to_string());
    side_by_side((&titles.0, &older.schema), (&titles.1, &newer.schema))
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("    {line}\n")
            }
        })
        .collect()
}

/// Everything that stands in the way, at once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Incompatibilities(pub Vec<Incompatible>);

impl From<Incompatible> for Incompatibilities {
    fn from(one: Incompatible) -> Self {
        Incompatibilities(vec![one])
    }
}

impl fmt::Display for Incompatibilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, one) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            f.write_str(one.to_string().trim_end())?;
        }
        Ok(())
    }
}

impl std::error::Error for Incompatibilities {}
