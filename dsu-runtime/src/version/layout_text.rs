//! Schemas as text: how Rust spells a type, and two layouts side by side.

use crate::abi::{FieldSchema, TypeKind, TypeSchema};
use std::fmt::Write;

/// How Rust spells a type where it is the type of a field. `path` says how an application's own type
/// of this name is spelled here.
pub fn spell(schema: &TypeSchema, path: &dyn Fn(&str) -> String) -> String {
    match &schema.kind {
        TypeKind::Leaf => schema.name.clone(),
        TypeKind::Struct(_) | TypeKind::Enum { .. } => path(&schema.name),
        TypeKind::Array { element, len } => format!("[{}; {len}]", spell(element, path)),
        TypeKind::Versioned(content) => format!("Versioned<{}>", path(content)),
        TypeKind::Container(arguments) => {
            let arguments: Vec<_> = arguments.iter().map(|a| spell_argument(a, path)).collect();
            let arguments = arguments.join(", ");
            match schema.name.split('<').next().unwrap_or_default() {
                name if name.is_empty() || name.starts_with('(') => format!("({arguments})"),
                name if arguments.is_empty() => name.to_owned(),
                name => format!("{name}<{arguments}>"),
            }
        }
    }
}

/// A container boxes its elements by itself (R5), so a box inside one is spelled as its content.
fn spell_argument(schema: &TypeSchema, path: &dyn Fn(&str) -> String) -> String {
    match &schema.kind {
        TypeKind::Versioned(content) => path(content),
        _ => spell(schema, path),
    }
}

/// Columns of a line that people read beside others.
const WIDTH: usize = 80;

/// Two layouts, one line for each part, differing lines marked.
pub fn side_by_side(left: (&str, &TypeSchema), right: (&str, &TypeSchema)) -> String {
    beside((left.0, &layout(left.1)), (right.0, &layout(right.1)))
}

/// Two lists of lines with their titles: beside each other where 80 columns are enough, else one below
/// the other. Differing lines are marked.
pub fn beside(left: (&str, &[String]), right: (&str, &[String])) -> String {
    let columns = |(title, lines): (&str, &[String])| {
        let lines = lines.iter().map(|line| line.chars().count());
        lines.max().unwrap_or(0).max(title.chars().count())
    };
    let width = columns(left);
    let is_narrow = width + columns(right) + 6 <= WIDTH;
    let mut text = String::new();
    if is_narrow {
        let _ = writeln!(text, "  {:width$}    {}", left.0, right.0);
        for i in 0..left.1.len().max(right.1.len()) {
            let line = |lines: &[String]| lines.get(i).cloned().unwrap_or_default();
            let (a, b) = (line(left.1), line(right.1));
            let mark = if a == b { ' ' } else { '≠' };
            let _ = writeln!(text, "{}", format!("  {a:width$}  {mark} {b}").trim_end());
        }
        return text;
    }
    for ((title, lines), others) in [(left, right.1), (right, left.1)] {
        let _ = writeln!(text, "  {title}");
        for line in lines {
            let mark = if others.contains(line) { ' ' } else { '≠' };
            let _ = writeln!(text, "  {mark} {line}");
        }
    }
    text
}

/// A layout, one line for each part.
pub fn layout(schema: &TypeSchema) -> Vec<String> {
    // What crosses encoded has no offsets and sizes.
    let is_laid_out = schema.align != 0;
    let mut lines = vec![match is_laid_out {
        true => head(schema),
        false => schema.name.clone(),
    }];
    let field = |indent: &str, field: &FieldSchema| {
        let ty = spell(&field.ty, &|name| name.to_owned());
        match is_laid_out {
            true => format!(
                "{indent}+{} {}: {ty} ({} bytes)",
                field.offset, field.name, field.ty.size
            ),
            false => format!("{indent}{}: {ty}", field.name),
        }
    };
    match &schema.kind {
        TypeKind::Struct(fields) => lines.extend(fields.iter().map(|f| field("  ", f))),
        TypeKind::Enum { repr, variants } => {
            lines.push(format!("  repr {repr}"));
            for variant in variants {
                lines.push(format!("  {} = {}", variant.name, variant.discriminant));
                lines.extend(variant.fields.iter().map(|f| field("    ", f)));
            }
        }
        _ => lines.push(format!("  {}", spell(schema, &|name| name.to_owned()))),
    }
    lines
}

fn head(schema: &TypeSchema) -> String {
    let meaning = match schema.meaning {
        0 => String::new(),
        n => format!(", meaning {n}"),
    };
    format!(
        "{}: {} bytes, aligned to {}{meaning}",
        schema.name, schema.size, schema.align
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::samples::*;

    #[test] // R5
    fn boxes_are_spelled_inside_containers_as_their_content() {
        let map = container("SharedMap", &[leaf("SharedBytes", 16), boxed("Entry")]);
        let own = |name: &str| name.to_owned();
        assert_eq!(spell(&map, &own), "SharedMap<SharedBytes, Entry>");
        assert_eq!(spell(&boxed("Value"), &own), "Versioned<Value>");
        let named = container("SharedVec<Entry>", &[boxed("Entry")]);
        assert_eq!(
            spell(&named, &|n| format!("crate::{n}")),
            "SharedVec<crate::Entry>"
        );
        let pair = container("(u8, u8)", &[leaf("u8", 1), leaf("u8", 1)]);
        assert_eq!(spell(&pair, &own), "(u8, u8)");
    }

    #[test]
    fn differing_lines_are_marked() {
        let a = record("Stats", &[("hits", leaf("u64", 8))]);
        let b = record("Stats", &[("hits", leaf("u32", 4))]);
        let text = side_by_side(("stated", &a), ("frozen", &b));
        assert_eq!(text.matches('≠').count(), 1, "{text}");
        assert!(text.contains("+0 hits: u64 (8 bytes)") && text.contains("+0 hits: u32 (4 bytes)"));
    }

    #[test]
    fn layouts_too_wide_for_a_terminal_stand_one_below_the_other() {
        let wide =
            |name: &str| record("Stats", &[(name, leaf("u64", 8)), ("hits", leaf("u64", 8))]);
        let long = "a_field_whose_name_takes_nearly_all_of_a_line";
        let text = side_by_side(("v1", &wide(long)), ("v2", &wide("b")));
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        let marked: Vec<_> = text.lines().filter(|line| line.contains('≠')).collect();
        assert_eq!(marked.len(), 2, "{text}");
    }
}
