//! Failed transformations, told to the supervisor (R28).
//!
//! Owns how a report looks and that there are not too many of them: a broken lens fails at every access.

use super::named;
use crate::abi::{ReportKind, Representation, TypeRegistration, WorkerContext};
use crate::error::AccessError;
use crate::ids::Tag;
use crate::sys::time::Nanos;
use serde_json::json;
use std::cell::Cell;
use std::time::Duration;

/// Between two reports about the same pair of representations.
const BETWEEN_REPORTS: Duration = Duration::from_secs(1);
/// Pairs that are remembered; with more that fail, the oldest may be told more often.
const PAIRS: usize = 16;

/// When a pair was last told.
type Told = (Tag, Tag, Nanos);

thread_local! {
    static TOLD: Cell<([Option<Told>; PAIRS], usize)> = const { Cell::new(([None; PAIRS], 0)) };
    /// A question to whoever knows guards.
    static HELD: Cell<HeldGuards> = const { Cell::new(|_| String::new()) };
}

/// `in GUARD.item`, of the item that this address is in; `under GUARD, OTHER`, those that this worker holds, if it is
/// in none; nothing where none is held.
pub(crate) type HeldGuards = fn(Option<usize>) -> String;

/// Says who knows which guards this worker holds. Asked only when something has failed.
pub(crate) fn ask_for_guards(held: HeldGuards) {
    HELD.set(held);
}

/// Whether it is time to tell of this pair; then it is noted as told.
fn is_due(from: Tag, to: Tag, now: Nanos) -> bool {
    TOLD.with(|told| {
        let (mut pairs, mut next) = told.get();
        let known = pairs
            .iter_mut()
            .flatten()
            .find(|(f, t, _)| (*f, *t) == (from, to));
        let is_due = match known {
            Some((_, _, at)) if now.since(*at) < BETWEEN_REPORTS => false,
            Some((_, _, at)) => {
                *at = now;
                true
            }
            None => {
                pairs[next] = Some((from, to, now));
                next = (next + 1) % PAIRS;
                true
            }
        };
        told.set((pairs, next));
        is_due
    })
}

/// `forward` where the way from one representation to another begins with an older side.
pub(crate) fn direction(from: Tag, to: Tag) -> &'static str {
    let entry = Representation::of(from);
    let mut ways = entry.converters.iter().filter(|way| way.target != 0);
    let way = entry.converter_to(to).or_else(|| ways.next());
    match way {
        Some(way) if !way.forward => "backward",
        _ => "forward",
    }
}

/// Tells the supervisor that the items of `guard` could not be transformed.
pub(crate) fn report_guard(guard: &str, from: Tag, to: Tag, reason: &str) {
    if is_due(from, to, Nanos::now()) {
        tell(&format!("guard {guard}"), direction(from, to), reason);
    }
}

/// Tells the supervisor of an element whose transformer failed, and gives the error the element's name. One
/// that has no form on the other side is no failure (R11), nor is a full heap.
pub(super) fn name_element(from: Tag, to: Tag, error: AccessError) -> AccessError {
    let AccessError::Failed(reason) = error else {
        return error;
    };
    let what = element(from, to);
    if is_due(from, to, Nanos::now()) {
        tell(&what, direction(from, to), &reason);
    }
    match what.is_empty() {
        true => AccessError::Failed(reason),
        false => AccessError::Failed(format!("{what}: {reason}")),
    }
}

/// `Jar, key "plums", in LARDER.jars`: as much of it as is known.
fn element(from: Tag, to: Tag) -> String {
    let of_type = inventory::iter::<TypeRegistration>
        .into_iter()
        .find(|ty| [from, to].contains(&ty.tag.get()));
    let place = named::place();
    let container = place.as_ref().map(|place| place.container.addr());
    let parts = [
        of_type.map_or("", |ty| ty.name).to_owned(),
        place.map_or_else(String::new, |place| place.name),
        HELD.get()(container),
    ];
    let known: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    known.join(", ")
}

fn tell(what: &str, direction: &str, reason: &str) {
    let content = json!({ "what": what, "direction": direction, "reason": reason });
    WorkerContext::current().report(ReportKind::TransformFailed, &content.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    // R28
    #[test]
    fn a_pair_is_told_of_once_a_second_and_each_way_for_itself() {
        let (a, b, start) = (Tag(60_001), Tag(60_002), Nanos::now());
        let later = |millis| start.after(Duration::from_millis(millis));
        assert!(is_due(a, b, start));
        assert!(!is_due(a, b, later(999)));
        assert!(is_due(b, a, later(999)));
        assert!(is_due(a, b, later(1000)));
        assert!(!is_due(a, b, later(1001)));
    }
}
