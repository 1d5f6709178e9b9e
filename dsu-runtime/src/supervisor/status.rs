//! How a server stands, for people and for programs.

use super::admission::lossy_text;
use super::figures::{bytes_text, other_threads};
use super::parked::ParkedType;
use super::run::Supervisor;
use crate::update::{Stage, Waiting};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Instant;

/// `dsu status`.
pub(super) fn status(server: &Supervisor) -> (String, Value) {
    let now = Instant::now();
    let running = server.builds.get(server.life.running());
    let target = server.life.target().map(|index| server.builds.get(index));
    let goes_to = target.map(|known| known.build.version);
    let stage = server.life.stage();
    let mut workers = Vec::new();
    let mut table = String::new();
    for slot in server.fleet.slots() {
        let process = server.fleet.process(slot);
        let runs = server
            .life
            .runs(slot)
            .map(|index| server.builds.get(index).build.version);
        let busy = process.and_then(|process| process.busy_for(now));
        let state = match process {
            None => "down, to be replaced".to_owned(),
            Some(process) if !process.ready => "starting".to_owned(),
            Some(_) => busy.map_or("serving".to_owned(), |busy| {
                format!("busy since {:.1} s", busy.as_secs_f64())
            }),
        };
        let version = runs.map_or("-".to_owned(), |version| version.to_string());
        let pid = process.map_or(0, |process| process.id());
        let point = process.map_or("", |process| process.update_point.as_str());
        let _ = write!(table, "\n{slot:<10}  {version:<5} pid {pid:<8} {state}");
        workers.push(json!({
            "worker": slot.0,
            "pid": pid,
            "version": runs.map(|version| version.0),
            "state": state,
            "busy_ms": busy.map(|busy| busy.as_millis() as u64),
            "update_point": point,
            "early_deaths": server.fleet.failures(slot),
        }));
    }
    let listeners = server.listeners.addresses(&running.build.listeners);
    let later = target.map(|known| server.listeners.addresses(&known.build.listeners));
    let leaving = server.listeners.leaving();
    let mut text = format!(
        "{} {}, {stage}",
        running.manifest.app, running.build.version
    );
    if let Some(target) = goes_to {
        let way = match stage {
            Stage::RollingBack => "from",
            _ => "to",
        };
        let _ = write!(text, " {way} {target}");
    }
    if let Some(remark) = server.life.remark() {
        let _ = write!(text, " ({remark})");
    }
    text.push_str(&table);
    let filling = server.filling_figures();
    if let Some(filling) = &filling {
        let _ = write!(
            text,
            "\nfilling: {} of {} guards",
            filling.done, filling.all
        );
        if let Some(eta) = filling.eta {
            let _ = write!(text, ", done in about {:.1} s", eta.as_secs_f64());
        }
    }
    let sweep = server.sweep_figures();
    if let Some(sweep) = &sweep {
        let _ = write!(text, "\nsweep: {} elements left", sweep.left);
        if let Some(eta) = sweep.eta {
            let _ = write!(text, ", done in about {:.1} s", eta.as_secs_f64());
        }
    }
    let lossy = server
        .underway
        .as_ref()
        .map(|underway| &underway.record.lossy);
    let lossy = lossy.cloned().unwrap_or_default();
    if !lossy.is_empty() {
        let _ = write!(
            text,
            "\n{}: takes defaults by this update: nothing is kept of it any more, or ever was",
            lossy_text(&lossy)
        );
    }
    let parked = server.parked();
    if !parked.is_empty() {
        let _ = write!(
            text,
            "\nparked: {}: not readable in {}, and there again in a version that has their form",
            ParkedType::list(&parked),
            running.build.version
        );
    }
    let poisoned = server.poisoned_guards();
    if !poisoned.is_empty() {
        let _ = write!(
            text,
            "\npoisoned: {}: its owner died in the middle of a change; what it guards is locked away until the server is restarted",
            poisoned.join(", ")
        );
    }
    let conflicts = server.order_conflicts();
    for conflict in &conflicts {
        let _ = write!(
            text,
            "\n{conflict}: an update between the two takes the barrier"
        );
    }
    let heap = server.ports.memory.heap();
    let _ = write!(
        text,
        "\nheap {} used ({} of it complements), {} committed ({} of it kept free), limit {}",
        bytes_text(heap.used_bytes as u64),
        bytes_text(heap.complement_bytes as u64),
        bytes_text(heap.committed_bytes as u64),
        bytes_text(heap.kept_bytes as u64),
        bytes_text(heap.limit_bytes as u64)
    );
    let builds = server.builds_figures();
    let loaded: u64 = builds
        .iter()
        .filter_map(|one| one["loaded_bytes"].as_u64())
        .sum();
    let _ = write!(
        text,
        "\n{} loaded, {} of code a worker",
        match builds.len() {
            1 => "1 build is".to_owned(),
            many => format!("{many} builds are"),
        },
        bytes_text(loaded)
    );
    text.push_str(&listening(&listeners, later.as_deref(), &leaving));
    let data = json!({
        "app": running.manifest.app,
        "version": running.build.version.0,
        "digest": running.build.digest,
        "pid": std::process::id(),
        "uptime_s": now.duration_since(server.began).as_secs(),
        "stage": stage.to_string(),
        "target": goes_to.map(|version| version.0),
        "remark": server.life.remark(),
        "previous": server.previous.map(|index| server.builds.get(index).build.version.0),
        "listeners": listeners,
        "target_listeners": later,
        "closing": leaving,
        "arguments": running.build.arguments,
        "filling": filling.map(|filling| json!({
            "done": filling.done,
            "guards": filling.all,
            "eta_s": filling.eta.map(|eta| eta.as_secs_f64()),
        })),
        "sweep": sweep.map(|sweep| json!({
            "left": sweep.left,
            "eta_s": sweep.eta.map(|eta| eta.as_secs_f64()),
        })),
        "lossy": lossy,
        "parked": parked,
        "poisoned": poisoned,
        "lock_order": conflicts,
        "heap": heap,
        "builds": builds,
        "workers": workers,
    });
    (text, data)
}

