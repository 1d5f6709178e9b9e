//! Bad input: each is refused with its reason, and the running server is untouched.

use dsu_runtime::abi::{CONTAINER_ABI, LibraryHeader, RUNTIME_ABI};
use dsu_tests::{Fleet, Patch, behave, host, kv, ledger, library};
use sample_app::server::{Server, Status};
use std::fs;
use std::path::{Path, PathBuf};

/// Offers `library` to a running server: refused, exit 1, with these words, and nothing has changed.
fn refused(fleet: &Fleet, library: &Path, words: &[&str]) {
    let before = fleet.now();
    let answer = fleet.update(library, &["--wait"]);
    let context = format!("{}: {} {}", library.display(), answer.word, answer.text);
    assert_eq!(
        (answer.code, &*answer.word),
        (1, "refused"),
        "{context}\n{}",
        fleet.log()
    );
    for word in words {
        assert!(answer.text.contains(word), "no {word:?} in {context}");
    }
    assert_untouched(&before, &fleet.now());
}

fn assert_untouched(before: &Status, now: &Status) {
    assert_eq!(before.workers, now.workers);
    assert_eq!((now.version, &*now.stage), (before.version, "idle"));
    assert_eq!(before.data["digest"], now.data["digest"]);
}

fn fleet(test: &str) -> Fleet {
    Fleet::start(test, &ledger())
}

fn file(fleet: &Fleet, name: &str) -> PathBuf {
    fleet.folder().join(name)
}

#[test]
fn a_path_that_leads_to_no_file_is_refused() {
    let fleet = fleet("no file");
    refused(&fleet, &file(&fleet, "missing.so"), &["does not exist"]);
    refused(&fleet, fleet.folder(), &["directory"]);
    let circle = file(&fleet, "loop.so");
    std::os::unix::fs::symlink(&circle, &circle).expect("a link");
    refused(&fleet, &circle, &["leads back to itself"]);
    fleet.finish();
}

#[test]
fn a_file_that_is_no_library_is_refused() {
    let fleet = fleet("no library");
    let good = library("fixture_ledger_v2");
    let empty = file(&fleet, "empty.so");
    fs::write(&empty, b"").expect("written");
    refused(&fleet, &empty, &["is empty"]);
    let text = file(&fleet, "text.so");
    fs::write(&text, "not a library\n".repeat(1000)).expect("written");
    refused(&fleet, &text, &["not an ELF file"]);
    let size = fs::metadata(&good).expect("it is there").len() as usize;
    for length in [4, 64, 1000, size / 2] {
        let short = Patch::Length(length).copy(&good, &file(&fleet, &format!("short-{length}.so")));
        refused(&fleet, &short, &[]);
    }
    let huge = file(&fleet, "huge.so");
    let sparse = fs::File::create(&huge).expect("created");
    sparse.set_len(2 << 30).expect("a sparse file");
    refused(&fleet, &huge, &["2147483648 bytes"]);
    // e_machine: AArch64.
    let foreign = Patch::At(18, &183u16.to_le_bytes()).copy(&good, &file(&fleet, "foreign.so"));
    refused(&fleet, &foreign, &["AARCH64", "x86_64"]);
    fleet.finish();
}

#[test]
fn a_library_that_is_no_version_is_refused() {
    let fleet = fleet("no version");
    let good = library("fixture_ledger_v2");
    let headless = Patch::Every(b"\0.dsu.header\0", b"\0.xxx.header\0")
        .copy(&good, &file(&fleet, "headless.so"));
    refused(&fleet, &headless, &["no header"]);
    let silent = behave(
        &library("fixture_probe"),
        "no-manifest",
        &file(&fleet, "silent.so"),
    );
    refused(&fleet, &silent, &["no manifest"]);
    fleet.finish();
}

// R34
#[test]
fn a_library_of_another_runtime_or_compiler_is_refused() {
    let fleet = fleet("another runtime");
    let good = library("fixture_ledger_v2");
    let header = |runtime: u32, container: u32| {
        let magic = &LibraryHeader::MAGIC[..];
        [magic, &runtime.to_le_bytes(), &container.to_le_bytes()].concat()
    };
    let now = header(RUNTIME_ABI, CONTAINER_ABI);
    let changed = |name: &str, old: &[u8], new: &[u8]| {
        Patch::Every(old, new).copy(&good, &file(&fleet, name))
    };
    let runtime = changed("runtime.so", &now, &header(RUNTIME_ABI + 1, CONTAINER_ABI));
    refused(&fleet, &runtime, &["runtime abi"]);
    let container = changed(
        "container.so",
        &now,
        &header(RUNTIME_ABI, CONTAINER_ABI + 1),
    );
    refused(&fleet, &container, &["container abi", "snapshot"]);
    fleet.finish();
    // Of the ledger's plain numbers every compiler makes the same; the store has more than that.
    let store = Fleet::start("another compiler", &kv(1));
    let copy = file(&store, "compiler.so");
    let compiler = Patch::Every(b"rustc 1.", b"rustc 9.").copy(&library("kv_v2"), &copy);
    refused(&store, &compiler, &["rustc 9."]);
    store.finish();
}

