use xform::Lens;

mod old {
    #[derive(xform::Lens)]
    pub struct Stats {
        pub commands: u64,
        pub motd: String,
    }
}

#[derive(Lens)]
#[lens(from = old::Stats)]
struct Stats {
    commands: u64,
}

fn main() {}
