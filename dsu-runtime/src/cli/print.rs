//! How answers look.

use super::comparison::Ink;
use crate::supervisor::{Config, Record, Verdict, read_records};
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

/// Exit code when no supervisor answers.
const UNREACHABLE: u8 = 3;

/// Whether stderr may get more than plain text: it is a terminal, and `NO_COLOR` is not set.
pub(super) fn may_draw() -> bool {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !plain
}

/// Whether stdout may have colours.
fn may_colour() -> bool {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !plain
}

/// Writes answers as text or as JSON.
pub(super) struct Printer {
    json: bool,
    /// Progress overwrites itself on a terminal that may be drawn on.
    overwrites: bool,
    /// How words of a table look.
    pub ink: Ink,
}

impl Printer {
    pub fn new(json: bool) -> Printer {
        Printer {
            json,
            overwrites: may_draw(),
            ink: match may_colour() {
                true => Ink::Coloured,
                false => Ink::Plain,
            },
        }
    }

    /// A line on stderr.
    pub fn progress(&self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        // Nobody to tell is no reason to stop.
        let _ = match self.overwrites {
            true => write!(stderr, "\r\x1b[2K{text}"),
            false => writeln!(stderr, "{text}"),
        };
        let _ = stderr.flush();
    }

    /// The answer, on stdout; what the process exits with.
    pub fn answer(&self, verdict: Verdict, text: &str, data: &Value) -> ExitCode {
        self.word(verdict.word(), text, data);
        ExitCode::from(verdict.exit_code())
    }

    /// A refusal that this process itself decided.
    pub fn refused(&self, why: &str) -> ExitCode {
        self.answer(Verdict::Refused, why, &Value::Null)
    }

    /// Source text, alone on stdout so that it can be redirected into a file.
    pub fn source(&self, source: &str) -> ExitCode {
        match self.json {
            true => self.word("accepted", "", &json!({ "source": source })),
            false => print!("{source}"),
        }
        ExitCode::SUCCESS
    }

    fn word(&self, word: &str, text: &str, data: &Value) {
        if self.overwrites {
            eprint!("\r\x1b[2K");
        }
        let mut stdout = std::io::stdout().lock();
        let _ = match self.json {
            true => writeln!(
                stdout,
                "{}",
                json!({ "answer": word, "text": text, "data": data })
            ),
            false => writeln!(stdout, "{word} {text}"),
        };
    }
}

/// No supervisor answered.
pub(super) fn unreachable(printer: &Printer, why: &str) -> ExitCode {
    printer.word("unreachable", why, &Value::Null);
    ExitCode::from(UNREACHABLE)
}

/// The records in the run directory, which needs no supervisor.
pub(super) fn history(printer: &Printer, control: &Path) -> ExitCode {
    let run_dir = Config::new("".into(), control.to_owned()).run_dir;
    let records = read_records(&run_dir);
    let mut text = format!("{} updates in {}", records.len(), run_dir.display());
    for record in &records {
        text.push('\n');
        text.push_str(&history_line(record));
    }
    printer.answer(
        Verdict::Accepted,
        &text,
        &serde_json::to_value(&records).unwrap_or_default(),
    )
}

fn history_line(record: &Record) -> String {
    let to = record
        .to_version
        .map_or("?".to_owned(), |version| format!("v{version}"));
    let worst = record
        .crossings
        .iter()
        .map(|crossing| crossing.pause_ns)
        .max();
    let mut line = format!(
        "{:>4}  {}  v{} to {to}  {}  {} ms",
        record.number,
        utc(record.began_unix_ms),
        record.from_version,
        record.outcome,
        record.took_ms
    );
    if !record.strategy.is_empty() {
        line.push_str(&format!("  {}", record.strategy));
    }
    if let Some(filled) = record.filled_ms {
        line.push_str(&format!("  filled in {filled} ms"));
    }
    if let Some(worst) = worst {
        line.push_str(&format!(
            "  {} crossings, worst pause {} µs",
            record.crossings.len(),
            worst / 1000
        ));
    }
    if !record.lossy.is_empty() {
        line.push_str(&format!("\n      lossy: {}", record.lossy.join(", ")));
    }
    if !record.reason.is_empty() {
        line.push_str(&format!("\n      {}", record.reason));
    }
    line
}

/// `2026-01-31 12:34:56Z` (civil from days: Howard Hinnant, chrono-compatible low-level date algorithms).
fn utc(unix_ms: u64) -> String {
    let seconds = unix_ms / 1000;
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (h, m, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year}-{month:02}-{day:02} {h:02}:{m:02}:{s:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(utc(0), "1970-01-01 00:00:00Z");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00Z");
        assert_eq!(utc(1_767_225_599_000), "2025-12-31 23:59:59Z");
    }

    #[test]
    fn a_line_of_history_says_what_and_why() {
        let record = Record {
            number: 3,
            from_version: 1,
            to_version: Some(2),
            outcome: "rolled-back".to_owned(),
            reason: "worker 0 died".to_owned(),
            lossy: vec!["Entry.flags".to_owned()],
            ..Record::default()
        };
        let line = history_line(&record);
        assert!(line.contains("\n      lossy: Entry.flags\n"), "{line}");
        assert!(
            line.contains("v1 to v2  rolled-back") && line.ends_with("worker 0 died"),
            "{line}"
        );
    }
}
