//! A decision that is still open is all that the compiler says of a type, and of those that lie beside it.

mod now {
    pub struct Entry {
        pub hits: u64,
        pub place: Place,
    }

    pub struct Place {
        pub x: u8,
        pub label: u32,
    }
}

#[derive(xform::Lens)]
struct Entry {
    visits: u64,
    place: Place,
}

#[derive(xform::Lens)]
#[lens(from = self::Entry, to = now::Entry)]
struct EntryNow {
    #[lens(compile_error!(
        "Entry of v1 has visits: u64, and Entry of v2 has hits: u64. If visits became hits, write \
         rename = visits in place of this compile_error!"
    ))]
    hits: u64,
    #[lens(nested)]
    place: now::Place,
}

#[derive(xform::Lens)]
struct Place {
    x: u8,
    motd: u8,
}

#[derive(xform::Lens)]
#[lens(from = self::Place, to = now::Place)]
#[lens(compile_error!("motd: u8 of Place of v1 is gone in v2. Say what v1 reads"))]
struct PlaceNow {
    x: u8,
    #[lens(compile_error!("label: u32 is new in Place of v2"))]
    label: u32,
}

fn main() {
    let _ = <EntryLens as Default>::default();
}
