//! A carry has a stated shape and an encoded form (R24).
use dsu_runtime::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize)]
struct Connections {
    count: u64,
}

#[dsu::worker]
fn serve(cx: &mut Worker, local: Connections) -> Step<Connections> {
    loop {
        update_point!(cx, "loop", local);
    }
}

fn main() {}
