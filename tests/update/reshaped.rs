//! Containers that change shape in a server that is updated and rolled back: a map becomes an ordered
//! one, another becomes two, a vector becomes a map. Clients write all the time, through both versions
//! while they are mixed, and each knows what it has written.

use dsu_tests::{Fleet, LineClient as Client, library, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sample_app::server::Settings;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

const AT_ONCE: &[&str] = &["--probation", "0", "--wait"];
/// Leaves the canary on its own until the test goes on.
const MIXED: &[&str] = &["--canary", "1", "--probation", "3600"];
/// Tables, by the letter that the atlas has for each.
const TABLES: [&str; 3] = ["P", "T", "S"];
const WRITERS: u64 = 3;
/// Keys of each writer and table.
const KEYS: u64 = 60;
/// What was there before, of each table; keys above those of all writers.
const FILLED: [u64; 3] = [4_000, 3_000, 150];
const FIRST_FILLED: u64 = 1_000_000;

fn version(number: u32) -> PathBuf {
    library(&format!("fixture_atlas_v{number}"))
}

fn atlas(test: &str) -> Fleet {
    let mut settings = Settings::new(version(1));
    settings.workers = 3;
    settings.more = ["--heap", "256M"].map(Into::into).to_vec();
    let fleet = Fleet::start(test, &settings);
    let mut client = Client::new(fleet.address());
    for (table, count) in TABLES.into_iter().zip(FILLED) {
        let line = format!("{table} FILL {FIRST_FILLED} {count}");
        assert_eq!(client.ask(&line), count.to_string());
    }
    fleet
}

/// What a writer knows of its own keys, by table and key.
type Model = BTreeMap<(usize, u64), u64>;

/// Clients that write, each its own keys, and hold every answer against what they know.
struct Writers {
    threads: Vec<JoinHandle<Model>>,
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
}

impl Writers {
    fn start(fleet: &Fleet) -> Writers {
        let (stop, answers) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let threads = (0..WRITERS).map(|number| {
            let (stop, answers) = (Arc::clone(&stop), Arc::clone(&answers));
            let mut writer = Writer {
                clients: (0..4).map(|_| Client::new(fleet.address())).collect(),
                model: Model::new(),
                dice: number + 1,
                number,
            };
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    writer.step();
                    answers.fetch_add(1, Ordering::Relaxed);
                }
                writer.model
            })
        });
        Writers {
            threads: threads.collect(),
            stop,
            answers,
        }
    }

    /// Waits for so many answers more.
    fn await_more(&self, more: u64) {
        let wanted = self.answers.load(Ordering::Relaxed) + more;
        until(|| {
            let is_dead = self.threads.iter().any(JoinHandle::is_finished);
            assert!(!is_dead, "a writer met a wrong answer");
            (self.answers.load(Ordering::Relaxed) >= wanted).then_some(())
        });
    }

    /// Stops all, and compares every table with what they know.
    fn finish(self, fleet: &Fleet) {
        self.stop.store(true, Ordering::Relaxed);
        let mut model = Model::new();
        for thread in self.threads {
            model.extend(thread.join().expect("every answer was right"));
        }
        let mut client = Client::new(fleet.address());
        for (place, table) in TABLES.into_iter().enumerate() {
            for key in 0..WRITERS * KEYS {
                let known = model.get(&(place, key));
                let answer = client.ask(&format!("{table} GET {key} 0"));
                assert_eq!(answer, text(known.copied()), "{table} {key}");
            }
            let own = model.keys().filter(|(of, _)| *of == place).count() as u64;
            let count = client.ask(&format!("{table} LEN 0 0"));
            assert_eq!(count, (own + FILLED[place]).to_string(), "{table}");
            for key in (0..FILLED[place]).step_by(7) {
                let key = FIRST_FILLED + key;
                let answer = client.ask(&format!("{table} GET {key} 0"));
                assert_eq!(answer, key.to_string(), "{table} {key}");
            }
        }
    }
}

fn text(value: Option<u64>) -> String {
    value.map_or("none".to_owned(), |value| value.to_string())
}

struct Writer {
    /// At whichever workers.
    clients: Vec<Client>,
    model: Model,
    dice: u64,
    number: u64,
}

