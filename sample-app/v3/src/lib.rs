//! Version 3 of the sample store: strings, lists and hashes, with expiry.
#![forbid(unsafe_code)]

mod entry;
mod from_v2;
mod totals;
mod value;

use dsu_runtime::prelude::*;
use entry::Store;
use kv_engine::{Connections, Expiry, Settler, tables};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The totals are settled, and keys whose time is up looked for, at least this often.
const TICK: Duration = Duration::from_millis(100);

/// What a worker keeps for itself.
#[derive(Serialize, Deserialize, Carry)]
pub struct Local {
    connections: Connections,
    expiry: Expiry,
}

fn start(cx: &mut Worker) -> Result<Local, WorkerError> {
    Ok(Local {
        connections: Connections::start(cx),
        expiry: Expiry::default(),
    })
}

#[dsu::worker(start = start)]
fn serve(cx: &mut Worker, mut local: Local) -> Step<Local> {
    let table = tables::v3::<Store>();
    let mut events = Events::with_capacity(256).with_notices();
    let mut settler = Settler::new(TICK);
    local.connections.listen(cx)?;
    loop {
        update_point!(cx, "event-loop", local);
        let again = settler.settle(cx, &totals::TOTALS, &mut local.connections);
        cx.wait(&mut events, Some(again))?;
        local.connections.serve(cx, &table, &events);
        local
            .connections
            .count_expired(local.expiry.tick::<Store>(cx));
    }
}

dsu::version! { app: "kv", version: 3, from: 2, crates: [kv_engine] }
