//! Servers that start with the newer version and go to the older one.

use dsu_tests::{Fleet, kv, library};
use sample_app::load::{Value, Wire};
use sample_app::server::Settings;

fn ask(wire: &mut Wire, command: &str) -> Value {
    let parts: Vec<&str> = command.split(' ').collect();
    wire.ask(&parts).expect("an answer")
}

// R3 R24: the library that runs was bound before anybody knew the older one.
#[test]
fn a_server_that_began_with_the_newer_version_goes_to_the_older_one_and_back() {
    let settings = Settings {
        library: library("kv_v2"),
        ..kv(2)
    };
    let fleet = Fleet::start("from the newer to the older", &settings);
    let mut wire = fleet.connect();
    let ok = Value::Simple("OK".to_owned());
    let value = Value::Bulk(Some(b"value".to_vec()));
    assert_eq!(ask(&mut wire, "SET kept value EX 1000"), ok);
    assert_eq!(ask(&mut wire, "SET plain value"), ok);
    fleet.updated(&library("kv_v1"), &["--probation", "0", "--wait"]);
    assert_eq!(ask(&mut wire, "GET kept"), value);
    assert_eq!(ask(&mut wire, "GET plain"), value);
    assert!(matches!(ask(&mut wire, "TTL kept"), Value::Error(_)));
    fleet.updated(&library("kv_v2"), &["--probation", "0", "--wait"]);
    assert!(matches!(
        ask(&mut wire, "TTL kept"),
        Value::Integer(1..=1000)
    ));
    assert_eq!(ask(&mut wire, "TTL plain"), Value::Integer(-1));
    fleet.finish();
}
