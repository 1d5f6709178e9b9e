//! Source text as rustfmt would leave it: names, sentences over several lines, fields, long types.
//! Knows nothing of versions.

use std::fmt::Write;

/// Columns of a line.
const WIDTH: usize = 100;
/// Before the types of a tuple struct's fields.
const VISIBLE: &str = "pub(crate) ";
/// Columns that the parts of a tuple may have to stand in one line.
const TUPLE_WIDTH: usize = 60;
/// Columns that the fields of a variant may have to stand in its line.
const VARIANT_WIDTH: usize = 35;

const KEYWORDS: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "dyn", "else", "enum", "extern", "false",
    "fn", "for", "gen", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut", "pub",
    "ref", "return", "static", "struct", "trait", "true", "type", "unsafe", "use", "where",
    "while", "abstract", "become", "box", "do", "final", "macro", "override", "priv", "try",
    "typeof", "unsized", "virtual", "yield",
];

/// A name as source has it: schemas have the names of fields without `r#`.
pub fn ident(name: &str) -> String {
    match KEYWORDS.contains(&name) {
        true => format!("r#{name}"),
        false => name.to_owned(),
    }
}

/// The name of a type made of any text: `Pair<u64>` is `PairU64`.
pub fn type_ident(text: &str) -> String {
    let mut name = String::new();
    for word in text.split(|c: char| !c.is_alphanumeric() && c != '_') {
        let mut letters = word.chars();
        if let Some(first) = letters.next() {
            name.extend(first.to_uppercase());
            name.push_str(letters.as_str());
        }
    }
    match name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        true => name,
        false => format!("T{name}"),
    }
}

