//! Files and headers that are no library.

use super::*;
use std::path::PathBuf;

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("dsu-inspect-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn what_is_no_file_is_refused_by_its_kind() {
    let dir = scratch("kinds");
    let refusal = |path: &Path| read_library(path).unwrap_err();
    assert!(matches!(
        refusal(&dir.join("none.so")),
        Refusal::Missing { .. }
    ));
    assert!(matches!(refusal(&dir), Refusal::NotAFile { kind, .. } if kind == "directory"));
    assert!(
        matches!(refusal(Path::new("/dev/null")), Refusal::NotAFile { kind, .. } if kind == "device")
    );
    let pipe = dir.join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(refusal(&pipe), Refusal::NotAFile { kind, .. } if kind == "named pipe"));
    let (a, b) = (dir.join("a.so"), dir.join("b.so"));
    std::os::unix::fs::symlink(&a, &b).unwrap();
    std::os::unix::fs::symlink(&b, &a).unwrap();
    assert!(matches!(refusal(&a), Refusal::SymlinkLoop { .. }));
    fs::write(dir.join("empty.so"), b"").unwrap();
    assert!(matches!(
        refusal(&dir.join("empty.so")),
        Refusal::Empty { .. }
    ));
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn two_gibibytes_are_refused_by_their_size_alone() {
    let dir = scratch("huge");
    let path = dir.join("huge.so");
    fs::File::create(&path).unwrap().set_len(2 << 30).unwrap();
    let refusal = read_library(&path).unwrap_err();
    assert_eq!(
        refusal,
        Refusal::TooLarge {
            bytes: 2 << 30,
            limit: SIZE_LIMIT
        }
    );
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn foreign_bytes_are_refused_by_what_they_are() {
    assert_eq!(inspect(b"#!/bin/sh\n"), Err(Refusal::NotElf));
    assert!(matches!(
        inspect(b"\x7fELF\x02\x01"),
        Err(Refusal::Truncated { .. })
    ));
    let mut bytes = fs::read("/proc/self/exe").unwrap();
    // A test executable is position-independent, and no library.
    assert_eq!(inspect(&bytes), Err(Refusal::NotALibrary));
    bytes[18] = 183;
    assert!(matches!(inspect(&bytes), Err(Refusal::WrongMachine { .. })));
    bytes[4] = 1;
    assert!(matches!(inspect(&bytes), Err(Refusal::WrongMachine { .. })));
}

fn header_bytes(edit: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut bytes = vec![0; size_of::<LibraryHeader>()];
    bytes[..16].copy_from_slice(&LibraryHeader::MAGIC);
    bytes[16..20].copy_from_slice(&RUNTIME_ABI.to_le_bytes());
    bytes[20..24].copy_from_slice(&CONTAINER_ABI.to_le_bytes());
    bytes[24] = 2;
    bytes[28] = 1;
    bytes[32..34].copy_from_slice(b"kv");
    bytes[96..101].copy_from_slice(b"rustc");
    edit(&mut bytes);
    bytes
}

#[test] // R34
fn header_of_another_abi_or_without_text_is_refused() {
    let read = |edit: &dyn Fn(&mut [u8])| read_header(&header_bytes(edit), "ab".into());
    let good = read(&|_| {}).unwrap();
    assert_eq!(
        (good.app.as_str(), good.version, good.from),
        ("kv", VersionId(2), Some(VersionId(1)))
    );
    assert_eq!(
        read(&|b| b[16] = 77),
        Err(Refusal::RuntimeAbi { found: 77 })
    );
    assert_eq!(
        read(&|b| b[20] = 78),
        Err(Refusal::ContainerAbi { found: 78 })
    );
    assert!(matches!(
        read(&|b| b[0] = 0),
        Err(Refusal::BadHeader { .. })
    ));
    assert!(matches!(
        read(&|b| b[32] = 0xff),
        Err(Refusal::BadHeader { .. })
    ));
    assert!(matches!(
        read(&|b| b[32] = 0),
        Err(Refusal::BadHeader { .. })
    ));
    assert!(read_header(&header_bytes(|_| {})[1..], String::new()).is_err());
}
