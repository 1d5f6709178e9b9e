//! What the demo prints at its end.

use dsu_runtime::supervisor::Record;
use sample_app::load::{Phase, Results};
use std::fmt::Write;
use std::time::Duration;

/// Totals, phases and crossings as text.
pub fn show(results: &Results, records: &[Record]) -> String {
    let mut text = String::from("\n");
    let mut line = |name: &str, value: u64| {
        let _ = writeln!(text, "{name:<28}{value:>12}");
    };
    line("requests answered", results.requests);
    line("errors", results.errors);
    line("disconnects", results.disconnects);
    line("acknowledged writes", results.acknowledged_writes);
    line("keys read back", results.keys_verified);
    line("keys wrong or lost", results.lost);
    text.push_str(&phases(&results.phases));
    text.push_str(&crossings(records));
    text
}

fn phases(phases: &[Phase]) -> String {
    let undisturbed = phases.first().map(Phase::longest).unwrap_or_default();
    let mut text = format!(
        "\n{:<18}{:>10}{:>12}{:>12}{:>12}{:>24}\n",
        "phase", "requests", "median ms", "p99.9 ms", "worst ms", "worst over undisturbed"
    );
    for phase in phases {
        let worst = phase.longest();
        let _ = writeln!(
            text,
            "{:<18}{:>10}{:>12}{:>12}{:>12}{:>+24.2}",
            phase.name,
            phase.requests(),
            millis(phase.quantile(0.5)),
            millis(phase.quantile(0.999)),
            millis(worst),
            (worst.as_secs_f64() - undisturbed.as_secs_f64()) * 1000.0
        );
    }
    text
}

fn crossings(records: &[Record]) -> String {
    let mut text = format!(
        "\n{:<18}{:>8}{:>8}{:>12}{:>12}  update point\n",
        "update", "worker", "to", "after ms", "pause µs"
    );
    for record in records {
        let name = format!(
            "v{} to v{}",
            record.from_version,
            record.to_version.unwrap_or_default()
        );
        for crossing in &record.crossings {
            let _ = writeln!(
                text,
                "{name:<18}{:>8}{:>8}{:>12}{:>12}  {}",
                crossing.worker,
                format!("v{}", crossing.to),
                crossing.after_ms,
                crossing.pause_ns / 1000,
                crossing.update_point
            );
        }
        let _ = writeln!(text, "{name:<18}{}, {}", record.outcome, record.strategy);
    }
    text
}

fn millis(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1000.0)
}
