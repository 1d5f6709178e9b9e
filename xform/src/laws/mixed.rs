//! Elements that two versions use side by side, in one process: the harness for mixed edits (R36).
//!
//! Owns how an element is held between touches, as a server with boxes of their own holds it: in the form of whoever had it
//! last, with what was kept beside it.

use std::fmt::Debug;

use super::{Broken, Law, Side, Tally};
use crate::{ErrorKind, Image, Lens, LensError};

/// An element in the form of whoever had it last, with what was kept when it crossed.
pub enum Held<L: Lens> {
    /// In the older form.
    Older(L::Left, Option<L::Complement>),
    /// In the newer form.
    Newer(L::Right, Option<L::Complement>),
}

impl<L: Lens> Held<L> {
    /// In the older form, as older code wants it.
    ///
    /// # Errors
    /// What the lens says of it.
    pub fn older(self, lens: &L) -> Result<(L::Left, Option<L::Complement>), LensError> {
        match self {
            Held::Older(left, kept) => Ok((left, kept)),
            Held::Newer(right, kept) => {
                let (left, kept) = lens.backward(right, kept)?;
                Ok((left, some_unless_vacant(lens, kept)))
            }
        }
    }

    /// In the newer form, as newer code wants it.
    ///
    /// # Errors
    /// What the lens says of it.
    pub fn newer(self, lens: &L) -> Result<(L::Right, Option<L::Complement>), LensError> {
        match self {
            Held::Newer(right, kept) => Ok((right, kept)),
            Held::Older(left, kept) => {
                let (right, kept) = lens.forward(left, kept)?;
                Ok((right, some_unless_vacant(lens, kept)))
            }
        }
    }

    fn copy(&self) -> Result<Self, LensError>
    where
        L::Left: Image,
        L::Right: Image,
        L::Complement: Image,
    {
        let copy = |kept: &Option<L::Complement>| kept.as_ref().map(Image::duplicate).transpose();
        Ok(match self {
            Held::Older(left, kept) => Held::Older(left.duplicate()?, copy(kept)?),
            Held::Newer(right, kept) => Held::Newer(right.duplicate()?, copy(kept)?),
        })
    }
}

/// What is vacant is not stored.
fn some_unless_vacant<L: Lens>(lens: &L, kept: L::Complement) -> Option<L::Complement> {
    (!lens.is_vacant(&kept)).then_some(kept)
}

impl<L: Lens> Debug for Held<L>
where
    L::Left: Debug,
    L::Right: Debug,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Held::Older(left, _) => f.debug_tuple("Older").field(left).finish(),
            Held::Newer(right, _) => f.debug_tuple("Newer").field(right).finish(),
        }
    }
}

/// What a worker of one version does to an element.
pub enum Touch<'a, A, B> {
    /// Older code edits it in place: what was kept stays with it (R6).
    EditOlder(&'a dyn Fn(&mut A)),
    /// Newer code edits it in place.
    EditNewer(&'a dyn Fn(&mut B)),
    /// Older code puts another value there: what was kept is gone (R6).
    ReplaceOlder(A),
    /// Newer code puts another value there.
    ReplaceNewer(B),
}

/// A touch of a value of a lens.
pub type TouchOf<'a, L> = Touch<'a, <L as Lens>::Left, <L as Lens>::Right>;

impl<A, B> Touch<'_, A, B> {
    fn side(&self) -> Side {
        match self {
            Touch::EditOlder(_) | Touch::ReplaceOlder(_) => Side::Left,
            Touch::EditNewer(_) | Touch::ReplaceNewer(_) => Side::Right,
        }
    }
}

