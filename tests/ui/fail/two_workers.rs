//! A library has one worker function.
use dsu_runtime::prelude::*;

#[dsu::worker]
fn first(cx: &mut Worker, local: ()) -> Step<()> {
    loop {
        update_point!(cx, "first", local);
    }
}

mod elsewhere {
    use dsu_runtime::prelude::*;

    #[dsu::worker]
    fn second(cx: &mut Worker, local: ()) -> Step<()> {
        loop {
            update_point!(cx, "second", local);
        }
    }
}

fn main() {}
