//! GNU build ids: of a file's bytes, and of the code that is loaded at an address.
#![allow(unsafe_code)] // reads the notes of loaded objects through the dynamic loader

use super::digest::hex;
use std::ffi::c_void;

const NT_GNU_BUILD_ID: u32 = 3;

/// The build id in a sequence of ELF notes, hex. `None` if there is none or the notes are damaged.
pub(super) fn in_notes(mut notes: &[u8]) -> Option<String> {
    let word = |bytes: &[u8], at: usize| {
        let found = bytes.get(at..at + 4)?;
        Some(u32::from_le_bytes(found.try_into().ok()?))
    };
    loop {
        let name_len = word(notes, 0)? as usize;
        let content_len = word(notes, 4)? as usize;
        let kind = word(notes, 8)?;
        let content_at = 12usize.checked_add(name_len.checked_next_multiple_of(4)?)?;
        let end = content_at.checked_add(content_len)?;
        let name = notes.get(12..12 + name_len)?;
        let content = notes.get(content_at..end)?;
        if kind == NT_GNU_BUILD_ID && name == b"GNU\0" && !content.is_empty() {
            return Some(hex(content));
        }
        notes = notes.get(end.checked_next_multiple_of(4)?..)?;
    }
}

/// The build id stated by the loaded object that contains `address`, hex.
pub fn at_address(address: *const c_void) -> Option<String> {
    search(address).build_id
}

/// `address` as the symbols of its object's file state it.
pub(super) fn address_in_file(address: *const c_void) -> Option<u64> {
    Some((address as u64).wrapping_sub(search(address).loaded_at?))
}

fn search(address: *const c_void) -> Search {
    let mut search = Search {
        address: address as u64,
        loaded_at: None,
        build_id: None,
    };
    // SAFETY: `visit` matches the signature and gets `search`, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search
}

struct Search {
    address: u64,
    /// What the loader added to every address of the file.
    loaded_at: Option<u64>,
    build_id: Option<String>,
}

unsafe extern "C" fn visit(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    search: *mut c_void,
) -> i32 {
    // SAFETY: the loader passes a valid description, and `search` its own `Search`.
    let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the loader states how many program headers there are, and keeps them mapped.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    let contains = headers.iter().any(|header| {
        let start = info.dlpi_addr.wrapping_add(header.p_vaddr);
        header.p_type == libc::PT_LOAD && (start..start + header.p_memsz).contains(&search.address)
    });
    if !contains {
        return 0;
    }
    search.loaded_at = Some(info.dlpi_addr);
    for header in headers
        .iter()
        .filter(|header| header.p_type == libc::PT_NOTE)
    {
        let start = info.dlpi_addr.wrapping_add(header.p_vaddr) as *const u8;
        // SAFETY: a note segment of a loaded object is mapped and readable for `p_memsz` bytes.
        let notes = unsafe { std::slice::from_raw_parts(start, header.p_memsz as usize) };
        if let Some(id) = in_notes(notes) {
            search.build_id = Some(id);
            break;
        }
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_code_states_the_build_id_of_its_file() {
        let loaded = at_address(at_address as *const c_void).expect("linked with a build id");
        let bytes = std::fs::read("/proc/self/exe").unwrap();
        let needle = (0..loaded.len() / 2)
            .map(|i| u8::from_str_radix(&loaded[2 * i..2 * i + 2], 16).unwrap())
            .collect::<Vec<_>>();
        assert!(bytes.windows(needle.len()).any(|window| window == needle));
    }

    #[test]
    fn damaged_notes_have_no_build_id() {
        assert_eq!(in_notes(b""), None);
        assert_eq!(in_notes(&[0xff; 64]), None);
        let mut note = [4u32, 2, 3]
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect::<Vec<_>>();
        note.extend(b"GNU\0\xab\xcd");
        assert_eq!(in_notes(&note).as_deref(), Some("abcd"));
        assert_eq!(in_notes(&note[..note.len() - 1]), None);
    }
}
