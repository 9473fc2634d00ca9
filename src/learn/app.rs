//! Runs sessiontut commands for a lesson, with `serve` in the background. With `learn --yes`, a simulated
//! visitor logs in to the app and views its page.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use hyper::StatusCode;
use tokio::sync::oneshot;

use crate::check::driver::{AppAnswer, AppVisitor};
use crate::exit::Exit;

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

/// A simulated visitor to the app.
pub(crate) struct Visitor(AppVisitor);

impl Visitor {
    /// Logs in, and views the page [`VIEWS`] times, like a learner who follows the lessons. Fails if a response
    /// has an unexpected status.
    pub(crate) fn log_in(app: SocketAddr, name: &str) -> Result<Self, String> {
        let visitor = AppVisitor::at(app.port()).map_err(|error| error.to_string())?;
        let mut visitor = Self(visitor);
        visitor.expect(200, "GET /login", |app| app.get("/login"))?;
        visitor.expect(303, "POST /login", |app| {
            app.post_login(&[("username", name)], true)
        })?;
        for _ in 0..VIEWS {
            visitor.expect(200, "GET /", |app| app.get("/"))?;
        }
        Ok(visitor)
    }

    pub(crate) fn log_out(mut self) -> Result<(), String> {
        self.expect(303, "GET /logout", |app| app.get("/logout"))
    }

    fn expect(
        &mut self,
        status: u16,
        what: &str,
        send: impl FnOnce(&mut AppVisitor) -> Result<AppAnswer, String>,
    ) -> Result<(), String> {
        let answer = send(&mut self.0).map_err(|error| format!("{what}: {error}"))?;
        if answer.status == status {
            return Ok(());
        }
        let got = StatusCode::from_u16(answer.status).unwrap_or_default();
        Err(format!("{what}: {got} instead of {status}"))
    }
}
