//! What a learner does in a browser, done over HTTP when nobody is there: log in, and look at the page.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::deadline::Deadline;

/// Views of the page after the login: the one that it leads to, and two reloads.
const VIEWS: usize = 3;

/// An answer larger than this is not one of our pages.
const MOST_BYTES: u64 = 1024 * 1024;

/// Somebody who has logged in.
#[derive(Debug)]
pub(crate) struct Visit {
    app: SocketAddr,
    cookie: String,
}

impl Visit {
    /// Logs in as `name` at the app, and looks at its page as often as the lessons ask a learner to.
    ///
    /// # Errors
    /// What was asked for and what came back instead.
    pub(crate) fn log_in(app: SocketAddr, name: &str, deadline: Deadline) -> Result<Self, String> {
        let form = format!("username={name}");
        let login = format!(
            "POST /login HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            form.len()
        );
        ask(app, "GET /login HTTP/1.1\r\n", "", "200", deadline)?;
        let answer = ask(app, &login, &form, "303", deadline)?;
        let cookie = cookie(&answer).ok_or("POST /login set no cookie")?;
        let visit = Self { app, cookie };
        for _ in 0..VIEWS {
            visit.get("/", "200", deadline)?;
        }
        Ok(visit)
    }

    /// Ends the session, as the lessons ask a learner to.
    ///
    /// # Errors
    /// What came back instead.
    pub(crate) fn log_out(self, deadline: Deadline) -> Result<(), String> {
        self.get("/logout", "303", deadline)
    }

    fn get(&self, path: &str, status: &str, deadline: Deadline) -> Result<(), String> {
        let head = format!("GET {path} HTTP/1.1\r\nCookie: {}\r\n", self.cookie);
        ask(self.app, &head, "", status, deadline).map(|_| ())
    }
}

/// Sends one request and returns the answer, which must have this status.
fn ask(app: SocketAddr, head: &str, body: &str, status: &str, deadline: Deadline) -> Result<String, String> {
    let request = format!("{head}Host: {app}\r\nConnection: close\r\n\r\n{body}");
    let line = head.lines().next().unwrap_or_default();
    let answer = exchange(app, &request, deadline).map_err(|fault| format!("{line}: {fault}"))?;
    match answer.split(' ').nth(1) {
        Some(got) if got == status => Ok(answer),
        _ => Err(format!(
            "{line}: {} instead of {status}",
            answer.lines().next().unwrap_or("no answer")
        )),
    }
}

fn exchange(app: SocketAddr, request: &str, deadline: Deadline) -> io::Result<String> {
    // The kernel takes a zero time-out for none at all.
    let left = || deadline.left().max(std::time::Duration::from_millis(1));
    let mut stream = TcpStream::connect_timeout(&app, left())?;
    stream.set_write_timeout(Some(left()))?;
    stream.set_read_timeout(Some(left()))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MOST_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The name and value of the first cookie that an answer sets.
fn cookie(answer: &str) -> Option<String> {
    let head = answer.split("\r\n\r\n").next()?;
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("set-cookie")
            .then(|| value.split(';').next().unwrap_or_default().trim().to_owned())
    })
}
