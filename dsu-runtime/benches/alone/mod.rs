//! How a benchmark is its own library and only worker: binds itself by its own manifest.

use dsu_runtime::heap::{HeapLimits, Regions};
use dsu_runtime::prelude::*;
use dsu_runtime::version::Registry;
use dsu_runtime::worker::run_application;
use dsu_runtime::{update, version};

/// Runs a worker function in this process, with fresh regions.
///
/// # Panics
/// If anything of that fails.
pub fn alone(measure: fn(&mut Worker, ()) -> Step<()>) {
    let limits = HeapLimits {
        heap_bytes: 64 << 20,
        reserve_bytes: 4 << 20,
    };
    Regions::alone(limits).expect("no regions");
    let manifest = version::collect().expect("a manifest");
    let binding = Registry::new(0..16)
        .admit(&manifest, None)
        .expect("a binding");
    // SAFETY: the registry gave out the slots and tags, of this library's manifest.
    unsafe { update::bind(&binding) }.expect("a bound library");
    run_application(measure, |_| Ok(()), None).expect("the worker function ended well");
}
