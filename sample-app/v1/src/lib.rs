//! Version 1 of the sample store: strings.
#![forbid(unsafe_code)]

mod entry;
mod totals;

use dsu_runtime::prelude::*;
use entry::Store;
use kv_engine::{Connections, Settler, tables};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The totals are settled at least this often while there is something to settle.
const SETTLE_EVERY: Duration = Duration::from_millis(100);

/// What a worker keeps for itself.
#[derive(Serialize, Deserialize, Carry)]
pub struct Local {
    connections: Connections,
}

fn start(cx: &mut Worker) -> Result<Local, WorkerError> {
    Ok(Local {
        connections: Connections::start(cx),
    })
}

#[dsu::worker(start = start)]
fn serve(cx: &mut Worker, mut local: Local) -> Step<Local> {
    let table = tables::v1::<Store>();
    let mut events = Events::with_capacity(256).with_notices();
    let mut settler = Settler::new(SETTLE_EVERY);
    local.connections.listen(cx)?;
    loop {
        update_point!(cx, "event-loop", local);
        let again = settler.settle(cx, &totals::TOTALS, &mut local.connections);
        cx.wait(&mut events, Some(again))?;
        local.connections.serve(cx, &table, &events);
    }
}

dsu::version! { app: "kv", version: 1, crates: [kv_engine] }
