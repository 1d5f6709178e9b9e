//! What `dsu check --against` says of two versions, to people and to programs.

use dsu_tests::{host, library};
use serde_json::Value;
use std::process::Command;

fn check(flags: &[&str], new: &str, old: &str) -> (Option<i32>, String) {
    let output = Command::new(host().program)
        .args(flags)
        .arg("check")
        .arg(library(new))
        .arg("--against")
        .arg(library(old))
        .env("NO_COLOR", "1")
        .output()
        .expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    (output.status.code(), text)
}

// R3, R4, R10
#[test]
fn a_comparison_says_first_whether_and_then_how_each_part_passes() {
    let (code, text) = check(&[], "fixture_journey_v2", "fixture_journey_v1");
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.starts_with("accepted journey v1 to v2: rolling, 3 both ways, 1 unchanged\n"),
        "{text}"
    );
    for line in [
        "  item   JOURNEY.route  unchanged",
        "  item   JOURNEY.stats  both ways",
        "  type   Stop           both ways",
        "lossy: Stop.motd (back to v1)",
        "lossy: Stop.place.label, Stop.tags (on to v2)",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
    for line in text
        .lines()
        .take_while(|line| !line.starts_with("journey v2"))
    {
        assert!(line.chars().count() <= 80, "{line}");
    }
    // To the older version, the same rows.
    let (code, back) = check(&[], "fixture_journey_v1", "fixture_journey_v2");
    assert_eq!(code, Some(0), "{back}");
    assert!(back.contains("lossy: Stop.motd (back to v1)"), "{back}");
}

// R2, R14
#[test]
fn what_is_missing_is_shown_in_both_layouts_and_what_goes_one_way_is_marked() {
    let (code, text) = check(&[], "fixture_ledger_changed", "fixture_ledger_v1");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("refused ledger v1 to v2: "), "{text}");
    assert!(text.contains("missing") && text.contains('≠'), "{text}");
    let (code, text) = check(&[], "kv_v3", "kv_v1");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("refused kv v1 to v3: 1 missing"), "{text}");
    assert!(text.contains("update to v2 first"), "{text}");
}

#[test]
fn programs_read_the_same_under_names_that_stay() {
    let (code, text) = check(&["--json"], "fixture_journey_v2", "fixture_journey_v1");
    assert_eq!(code, Some(0), "{text}");
    let answer: Value = serde_json::from_str(&text).expect("json");
    assert_eq!(answer["answer"], "accepted");
    let comparison = &answer["data"]["comparison"];
    assert_eq!(comparison["app"], "journey");
    assert_eq!(
        (&comparison["from"], &comparison["to"]),
        (&1.into(), &2.into())
    );
    assert_eq!(comparison["strategy"], "rolling");
    assert_eq!(comparison["direction"], "forward");
    let parts = comparison["parts"].as_array().expect("a list");
    let stop = parts
        .iter()
        .find(|part| part["name"] == "Stop")
        .expect("it is there");
    assert_eq!(
        (&stop["kind"], &stop["passage"]),
        (&"element".into(), &"both-ways".into())
    );
    assert_eq!(stop["policy"], "foreign");
    assert_eq!(stop["lossy"]["older"][0]["path"], "Stop.motd");
    assert_eq!(stop["lossy"]["newer"][0]["kind"], "defaulted");
    let (code, text) = check(&["--json"], "fixture_ledger_changed", "fixture_ledger_v1");
    assert_eq!(code, Some(1), "{text}");
    let answer: Value = serde_json::from_str(&text).expect("json");
    let comparison = &answer["data"]["comparison"];
    assert_eq!(comparison["strategy"], "refused");
    let parts = comparison["parts"].as_array().expect("a list");
    let missing = parts
        .iter()
        .find(|part| part["passage"] == "missing")
        .expect("one");
    assert!(missing["layouts"]["older"].is_array(), "{missing}");
}
