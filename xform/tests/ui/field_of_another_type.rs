use xform::Lens;

mod old {
    #[derive(xform::Lens)]
    pub struct Uptime {
        pub millis: u64,
    }

    #[derive(xform::Lens)]
    pub struct Stats {
        pub uptime: Uptime,
    }
}

struct Uptime {
    seconds: u64,
}

#[derive(Lens)]
#[lens(from = old::Stats)]
struct Stats {
    uptime: Uptime,
}

fn main() {}
