//! A map that becomes an ordered one while both versions write: what an acquisition by the other version
//! costs, by how many elements there are and how many were changed since; and the back-fill.
//!
//! `cargo bench -p dsu-runtime --bench delta`. The peer, in the same run, is the lens at the granularity of
//! items, which moves all entries to a new container at every acquisition. A figure is the median over
//! the rounds with the smallest and the largest.
#![allow(unsafe_code)] // binds itself as a library, and converts without a guard

use dsu_runtime::error::HeapFull;
use dsu_runtime::heap::delta::{Hashed, Ordered, Prepare, Progress, Reshaped};
use dsu_runtime::heap::{
    HeapLimits, Regions, SharedBytes, SharedMap, SharedOrderedMap, converting,
};
use dsu_runtime::ids::{Tag, VersionId};
use dsu_runtime::sys::time::Nanos;
use dsu_runtime::version::{Binding, RepresentationBinding, digest};
use dsu_runtime::{Shared, transformer};
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;
use xform::Lens;

#[derive(Shared)]
struct Older {
    count: u64,
}

#[derive(Shared)]
struct Newer {
    count: u64,
    weight: u32,
}

xform::record! {
    struct ElementLens: Older => Newer {
        same count;
        add weight: u32 = 1;
    }
}
transformer!(ElementLens);

type ToOrdered = Reshaped<Hashed, Ordered, SharedBytes, Older, Newer>;
transformer!(prepared ToOrdered);

type OlderMap = SharedMap<SharedBytes, Older>;
type NewerMap = SharedOrderedMap<SharedBytes, Newer>;

const SIZES: [u64; 3] = [1_000, 100_000, 1_000_000];
const CHANGES: [u64; 4] = [1, 10, 100, 1_000];
const ROUNDS: usize = 21;
const SLICE: Duration = Duration::from_micros(100);

fn key(number: u64) -> SharedBytes {
    SharedBytes::from_slice(format!("key:{number:09}").as_bytes()).expect("inline")
}

/// Tells this process what its types are, as the update does.
fn bind() {
    let types = dsu_runtime::__private::inventory::iter::<dsu_runtime::abi::TypeRegistration>;
    let representations = (1..).zip(types).map(|(tag, ty)| RepresentationBinding {
        name: ty.name.to_owned(),
        digest: digest(&(ty.schema)()),
        tag: Tag(tag),
        same: Vec::new(),
    });
    let binding = Binding {
        version: VersionId(2),
        guards: Vec::new(),
        emptied: Vec::new(),
        representations: representations.collect(),
        lenses: Vec::new(),
        order_table: None,
        older: None,
        forgets: Vec::new(),
    };
    // SAFETY: each type has a tag of its own, and there is no other library.
    unsafe { dsu_runtime::update::bind(&binding) }.expect("every type has a tag");
}

/// A crossing as the flip of a guard makes it.
fn cross<F, T, L>(from: F, lens: impl FnOnce(F) -> Result<(T, ()), L>) -> T {
    // SAFETY: a lens, whose value is used from here on in place of the one that it was given.
    let Ok((to, ())) = (unsafe { converting(|| lens(from)) }) else {
        panic!("every value has the other form");
    };
    to
}

