//! Clients that were written for Redis, across an update.

use dsu_tests::{Fleet, kv, library};
use redis::{Client, Commands, Connection, Pipeline};

fn connect(fleet: &Fleet, protocol: &str) -> Connection {
    let url = format!("redis://{}/?protocol={protocol}", fleet.address());
    let client = Client::open(url).expect("an address");
    client.get_connection().expect("a handshake")
}

fn pipeline(first: i64) -> Pipeline {
    let mut pipeline = redis::pipe();
    for n in 0..100 {
        pipeline
            .cmd("SET")
            .arg(format!("p{n}"))
            .arg(first + n)
            .ignore();
        pipeline.cmd("INCR").arg(format!("p{n}"));
    }
    pipeline
}

// R6, R24
#[test]
fn a_client_library_keeps_its_connection_through_update_and_rollback() {
    let fleet = Fleet::start("redis crate", &kv(2));
    let mut resp2 = connect(&fleet, "resp2");
    let mut resp3 = connect(&fleet, "resp3");
    let v2 = library("kv_v2");
    for round in 0..3 {
        let base = round * 1000;
        for connection in [&mut resp2, &mut resp3] {
            let sums: Vec<i64> = pipeline(base).query(connection).expect("all answered");
            assert!(
                sums.iter()
                    .zip(base + 1..)
                    .all(|(sum, wanted)| *sum == wanted)
            );
        }
        fleet.updated(&v2, &["--probation", "0", "--wait"]);
        for connection in [&mut resp2, &mut resp3] {
            let one: i64 = connection.get("p7").expect("an answer");
            assert_eq!(one, base + 8);
            connection.expire::<_, ()>("p7", 100).expect("an answer");
            let left: i64 = connection.ttl("p7").expect("an answer");
            assert!((1..=100).contains(&left));
        }
        fleet.accepted(&["rollback", "--wait"]);
        let error = resp3.ttl::<_, i64>("p7").expect_err("version 1 has no TTL");
        assert!(error.to_string().contains("unknown command"), "{error}");
    }
    fleet.finish();
}
