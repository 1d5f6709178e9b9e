//! Checks a library as bytes, before anything of it is loaded or trusted.
//!
//! Owns what a file must look like to be probed. Never loads.

use super::build_id;
use super::elf::{CONTEXT, MAX_SECTIONS, Sections, slice, text_at};
use super::refusal::Refusal;
use crate::abi::{CONTAINER_ABI, HEADER_SECTION, LibraryHeader, RUNTIME_ABI};
use crate::ids::VersionId;
use goblin::elf::dynamic::{self, Dynamic};
use goblin::elf::header::{self, Header};
use goblin::elf::program_header::{self, ProgramHeader};
use goblin::elf::section_header;
use goblin::elf::sym::STV_HIDDEN;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Read};
use std::mem::offset_of;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Largest file that is read, in bytes.
pub const SIZE_LIMIT: u64 = 1 << 30;
/// Name of the function that gives out the call table.
pub const ENTRY_SYMBOL: &str = "dsu_library";

const ALLOWED: &[&str] = &[
    "libc.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
    "ld-linux-x86-64.so.2",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
];
const MAX_PROGRAM_HEADERS: usize = 128;

/// What the file says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Inspected {
    /// Name of the application.
    pub app: String,
    /// Number of the version.
    pub version: VersionId,
    /// The version that it updates from.
    pub from: Option<VersionId>,
    /// Compiler that built the runtime inside; compared with another version's, not judged here (R34).
    pub rustc: String,
    /// GNU build id, hex.
    pub build_id: String,
}

/// Reads a library file. Follows symbolic links; the size is judged before the first byte is read.
///
/// # Errors
/// The first group of [`Refusal`]'s variants.
pub fn read_library(path: &Path) -> Result<Vec<u8>, Refusal> {
    let refuse = |error: io::Error| match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => Refusal::Missing { path: path.into() },
        Some(libc::ELOOP) => Refusal::SymlinkLoop { path: path.into() },
        _ => Refusal::Unreadable {
            path: path.into(),
            reason: error.to_string(),
        },
    };
    // Looked at before it is opened: opening a device can have effects.
    check_kind(path, &fs::metadata(path).map_err(refuse)?)?;
    let mut file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(refuse)?;
    let found = file.metadata().map_err(refuse)?;
    check_kind(path, &found)?;

    let mut bytes = Vec::with_capacity(found.len() as usize);
    // A file may grow while it is read.
    Read::by_ref(&mut file)
        .take(SIZE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(refuse)?;
    if bytes.len() as u64 > SIZE_LIMIT {
        return Err(Refusal::TooLarge {
            bytes: bytes.len() as u64,
            limit: SIZE_LIMIT,
        });
    }
    Ok(bytes)
}

fn check_kind(path: &Path, found: &fs::Metadata) -> Result<(), Refusal> {
    let kind = found.file_type();
    let wrong = match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("directory"),
        () if kind.is_fifo() => Some("named pipe"),
        () if kind.is_socket() => Some("socket"),
        () => Some("device"),
    };
    match wrong {
        Some(kind) => Err(Refusal::NotAFile {
            path: path.into(),
            kind: kind.into(),
        }),
        None if found.len() == 0 => Err(Refusal::Empty { path: path.into() }),
        None if found.len() > SIZE_LIMIT => Err(Refusal::TooLarge {
            bytes: found.len(),
            limit: SIZE_LIMIT,
        }),
        None => Ok(()),
    }
}

/// Checks the bytes of a library.
///
/// # Errors
/// The second group of [`Refusal`]'s variants. A `#[global_allocator]` shows in the symbol table
/// only without fat link-time optimisation and without `strip`; elsewhere it goes unnoticed here.
pub fn inspect(bytes: &[u8]) -> Result<Inspected, Refusal> {
    // The checks below bound what they read; this is for what the parser might not.
    catch_unwind(AssertUnwindSafe(|| inspect_bytes(bytes)))
        .unwrap_or_else(|_| Err(malformed("it confuses the parser")))
}

