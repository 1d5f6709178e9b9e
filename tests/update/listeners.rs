//! What a server listens on belongs to a version (R33): added, removed, renamed, and back.

use dsu_tests::{Fleet, kv, library, process_of, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sample_app::load::{Value, Wire};
use sample_app::server::Settings;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);
/// The listener that every server here begins with.
const FIRST: [&str; 2] = ["--listen", "127.0.0.1:0"];
const ADMIN: [&str; 2] = ["--listen", "admin=127.0.0.1:0"];
/// Holds an update after its one canary.
const HELD: [&str; 4] = ["--canary", "1", "--probation", "3600"];
/// Connections that no worker has accepted when an update is about to commit.
const QUEUED: usize = 500;
const AT_ONCE: [&str; 3] = ["--probation", "0", "--wait"];

fn with_admin() -> Settings {
    let mut settings = kv(2);
    settings.more.extend(ADMIN.map(Into::into));
    settings
}

fn addresses(fleet: &Fleet, field: &str) -> Vec<String> {
    let status = fleet.now();
    let list = status.data[field].as_array().cloned().unwrap_or_default();
    let texts = list.iter().filter_map(|one| one.as_str());
    texts.map(str::to_owned).collect()
}

/// Where a listener of this name is bound.
fn address(fleet: &Fleet, field: &str, name: &str) -> SocketAddr {
    let all = addresses(fleet, field);
    let found = all
        .iter()
        .find_map(|one| one.strip_prefix(name)?.strip_prefix('='));
    let found = found.unwrap_or_else(|| panic!("no {name} in {all:?}"));
    found.parse().expect("an address")
}

fn connect(address: SocketAddr) -> Wire {
    Wire::connect(address, PATIENCE).expect("it listens")
}

fn answers(wire: &mut Wire) {
    let reply = wire.ask(&["PING"]).expect("an answer");
    assert_eq!(reply, Value::Simple("PONG".to_owned()));
}

/// Waits until nobody listens there.
fn until_refused(address: SocketAddr) {
    until(|| match Wire::connect(address, PATIENCE) {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
            Some(())
        }
        Ok(_) => None,
    });
}

fn pids(fleet: &Fleet) -> BTreeSet<u32> {
    fleet.now().workers.iter().map(|one| one.pid).collect()
}

/// Connects until these processes have taken a connection there each.
fn until_accepted_by(address: SocketAddr, mut wanted: BTreeSet<u32>) {
    // Kept open meanwhile: a worker with fewer connections is no likelier to take the next.
    let mut others = Vec::new();
    until(|| {
        let mut wire = connect(address);
        wanted.remove(&process_of(&mut wire));
        others.push(wire);
        wanted.is_empty().then_some(())
    });
}

/// Holds an update to version 2 with these listeners; the processes of the new version and the old one.
fn held(fleet: &Fleet, listen: &[&str]) -> (u32, u32) {
    fleet.updated(&library("kv_v2"), &[&HELD[..], listen].concat());
    until(|| {
        let at = |version| {
            let workers = fleet.now().workers;
            let found = workers
                .iter()
                .find(|one| one.version == Some(version) && one.state == "serving");
            found.map(|one| one.pid)
        };
        Some((at(2)?, at(1)?))
    })
}

/// The inode of the socket that listens there.
fn listening_inode(address: SocketAddr) -> String {
    let table = fs::read_to_string("/proc/net/tcp").expect("a table");
    let place = format!(":{:04X}", address.port());
    let lines = table.lines().map(|line| line.split_whitespace().collect());
    let found = lines
        .into_iter()
        .find(|line: &Vec<&str>| line.len() > 9 && line[1].ends_with(&place) && line[3] == "0A");
    found.expect("it listens")[9].to_owned()
}

/// How many sockets this process has on which anybody listens.
fn listening(pid: u32) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").expect("a table");
    let lines = table.lines().map(|line| line.split_whitespace().collect());
    let listen = lines.filter(|line: &Vec<&str>| line.len() > 9 && line[3] == "0A");
    listen
        .filter(|line| !holders([pid], line[9]).is_empty())
        .count()
}

/// Which of these processes have the socket open.
fn holders(processes: impl IntoIterator<Item = u32>, inode: &str) -> Vec<u32> {
    let link = format!("socket:[{inode}]");
    let holds = |pid: &u32| {
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
        let mut targets = fds.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        targets.any(|target| target.as_os_str() == &*link)
    };
    processes.into_iter().filter(holds).collect()
}

