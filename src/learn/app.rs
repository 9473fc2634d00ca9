//! Runs sessiontut commands for a lesson, with `serve` in the background. With `learn --yes`, a simulated
//! visitor logs in to the app and views its page.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::signals;

/// Runs a command line, given without the leading `sessiontut`, in this process. For `serve`, returns the
/// running app.
pub(crate) type RunCommand<'a> = dyn FnMut(&[String]) -> Result<Option<RunningApp>, CommandFailure> + 'a;

#[derive(Debug)]
pub(crate) struct CommandFailure {
    /// The message for the learner: usually the command and its error or exit status.
    pub what: String,
    pub interrupted: bool,
    /// The lesson section about the first failed check, as `lesson#step`, or `None` if no check failed.
    pub lesson: Option<&'static str>,
}

/// An app that runs in a thread of this process.
#[derive(Debug)]
pub(crate) struct RunningApp {
    pub address: SocketAddr,
    /// The address in the lesson's command, such as `127.0.0.1:5000`. The app uses a different port if this
    /// port is in use.
    pub in_lesson: String,
    pub shut_down: oneshot::Sender<()>,
    pub thread: JoinHandle<Exit>,
}

impl RunningApp {
    /// Whether the app's port differs from the port in the lesson.
    pub(crate) fn has_moved(&self) -> bool {
        let port = self.port_in_lesson().parse();
        port.is_ok_and(|port: u16| port != 0 && port != self.address.port())
    }

    /// Replaces the lesson's address in a text with the app's actual address, even in an `ssh -L` option.
    pub(crate) fn with_address(&self, text: &str) -> String {
        if !self.has_moved() {
            return text.to_owned();
        }
        let (address, port) = (self.address, self.address.port());
        let forwarded = format!("{}:{}", self.port_in_lesson(), self.in_lesson);
        text.replace(&forwarded, &format!("{port}:{address}"))
            .replace(&self.in_lesson, &address.to_string())
    }

    pub(crate) fn port_in_lesson(&self) -> &str {
        self.in_lesson.rsplit_once(':').map_or("", |(_, port)| port)
    }

    pub(crate) fn stop(self) {
        // These calls fail only if Ctrl-C has already stopped the app.
        let _ = self.shut_down.send(());
        let _ = self.thread.join();
    }
}

/// The number of times that the simulated visitor views the page: once after the login, and then with two
/// reloads.
const VIEWS: usize = 3;
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Visitor {
    runtime: Runtime,
    app: SocketAddr,
    cookie: String,
}

impl Visitor {
    /// Logs in, and views the page [`VIEWS`] times, like a learner who follows the lessons.
    ///
    /// # Errors
    /// Returns the failed request and the unexpected response.
    pub(crate) fn log_in(app: SocketAddr, name: &str) -> anyhow::Result<Self> {
        let runtime = signals::runtime()?;
        let cookie = String::new();
        let mut visitor = Self { runtime, app, cookie };
        visitor.request(Method::GET, "/login", "", 200)?;
        visitor.request(Method::POST, "/login", &format!("username={name}"), 303)?;
        for _ in 0..VIEWS {
            visitor.request(Method::GET, "/", "", 200)?;
        }
        Ok(visitor)
    }

    pub(crate) fn log_out(mut self) -> anyhow::Result<()> {
        self.request(Method::GET, "/logout", "", 303)
    }

    /// Sends one request. Fails if the response has a different status than `status`.
    fn request(&mut self, method: Method, path: &str, form: &str, status: u16) -> anyhow::Result<()> {
        let what = format!("{method} {path}");
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.app.to_string())
            .header(COOKIE, &self.cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.to_owned())?;
        let sent = async { Deadline::after(TIMEOUT).bound(send(self.app, request)).await? };
        let response = self.runtime.block_on(sent).with_context(|| what.clone())?;
        let got = response.status();
        ensure!(got == status, "{what}: {got} instead of {status}");
        if let Some(cookie) = response.headers().get(SET_COOKIE) {
            let cookie = cookie.to_str()?.split(';').next();
            cookie.unwrap_or_default().clone_into(&mut self.cookie);
        }
        Ok(())
    }
}

async fn send(app: SocketAddr, request: Request<String>) -> anyhow::Result<Response<Incoming>> {
    let stream = TcpStream::connect(app).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await;
    driver.abort();
    Ok(response?)
}
