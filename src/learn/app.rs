//! Commands of this program that a lesson runs: `serve` runs in the background, and the robot visits its page.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::deadline::Deadline;
use crate::exit::Exit;

/// Runs one command line, without the leading `sessiontut`, in this process. Returns the app if it is `serve`.
pub(crate) type RunCommand<'a> = dyn FnMut(&[String]) -> Result<Option<RunningApp>, CommandFailure> + 'a;

#[derive(Debug)]
pub(crate) struct CommandFailure {
    /// The command and how it ended.
    pub what: String,
    /// Ctrl-C ended it.
    pub interrupted: bool,
}

/// The app, served by a thread of this process.
#[derive(Debug)]
pub(crate) struct RunningApp {
    pub address: SocketAddr,
    pub shut_down: oneshot::Sender<()>,
    pub thread: JoinHandle<Exit>,
}

impl RunningApp {
    pub(crate) fn stop(self) {
        // Both fail only if Ctrl-C has already stopped it.
        let _ = self.shut_down.send(());
        let _ = self.thread.join();
    }
}

/// Page views after the login: the one that the login redirects to, and two reloads.
const VIEWS: usize = 3;
const TIMEOUT: Duration = Duration::from_secs(10);
/// Limit for a response; the pages are much smaller.
const MOST_BYTES: u64 = 1024 * 1024;

/// A visitor who has logged in to the app.
#[derive(Debug)]
pub(crate) struct Visitor {
    app: SocketAddr,
    cookie: String,
}

impl Visitor {
    /// Logs in and views the page as often as the lessons ask a learner to.
    ///
    /// # Errors
    /// Returns a message with the request and the unexpected reply.
    pub(crate) fn log_in(app: SocketAddr, name: &str) -> Result<Self, String> {
        let form = format!("username={name}");
        let headers = format!(
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            form.len()
        );
        request(app, "GET /login", "", "", "200")?;
        let response = request(app, "POST /login", &headers, &form, "303")?;
        let cookie = cookie_of(&response).ok_or("POST /login set no cookie")?;
        let visitor = Self { app, cookie };
        for _ in 0..VIEWS {
            visitor.get("GET /", "200")?;
        }
        Ok(visitor)
    }

    pub(crate) fn log_out(self) -> Result<(), String> {
        self.get("GET /logout", "303")
    }

    fn get(&self, line: &str, status: &str) -> Result<(), String> {
        let headers = format!("Cookie: {}\r\n", self.cookie);
        request(self.app, line, &headers, "", status).map(|_| ())
    }
}

/// Sends one request and returns the response, which must have this status.
fn request(app: SocketAddr, line: &str, headers: &str, body: &str, status: &str) -> Result<String, String> {
    let text = format!("{line} HTTP/1.1\r\nHost: {app}\r\nConnection: close\r\n{headers}\r\n{body}");
    let response = exchange(app, &text).map_err(|error| format!("{line}: {error}"))?;
    match response.split(' ').nth(1) {
        Some(got) if got == status => Ok(response),
        _ => {
            let got = response.lines().next().unwrap_or("no response");
            Err(format!("{line}: {got} instead of {status}"))
        }
    }
}

fn exchange(app: SocketAddr, request: &str) -> io::Result<String> {
    let deadline = Deadline::after(TIMEOUT);
    let mut stream = TcpStream::connect_timeout(&app, TIMEOUT)?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // `set_read_timeout` refuses a timeout of zero.
    stream.set_read_timeout(Some(deadline.left().max(Duration::from_millis(1))))?;
    stream.write_all(request.as_bytes())?;
    let mut response = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut response)?;
    Ok(String::from_utf8_lossy(&response).into_owned())
}

/// Name and value of the first cookie that a response sets.
fn cookie_of(response: &str) -> Option<String> {
    let head = response.split("\r\n\r\n").next()?;
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_cookie = name.eq_ignore_ascii_case("set-cookie");
        is_cookie.then(|| value.split(';').next().unwrap_or_default().trim().to_owned())
    })
}
