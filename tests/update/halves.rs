//! R24: requests and replies that are half done when the worker crosses.

use dsu_tests::{Fleet, kv, library};
use std::io::{Read, Write};
use std::net::TcpStream;

const PARTS: usize = 48;

fn raw(fleet: &Fleet) -> TcpStream {
    TcpStream::connect(fleet.address()).expect("the server takes connections")
}

fn read_exactly(stream: &mut TcpStream, wanted: &[u8]) {
    let mut found = vec![0; wanted.len()];
    stream.read_exact(&mut found).expect("the reply");
    assert!(found == wanted, "another reply of the same length");
}

#[test]
fn half_a_command_is_finished_by_the_other_version() {
    let fleet = Fleet::start("half a command", &kv(2));
    let command = b"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$10\r\nhello\r\nwor\r\n";
    // Cut at every byte, many connections at once.
    let mut streams: Vec<TcpStream> = (1..command.len()).map(|_| raw(&fleet)).collect();
    for (cut, stream) in (1..).zip(&mut streams) {
        // The answer to PING shows that the worker has read up to here before it crosses.
        stream.write_all(b"PING\r\n").expect("sent");
        read_exactly(stream, b"+PONG\r\n");
        stream.write_all(&command[..cut]).expect("sent");
    }
    fleet.updated(&library("kv_v2"), &["--probation", "0", "--wait"]);
    for (cut, stream) in (1..).zip(&mut streams) {
        stream.write_all(&command[cut..]).expect("sent");
        stream.write_all(b"GET half\r\n").expect("sent");
        read_exactly(stream, b"+OK\r\n$10\r\nhello\r\nwor\r\n");
    }
    fleet.accepted(&["rollback", "--wait"]);
    for stream in &mut streams {
        stream.write_all(b"GET half\r\n").expect("sent");
        read_exactly(stream, b"$10\r\nhello\r\nwor\r\n");
    }
    fleet.finish();
}

#[test]
fn a_reply_that_nobody_has_read_yet_arrives_whole_after_the_update() {
    let fleet = Fleet::start("half a reply", &kv(2));
    let mut stream = raw(&fleet);
    let value: Vec<u8> = (0..1 << 20).map(|n: usize| b'a' + (n % 23) as u8).collect();
    let header = format!("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n${}\r\n", value.len());
    stream.write_all(header.as_bytes()).expect("sent");
    stream.write_all(&value).expect("sent");
    stream.write_all(b"\r\n").expect("sent");
    read_exactly(&mut stream, b"+OK\r\n");
    // Far more than the sockets' buffers hold, so that most of it waits in the worker.
    let mut ask = Vec::new();
    for _ in 0..PARTS {
        ask.extend_from_slice(b"GET big\r\n");
    }
    stream.write_all(&ask).expect("sent");
    fleet.updated(&library("kv_v2"), &["--probation", "0", "--wait"]);
    let mut reply = format!("${}\r\n", value.len()).into_bytes();
    reply.extend_from_slice(&value);
    reply.extend_from_slice(b"\r\n");
    for _ in 0..PARTS {
        read_exactly(&mut stream, &reply);
    }
    fleet.finish();
}
