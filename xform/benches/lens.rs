//! What a derived lens costs beside the loop that one would write by hand, and a chain of three beside three crossings.
//!
//! `cargo bench -p xform`. Peers run in the same process, in turns; the ratio is that of the fastest turns. A vector of a
//! million is mostly the kernel's work, which hands out the memory for the new one and for what is kept; vectors of a
//! thousand, as many as make a million, show the lens.

use std::hint::black_box;
use std::time::{Duration, Instant};

use xform::{Kept, Lens, chain, each};

const ELEMENTS: u64 = 1_000_000;
const TURNS: usize = 21;

mod v1 {
    #[derive(Clone, xform::Lens)]
    pub struct Entry {
        pub value: u64,
        pub hits: u32,
        pub flags: u32,
    }
}

mod v2 {
    #[derive(Clone, xform::Lens)]
    #[lens(from = super::v1::Entry, drop(flags))]
    pub struct Entry {
        pub value: u64,
        #[lens(rename = hits)]
        pub reads: u32,
        #[lens(add = u64::MAX)]
        pub expires_at_ms: u64,
    }
}

mod moved {
    #[derive(Clone, xform::Lens)]
    #[lens(from = super::v1::Entry)]
    pub struct Entry {
        pub value: u64,
        #[lens(rename = hits, exact(|hits: u32| Ok(u64::from(hits)), |reads: u64| Ok(reads as u32)))]
        pub reads: u64,
        pub flags: u32,
    }
}

mod v3 {
    #[derive(Clone, xform::Lens)]
    #[lens(from = super::v2::Entry)]
    pub struct Entry {
        pub value: u64,
        #[lens(exact(|reads: u32| Ok(u64::from(reads)), |reads: u64| Ok(reads as u32)))]
        pub reads: u64,
        pub expires_at_ms: u64,
    }
}

mod v4 {
    #[derive(Clone, xform::Lens)]
    #[lens(from = super::v3::Entry, drop(reads))]
    pub struct Entry {
        pub value: u64,
        pub expires_at_ms: u64,
        #[lens(add = 1)]
        pub class: u32,
    }
}

fn olds(count: u64) -> Vec<v1::Entry> {
    let all = (0..count).map(|value| v1::Entry {
        value,
        hits: value as u32,
        flags: 3,
    });
    all.collect()
}

/// The fastest of many turns of each, taken alternately; a turn takes a million elements over, `at_once` in a vector.
fn fastest<A, B>(
    at_once: u64,
    first: impl Fn(Vec<v1::Entry>) -> A,
    second: impl Fn(Vec<v1::Entry>) -> B,
) -> (Duration, Duration) {
    fn time<T>(at_once: u64, work: impl Fn(Vec<v1::Entry>) -> T) -> Duration {
        let mut elapsed = Duration::ZERO;
        for _ in 0..ELEMENTS / at_once {
            let input = black_box(olds(at_once));
            let start = Instant::now();
            let output = work(input);
            elapsed += start.elapsed();
            drop(black_box(output));
        }
        elapsed
    }
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..TURNS {
        best.0 = best.0.min(time(at_once, &first));
        best.1 = best.1.min(time(at_once, &second));
    }
    best
}

fn report(what: &str, peer: &str, (lens, by_hand): (Duration, Duration)) {
    let each = |time: Duration| time.as_nanos() as f64 / ELEMENTS as f64;
    println!(
        "{what}: {:.2} ns an element, {peer}: {:.2} ns, ratio {:.2}",
        each(lens),
        each(by_hand),
        lens.as_secs_f64() / by_hand.as_secs_f64(),
    );
}

fn main() {
    let by_hand = |olds: Vec<v1::Entry>| {
        let mut news = Vec::with_capacity(olds.len());
        let mut kept = Vec::with_capacity(olds.len());
        for (index, old) in olds.into_iter().enumerate() {
            news.push(v2::Entry {
                value: old.value,
                reads: old.hits,
                expires_at_ms: u64::MAX,
            });
            kept.push((
                index as u64,
                (Kept::<u64>::empty(), (Kept::of(old.flags), ())),
            ));
        }
        (news, kept)
    };
    let lens = each::vec_by_position(v2::EntryLens);
    let derived = |olds| lens.forward(olds, None).ok();
    let only_moved_by_hand = |olds: Vec<v1::Entry>| {
        let mut news = Vec::with_capacity(olds.len());
        for old in olds {
            news.push(moved::Entry {
                value: old.value,
                reads: u64::from(old.hits),
                flags: old.flags,
            });
        }
        news
    };
    let moving = each::vec_by_position(moved::EntryLens);
    let moving = |olds| moving.forward(olds, None).ok();
    let chained = each::vec_by_position(chain!(v2::EntryLens, v3::EntryLens, v4::EntryLens));
    let second = each::vec_by_position(v3::EntryLens);
    let third = each::vec_by_position(v4::EntryLens);
    let three = |olds| {
        let (all, first_kept) = lens.forward(olds, None).ok()?;
        let (all, second_kept) = second.forward(all, None).ok()?;
        let (all, third_kept) = third.forward(all, None).ok()?;
        Some((all, first_kept, second_kept, third_kept))
    };
    let chain = |olds| chained.forward(olds, None).ok();
    for at_once in [1_000, ELEMENTS] {
        println!("{ELEMENTS} elements, {at_once} in a vector");
        report(
            "  a derived lens",
            "a loop",
            fastest(at_once, derived, by_hand),
        );
        let times = fastest(at_once, moving, only_moved_by_hand);
        report("  the same with nothing kept", "a loop", times);
        report(
            "  a chain of three",
            "three",
            fastest(at_once, chain, three),
        );
    }
}
