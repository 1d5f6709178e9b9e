//! The error points at the field.
use dsu_runtime::prelude::*;

#[derive(Carry)]
struct Connections {
    count: u64,
    socket: std::net::TcpStream,
}

fn main() {}
