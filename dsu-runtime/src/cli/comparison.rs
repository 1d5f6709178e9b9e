//! How two versions compare, as people read it: a table of 80 columns, then both layouts of whatever is
//! missing. Knows no terminal but whether it may have colours.

use crate::abi::{LensLoss, LensPolicy, LossKind};
use crate::ids::VersionId;
use crate::version::{Direction, Kind, Report, Row, Way, beside};
use std::fmt::Write;

/// Columns of a line.
const WIDTH: usize = 80;
/// Columns that a name may have beside what is said of it.
const NAME_WIDTH: usize = 40;

/// Whether words may be coloured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Coloured,
}

/// The first line: which versions, and how an update would go.
pub(super) fn headline(report: &Report) -> String {
    let mut text = format!("{} {} to {}: ", report.app, report.from, report.to);
    match report.strategy {
        "refused" => {
            let missing = report.count(Way::Missing);
            let _ = write!(text, "{missing} missing");
        }
        strategy => text.push_str(strategy),
    }
    for (way, name) in [
        (Way::OneWay, "one way"),
        (Way::BothWays, "both ways"),
        (Way::Added, "added"),
        (Way::Removed, "removed"),
        (Way::Unchanged, "unchanged"),
    ] {
        let count = report.count(way);
        if count > 0 {
            let _ = write!(text, ", {count} {name}");
        }
    }
    text
}

/// A line for each part, and what has to be known of it.
pub(super) fn table(report: &Report, ink: Ink) -> String {
    let (older, newer) = sides(report);
    let names = report.parts.iter().map(|row| row.name.chars().count());
    let width = names.max().unwrap_or(0).min(NAME_WIDTH);
    let mut text = String::new();
    for why in &report.why {
        text.push_str(&wrapped(&format!("{}: {why}", report.strategy), 0));
    }
    for row in &report.parts {
        let kind = match row.kind {
            Kind::Guard => "guard",
            Kind::Item => "item",
            Kind::Element => "type",
            Kind::Carry => "carry",
            Kind::Pair => "pair",
        };
        let _ = write!(text, "\n  {kind:<5}  {:<width$}", row.name);
        if row.name.chars().count() > NAME_WIDTH {
            let _ = write!(text, "\n         {:<width$}", "");
        }
        let _ = write!(text, "  {}", word(row.passage, ink));
        for remark in remarks(row, older, newer) {
            text.push_str(&wrapped(&remark, 9));
        }
    }
    let loses = |row: &Row| !row.lossy.older.is_empty() || !row.lossy.newer.is_empty();
    if report.parts.iter().any(loses) {
        text.push_str(&wrapped(
            "lossy: what takes a default, or is worked out anew, where no complement is at hand: the server began with the version that is left, or has been at a third one since (R10)",
            0,
        ));
    }
    text
}

/// Of everything that is missing, why, and both layouts.
pub(super) fn missing(report: &Report) -> String {
    let (older, newer) = sides(report);
    let mut text = String::new();
    for row in report
        .parts
        .iter()
        .filter(|row| row.passage == Way::Missing)
    {
        text.push('\n');
        text.push_str(&wrapped(row.why.as_deref().unwrap_or_default(), 0));
        if let Some(layouts) = &row.layouts {
            let (older, newer) = (older.to_string(), newer.to_string());
            let both = beside((&older, &layouts.older), (&newer, &layouts.newer));
            text.push('\n');
            text.push_str(both.trim_end());
        }
    }
    text
}

/// Older and newer version.
fn sides(report: &Report) -> (VersionId, VersionId) {
    match report.direction {
        Some(Direction::Backward) => (report.to, report.from),
        _ => (report.from, report.to),
    }
}

fn word(way: Way, ink: Ink) -> String {
    let (word, colour) = match way {
        Way::Missing => ("missing", "1;31"),
        Way::OneWay => ("one way", "33"),
        Way::BothWays => ("both ways", "32"),
        Way::Added => ("added", "32"),
        Way::Removed => ("removed", "33"),
        Way::Unchanged => ("unchanged", "2"),
    };
    match ink {
        Ink::Plain => word.to_owned(),
        Ink::Coloured => format!("\x1b[{colour}m{word}\x1b[0m"),
    }
}

