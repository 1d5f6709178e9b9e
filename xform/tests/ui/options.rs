use xform::Lens;

#[derive(Lens)]
struct Old {
    a: u8,
    b: u8,
}

#[derive(Lens)]
#[lens(from = Old, drop(c), drop(b))]
struct Wrong {
    #[lens(swap = b)]
    a: u8,
    #[lens(each(nested))]
    b: u8,
    #[lens(derived = |d| 0)]
    e: u8,
    #[lens(add, reset_when_written = "nobody")]
    f: u8,
}

#[derive(Lens)]
#[lens(name = Alone)]
struct FromNothing;

#[derive(Lens)]
#[lens(from = Old)]
enum Other {
    A,
}

fn main() {}
