use xform::Lens;

#[derive(Lens)]
struct OldInner;

#[derive(Lens)]
struct Old {
    inner: OldInner,
}

struct Inner;

#[derive(Lens)]
#[lens(from = Old)]
struct New {
    #[lens(nested)]
    inner: Inner,
}

fn main() {}
