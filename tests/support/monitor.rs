//! Records the commands that a Redis server receives during a test, with `MONITOR`.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;

use super::redis_server::RedisServer;
use super::wait;

/// Records all commands that a server receives over TCP until this value is dropped.
#[derive(Debug)]
pub struct Monitor {
    lines: Arc<Mutex<Vec<String>>>,
    socket: UnixStream,
}

impl Monitor {
    pub(super) fn start(server: &RedisServer) -> Self {
        let mut socket = UnixStream::connect(server.socket()).unwrap();
        socket
            .write_all(b"AUTH operator operator-password\r\nMONITOR\r\n")
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let reader = BufReader::new(socket.try_clone().unwrap());
        let heard = Arc::clone(&lines);
        thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                heard.lock().unwrap().push(line);
            }
        });
        let monitor = Self { lines, socket };
        // The second +OK is the reply to MONITOR.
        wait::wait_for("MONITOR to start", || {
            (monitor.lines.lock().unwrap().len() >= 2).then_some(())
        });
        monitor
    }

    /// Returns the commands that have been recorded so far, in order and each as a list of words. Commands
    /// that the tests have sent over the unix socket are left out.
    pub fn commands(&self, server: &RedisServer) -> Vec<Vec<String>> {
        // Send a marker command. When it has been recorded, all earlier commands have been recorded as well.
        let mark = format!("mark-{}", self.lines.lock().unwrap().len());
        server.ask(&["ECHO", &mark]);
        wait::wait_for("MONITOR to catch up", || {
            self.lines
                .lock()
                .unwrap()
                .iter()
                .any(|line| line.contains(&mark))
                .then_some(())
        });
        let lines = self.lines.lock().unwrap();
        lines
            .iter()
            .filter(|line| !line.contains(" unix:"))
            .filter_map(|line| words(line))
            .collect()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // Closing the connection ends the thread that reads from it.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

/// Returns the words of a line such as `+1700000000.1 [0 127.0.0.1:4242] "HINCRBY" "key" "visits" "1"`.
/// Returns `None` if the line has another form.
fn words(line: &str) -> Option<Vec<String>> {
    let (_, quoted) = line.split_once("] \"")?;
    let quoted = quoted.strip_suffix('"')?;
    Some(quoted.split("\" \"").map(str::to_owned).collect())
}
