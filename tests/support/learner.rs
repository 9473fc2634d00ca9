//! A learner who goes through a lesson in a real terminal.

use super::lessons::{COUNT, Lessons};
use super::program::Home;
use super::redis_server::RedisServer;
use super::terminal::Terminal;

/// A learner in front of a terminal, with a Redis of their own.
pub struct Learner {
    pub home: Home,
    pub lessons: Lessons,
    pub server: RedisServer,
}

impl Learner {
    pub fn new() -> Self {
        Self {
            home: Home::new(),
            lessons: Lessons::of(&[("03-count-visits.md", COUNT), ("04-next.md", NEXT)]),
            server: RedisServer::start(),
        }
    }

    pub fn sits_down(&self) -> Terminal {
        self.sits_down_at(80, 24)
    }

    pub fn sits_down_at(&self, columns: u16, rows: u16) -> Terminal {
        self.sits_down_with(columns, rows, &[])
    }

    /// From a shell, which sees afterwards what became of the terminal.
    pub fn sits_down_with(&self, columns: u16, rows: u16, variables: &[(&str, &str)]) -> Terminal {
        let (url, lessons) = (self.server.url(), self.lessons.path());
        let mut all = vec![("REDIS_URL", url.as_str()), ("LESSONS", lessons.as_str())];
        all.extend(variables);
        let terminal = Terminal::shell(&self.home, columns, rows, &all);
        terminal.line("clear; sessiontut learn --lessons $LESSONS");
        terminal
    }

    /// At the task of the second step.
    pub fn at_the_task(&self) -> Terminal {
        let terminal = self.sits_down();
        terminal.wait_for("Enter run");
        terminal.keys(&["Enter"]);
        terminal.wait_for("Enter next");
        terminal.keys(&["Enter"]);
        terminal.wait_for("redis>");
        terminal
    }
}

/// The lesson has been left with this exit status, and the terminal is as it was.
#[track_caller]
pub fn left(terminal: &Terminal, status: i32) {
    terminal.wait_until("how to come back", |screen| {
        screen.replace('\n', " ").contains("goes on where you left")
    });
    terminal.line("echo status=$?");
    terminal.wait_for(&format!("status={status}"));
    assert!(terminal.is_sane());
}

/// The same, and no key has stayed.
#[track_caller]
pub fn left_sanely(terminal: &Terminal, learner: &Learner, status: i32) {
    left(terminal, status);
    assert!(learner.server.keys().is_empty(), "{:?}", learner.server.keys());
}

const NEXT: &str =
    "# What comes next\n\n## Code\n\n```python\nprint(1)\n```\n\n```javascript\nconsole.log(1);\n```\n";
