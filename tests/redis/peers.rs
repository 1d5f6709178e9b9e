//! Clients that end, stall or leave in the middle: each gets what is its own, and others notice nothing.

use crate::conversation::{Conversation, resident_bytes};
use crate::value::{Value, encode};
use dsu_tests::{Fleet, kv, until};

const PIPELINE: i64 = 5000;
const LARGE: usize = 100_000;
/// Replies of [`LARGE`] bytes that nobody reads: far more than sockets and buffers hold.
const UNREAD: usize = 600;
const LEAVING: usize = 50;

fn ok() -> Value {
    Value::Simple("OK".to_owned())
}

#[test]
fn all_replies_arrive_after_the_sending_side_was_closed() {
    let fleet = Fleet::start("half-close", &kv(2));
    for (place, mut client) in Conversation::at_each_worker(&fleet).into_iter().enumerate() {
        let counter = format!("n{place}");
        let pipeline: Vec<u8> = (0..PIPELINE)
            .flat_map(|_| encode(&["INCR", &counter]))
            .collect();
        client.send(&pipeline);
        client.shut();
        for n in 1..=PIPELINE {
            assert_eq!(client.receive(), Value::Integer(n));
        }
        assert_eq!(client.rest(), b"");
    }
    fleet.finish();
}

#[test]
fn half_a_request_before_the_end_is_not_run() {
    let fleet = Fleet::start("half a request and the end", &kv(2));
    for mut client in Conversation::at_each_worker(&fleet) {
        client.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$3\r\nDEL\r\n$1\r\n");
        client.shut();
        assert_eq!(client.rest(), b"+OK\r\n");
    }
    let value = Conversation::new(&fleet).run(&["GET", "a"]);
    assert_eq!(value, Value::Bulk(b"1".to_vec()));
    fleet.finish();
}

#[test]
fn a_client_that_does_not_read_stops_nobody_and_loses_nothing() {
    let fleet = Fleet::start("unread replies", &kv(2));
    let mut deaf = Conversation::at_each_worker(&fleet);
    let mut others = Conversation::at_each_worker(&fleet);
    let large = vec![b'x'; LARGE];
    assert_eq!(others[0].run(&[&b"SET"[..], b"large", &large]), ok());
    let before = resident_bytes(&fleet);
    let pipeline: Vec<u8> = (0..UNREAD)
        .flat_map(|_| encode(&["GET", "large"]))
        .chain(encode(&["INCR", "done"]))
        .collect();
    for one in &mut deaf {
        one.send(&pipeline);
    }
    for n in 0..2000 {
        for other in &mut others {
            let text = n.to_string();
            assert_eq!(other.run(&["SET", "k", &text]), ok());
            assert_eq!(other.run(&["GET", "k"]), Value::Bulk(text.into_bytes()));
        }
    }
    let more = resident_bytes(&fleet).saturating_sub(before);
    assert!(
        more < (UNREAD * LARGE / 2) as u64,
        "{more} bytes more: the replies pile up"
    );
    let done = others[0].run(&["EXISTS", "done"]);
    assert_eq!(done, Value::Integer(0), "runs on while nobody reads");
    let wanted = Value::Bulk(large);
    for (place, one) in deaf.iter_mut().enumerate() {
        for _ in 0..UNREAD {
            assert!(one.receive() == wanted, "a whole value");
        }
        assert_eq!(one.receive(), Value::Integer(place as i64 + 1));
    }
    drop((deaf, others));
    fleet.finish();
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_request_is_not_noticed() {
    let fleet = Fleet::start("half a request", &kv(2));
    let mut others = Conversation::at_each_worker(&fleet);
    let request = encode(&["SET", "half", "value"]);
    let stay = others.len() as u64;
    for round in 0..LEAVING {
        let mut leaving = Conversation::at_each_worker(&fleet);
        for one in &mut leaving {
            one.send(&request[..1 + round % (request.len() - 1)]);
        }
        drop(leaving);
        for other in &mut others {
            let text = round.to_string();
            assert_eq!(other.run(&["SET", "k", &text]), ok());
            assert_eq!(other.run(&["GET", "k"]), Value::Bulk(text.into_bytes()));
        }
    }
    for other in &mut others {
        until(|| (other.fact("clients", "connected_clients") == stay).then_some(()));
        assert_eq!(other.run(&["EXISTS", "half"]), Value::Integer(0));
    }
    drop(others);
    fleet.finish();
}
