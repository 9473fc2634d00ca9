//! Runs a scripted server.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

/// Starts a server that calls `serve` for each connection, in a separate thread. Connections are numbered
/// from 0. Returns the server's port.
pub fn serve(serve: impl Fn(TcpStream, usize) + Copy + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            thread::spawn(move || serve(stream, number));
        }
    });
    port
}