/// Numbers below `below` in an order that no container likes or dislikes.
fn places(seed: u64, below: u64) -> impl Iterator<Item = u64> {
    (0..)
        .map(move |n: u64| (seed + n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20)
        .map(move |n| n % below)
}

/// Edits half of `changes` elements, and takes out the others and puts them in again.
macro_rules! write {
    ($map:expr, $make:expr, $seed:expr, $size:expr, $changes:expr) => {
        for (n, place) in places($seed, $size).take($changes as usize).enumerate() {
            let key = key(place);
            if n % 2 == 0 {
                let value = $map.get_mut(&key).expect("has a form").expect("is there");
                value.count += 1;
            } else {
                $map.remove_entry(&key).expect("room");
                $map.insert(key, $make).expect("room");
            }
        }
    };
}

struct Figures {
    median: u64,
    least: u64,
    most: u64,
}

impl Figures {
    fn of(mut times: Vec<u64>) -> Figures {
        times.sort_unstable();
        Figures {
            median: times[times.len() / 2],
            least: times[0],
            most: times[times.len() - 1],
        }
    }

    fn text(&self) -> String {
        let micros = |nanos: u64| nanos as f64 / 1_000.0;
        format!(
            "{:.1} ({:.1} to {:.1})",
            micros(self.median),
            micros(self.least),
            micros(self.most)
        )
    }
}

fn filled(size: u64) -> OlderMap {
    let mut map = OlderMap::new();
    for number in 0..size {
        map.insert(key(number), Older { count: number })
            .expect("room");
    }
    map
}

/// Microseconds an acquisition by the version that did not write last, `changes` elements after the other.
fn acquisitions(size: u64, changes: u64) -> Figures {
    let mut older = filled(size);
    prepare_all(&mut older);
    let mut times = Vec::new();
    for round in 0..ROUNDS as u64 {
        write!(older, Older { count: 1 }, round * 7_919, size, changes);
        let start = Nanos::now();
        ToOrdered::prepare_forward(&mut older, Nanos(u64::MAX)).expect("room");
        let mut newer: NewerMap = cross(older, |map| ToOrdered::default().forward(map, None));
        times.push(start_to_now(start));
        write!(
            newer,
            Newer {
                count: 1,
                weight: 2
            },
            round * 104_729,
            size,
            changes
        );
        let start = Nanos::now();
        ToOrdered::prepare_backward(&mut newer, Nanos(u64::MAX)).expect("room");
        older = cross(newer, |map| ToOrdered::default().backward(map, None));
        times.push(start_to_now(start));
    }
    Figures::of(times)
}

fn start_to_now(start: Nanos) -> u64 {
    Nanos::now().since(start).as_nanos() as u64
}

fn prepare_all(older: &mut OlderMap) {
    let prepared = ToOrdered::prepare_forward(older, Nanos(u64::MAX));
    assert_eq!(prepared, Ok(Progress::Done));
}

/// The lens at the granularity of items: all entries go to a new container.
struct Moving;

impl Lens for Moving {
    type Left = OlderMap;
    type Right = NewerMap;
    type Complement = ();

    fn forward(
        &self,
        mut left: OlderMap,
        _: Option<()>,
    ) -> Result<(NewerMap, ()), xform::LensError> {
        let mut right = NewerMap::new();
        let keys: Result<Vec<_>, _> = left.iter().map(|(key, _)| key.try_clone()).collect();
        for key in keys? {
            if let Some((key, cell)) = left.remove_entry(&key)? {
                right
                    .insert_cell(key, cell.rebind())
                    .map_err(HeapFull::from)?;
            }
        }
        Ok((right, ()))
    }

    fn backward(
        &self,
        mut right: NewerMap,
        _: Option<()>,
    ) -> Result<(OlderMap, ()), xform::LensError> {
        let mut left = OlderMap::new();
        let keys: Result<Vec<_>, _> = right.iter().map(|(key, _)| key.try_clone()).collect();
        for key in keys? {
            if let Some((key, cell)) = right.remove_entry(&key)? {
                left.insert_cell(key, cell.rebind())
                    .map_err(HeapFull::from)?;
            }
        }
        Ok((left, ()))
    }
}

/// Microseconds an acquisition costs with it, whatever was changed.
fn moving(size: u64) -> Figures {
    let mut older = filled(size);
    let mut times = Vec::new();
    for _ in 0..3 {
        let start = Nanos::now();
        let newer = cross(older, |map| Moving.forward(map, None));
        times.push(start_to_now(start));
        let start = Nanos::now();
        older = cross(newer, |map| Moving.backward(map, None));
        times.push(start_to_now(start));
    }
    Figures::of(times)
}

/// Nanoseconds for which this thread had a processor.
fn worked() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock of every Linux");
    Duration::from(time).as_nanos() as u64
}

/// The back-fill in slices of [`SLICE`], after each of which `writes` elements are written.
fn fill(size: u64, writes: u64) {
    let mut older = filled(size);
    let (mut waits, mut times) = (Vec::new(), Vec::new());
    loop {
        let (start, began) = (Nanos::now(), worked());
        let progress = ToOrdered::prepare_forward(&mut older, start.after(SLICE)).expect("room");
        times.push(worked() - began);
        waits.push(start_to_now(start));
        if progress == Progress::Done {
            break;
        }
        let slices = times.len() as u64;
        write!(older, Older { count: 1 }, slices * 15_485_863, size, writes);
    }
    let newer: NewerMap = cross(older, |map| ToOrdered::default().forward(map, None));
    assert_eq!(newer.len() as u64, size);
    let millis = times.iter().sum::<u64>() as f64 / 1e6;
    let micros = |times: &mut Vec<u64>| {
        times.sort_unstable();
        let at = |share: usize| times[times.len() - 1 - times.len() / share] as f64 / 1e3;
        (at(1_000), times[times.len() - 1] as f64 / 1e3)
    };
    let (slices, (most, longest), (_, longest_wait)) =
        (times.len(), micros(&mut times), micros(&mut waits));
    println!(
        "{size:>9}  {writes:>7}  {slices:>7}  {millis:>8.1}  {most:>8.1}  {longest:>8.1}  {longest_wait:>10.1}"
    );
}

fn main() {
    // Cargo runs benchmarks as tests too; there is nothing to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let limits = HeapLimits {
        heap_bytes: 2 << 30,
        reserve_bytes: 64 << 20,
    };
    Regions::alone(limits).expect("room for a heap, and free addresses");
    bind();
    println!("microseconds an acquisition by the other version: median (least to most)");
    println!("elements  changed  both forms kept               container made anew");
    for size in SIZES {
        let anew = moving(size).text();
        for changes in CHANGES {
            let kept = acquisitions(size, changes).text();
            println!("{size:>8}  {changes:>7}  {kept:<28}  {anew}");
        }
    }
    println!(
        "\nback-fill in slices of {} us, of which so many us processor time:",
        SLICE.as_micros()
    );
    println!("           writes             all of  999 of                 longest by");
    println!(" elements  a slice   slices  them, ms   1,000   longest   the clock");
    for (size, writes) in SIZES.iter().flat_map(|size| [(*size, 0), (*size, 20)]) {
        fill(size, writes);
    }
}