#[test]
fn a_version_that_cannot_follow_the_running_one_is_refused() {
    let fleet = fleet("no successor");
    refused(
        &fleet,
        &library("fixture_ledger_other"),
        &["diary", "ledger"],
    );
    refused(&fleet, &library("fixture_ledger_v3"), &["2"]);
    fleet.finish();
}

// R2
#[test]
fn a_changed_type_without_a_transformer_is_refused() {
    let fleet = fleet("changed type");
    refused(
        &fleet,
        &library("fixture_ledger_changed"),
        &["Stats", "slept"],
    );
    fleet.finish();
}

// R2, R35
#[test]
fn a_frozen_copy_that_does_not_match_is_refused_with_both_layouts() {
    let fleet = fleet("frozen copy");
    refused(
        &fleet,
        &library("fixture_ledger_frozen"),
        &["Stats", "u32", "u64"],
    );
    fleet.finish();
}

// R4
#[test]
fn a_guard_that_is_gone_without_a_word_is_refused() {
    let fleet = fleet("guard gone");
    refused(
        &fleet,
        &library("fixture_ledger_gone"),
        &["PEERS", "removed!"],
    );
    fleet.finish();
}

// R4
#[test]
fn writable_statics_must_be_marked_and_are_listed() {
    const WORDS: &[&str] = &[
        "fixture_statics::LOST_ATOMIC",
        "LOST_LAZILY",
        "dsu::private",
    ];
    let fleet = fleet("statics");
    let unmarked = library("fixture_statics");
    refused(&fleet, &unmarked, WORDS);
    let check = fleet.ask(&["check", &unmarked.to_string_lossy()]);
    assert_eq!((check.code, &*check.word), (1, "refused"), "{}", check.text);
    let found = &check.data["statics"]["found"];
    let names = found["unmarked"].as_array().expect("a list");
    assert!(
        names.contains(&"fixture_statics::LOST_ATOMIC".into()),
        "{names:?}"
    );
    for word in WORDS {
        assert!(check.text.contains(word), "no {word:?} in {}", check.text);
    }
    // One whose statics are all marked, or those of other crates.
    let marked = library("fixture_ledger_v2");
    let check = fleet.accepted(&["check", &marked.to_string_lossy()]);
    let found = &check.data["statics"]["found"];
    assert_eq!(found["private"][0], "fixture_ledger_v2::worker::WOKEN");
    assert_eq!(found["unmarked"].as_array().map(Vec::len), Some(0));
    assert!(found["elsewhere"]["std"].is_array(), "{found}");
    assert!(check.text.contains("WOKEN"), "{}", check.text);
    // A crate of the application that uses none of the macros is named by the version.
    let store = fleet.accepted(&["check", &library("kv_v2").to_string_lossy()]);
    let crates = &store.data["manifest"]["statics"]["crates"];
    assert_eq!(*crates, serde_json::json!(["kv_engine", "kv_v2"]));
    fleet.updated(&marked, &["--probation", "0", "--wait"]);
    fleet.finish();
    // A server does not begin with what it could not update from without losing it.
    let mut settings = ledger();
    settings.library = unmarked;
    let refusal = Server::start(host(), &settings)
        .err()
        .expect("it is refused");
    for word in WORDS {
        assert!(refusal.contains(word), "no {word:?} in {refusal}");
    }
}

#[test]
fn a_constructor_that_misbehaves_is_refused() {
    let fleet = fleet("constructors");
    let fixture = library("fixture_probe");
    for (behaviour, words) in [
        ("abort", &["SIGABRT"][..]),
        ("hang", &["within"][..]),
        ("fork", &[][..]),
        ("exit", &["status 0"][..]),
        ("thread", &["thread"][..]),
    ] {
        let name = format!("{behaviour}.so");
        refused(
            &fleet,
            &behave(&fixture, behaviour, &file(&fleet, &name)),
            words,
        );
    }
    fleet.finish();
}

#[test]
fn the_library_that_runs_already_is_refused() {
    let fleet = fleet("same again");
    refused(&fleet, &library("fixture_ledger_v1"), &["v1"]);
    fleet.finish();
}

#[test]
fn an_update_while_one_is_running_is_refused_and_the_first_goes_on() {
    let fleet = fleet("two updates");
    let good = library("fixture_ledger_v2");
    fleet.updated(&good, &["--canary", "1", "--probation", "3600"]);
    let answer = fleet.update(&good, &[]);
    assert_eq!(
        (answer.code, &*answer.word),
        (1, "refused"),
        "{}",
        answer.text
    );
    assert_ne!(fleet.now().stage, "idle");
    fleet.ask(&["rollback", "--wait"]);
    let status = fleet.until_idle();
    assert!(status.workers.iter().all(|one| one.version == Some(1)));
    // What the refused ones lack, this one has.
    fleet.updated(&good, &["--probation", "0", "--wait"]);
    assert_eq!(fleet.now().version, 2);
    fleet.finish();
}

#[test]
fn bad_flags_are_refused_before_anything_starts() {
    let fleet = fleet("flags");
    let good = library("fixture_ledger_v2");
    let before = fleet.now();
    for flags in [
        &["--canary", "3"][..],
        &["--mode", "barrier", "--canary", "1"],
    ] {
        let answer = fleet.update(&good, flags);
        assert_eq!(answer.code, 1, "{flags:?}: {}", answer.text);
    }
    assert_untouched(&before, &fleet.now());
    fleet.finish();
}
