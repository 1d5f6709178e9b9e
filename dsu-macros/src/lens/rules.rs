//! What becomes of each field: the attributes of both sides turned into rules that mention every field once.

use super::Context;
use super::options::{FieldOptions, Regroup, TypeOptions};
use super::report;
use super::via::Via;
use crate::errors::Errors;
use crate::shared::field_name;
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{Expr, ExprClosure, Fields, Ident, Index, Member};

/// A side of the lens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Older,
    Newer,
}

impl Side {
    pub fn other(self) -> Side {
        match self {
            Side::Older => Side::Newer,
            Side::Newer => Side::Older,
        }
    }
}

/// A field of one side.
pub struct Field<'a> {
    pub key: String,
    pub member: Member,
    /// Its type, as this expansion can name it.
    pub ty: TokenStream,
    pub field: &'a syn::Field,
    /// What its value is bound to, which no name of the author's can meet.
    pub bound: Ident,
}

impl<'a> Field<'a> {
    /// The fields of a side, of a struct or of a variant.
    pub fn all(
        context: &Context,
        side: Side,
        variant: Option<&Ident>,
        fields: &'a Fields,
    ) -> Vec<Field<'a>> {
        let all = fields.iter().enumerate().map(|(index, field)| {
            let key = field_name(field, index);
            let member = match &field.ident {
                Some(ident) => Member::Named(ident.clone()),
                None => Member::Unnamed(Index::from(index)),
            };
            let (ty, prefix) = match side {
                Side::Older => (context.older_type(variant, &key, &field.ty), "older"),
                Side::Newer => (field.ty.to_token_stream(), "newer"),
            };
            Field {
                bound: format_ident!("__{prefix}_{key}", span = Span::mixed_site()),
                key,
                member,
                ty,
                field,
            }
        });
        all.collect()
    }
}

/// What becomes of some fields; those of each side by index.
pub struct Rule {
    pub lefts: Vec<usize>,
    pub rights: Vec<usize>,
    pub kind: Kind,
    /// The field, on both sides, whose being written ends what is kept.
    pub watched: Option<(usize, usize)>,
}

pub enum Kind {
    Move,
    Via(Via),
    /// Only this side has it.
    OneSided(Side, Option<Expr>),
    /// This side computes it from the fields that the closure's parameters name.
    Derived(Side, ExprClosure),
    Regroup(Regroup),
}

impl Rule {
    fn new(lefts: Vec<usize>, rights: Vec<usize>, kind: Kind) -> Rule {
        Rule {
            lefts,
            rights,
            kind,
            watched: None,
        }
    }
}

/// Fields of which each is to be taken once.
struct Taking<'a, 'b> {
    fields: &'b [Field<'a>],
    side: &'static str,
    taken: Vec<bool>,
}

impl<'a, 'b> Taking<'a, 'b> {
    fn new(fields: &'b [Field<'a>], side: &'static str) -> Self {
        Taking {
            fields,
            side,
            taken: vec![false; fields.len()],
        }
    }

    fn find(&self, key: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.key == key)
    }

    /// The field called `member`, which nobody may take again.
    fn take(&mut self, member: &Member, errors: &mut Errors) -> Option<usize> {
        let key = name(member);
        let Some(index) = self.find(&key) else {
            errors.at(
                member,
                format!("the {} type has no field `{key}`", self.side),
            );
            return None;
        };
        if std::mem::replace(&mut self.taken[index], true) {
            errors.at(
                member,
                format!("`{key}` of the {} type is used twice", self.side),
            );
            return None;
        }
        Some(index)
    }

    fn take_all(&mut self, members: &[Member], errors: &mut Errors) -> Option<Vec<usize>> {
        let all: Vec<_> = members.iter().map(|m| self.take(m, errors)).collect();
        all.into_iter().collect()
    }
}

fn name(member: &Member) -> String {
    match member {
        Member::Named(ident) => syn::ext::IdentExt::unraw(ident).to_string(),
        Member::Unnamed(index) => index.index.to_string(),
    }
}

