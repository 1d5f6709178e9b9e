//! What INFO counts, whichever worker is asked, and through updates.

use crate::conversation::Conversation;
use dsu_tests::{Fleet, kv, library, until};

const EACH: u64 = 500;

/// The numbers of a line such as `cmdstat_get:calls=2,usec=…`.
fn counted(client: &mut Conversation, section: &str, line: &str, name: &str) -> u64 {
    let text = client.run(&["INFO", section]).text();
    let prefix = format!("{line}:");
    let Some(fields) = text.lines().find_map(|text| text.strip_prefix(&*prefix)) else {
        return 0;
    };
    let mut fields = fields.split(',').filter_map(|field| field.split_once('='));
    let field = fields.find(|(field, _)| *field == name);
    let number = field.and_then(|(_, number)| number.parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in {fields:?}"))
}

/// All workers come to show this many calls of GET, as many failed of INCR, and as many errors.
fn assert_counted(clients: &mut [Conversation], calls: u64) {
    for client in clients {
        for (section, line, name) in [
            ("commandstats", "cmdstat_get", "calls"),
            ("commandstats", "cmdstat_incr", "failed_calls"),
            ("commandstats", "cmdstat_mget", "rejected_calls"),
        ] {
            until(|| {
                let found = counted(client, section, line, name);
                assert!(found <= calls, "{found} {name} of {line}");
                (found == calls).then_some(())
            });
        }
        let errors = counted(client, "errorstats", "errorstat_ERR", "count");
        assert_eq!(errors, 2 * calls);
        let usec = counted(client, "commandstats", "cmdstat_get", "usec");
        assert!(usec > 0, "{calls} calls took no time");
        let text = client.run(&["INFO", "latencystats"]).text();
        assert!(text.contains("latency_percentiles_usec_get:p50="), "{text}");
    }
}

fn ask(clients: &mut [Conversation]) {
    for client in clients {
        client.run(&["SET", "k", "text"]);
        for _ in 0..EACH {
            client.run(&["GET", "k"]);
            client.run(&["INCR", "k"]);
            client.run(&["MGET"]);
        }
    }
}

// R24
#[test]
fn commands_and_errors_of_all_workers_are_counted_through_updates() {
    let fleet = Fleet::start("statistics", &kv(2));
    let mut clients = Conversation::at_each_worker(&fleet);
    let round = EACH * clients.len() as u64;
    ask(&mut clients);
    assert_counted(&mut clients, round);
    ask(&mut clients);
    // Right behind it: what is not shared yet crosses with its worker.
    fleet.updated(&library("kv_v2"), &["--probation", "0", "--wait"]);
    assert_counted(&mut clients, 2 * round);
    ask(&mut clients);
    fleet.accepted(&["rollback", "--wait"]);
    assert_counted(&mut clients, 3 * round);
    drop(clients);
    fleet.finish();
}
