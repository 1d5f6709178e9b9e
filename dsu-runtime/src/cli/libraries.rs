//! The commands that look at libraries themselves: run, check, xfgen.

use super::arguments::{CheckArguments, RunArguments, XfgenArguments};
use super::comparison::{headline, missing, table};
use super::print::{Printer, may_draw};
use crate::abi::LensPolicy;
use crate::supervisor::ports::{Advice, Candidate, Libraries};
use crate::supervisor::{Verdict, finish_probe, real, serve};
use crate::version::{Manifest, Report, differences, report};
use serde_json::json;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Becomes a supervisor.
pub(super) fn run(printer: &Printer, arguments: RunArguments, control: PathBuf) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("DSU_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // A host may have a subscriber already; then its own is right.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(may_draw())
        .with_writer(std::io::stderr)
        .try_init();
    let config = arguments.into_config(control);
    let ended = config
        .check()
        .and_then(|()| serve(config.clone(), real::open(&config)?));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => printer.refused(&why),
    }
}

fn probe(libraries: &dyn Libraries, path: &Path) -> Result<Candidate, String> {
    finish_probe(libraries.probe(path)?)
}

/// Copies for a look go into a folder that is removed afterwards.
fn with_libraries<T>(look: impl FnOnce(&dyn Libraries) -> Result<T, String>) -> Result<T, String> {
    let folder = std::env::temp_dir().join(format!("dsu-check-{}", std::process::id()));
    let result = look(&real::libraries(&folder));
    // It may never have been made.
    let _ = std::fs::remove_dir_all(&folder);
    result
}

/// `dsu check`: what an update would be refused for.
pub(super) fn check(printer: &Printer, arguments: &CheckArguments) -> ExitCode {
    let looked = with_libraries(|libraries| {
        let new = probe(libraries, &arguments.new)?;
        let old = match &arguments.against {
            None => None,
            Some(old) => Some(probe(libraries, old)?),
        };
        let advice = old
            .as_ref()
            .map(|old| libraries.compare(&old.manifest, &new.manifest));
        Ok((new, old, advice))
    });
    let (new, old, advice) = match looked {
        Ok(looked) => looked,
        Err(why) => return printer.refused(&why),
    };
    let report = old.map(|old| report(&old.manifest, &new.manifest));
    let is_possible = report.as_ref().is_none_or(Report::is_possible);
    let judged = new.statics.judge();
    let verdict = match is_possible && judged.is_ok() {
        true => Verdict::Accepted,
        false => Verdict::Refused,
    };
    let mut text = match (&report, &judged) {
        (Some(report), _) => headline(report),
        (None, Err(refusal)) => refusal.to_string(),
        (None, Ok(())) => about(&new.manifest),
    };
    if let Some(report) = &report {
        text.push_str(&table(report, printer.ink));
        text.push_str(&missing(report));
        if let Err(refusal) = &judged {
            text.push_str(&format!("\n{refusal}"));
        }
    }
    let advice = advice.and_then(Result::ok).unwrap_or_default();
    if verdict == Verdict::Accepted {
        if report.is_some() {
            text.push_str(&format!("\n{}", about(&new.manifest)));
            text.push_str(&advice_text(&advice));
        } else {
            text.push_str(&policies(&new.manifest));
        }
        text.push_str(&panicking_keys(&new.manifest));
        text.push_str(&format!("\nwritable statics: {}", new.statics));
    }
    let data = json!({
        "manifest": new.manifest,
        "digest": new.digest,
        "statics": new.statics,
        "comparison": report,
        "strategy": report.as_ref().map(|report| report.strategy),
        "why": advice.barrier,
        "one_way": advice.one_way,
        "moves": advice.moves,
        "filled": advice.filled,
        "notes": advice.notes,
    });
    printer.answer(verdict, &text, &data)
}

fn about(manifest: &Manifest) -> String {
    format!(
        "{} {}, {} guards, {} shared types, build {}",
        manifest.app,
        manifest.version,
        manifest.guards.len(),
        manifest.types.len(),
        manifest.build_id
    )
}

