//! Hand-picked corner cases, each beside a real Redis.

use kv_engine::tables;

use crate::redis::Redis;
use crate::server::Local;
use crate::value::Value;

/// Bytes as they are, one conversation each, on connections of their own. QUIT ends each.
const CONVERSATIONS: &[&[u8]] = &[
    b"*1\r\n\r\n",
    b"*x\r\n",
    b"*2147483648\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n:1\r\n",
    b"get \"a\r\n",
    b"get 'a'b\r\n",
    b"set a \"\\x41\\n\\t\" nx\r\nget a\r\nquit\r\n",
    b"\r\n\n*0\r\n*-1\r\nping\r\nquit\r\n",
    b"PING\r\n*1\r\n$4\r\nQUIT\r\nPING\r\n",
    b"client reply off\r\nping\r\nclient reply skip\r\nping\r\nclient reply on\r\nping\r\nquit\r\n",
    b"client reply skip\r\nping\r\nping\r\nquit\r\n",
    b"client reply skip\r\nclient reply skip\r\nping\r\nping\r\nquit\r\n",
    b"client reply skip\r\nnonsense\r\nping\r\nquit\r\n",
    b"client reply off\r\nquit\r\n",
    b"client reply off\r\nreset\r\nping\r\nquit\r\n",
    b"*2\r\n$3\r\nGET\r\n$1\r\nkXX*2\r\n$3\r\nGET\r\n$1\r\nk\r\nquit\r\n",
    b"hello 3\r\nhello 2 nope\r\nget nope\r\nmget nope\r\nquit\r\n",
    b"hello 3 setname me\r\nclient getname\r\nreset\r\nclient getname\r\nquit\r\n",
    b"hello\r\nquit\r\n",
    b"hello 3\r\nconfig get save nope\r\ncommand info nope\r\ncommand docs nope\r\nquit\r\n",
    b"hello 3\r\ncommand getkeysandflags get a\r\ninfo nope\r\nclient getname\r\nquit\r\n",
    b"hello 3 auth default x setname \"a b\"\r\nclient getname\r\nquit\r\n",
    b"hello 3 setname me auth nobody x\r\nclient getname\r\nping\r\nquit\r\n",
    b"client setname me\r\nclient setname \"\"\r\nclient getname\r\nquit\r\n",
    b"quit now please\r\n",
    b"info cluster\r\ninfo modules\r\ninfo nope\r\ninfo modules cluster\r\nquit\r\n",
    b"substr nope 0 -1\r\nset a \"\"\r\nsetrange a 0 \"\"\r\nsetrange b 5 \"\"\r\nquit\r\n",
    b"setrange c 536870911 ab\r\nsetrange c 536870912 \"\"\r\nsetrange c -1 x\r\nquit\r\n",
    b"mset a\r\nmset a 1 b\r\nmsetnx a 1 b\r\nmset a 1 a 2\r\nget a\r\nquit\r\n",
    b"msetnx n1 1 n2 2 n1 3\r\nmget n1 n2\r\nmsetnx n3 1 n1 2\r\nexists n3 n1 n1\r\nquit\r\n",
    b"rename nope nope\r\nset r 1\r\nrename r r\r\nrenamenx r r\r\nrenamenx nope r\r\nquit\r\n",
    b"set k v get nx\r\nset k w get nx\r\nget k\r\nset k2 v xx get\r\nset k w nx xx\r\nquit\r\n",
    b"scan 0 count\r\nscan x count 0\r\nscan 0 count 0\r\nscan 0 match\r\nscan 0 nope 1\r\nquit\r\n",
    b"config get SAVE save\r\nconfig get s?ve SAVE\r\nconfig get sav\\e\r\nconfig get Save\r\nquit\r\n",
    b"command getkeysandflags set a b\r\ncommand getkeysandflags set a b GET\r\nquit\r\n",
    b"select 0\r\nselect -1\r\nselect 4294967296\r\nselect x\r\nquit\r\n",
    b"set i 10\r\nincrby i x\r\ndecrby i -9223372036854775808\r\nincrby i 9223372036854775807\r\nquit\r\n",
    b"set f abc\r\nincrbyfloat f 1\r\nincrbyfloat g abc\r\nincrbyfloat g inf\r\nincr f\r\nquit\r\n",
    b"set f 1e4932\r\nincrbyfloat f 1e4932\r\nstrlen f\r\nincrbyfloat f 1\r\nquit\r\n",
];

