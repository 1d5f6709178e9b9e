//! Going to an older version, from wherever the server began; and to the same version with other words.

use dsu_tests::{Fleet, kv, ledger, library};
use sample_app::load::Value;
use sample_app::server::Settings;

// R1, R6: the older version is met after the newer one, whose lenses are needed all the same
#[test]
fn a_server_that_began_at_version_2_goes_to_1_and_back_with_all_it_holds() {
    let settings = Settings {
        library: library("kv_v2"),
        ..kv(2)
    };
    let fleet = Fleet::start("from 2 to 1", &settings);
    let mut wire = fleet.connect();
    let mut ask = |parts: &[&str]| wire.ask(parts).expect("an answer");
    for n in 0..200 {
        let (key, value) = (format!("key{n}"), format!("value{n}"));
        ask(&["SET", &key, &value]);
    }
    ask(&["SET", "mortal", "yes", "EX", "5000"]);
    for _ in 0..2 {
        fleet.updated(&library("kv_v1"), &["--probation", "0", "--wait"]);
        assert_eq!(fleet.now().version, 1);
        assert_eq!(ask(&["GET", "key7"]), Value::Bulk(Some(b"value7".to_vec())));
        ask(&["APPEND", "key7", "+"]);
        fleet.accepted(&["rollback", "--wait"]);
        assert_eq!(fleet.now().version, 2);
        let Value::Integer(left) = ask(&["TTL", "mortal"]) else {
            panic!("TTL answers no number");
        };
        assert!((1..=5000).contains(&left), "{left}");
        ask(&["SET", "key7", "value7"]);
    }
    fleet.finish();
}

// R33
#[test]
fn the_same_file_with_other_arguments_is_another_build_and_the_old_ones_come_back() {
    let fleet = Fleet::start("arguments", &ledger());
    let arguments = |fleet: &Fleet| fleet.now().data["arguments"].clone();
    let same = library("fixture_ledger_v1");
    let answer = fleet.update(&same, &["--wait"]);
    assert_eq!(answer.word, "refused");
    assert!(answer.text.contains("runs already"), "{}", answer.text);
    fleet.updated(&same, &["--probation", "0", "--wait", "--", "loud"]);
    assert_eq!(arguments(&fleet), serde_json::json!(["loud"]));
    let answer = fleet.update(&same, &["--wait", "--", "loud"]);
    assert_eq!(answer.word, "refused", "{}", answer.text);
    fleet.accepted(&["rollback", "--wait"]);
    assert_eq!(arguments(&fleet), serde_json::json!([]));
    fleet.updated(&same, &["--mode", "barrier", "--wait", "--", "loud"]);
    fleet.updated(&same, &["--mode", "barrier", "--wait", "--", "louder"]);
    fleet.updated(
        &library("fixture_ledger_v2"),
        &["--probation", "0", "--wait"],
    );
    assert_eq!(arguments(&fleet), serde_json::json!(["louder"]));
    fleet.finish();
}
