//! What became of each update, one JSON file each, kept in the run directory.

use super::parked::ParkedType;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// A worker's way over.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CrossingRecord {
    /// Slot of the worker.
    pub worker: u32,
    /// Number of the version that it went to.
    pub to: u32,
    /// Where the old code left.
    pub update_point: String,
    /// Nanoseconds from leaving the old code to the new code's first update point.
    pub pause_ns: u64,
    /// Milliseconds since the update began.
    pub after_ms: u64,
}

/// One update, from its request to its end.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// Counts up in one run directory.
    pub number: u64,
    /// Milliseconds since 1970.
    pub began_unix_ms: u64,
    /// Until its end.
    pub took_ms: u64,
    /// What was asked for.
    pub path: PathBuf,
    /// Version before.
    pub from_version: u32,
    /// Digest of its file.
    pub from_digest: String,
    /// Version wanted, once it is known.
    pub to_version: Option<u32>,
    /// Digest of its file.
    pub to_digest: Option<String>,
    /// `rolling` or `barrier`, and why.
    pub strategy: String,
    /// Items (`GUARD.item`) and types whose other form was filled before workers crossed.
    #[serde(default)]
    pub filled: Vec<String>,
    /// How long that took in milliseconds, if it came to its end.
    #[serde(default)]
    pub filled_ms: Option<u64>,
    /// In the order in which they happened.
    pub crossings: Vec<CrossingRecord>,
    /// `committed`, `refused`, `rolled-back`, or `under way` (also if the supervisor died then).
    pub outcome: String,
    /// Why it was refused or rolled back.
    pub reason: String,
    /// Parts of values that took defaults, since nothing was kept of them (R10).
    #[serde(default)]
    pub lossy: Vec<String>,
    /// Values that had no form in the version that ran at the end (R13).
    #[serde(default)]
    pub parked: Vec<ParkedType>,
}

/// The folder of records in a run directory.
pub fn folder(run_dir: &Path) -> PathBuf {
    run_dir.join("updates")
}

/// All records, oldest first. A file that is no record is passed over.
pub fn read_records(run_dir: &Path) -> Vec<Record> {
    let entries = std::fs::read_dir(folder(run_dir))
        .into_iter()
        .flatten()
        .flatten();
    let texts = entries.filter_map(|entry| std::fs::read(entry.path()).ok());
    let mut records: Vec<Record> = texts
        .filter_map(|text| serde_json::from_slice(&text).ok())
        .collect();
    records.sort_by_key(|record| record.number);
    records
}

/// Writes a record; a reader sees the old one or the new one, whole.
///
/// # Errors
/// Those of the file system.
pub fn write_record(run_dir: &Path, record: &Record) -> io::Result<()> {
    let folder = folder(run_dir);
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{:06}.json", record.number));
    let draft = folder.join(format!(".{:06}.draft", record.number));
    std::fs::write(&draft, serde_json::to_vec_pretty(record)?)?;
    std::fs::rename(draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_back_in_order_and_rubbish_is_passed_over() {
        let run_dir = std::env::temp_dir().join(format!("dsu-records-{}", std::process::id()));
        for number in [2, 1] {
            let record = Record {
                number,
                outcome: "committed".to_owned(),
                ..Record::default()
            };
            write_record(&run_dir, &record).expect("written");
        }
        std::fs::write(folder(&run_dir).join("000003.json"), b"{").expect("written");
        let numbers: Vec<u64> = read_records(&run_dir)
            .iter()
            .map(|record| record.number)
            .collect();
        assert_eq!(numbers, [1, 2]);
        std::fs::remove_dir_all(run_dir).expect("removed");
    }
}
