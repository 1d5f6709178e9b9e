//! A module that is there already beside the one that would be written: which parts differ. Reads source
//! as lines: a part is what stands between empty lines at the margin.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// How a part of the file that is there stands to what would be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Difference {
    /// Would be added.
    Missing,
    /// Is another.
    Changed,
    /// Is in the file alone.
    Own,
}

/// The parts that differ, by what they declare.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Differences(pub Vec<(String, Difference)>);

/// Compares the file that is there with what would be written.
pub fn differences(held: &str, written: &str) -> Differences {
    let (held, written) = (parts(held), parts(written));
    let mut all = Vec::new();
    for (name, text) in &written {
        match held.get(name) {
            None => all.push((name.clone(), Difference::Missing)),
            Some(other) if other != text => all.push((name.clone(), Difference::Changed)),
            Some(_) => {}
        }
    }
    let own = held.keys().filter(|name| !written.contains_key(*name));
    all.extend(own.map(|name| (name.clone(), Difference::Own)));
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Differences(all)
}

/// What a file declares, each with its text.
fn parts(source: &str) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut part = String::new();
    let mut is_inside = false;
    for line in source.lines().chain([""]) {
        // A part goes on where a line is indented or closes something.
        let is_margin = !line.is_empty() && !line.starts_with([' ', '}', ')']);
        is_inside = match line.is_empty() {
            true => is_inside,
            false => !(line.starts_with(['}', ')']) || line.ends_with(';') && is_margin),
        };
        if !line.is_empty() {
            part.push_str(line);
            part.push('\n');
        } else if !is_inside && !part.is_empty() {
            let name = declared(&part);
            all.entry(name).or_default().push_str(&part);
            part.clear();
        }
    }
    if !part.is_empty() {
        all.entry(declared(&part)).or_default().push_str(&part);
    }
    all
}

/// What a part declares: its first line at the margin that is no attribute and no comment.
fn declared(part: &str) -> String {
    const BESIDE: [&str; 5] = ["//", "#", "))]", " ", "}"];
    let is_beside = |line: &&str| BESIDE.iter().any(|start| line.starts_with(start));
    let line = part.lines().find(|line| !is_beside(line)).unwrap_or("//!");
    let line = line.strip_prefix("pub(crate) ").unwrap_or(line);
    let line = line.strip_prefix("pub ").unwrap_or(line);
    match line.split_once(' ') {
        Some(("struct" | "enum" | "type", rest)) => {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'));
            rest[..end.unwrap_or(rest.len())].to_owned()
        }
        _ => line.trim_end_matches(['{', '(', ';']).trim_end().to_owned(),
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, difference)) in self.0.iter().enumerate() {
            let (mark, says) = match difference {
                Difference::Missing => ('+', "would be added"),
                Difference::Changed => ('~', "would be replaced"),
                Difference::Own => ('-', "would be gone"),
            };
            let end = if index + 1 == self.0.len() { "" } else { "\n" };
            write!(f, "  {mark} {name}: {says}{end}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_compared_part_by_part() {
        let held = "//! Mine.\n\n/// `A`.\n#[derive(Shared)]\npub(crate) struct A {\n    x: u64,\n}\n\nfn helper() {\n    let a = 1;\n\n    let b = 2;\n}\n\ndsu::transformer!(ALens);\n";
        let written = "//! Mine.\n\n/// `A`.\n#[derive(Shared)]\npub(crate) struct A {\n    x: u32,\n}\n\npub(crate) struct B(u64);\n\ndsu::transformer!(ALens);\n";
        let found = differences(held, written).0;
        let found: Vec<_> = found.iter().map(|(name, d)| (name.as_str(), *d)).collect();
        assert_eq!(
            found,
            [
                ("A", Difference::Changed),
                ("B", Difference::Missing),
                ("fn helper()", Difference::Own)
            ]
        );
        assert!(differences(held, held).0.is_empty());
    }
}
