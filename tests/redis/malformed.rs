//! Bytes that are no request: Redis's error, the end of that connection, and of no other.

use crate::conversation::{Conversation, resident_bytes};
use crate::real::Redis;
use crate::value::Value;
use dsu_tests::{Fleet, kv, until};

/// A line may be this long, and not longer.
const MAX_LINE: usize = 64 << 10;
const GREEDY: usize = 50;
const MIB: u64 = 1 << 20;

/// Bytes of each wrong kind, and what Redis says to them. None goes on behind its fault: a connection
/// that is closed with bytes unread is reset, which may overtake the reply.
fn wrong() -> Vec<(Vec<u8>, &'static str)> {
    let endless = |prefix: &[u8]| {
        let mut bytes = prefix.to_vec();
        let line = prefix.iter().rposition(|byte| *byte == b'\n');
        let start = line.map_or(0, |end| end + 1);
        bytes.resize(start + MAX_LINE + 1, b'1');
        bytes
    };
    let known: [(&[u8], &str); 13] = [
        (b"*x\r\n", "invalid multibulk length"),
        (b"*1x\r\n", "invalid multibulk length"),
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (b"*1\r\n:1\r\n", "expected '$', got ':'"),
        (b"*2\r\n$3\r\nGET\r\n*1\r\n", "expected '$', got '*'"),
        (b"*1\r\n\r\n", "expected '$', got '\r'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*1\r\n$\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"SET \"a\r\n", "unbalanced quotes in request"),
        (b"SET 'a'b\r\n", "unbalanced quotes in request"),
    ];
    let mut wrong: Vec<_> = known.map(|(bytes, text)| (bytes.to_vec(), text)).into();
    wrong.push((endless(b"*"), "too big mbulk count string"));
    wrong.push((endless(b"*1\r\n$"), "too big bulk count string"));
    wrong.push((endless(b"1"), "too big inline request"));
    wrong
}

#[test]
fn each_protocol_error_is_redis_s_and_ends_its_connection_alone() {
    let redis = Redis::start();
    let fleet = Fleet::start("malformed", &kv(2));
    let mut others = Conversation::at_each_worker(&fleet);
    for (place, other) in others.iter_mut().enumerate() {
        // Half a request, which the others' faults must not touch.
        let named = other.run(&["CLIENT", "SETNAME", &format!("other-{place}")]);
        assert_eq!(named, Value::Simple("OK".to_owned()));
        other.send(b"*2\r\n$6\r\nCLIENT\r\n$7\r\nGET");
    }
    for place in 0..others.len() {
        for (bytes, text) in wrong() {
            let mut victims = Conversation::at_each_worker(&fleet);
            let victim = &mut victims[place];
            // What was complete before is answered first.
            victim.send(&[b"PING\r\n", bytes.as_slice()].concat());
            let said = victim.rest();
            // The byte that Redis quotes may itself be one that ends a line.
            let text = text.replace('\r', " ");
            let wanted = format!("+PONG\r\n-ERR Protocol error: {text}\r\n");
            let shown = bytes[..bytes.len().min(40)].escape_ascii();
            assert_eq!(String::from_utf8_lossy(&said), wanted, "to {shown}");
            if let Some(redis) = &redis {
                let theirs = redis.conversation(&[b"PING\r\n", bytes.as_slice()].concat());
                assert_eq!(String::from_utf8_lossy(&theirs), wanted, "redis to {shown}");
            }
        }
    }
    for (place, other) in others.iter_mut().enumerate() {
        other.send(b"NAME\r\n");
        let name = format!("other-{place}");
        assert_eq!(other.receive(), Value::Bulk(name.into_bytes()));
    }
    drop(others);
    fleet.finish();
}

#[test]
fn an_announced_length_takes_no_memory() {
    let fleet = Fleet::start("announced lengths", &kv(2));
    let mut others = Conversation::at_each_worker(&fleet);
    let mut greedy: Vec<_> = (0..GREEDY).map(|_| Conversation::new(&fleet)).collect();
    for one in &mut greedy {
        assert_eq!(one.run(&["PING"]), Value::Simple("PONG".to_owned()));
    }
    let read_before = others[0].fact("stats", "total_net_input_bytes");
    let before = resident_bytes(&fleet);
    let bytes = b"*3\r\n$3\r\nSET\r\n$6\r\ngreedy\r\n$536870912\r\nabc";
    for one in &mut greedy {
        one.send(bytes);
    }
    let sent = (GREEDY * bytes.len()) as u64;
    until(|| {
        let read = others[0].fact("stats", "total_net_input_bytes");
        (read >= read_before + sent).then_some(())
    });
    let after = resident_bytes(&fleet);
    let more = after.saturating_sub(before);
    assert!(more < 64 * MIB, "{} MiB more", more / MIB);
    for other in &mut others {
        assert_eq!(other.run(&["EXISTS", "greedy"]), Value::Integer(0));
    }
    drop((greedy, others));
    fleet.finish();
}
