//! The header that the supervisor can read without loading a library.

/// Changes with every change of `abi`, `sync` or the allocator's metadata.
pub const RUNTIME_ABI: u32 = 8;
/// Changes with the layout of a shared container or of a box.
pub const CONTAINER_ABI: u32 = 3;
/// Name of the ELF section that holds the [`LibraryHeader`].
pub const HEADER_SECTION: &str = ".dsu.header";

/// Fixed-size text padded with zeros.
pub const fn fixed_text<const N: usize>(text: &str) -> [u8; N] {
    let bytes = text.as_bytes();
    let mut out = [0; N];
    let mut i = 0;
    while i < bytes.len() && i < N {
        out[i] = bytes[i];
        i += 1;
    }
    out
}

/// What stands in the section [`HEADER_SECTION`] of a version, written by `dsu::version!`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LibraryHeader {
    /// [`LibraryHeader::MAGIC`].
    pub magic: [u8; 16],
    /// [`RUNTIME_ABI`].
    pub runtime_abi: u32,
    /// [`CONTAINER_ABI`].
    pub container_abi: u32,
    /// Number of this version.
    pub version: u32,
    /// Number of the version it updates from; 0 for none.
    pub from: u32,
    /// Name of the application.
    pub app: [u8; 64],
    /// `rustc --version` of the compiler that built the runtime inside.
    pub rustc: [u8; 96],
}

impl LibraryHeader {
    /// First bytes of the section.
    pub const MAGIC: [u8; 16] = *b"dsu-library\0\0\0\0\x01";

    /// The header of `version` of `app`.
    pub const fn new(app: &str, version: u32, from: u32) -> LibraryHeader {
        LibraryHeader {
            magic: Self::MAGIC,
            runtime_abi: RUNTIME_ABI,
            container_abi: CONTAINER_ABI,
            version,
            from,
            app: fixed_text(app),
            rustc: fixed_text(env!("DSU_RUSTC")),
        }
    }
}
