//! What the probe says of libraries that misbehave, and what it leaves behind: nothing.
//!
//! Without the usual harness, because a probe runs this executable again: `main` plays that part first.

use dsu_runtime::version::probe::{self, Pace, Probe, Probed, Request};
use dsu_runtime::version::{Library, LoadError, Refusal, Statics, inspect, writable_statics};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

/// A name and what it runs.
type Test = (&'static str, fn(&Scratch));

fn main() {
    probe::main();
    let tests: &[Test] = &[
        (
            "well_behaved_library_gives_its_manifest",
            well_behaved_library_gives_its_manifest,
        ),
        (
            "copy_is_made_once_and_is_what_is_loaded",
            copy_is_made_once_and_is_what_is_loaded,
        ),
        (
            "aborting_constructor_is_refused_with_its_last_words",
            aborting_constructor,
        ),
        (
            "hanging_constructor_is_refused_at_the_deadline",
            hanging_constructor,
        ),
        (
            "spinning_constructor_is_refused_at_the_deadline",
            spinning_constructor,
        ),
        (
            "forking_constructor_is_refused_and_its_child_dies",
            forking_constructor,
        ),
        (
            "constructor_that_forks_and_returns_twice_is_refused",
            constructor_returning_twice,
        ),
        (
            "constructor_that_forks_and_hangs_leaves_nobody",
            constructor_forking_and_hanging,
        ),
        (
            "constructor_that_starts_a_thread_is_refused",
            constructor_with_thread,
        ),
        (
            "exiting_constructor_is_refused_though_its_status_is_0",
            exiting_constructor,
        ),
        ("garbage_in_the_pipe_is_no_answer", garbage_in_the_pipe),
        ("flood_on_stdout_reaches_nobody", flood_on_stdout),
        ("memory_is_capped", memory_is_capped),
        (
            "library_without_manifest_is_refused",
            library_without_manifest,
        ),
        (
            "library_that_contradicts_its_header_is_refused",
            contradicting_library,
        ),
        (
            "files_that_are_no_versions_are_refused_before_loading",
            files_that_are_no_versions,
        ),
        (
            "library_built_in_a_wrong_way_is_refused_by_what_is_wrong",
            wrongly_built_libraries,
        ),
        ("probe_that_is_dropped_is_killed", dropped_probe),
        (
            "probe_beside_a_server_runs_only_when_others_do_not",
            idle_probe,
        ),
        (
            "probe_on_a_machine_without_idle_time_takes_its_share",
            starved_probe,
        ),
        (
            "same_code_is_not_loaded_twice",
            same_code_is_not_loaded_twice,
        ),
        (
            "writable_statics_are_listed_by_who_must_mark_them",
            writable_statics_are_listed,
        ),
        (
            "stripped_library_is_not_checked_for_statics_and_not_refused",
            stripped_library,
        ),
        ("mutated_symbols_give_a_list_or_none", mutated_symbols),
        (
            "mutated_libraries_are_judged_without_harm",
            mutated_libraries,
        ), // last: caps memory
    ];
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    if std::env::args().any(|a| a == "--list") {
        tests.iter().for_each(|(name, _)| println!("{name}: test"));
        return;
    }
    for (name, test) in tests {
        if wanted.is_empty() || wanted.iter().any(|w| name.contains(w.as_str())) {
            let scratch = Scratch::new(name);
            test(&scratch);
            println!("test {name} ... ok");
        }
    }
}

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("dsu-probe-{}-{name}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }

    /// The fixture with this behaviour.
    fn library(&self, behaviour: &str) -> PathBuf {
        let mut bytes = fixture();
        set_behaviour(&mut bytes, behaviour);
        let path = self.0.join(format!("lib{behaviour}.so"));
        fs::write(&path, bytes).unwrap();
        path
    }

    fn request(&self, library: &Path) -> Request {
        Request {
            deadline: Duration::from_secs(120),
            // An idle one may wait for ever beside other tests.
            pace: Pace::Normal,
            ..Request::new(library, &self.0.join("run"))
        }
    }

    fn probe(&self, behaviour: &str) -> Result<Probed, Refusal> {
        let library = self.library(behaviour);
        Probe::start(&self.request(&library)).unwrap().wait()
    }

    fn probe_briefly(&self, behaviour: &str) -> Refusal {
        let library = self.library(behaviour);
        let request = Request {
            deadline: Duration::from_secs(1),
            ..self.request(&library)
        };
        Probe::start(&request).unwrap().wait().unwrap_err()
    }

    /// Folders in `/proc` of the processes in whose file of this name a part is found.
    fn processes(file: &str, part: &str) -> Vec<PathBuf> {
        let has_part = |folder: &PathBuf| {
            let bytes = fs::read(folder.join(file)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(part)
        };
        let folders = fs::read_dir("/proc").unwrap().flatten();
        folders.map(|entry| entry.path()).filter(has_part).collect()
    }

    /// Processes that have this scratch's library mapped.
    fn survivors(&self) -> usize {
        Self::processes("maps", &self.0.to_string_lossy()).len()
    }

    /// Whether a process that probes this scratch's library runs only when nobody else does.
    fn has_idle_process(&self) -> bool {
        let policy = |folder: &PathBuf| {
            let stat = fs::read_to_string(folder.join("stat")).ok()?;
            // Field 41 of proc_pid_stat(5); what follows the name, which may hold anything, begins with field 3.
            let policy = stat.rsplit_once(')')?.1.split_whitespace().nth(41 - 3)?;
            policy.parse::<i32>().ok()
        };
        Self::processes("environ", &self.0.to_string_lossy())
            .iter()
            .any(|folder| policy(folder) == Some(libc::SCHED_IDLE))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn fixture() -> Vec<u8> {
    built("libfixture_probe.so")
}

fn built(name: &str) -> Vec<u8> {
    let own = std::env::current_exe().unwrap();
    let deps = own.parent().unwrap();
    let path = deps.join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn find(bytes: &[u8], needle: &[u8]) -> usize {
    bytes
        .windows(needle.len())
        .position(|w| w == needle)
        .expect("the mark is in the file")
}

fn set_behaviour(bytes: &mut [u8], behaviour: &str) {
    let at = find(bytes, b"fixture-behavior:well-behaved") + 17;
    bytes[at..at + 15].fill(b'.');
    bytes[at..at + behaviour.len()].copy_from_slice(behaviour.as_bytes());
}

fn well_behaved_library_gives_its_manifest(scratch: &Scratch) {
    let probed = scratch.probe("fine").unwrap();
    assert_eq!(probed.manifest.app, "fixture");
    assert_eq!(probed.manifest.version.0, 2);
    assert_eq!(probed.manifest.carry.worker, "serve");
    assert_eq!(probed.manifest.build_id, probed.header.build_id);
    assert!(
        probed
            .copy
            .ends_with(format!("builds/{}/libfine.so", probed.digest))
    );
}

fn copy_is_made_once_and_is_what_is_loaded(scratch: &Scratch) {
    let first = scratch.probe("fine").unwrap();
    assert_eq!(
        fs::read(&first.copy).unwrap(),
        fs::read(scratch.0.join("libfine.so")).unwrap()
    );
    // Driven as an event loop does it.
    let library = scratch.library("fine");
    let mut probe = Probe::start(&scratch.request(&library)).unwrap();
    let second = loop {
        match probe.poll() {
            Poll::Ready(result) => break result.unwrap(),
            Poll::Pending => {
                let mut fds = [nix::poll::PollFd::new(
                    probe.fd(),
                    nix::poll::PollFlags::POLLIN,
                )];
                nix::poll::poll(&mut fds, nix::poll::PollTimeout::NONE).unwrap();
            }
        }
    };
    assert_eq!(first, second);
}

fn aborting_constructor(scratch: &Scratch) {
    let refusal = scratch.probe("abort").unwrap_err();
    let Refusal::Killed { signal, output } = &refusal else {
        panic!("{refusal}")
    };
    assert_eq!(signal, "SIGABRT");
    assert!(output.contains("the constructor gives up"), "{output}");
}

fn hanging_constructor(scratch: &Scratch) {
    let refusal = scratch.probe_briefly("hang");
    assert!(
        matches!(refusal, Refusal::Overdue { seconds: 1, .. }),
        "{refusal}"
    );
    assert_eq!(scratch.survivors(), 0);
}

fn spinning_constructor(scratch: &Scratch) {
    let refusal = scratch.probe_briefly("spin");
    assert!(
        matches!(refusal, Refusal::Overdue { cpu_ms: 1.., .. }),
        "{refusal}"
    );
    assert_eq!(scratch.survivors(), 0);
}

fn forking_constructor(scratch: &Scratch) {
    let refusal = scratch.probe("fork").unwrap_err();
    assert_eq!(refusal, Refusal::Forked { processes: 1 });
    assert_eq!(scratch.survivors(), 0);
}

fn constructor_returning_twice(scratch: &Scratch) {
    let refusal = scratch.probe("fork-return").unwrap_err();
    assert_eq!(refusal, Refusal::Forked { processes: 1 });
    assert_eq!(scratch.survivors(), 0);
}

fn constructor_forking_and_hanging(scratch: &Scratch) {
    let refusal = scratch.probe_briefly("fork-hang");
    assert!(matches!(refusal, Refusal::Overdue { .. }), "{refusal}");
    assert_eq!(scratch.survivors(), 0);
}

fn constructor_with_thread(scratch: &Scratch) {
    let refusal = scratch.probe("thread").unwrap_err();
    assert_eq!(refusal, Refusal::StartedThreads { threads: 1 });
}

fn exiting_constructor(scratch: &Scratch) {
    let refusal = scratch.probe("exit").unwrap_err();
    assert!(
        matches!(refusal, Refusal::Exited { status: 0, .. }),
        "{refusal}"
    );
}

fn garbage_in_the_pipe(scratch: &Scratch) {
    let refusal = scratch.probe("garbage").unwrap_err();
    assert!(matches!(refusal, Refusal::Garbage { .. }), "{refusal}");
}

fn flood_on_stdout(scratch: &Scratch) {
    let refusal = scratch.probe_briefly("flood");
    assert!(matches!(refusal, Refusal::Overdue { .. }), "{refusal}");
    assert!(refusal.to_string().len() < 500);
}

fn memory_is_capped(scratch: &Scratch) {
    let refusal = scratch.probe("memory").unwrap_err();
    let Refusal::Killed { output, .. } = &refusal else {
        panic!("{refusal}")
    };
    assert!(output.contains("memory allocation"), "{output}");
}

fn library_without_manifest(scratch: &Scratch) {
    for (behaviour, says) in [
        ("no-manifest", "there is none today"),
        ("nonsense", "not readable"),
        ("no-calls", "returned nothing"),
    ] {
        let refusal = scratch.probe(behaviour).unwrap_err();
        assert!(matches!(refusal, Refusal::NoManifest { .. }), "{refusal}");
        assert!(refusal.to_string().contains(says), "{refusal}");
    }
}

fn contradicting_library(scratch: &Scratch) {
    let refusal = scratch.probe("lie").unwrap_err();
    let Refusal::Contradiction {
        what,
        header,
        manifest,
    } = &refusal
    else {
        panic!("{refusal}")
    };
    assert_eq!(
        (what.as_str(), header.as_str(), manifest.as_str()),
        ("application", "fixture", "another")
    );
}

fn files_that_are_no_versions(scratch: &Scratch) {
    let judge = |path: &Path| {
        Probe::start(&scratch.request(path))
            .unwrap()
            .wait()
            .unwrap_err()
    };
    assert!(matches!(
        judge(&scratch.0.join("none.so")),
        Refusal::Missing { .. }
    ));
    assert!(matches!(judge(&scratch.0), Refusal::NotAFile { .. }));
    assert_eq!(
        judge(&std::env::current_exe().unwrap()),
        Refusal::NotALibrary
    );
    let text = scratch.0.join("text.so");
    fs::write(&text, "not a library").unwrap();
    assert_eq!(judge(&text), Refusal::NotElf);
    let whole = fixture();
    for part in [100, whole.len() / 2, whole.len() - 1] {
        fs::write(&text, &whole[..part]).unwrap();
        let refusal = judge(&text);
        assert!(
            matches!(refusal, Refusal::Truncated { .. }),
            "{part}: {refusal}"
        );
    }
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        edit(&mut bytes);
        inspect(&bytes).unwrap_err()
    };
    let magic = find(&whole, b"dsu-library\0\0\0\0\x01");
    assert_eq!(
        edited(&|b| b[magic + 16] = 9),
        Refusal::RuntimeAbi { found: 9 }
    ); // R34
    assert_eq!(
        edited(&|b| b[magic + 20] = 9),
        Refusal::ContainerAbi { found: 9 }
    ); // R34
    assert!(matches!(
        edited(&|b| b[magic] = 0),
        Refusal::BadHeader { .. }
    ));
    let replace = |b: &mut Vec<u8>, from: &[u8], to: &[u8]| {
        while let Some(at) = b.windows(from.len()).position(|w| w == from) {
            b[at..at + to.len()].copy_from_slice(to);
        }
    };
    let refusal = edited(&|b| replace(b, b"libgcc_s.so.1\0", b"libssl_s.so.1\0"));
    assert_eq!(
        refusal,
        Refusal::NeedsLibrary {
            name: "libssl_s.so.1".into()
        }
    );
    assert_eq!(
        edited(&|b| replace(b, b".dsu.header\0", b".dsu.hidden\0")),
        Refusal::NoHeader
    );
    let refusal = edited(&|b| replace(b, b"\0dsu_library\0", b"\0dsu_nothing\0"));
    assert_eq!(
        refusal,
        Refusal::MissingSymbol {
            name: "dsu_library".into()
        }
    );
}

fn wrongly_built_libraries(_: &Scratch) {
    use goblin::elf::{Elf, dynamic, program_header};
    assert_eq!(
        inspect(&built("libfixture_allocator.so")),
        Err(Refusal::OwnAllocator)
    );
    let whole = fixture();
    let elf = Elf::parse(&whole).unwrap();
    let header_of = |kind| {
        elf.program_headers
            .iter()
            .position(|p| p.p_type == kind)
            .unwrap()
    };
    let edited = |at: usize, bytes: &[u8]| {
        let mut copy = whole.clone();
        copy[at..at + bytes.len()].copy_from_slice(bytes);
        inspect(&copy).unwrap_err()
    };

    let headers = elf.header.e_phoff as usize;
    let stack = headers + 56 * header_of(program_header::PT_GNU_STACK);
    assert_eq!(edited(stack + 4, &[7]), Refusal::ExecutableStack);
    assert_eq!(edited(stack, &[0; 4]), Refusal::ExecutableStack);
    let note = elf.program_headers.iter().enumerate();
    let mut without_notes = whole.clone();
    for (i, _) in note.filter(|(_, p)| p.p_type == program_header::PT_NOTE) {
        without_notes[headers + 56 * i..][..4].fill(0);
    }
    assert_eq!(inspect(&without_notes), Err(Refusal::NoBuildId));

    // The first entry names a library that is needed; under another tag it means something else.
    let table = &elf.program_headers[header_of(program_header::PT_DYNAMIC)];
    let first = table.p_offset as usize;
    assert_eq!(
        elf.dynamic.as_ref().unwrap().dyns[0].d_tag,
        dynamic::DT_NEEDED
    );
    let soname = edited(first, &dynamic::DT_SONAME.to_le_bytes());
    assert!(matches!(soname, Refusal::HasSoname { .. }), "{soname}");
    let relocations = edited(first, &dynamic::DT_TEXTREL.to_le_bytes());
    assert_eq!(relocations, Refusal::TextRelocations);
    let mut flags = [dynamic::DT_FLAGS, dynamic::DF_TEXTREL].map(u64::to_le_bytes);
    assert_eq!(
        edited(first, flags.as_flattened_mut()),
        Refusal::TextRelocations
    );
}

fn dropped_probe(scratch: &Scratch) {
    let library = scratch.library("hang");
    let probe = Probe::start(&scratch.request(&library)).unwrap();
    let watchdog = Instant::now() + Duration::from_secs(110); // less than the probe's own deadline
    let wait_until = |reached: &dyn Fn(usize) -> bool, otherwise: &str| {
        while !reached(scratch.survivors()) {
            assert!(Instant::now() < watchdog, "{otherwise}");
            // Looking at every process takes the processor from the one that is waited for.
            let _ = nix::poll::poll(&mut [], 20u16);
        }
    };
    wait_until(&|mapped| mapped > 0, "the library was never loaded");
    drop(probe);
    wait_until(&|mapped| mapped == 0, "the loader outlives its supervisor");
}

fn idle_probe(scratch: &Scratch) {
    let library = scratch.library("hang");
    let request = Request {
        pace: Pace::WhenIdle,
        ..scratch.request(&library)
    };
    let probe = Probe::start(&request).unwrap();
    let watchdog = Instant::now() + Duration::from_secs(110);
    // It changes its class before it does any work, so this does not wait for an idle processor.
    while !scratch.has_idle_process() {
        assert!(Instant::now() < watchdog, "it runs like everybody else");
        let _ = nix::poll::poll(&mut [], 20u16);
    }
    drop(probe);
}

fn starved_probe(scratch: &Scratch) {
    let library = scratch.library("spin");
    let request = Request {
        pace: Pace::WhenIdle,
        deadline: Duration::from_secs(1),
        ..scratch.request(&library)
    };
    let is_answered = AtomicBool::new(false);
    let refusal = thread::scope(|scope| {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..2 * processors {
            scope.spawn(|| {
                while !is_answered.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let result = Probe::start(&request).unwrap().wait();
        is_answered.store(true, Ordering::Relaxed);
        result.unwrap_err()
    });
    // It had its second of processor time.
    assert!(
        matches!(refusal, Refusal::Overdue { cpu_ms, .. } if cpu_ms >= 500),
        "{refusal:?}"
    );
}

fn same_code_is_not_loaded_twice(scratch: &Scratch) {
    let library = scratch.library("fine");
    let build_id = inspect(&fs::read(&library).unwrap()).unwrap().build_id;
    let wrong = Library::load(&library, "00").unwrap_err();
    assert_eq!(
        wrong,
        LoadError::WrongBuild {
            expected: "00".into(),
            found: Some(build_id.clone())
        }
    );
    let loaded = Library::load(&library, &build_id).unwrap();
    assert_eq!(loaded.build_id(), build_id);
    assert!(loaded.manifest_text().unwrap().starts_with(b"{"));
    assert_eq!(
        Library::load(&library, &build_id).unwrap_err(),
        LoadError::SeenBefore
    );
}

/// A probe's word on a library that was built with this test.
fn statics_of(scratch: &Scratch, name: &str) -> (Probed, Statics) {
    let path = scratch.0.join(name);
    fs::write(&path, built(name)).unwrap();
    let probed = Probe::start(&scratch.request(&path))
        .unwrap()
        .wait()
        .unwrap();
    let statics = probed.statics.clone();
    (probed, statics)
}

// R4
fn writable_statics_are_listed(scratch: &Scratch) {
    let (probed, statics) = statics_of(scratch, "libfixture_statics.so");
    let Statics::Found {
        private,
        unmarked,
        elsewhere,
    } = &statics
    else {
        panic!("{statics}")
    };
    let last = |names: &[String]| -> Vec<String> {
        let last = names.iter().map(|name| name.rsplit("::").next().unwrap());
        let mut last: Vec<_> = last.map(str::to_owned).collect();
        last.sort();
        last
    };
    assert_eq!(
        last(private),
        [
            "KEPT_ATOMIC",
            "KEPT_EAGER",
            "KEPT_FOR_FOREIGN",
            "KEPT_IN_GENERIC",
            "KEPT_LAZILY",
            "KEPT_MUT",
            "WOKEN",
        ]
    );
    assert_eq!(
        last(unmarked),
        [
            "LOST_ATOMIC",
            "LOST_EAGER",
            "LOST_FOR_FOREIGN",
            "LOST_IN_CLOSURE",
            "LOST_IN_GENERIC",
            "LOST_LAZILY",
            "LOST_LAZY",
            "LOST_MUT",
            "LOST_ONCE",
            "LOST_ZERO",
        ]
    );
    assert!(unmarked.contains(&"fixture_statics::LOST_LAZY".to_owned()));
    assert_eq!(
        elsewhere["fixture_statics_engine"],
        ["fixture_statics_engine::CALLS"]
    );
    assert!(elsewhere.contains_key("std"));
    let refusal = statics.judge().unwrap_err();
    let Refusal::UnmarkedStatics { names } = &refusal else {
        panic!("{refusal}")
    };
    assert_eq!(names, unmarked);

    // A version that names the crate of its application that does not use the runtime.
    let mut stated = probed.manifest.statics;
    assert_eq!(stated.crates, ["fixture_statics"]);
    stated.crates.push("fixture_statics_engine".to_owned());
    let bytes = built("libfixture_statics.so");
    let Statics::Found { unmarked, .. } = Statics::of(writable_statics(&bytes), &stated) else {
        panic!("it was read before")
    };
    assert_eq!(unmarked.len(), 11, "{unmarked:?}");
    assert!(unmarked.contains(&"fixture_statics_engine::CALLS".to_owned()));
}

// R4
fn stripped_library(scratch: &Scratch) {
    use goblin::elf::{Elf, section_header::SHT_SYMTAB};
    let mut bytes = built("libfixture_statics.so");
    let elf = Elf::parse(&bytes).unwrap();
    let table = elf
        .section_headers
        .iter()
        .position(|s| s.sh_type == SHT_SYMTAB);
    let at = elf.header.e_shoff as usize + 64 * table.unwrap();
    bytes[at + 4..at + 8].fill(0);
    let path = scratch.0.join("libstripped.so");
    fs::write(&path, bytes).unwrap();
    let probed = Probe::start(&scratch.request(&path))
        .unwrap()
        .wait()
        .unwrap();
    assert!(
        matches!(probed.statics, Statics::Unchecked(_)),
        "{:?}",
        probed.statics
    );
    assert_eq!(probed.statics.judge(), Ok(()));
}

fn mutated_symbols(_: &Scratch) {
    use goblin::elf::{Elf, section_header::SHT_SYMTAB};
    let mut bytes = built("libfixture_statics.so");
    let elf = Elf::parse(&bytes).unwrap();
    let sections = &elf.section_headers;
    let symbols = sections.iter().find(|s| s.sh_type == SHT_SYMTAB).unwrap();
    let names = &sections[symbols.sh_link as usize];
    let headers = elf.header.e_shoff as usize;
    let ranges = [
        headers..headers + 64 * sections.len(),
        symbols.file_range().unwrap(),
        names.file_range().unwrap(),
    ];
    let whole = writable_statics(&bytes).unwrap();
    let mut random = random_numbers();
    let mut told = 0;
    for round in 0..300 {
        let range = ranges[round % 3].clone();
        // Much of it at once: one symbol of ten thousand is seldom one that counts.
        let changes = [1, 3000][round % 2];
        let kept = bytes[range.clone()].to_vec();
        for _ in 0..changes {
            let at = range.start + random(range.len());
            bytes[at] = random(256) as u8;
        }
        match writable_statics(&bytes) {
            Ok(list) => told += usize::from(list != whole),
            Err(why) => assert!(!why.contains("confuses"), "{why} in round {round}"),
        }
        bytes[range].copy_from_slice(&kept);
    }
    println!("     {told} of 300 told something else");
    assert!(told > 30);
    assert_eq!(writable_statics(&bytes).unwrap(), whole);
}

/// Numbers below a limit, the same in every run.
fn random_numbers() -> impl FnMut(usize) -> usize {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    }
}

fn mutated_libraries(_: &Scratch) {
    let mut bytes = fixture();
    let word = |bytes: &[u8], at: usize| {
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
    };
    let sections = word(&bytes, 40);
    let tables = [0..64, 64..64 + 12 * 56, sections..bytes.len()];
    let header = find(&bytes, b"dsu-library\0\0\0\0\x01");
    inspect(&bytes).unwrap();

    // A table of a forged size would not fit: the test would abort.
    let status = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = status.split(' ').next().unwrap().parse().unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
    setrlimit(Resource::RLIMIT_AS, pages * 4096 + (128 << 20), hard).unwrap();

    let mut random = random_numbers();
    let mut refused = 0;
    for round in 0..600 {
        let range = match round % 4 {
            3 => header..header + 192,
            table => tables[table].clone(),
        };
        let at = range.start + random(range.len() - 8);
        let kept: [u8; 8] = bytes[at..at + 8].try_into().unwrap();
        let forged = [
            u64::MAX,
            1 << 63,
            random(1 << 40) as u64,
            random(256) as u64,
            0,
        ][random(5)];
        let width = [1, 2, 4, 8][random(4)];
        bytes[at..at + width].copy_from_slice(&forged.to_le_bytes()[..width]);
        if let Err(why) = writable_statics(&bytes) {
            assert!(!why.contains("confuses"), "{why} in round {round} at {at}");
        }
        if let Err(refusal) = inspect(&bytes) {
            let text = refusal.to_string();
            assert!(
                !text.contains("confuses"),
                "the parser panicked in round {round} at {at}"
            );
            refused += 1;
        }
        bytes[at..at + 8].copy_from_slice(&kept);
    }
    println!("     {refused} of 600 refused");
    assert!(refused > 100);
    inspect(&bytes).unwrap();
}
