//! Where executables and libraries are.

use sample_app::libraries;
use sample_app::server::{Host, Settings};
use std::path::PathBuf;

/// The executable that behaves as `dsu`.
///
/// # Panics
/// If cargo has not built it.
pub fn host() -> Host {
    let own = std::env::current_exe().expect("the test's own path");
    // Tests and benchmarks are in `deps`, one below.
    let program = own
        .ancestors()
        .skip(1)
        .map(|folder| folder.join("dsu-host"))
        .find(|path| path.is_file());
    Host {
        program: program.expect("dsu-host was built with the tests"),
        prefix: Vec::new(),
    }
}

/// A library by its crate's name.
///
/// # Panics
/// If cargo has not built it.
pub fn library(crate_name: &str) -> PathBuf {
    libraries::library(crate_name).expect("built with the tests")
}

/// Version 1 of the sample store, with this many workers.
pub fn kv(workers: u32) -> Settings {
    small(library("kv_v1"), workers)
}

/// Version 1 of a server that does nothing.
pub fn ledger() -> Settings {
    let mut settings = small(library("fixture_ledger_v1"), 2);
    settings.listen = None;
    settings
}

/// Version 1 of a server whose types change from version to version.
pub fn journey() -> Settings {
    let mut settings = small(library("fixture_journey_v1"), 2);
    settings.listen = None;
    settings
}

/// Version 1 of a server that sends back what it gets.
pub fn echo() -> Settings {
    small(library("fixture_echo_v1"), 2)
}

/// Version 1 of a server that keeps what it is sent, line by line.
pub fn shelf() -> Settings {
    small(library("fixture_shelf_v1"), 2)
}

/// Version 1 of a server that takes two guards one inside the other, all the time.
pub fn order() -> Settings {
    let mut settings = small(library("fixture_order_v1"), 2);
    settings.listen = None;
    settings
}

/// Tests run side by side, so each server is content with a little memory.
fn small(library: PathBuf, workers: u32) -> Settings {
    let mut settings = Settings::new(library);
    settings.workers = workers;
    settings.more = ["--heap", "256M"].map(Into::into).to_vec();
    settings
}
