//! What an operator sets after `--`: how many clients, how long they may idle, how little they may read.

use crate::conversation::{Conversation, resident_bytes};
use crate::value::{Value, encode};
use dsu_tests::{Fleet, host, kv, library, until};
use sample_app::server::{Server, Settings};

const MIB: u64 = 1 << 20;
/// Connections that come and go while others are served.
const PASSING: usize = 10_000;
/// Of these, open at a time.
const TOGETHER: usize = 20;

fn limited(arguments: &[&str]) -> Settings {
    let mut settings = kv(2);
    settings.more.push("--".into());
    settings.more.extend(arguments.iter().map(Into::into));
    settings
}

fn setting(client: &mut Conversation, name: &str) -> String {
    match client.run(&["CONFIG", "GET", name]) {
        Value::Array(pair) if pair.len() == 2 => pair[1].clone().text(),
        other => panic!("CONFIG GET {name} answers {other:?}"),
    }
}

fn pong(client: &mut Conversation) {
    assert_eq!(client.run(&["PING"]), Value::Simple("PONG".to_owned()));
}

// R33
#[test]
fn a_server_does_not_start_with_arguments_that_it_does_not_know() {
    for (arguments, why) in [
        (
            &["--maxclients", "none"][..],
            "--maxclients \"none\" is no number",
        ),
        (&["--maxclient", "5"], "unknown argument \"--maxclient\""),
        (
            &["--client-output-buffer-limit", "1mb:2"],
            "BYTES:SOFTBYTES:SECONDS",
        ),
    ] {
        let server = Server::start(host(), &limited(arguments)).expect("the supervisor starts");
        let log = std::fs::File::open(server.folder().join("log")).expect("every server logs");
        let ended = server.wait().expect("it was running");
        let log = std::io::read_to_string(log).expect("a log in text");
        assert!(!ended.success(), "{log}");
        let mut deaths = log.lines().filter(|line| line.contains("exited with"));
        assert!(deaths.all(|line| line.contains(why)), "{log}");
        assert!(log.contains(why), "{log}");
    }
}

// R33
#[test]
fn limits_belong_to_a_version_and_wrong_ones_are_refused_with_it() {
    let fleet = Fleet::start(
        "limits",
        &limited(&["--maxclients", "100", "--timeout", "3600"]),
    );
    let mut clients = Conversation::at_each_worker(&fleet);
    let shown = |clients: &mut Vec<Conversation>| -> Vec<(String, String, String)> {
        let names = ["maxclients", "timeout", "client-output-buffer-limit"];
        let each = clients.iter_mut();
        each.map(|client| {
            let [a, b, c] = names.map(|name| setting(client, name));
            (a, b, c)
        })
        .collect()
    };
    let others = "slave 268435456 67108864 60 pubsub 33554432 8388608 60";
    let is_now = |max: &str, timeout: &str, normal: &str| {
        let output = format!("normal {normal} {others}");
        vec![(max.to_owned(), timeout.to_owned(), output); 2]
    };
    assert_eq!(shown(&mut clients), is_now("100", "3600", "0 0 0"));
    let wrong = ["--probation", "0", "--wait", "--", "--timeout", "soon"];
    let answer = fleet.update(&library("kv_v2"), &wrong);
    assert_ne!(answer.code, 0, "{}", answer.text);
    assert!(
        answer.text.contains("--timeout \"soon\""),
        "{}",
        answer.text
    );
    assert_eq!(fleet.until_idle().version, 1);
    assert_eq!(shown(&mut clients), is_now("100", "3600", "0 0 0"));
    let right = [
        "--probation",
        "0",
        "--wait",
        "--",
        "--maxclients",
        "50",
        "--client-output-buffer-limit",
        "64mb:1mb:30",
    ];
    fleet.updated(&library("kv_v2"), &right);
    assert_eq!(
        shown(&mut clients),
        is_now("50", "0", "67108864 1048576 30")
    );
    fleet.accepted(&["rollback", "--wait"]);
    assert_eq!(shown(&mut clients), is_now("100", "3600", "0 0 0"));
    drop(clients);
    fleet.finish();
}

