//! The commands that look at libraries themselves: run, check, xfgen.

use super::arguments::{CheckArguments, RunArguments, XfgenArguments};
use super::print::{Printer, may_draw};
use crate::abi::LensPolicy;
use crate::supervisor::ports::{Advice, Candidate, Libraries};
use crate::supervisor::{Verdict, finish_probe, real, serve};
use crate::version::Manifest;
use serde_json::json;
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
        let advice = match &arguments.against {
            None => Ok(None),
            Some(old) => {
                let old = probe(libraries, old)?;
                libraries.compare(&old.manifest, &new.manifest).map(Some)
            }
        };
        Ok((new, advice))
    });
    let (new, advice) = match looked {
        Ok(looked) => looked,
        Err(why) => return printer.refused(&why),
    };
    let mut wrong = advice.as_ref().err().cloned().unwrap_or_default();
    wrong.extend(new.statics.judge().err().map(|refusal| refusal.to_string()));
    let advice = match advice {
        Ok(advice) if wrong.is_empty() => advice,
        _ => {
            let data = json!({ "statics": new.statics });
            return printer.answer(Verdict::Refused, &wrong.join("\n"), &data);
        }
    };
    let manifest = &new.manifest;
    let mut text = format!(
        "{} {}, {} guards, {} shared types, build {}\nwritable statics: {}",
        manifest.app,
        manifest.version,
        manifest.guards.len(),
        manifest.types.len(),
        manifest.build_id,
        new.statics
    );
    text.push_str(&policies(manifest));
    if let Some(advice) = &advice {
        text.push_str(&advice_text(advice));
    }
    let data = json!({
        "manifest": manifest,
        "digest": new.digest,
        "statics": new.statics,
        "strategy": advice.as_ref().map(|advice| if advice.barrier.is_some() { "barrier" } else { "rolling" }),
        "why": advice.as_ref().and_then(|advice| advice.barrier.clone()),
        "one_way": advice.as_ref().and_then(|advice| advice.one_way.clone()),
        "moves": advice.as_ref().map(|advice| advice.moves.clone()).unwrap_or_default(),
        "filled": advice.as_ref().map(|advice| advice.filled.clone()).unwrap_or_default(),
        "notes": advice.map(|advice| advice.notes).unwrap_or_default(),
    });
    printer.answer(Verdict::Accepted, &text, &data)
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

fn advice_text(advice: &Advice) -> String {
    let mut text = match &advice.barrier {
        Some(why) => format!("\nupdate: barrier ({why})"),
        None => "\nupdate: rolling (every change goes both ways)".to_owned(),
    };
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

/// `dsu xfgen`: source text on stdout, to be redirected into the new version's folder.
pub(super) fn xfgen(printer: &Printer, arguments: &XfgenArguments) -> ExitCode {
    let written = with_libraries(|libraries| {
        let (old, new) = (
            probe(libraries, &arguments.old)?,
            probe(libraries, &arguments.new)?,
        );
        libraries.frozen_types(&old.manifest, &new.manifest)
    });
    match written {
        Ok(source) => printer.source(&source),
        Err(why) => printer.refused(&why),
    }
}