impl Writer {
    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.dice >> 33) % sides
    }

    /// One request, by any of its connections.
    fn step(&mut self) {
        let place = self.roll(TABLES.len() as u64) as usize;
        let key = self.number * KEYS + self.roll(KEYS);
        let known = self.model.get(&(place, key)).copied();
        let amount = self.roll(400);
        let (verb, then) = match self.roll(10) {
            // Trails cross the length from which they are long; none is of one that means harm.
            0..=3 => ("PUT", Some(amount * 3 + 1)),
            4..=6 => ("ADD", known.map(|value| value + 3 * amount)),
            7 => ("DEL", None),
            _ => ("GET", known),
        };
        let given = match verb {
            "PUT" => amount * 3 + 1,
            _ => 3 * amount,
        };
        let client = self.roll(self.clients.len() as u64) as usize;
        let line = format!("{} {verb} {key} {given}", TABLES[place]);
        let answer = self.clients[client].perhaps(&line);
        let expected = match verb {
            "DEL" => text(known),
            _ => text(then),
        };
        let then = match answer {
            Some(answer) if !answer.starts_with("error") => {
                assert_eq!(answer, expected, "{line}");
                then
            }
            // It was done, or not, or the guard could not be had.
            _ => self.look(place, key, [known, then]),
        };
        match then {
            Some(value) => self.model.insert((place, key), value),
            None => self.model.remove(&(place, key)),
        };
    }

    /// Which of two states a key is in.
    fn look(&mut self, place: usize, key: u64, states: [Option<u64>; 2]) -> Option<u64> {
        let line = format!("{} GET {key} 0", TABLES[place]);
        let clients = &mut self.clients;
        let mut turn = 0;
        let answer = until(|| {
            turn += 1;
            let count = clients.len();
            let answer = clients[turn % count].perhaps(&line)?;
            (!answer.starts_with("error")).then_some(answer)
        });
        let found = states.into_iter().find(|state| text(*state) == answer);
        found.unwrap_or_else(|| panic!("{line} answers {answer}, not one of {states:?}"))
    }
}

/// While this is there, whoever fills the stops stays in the middle of them, and nobody else gets at them.
struct Hold(PathBuf);

impl Hold {
    fn new(fleet: &Fleet) -> Hold {
        let supervisor = fleet.now().data["pid"].as_u64().expect("a number");
        let path = std::env::temp_dir().join(format!("atlas-{supervisor}.hold"));
        fs::write(&path, "").expect("a temporary file");
        let mut client = Client::new(fleet.address());
        client.ask(&format!("S PUT {TIRESOME} 777"));
        Hold(path)
    }

    /// Who stays there.
    fn worker(&self, fleet: &Fleet) -> u32 {
        until(|| {
            let workers = fleet.now().workers;
            let busy = workers.iter().find(|one| one.state.starts_with("busy"));
            busy.map(|one| one.pid)
        })
    }

    fn release(self, fleet: &Fleet) {
        drop(self);
        let mut client = Client::new(fleet.address());
        client.ask(&format!("S PUT {TIRESOME} {TIRESOME}"));
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        fs::remove_file(&self.0).expect("it is held");
    }
}

/// A stop among those that were there before.
const TIRESOME: u64 = FIRST_FILLED + 99;

fn stage(fleet: &Fleet) -> String {
    fleet.now().stage
}

fn await_stage(fleet: &Fleet, wanted: &str) {
    until(|| (stage(fleet) == wanted).then_some(()));
}

fn rolled_back(fleet: &Fleet) {
    let answer = fleet.ask(&["rollback", "--wait"]);
    assert!(matches!(answer.code, 0 | 2), "{}", answer.text);
    assert_eq!(fleet.until_idle().version, 1);
}

// R5, R6, R9, R29, R30
#[test]
fn containers_that_change_shape_keep_every_write_through_updates_and_rollbacks() {
    let fleet = atlas("reshaped");
    let writers = Writers::start(&fleet);
    writers.await_more(500);
    for _ in 0..2 {
        // Mixed for a while, then all the way, then back all the way.
        fleet.updated(&version(2), MIXED);
        await_stage(&fleet, "canary");
        writers.await_more(1500);
        rolled_back(&fleet);
        writers.await_more(200);
        fleet.updated(&version(2), AT_ONCE);
        assert_eq!(fleet.now().version, 2);
        writers.await_more(500);
        rolled_back(&fleet);
        writers.await_more(200);
        fleet.updated(&version(2), &["--mode", "barrier", "--wait"]);
        writers.await_more(200);
        rolled_back(&fleet);
    }
    writers.finish(&fleet);
    let history = fleet.ask(&["history"]);
    assert!(history.text.contains("filled in"), "{}", history.text);
    fleet.finish();
}

// R5: what is to be filled can be seen, waits for who holds a guard, and can be called off.
#[test]
fn a_filling_shows_how_far_it_is_stands_still_and_is_called_off() {
    let fleet = atlas("filling");
    let hold = Hold::new(&fleet);
    fleet.updated(&version(2), &["--probation", "0"]);
    await_stage(&fleet, "filling");
    // All places and the trails, but not the stops.
    let filling = until(|| {
        let data = fleet.now().data["filling"].clone();
        (data["done"].as_u64() == Some(5)).then_some(data)
    });
    assert_eq!(filling["guards"].as_u64(), Some(6));
    fleet.accepted(&["pause"]);
    assert_eq!(stage(&fleet), "paused");
    fleet.accepted(&["resume"]);
    await_stage(&fleet, "filling");
    let before = fleet.now();
    assert!(before.workers.iter().all(|one| one.version == Some(1)));
    fleet.accepted(&["rollback"]);
    hold.release(&fleet);
    assert_eq!(fleet.until_idle().version, 1);
    let history = fleet.ask(&["history"]).text;
    assert!(history.contains("rolled-back"), "{history}");
    let writers = Writers::start(&fleet);
    writers.await_more(200);
    fleet.updated(&version(2), AT_ONCE);
    writers.await_more(200);
    writers.finish(&fleet);
    fleet.finish();
}

