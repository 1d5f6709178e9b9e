//! Changed copies of libraries.

use std::fs;
use std::path::{Path, PathBuf};

/// One change to the bytes of a file.
pub enum Patch<'a> {
    /// These bytes at this place.
    At(usize, &'a [u8]),
    /// The first bytes wherever they stand, by the second, as long.
    Every(&'a [u8], &'a [u8]),
    /// Only this many bytes.
    Length(usize),
}

impl Patch<'_> {
    /// Writes a changed copy of `library` to `to`.
    ///
    /// # Panics
    /// If there is nothing to change, or the file system refuses.
    pub fn copy(&self, library: &Path, to: &Path) -> PathBuf {
        let mut bytes = fs::read(library).expect("the library can be read");
        match self {
            Patch::At(place, new) => bytes[*place..*place + new.len()].copy_from_slice(new),
            Patch::Every(old, new) => {
                assert_eq!(old.len(), new.len());
                let places: Vec<usize> = bytes
                    .windows(old.len())
                    .enumerate()
                    .filter(|(_, window)| window == old)
                    .map(|(place, _)| place)
                    .collect();
                assert!(
                    !places.is_empty(),
                    "{:?} is not there",
                    String::from_utf8_lossy(old)
                );
                for place in places {
                    bytes[place..place + new.len()].copy_from_slice(new);
                }
            }
            Patch::Length(length) => bytes.truncate(*length),
        }
        fs::write(to, bytes).expect("the copy can be written");
        to.to_owned()
    }
}

/// A copy of the `probe` fixture whose constructor does what `behaviour` says.
pub fn behave(library: &Path, behaviour: &str, to: &Path) -> PathBuf {
    let old = b"fixture-behavior:well-behaved..";
    let new = format!("fixture-behavior:{behaviour:.<14}");
    Patch::Every(old, new.as_bytes()).copy(library, to)
}
