//! What a shared node costs beside `Rc<RefCell<T>>`, in the same run: to read, edit, clone and drop a
//! handle, make a node, and go along a path of them.
//!
//! `cargo bench -p dsu-runtime --bench rc`. Each row is the median of interleaved rounds, with the first
//! and the ninth decile; ratios are of the same round.
#![allow(missing_docs)]
#![allow(unsafe_code)] // binds itself as a library

use dsu_runtime::prelude::*;
use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;
use std::time::Instant;

mod alone;

dsu_runtime::version! { app: "bench-rc", version: 1 }

const ROUNDS: usize = 301;
const STEPS: u32 = 4_000;
/// Nodes in a path.
const PATH: u32 = 1_000;

#[derive(Shared)]
pub struct Node {
    number: u64,
    next: Option<SharedRc<Node>>,
}

struct Plain {
    number: u64,
    next: Option<Rc<RefCell<Plain>>>,
}

#[guards(first: Option<SharedRc<Node>>)]
static PATHS: GuardMutex;

fn ns_each(steps: u32, mut step: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..steps).for_each(|_| step());
    start.elapsed().as_nanos() as f64 / f64::from(steps)
}

/// Median, first and ninth decile.
fn spread(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [5, 1, 9].map(|tenth| values[(values.len() - 1) * tenth / 10])
}

fn row(what: &str, mut node: impl FnMut() -> f64, mut rc: impl FnMut() -> f64) {
    let rounds: Vec<[f64; 2]> = (0..ROUNDS).map(|_| [node(), rc()]).collect();
    let [ours, first, ninth] = spread(rounds.iter().map(|round| round[0]));
    let [theirs, ..] = spread(rounds.iter().map(|round| round[1]));
    let [ratio, low, high] = spread(rounds.iter().map(|round| round[0] / round[1]));
    println!(
        "{what:24} {ours:6.1} ns ({first:.1} to {ninth:.1})   Rc<RefCell> {theirs:5.1}   ratio {ratio:5.2} ({low:.2} to {high:.2})"
    );
}

fn node(number: u64, next: Option<SharedRc<Node>>) -> SharedRc<Node> {
    SharedRc::new(Node { number, next }).expect("room, and the guard is held")
}

fn plain(number: u64, next: Option<Rc<RefCell<Plain>>>) -> Rc<RefCell<Plain>> {
    Rc::new(RefCell::new(Plain { number, next }))
}

#[dsu::worker]
fn measure(cx: &mut Worker, _: ()) -> Step<()> {
    let mut guard = PATHS.lock(cx).expect("nobody else is there");
    let (ours, theirs) = (node(1, None), plain(1, None));
    row(
        "read",
        || {
            ns_each(STEPS, || {
                let number = black_box(&ours).read(|value| value.number);
                black_box(number.expect("its own form"));
            })
        },
        || {
            ns_each(STEPS, || {
                black_box(black_box(&theirs).borrow().number);
            })
        },
    );
    row(
        "edit",
        || {
            ns_each(STEPS, || {
                let edited = black_box(&ours).edit(|value| value.number += 1);
                edited.expect("its own form");
            })
        },
        || ns_each(STEPS, || black_box(&theirs).borrow_mut().number += 1),
    );
    row(
        "clone and drop",
        || {
            ns_each(STEPS, || {
                drop(black_box(ours.try_clone()).expect("the guard is held"));
            })
        },
        || ns_each(STEPS, || drop(black_box(Rc::clone(&theirs)))),
    );
    row(
        "make and drop",
        || ns_each(STEPS, || drop(black_box(node(1, None)))),
        || ns_each(STEPS, || drop(black_box(plain(1, None)))),
    );
    let mut other = plain(0, None);
    guard.first = Some(node(0, None));
    for number in 1..u64::from(PATH) {
        guard.first = Some(node(number, guard.first.take()));
        other = plain(number, Some(other));
    }
    row(
        "step along a path",
        || {
            let mut at = guard
                .first
                .as_ref()
                .map(|first| first.try_clone().expect("held"));
            ns_each(PATH, || {
                let next = at.as_ref().map(|node| {
                    let next = node.read(|value| value.next.as_ref().map(SharedRc::try_clone));
                    next.expect("its own form")
                });
                at = next.flatten().map(|next| next.expect("held"));
            })
        },
        || {
            let mut at = Some(Rc::clone(&other));
            ns_each(PATH, || {
                at = at.as_ref().and_then(|node| node.borrow().next.clone());
            })
        },
    );
    drop(ours);
    guard.first = None;
    drop(guard);
    Ok(Crossing::new("end", ()))
}

fn main() {
    alone::alone(measure);
}