// R33
#[test]
fn all_workers_together_have_no_more_clients_than_allowed() {
    let fleet = Fleet::start("maxclients", &limited(&["--maxclients", "10"]));
    let mut clients: Vec<Conversation> = (0..10).map(|_| Conversation::new(&fleet)).collect();
    clients.iter_mut().for_each(pong);
    for _ in 0..20 {
        assert!(
            Conversation::if_let_in(&fleet).is_none(),
            "more than allowed"
        );
    }
    for client in &mut clients {
        until(|| (client.fact("stats", "rejected_connections") == 20).then_some(()));
        assert_eq!(client.fact("clients", "maxclients"), 10);
        until(|| (client.fact("clients", "connected_clients") == 10).then_some(()));
    }
    // Whoever leaves makes room, once its worker has noticed.
    drop(clients.pop());
    let mut newcomer = until(|| Conversation::if_let_in(&fleet));
    pong(&mut newcomer);
    // A lower limit lets those be who are there.
    fleet.updated(
        &library("kv_v1"),
        &["--probation", "0", "--wait", "--", "--maxclients", "5"],
    );
    clients.iter_mut().for_each(pong);
    assert!(
        Conversation::if_let_in(&fleet).is_none(),
        "more than allowed"
    );
    clients.truncate(3);
    drop(newcomer);
    pong(&mut until(|| Conversation::if_let_in(&fleet)));
    drop(clients);
    fleet.finish();
}

#[test]
fn an_idle_client_is_closed_and_one_that_asks_now_and_then_is_not() {
    let fleet = Fleet::start("timeout", &limited(&["--timeout", "1"]));
    let mut idle = Conversation::at_each_worker(&fleet);
    let mut busy = Conversation::at_each_worker(&fleet);
    let count = idle.len() as u64;
    until(|| {
        busy.iter_mut().for_each(pong);
        let closed = busy[0].fact("dsu", "dsu_closed_for_being_idle");
        (closed >= count).then_some(())
    });
    for client in &mut idle {
        assert_eq!(client.rest(), b"");
    }
    busy.iter_mut().for_each(pong);
    drop((idle, busy));
    fleet.finish();
}

/// A value that no socket buffers hold.
const LARGE: usize = 40 << 20;

#[test]
fn a_client_that_does_not_read_is_closed_at_the_limit_and_others_are_served() {
    for limit in ["1mb", "0:1mb:1"] {
        let arguments = ["--client-output-buffer-limit", limit];
        let fleet = Fleet::start("output limit", &limited(&arguments));
        let mut others = Conversation::at_each_worker(&fleet);
        let large = vec![b'x'; LARGE];
        let stored = others[0].run(&[&b"SET"[..], b"large", &large]);
        assert_eq!(stored, Value::Simple("OK".to_owned()));
        drop(large);
        for other in &mut others {
            // One that reads gets as much, in pieces.
            for start in (0..LARGE).step_by(1 << 20) {
                let (start, end) = (start.to_string(), (start + (1 << 20) - 1).to_string());
                let piece = other.run(&["GETRANGE", "large", &start, &end]);
                assert_eq!(piece.text().len(), 1 << 20);
            }
        }
        let mut deaf = Conversation::at_each_worker(&fleet);
        let before = resident_bytes(&fleet);
        for client in &mut deaf {
            client.send(&encode(&["GET", "large"]).repeat(100));
        }
        until(|| {
            others.iter_mut().for_each(pong);
            let closed = others[0].fact("dsu", "dsu_closed_for_not_reading");
            (closed == deaf.len() as u64).then_some(())
        });
        let more = resident_bytes(&fleet).saturating_sub(before);
        assert!(more < 32 * MIB, "{} MiB more", more / MIB);
        drop((deaf, others));
        fleet.finish();
    }
}

#[test]
fn clients_that_come_and_go_are_not_noticed() {
    let fleet = Fleet::start("coming and going", &kv(2));
    let mut others = Conversation::at_each_worker(&fleet);
    let stay = others.len() as u64;
    let mut before = None;
    for round in 0..PASSING / TOGETHER {
        let mut passing: Vec<Conversation> =
            (0..TOGETHER).map(|_| Conversation::new(&fleet)).collect();
        for (place, one) in passing.iter_mut().enumerate() {
            match place % 4 {
                0 => pong(one),
                // Half a command, the head of one that never comes, and nothing at all.
                1 => one.send(b"*2\r\n$3\r\nGET\r\n$1"),
                2 => one.send(b"*1048576\r\n$536870912\r\nabc"),
                _ => {}
            }
        }
        drop(passing);
        for other in &mut others {
            let text = round.to_string();
            assert_eq!(
                other.run(&["SET", "k", &text]),
                Value::Simple("OK".to_owned())
            );
            assert_eq!(other.run(&["GET", "k"]), Value::Bulk(text.into_bytes()));
        }
        // What the first hundred took is kept for the next.
        if round == 4 {
            before = Some(resident_bytes(&fleet));
        }
    }
    for other in &mut others {
        until(|| (other.fact("clients", "connected_clients") == stay).then_some(()));
        assert!(other.fact("stats", "total_connections_received") >= PASSING as u64);
    }
    let more = resident_bytes(&fleet).saturating_sub(before.expect("there are more rounds"));
    assert!(more < 32 * MIB, "{} MiB more", more / MIB);
    drop(others);
    fleet.finish();
}
