//! A version that was taken back, and its repaired successor of the same number.

use dsu_tests::{Fleet, ledger, library, until};

/// Workers of the repaired version that found this when they began.
fn found(fleet: &Fleet, what: &str) -> usize {
    let log = fleet.log();
    let lines = log.lines().filter(|line| line.contains("repaired finds"));
    lines.filter(|line| line.contains(what)).count()
}

// R1, R6, R10
#[test]
fn a_repaired_lens_never_reads_what_the_first_one_kept() {
    let fleet = Fleet::start("a repaired lens", &ledger());
    let flags = &["--probation", "0", "--wait"];
    let (careless, repaired) = (
        library("fixture_ledger_careless"),
        library("fixture_ledger_repaired"),
    );
    fleet.updated(&careless, flags);
    fleet.ask(&["rollback", "--wait"]);
    assert_eq!(fleet.until_idle().version, 1);
    // The rounds that the first has kept lie beside the totals now: 8 bytes, where the second looks
    // for more.
    fleet.updated(&repaired, flags);
    assert_eq!(found(&fleet, " 0 rounds and 0 bytes"), 1, "{}", fleet.log());
    assert!(fleet.log().contains("lossy: Stats"), "{}", fleet.log());
    fleet.accepted(&["status", "--check"]);
    fleet.ask(&["rollback", "--wait"]);
    assert_eq!(fleet.until_idle().version, 1);
    // What it has kept itself it finds again: both workers tell so, one of them perhaps after the commit.
    fleet.updated(&repaired, flags);
    until(|| (found(&fleet, "repaired finds") >= 4).then_some(()));
    assert_eq!(found(&fleet, " 0 rounds"), 1, "{}", fleet.log());
    assert_eq!(found(&fleet, "and 38 bytes"), 3, "{}", fleet.log());
    fleet.finish();
}
