//! INFO's sections about commands and errors, in the form of Redis 7.0.

use kv_engine::tables;

use crate::redis::Redis;
use crate::server::Local;
use crate::value::encode;

const LINES: [&str; 10] = [
    "SET k text",
    "INCR k",
    "GET k",
    "GET k",
    "GET",
    "CLIENT SETNAME",
    "CLIENT GETNAME",
    "CLIENT NOSUCH",
    "NOSUCH",
    "SETRANGE k -1 x",
];

/// A section without what depends on time: digits behind these words.
fn shape(text: &str) -> Vec<String> {
    let timeless = |line: &str| {
        let fields = line.split(',').map(|field| match field.split_once('=') {
            Some((name, _)) if name.starts_with("usec") => format!("{name}=*"),
            Some((name, digits)) if name.contains(":p") || name.starts_with('p') => {
                let places = digits.split_once('.').map_or(0, |(_, places)| places.len());
                format!("{name}=*.{places}")
            }
            _ => field.to_owned(),
        });
        fields.collect::<Vec<_>>().join(",")
    };
    let mut lines: Vec<String> = text.lines().map(timeless).collect();
    lines.retain(|line| !line.contains("_info:") && !line.contains("_config|"));
    lines.sort();
    lines
}

#[test]
fn commands_and_errors_are_counted_as_redis_does() {
    let mut local = Local::new(tables::v2());
    for line in LINES {
        local.line(line);
    }
    let ours = |section: &str, local: &mut Local| local.line(&format!("INFO {section}")).text();
    let commands = shape(&ours("commandstats", &mut local));
    for wanted in [
        "cmdstat_get:calls=2,usec=*,usec_per_call=*,rejected_calls=1,failed_calls=0",
        "cmdstat_incr:calls=1,usec=*,usec_per_call=*,rejected_calls=0,failed_calls=1",
        "cmdstat_client|setname:calls=0,usec=*,usec_per_call=*,rejected_calls=1,failed_calls=0",
        "cmdstat_client|getname:calls=1,usec=*,usec_per_call=*,rejected_calls=0,failed_calls=0",
    ] {
        assert!(
            commands.contains(&wanted.to_owned()),
            "{wanted} in {commands:?}"
        );
    }
    let latencies = shape(&ours("latencystats", &mut local));
    let wanted = "latency_percentiles_usec_get:p50=*.3,p99=*.3,p99.9=*.3";
    assert!(latencies.contains(&wanted.to_owned()), "{latencies:?}");
    assert!(
        !latencies.iter().any(|line| line.contains("setname")),
        "it never ran"
    );
    let errors = ours("errorstats", &mut local);
    assert_eq!(errors, "# Errorstats\r\nerrorstat_ERR:count=6\r\n");
    let Some(redis) = Redis::start() else {
        return;
    };
    let mut asked: Vec<u8> = LINES
        .iter()
        .flat_map(|line| encode(&line.split(' ').collect::<Vec<_>>()))
        .collect();
    asked.extend(encode(&["INFO", "commandstats"]));
    asked.extend(encode(&["INFO", "latencystats"]));
    asked.extend(encode(&["INFO", "errorstats"]));
    asked.extend(encode(&["QUIT"]));
    let theirs = String::from_utf8(redis.conversation(&asked)).expect("text");
    let sections: Vec<&str> = theirs.split("# ").skip(1).collect();
    for (ours, theirs) in [(&commands, sections[0]), (&latencies, sections[1])] {
        let theirs = shape(theirs);
        for line in ours.iter().filter(|line| line.contains(':')) {
            assert!(theirs.contains(line), "{line} in {theirs:?}");
        }
    }
    assert!(
        sections[2].contains("errorstat_ERR:count=6\r\n"),
        "{}",
        sections[2]
    );
}

#[test]
fn what_is_costly_is_shown_on_request_alone() {
    let mut local = Local::new(tables::v1());
    let mut sections = |line: &str| {
        let text = local.line(line).text();
        let headings = text.lines().filter_map(|line| line.strip_prefix("# "));
        headings.map(str::to_owned).collect::<Vec<_>>()
    };
    let plain = sections("INFO");
    assert!(plain.contains(&"Errorstats".to_owned()), "{plain:?}");
    for name in ["Commandstats", "Latencystats"] {
        assert!(!plain.contains(&name.to_owned()), "{plain:?}");
        for line in [
            "INFO all",
            "INFO everything",
            "INFO default commandstats latencystats",
        ] {
            assert!(sections(line).contains(&name.to_owned()), "{line}");
        }
    }
    assert_eq!(sections("INFO default"), plain);
}
