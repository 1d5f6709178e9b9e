//! Scripted libraries and memory. A library is a text file, `VERSION BEHAVIOUR`.

use crate::abi::FleetState;
use crate::ids::{GuardIndex, SweepId, Tag, VersionId, WorkerSlot};
use crate::supervisor::ports::{
    Advice, Candidate, HeapFigures, Libraries, Memory, Probing, Transforming,
};
use crate::sync::{Edges, Mixed};
use crate::version::{Binding, CarryManifest, Manifest, Statics};
use std::os::fd::{BorrowedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Libraries that are text files, and memory that is not there.
pub(super) struct Scripted;

struct Read(Option<Result<Candidate, String>>);

impl Probing for Read {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        Vec::new()
    }
    fn timeout(&self) -> Duration {
        Duration::ZERO
    }
    fn poll(&mut self) -> Option<Result<Candidate, String>> {
        self.0.take()
    }
}

impl Libraries for Scripted {
    fn probe(&self, path: &Path) -> Result<Box<dyn Probing>, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let (number, _) = text.split_once(' ').ok_or("no library")?;
        // Like the real copy: the file may be replaced under its name while workers run it.
        let copy = path.with_file_name(format!("{}.copy", text.replace(' ', "-")));
        std::fs::write(&copy, &text).map_err(|error| error.to_string())?;
        let manifest = Manifest {
            app: "scripted".to_owned(),
            version: VersionId(number.parse().map_err(|_| "no number")?),
            from: None,
            build_id: text.clone(),
            rustc: String::new(),
            guards: Vec::new(),
            types: Vec::new(),
            frozen: Vec::new(),
            lenses: Vec::new(),
            keys: Vec::new(),
            functions: Vec::new(),
            removed: Vec::new(),
            update_points: vec!["loop".to_owned()],
            carry: CarryManifest {
                worker: "serve".to_owned(),
                schema: crate::abi::TypeSchema::leaf::<()>("()"),
                path: "()".to_owned(),
            },
            carry_lenses: Vec::new(),
            statics: Default::default(),
            paths: Vec::new(),
        };
        let statics = Statics::of(Ok(Vec::new()), &manifest.statics);
        Ok(Box::new(Read(Some(Ok(Candidate {
            digest: text,
            copy,
            manifest,
            statics,
        })))))
    }

    fn compare(&self, running: &Manifest, new: &Manifest) -> Result<Advice, Vec<String>> {
        match running.version.0.abs_diff(new.version.0) {
            // A build that says so has something to fill.
            0 | 1 => Ok(Advice {
                filled: Vec::from_iter(new.build_id.contains("fills").then(|| "A.b".to_owned())),
                ..Advice::default()
            }),
            _ => Err(vec![format!(
                "{} is not next to {}",
                new.version, running.version
            )]),
        }
    }

    fn twin(&self, copy: &Path, number: usize) -> Result<PathBuf, String> {
        let twin = copy.with_extension(format!("twin-{number}"));
        std::fs::copy(copy, &twin).map_err(|error| error.to_string())?;
        Ok(twin)
    }

    fn admit(&mut self, manifest: &Manifest, _: Option<VersionId>) -> Result<Binding, String> {
        let version = manifest.version;
        Ok(Binding {
            version,
            guards: Vec::new(),
            emptied: Vec::new(),
            representations: Vec::new(),
            lenses: Vec::new(),
            order_table: None,
            older: None,
            forgets: Vec::new(),
        })
    }
}

impl Memory for Scripted {
    fn descriptors(&self) -> Vec<(&'static str, RawFd)> {
        Vec::new()
    }
    fn lock_order(&self, _: u32) -> Edges {
        Edges::NONE
    }
    fn set_mixed(&self, _: Option<Mixed>) {}
    fn set_fleet(&self, _: FleetState) {}
    fn set_filling(&self, _: Option<SweepId>) {}
    fn is_filled(&self, _: GuardIndex, _: SweepId) -> bool {
        false
    }
    fn starting(&self, _: WorkerSlot, _: u32) {}
    fn set_due(&self, _: WorkerSlot, _: u64) {}
    fn is_waiting(&self, _: WorkerSlot) -> bool {
        false
    }
    fn recover(&self, _: WorkerSlot) {}
    fn at_guard(&self, _: WorkerSlot) -> Option<GuardIndex> {
        None
    }
    fn transforming(&self, _: WorkerSlot) -> Option<Transforming> {
        None
    }
    fn held(&self, _: WorkerSlot) -> Vec<GuardIndex> {
        Vec::new()
    }
    fn is_poisoned(&self, _: GuardIndex) -> bool {
        false
    }
    fn poisoned_objects(&self, _: u32) -> Vec<GuardIndex> {
        Vec::new()
    }
    fn boxes(&self, _: Tag) -> u64 {
        0
    }
    fn complements(&self, _: Tag) -> u64 {
        0
    }
    fn heap(&self) -> HeapFigures {
        HeapFigures::default()
    }
}
