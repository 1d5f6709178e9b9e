//! Loads a copied build into this process, for good, and asks the loaded code what it is.
#![allow(unsafe_code)] // runs the constructors and the entry of a library

use super::build_id;
use super::inspect::ENTRY_SYMBOL;
use crate::abi::{LibraryCalls, RUNTIME_ABI};
use std::error::Error;
use std::ffi::c_void;
use std::fmt;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Mutex;

/// The one function that a version exports, under the name [`ENTRY_SYMBOL`].
pub type LibraryEntry = unsafe extern "C" fn() -> *const LibraryCalls;

/// A version that is loaded in this process. Never unloaded: its code may be on the stack of a panic,
/// in a drop function or in a thread-local's destructor.
pub struct Library {
    calls: &'static LibraryCalls,
    build_id: String,
}

/// Why a copy was not loaded. Nothing of it is called afterwards, but its constructors have run.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the text of each variant is its documentation
pub enum LoadError {
    Dlopen(String),
    NoEntry(String),
    NoCalls,
    SeenBefore,
    Abi {
        found: u32,
    },
    WrongBuild {
        expected: String,
        found: Option<String>,
    },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Dlopen(reason) => write!(
                f,
                "the loader says {reason}: build it on a system like this one"
            ),
            LoadError::NoEntry(reason) => write!(
                f,
                "the entry is missing ({reason}): add dsu::version! to its crate root"
            ),
            LoadError::NoCalls => {
                f.write_str("the entry returned nothing: build it with the same dsu-runtime")
            }
            LoadError::SeenBefore => {
                f.write_str("the loader returned code that was loaded before: load a fresh copy")
            }
            LoadError::Abi { found } => write!(
                f,
                "the loaded code has runtime abi {found}, this process {RUNTIME_ABI}: build both with the same dsu-runtime"
            ),
            LoadError::WrongBuild { expected, found } => write!(
                f,
                "the loaded code is build {}, expected was {expected}: make a fresh copy",
                found.as_deref().unwrap_or("(unknown)")
            ),
        }
    }
}

impl Error for LoadError {}

/// Entry addresses that this process has met.
static SEEN: Mutex<Vec<usize>> = Mutex::new(Vec::new());

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library")
            .field("build_id", &self.build_id)
            .finish_non_exhaustive()
    }
}

impl Library {
    /// Loads the file at `path`, which must be a copy that nobody changes, and checks that the code
    /// that came in states `build_id`.
    ///
    /// Blocks: reads the file, runs its constructors.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(path: &Path, build_id: &str) -> Result<&'static Library, LoadError> {
        use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
        let flags = RTLD_NOW | RTLD_LOCAL | libc::RTLD_NODELETE;
        // SAFETY: the constructors are code of the application, which a probe has run before; this
        // process is one that the application may bring down (a worker or a probe).
        let handle = unsafe { Handle::open(Some(path), flags) };
        // Never closed: see the type.
        let handle = ManuallyDrop::new(handle.map_err(|e| LoadError::Dlopen(said(&e)))?);
        // SAFETY: the name belongs to this runtime and is exported with this type alone; the abi
        // number is checked before anything else of the table is used.
        let entry = unsafe { handle.get::<LibraryEntry>(ENTRY_SYMBOL) };
        let entry = *entry.map_err(|e| LoadError::NoEntry(said(&e)))?;
        let address = entry as *const c_void;

        let mut seen = SEEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if seen.contains(&(address as usize)) {
            return Err(LoadError::SeenBefore);
        }
        let found = build_id::at_address(address);
        if found.as_deref() != Some(build_id) {
            return Err(LoadError::WrongBuild {
                expected: build_id.to_owned(),
                found,
            });
        }
        seen.push(address as usize);
        // SAFETY: as above; takes nothing.
        let calls = unsafe { entry() };
        if calls.is_null() || !calls.is_aligned() {
            return Err(LoadError::NoCalls);
        }
        // SAFETY: the first field of the table is its abi number in every abi.
        let abi = unsafe { (&raw const (*calls).abi).read() };
        if abi != RUNTIME_ABI {
            return Err(LoadError::Abi { found: abi });
        }
        // SAFETY: the table is a static of a library that is never unloaded, and of this abi.
        let calls = unsafe { &*calls };
        Ok(Box::leak(Box::new(Library {
            calls,
            build_id: build_id.to_owned(),
        })))
    }

    /// Its call table.
    pub fn calls(&self) -> &'static LibraryCalls {
        self.calls
    }

    /// Build id that the loaded code states.
    pub fn build_id(&self) -> &str {
        &self.build_id
    }

    /// The manifest as the library writes it, JSON.
    ///
    /// # Errors
    /// What the library says instead.
    pub fn manifest_text(&self) -> Result<Vec<u8>, String> {
        let mut text = Vec::new();
        // SAFETY: `gather` matches the sink's signature, and `text` outlives the call.
        match unsafe { (self.calls.manifest)(gather, (&raw mut text).cast()) } {
            true => Ok(text),
            false => Err(String::from_utf8_lossy(&text).into_owned()),
        }
    }
}

unsafe extern "C" fn gather(state: *mut c_void, bytes: *const u8, len: usize) {
    // SAFETY: `manifest_text` passes its own vector, and the library bytes that it owns.
    let (text, bytes) = unsafe {
        (
            &mut *state.cast::<Vec<u8>>(),
            std::slice::from_raw_parts(bytes, len),
        )
    };
    text.extend_from_slice(bytes);
}

/// libloading keeps what dlerror says in the source of its error.
fn said(error: &libloading::Error) -> String {
    error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loader_error_names_the_file() {
        let error = Library::load(Path::new("/nonexistent/libnone.so"), "").unwrap_err();
        assert!(error.to_string().contains("libnone.so"), "{error}");
    }
}