/// As above, for what only version 2 knows.
const EXPIRY_CONVERSATIONS: &[&[u8]] = &[
    b"set k v ex 0\r\nset k v px -1\r\nset k v ex x\r\nset k v ex\r\nset k v ex 1 px 1\r\nquit\r\n",
    b"set k v ex 9223372036854775807\r\nset k v px 9223372036854775807\r\nquit\r\n",
    b"set k v exat 9223372036854775807\r\nset k v pxat 0\r\nset k v keepttl ex 1\r\nquit\r\n",
    b"set k v ex 100 ex 200\r\nset k v keepttl keepttl\r\nset k v persist\r\nquit\r\n",
    b"set k v pxat 9000000000000\r\npexpiretime k\r\nset k w keepttl\r\npexpiretime k\r\nquit\r\n",
    b"set k v pxat 9000000000000\r\nappend k w\r\nincrbyfloat k 1\r\npexpiretime k\r\nquit\r\n",
    b"set k 1 pxat 9000000000000\r\nincr k\r\npexpiretime k\r\ngetset k 2\r\nttl k\r\nquit\r\n",
    b"set k 1 pxat 9000000000000\r\nrename k l\r\npexpiretime l\r\nttl k\r\npersist l\r\nquit\r\n",
    b"set k v pxat 1\r\nget k\r\nexists k\r\nttl k\r\ndel k\r\nkeys *\r\nquit\r\n",
    b"setex k 0 v\r\nsetex k -1 v\r\nsetex k x v\r\npsetex k 0 v\r\nsetex k\r\nquit\r\n",
    b"set k v\r\ngetex k persist ex 1\r\ngetex k ex\r\ngetex k ex 0\r\ngetex k nx\r\nquit\r\n",
    b"set k v\r\ngetex k pxat 1\r\nget k\r\ngetex nope ex 0\r\ngetex nope ex x\r\nquit\r\n",
    b"set k v\r\nexpire k 1 nope\r\nexpire k x nope\r\nexpire k 1 nx xx\r\nexpire k 1 gt lt\r\nquit\r\n",
    b"expire nope x\r\nexpire nope 9223372036854775807\r\npexpire nope 9223372036854775807\r\nquit\r\n",
    b"set k v\r\nexpireat k 9223372036854775\r\nexpireat k 9223372036854776\r\nquit\r\n",
    b"set k v\r\nexpireat k -9223372036854776\r\npexpireat k -1\r\nexists k\r\nquit\r\n",
    b"set k v\r\npexpireat k 9000000000000 gt\r\npexpireat k 9000000000000 lt\r\nquit\r\n",
    b"set k v pxat 9000000000000\r\npexpireat k 9000000000000 gt\r\npexpireat k 1 lt\r\nget k\r\nquit\r\n",
    b"set k v pxat 9000000000500\r\nexpiretime k\r\nexpire k -1\r\nexpiretime k\r\nquit\r\n",
    b"ttl\r\npersist nope\r\npersist a b\r\npttl nope\r\npexpiretime nope\r\nquit\r\n",
];

pub fn converse(mut local: Local, redis: &Redis, conversations: &[&[u8]]) {
    for bytes in conversations {
        let cleared = [b"flushall\r\n", *bytes].concat();
        let theirs = redis.conversation(&cleared);
        local.session = kv_engine::Session::new(crate::server::client(7));
        let ours = local.exchange(&cleared);
        assert!(
            local.session.is_closing(),
            "each of them ends the connection"
        );
        let text = |bytes: &[u8]| without_ids(&bytes.escape_ascii().to_string());
        assert_eq!(text(&ours), text(&theirs), "{}", cleared.escape_ascii());
    }
}

/// The connection's number in HELLO's answer depends on how many came before.
fn without_ids(text: &str) -> String {
    let Some((before, rest)) = text.split_once("$2\\r\\nid\\r\\n:") else {
        return text.to_owned();
    };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}$2\\r\\nid\\r\\n:N{}", without_ids(rest))
}

#[test]
fn corner_cases_are_answered_as_redis_does() {
    let Some(redis) = Redis::start() else {
        return;
    };
    converse(Local::new(tables::v1()), &redis, CONVERSATIONS);
    converse(Local::new(tables::v2()), &redis, CONVERSATIONS);
    converse(Local::new(tables::v2()), &redis, EXPIRY_CONVERSATIONS);
}

#[test]
fn version_1_does_not_know_expiry_and_says_so_in_redis_s_words() {
    let mut local = Local::new(tables::v1());
    for line in ["SET k v EX 10", "SET k v KEEPTTL", "SET k v PXAT 1"] {
        let reply = local.line(line);
        assert_eq!(reply, Value::Error("ERR syntax error".into()), "{line}");
    }
    let reply = local.line("EXPIRE k 10 NX");
    let text = "ERR unknown command 'EXPIRE', with args beginning with: 'k' '10' 'NX' ";
    assert_eq!(reply, Value::Error(text.into()));
}

#[test]
fn command_info_tells_what_redis_tells() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let mut local = Local::new(tables::v3());
    let Value::Array(all) = local.line("COMMAND") else {
        panic!("COMMAND answers an array");
    };
    assert_eq!(
        local.line("COMMAND COUNT"),
        Value::Integer(all.len() as i64)
    );
    for ours in all {
        let Value::Array(mut ours) = ours else {
            panic!("of arrays");
        };
        let name = ours[0].text();
        // Containers have fewer subcommands here; those they have are compared one by one.
        let Value::Array(subcommands) = ours.remove(9) else {
            panic!("subcommands are an array");
        };
        let mut names: Vec<String> = subcommands
            .iter()
            .map(|sub| match sub {
                Value::Array(fields) => fields[0].text(),
                other => panic!("{other:?}"),
            })
            .collect();
        names.push(name);
        // CLIENT SETINFO is of Redis 7.2.
        names.retain(|name| name != "client|setinfo");
        for name in names {
            let line = format!("COMMAND INFO {name}");
            for protocol in ["2", "3"] {
                local.line(&format!("HELLO {protocol}"));
                redis.run(&["HELLO", protocol]);
                let ours = first_fields(local.line(&line));
                let theirs = first_fields(redis.run(&["COMMAND", "INFO", &name]));
                assert_eq!(ours, theirs, "{name}");
            }
        }
        local.line("HELLO 2");
    }
}

fn first_fields(reply: Value) -> Vec<Value> {
    let Value::Array(mut one) = reply else {
        panic!("an array");
    };
    let Value::Array(mut fields) = one.remove(0) else {
        panic!("of arrays");
    };
    fields.truncate(9);
    fields
}
