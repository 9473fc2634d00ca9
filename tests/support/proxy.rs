//! Runs a proxy in front of Redis that can delay replies, drop a reply and close its connection, or stop in
//! the middle of a reply.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    /// The port on loopback that the proxy listens on.
    pub port: u16,
    replies: Arc<Mutex<Replies>>,
}

/// What the proxy does with replies.
#[derive(Clone, Copy, Debug)]
pub enum Replies {
    /// Forwards replies.
    Pass,
    /// Forwards replies after a delay.
    After(Duration),
    /// Drops the next reply and closes its connection. Forwards all other replies.
    Cut,
    /// Forwards half of the next reply, then closes its connection. Forwards all other replies.
    HalfThenCut,
    /// Forwards half of the next reply, then sends nothing more on that connection. Forwards all other
    /// replies.
    HalfThenSilence,
}

impl Replies {
    /// Returns what to do with the next bytes. If this applies to one reply only, changes `self` to
    /// [`Self::Pass`].
    fn take(&mut self) -> Self {
        let now = *self;
        if !matches!(now, Self::After(_)) {
            *self = Self::Pass;
        }
        now
    }
}

impl Proxy {
    /// Starts a proxy in front of a port on loopback. It runs until the test process exits.
    pub fn before(redis: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let replies = Arc::new(Mutex::new(Replies::Pass));
        let shared = Arc::clone(&replies);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, redis)) else {
                    continue;
                };
                let (requests, answers) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                thread::spawn(move || pass(requests, far, || Replies::Pass));
                let shared = Arc::clone(&shared);
                thread::spawn(move || pass(answers, near, || shared.lock().unwrap().take()));
            }
        });
        Self { port, replies }
    }

    /// Changes what the proxy does with later replies.
    pub fn replies(&self, replies: Replies) {
        *self.replies.lock().unwrap() = replies;
    }
}

/// Copies bytes until either side closes its connection, then closes both.
fn pass(mut from: TcpStream, mut to: TcpStream, how: impl Fn() -> Replies) {
    let mut chunk = [0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        let how = how();
        if let Replies::After(delay) = how {
            thread::sleep(delay);
        }
        let passed = match how {
            Replies::Pass | Replies::After(_) => count,
            Replies::Cut => 0,
            Replies::HalfThenCut | Replies::HalfThenSilence => count / 2,
        };
        if to.write_all(&chunk[..passed]).is_err() {
            break;
        }
        match how {
            Replies::Pass | Replies::After(_) => {}
            Replies::Cut | Replies::HalfThenCut => break,
            Replies::HalfThenSilence => while let Ok(1..) = from.read(&mut chunk) {},
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
