//! A proxy before Redis that can be slow with the replies, lose one with its connection, or stop in the middle of it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens on loopback.
    pub port: u16,
    replies: Arc<Mutex<Replies>>,
}

/// What becomes of the bytes that come back.
#[derive(Clone, Copy, Debug)]
pub enum Replies {
    /// They pass.
    Pass,
    /// They pass after a while.
    After(Duration),
    /// The next is lost, with its connection; all others pass.
    Cut,
    /// Half of the next passes, then its connection ends; all others pass.
    HalfThenCut,
    /// Half of the next passes, and its connection stays and brings nothing more; all others pass.
    HalfThenSilence,
}

impl Replies {
    /// What becomes of the bytes that are here now.
    fn take(&mut self) -> Self {
        let now = *self;
        if !matches!(now, Self::After(_)) {
            *self = Self::Pass;
        }
        now
    }
}

impl Proxy {
    /// In front of a port of loopback. It ends with the process: a test that fails leaves nothing that another could meet.
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

    /// From now on.
    pub fn replies(&self, replies: Replies) {
        *self.replies.lock().unwrap() = replies;
    }
}

/// Copies bytes until either end is closed, then closes both.
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