/// The rules of a struct, or of a variant, for which there are no options of the type.
pub fn rules(
    context: &Context,
    olds: &[Field],
    news: &[Field],
    options: Option<&TypeOptions>,
    errors: &mut Errors,
) -> Vec<Rule> {
    let mut older = Taking::new(olds, "older");
    let mut newer = Taking::new(news, "newer");
    let mut rules = Vec::new();
    if let Some(options) = options {
        of_type(options, &mut older, &mut newer, &mut rules, errors);
    }
    let options: Vec<_> = news
        .iter()
        .map(|field| FieldOptions::read(&field.field.attrs, errors))
        .collect();
    // Those that say which field they were go first, so that two may exchange their names.
    let renamed = |index: &usize| options[*index].rename.is_none();
    let mut order: Vec<usize> = (0..news.len()).collect();
    order.sort_by_key(renamed);
    let mut left_over = Vec::new();
    for right in order {
        if std::mem::replace(&mut newer.taken[right], true) {
            continue;
        }
        let options = &options[right];
        if let Some(closure) = &options.derived {
            rules.push(Rule::new(
                vec![],
                vec![right],
                Kind::Derived(Side::Newer, closure.clone()),
            ));
        } else if let Some(default) = &options.add {
            let kind = Kind::OneSided(Side::Newer, default.clone());
            rules.push(Rule::new(vec![], vec![right], kind));
        } else {
            let was = options
                .rename
                .clone()
                .unwrap_or_else(|| news[right].member.clone());
            let is_there = older
                .find(&name(&was))
                .is_some_and(|left| !older.taken[left]);
            if !is_there && options.rename.is_none() {
                left_over.push(right);
                continue;
            }
            let Some(left) = older.take(&was, errors) else {
                continue;
            };
            let kind = options.via.clone().map_or(Kind::Move, Kind::Via);
            rules.push(Rule::new(vec![left], vec![right], kind));
        }
    }
    let forgotten: Vec<usize> = (0..olds.len()).filter(|&left| !older.taken[left]).collect();
    for &right in &left_over {
        report::newer_left_over(context, olds, news, right, &forgotten, errors);
    }
    for &left in &forgotten {
        report::older_left_over(context, olds, news, left, &left_over, errors);
    }
    watch(&options, news, &mut rules, errors);
    // In the order of the newer fields, so that the complement does not depend on how attributes are written.
    rules.sort_by_key(|rule| {
        (
            rule.rights.first().copied().unwrap_or(usize::MAX),
            rule.lefts.first().copied(),
        )
    });
    rules
}

/// What the attributes on the type say.
fn of_type(
    options: &TypeOptions,
    older: &mut Taking,
    newer: &mut Taking,
    rules: &mut Vec<Rule>,
    errors: &mut Errors,
) {
    for group in &options.groups {
        let lefts = older.take_all(&group.lefts, errors);
        let rights = newer.take_all(&group.rights, errors);
        if let (Some(lefts), Some(rights)) = (lefts, rights) {
            rules.push(Rule::new(lefts, rights, Kind::Via(group.via.clone())));
        }
    }
    for regroup in &options.regroups {
        let members = |parts: &[super::options::Part]| -> Vec<Member> {
            parts
                .iter()
                .map(|part| Member::Named(part.field.clone()))
                .collect()
        };
        let lefts = older.take_all(&members(&regroup.lefts), errors);
        let rights = newer.take_all(&members(&regroup.rights), errors);
        if let (Some(lefts), Some(rights)) = (lefts, rights) {
            rules.push(Rule::new(lefts, rights, Kind::Regroup(regroup.clone())));
        }
    }
    for (member, default) in &options.drops {
        if let Some(left) = older.take(member, errors) {
            let kind = Kind::OneSided(Side::Older, default.clone());
            rules.push(Rule::new(vec![left], vec![], kind));
        }
    }
    for (member, closure) in &options.derived {
        if let Some(left) = older.take(member, errors) {
            let kind = Kind::Derived(Side::Older, closure.clone());
            rules.push(Rule::new(vec![left], vec![], kind));
        }
    }
}

/// `reset_when_written` names a newer field that has one older form.
fn watch(options: &[FieldOptions], news: &[Field], rules: &mut [Rule], errors: &mut Errors) {
    for (right, options) in options.iter().enumerate() {
        let Some(written) = &options.reset_when_written else {
            continue;
        };
        let watched = rules
            .iter()
            .find_map(|rule| match (&rule.lefts[..], &rule.rights[..]) {
                (&[left], &[of]) if news[of].key == written.value() && of != right => {
                    Some((left, of))
                }
                _ => None,
            });
        let keeps = rules.iter_mut().find(|rule| {
            rule.rights.contains(&right) && matches!(rule.kind, Kind::Via(_) | Kind::OneSided(..))
        });
        match (watched, keeps) {
            (Some(watched), Some(rule)) => rule.watched = Some(watched),
            (None, _) => errors.at(
                written,
                "no other field of this name, with a form of its own on the older side, can be watched",
            ),
            (_, None) => errors.at(written, "nothing is kept of this field that could be reset"),
        }
    }
}

/// `Older { a: …, b: … }`, as pattern or expression.
pub fn record(path: &TokenStream, fields: &[Field]) -> TokenStream {
    let members = fields.iter().map(|field| {
        let (member, bound) = (&field.member, &field.bound);
        quote! { #member: #bound }
    });
    quote! { #path { #(#members),* } }
}
