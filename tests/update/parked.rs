//! Values of version 2 that version 1 has no form for: foreign while both run, parked when the update was
//! taken back, there again afterwards (R11, R12, R13).

use dsu_tests::{Fleet, library, shelf, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sample_app::server::Answer;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;

const AT_ONCE: &[&str] = &["--probation", "0", "--wait"];
/// Leaves the canary on its own until the test takes the update back.
const MIXED: &[&str] = &["--canary", "1", "--probation", "3600"];

fn version(name: &str) -> PathBuf {
    library(&format!("fixture_shelf_{name}"))
}

/// A connection to a shelf.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(fleet: &Fleet) -> Client {
        let stream = TcpStream::connect(fleet.address()).expect("the server takes connections");
        Client(BufReader::new(stream))
    }

    /// One that this worker serves.
    fn at(fleet: &Fleet, pid: u32) -> Client {
        let mut others = Vec::new();
        until(|| {
            let mut client = Client::new(fleet);
            if client.ask("PID") == pid.to_string() {
                return Some(client);
            }
            others.push(client);
            None
        })
    }

    /// One at a worker that runs this version.
    fn of_version(fleet: &Fleet, version: u64) -> Client {
        let pid = until(|| {
            let workers = fleet.now().workers;
            let one = workers.iter().find(|one| one.version == Some(version));
            one.map(|one| one.pid)
        });
        Client::at(fleet, pid)
    }

    fn ask(&mut self, line: &str) -> String {
        // In one piece: the server takes what arrives for a line.
        let line = format!("{line}\n");
        let stream = self.0.get_mut();
        stream.write_all(line.as_bytes()).expect("the server reads");
        let mut answer = String::new();
        self.0.read_line(&mut answer).expect("the server answers");
        answer.trim_end().to_owned()
    }

    fn does(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.ask(line), "ok", "{line}");
        }
    }
}

const FOREIGN: &str = "the element has no form in this version: replace or remove it";

/// What `dsu status` says is parked: type, version, number.
fn parked(fleet: &Fleet) -> Vec<(String, u64, u64)> {
    let data = fleet.now().data;
    let list = data["parked"].as_array().expect("a list").iter();
    let text = |one: &serde_json::Value| one["type"].as_str().expect("a name").to_owned();
    let number = |one: &serde_json::Value| one.as_u64().expect("a number");
    list.map(|one| (text(one), number(&one["version"]), number(&one["count"])))
        .collect()
}

fn values(version: u64, count: u64) -> Vec<(String, u64, u64)> {
    vec![("Value".to_owned(), version, count)]
}

fn refused(answer: &Answer, why: &[&str]) {
    assert_eq!(
        (answer.code, &*answer.word),
        (1, "refused"),
        "{}",
        answer.text
    );
    for part in why {
        assert!(answer.text.contains(part), "{}", answer.text);
    }
}

/// A shelf of version 2 with a text and lists `l1` to `l6`, rolled back to version 1.
fn rolled_back(test: &str) -> (Fleet, Client) {
    let fleet = Fleet::start(test, &shelf());
    fleet.updated(&version("v2"), AT_ONCE);
    let mut client = Client::new(&fleet);
    client.does(&["SET t1 text"]);
    for n in 1..=6 {
        client.does(&[&format!("PUSH l{n} item-that-needs-a-block-{n} {n}")]);
    }
    let answer = fleet.accepted(&["rollback", "--wait"]);
    assert!(
        answer.text.contains("parked: 6 Value of v2"),
        "{}",
        answer.text
    );
    assert_eq!(fleet.until_idle().version, 1);
    (fleet, client)
}