// R33
#[test]
fn an_added_listener_is_served_while_mixed_goes_with_a_rollback_and_stays_with_a_commit() {
    let fleet = Fleet::start("added listener", &kv(2));
    let first = fleet.address();
    let extra = ["--listen", "extra=127.0.0.1:0"];
    let (new, old) = held(&fleet, &[FIRST, extra].concat());
    let added = address(&fleet, "target_listeners", "extra");
    assert_eq!(address(&fleet, "target_listeners", "default"), first);
    assert_eq!(addresses(&fleet, "listeners").len(), 1);
    let text = fleet.ask(&["status"]).text;
    assert!(
        text.contains(&format!("extra={added} (by this update)")),
        "{text}"
    );
    // Only the new version listens there; both where both do.
    let mut early = connect(added);
    assert_eq!(process_of(&mut early), new);
    until_accepted_by(first, [new, old].into());
    // Who takes the place of the dead knows what belongs to its version.
    kill(Pid::from_raw(old as i32), Signal::SIGKILL).expect("it runs");
    until(|| (!pids(&fleet).contains(&old)).then_some(()));
    fleet.until_serving(2);
    until_accepted_by(first, pids(&fleet));
    let mut late = connect(added);
    assert_eq!(process_of(&mut late), new);

    fleet.ask(&["rollback", "--wait"]);
    fleet.until_idle();
    until_refused(added);
    answers(&mut early);
    answers(&mut late);
    until_accepted_by(first, pids(&fleet));

    let again = format!("extra={added}");
    let listen = [&FIRST[..], &["--listen", &again]].concat();
    fleet.updated(&library("kv_v2"), &[&AT_ONCE[..], &listen].concat());
    assert_eq!(address(&fleet, "listeners", "extra"), added);
    until_accepted_by(added, pids(&fleet));
    until_accepted_by(first, pids(&fleet));
    answers(&mut early);
    fleet.finish();
}

// R33
#[test]
fn a_removed_listener_is_served_by_both_versions_until_the_commit_and_back_at_once_in_a_rollback() {
    let fleet = Fleet::start("removed listener, then back", &with_admin());
    let admin = address(&fleet, "listeners", "admin");
    let inode = listening_inode(admin);
    let mut established = connect(admin);
    answers(&mut established);
    let (new, old) = held(&fleet, &FIRST);
    assert_eq!(addresses(&fleet, "target_listeners").len(), 1);
    let text = fleet.ask(&["status"]).text;
    let remark = format!("admin={admin} (until the update commits)");
    assert!(text.contains(&remark), "{text}");
    until_accepted_by(admin, [new, old].into());
    fleet.ask(&["rollback", "--wait"]);
    fleet.until_idle();
    assert_eq!(listening_inode(admin), inode, "the same socket");
    until_accepted_by(admin, pids(&fleet));
    answers(&mut established);
    fleet.finish();
}

// R33
#[test]
fn nobody_is_lost_when_a_listener_is_removed_and_a_rollback_opens_it_again() {
    let fleet = Fleet::start("removed listener", &with_admin());
    let admin = address(&fleet, "listeners", "admin");
    let inode = listening_inode(admin);
    let mut established = connect(admin);
    answers(&mut established);
    let is_under_way = AtomicBool::new(false);
    let is_refused = AtomicBool::new(false);
    let served = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut wires = Vec::new();
                    // Whoever gets in is answered, up to the moment in which nobody gets in.
                    loop {
                        match Wire::connect(admin, PATIENCE) {
                            Ok(mut wire) => {
                                answers(&mut wire);
                                is_under_way.store(true, Ordering::Relaxed);
                                wires.push(wire);
                                if wires.len() >= 100 {
                                    wires.clear();
                                }
                                if is_refused.load(Ordering::Relaxed) {
                                    return wires;
                                }
                            }
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                                return wires;
                            }
                        }
                    }
                })
            })
            .collect();
        until(|| is_under_way.load(Ordering::Relaxed).then_some(()));
        let answer = fleet.update(&library("kv_v2"), &[&AT_ONCE[..], &FIRST].concat());
        is_refused.store(answer.code != 0, Ordering::Relaxed);
        assert_eq!(answer.code, 0, "{}\n{}", answer.text, fleet.log());
        let ended = clients.into_iter().map(|client| client.join());
        ended
            .flat_map(|wires| wires.expect("every client was answered"))
            .collect::<Vec<Wire>>()
    });
    until_refused(admin);
    for mut wire in served.into_iter().chain([established]) {
        answers(&mut wire);
    }
    assert_eq!(addresses(&fleet, "listeners").len(), 1);
    // Closed in all processes, and given up by all.
    let all = || pids(&fleet).into_iter().chain([fleet.pid()]);
    until(|| holders(all(), &inode).is_empty().then_some(()));

    // A port that is another's by now: said, and nothing is changed.
    let thief = TcpListener::bind(admin).expect("it is free");
    let answer = fleet.ask(&["rollback", "--wait"]);
    assert_eq!(
        (answer.code, &*answer.word),
        (1, "refused"),
        "{}",
        answer.text
    );
    assert!(answer.text.contains(&admin.to_string()), "{}", answer.text);
    assert_eq!((fleet.now().version, &*fleet.now().stage), (2, "idle"));
    drop(thief);
    fleet.accepted(&["rollback", "--wait"]);
    assert_eq!(address(&fleet, "listeners", "admin"), admin);
    until_accepted_by(admin, pids(&fleet));
    until_accepted_by(fleet.address(), pids(&fleet));
    fleet.finish();
}

