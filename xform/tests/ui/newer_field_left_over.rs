use xform::Lens;

#[derive(Lens)]
struct Old {
    commands: u64,
    get_hits: Vec<u64>,
}

#[derive(Lens)]
#[lens(from = Old)]
struct New {
    commands: u64,
    hits: Vec<u64>,
}

fn main() {}