// R11, R13
#[test]
fn what_is_parked_can_be_moved_and_removed_and_the_rest_comes_back_equal() {
    let (fleet, mut client) = rolled_back("parked");
    assert_eq!(parked(&fleet), values(2, 6));
    let text = fleet.accepted(&["status"]).text;
    assert!(text.contains("parked: 6 Value of v2"), "{text}");

    assert_eq!(client.ask("GET l1"), FOREIGN);
    assert_eq!(client.ask("APP l1 more"), FOREIGN);
    assert_eq!(client.ask("LEN"), "7");
    assert_eq!(client.ask("KEYS"), "l1,l2,l3,l4,l5,l6,t1");
    // The entry around it has a form here.
    assert_eq!(client.ask("HIT l1"), "1");
    client.does(&["DEL l2", "REN l3 r3", "SET l4 over", "APP l4 written"]);
    assert_eq!(parked(&fleet), values(2, 4));
    fleet.accepted(&["status", "--check"]);

    // A fresh worker can drop what another version made.
    let old: Vec<u32> = fleet.now().workers.iter().map(|one| one.pid).collect();
    for pid in &old {
        kill(Pid::from_raw(*pid as i32), Signal::SIGKILL).expect("the worker runs");
    }
    let fresh = until(|| {
        let workers = fleet.now().workers;
        let all = workers
            .iter()
            .all(|one| one.state == "serving" && !old.contains(&one.pid));
        all.then(|| workers[0].pid)
    });
    let mut client = Client::at(&fleet, fresh);
    assert_eq!(client.ask("GET l5"), FOREIGN);
    client.does(&["DEL l5"]);
    assert_eq!(parked(&fleet), values(2, 3));
    fleet.accepted(&["status", "--check"]);

    fleet.updated(&version("v2"), AT_ONCE);
    assert_eq!(parked(&fleet), []);
    assert_eq!(client.ask("GET l1"), r#"[b"item-that-needs-a-block-1"]"#);
    let thrice = [r#"b"item-that-needs-a-block-3""#; 3].join(" ");
    assert_eq!(client.ask("GET r3"), format!("[{thrice}]"));
    assert_eq!(client.ask("GET l4"), r#"b"overwritten""#);
    assert_eq!(client.ask("KEYS"), "l1,l4,l6,r3,t1");
    assert_eq!(client.ask("HIT l1"), "2");
    fleet.finish();
}

// R11: in a mixed server nothing is hidden from the older version's workers.
#[test]
fn while_mixed_the_older_version_sees_foreign_values_and_may_replace_them() {
    let fleet = Fleet::start("foreign", &shelf());
    fleet.updated(&version("v2"), MIXED);
    let (mut new, mut old) = (Client::of_version(&fleet, 2), Client::of_version(&fleet, 1));
    new.does(&["PUSH l1 item 2", "PUSH l2 item 1", "SET t1 text"]);
    assert_eq!(old.ask("GET l1"), FOREIGN);
    assert_eq!(old.ask("GET t1"), r#"b"text""#);
    assert_eq!(old.ask("HIT l1"), "1");
    assert_eq!(new.ask("HIT l1"), "2");
    assert_eq!(new.ask("GET l1"), r#"[b"item" b"item"]"#);
    old.does(&["SET l1 text", "DEL l2"]);
    assert_eq!(new.ask("GET l1"), r#"b"text""#);
    assert_eq!(new.ask("GET l2"), "none");
    fleet.ask(&["rollback", "--wait"]);
    assert_eq!(parked(&fleet), []);
    fleet.finish();
}

// R13
#[test]
fn the_next_version_must_take_up_what_is_parked() {
    let (fleet, mut client) = rolled_back("the next version");
    let answer = fleet.update(&version("other"), AT_ONCE);
    refused(&answer, &["6 Value of v2", "--discard-parked"]);
    assert_eq!((fleet.now().version, parked(&fleet)), (1, values(2, 6)));

    // The same types by other code, and a lens from them.
    fleet.updated(&version("repaired"), AT_ONCE);
    assert_eq!(client.ask("NAME"), "repaired");
    assert_eq!(client.ask("GET l1"), r#"[b"item-that-needs-a-block-1"]"#);
    fleet.accepted(&["rollback", "--wait"]);
    client.does(&["DEL l6"]);
    assert_eq!(parked(&fleet), values(2, 5));
    fleet.updated(&version("taking"), AT_ONCE);
    assert_eq!(client.ask("NAME"), "taking");
    assert_eq!(client.ask("GET l5"), "5 items, 7 looks");
    fleet.accepted(&["status", "--check"]);

    // Left once more, in the form that they have now.
    fleet.accepted(&["rollback", "--wait"]);
    assert_eq!(parked(&fleet), values(3, 5));
    let answer = fleet.update(&version("v2"), AT_ONCE);
    refused(&answer, &["5 Value of v3"]);
    fleet.updated(&version("taking"), AT_ONCE);
    assert_eq!(client.ask("GET l5"), "5 items, 7 looks");
    fleet.finish();
}

// R13: what a version left is droppable by a fresh worker although another update came and went since.
#[test]
fn a_fresh_worker_has_the_code_of_all_that_is_parked() {
    let (fleet, _) = rolled_back("code of the parked");
    // This one has not their form, and its attempt makes it the last that was tried.
    let flags = [MIXED, &["--discard-parked"]].concat();
    fleet.updated(&version("other"), &flags);
    let mut canary = Client::of_version(&fleet, 2);
    assert_eq!(canary.ask("GET l1"), FOREIGN);
    fleet.ask(&["rollback", "--wait"]);
    assert_eq!(fleet.until_idle().version, 1);
    let old: Vec<u32> = fleet.now().workers.iter().map(|one| one.pid).collect();
    for pid in &old {
        kill(Pid::from_raw(*pid as i32), Signal::SIGKILL).expect("the worker runs");
    }
    let fresh = until(|| {
        let workers = fleet.now().workers;
        let mut fresh = workers
            .iter()
            .filter(|one| one.state == "serving" && !old.contains(&one.pid));
        fresh.next().map(|one| one.pid)
    });
    fleet.until_serving(2);
    let mut client = Client::at(&fleet, fresh);
    client.does(&["DEL l1", "DEL l2", "DEL l3", "DEL l4", "DEL l5"]);
    assert_eq!(parked(&fleet), values(2, 1));
    fleet.finish();
}

// R13
#[test]
fn what_is_parked_is_dropped_with_its_entries_when_the_operator_says_so() {
    let (fleet, mut client) = rolled_back("discard");
    client.does(&["SET t2 text"]);
    let flags = [AT_ONCE, &["--discard-parked"]].concat();
    fleet.updated(&version("other"), &flags);
    assert_eq!(parked(&fleet), []);
    assert_eq!(client.ask("KEYS"), "t1,t2");
    assert_eq!(client.ask("GET t2"), r#"b"text""#);
    fleet.finish();
}

// R12
#[test]
fn forbidden_values_are_made_as_long_as_no_older_worker_may_look() {
    let fleet = Fleet::start("forbid", &shelf());
    let not_yet =
        "workers of a version without such values may still run: try again when the update is over";
    fleet.updated(&version("v2"), MIXED);
    let mut new = Client::of_version(&fleet, 2);
    assert_eq!(new.ask("NOTE a text 5"), not_yet);
    new.does(&["NOTE b text 0"]);
    assert_eq!(new.ask("READ a"), "none");
    assert_eq!(
        (new.ask("ALL 2"), new.ask("ALL 1")),
        ("false".into(), "true".into())
    );
    let mixed = new.ask("EPOCH");
    fleet.ask(&["rollback", "--wait"]);

    fleet.updated(&version("v2"), AT_ONCE);
    let mut client = Client::new(&fleet);
    assert_eq!(client.ask("ALL 2"), "true");
    let settled = client.ask("EPOCH");
    assert_ne!(settled, mixed);
    client.does(&["NOTE a text 5"]);
    assert_eq!(client.ask("EPOCH"), settled);

    // On the way back it is over with them, from before the first worker crosses.
    fleet.updated(&version("v1"), MIXED);
    // Once the canary has crossed, or it might be the one that is asked next.
    let mut old = Client::of_version(&fleet, 1);
    let mut new = Client::of_version(&fleet, 2);
    assert_eq!(new.ask("NOTE c text 5"), not_yet);
    assert_eq!(new.ask("ALL 2"), "false");
    assert_eq!(old.ask("READ a"), FOREIGN);
    assert_eq!(new.ask("READ a"), r#"b"text" weighs 5"#);
    fleet.ask(&["rollback", "--wait"]);
    assert_eq!(fleet.until_idle().version, 2);
    let again = client.ask("EPOCH");
    assert_eq!(client.ask("ALL 2"), "true");
    assert_ne!(again, settled);
    client.does(&["NOTE c text 5"]);
    fleet.finish();
}

// R7, R12
#[test]
fn a_stand_in_gives_its_value_back_unless_somebody_wrote_over_it() {
    let fleet = Fleet::start("stand-ins", &shelf());
    fleet.updated(&version("v2"), AT_ONCE);
    let mut client = Client::new(&fleet);
    client.does(&["MARK a text 5", "MARK b text 6", "MARK c text 0"]);
    fleet.accepted(&["rollback", "--wait"]);
    assert_eq!(parked(&fleet), []);
    assert_eq!(client.ask("SEE a"), r#"b"a seal on text""#);
    assert_eq!(client.ask("SEE c"), r#"b"text""#);
    client.does(&["EDIT b new"]);
    fleet.accepted(&["status", "--check"]);
    fleet.updated(&version("v2"), AT_ONCE);
    assert_eq!(client.ask("SEE a"), r#"b"text" sealed 5"#);
    assert_eq!(client.ask("SEE b"), r#"b"new""#);
    fleet.finish();
}

// R12
#[test]
fn what_the_lenses_declare_is_shown_before_anything_runs() {
    let fleet = Fleet::start("declared", &shelf());
    let path = version("v2");
    let answer = fleet.accepted(&["check", &path.to_string_lossy()]);
    for part in [
        "Note: ",
        "are not made while it runs",
        "Mark: ",
        "have stand-ins there",
    ] {
        assert!(answer.text.contains(part), "{}", answer.text);
    }
    fleet.finish();
}
