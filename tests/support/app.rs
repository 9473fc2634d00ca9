//! Starts `sessiontut serve` on a free port.

use super::http::Visitor;
use super::program::{Finished, Home, Running};
use super::redis_server::RedisServer;

/// A running app. It is killed when dropped.
#[derive(Debug)]
pub struct App {
    /// The port that the app listens on.
    pub port: u16,
    pub running: Running,
    _home: Home,
}

impl App {
    /// Starts the app with this Redis URL and these additional arguments.
    #[track_caller]
    pub fn start(redis: &str, arguments: &[&str]) -> Self {
        Self::start_in(Home::new(), Some(redis), arguments, &[])
    }

    /// Starts the app at this stage.
    #[track_caller]
    pub fn at_stage(server: &RedisServer, stage: &str) -> Self {
        Self::start(&server.url(), &["--stage", stage])
    }

    /// Starts the app without `REDIS_URL`.
    #[track_caller]
    pub fn without_redis(arguments: &[&str]) -> Self {
        Self::start_in(Home::new(), None, arguments, &[])
    }

    /// Starts the app in `home`, with additional environment variables.
    #[track_caller]
    pub fn start_in(home: Home, redis: Option<&str>, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut program = home.sessiontut(["serve"]).args(arguments);
        if !arguments.contains(&"--listen") {
            program = program.args(["--listen", "127.0.0.1:0"]);
        }
        if let Some(redis) = redis {
            program = program.redis(redis);
        }
        for (name, value) in variables {
            program = program.env(name, value);
        }
        let mut running = program.start();
        let line = running.first_line();
        let port = line.split("http://127.0.0.1:").nth(1);
        let port: String = port
            .unwrap_or_default()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        let port = port
            .parse()
            .unwrap_or_else(|_| panic!("no address in {line:?}: {}", running.stderr()));
        Self {
            port,
            running,
            _home: home,
        }
    }

    /// Returns a visitor without cookies.
    pub fn visitor(&self) -> Visitor {
        Visitor::at(self.port)
    }

    /// Returns a visitor who has just logged in.
    #[track_caller]
    pub fn logged_in(&self, name: &str) -> Visitor {
        let mut visitor = self.visitor();
        visitor.log_in(name).expect(303);
        visitor
    }

    /// Stops the app with a signal, as Ctrl-C or a service manager does.
    #[track_caller]
    pub fn stop(self) -> Finished {
        self.running.terminate();
        self.running.finish()
    }
}
