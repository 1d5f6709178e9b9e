//! The process that loads the library. From the dlopen on it is not trusted.

use super::start::Pace;
use super::{LIBRARY_VARIABLE, MEMORY_VARIABLE, Probed, RUN_DIR_VARIABLE, frame};
use crate::sys::process;
use crate::version::copy::copy;
use crate::version::inspect::{Inspected, inspect, read_library};
use crate::version::load::{Library, LoadError};
use crate::version::manifest::Manifest;
use crate::version::refusal::Refusal;
use crate::version::statics::{self, Statics};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::dup2_stdout;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

/// Where the answer goes once a library may write to stdout: far from what a library guesses, or as far
/// as the limit of open files lets it.
fn answer_number() -> i32 {
    const WANTED: u64 = 200;
    let (limit, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((WANTED * 2, 0));
    WANTED.min(limit / 2) as i32
}

pub fn main() -> ! {
    let status = match take_stdout().and_then(answer_on) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            1
        }
    };
    process::exit_now(status)
}

/// The pipe to the keeper under a number of its own; stdout becomes what stderr is.
fn take_stdout() -> io::Result<File> {
    process::die_with_parent()?;
    // So that a child of a child is seen by `check_what_it_started`.
    process::adopt_orphans()?;
    let answer = process::duplicate_at(io::stdout(), answer_number())?;
    dup2_stdout(io::stderr())?;
    // Had the keeper died before `die_with_parent`, nobody would read.
    let mut reader = [PollFd::new(answer.as_fd(), PollFlags::empty())];
    poll(&mut reader, PollTimeout::ZERO)?;
    match reader[0].revents() {
        Some(events) if events.contains(PollFlags::POLLERR) => {
            Err(io::Error::other("the keeper is gone"))
        }
        _ => Ok(answer.into()),
    }
}

fn answer_on(mut answer: File) -> io::Result<()> {
    let result = probe();
    answer.write_all(&frame::encode(&result))
}

fn probe() -> Result<Probed, Refusal> {
    let failed = |reason: &str| Refusal::ProbeFailed {
        reason: reason.into(),
    };
    let path = |variable| std::env::var_os(variable).map(PathBuf::from);
    let library = path(LIBRARY_VARIABLE).ok_or_else(|| failed("no library is named"))?;
    let run_dir = path(RUN_DIR_VARIABLE).ok_or_else(|| failed("no run directory is named"))?;
    let memory = super::number(MEMORY_VARIABLE).ok_or_else(|| failed("no memory cap is named"))?;
    process::limit(memory, super::deadline()).map_err(|error| failed(&error.to_string()))?;
    if super::pace() == Pace::WhenIdle {
        process::run_when_idle().map_err(|error| failed(&error.to_string()))?;
    }

    let bytes = read_library(&library)?;
    let header = inspect(&bytes)?;
    let copied = copy(&bytes, &library, &run_dir)?;
    let statics = statics::find(&bytes);
    drop(bytes);

    let own = std::process::id();
    let loaded = Library::load(&copied.path, &header.build_id);
    if std::process::id() != own {
        // A constructor forked, and this is the child on its way back.
        process::exit_now(1);
    }
    check_what_it_started()?;
    let loaded = loaded.map_err(|error| match error {
        LoadError::NoEntry(_) | LoadError::NoCalls => Refusal::NoManifest {
            reason: error.to_string(),
        },
        LoadError::Abi { found } => Refusal::RuntimeAbi { found },
        error => Refusal::NotLoadable {
            reason: error.to_string(),
        },
    })?;
    let text = loaded
        .manifest_text()
        .map_err(|reason| Refusal::NoManifest {
            reason: if reason.is_empty() {
                "it panics".into()
            } else {
                reason
            },
        })?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| Refusal::NoManifest {
            reason: format!("it is not readable: {error}"),
        })?;
    check_agreement(&header, &manifest)?;
    check_what_it_started()?;
    Ok(Probed {
        statics: Statics::of(statics, &manifest.statics),
        manifest,
        digest: copied.digest,
        copy: copied.path,
        header,
    })
}

fn check_what_it_started() -> Result<(), Refusal> {
    // Where the kernel lists no children the keeper still kills them.
    let processes = process::children().map_or(0, |children| children.len());
    if processes > 0 {
        return Err(Refusal::Forked { processes });
    }
    let threads = process::thread_count().map_or(0, |threads| threads.saturating_sub(1));
    match threads {
        0 => Ok(()),
        threads => Err(Refusal::StartedThreads { threads }),
    }
}

fn check_agreement(header: &Inspected, manifest: &Manifest) -> Result<(), Refusal> {
    let version = |from: Option<_>, own| match from {
        Some(from) => format!("{own} from {from}"),
        None => format!("{own}"),
    };
    let facts = [
        ("application", header.app.clone(), manifest.app.clone()),
        (
            "version",
            version(header.from, header.version),
            version(manifest.from, manifest.version),
        ),
        ("compiler", header.rustc.clone(), manifest.rustc.clone()),
        (
            "build id",
            header.build_id.clone(),
            manifest.build_id.clone(),
        ),
    ];
    match facts
        .into_iter()
        .find(|(_, header, manifest)| header != manifest)
    {
        None => Ok(()),
        Some((what, header, manifest)) => Err(Refusal::Contradiction {
            what: what.into(),
            header,
            manifest,
        }),
    }
}
