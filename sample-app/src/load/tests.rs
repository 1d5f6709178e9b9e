//! The load against a small server of its own that can be told to lie.

use super::{Commands, Load, Plan, Value};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What the server does wrong, and to which SET or raise of a common counter, in the order of their coming.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    ForgetsWrite(usize),
    ForgetsRaise(usize),
    HangsUp(usize),
}

#[derive(Clone)]
struct Store {
    values: Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>>,
    writes: Arc<AtomicUsize>,
    raises: Arc<AtomicUsize>,
    fault: Fault,
}

fn serve(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let store = Store {
        values: Arc::default(),
        writes: Arc::default(),
        raises: Arc::default(),
        fault,
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let store = store.clone();
            std::thread::spawn(move || store.talk(stream));
        }
    });
    address
}

fn read_command(input: &mut impl BufRead) -> Option<Vec<Vec<u8>>> {
    let number = |input: &mut dyn BufRead| {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        line.get(1..)?.trim().parse::<usize>().ok()
    };
    let count = number(input)?;
    (0..count)
        .map(|_| {
            let mut part = vec![0; number(input)? + 2];
            input.read_exact(&mut part).ok()?;
            part.truncate(part.len() - 2);
            Some(part)
        })
        .collect()
}

impl Store {
    fn talk(&self, stream: TcpStream) {
        let mut output = stream.try_clone().expect("a descriptor");
        let mut input = BufReader::new(stream);
        while let Some(command) = read_command(&mut input) {
            let Some(reply) = self.run(&command) else {
                return;
            };
            if output.write_all(&reply).is_err() {
                return;
            }
        }
    }

    /// `None`: hang up.
    fn run(&self, command: &[Vec<u8>]) -> Option<Vec<u8>> {
        let mut values = self.values.lock().expect("no panic under the lock");
        let name = String::from_utf8_lossy(&command[0]).into_owned();
        let common = command.last()?.windows(6).any(|part| part == b"common");
        let turn = match name.as_str() {
            "SET" => self.writes.fetch_add(1, Ordering::Relaxed),
            "INCR" if common => self.raises.fetch_add(1, Ordering::Relaxed),
            _ => usize::MAX,
        };
        if self.fault == Fault::HangsUp(turn) {
            return None;
        }
        let bulk = |value: Option<&Vec<u8>>| match value {
            Some(value) => [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat(),
            None => b"$-1\r\n".to_vec(),
        };
        let integer = |number: usize| format!(":{number}\r\n").into_bytes();
        let ok = b"+OK\r\n".to_vec();
        Some(match name.as_str() {
            "GET" => bulk(values.get(&command[1])),
            "STRLEN" => integer(values.get(&command[1]).map_or(0, Vec::len)),
            "SET" => {
                if !matches!(self.fault, Fault::ForgetsWrite(at) if turn >= at) {
                    values.insert(command[1].clone(), command[2].clone());
                }
                ok
            }
            "APPEND" => {
                let value = values.entry(command[1].clone()).or_default();
                value.extend_from_slice(&command[2]);
                integer(value.len())
            }
            "INCR" => {
                let old = values.get(&command[1]).cloned().unwrap_or_default();
                let old: usize = String::from_utf8_lossy(&old).parse().unwrap_or(0);
                // A lost common raise shows only in the sum at the end.
                if self.fault != Fault::ForgetsRaise(turn) {
                    values.insert(command[1].clone(), (old + 1).to_string().into_bytes());
                }
                integer(old + 1)
            }
            "MSET" => {
                for pair in command[1..].chunks(2) {
                    values.insert(pair[0].clone(), pair[1].clone());
                }
                ok
            }
            "MGET" => {
                let mut reply = format!("*{}\r\n", command.len() - 1).into_bytes();
                command[1..]
                    .iter()
                    .for_each(|key| reply.extend(bulk(values.get(key))));
                reply
            }
            "DEL" => integer(values.remove(&command[1]).is_some().into()),
            "RENAME" => {
                let value = values.remove(&command[1]);
                values.extend(value.map(|value| (command[2].clone(), value)));
                ok
            }
            _ => b"-ERR unknown command\r\n".to_vec(),
        })
    }
}

fn loaded(fault: Fault) -> super::Results {
    let mut plan = Plan::new(serve(fault));
    plan.connections = 4;
    let load = Load::start(plan, "first").expect("connected");
    while load.answered() < 3000 {
        std::thread::yield_now();
    }
    load.pause();
    let paused_at = load.answered();
    load.phase("second");
    load.resume();
    while load.answered() < paused_at + 3000 {
        std::thread::yield_now();
    }
    load.finish().expect("still there")
}

#[test]
fn a_right_server_passes_and_every_request_is_in_a_phase() {
    let results = loaded(Fault::Nothing);
    assert!(results.is_clean(), "{:?}", results.texts);
    assert!(results.keys_verified > 400 && results.acknowledged_writes > 1000);
    let names: Vec<&str> = results.phases.iter().map(|phase| &*phase.name).collect();
    assert_eq!(names, ["first", "second"]);
    let in_phases: u64 = results.phases.iter().map(|phase| phase.requests()).sum();
    assert_eq!(in_phases, results.requests);
    assert!(results.phases[1].longest() >= results.phases[1].quantile(0.999));
}

#[test]
fn a_server_that_forgets_writes_is_found_out() {
    let results = loaded(Fault::ForgetsWrite(500));
    assert!(!results.is_clean());
    assert!(results.errors > 0 && !results.texts.is_empty());
}

#[test]
fn one_lost_raise_of_a_common_counter_is_found_out() {
    assert!(!loaded(Fault::ForgetsRaise(100)).is_clean());
}

#[test]
fn a_broken_connection_is_counted_and_costs_no_acknowledged_write() {
    let results = loaded(Fault::HangsUp(700));
    assert_eq!(results.disconnects, 1);
    assert_eq!(
        (results.errors, results.lost),
        (0, 0),
        "{:?}",
        results.texts
    );
}

#[test]
fn commands_that_the_server_does_not_know_are_errors() {
    let mut plan = Plan::new(serve(Fault::Nothing));
    plan.connections = 2;
    let load = Load::start(plan, "only").expect("connected");
    load.use_commands(Commands::Expiring);
    while load.failed() == 0 {
        std::thread::yield_now();
    }
    let results = load.finish().expect("still there");
    assert!(results.errors > 0);
}

#[test]
fn a_reply_is_a_value() {
    let mut wire = super::Wire::connect(serve(Fault::Nothing), std::time::Duration::from_secs(60))
        .expect("connected");
    assert_eq!(
        wire.ask(&["GET", "a"]).expect("answered"),
        Value::Bulk(None)
    );
    let unknown = Value::Error("ERR unknown command".to_owned());
    assert_eq!(wire.ask(&["FLY"]).expect("answered"), unknown);
}
