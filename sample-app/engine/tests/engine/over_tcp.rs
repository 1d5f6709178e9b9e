//! The loop that a server runs around a session, over a real socket.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use kv_engine::{Progress, tables};

use crate::server::Local;
use crate::value::{Value, encode};

/// Serves one connection until it ends.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut local = Local::new(tables::v2());
    loop {
        let space = local.session.space();
        let length = stream.read(space)?;
        if length == 0 {
            return Ok(());
        }
        local.session.filled(length);
        loop {
            let progress = local.process(16);
            let unsent = local.session.unsent();
            stream.write_all(unsent)?;
            let length = unsent.len();
            local.session.sent(length);
            match progress {
                Progress::Idle => break,
                Progress::More | Progress::OutputFull => {}
                Progress::Closing => return Ok(()),
            }
        }
    }
}

/// A served connection.
fn connect() -> (
    BufReader<TcpStream>,
    thread::JoinHandle<std::io::Result<()>>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let server = thread::spawn(move || serve(listener.accept()?.0));
    let stream = TcpStream::connect(address).expect("the server listens");
    (BufReader::new(stream), server)
}

#[test]
fn a_long_pipeline_is_answered_in_order() {
    let (mut stream, server) = connect();
    let requests: Vec<u8> = (0..5_000)
        .flat_map(|_| [encode(&["INCR", "n"]), encode(&["GET", "n"])].concat())
        .collect();
    let mut sender = stream.get_ref().try_clone().expect("one more descriptor");
    let sending = thread::spawn(move || {
        // Pieces that end in the middle of requests.
        requests
            .chunks(977)
            .try_for_each(|piece| sender.write_all(piece))
    });
    for n in 1..=5_000_i64 {
        let counted = Value::read(&mut stream).expect("a reply");
        assert_eq!(counted, Value::Integer(n));
        let read = Value::read(&mut stream).expect("a reply");
        assert_eq!(read, Value::Bulk(n.to_string().into_bytes()));
    }
    sending.join().expect("sent").expect("all of it");
    drop(stream);
    server.join().expect("ended").expect("in order");
}

#[test]
fn half_a_request_and_an_end_leave_nothing_behind() {
    let (mut stream, server) = connect();
    let half = b"*2\r\n$3\r\nGET\r\n$100\r\nabc";
    stream.get_mut().write_all(half).expect("sent");
    stream.get_ref().shutdown(Shutdown::Write).expect("ended");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the server hangs up");
    assert!(rest.is_empty());
    server.join().expect("ended").expect("in order");
}