// R5, R28: a rollback in the middle of the sweep makes the older shapes anew.
#[test]
fn a_rollback_in_the_middle_of_the_sweep_brings_every_shape_back() {
    let fleet = atlas("reshaped sweep");
    let mut client = Client::new(fleet.address());
    // A place that version 2 has no form for: the sweep comes upon it.
    client.ask("P PUT 900001 999");
    let flags = ["--probation", "0", "--on-failure", "pause", "--wait"];
    let path = version(2).to_string_lossy().into_owned();
    let waiting = {
        let mut command = fleet.command(&[&["update", &*path], &flags[..]].concat());
        std::thread::spawn(move || command.output())
    };
    await_stage(&fleet, "paused");
    let writers = Writers::start(&fleet);
    writers.await_more(500);
    assert!(fleet.now().workers.iter().all(|one| one.version == Some(2)));
    rolled_back(&fleet);
    let output = waiting.join().expect("no panic").expect("dsu runs");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(client.ask("P GET 900001 0"), "999");
    assert_eq!(client.ask("P DEL 900001 0"), "999");
    writers.await_more(200);
    writers.finish(&fleet);
    fleet.finish();
}

fn kill_worker(pid: u32) {
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).expect("the worker runs");
}

// R5, R28, I5
#[test]
fn a_worker_that_dies_in_a_filling_takes_the_update_back_and_leaves_all_as_it_was() {
    let fleet = atlas("death in a filling");
    let mut client = Client::new(fleet.address());
    // In the hands of a lens, in the middle of the trails.
    let trail = FIRST_FILLED + 1234;
    client.ask(&format!("T PUT {trail} 666"));
    let answer = fleet.update(&version(2), AT_ONCE);
    assert_eq!((answer.code, &*answer.word), (2, "rolled-back"));
    assert!(answer.text.contains("was filled"), "{}", answer.text);
    assert_eq!(fleet.until_idle().version, 1);
    // By itself, in a filling that somebody holds up.
    client.ask(&format!("T PUT {trail} {trail}"));
    let hold = Hold::new(&fleet);
    fleet.updated(&version(2), &["--probation", "0"]);
    await_stage(&fleet, "filling");
    kill_worker(hold.worker(&fleet));
    hold.release(&fleet);
    assert_eq!(fleet.until_idle().version, 1);
    fleet.until_serving(3);
    let writers = Writers::start(&fleet);
    writers.await_more(200);
    fleet.updated(&version(2), AT_ONCE);
    writers.finish(&fleet);
    fleet.finish_after_deaths();
}

// R5, R28, I5: in the preparation before a flip, which drains what was marked since.
#[test]
fn a_canary_that_dies_in_the_preparation_before_a_flip_leaves_the_older_form() {
    let fleet = atlas("death before a flip");
    let writers = Writers::start(&fleet);
    fleet.updated(&version(2), MIXED);
    await_stage(&fleet, "canary");
    let mut older = Client::of_version(&fleet, 1);
    let trail = FIRST_FILLED + 77;
    // Whoever brings it to the newer form dies, until somebody of the older version mends it.
    let _ = older.perhaps(&format!("T PUT {trail} 666"));
    let status = fleet.until_idle();
    assert_eq!(status.version, 1);
    let mut client = Client::new(fleet.address());
    client.ask(&format!("T PUT {trail} {trail}"));
    fleet.until_serving(3);
    writers.await_more(300);
    fleet.updated(&version(2), AT_ONCE);
    writers.finish(&fleet);
    fleet.finish_after_deaths();
}

// R5: said before anything runs.
#[test]
fn what_will_be_filled_is_said_by_the_check_of_two_libraries() {
    let fleet = atlas("said before");
    let (old, new) = (version(1), version(2));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let check = fleet.ask(&["check", &text(&new), "--against", &text(&old)]);
    assert_eq!(check.code, 0, "{}", check.text);
    let line = "filled before workers cross: PLACES.places, STOPS.stops, TRAILS.trails";
    assert!(check.text.contains(line), "{}", check.text);
    let back = fleet.ask(&["check", &text(&old), "--against", &text(&new)]);
    assert!(back.text.contains("filled before"), "{}", back.text);
    fleet.finish();
}
