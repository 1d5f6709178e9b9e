//! Tables of an ELF file that nobody trusts.
//!
//! Owns how they are reached: never takes a number from the file for a size to allocate, tables are
//! bounded first, symbols are read one at a time. What is in them others judge.

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::header::Header;
use goblin::elf::section_header::SectionHeader;
use goblin::elf::sym::Symtab;

/// Most sections that a library may have.
pub const MAX_SECTIONS: usize = 4096;
/// Longest text that is read: one whose end is missing must not cost a walk over the file.
const MAX_TEXT_BYTES: usize = 64 << 10;
/// Little-endian, 64 bits: nothing else is read.
pub const CONTEXT: Ctx = Ctx {
    container: Container::Big,
    le: Endian::Little,
};

/// Part of a file, if the file has it.
pub fn slice(bytes: &[u8], offset: u64, len: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(usize::try_from(len).ok()?)?)
}

/// A text in a table of texts that end in zero; `None` if it does not end soon.
pub fn text_at(table: &[u8], offset: u64) -> Option<&str> {
    let rest = table.get(usize::try_from(offset).ok()?..)?;
    let rest = &rest[..rest.len().min(MAX_TEXT_BYTES)];
    let end = rest.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// The sections of a file.
pub struct Sections<'a> {
    headers: Vec<SectionHeader>,
    names: &'a [u8],
}

impl<'a> Sections<'a> {
    /// `None` if the file ends before them, or there are too many.
    pub fn read(bytes: &'a [u8], header: &Header) -> Option<Sections<'a>> {
        if usize::from(header.e_shnum) > MAX_SECTIONS {
            return None;
        }
        let headers = SectionHeader::parse(
            bytes,
            header.e_shoff as usize,
            header.e_shnum.into(),
            CONTEXT,
        )
        .ok()?;
        let names = headers.get(usize::from(header.e_shstrndx))?;
        let names = slice(bytes, names.sh_offset, names.sh_size)?;
        Some(Sections { headers, names })
    }

    /// The first section of this name.
    pub fn named(&self, name: &str) -> Option<&SectionHeader> {
        self.headers
            .iter()
            .find(|section| self.name(section) == Some(name))
    }

    fn name(&self, section: &SectionHeader) -> Option<&'a str> {
        text_at(self.names, section.sh_name as u64)
    }

    /// Numbers of the sections that have one of these names.
    pub fn numbers_of(&self, names: &[&str]) -> Vec<usize> {
        let is_wanted = |section| self.name(section).is_some_and(|name| names.contains(&name));
        (0..self.headers.len())
            .filter(|number| is_wanted(&self.headers[*number]))
            .collect()
    }

    /// Symbols of the first table of this type, with their names' table.
    pub fn symbols(&self, bytes: &'a [u8], kind: u32) -> Option<(Symtab<'a>, &'a [u8])> {
        let table = self
            .headers
            .iter()
            .find(|section| section.sh_type == kind)?;
        let names = self.headers.get(table.sh_link as usize)?;
        let names = slice(bytes, names.sh_offset, names.sh_size)?;
        slice(bytes, table.sh_offset, table.sh_size)?;
        let count = table.sh_size as usize / goblin::elf64::sym::SIZEOF_SYM;
        let table = Symtab::parse(bytes, table.sh_offset as usize, count, CONTEXT).ok()?;
        Some((table, names))
    }
}