fn remarks(row: &Row, older: VersionId, newer: VersionId) -> Vec<String> {
    let mut all = Vec::new();
    match row.policy {
        Some(LensPolicy::Placeholder) => all.push(format!(
            "placeholder: values that {older} has no form for have stand-ins there"
        )),
        Some(LensPolicy::Forbid) => all.push(format!(
            "forbid: values that {older} has no form for are not made while it runs"
        )),
        Some(LensPolicy::Foreign) | None => {}
    }
    for (lost, way, to) in [
        (&row.lossy.older, "back", older),
        (&row.lossy.newer, "on", newer),
    ] {
        if !lost.is_empty() {
            all.push(format!("lossy: {} ({way} to {to})", list(lost)));
        }
    }
    all
}

fn list(lost: &[LensLoss]) -> String {
    let one = |loss: &LensLoss| match loss.kind {
        LossKind::Unstated => format!("{}, its lens does not say of what", loss.path),
        LossKind::Defaulted | LossKind::Approximated => loss.path.clone(),
    };
    lost.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Lines of at most 80 columns, each behind a line's end and `indent` columns.
fn wrapped(sentence: &str, indent: usize) -> String {
    let pad = " ".repeat(indent);
    let mut text = format!("\n{pad}");
    let mut column = indent;
    for word in sentence.split_whitespace() {
        let length = word.chars().count();
        if column > indent && column + 1 + length > WIDTH {
            let _ = write!(text, "\n{pad}  ");
            column = indent + 2;
        } else if column > indent {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::LensLosses;
    use crate::version::Layouts;

    fn example() -> Report {
        let row = |kind, name: &str, passage| Row {
            kind,
            name: name.to_owned(),
            passage,
            policy: None,
            lossy: LensLosses::default(),
            why: None,
            layouts: None,
        };
        let lost = |path: &str| LensLoss {
            path: path.to_owned(),
            kind: LossKind::Defaulted,
        };
        let layouts = |field: &str| {
            vec![
                "Entry: 8 bytes, aligned to 8".to_owned(),
                format!("  +0 {field}: u64 (8 bytes)"),
            ]
        };
        Report {
            app: "kv".to_owned(),
            from: VersionId(1),
            to: VersionId(2),
            direction: Some(Direction::Forward),
            parts: vec![
                row(Kind::Item, "TOTALS.peers", Way::Unchanged),
                Row {
                    policy: Some(LensPolicy::Placeholder),
                    lossy: LensLosses {
                        older: vec![lost("Stats.motd")],
                        newer: (0..9).map(|n| lost(&format!("Stats.counter_{n}"))).collect(),
                    },
                    ..row(Kind::Item, "TOTALS.stats", Way::BothWays)
                },
                Row {
                    why: Some("Entry changes and has no transformer: add the frozen type and the lens, or run dsu xfgen".to_owned()),
                    layouts: Some(Layouts { older: layouts("flags"), newer: layouts("ttl") }),
                    ..row(Kind::Element, "Entry", Way::Missing)
                },
                row(Kind::Carry, "a_carry_whose_name_is_longer_than_half_a_line_of_text", Way::OneWay),
            ],
            strategy: "refused",
            why: Vec::new(),
        }
    }

    #[test]
    fn a_comparison_fits_a_terminal_and_says_first_what_counts() {
        let report = example();
        assert_eq!(
            headline(&report),
            "kv v1 to v2: 1 missing, 1 one way, 1 both ways, 1 unchanged"
        );
        let text = table(&report, Ink::Plain) + &missing(&report);
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        assert!(text.contains("lossy: Stats.motd (back to v1)"), "{text}");
        assert!(
            text.contains("\n  type   Entry                                     missing"),
            "{text}"
        );
        assert!(text.contains("≠"), "both layouts beside each other\n{text}");
        // The same words, with colours or without.
        let coloured = table(&report, Ink::Coloured);
        assert!(coloured.contains("\x1b[1;31mmissing\x1b[0m"), "{coloured}");
        let plain: String = coloured
            .split('\x1b')
            .map(|part| {
                part.split_once('m')
                    .filter(|_| part.starts_with('['))
                    .map_or(part, |p| p.1)
            })
            .collect();
        assert_eq!(plain, table(&report, Ink::Plain));
    }
}