/// Runs `touches`, each of the element of its index modulo their number, over elements that start in the older form; once
/// so that only the touched element crosses, and once so that at each touch all of them do. Both must end alike, on either
/// side: then it does not matter who touched what in between, nor how often an element crossed unseen.
///
/// A touch that the lens declines is left out of both. A part that is added computed from the rest is computed when it first
/// crosses, and so does depend on when: touches must not write what it is computed of.
///
/// # Errors
/// `Broken` with [`Law::LazyIsEager`], or with [`Law::Defined`] if the lens fails.
pub fn mixed<L>(
    lens: &L,
    start: &[L::Left],
    touches: &[(usize, TouchOf<'_, L>)],
) -> Result<Tally, Broken>
where
    L: Lens,
    L::Left: Image + Debug,
    L::Right: Image + Debug,
    L::Complement: Image,
{
    let mut tally = Tally::default();
    let held = |left: &L::Left| left.duplicate().map(|left| Held::Older(left, None));
    let all = || start.iter().map(held).collect::<Result<Vec<Held<L>>, _>>();
    let (Ok(mut lazy), Ok(mut eager)) = (all(), all()) else {
        tally.declined += 1;
        return Ok(tally);
    };
    for (index, touch) in touches {
        if start.is_empty() {
            break;
        }
        let index = index % start.len();
        match touched(lens, &lazy[index], touch).map_err(|error| defined(start, &error))? {
            Some(next) => lazy[index] = next,
            None => {
                tally.declined += 1;
                continue;
            }
        }
        for held in &mut eager {
            if let Some(next) = at(lens, held, touch.side()).map_err(|e| defined(start, &e))? {
                *held = next;
            }
        }
        if let Some(next) =
            touched(lens, &eager[index], touch).map_err(|error| defined(start, &error))?
        {
            eager[index] = next;
        }
        tally.held += 1;
    }
    for (lazy, eager) in lazy.iter().zip(&eager) {
        for side in [Side::Right, Side::Left] {
            let ended = |held| at(lens, held, side).map_err(|error| defined(start, &error));
            if let (Some(found), Some(expected)) = (ended(lazy)?, ended(eager)?)
                && !same(&found, &expected)
            {
                return Err(Broken {
                    law: Law::LazyIsEager,
                    side: Side::Left,
                    start: format!("{start:?}"),
                    expected: format!("{expected:?}"),
                    found: format!("{found:?}"),
                });
            }
        }
    }
    Ok(tally)
}

fn defined(start: &(impl Debug + ?Sized), error: &LensError) -> Broken {
    Broken {
        law: Law::Defined,
        side: Side::Left,
        start: format!("{start:?}"),
        expected: "a value".to_owned(),
        found: error.to_string(),
    }
}

fn same<L: Lens>(found: &Held<L>, expected: &Held<L>) -> bool
where
    L::Left: Image,
    L::Right: Image,
{
    match (found, expected) {
        (Held::Older(found, _), Held::Older(expected, _)) => found.matches(expected),
        (Held::Newer(found, _), Held::Newer(expected, _)) => found.matches(expected),
        _ => false,
    }
}

/// A copy of the element on a side, if it has a form there and there is memory for it.
fn at<L>(lens: &L, held: &Held<L>, side: Side) -> Result<Option<Held<L>>, LensError>
where
    L: Lens,
    L::Left: Image,
    L::Right: Image,
    L::Complement: Image,
{
    let crossed = held.copy().and_then(|copy| match side {
        Side::Left => copy
            .older(lens)
            .map(|(value, kept)| Held::Older(value, kept)),
        Side::Right => copy
            .newer(lens)
            .map(|(value, kept)| Held::Newer(value, kept)),
    });
    match crossed {
        Ok(held) => Ok(Some(held)),
        Err(error) if error.kind() == ErrorKind::Failed => Err(error),
        Err(_) => Ok(None),
    }
}

fn touched<L>(
    lens: &L,
    held: &Held<L>,
    touch: &Touch<'_, L::Left, L::Right>,
) -> Result<Option<Held<L>>, LensError>
where
    L: Lens,
    L::Left: Image,
    L::Right: Image,
    L::Complement: Image,
{
    match touch {
        Touch::ReplaceOlder(value) => Ok(value.duplicate().ok().map(|v| Held::Older(v, None))),
        Touch::ReplaceNewer(value) => Ok(value.duplicate().ok().map(|v| Held::Newer(v, None))),
        Touch::EditOlder(edit) => Ok(at(lens, held, Side::Left)?.map(|mut held| {
            if let Held::Older(value, _) = &mut held {
                edit(value);
            }
            held
        })),
        Touch::EditNewer(edit) => Ok(at(lens, held, Side::Right)?.map(|mut held| {
            if let Held::Newer(value, _) = &mut held {
                edit(value);
            }
            held
        })),
    }
}
