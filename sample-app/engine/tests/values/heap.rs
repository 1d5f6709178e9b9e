//! A shared heap for one test, which can be full.

use dsu_runtime::heap::{Activity, HeapAccount, HeapLimits, Regions, SharedBytes};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use std::process::Command;

const VARIABLE: &str = "KV_TEST_WITH_HEAP";

/// Runs `body` in a process of its own, as the worker of a fresh heap: addresses are fixed, so that a
/// process has one. Nothing may be left on it.
pub fn with_heap(name: &str, heap_bytes: usize, body: impl FnOnce()) {
    let (_, name) = name.split_once("::").expect("a path");
    if std::env::var(VARIABLE).is_ok_and(|wanted| wanted == name) {
        let limits = HeapLimits {
            heap_bytes,
            reserve_bytes: 0,
        };
        Regions::alone(limits).expect("regions, at free addresses");
        body();
        assert_eq!(blocks(), 0, "blocks that nobody owns");
        return;
    }
    let output = Command::new(std::env::current_exe().expect("an executable"))
        .args(["--exact", name, "--test-threads=1", "--nocapture"])
        .env(VARIABLE, name)
        .output()
        .expect("a process");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{name} in its own process: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    print!("{text}");
}

/// Runs `test` on `cases` values of the strategy; each must leave the heap as it was.
pub fn for_all<S: Strategy>(
    name: &str,
    cases: u32,
    strategy: S,
    test: impl Fn(S::Value, &mut Ballast) -> TestCaseResult,
) {
    with_heap(name, 6 << 20, || {
        let config = Config {
            failure_persistence: None,
            cases,
            ..Config::default()
        };
        let case = |value| {
            let mut ballast = Ballast::default();
            test(value, &mut ballast)?;
            drop(ballast);
            prop_assert_eq!(blocks(), 0);
            Ok(())
        };
        TestRunner::new(config)
            .run(&strategy, case)
            .expect("passes");
    });
}

/// Blocks that are allocated.
pub fn blocks() -> u64 {
    let account = HeapAccount::take(Activity::Quiescent);
    assert_eq!(account.findings, [""; 0]);
    let classes = account.classes.iter().map(|class| class.blocks as u64);
    classes.sum::<u64>() + account.large_blocks as u64
}

/// The full path of the test of this name in the calling module.
macro_rules! test_name {
    ($name:literal) => {
        concat!(module_path!(), "::", $name)
    };
}
pub(crate) use test_name;

/// What fills the heap.
#[derive(Default)]
pub struct Ballast {
    blocks: Vec<SharedBytes>,
}

impl Ballast {
    /// Leaves room for so many more blocks at most, each of some size.
    pub fn fill(&mut self, but: &[usize]) {
        self.empty();
        for size in but {
            self.blocks.extend(SharedBytes::with_capacity(*size));
        }
        let kept = self.blocks.len();
        let mut size = 1 << 20;
        while size >= 16 {
            match SharedBytes::with_capacity(size) {
                Ok(block) => self.blocks.push(block),
                Err(_) => size = size * 3 / 4,
            }
        }
        self.blocks.drain(..kept);
    }

    /// There is room again.
    pub fn empty(&mut self) {
        self.blocks.clear();
    }
}