/// What is listened on, and which of it an update changes (R33).
fn listening(now: &[String], later: Option<&[String]>, leaving: &[String]) -> String {
    let mut text = String::new();
    for address in now {
        let _ = write!(text, "\nlistening {address}");
        if later.is_some_and(|later| !later.contains(address)) {
            text.push_str(" (until the update commits)");
        }
    }
    for address in later.unwrap_or_default() {
        if !now.contains(address) {
            let _ = write!(text, "\nlistening {address} (by this update)");
        }
    }
    for address in leaving {
        let _ = write!(
            text,
            "\nclosing {address}, when all who wait there are accepted"
        );
    }
    text
}

/// `dsu blocking`: who keeps an update waiting, and who has passed no update point for a while (R26).
pub(super) fn blocking(server: &Supervisor) -> (String, Value) {
    let now = Instant::now();
    let waiting = server.life.waiting_for();
    let mut lines = Vec::new();
    let mut list = Vec::new();
    for slot in server.fleet.slots() {
        let what = waiting
            .iter()
            .find(|(other, _)| *other == slot)
            .map(|(_, what)| match what {
                Waiting::ToStart => "has yet to start",
                Waiting::ToLoad => "has yet to load the new version",
                Waiting::ToFill => "has yet to begin with filling",
                Waiting::ToCross => "has yet to cross",
                Waiting::ForTheBarrier => "is not at the barrier",
                Waiting::ToAnswer => "does not answer after probation",
            });
        let process = server.fleet.process(slot);
        let busy = process.and_then(|process| process.busy_for(now));
        let pid = process.map(|process| process.id());
        let threads = pid.map(other_threads).unwrap_or_default();
        let transforms = server.transforms(slot, now);
        if what.is_none() && busy.is_none() && threads.is_empty() && transforms.is_none() {
            continue;
        }
        let occupation = transforms.or_else(|| server.occupation(slot));
        let point = process.map_or("", |process| process.update_point.as_str());
        let mut line = format!("{slot} {}", what.unwrap_or("runs on"));
        if let Some(busy) = busy {
            let _ = write!(line, ", no update point for {:.1} s", busy.as_secs_f64());
        }
        if !point.is_empty() {
            let _ = write!(line, ", the last was {point:?}");
        }
        if let Some(occupation) = &occupation {
            let _ = write!(line, ", {occupation}");
        }
        if !threads.is_empty() {
            let _ = write!(line, ", has threads of its own: {}", threads.join(", "));
        }
        lines.push(line);
        list.push(json!({
            "worker": slot.0,
            "pid": pid,
            "occupation": occupation,
            "threads": threads,
            "waiting": what,
            "busy_ms": busy.map(|busy| busy.as_millis() as u64),
            "update_point": point,
        }));
    }
    let text = match (lines.is_empty(), server.life.stage(), server.life.remark()) {
        (false, ..) => lines.join("\n"),
        (true, Stage::Idle, _) => {
            "nobody: no update is under way and all workers answer".to_owned()
        }
        (true, stage, Some(remark)) => format!("no worker: {stage}, {remark}"),
        (true, stage, None) => format!("no worker: {stage}"),
    };
    (text, json!(list))
}
