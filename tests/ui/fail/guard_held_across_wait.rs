//! A guard borrows the worker, `wait` needs it mutably; dropped later is held still.
use dsu_runtime::prelude::*;

#[guards(count: u64)]
static COUNT: GuardMutex;

#[dsu::worker]
fn serve(cx: &mut Worker, local: ()) -> Step<()> {
    let mut events = Events::with_capacity(8);
    loop {
        update_point!(cx, "loop", local);
        let _guard = COUNT.lock(cx);
        cx.wait(&mut events, None)?;
    }
}

fn main() {}
