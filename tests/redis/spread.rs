//! Newcomers are spread over workers, and wait for none of them.

use crate::conversation::Conversation;
use crate::value::Value;
use dsu_tests::{Fleet, kv, library, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::HashMap;

const CLIENTS: usize = 200;

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).expect("it is there");
}

/// How many of these clients each worker has.
fn shares(clients: &mut [Conversation]) -> HashMap<u32, usize> {
    let mut shares = HashMap::new();
    for client in clients {
        *shares.entry(client.process()).or_default() += 1;
    }
    shares
}

fn assert_even(shares: &HashMap<u32, usize>, workers: usize) {
    // Every worker is there, and has at least half of its share.
    assert_eq!(shares.len(), workers, "{shares:?}");
    let least = CLIENTS / workers / 2;
    assert!(shares.values().all(|share| *share >= least), "{shares:?}");
}

#[test]
fn each_worker_has_its_share_of_the_clients() {
    for workers in [2, 4] {
        let fleet = Fleet::start("spread", &kv(workers as u32));
        // All at once, then one after the other has been served.
        let mut together: Vec<_> = (0..CLIENTS).map(|_| Conversation::new(&fleet)).collect();
        assert_even(&shares(&mut together), workers);
        drop(together);
        let mut in_turn = Vec::new();
        for _ in 0..CLIENTS {
            let mut one = Conversation::new(&fleet);
            one.process();
            in_turn.push(one);
        }
        assert_even(&shares(&mut in_turn), workers);
        drop(in_turn);
        fleet.finish();
    }
}

// R33
#[test]
fn nobody_waits_for_a_worker_that_stands_still_or_is_dead_or_on_probation() {
    let fleet = Fleet::start("spread without one", &kv(2));
    let mut clients: Vec<_> = (0..20).map(|_| Conversation::new(&fleet)).collect();
    assert_eq!(shares(&mut clients).len(), 2);
    let path = library("kv_v2").to_string_lossy().into_owned();
    fleet.accepted(&["update", &path, "--canary", "1", "--probation", "3600"]);
    let workers: Vec<u32> = until(|| {
        let now = fleet.now();
        let crossed = now.workers.iter().any(|one| one.version == Some(2));
        crossed.then(|| now.workers.iter().map(|one| one.pid).collect())
    });
    let mut newcomers = |count: usize, served_by: &[u32]| {
        for _ in 0..count {
            let mut one = Conversation::new(&fleet);
            let pid = one.process();
            assert!(served_by.contains(&pid), "{pid} of {served_by:?}");
            clients.push(one);
        }
    };
    newcomers(40, &workers);
    // The one with fewer clients than the other stands still.
    signal(workers[0], Signal::SIGSTOP);
    newcomers(40, &workers[1..]);
    signal(workers[0], Signal::SIGCONT);
    newcomers(40, &workers);
    fleet.accepted(&["rollback", "--wait"]);
    fleet.until_idle();
    signal(workers[0], Signal::SIGKILL);
    let pong = Value::Simple("PONG".to_owned());
    for _ in 0..40 {
        assert_eq!(Conversation::new(&fleet).run(&["PING"]), pong);
    }
    drop(clients);
    // What the dead one had does not count once another is in its place.
    let mut last = Conversation::new(&fleet);
    until(|| (last.fact("clients", "connected_clients") == 1).then_some(()));
    drop(last);
    fleet.until_serving(2);
    fleet.finish();
}
