//! New code that fails before its first update point.

use dsu_tests::{Fleet, echo, library};
use std::io::{Read, Write};
use std::net::TcpStream;

const CLIENTS: u8 = 24;

fn connect(fleet: &Fleet) -> TcpStream {
    TcpStream::connect(fleet.address()).expect("the server listens")
}

fn is_echoed(client: &mut TcpStream, word: &[u8]) {
    client.write_all(word).expect("sent");
    let mut found = vec![0; word.len()];
    client.read_exact(&mut found).expect("sent back");
    assert_eq!(found, word);
}

// R24
#[test]
fn old_code_hears_its_clients_though_new_code_watched_them_otherwise_and_failed() {
    let fleet = Fleet::start("stumbles", &echo());
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(&fleet)).collect();
    for client in &mut clients {
        is_echoed(client, b"before");
    }
    for how in ["panic", "error"] {
        let flags = ["--probation", "0", "--canary", "0", "--wait", "--", how];
        let answer = fleet.update(&library("fixture_echo_clumsy"), &flags);
        assert_eq!(answer.word, "rolled-back", "{}", answer.text);
        assert!(answer.text.contains("it stumbles"), "{}", answer.text);
        for client in &mut clients {
            is_echoed(client, how.as_bytes());
        }
        // As many again, so that every worker has some of them.
        for _ in 0..CLIENTS {
            let mut client = connect(&fleet);
            is_echoed(&mut client, b"new");
            clients.push(client);
        }
    }
    let flags = ["--probation", "0", "--wait", "--", "steady"];
    fleet.updated(&library("fixture_echo_clumsy"), &flags);
    for client in &mut clients {
        is_echoed(client, b"after");
    }
    drop(clients);
    fleet.finish();
}