// R33
#[test]
fn who_waits_in_the_queue_when_the_update_commits_is_served() {
    let fleet = Fleet::start("queue of a removed listener", &with_admin());
    let admin = address(&fleet, "listeners", "admin");
    let send = |signal| {
        for pid in pids(&fleet) {
            kill(Pid::from_raw(pid as i32), signal).expect("it runs");
        }
    };
    let flags = ["--probation", "3"];
    fleet.updated(&library("kv_v2"), &[&flags[..], &FIRST].concat());
    until(|| (fleet.now().workers[0].version == Some(2)).then_some(()));
    send(Signal::SIGSTOP);
    // From here to the commit the workers have far less to do than to accept all of these.
    let mut queued: Vec<Wire> = (0..QUEUED).map(|_| connect(admin)).collect();
    for wire in &mut queued {
        wire.push(&["PING"]);
        wire.flush().expect("the kernel takes it");
    }
    until(|| {
        let blocking = fleet.ask(&["blocking"]).text;
        blocking.contains("after probation").then_some(())
    });
    send(Signal::SIGCONT);
    for wire in &mut queued {
        let reply = wire.reply().expect("an answer");
        assert_eq!(reply, Value::Simple("PONG".to_owned()));
    }
    assert_eq!(fleet.until_idle().version, 2, "{}", fleet.log());
    until_refused(admin);
    queued.iter_mut().for_each(answers);
    fleet.finish();
}

// R33
#[test]
fn the_same_file_takes_other_listeners_and_an_address_keeps_its_socket_under_another_name() {
    let fleet = Fleet::start("listeners alone", &with_admin());
    let (first, admin) = (fleet.address(), address(&fleet, "listeners", "admin"));
    let inode = listening_inode(first);
    let (web, taken) = (format!("web={first}"), format!("web={admin}"));
    let v1 = library("kv_v1");
    let answer = fleet.update(&v1, &["--listen", &web, "--listen", &taken, "--wait"]);
    assert_eq!(answer.word, "refused");
    assert!(answer.text.contains("two listeners"), "{}", answer.text);
    // One that is refused when its listener is open already.
    let extra = ["--listen", &web, "--listen", "extra=127.0.0.1:0"];
    let answer = fleet.update(&v1, &[&["--canary", "9", "--wait"], &extra[..]].concat());
    assert_eq!(answer.word, "refused");
    assert!(answer.text.contains("9 canaries"), "{}", answer.text);
    until(|| (listening(fleet.pid()) == 2).then_some(()));
    assert_eq!(addresses(&fleet, "listeners").len(), 2);

    let mut established = connect(first);
    fleet.updated(&v1, &[&AT_ONCE[..], &extra].concat());
    assert_eq!(listening_inode(first), inode, "it was never closed");
    assert_eq!(address(&fleet, "listeners", "web"), first);
    answers(&mut established);
    until_refused(admin);
    until_accepted_by(first, pids(&fleet));
    let extra = address(&fleet, "listeners", "extra");
    until_accepted_by(extra, pids(&fleet));

    fleet.accepted(&["rollback", "--wait"]);
    until_refused(extra);
    assert_eq!(address(&fleet, "listeners", "default"), first);
    assert_eq!(listening_inode(first), inode);
    until_accepted_by(admin, pids(&fleet));
    fleet.finish();
}