/// Key types whose code is not made for whatever their fields can hold (R15).
fn panicking_keys(manifest: &Manifest) -> String {
    let keys = manifest.keys.iter();
    let panicked = keys.filter_map(|key| Some((&key.schema.name, key.panicked.as_ref()?)));
    let lines = panicked.map(|(name, why)| {
        format!(
            "\nkeys of type {name} panic with a sample ({why}): how versions find them is compared no further"
        )
    });
    lines.collect()
}

/// What the lenses declare of values that the version before has no form for (R12), where it is not
/// the default.
fn policies(manifest: &Manifest) -> String {
    let declared = manifest.lenses.iter().filter_map(|lens| {
        let what = match lens.unrepresentable {
            LensPolicy::Foreign => return None,
            LensPolicy::Placeholder => "have stand-ins there",
            LensPolicy::Forbid => "are not made while it runs",
        };
        Some(format!(
            "\n{}: values that the version before has no form for {what}",
            lens.right.name
        ))
    });
    declared.collect()
}

/// Beyond the table: what an update would have to do without.
fn advice_text(advice: &Advice) -> String {
    let mut text = String::new();
    if let Some(item) = &advice.one_way {
        text.push_str(&format!(
            "\nno way back once it has crossed: one-way: {item}"
        ));
    }
    for item in &advice.moves {
        text.push_str(&format!("\n{item}"));
    }
    if !advice.filled.is_empty() {
        text.push_str(&format!(
            "\nfilled before workers cross: {}",
            advice.filled.join(", ")
        ));
    }
    for note in &advice.notes {
        text.push_str(&format!("\n{note}"));
    }
    text
}

/// `dsu xfgen`: source text on stdout, or into a file that is not there yet.
pub(super) fn xfgen(printer: &Printer, arguments: &XfgenArguments) -> ExitCode {
    let written = with_libraries(|libraries| {
        let (old, new) = (
            probe(libraries, &arguments.old)?,
            probe(libraries, &arguments.new)?,
        );
        let (old, new) = (old.manifest, new.manifest);
        if old.app != new.app {
            let (old, new) = (old.app, new.app);
            return Err(format!(
                "{new} is another application than {old}: give two versions of one"
            ));
        }
        if new.from != Some(old.version) {
            printer.progress(&format!(
                "{} does not say that it updates from {}: write `from: {}` in its dsu::version!",
                new.version, old.version, old.version.0
            ));
        }
        Ok(crate::version::xfgen(&old, &new))
    });
    let source = match written {
        Ok(source) => source,
        Err(why) => return printer.refused(&why),
    };
    match arguments.out.as_deref() {
        None => printer.source(&source),
        Some(path) if path == Path::new("-") => printer.source(&source),
        Some(path) => keep(printer, path, &source, arguments.force),
    }
}

/// Writes what is not there yet. What is there may have been decided by hand, so it stays unless the
/// operator says otherwise.
fn keep(printer: &Printer, path: &Path, source: &str, force: bool) -> ExitCode {
    let place = path.display();
    let questions = source.matches("compile_error!(").count();
    let open = match questions {
        0 => "nothing is left to decide".to_owned(),
        1 => "1 decision is open, a compile_error! in it".to_owned(),
        many => format!("{many} decisions are open, each a compile_error! in it"),
    };
    let held = match std::fs::read_to_string(path) {
        Ok(held) => Some(held),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return printer.refused(&format!("{place}: {error}")),
    };
    let found = held
        .map(|held| differences(&held, source))
        .unwrap_or_default();
    let data = json!({
        "out": path,
        "source": source,
        "questions": questions,
        "differences": found
            .0
            .iter()
            .map(|(name, difference)| json!({ "name": name, "difference": difference }))
            .collect::<Vec<_>>(),
    });
    if !found.0.is_empty() && !force {
        let text = format!(
            "{place} is there and was left as it is: decisions in it are yours. What would change:\n{found}\n--force writes it anew, --out - shows it"
        );
        return printer.answer(Verdict::Refused, &text, &data);
    }
    // A reader, and who is interrupted, has the old file or the new one.
    let draft = path.with_extension("rs.draft");
    let written = std::fs::write(&draft, source).and_then(|()| std::fs::rename(&draft, path));
    match written {
        Ok(()) => printer.answer(Verdict::Accepted, &format!("{place}: {open}"), &data),
        Err(error) => printer.refused(&format!("{place}: {error}")),
    }
}
