//! A map that becomes an ordered one while both versions write: what an acquisition by the other version
//! costs, by how many elements there are and how many were changed since; and the back-fill.
//!
//! `cargo bench -p dsu-runtime --bench delta`. The peer, in the same run, is the lens at the granularity of
//! items, which moves all entries to a new container at every acquisition. A figure is the median over
//! the rounds with the smallest and the largest.

use dsu_runtime::abi::WorkerContext;
use dsu_runtime::error::HeapFull;
use dsu_runtime::heap::delta::{Hashed, Ordered, Prepare, Progress, Reshaped};
use dsu_runtime::heap::{
    HeapLimits, Regions, Role, SharedBytes, SharedMap, SharedOrderedMap, Transaction,
};
use dsu_runtime::ids::{Tag, VersionId, WorkerSlot};
use dsu_runtime::sys::time::Nanos;
use dsu_runtime::version::{Binding, RepresentationBinding, digest};
use dsu_runtime::{Shared, transformer};
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
        representations: representations.collect(),
        order_table: None,
        older: None,
        forgets: Vec::new(),
    };
    dsu_runtime::update::bind(&binding).expect("every type has a tag");
}

/// A crossing as the flip of a guard makes it.
fn cross<F, T, L>(from: F, lens: impl FnOnce(F) -> Result<(T, ()), L>) -> T {
    let transaction = Transaction::begin();
    let Ok((to, ())) = lens(from) else {
        panic!("every value has the other form");
    };
    transaction.commit();
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

/// The back-fill in slices of [`SLICE`], after each of which `writes` elements are written.
fn fill(size: u64, writes: u64) {
    let mut older = filled(size);
    let (mut slices, mut longest, mut working) = (0_u64, 0, 0);
    loop {
        let start = Nanos::now();
        let progress = ToOrdered::prepare_forward(&mut older, start.after(SLICE)).expect("room");
        let took = start_to_now(start);
        (slices, longest, working) = (slices + 1, longest.max(took), working + took);
        if progress == Progress::Done {
            break;
        }
        write!(older, Older { count: 1 }, slices * 15_485_863, size, writes);
    }
    let newer: NewerMap = cross(older, |map| ToOrdered::default().forward(map, None));
    assert_eq!(newer.len() as u64, size);
    println!(
        "{size:>9}  {writes:>7}  {slices:>7}  {:>9.1}  {:>9.1}",
        working as f64 / 1e6,
        longest as f64 / 1e3
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
    let fds = Regions::create(limits).expect("room for a heap");
    let _regions = Regions::map(fds, Role::Worker).expect("the addresses are free");
    WorkerContext::current().attach(WorkerSlot(0));
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
    println!("\nback-fill in slices of {} us", SLICE.as_micros());
    println!(" elements   writes   slices    work ms  longest us");
    println!("           a slice");
    for size in SIZES {
        for writes in [0, 20, 100] {
            fill(size, writes);
        }
    }
}
