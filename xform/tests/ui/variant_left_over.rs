use xform::Lens;

#[derive(Lens)]
enum Old {
    A,
    B(u8),
}

#[derive(Lens)]
#[lens(from = Old)]
enum New {
    A,
    C(u8),
}

fn main() {}