/// A sentence as a string literal, `indent` columns from the margin, over as many lines as it takes.
fn literal(sentence: &str, indent: usize) -> String {
    let escaped = sentence.replace('\\', "\\\\").replace('"', "\\\"");
    let pad = " ".repeat(indent);
    let mut text = format!("{pad}\"");
    let mut column = indent + 1;
    for (index, word) in escaped.split(' ').enumerate() {
        let room = column + word.chars().count() + 3;
        if index > 0 && room > WIDTH {
            let _ = write!(text, " \\\n{pad} ");
            column = indent + 1;
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.chars().count();
    }
    text + "\""
}

/// `head("sentence")tail`, in one line if there is room.
fn asked(indent: usize, head: &str, sentence: &str, tail: &str) -> String {
    let pad = " ".repeat(indent);
    let short = format!("{pad}{head}{}{tail}\n", literal(sentence, 0));
    if !short.trim_end().contains('\n') && short.trim_end().chars().count() <= WIDTH {
        return short;
    }
    let inside = literal(sentence, indent + 4);
    format!("{pad}{head}\n{inside}\n{pad}{tail}\n")
}

/// A question beside a field, a variant or a type.
pub fn question(indent: usize, sentence: &str) -> String {
    asked(indent, "#[lens(compile_error!(", sentence, "))]")
}

/// A question that stands by itself.
pub fn question_item(sentence: &str) -> String {
    asked(0, "compile_error!(", sentence, ");")
}

/// A question in the place of a value.
pub fn question_expression(indent: usize, sentence: &str) -> String {
    asked(indent, "compile_error!(", sentence, ")")
}

/// A question in the place of a field's value: `name: compile_error!(…),`.
pub fn question_value(indent: usize, name: &str, sentence: &str) -> String {
    asked(indent, &format!("{name}: compile_error!("), sentence, "),")
}

/// `#[lens(…)]` with all options, in one line or one for each.
pub fn options(indent: usize, options: &[String]) -> String {
    let pad = " ".repeat(indent);
    let all = format!("{pad}#[lens({})]\n", options.join(", "));
    if all.trim_end().chars().count() <= WIDTH {
        return all;
    }
    let each = options
        .iter()
        .map(|option| format!("{pad}#[lens({option})]\n"));
    each.collect()
}

/// The line of a field, or its lines: `name: Type,`.
pub fn field(indent: usize, name: &str, ty: &str) -> String {
    let pad = " ".repeat(indent);
    let fits = |text: &str| text.chars().count() < WIDTH && !has_wide_tuple(ty);
    let short = format!("{pad}{name}: {ty}");
    if fits(&short) {
        return format!("{short},\n");
    }
    let below = format!("{pad}    {ty}");
    if fits(&below) {
        return format!("{pad}{name}:\n{below},\n");
    }
    let column = indent + name.chars().count() + 2;
    format!("{pad}{name}: {},\n", broken(ty, column, indent))
}

/// `head ty;`, over several lines if it must be.
pub fn statement(indent: usize, head: &str, ty: &str) -> String {
    let pad = " ".repeat(indent);
    let column = indent + head.chars().count() + 1;
    format!("{pad}{head} {};\n", broken(ty, column, indent))
}

/// `let name = Path { … };`, in one line if what is inside is short; `asked` are lines of fields whose
/// values are questions.
pub fn let_literal(
    indent: usize,
    name: &str,
    path: &str,
    fields: &[(String, String)],
    asked: &str,
) -> String {
    const LITERAL_WIDTH: usize = 18;
    let pad = " ".repeat(indent);
    let each = fields.iter().map(|(field, value)| match field == value {
        true => field.clone(),
        false => format!("{field}: {value}"),
    });
    let each: Vec<String> = each.collect();
    let inside = each.join(", ");
    if asked.is_empty() && inside.chars().count() <= LITERAL_WIDTH {
        return format!("{pad}let {name} = {path} {{ {inside} }};\n");
    }
    let lines: String = each
        .iter()
        .map(|line| format!("{pad}    {line},\n"))
        .collect();
    format!("{pad}let {name} = {path} {{\n{lines}{asked}{pad}}};\n")
}

/// A type over several lines, if it must be.
fn broken(ty: &str, column: usize, indent: usize) -> String {
    if let Some(field) = ty.strip_prefix(VISIBLE) {
        return format!("{VISIBLE}{}", broken(field, column + VISIBLE.len(), indent));
    }
    if column + ty.chars().count() < WIDTH && !has_wide_tuple(ty) {
        return ty.to_owned();
    }
    let (head, inside, end) = match (ty.find('<'), ty.strip_prefix('(')) {
        (_, Some(rest)) => ("(", rest.strip_suffix(')'), ")"),
        (Some(at), None) => (&ty[..=at], ty[at + 1..].strip_suffix('>'), ">"),
        (None, None) => return ty.to_owned(),
    };
    let Some(inside) = inside else {
        return ty.to_owned();
    };
    let pad = " ".repeat(indent);
    let mut text = format!("{head}\n");
    for part in parts(inside) {
        let _ = writeln!(text, "{pad}    {},", broken(part, indent + 4, indent + 4));
    }
    text + &pad + end
}

/// Whether the parts of a tuple, somewhere in the type, are too long for one line.
fn has_wide_tuple(ty: &str) -> bool {
    let mut open = Vec::new();
    for (at, sign) in ty.char_indices() {
        match sign {
            '(' => open.push(at),
            ')' if open.pop().is_some_and(|from| at - from - 1 > TUPLE_WIDTH) => return true,
            _ => {}
        }
    }
    false
}

/// What commas separate, but for those inside of brackets.
pub fn parts(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut all) = (0_usize, 0, Vec::new());
    for (at, sign) in list.char_indices() {
        match sign {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                all.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    all.push(list[start..].trim());
    all.retain(|part| !part.is_empty());
    all
}

/// `head(parts)tail`, in one line or one for each part.
pub fn tuple(indent: usize, head: &str, parts: &[String], tail: &str) -> String {
    let pad = " ".repeat(indent);
    let inside = parts.join(", ");
    let short = format!("{pad}{head}({inside}){tail}\n");
    let is_narrow = inside.chars().count() <= TUPLE_WIDTH && !has_wide_tuple(&inside);
    if is_narrow && short.trim_end().chars().count() <= WIDTH {
        return short;
    }
    let each: String = parts
        .iter()
        .map(|part| format!("{pad}    {},\n", broken(part, indent + 4, indent + 4)))
        .collect();
    format!("{pad}{head}(\n{each}{pad}){tail}\n")
}

/// One variant of an enum.
pub struct Variant {
    /// Lines before it.
    pub attributes: String,
    pub name: String,
    pub payload: Payload,
    /// What follows, as ` = 1`.
    pub discriminant: String,
}

pub enum Payload {
    None,
    Tuple(Vec<String>),
    /// Each field: its attributes, its name, its type.
    Struct(Vec<(String, String, String)>),
}

/// The lines of all variants. Fields with names stand in the line of their variant unless some variants
/// take one line, and some several.
pub fn variants(all: &[Variant]) -> String {
    let lines: Vec<String> = all.iter().map(|variant| one(variant, true)).collect();
    let is_one_line = |text: &String| text.trim_end().lines().count() == 1;
    let are_mixed = lines.iter().any(is_one_line) && !lines.iter().all(is_one_line);
    match are_mixed {
        false => lines.concat(),
        true => all.iter().map(|variant| one(variant, false)).collect(),
    }
}

fn one(variant: &Variant, may_be_short: bool) -> String {
    let Variant {
        attributes,
        name,
        payload,
        discriminant,
    } = variant;
    let tail = format!("{discriminant},");
    let text = match payload {
        Payload::None => format!("    {name}{tail}\n"),
        Payload::Tuple(types) => tuple(4, name, types, &tail),
        Payload::Struct(fields) => {
            let bare = fields.iter().all(|(attributes, ..)| attributes.is_empty());
            let each = fields.iter().map(|(_, name, ty)| format!("{name}: {ty}"));
            let inside = each.collect::<Vec<_>>().join(", ");
            if bare && may_be_short && inside.chars().count() <= VARIANT_WIDTH {
                format!("    {name} {{ {inside} }}{tail}\n")
            } else {
                let each = fields
                    .iter()
                    .map(|(attributes, name, ty)| attributes.clone() + &field(8, name, ty));
                format!("    {name} {{\n{}    }}{tail}\n", each.collect::<String>())
            }
        }
    };
    attributes.clone() + &text
}
