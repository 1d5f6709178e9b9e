//! Why a library is declined before anything has changed. Each variant says the reason and what to do.

use super::statics::shown;
use crate::abi::{CONTAINER_ABI, RUNTIME_ABI};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// Why one library, taken by itself, is refused. Crosses from the probe to the supervisor as JSON.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)] // the text of each variant is its documentation
pub enum Refusal {
    // ---- the file
    Missing {
        path: PathBuf,
    },
    SymlinkLoop {
        path: PathBuf,
    },
    NotAFile {
        path: PathBuf,
        kind: String,
    },
    TooLarge {
        bytes: u64,
        limit: u64,
    },
    Empty {
        path: PathBuf,
    },
    Unreadable {
        path: PathBuf,
        reason: String,
    },
    NotCopied {
        reason: String,
    },
    // ---- the bytes
    NotElf,
    Truncated {
        what: String,
    },
    Malformed {
        what: String,
    },
    WrongMachine {
        found: String,
    },
    NotALibrary,
    NeedsLibrary {
        name: String,
    },
    HasSoname {
        name: String,
    },
    TextRelocations,
    ExecutableStack,
    OwnAllocator,
    MissingSymbol {
        name: String,
    },
    NoBuildId,
    NoHeader,
    BadHeader {
        what: String,
    },
    RuntimeAbi {
        found: u32,
    },
    ContainerAbi {
        found: u32,
    },
    // ---- loading, in the probe
    NotLoadable {
        reason: String,
    },
    NoManifest {
        reason: String,
    },
    Contradiction {
        what: String,
        header: String,
        manifest: String,
    },
    Killed {
        signal: String,
        output: String,
    },
    Exited {
        status: i32,
        output: String,
    },
    Overdue {
        seconds: u64,
        cpu_ms: u64,
    },
    /// Only between keeper and supervisor, who starts another loader that has its share.
    Starved,
    Forked {
        processes: usize,
    },
    StartedThreads {
        threads: usize,
    },
    Garbage {
        bytes: usize,
    },
    ProbeFailed {
        reason: String,
    },
    // ---- what it says of itself
    UnmarkedStatics {
        names: Vec<String>,
    },
    // ---- the registry
    FamilyResized {
        guard: String,
        was: u32,
        now: u32,
    },
    SharedPlace {
        guard: String,
        other: String,
    },
    DeclaredAgain {
        guard: String,
    },
    TooManyGuards {
        limit: u32,
    },
    TooManyRepresentations,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Refusal::*;
        match self {
            Missing { path } => write!(f, "{} does not exist: build it or correct the path", path.display()),
            SymlinkLoop { path } => write!(f, "{} is a symbolic link that leads back to itself: point it at a library", path.display()),
            NotAFile { path, kind } => write!(f, "{} is a {kind}: give the path of a library file", path.display()),
            TooLarge { bytes, limit } => write!(f, "the file has {bytes} bytes, more than the {limit} that a library may have: strip it or build it in release mode"),
            Empty { path } => write!(f, "{} is empty: build it again", path.display()),
            Unreadable { path, reason } => write!(f, "{} cannot be read ({reason}): correct its permissions or path", path.display()),
            NotCopied { reason } => write!(f, "no copy could be made in the run directory ({reason}): make room there"),
            NotElf => f.write_str("the file is not an ELF file: give the .so that cargo built"),
            Truncated { what } => write!(f, "the file ends before its {what}: copy or build it again"),
            Malformed { what } => write!(f, "the file is damaged ({what}): build it again"),
            WrongMachine { found } => write!(f, "the file is for {found}: build it for x86_64-unknown-linux-gnu"),
            NotALibrary => f.write_str("the file is not a shared library: set crate-type = [\"cdylib\"]"),
            NeedsLibrary { name } => write!(f, "the library needs {name}, which is not on the list of allowed libraries: link it statically"),
            HasSoname { name } => write!(f, "the library carries the soname {name}, under which an older one could be loaded instead: build it without -soname"),
            TextRelocations => f.write_str("the library has text relocations: build it as position-independent code"),
            ExecutableStack => f.write_str("the library asks for an executable stack: build it with -z noexecstack"),
            OwnAllocator => f.write_str("the library has a #[global_allocator] of its own: remove it, only the host has one"),
            MissingSymbol { name } => write!(f, "the library has no symbol {name}: add dsu::version! to its crate root"),
            NoBuildId => f.write_str("the library has no build id, so loaded code could not be told from older code: link with -C link-arg=-Wl,--build-id"),
            NoHeader => f.write_str("the file is no version of an application, it has no header: add dsu::version! to its crate root"),
            BadHeader { what } => write!(f, "the library's header is damaged ({what}): build it again"),
            RuntimeAbi { found } => write!(f, "the library was built with runtime abi {found}, this server has {RUNTIME_ABI}: build both with the same dsu-runtime"),
            ContainerAbi { found } => write!(f, "the library was built with container abi {found}, this server has {CONTAINER_ABI}: take a snapshot and restore it under the new runtime"),
            NotLoadable { reason } => write!(f, "the library cannot be loaded ({reason}): build it on a system like this one"),
            NoManifest { reason } => write!(f, "the library gives no manifest ({reason}): correct what it registers"),
            Contradiction { what, header, manifest } => write!(f, "the library contradicts itself on its {what} (the file says {header}, the loaded code {manifest}): build it again"),
            Killed { signal, output } => write!(f, "a constructor of the library died with {signal}{}: do nothing before main that can fail", Quoted(output)),
            Exited { status, output } => write!(f, "a constructor of the library ended the process with status {status}{}: do not exit before main", Quoted(output)),
            Starved => f.write_str("the machine had no idle time to load the library in: try again"),
            Overdue { seconds, cpu_ms } if *cpu_ms >= seconds * 500 => write!(f, "loading the library did not end within {seconds} s, it spent {cpu_ms} ms computing: remove the endless work before main"),
            Overdue { seconds, cpu_ms } => write!(f, "loading the library did not end within {seconds} s, it used {cpu_ms} ms of processor time: do not block before main"),
            Forked { processes } => write!(f, "loading the library started {processes} process(es): start none before main"),
            StartedThreads { threads } => write!(f, "loading the library started {threads} thread(s): start none before main, workers have one thread"),
            Garbage { bytes } => write!(f, "loading the library wrote {bytes} bytes into a descriptor that is not its own: write only to what the library opened"),
            ProbeFailed { reason } => write!(f, "the probe could not be run ({reason}): see to the machine and try again"),
            UnmarkedStatics { names } => write!(f, "the library has writable statics that begin anew when a worker crosses, and nothing says that this is meant: {}: mark with #[dsu::private] what may be lost, move the rest into a guard's items or the carry", shown(names)),
            FamilyResized { guard, was, now } => write!(f, "guard family {guard} has {now} members and had {was}: keep the number, or declare a family of another name"),
            SharedPlace { guard, other } => write!(f, "guard {guard} has the name that guard {other} had before it was renamed, and would be at its place: give it another name"),
            DeclaredAgain { guard } => write!(f, "the items of guard {guard} moved elsewhere in an update, and it would look now as it did before that: give one of its items another name"),
            TooManyGuards { limit } => write!(f, "more than {limit} guards were declared since the server started: restart it from a snapshot"),
            TooManyRepresentations => f.write_str("all representation ids are given out: restart the server from a snapshot"),
        }
    }
}

impl std::error::Error for Refusal {}

/// What a process said before it ended, on one line, or nothing.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<&str> = self
            .0
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        match lines.is_empty() {
            true => Ok(()),
            false => write!(f, ", saying {:?}", lines.join(" / ")),
        }
    }
}
