//! Sockets that are kept, leave, are closed and come back.

use super::*;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

const FAR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(50);

fn wanted(texts: &[&str]) -> Vec<ListenAddress> {
    texts
        .iter()
        .map(|text| text.parse().expect("an address"))
        .collect()
}

fn opened(listeners: &mut Listeners, texts: &[&str]) -> Vec<String> {
    listeners.open(&wanted(texts)).expect("free ports")
}

fn leave(listeners: &mut Listeners, keys: &[String]) {
    let now = Instant::now();
    listeners.keep(keys, now, now + FAR);
}

fn bound(listeners: &Listeners, key: &str) -> SocketAddr {
    listeners.bound[key]
}

fn close_left(listeners: &mut Listeners) -> Vec<Closed> {
    listeners.close_left(Instant::now() + HANDSHAKE)
}

/// A worker's copy.
fn worker(listeners: &Listeners, key: &str) -> TcpListener {
    let keys = [key.to_owned()];
    let copy = listeners.descriptors(&keys)[0].try_clone_to_owned();
    TcpListener::from(copy.expect("a descriptor"))
}

fn failure(address: SocketAddr) -> ErrorKind {
    let connected = TcpStream::connect_timeout(&address, MOMENT);
    connected.expect_err("nobody is let in").kind()
}

// R33
#[test]
fn a_listener_stays_open_while_a_version_uses_it() {
    let mut listeners = Listeners::default();
    let first = opened(&mut listeners, &["127.0.0.1:0"]);
    let shown = listeners.addresses(&first);
    assert!(shown[0].starts_with("default=127.0.0.1:") && !shown[0].ends_with(":0"));
    let both = opened(&mut listeners, &["127.0.0.1:0", "admin=127.0.0.1:0"]);
    assert_eq!(listeners.addresses(&both)[0], shown[0]);
    leave(&mut listeners, &first);
    assert_eq!(listeners.leaving().len(), 1);
    assert_eq!(close_left(&mut listeners).len(), 1);
    assert_eq!(listeners.descriptors(&both).len(), 1);
    assert!(listeners.is_open(&first[0]) && !listeners.is_open(&both[1]));
}

#[test]
fn one_address_that_is_taken_opens_none() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut listeners = Listeners::default();
    let error = listeners
        .open(&wanted(&["a=127.0.0.1:0", &format!("b={address}")]))
        .expect_err("taken");
    assert!(
        error.contains(&address) && error.contains("--listen"),
        "{error}"
    );
    assert!(listeners.sockets.is_empty() && listeners.bound.is_empty());
}

// R33
#[test]
fn who_waits_in_the_queue_of_a_leaving_socket_is_served_and_who_comes_later_refused() {
    let mut listeners = Listeners::default();
    let keys = opened(&mut listeners, &["127.0.0.1:0"]);
    let address = bound(&listeners, &keys[0]);
    let worker = worker(&listeners, &keys[0]);
    let _queued = TcpStream::connect(address).expect("it listens");
    leave(&mut listeners, &[]);
    assert_eq!(close_left(&mut listeners), [], "somebody waits");
    assert_eq!(failure(address), ErrorKind::TimedOut);
    worker.accept().expect("who has connected is served");
    let is_cut_off = false;
    let bound = address;
    assert_eq!(close_left(&mut listeners), [Closed { bound, is_cut_off }]);
    assert_eq!(failure(address), ErrorKind::ConnectionRefused);
    assert_eq!(listeners.next_look(Instant::now()), None);
}

// R33
#[test]
fn a_queue_that_nobody_empties_is_closed_when_its_time_is_up() {
    let mut listeners = Listeners::default();
    let keys = opened(&mut listeners, &["127.0.0.1:0"]);
    let address = bound(&listeners, &keys[0]);
    let _queued = TcpStream::connect(address).expect("it listens");
    let by = Instant::now() + FAR;
    listeners.keep(&[], Instant::now(), by);
    assert_eq!(listeners.close_left(by - MOMENT), []);
    assert!(listeners.close_left(by)[0].is_cut_off);
    assert_eq!(failure(address), ErrorKind::ConnectionRefused);
}

// R33
#[test]
fn a_leaving_socket_that_is_asked_for_again_is_the_same_and_lets_everybody_in() {
    let mut listeners = Listeners::default();
    let keys = opened(&mut listeners, &["127.0.0.1:0"]);
    let address = bound(&listeners, &keys[0]);
    let number = listeners.descriptors(&keys)[0].as_raw_fd();
    let _queued = TcpStream::connect(address).expect("it listens");
    for again in [true, false] {
        leave(&mut listeners, &[]);
        assert_eq!(failure(address), ErrorKind::TimedOut);
        if again {
            opened(&mut listeners, &["127.0.0.1:0"]);
        } else {
            listeners.reopen(&keys).expect("open still");
        }
        assert_eq!(close_left(&mut listeners), []);
        TcpStream::connect(address).expect("it listens again");
        assert_eq!(listeners.descriptors(&keys)[0].as_raw_fd(), number);
    }
}

// R33
#[test]
fn a_closed_listener_comes_back_at_its_address_unless_that_is_taken() {
    let mut listeners = Listeners::default();
    let keys = opened(&mut listeners, &["a=127.0.0.1:0", "b=127.0.0.1:0"]);
    let address = bound(&listeners, &keys[1]);
    // Workers hold copies for a while yet.
    let copies = keys.iter().map(|key| worker(&listeners, key));
    let copies: Vec<TcpListener> = copies.collect();
    leave(&mut listeners, &[]);
    close_left(&mut listeners);
    listeners.reopen(&keys).expect("nobody has taken it");
    assert_eq!(bound(&listeners, &keys[1]), address);
    TcpStream::connect(address).expect("it listens again");

    // That one waits for nobody to accept it: the time is up.
    let now = Instant::now();
    listeners.keep(&[], now, now);
    close_left(&mut listeners);
    drop(copies);
    let _thief = TcpListener::bind(address).expect("it is free");
    let error = listeners.reopen(&keys).expect_err("taken");
    assert!(
        error.contains(&keys[1]) && error.contains(&address.to_string()),
        "{error}"
    );
    assert!(listeners.sockets.is_empty(), "all or none");
}

// R33
#[test]
fn one_address_under_another_name_is_the_same_socket() {
    let mut listeners = Listeners::default();
    let first = opened(&mut listeners, &["127.0.0.1:0"]);
    let address = bound(&listeners, &first[0]);
    let renamed = opened(&mut listeners, &[&format!("web={address}")]);
    assert_ne!(first, renamed);
    leave(&mut listeners, &renamed);
    assert_eq!(close_left(&mut listeners), []);
    assert_eq!(listeners.addresses(&renamed), [format!("web={address}")]);
    TcpStream::connect(address).expect("it was never closed");
}