fn malformed(what: impl ToString) -> Refusal {
    Refusal::Malformed {
        what: what.to_string(),
    }
}

fn inspect_bytes(bytes: &[u8]) -> Result<Inspected, Refusal> {
    let header = check_header(bytes)?;
    let segments = ProgramHeader::parse(
        bytes,
        header.e_phoff as usize,
        header.e_phnum.into(),
        CONTEXT,
    )
    .map_err(|_| Refusal::Truncated {
        what: "program headers".into(),
    })?;
    check_segments(bytes, &segments)?;
    check_dynamic(bytes, &segments)?;
    let sections = Sections::read(bytes, &header).ok_or_else(|| Refusal::Truncated {
        what: "section headers".into(),
    })?;
    check_symbols(bytes, &sections)?;
    let build_id = segments
        .iter()
        .filter(|segment| segment.p_type == program_header::PT_NOTE)
        .find_map(|segment| build_id::in_notes(slice(bytes, segment.p_offset, segment.p_filesz)?))
        .ok_or(Refusal::NoBuildId)?;
    let section = sections.named(HEADER_SECTION).ok_or(Refusal::NoHeader)?;
    let content = slice(bytes, section.sh_offset, section.sh_size).ok_or(Refusal::Truncated {
        what: "header section".into(),
    })?;
    read_header(content, build_id)
}

fn check_header(bytes: &[u8]) -> Result<Header, Refusal> {
    if !bytes.starts_with(header::ELFMAG) {
        return Err(Refusal::NotElf);
    }
    if bytes.len() < header::header64::SIZEOF_EHDR {
        return Err(Refusal::Truncated {
            what: "file header".into(),
        });
    }
    let wrong = |found: &str| {
        Err(Refusal::WrongMachine {
            found: found.into(),
        })
    };
    if bytes[header::EI_CLASS] != header::ELFCLASS64 {
        return wrong("a machine that is not 64 bits wide");
    }
    if bytes[header::EI_DATA] != header::ELFDATA2LSB {
        return wrong("a big-endian machine");
    }
    let found = goblin::elf::Elf::parse_header(bytes).map_err(malformed)?;
    if found.e_machine != header::EM_X86_64 {
        return wrong(header::machine_to_str(found.e_machine));
    }
    if found.e_type != header::ET_DYN {
        return Err(Refusal::NotALibrary);
    }
    if usize::from(found.e_phnum) > MAX_PROGRAM_HEADERS {
        return Err(malformed("too many program headers"));
    }
    if !(1..=MAX_SECTIONS).contains(&found.e_shnum.into()) {
        return Err(malformed("no sections or too many"));
    }
    Ok(found)
}

fn check_segments(bytes: &[u8], segments: &[ProgramHeader]) -> Result<(), Refusal> {
    for segment in segments {
        if slice(bytes, segment.p_offset, segment.p_filesz).is_none() {
            return Err(Refusal::Truncated {
                what: "segments".into(),
            });
        }
    }
    // An executable that is position-independent has the same type, but names its interpreter.
    if segments
        .iter()
        .any(|segment| segment.p_type == program_header::PT_INTERP)
    {
        return Err(Refusal::NotALibrary);
    }
    let stack = segments
        .iter()
        .find(|segment| segment.p_type == program_header::PT_GNU_STACK);
    // Without the entry the loader assumes that the stack must be executable.
    if stack.is_none_or(|stack| stack.p_flags & program_header::PF_X != 0) {
        return Err(Refusal::ExecutableStack);
    }
    Ok(())
}

