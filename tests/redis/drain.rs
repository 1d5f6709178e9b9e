//! A server that is told to end, and one that is told of a new configuration (R33).

use crate::conversation::Conversation;
use crate::value::{Value, encode};
use dsu_tests::{Fleet, kv, library, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sample_app::server::Settings;
use std::thread;

const LARGE: usize = 100_000;
/// Replies of [`LARGE`] bytes that are not read at once: far more than sockets and buffers hold.
const UNREAD: usize = 400;
/// Connections that no worker has accepted when the server is told to end.
const QUEUED: usize = 40;
const ROUNDS: u64 = 6;
/// Of a request that never comes to its end.
const HALF: &[u8] = b"*2\r\n$4\r\nINCR\r\n$4\r\ndo";

fn draining(seconds: &str) -> Settings {
    let mut settings = kv(2);
    settings.more.extend(["--drain", seconds].map(Into::into));
    settings
}

fn stop(pid: u32) {
    kill(Pid::from_raw(pid as i32), Signal::SIGSTOP).expect("it is there");
}

fn go_on(pid: u32) {
    kill(Pid::from_raw(pid as i32), Signal::SIGCONT).expect("it is there");
}

fn pids(fleet: &Fleet) -> Vec<u32> {
    fleet.now().workers.iter().map(|one| one.pid).collect()
}

/// One client at each worker, whose replies have not been read, and what they have to be.
fn deaf(fleet: &Fleet) -> (Vec<Conversation>, Value) {
    let mut clients = Conversation::at_each_worker(fleet);
    let large = vec![b'x'; LARGE];
    let stored = clients[0].run(&[&b"SET"[..], b"large", &large]);
    assert_eq!(stored, Value::Simple("OK".to_owned()));
    for client in &mut clients {
        let mut pipeline = encode(&["GET", "large"]).repeat(UNREAD);
        pipeline.extend(encode(&["INCR", "done"]));
        pipeline.extend(HALF);
        client.send(&pipeline);
    }
    (clients, Value::Bulk(large))
}

/// All replies, whole and in order, and then the end.
fn is_answered(client: &mut Conversation, large: &Value) -> i64 {
    for _ in 0..UNREAD {
        assert!(client.receive() == *large, "a whole value");
    }
    let Value::Integer(done) = client.receive() else {
        panic!("INCR answers with a number")
    };
    assert_eq!(client.rest(), b"");
    done
}

// R33
#[test]
fn all_that_had_come_is_answered_before_the_server_ends() {
    let fleet = Fleet::start("drain", &draining("600"));
    let (mut clients, large) = deaf(&fleet);
    let mut idle = Conversation::new(&fleet);
    fleet.signal(Signal::SIGTERM).expect("it runs");
    assert_eq!(idle.rest(), b"");
    let mut done: Vec<i64> = clients
        .iter_mut()
        .map(|client| is_answered(client, &large))
        .collect();
    done.sort_unstable();
    assert_eq!(done, [1, 2], "the half request was run");
    let (code, log) = fleet.until_ended();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(log.matches("exits: drained").count(), 2, "{log}");
}

// R33
#[test]
fn who_has_connected_is_served_though_nobody_had_accepted() {
    let fleet = Fleet::start("drain the queue", &draining("600"));
    let workers = pids(&fleet);
    workers.iter().copied().for_each(stop);
    let mut queued: Vec<Conversation> = (0..QUEUED).map(|_| Conversation::new(&fleet)).collect();
    for client in &mut queued {
        client.send(b"PING\r\n");
    }
    fleet.signal(Signal::SIGTERM).expect("it runs");
    until(|| fleet.log().contains("draining").then_some(()));
    workers.iter().copied().for_each(go_on);
    for client in &mut queued {
        assert_eq!(client.rest(), b"+PONG\r\n");
    }
    let (code, log) = fleet.until_ended();
    assert_eq!(code, Some(0), "{log}");
}

/// The server ends by itself, and says of so many connections that it could not wait for them.
fn assert_time_was_up(fleet: Fleet, connections: usize) {
    let (code, log) = fleet.until_ended();
    assert_eq!(code, Some(0), "{log}");
    let late = log.matches("its time to drain was up").count();
    assert_eq!(late, connections, "{log}");
}

// R33
#[test]
fn a_client_that_never_reads_holds_the_end_up_no_longer_than_told() {
    let fleet = Fleet::start("drain of the deaf", &draining("0.5"));
    let (clients, _) = deaf(&fleet);
    fleet.signal(Signal::SIGTERM).expect("it runs");
    assert_time_was_up(fleet, clients.len());
}

#[test]
fn a_second_signal_ends_the_time_to_drain() {
    let fleet = Fleet::start("hurry", &draining("3600"));
    let (clients, _) = deaf(&fleet);
    fleet.signal(Signal::SIGTERM).expect("it runs");
    until(|| fleet.log().contains("draining").then_some(()));
    fleet.signal(Signal::SIGTERM).expect("it runs");
    assert_time_was_up(fleet, clients.len());
}

#[test]
fn a_worker_that_does_not_leave_is_killed_by_name() {
    let fleet = Fleet::start("stopped drain", &draining("0"));
    let workers = pids(&fleet);
    stop(workers[1]);
    fleet.signal(Signal::SIGTERM).expect("it runs");
    let (code, log) = fleet.until_ended();
    assert_eq!(code, Some(0), "{log}");
    assert!(
        log.contains("ending worker 1: it did not drain in time"),
        "{log}"
    );
}

// R33
#[test]
fn an_update_under_way_is_off_and_both_versions_drain() {
    let fleet = Fleet::start("drain in an update", &draining("600"));
    let v2 = library("kv_v2");
    let flags = ["--canary", "1", "--probation", "3600", "--wait"];
    let path = v2.to_string_lossy().into_owned();
    let mut command = fleet.command(&[&["update", &path], &flags[..]].concat());
    let update = thread::spawn(move || command.output());
    until(|| {
        let crossed = fleet.now().workers.iter().any(|one| one.version == Some(2));
        crossed.then_some(())
    });
    let (mut clients, large) = deaf(&fleet);
    fleet.signal(Signal::SIGTERM).expect("it runs");
    for client in &mut clients {
        is_answered(client, &large);
    }
    let answer = update.join().expect("no panic").expect("dsu runs");
    let said = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert_eq!(answer.status.code(), Some(2), "{said}");
    assert!(said.contains("told to end"), "{said}");
    let (code, log) = fleet.until_ended();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(log.matches("exits: drained").count(), 2, "{log}");
}

// R33, R24
#[test]
fn each_worker_takes_a_configuration_event_once_busy_or_crossing() {
    let fleet = Fleet::start("SIGHUP", &kv(2));
    let mut clients = Conversation::at_each_worker(&fleet);
    let busy = clients[1].process();
    let versions = [library("kv_v2"), library("kv_v1")];
    for round in 1..=ROUNDS {
        match round % 3 {
            // Workers have been told to cross, and some are about to.
            0 => {
                let target = &versions[usize::from(fleet.now().version == 2)];
                fleet.updated(target, &["--probation", "0"]);
                fleet.signal(Signal::SIGHUP).expect("it runs");
            }
            1 => {
                stop(busy);
                fleet.signal(Signal::SIGHUP).expect("it runs");
                until(|| (clients[0].fact("dsu", "dsu_config_reloads") == round).then_some(()));
                go_on(busy);
            }
            _ => fleet.signal(Signal::SIGHUP).expect("it runs"),
        }
        for client in &mut clients {
            until(|| {
                let taken = client.fact("dsu", "dsu_config_reloads");
                assert!(taken <= round, "taken {taken} times of {round}");
                (taken == round).then_some(())
            });
        }
        fleet.until_idle();
    }
    for client in &mut clients {
        assert_eq!(client.fact("dsu", "dsu_config_reloads"), ROUNDS);
    }
    drop(clients);
    fleet.finish();
}
