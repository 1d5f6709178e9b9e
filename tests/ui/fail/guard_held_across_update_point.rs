//! A guard borrows the worker, an update point needs it mutably (R18).
use dsu_runtime::prelude::*;

#[guards(count: u64)]
static COUNT: GuardMutex;

#[dsu::worker]
fn serve(cx: &mut Worker, local: ()) -> Step<()> {
    loop {
        let Ok(mut guard) = COUNT.lock(cx) else { continue };
        guard.count += 1;
        update_point!(cx, "loop", local);
        guard.count += 1;
    }
}

fn main() {}
