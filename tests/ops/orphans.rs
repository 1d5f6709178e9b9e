//! Workers whose supervisor is killed.

use dsu_tests::{Fleet, kv, ledger, library, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::net::TcpStream;

fn is_alive(pid: u32) -> bool {
    // An orphan is collected by init, or by whoever adopts here.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
    !(state.is_empty() || state.starts_with('Z'))
}

fn orphans(fleet: &Fleet) -> Vec<u32> {
    let workers: Vec<u32> = fleet.now().workers.iter().map(|one| one.pid).collect();
    fleet.signal(Signal::SIGKILL).expect("it runs");
    workers
}

#[test]
fn a_worker_that_never_waits_ends_with_its_supervisor() {
    let mut settings = ledger();
    settings.library = library("fixture_ledger_moody");
    settings.more.extend(["--", "spin"].map(Into::into));
    let fleet = Fleet::start("spinning orphans", &settings);
    for pid in orphans(&fleet) {
        until(|| (!is_alive(pid)).then_some(()));
    }
}

#[test]
fn orphans_answer_what_had_come_and_end() {
    let fleet = Fleet::start("draining orphans", &kv(2));
    let workers: Vec<u32> = fleet.now().workers.iter().map(|one| one.pid).collect();
    let signal = |signal| {
        for pid in &workers {
            kill(Pid::from_raw(*pid as i32), signal).expect("it is there");
        }
    };
    signal(Signal::SIGSTOP);
    let mut clients: Vec<TcpStream> = (0..10)
        .map(|_| TcpStream::connect(fleet.address()).expect("the kernel takes connections"))
        .collect();
    for client in &mut clients {
        client.write_all(b"PING\r\nPING\r\n").expect("sent");
    }
    fleet.signal(Signal::SIGKILL).expect("it runs");
    signal(Signal::SIGCONT);
    for client in &mut clients {
        let mut replies = Vec::new();
        client.read_to_end(&mut replies).expect("an end, no reset");
        assert_eq!(replies, b"+PONG\r\n+PONG\r\n");
    }
    for pid in workers {
        until(|| (!is_alive(pid)).then_some(()));
    }
}
