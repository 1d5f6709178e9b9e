//! Content-addressed copies of libraries: what is loaded is never the file that a build may rewrite.

use super::digest;
use super::refusal::Refusal;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A copy and the digest that names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copied {
    /// SHA-256 of the bytes, hex.
    pub digest: String,
    /// `RUN/builds/DIGEST/NAME`.
    pub path: PathBuf,
}

/// Writes `bytes` under `run_dir`, at a path that their digest names, with the file name of `origin`.
/// A copy that is there and right is used again; one that is there and wrong is replaced.
///
/// # Errors
/// [`Refusal::NotCopied`].
pub fn copy(bytes: &[u8], origin: &Path, run_dir: &Path) -> Result<Copied, Refusal> {
    let digest = digest::of_bytes(bytes);
    let name = origin.file_name().unwrap_or("library.so".as_ref());
    let dir = run_dir.join("builds").join(&digest);
    let path = dir.join(name);
    let refuse = |error: io::Error| Refusal::NotCopied {
        reason: error.to_string(),
    };

    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&dir)
        .map_err(refuse)?;
    if !holds(&path, bytes) {
        write_whole(&dir, &path, bytes).map_err(refuse)?;
    }
    Ok(Copied { digest, path })
}

fn holds(path: &Path, bytes: &[u8]) -> bool {
    let is_plain = fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_file() && found.len() == bytes.len() as u64);
    is_plain && fs::read(path).is_ok_and(|found| found == bytes)
}

/// The name appears only with all the bytes behind it. No fsync: after a crash of the machine the
/// bytes are compared before they are used again.
fn write_whole(dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (mut file, temporary) = new_file(dir)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// A file of a name that nobody has. One that died while it wrote may have left its own behind, and in a
/// container it had the same process id.
fn new_file(dir: &Path) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let unique = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = dir.join(format!(".new-{}-{unique}", std::process::id()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o500)
            .open(&name);
        match file {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            file => return Ok((file?, name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn run_dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("dsu-copy-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn same_bytes_are_copied_once_and_other_bytes_elsewhere() {
        let run = run_dir("once");
        let first = copy(b"one", Path::new("/x/libkv.so"), &run).unwrap();
        let inode = fs::metadata(&first.path).unwrap().ino();
        let again = copy(b"one", Path::new("/y/libkv.so"), &run).unwrap();
        assert_eq!(first, again);
        assert_eq!(fs::metadata(&again.path).unwrap().ino(), inode);
        let other = copy(b"two", Path::new("/x/libkv.so"), &run).unwrap();
        assert_ne!(first.path, other.path);
        assert_eq!(fs::read(&other.path).unwrap(), b"two");
        fs::remove_dir_all(run).unwrap();
    }

    #[test]
    fn damaged_copy_is_replaced_and_nothing_temporary_stays() {
        let run = run_dir("damaged");
        let first = copy(b"right", Path::new("libkv.so"), &run).unwrap();
        fs::remove_file(&first.path).unwrap();
        fs::write(&first.path, b"wrong").unwrap();
        let again = copy(b"right", Path::new("libkv.so"), &run).unwrap();
        assert_eq!(fs::read(&again.path).unwrap(), b"right");
        let files = fs::read_dir(first.path.parent().unwrap()).unwrap().count();
        assert_eq!(files, 1);
        fs::remove_dir_all(run).unwrap();
    }

    #[test]
    fn unwritable_run_directory_is_a_refusal() {
        let run = run_dir("file");
        let file = run.join("plain");
        fs::write(&file, b"").unwrap();
        let refusal = copy(b"x", Path::new("libkv.so"), &file).unwrap_err();
        assert!(matches!(refusal, Refusal::NotCopied { .. }), "{refusal}");
        fs::remove_dir_all(run).unwrap();
    }

    #[test]
    fn what_a_dead_process_left_unfinished_is_in_nobody_s_way() {
        let run_dir = run_dir("leftover");
        let dir = run_dir.join("builds").join(digest::of_bytes(b"library"));
        fs::create_dir_all(&dir).unwrap();
        for unique in 0..100 {
            let name = format!(".new-{}-{unique}", std::process::id());
            fs::write(dir.join(name), b"libr").unwrap();
        }
        let copied = copy(b"library", Path::new("/x/libkv.so"), &run_dir).unwrap();
        assert_eq!(fs::read(copied.path).unwrap(), b"library");
        fs::remove_dir_all(&run_dir).unwrap();
    }
}