fn check_dynamic(bytes: &[u8], segments: &[ProgramHeader]) -> Result<(), Refusal> {
    let dynamic = Dynamic::parse(bytes, segments, CONTEXT).map_err(malformed)?;
    let dynamic = dynamic.ok_or(Refusal::NotALibrary)?;
    let names = slice(bytes, dynamic.info.strtab as u64, dynamic.info.strsz as u64).ok_or(
        Refusal::Truncated {
            what: "dynamic strings".into(),
        },
    )?;
    let name_at =
        |offset| text_at(names, offset).ok_or_else(|| malformed("a name outside its table"));
    for entry in &dynamic.dyns {
        match entry.d_tag {
            dynamic::DT_NEEDED => {
                let name = name_at(entry.d_val)?;
                if !ALLOWED.contains(&name) {
                    return Err(Refusal::NeedsLibrary { name: name.into() });
                }
            }
            dynamic::DT_SONAME => {
                return Err(Refusal::HasSoname {
                    name: name_at(entry.d_val)?.into(),
                });
            }
            dynamic::DT_TEXTREL => return Err(Refusal::TextRelocations),
            dynamic::DT_FLAGS if entry.d_val & dynamic::DF_TEXTREL != 0 => {
                return Err(Refusal::TextRelocations);
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_symbols(bytes: &[u8], sections: &Sections) -> Result<(), Refusal> {
    let (exported, names) = sections
        .symbols(bytes, section_header::SHT_DYNSYM)
        .ok_or_else(|| malformed("no dynamic symbols"))?;
    let has_entry = exported.iter().any(|symbol| {
        symbol.is_function()
            && !symbol.is_import()
            && text_at(names, symbol.st_name as u64) == Some(ENTRY_SYMBOL)
    });
    if !has_entry {
        return Err(Refusal::MissingSymbol {
            name: ENTRY_SYMBOL.into(),
        });
    }
    // Without an allocator of its own a library's `__rust_alloc` is a visible local shim beside std's
    // `__rdl_alloc`. With one it is hidden, and nothing calls std's, so that is not linked.
    let (mut hidden, mut default) = (false, false);
    if let Some((all, names)) = sections.symbols(bytes, section_header::SHT_SYMTAB) {
        for symbol in all.iter() {
            let Some(name) = text_at(names, symbol.st_name as u64) else {
                continue;
            };
            hidden |= name.ends_with("__rust_alloc") && symbol.st_visibility() == STV_HIDDEN;
            default |= name.ends_with("__rdl_alloc");
        }
    }
    match hidden && !default {
        true => Err(Refusal::OwnAllocator),
        false => Ok(()),
    }
}

fn read_header(content: &[u8], build_id: String) -> Result<Inspected, Refusal> {
    let damaged = |what: &str| Refusal::BadHeader { what: what.into() };
    if content.len() != size_of::<LibraryHeader>() {
        return Err(damaged("its size is wrong"));
    }
    if content[..16] != LibraryHeader::MAGIC {
        return Err(damaged("its first bytes are wrong"));
    }
    let number = |at: usize| {
        u32::from_le_bytes([
            content[at],
            content[at + 1],
            content[at + 2],
            content[at + 3],
        ])
    };
    let text = |at: usize, len: usize, what: &str| {
        let found = content[at..at + len]
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        match std::str::from_utf8(found) {
            Ok(text) if !text.is_empty() && !text.contains(char::is_control) => Ok(text.to_owned()),
            _ => Err(damaged(what)),
        }
    };
    // The abi numbers come first: another abi may lay out the rest in another way.
    let runtime_abi = number(offset_of!(LibraryHeader, runtime_abi));
    if runtime_abi != RUNTIME_ABI {
        return Err(Refusal::RuntimeAbi { found: runtime_abi });
    }
    let container_abi = number(offset_of!(LibraryHeader, container_abi));
    if container_abi != CONTAINER_ABI {
        return Err(Refusal::ContainerAbi {
            found: container_abi,
        });
    }
    let from = number(offset_of!(LibraryHeader, from));
    Ok(Inspected {
        app: text(
            offset_of!(LibraryHeader, app),
            64,
            "the application's name is not text",
        )?,
        version: VersionId(number(offset_of!(LibraryHeader, version))),
        from: (from != 0).then_some(VersionId(from)),
        rustc: text(
            offset_of!(LibraryHeader, rustc),
            96,
            "the compiler's name is not text",
        )?,
        build_id,
    })
}

#[cfg(test)]
mod tests;
