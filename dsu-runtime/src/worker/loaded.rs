//! A build that is loaded and bound in this worker, and typed calls into it.
#![allow(unsafe_code)] // calls through the library's table

use super::cx::Surroundings;
use super::messages::{Build, FromWorker};
use crate::abi::{LibraryCalls, Parked, RunArguments, RunOutcome};
use crate::ids::SweepId;
use crate::update::{CheckReport, FillSlice, SweepSlice};
use crate::version::Library;
use std::ffi::c_void;
use std::time::Duration;

/// A loaded build. The library stays loaded for good; forgetting this only forgets the way to it.
pub(super) struct Loaded {
    pub(super) build: Build,
    /// What the loaded code states of itself.
    pub(super) build_id: String,
    library: LoadedLibrary,
}

/// The call table of a loaded library.
#[derive(Clone, Copy)]
pub(super) struct LoadedLibrary(&'static LibraryCalls);

/// Collects what a library sends.
unsafe extern "C" fn collect(state: *mut c_void, bytes: *const u8, len: usize) {
    // SAFETY: `state` is the vector that `gather` lends for the call; the library lends the bytes.
    unsafe {
        let into = &mut *state.cast::<Vec<u8>>();
        into.extend_from_slice(std::slice::from_raw_parts(bytes, len));
    }
}

fn gather<T>(call: impl FnOnce(*mut c_void) -> T) -> (T, Vec<u8>) {
    let mut answer = Vec::new();
    let result = call((&raw mut answer).cast());
    (result, answer)
}

impl Loaded {
    /// Loads a build and tells it its tags and slots.
    pub(super) fn load(build: Build) -> Result<Loaded, String> {
        let library =
            Library::load(&build.path, &build.build_id).map_err(|error| error.to_string())?;
        let build_id = library.build_id().to_owned();
        Self::bind(build, build_id, library.calls())
    }

    /// Takes another message about the same file. On failure it stays what it was.
    pub(super) fn rebind(&mut self, build: Build) -> Result<(), String> {
        *self = Self::bind(build, self.build_id.clone(), self.library.0)?;
        Ok(())
    }

    fn bind(
        build: Build,
        build_id: String,
        calls: &'static LibraryCalls,
    ) -> Result<Loaded, String> {
        let binding = serde_json::to_vec(&build.binding).map_err(|error| error.to_string())?;
        // SAFETY: the table is the library's own, of this ABI; binding and sink live for the call.
        let (is_bound, answer) = gather(|state| unsafe {
            (calls.bind)(binding.as_ptr(), binding.len(), collect, state)
        });
        if !is_bound {
            return Err(format!(
                "it cannot be bound: {}",
                String::from_utf8_lossy(&answer)
            ));
        }
        Ok(Loaded {
            build,
            build_id,
            library: LoadedLibrary(calls),
        })
    }

    /// A build whose calls are the test's.
    #[cfg(test)]
    pub(super) fn of_test(build: Build, calls: &'static LibraryCalls) -> Loaded {
        Loaded {
            build_id: build.build_id.clone(),
            build,
            library: LoadedLibrary(calls),
        }
    }

    pub(super) fn library(&self) -> LoadedLibrary {
        self.library
    }

    /// One slice of a pass of the filling of this build's forms, whatever runs.
    pub(super) fn fill(&self, fill: SweepId, budget: Duration) -> FillSlice {
        let budget_ns = budget.as_nanos() as u64;
        // SAFETY: as for `load`.
        let (is_fine, answer) =
            gather(|state| unsafe { (self.library.0.fill)(fill.0, budget_ns, collect, state) });
        let slice = if is_fine {
            serde_json::from_slice(&answer).ok()
        } else {
            None
        };
        slice.unwrap_or_else(|| FillSlice {
            is_done: true,
            failure: Some(String::from_utf8_lossy(&answer).into_owned()),
            ..FillSlice::default()
        })
    }

    /// Moves items between guards, to where this build has them or back.
    pub(super) fn move_items(&self, forward: bool) -> Result<(), String> {
        // SAFETY: as for `load`.
        let (is_fine, answer) =
            gather(|state| unsafe { (self.library.0.move_items)(forward, collect, state) });
        match is_fine {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&answer).into_owned()),
        }
    }

    /// One slice of a pass of the sweep.
    pub(super) fn sweep(&self, sweep: SweepId, parked: Parked, budget: Duration) -> SweepSlice {
        let budget_ns = budget.as_nanos() as u64;
        // SAFETY: as for `load`.
        let (is_fine, answer) = gather(|state| unsafe {
            (self.library.0.sweep)(sweep.0, parked, budget_ns, collect, state)
        });
        let slice = if is_fine {
            serde_json::from_slice(&answer).ok()
        } else {
            None
        };
        slice.unwrap_or_else(|| {
            let reason = String::from_utf8_lossy(&answer);
            tracing::error!(%reason, "the sweep failed");
            SweepSlice {
                is_done: true,
                failed: 1,
                ..SweepSlice::default()
            }
        })
    }

    /// Walks everything that the running version's guards reach.
    pub(super) fn check(&self) -> FromWorker {
        // SAFETY: as for `load`.
        let (is_fine, answer) = gather(|state| unsafe { (self.library.0.check)(collect, state) });
        let report = if is_fine {
            serde_json::from_slice(&answer).ok()
        } else {
            None
        };
        let report: CheckReport = report.unwrap_or_else(|| CheckReport {
            walked: 0,
            findings: vec![format!(
                "the walk failed: {}",
                String::from_utf8_lossy(&answer)
            )],
        });
        FromWorker::Checked {
            walked: report.walked,
            findings: report.findings,
        }
    }

    /// Rewrites a carry into the form with digest `wanted`.
    pub(super) fn convert_carry(&self, carry: &[u8], wanted: &str) -> Result<Vec<u8>, String> {
        // SAFETY: as for `load`.
        let (is_fine, answer) = gather(|state| unsafe {
            (self.library.0.convert_carry)(
                carry.as_ptr(),
                carry.len(),
                wanted.as_ptr(),
                wanted.len(),
                collect,
                state,
            )
        });
        if is_fine {
            Ok(answer)
        } else {
            Err(String::from_utf8_lossy(&answer).into_owned())
        }
    }
}

impl LoadedLibrary {
    /// Runs the version until it crosses or ends. The host must not be in use meanwhile.
    pub(super) fn run(
        self,
        surroundings: &Surroundings,
        carry: Option<&[u8]>,
    ) -> (RunOutcome, Vec<u8>) {
        let surroundings = serde_json::to_vec(surroundings).expect("surroundings are plain data");
        gather(|state| {
            let arguments = RunArguments {
                surroundings: surroundings.as_ptr(),
                surroundings_len: surroundings.len(),
                carry: carry.map_or(std::ptr::null(), <[u8]>::as_ptr),
                carry_len: carry.map_or(0, <[u8]>::len),
                sink: collect,
                sink_state: state,
            };
            // SAFETY: as for `load`; the arguments and what they point to live for the call.
            unsafe { (self.0.run)(&raw const arguments) }
        })
    }
}
