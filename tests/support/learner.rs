//! Takes a lesson in a real terminal, as a learner does.

use super::lessons::{COUNT, Lessons};
use super::program::Home;
use super::redis_server::RedisServer;
use super::terminal::Terminal;

/// Parts of texts that tests expect on the screen. The full wording is in `tests/golden/learn/`.
pub mod shown {
    pub const CORRECT: &str = "✓ correct";
    pub const SOLUTION: &str = "Solution:";
    pub const SOLUTION_OFFERED: &str = "to see the solution";
    pub const RESTORED: &str = "the lesson has undone your changes";
    pub const ONLY_FIRST_LINE: &str = "only the first pasted line";
    pub const NOT_YET: &str = "✗ not correct yet";
    pub const UNAVAILABLE: &str = "✗ Redis:";
    pub const WAITING_FOR_REDIS: &str = "waiting for redis://127.0.0.1:";
    pub const OTHER_KEYS: &str = "this Redis already contains";
    pub const NAME_IN_USE: &str = "another learner uses the name";
    pub const NAME_RULE: &str = "a name has at most";
    pub const TTL_OF_ADA: &str = "sessiontut:user:ada: TTL";
    pub const ALL_KEYS: &str = "Ctrl-C quits at once";
    pub const NOT_AN_ANSWER: &str = "type the number of an answer";
    pub const ONLY_TASKS: &str = "only the tasks of this lesson";
    pub const ALL_TEXT: &str = "all text of this lesson again";
    pub const TEXT_IGNORED: &str = "ignored: type or paste shell commands";
    pub const COMMAND_IGNORED: &str = "not sent: here, Enter runs";
    pub const ENTER_IGNORED: &str = "the ignored text ends here";
    pub const STAYS: &str = "you stay in the lesson";
    pub const SKIPPED: &str = "skipped";
    pub const NOT_CHECKED: &str = "not checked";
    pub const APP_MOVED: &str = "is in use, so this app listens on port";
    pub const APP_MISSING: &str = "the app of this lesson is not running";
    pub const LEAVE: &str = "leave the lesson?";
    pub const EXPECTED: &str = "expected:";
    pub const CONTINUES: &str = "continues where you left off";
    pub const NOT_SAVED: &str = "progress will not be saved";
    pub const NOT_REMOVED: &str = "could not be removed";
    pub const START_COMMAND: &str = "How do you start your app";
}

/// A learner with a separate home folder, lessons and Redis server.
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

    /// Starts the lesson from a shell, so that a test can check the terminal's state afterwards.
    pub fn sits_down_with(&self, columns: u16, rows: u16, variables: &[(&str, &str)]) -> Terminal {
        let (url, lessons) = (self.server.url(), self.lessons.path());
        let mut all = vec![("REDIS_URL", url.as_str()), ("LESSONS", lessons.as_str())];
        all.extend(variables);
        let terminal = Terminal::shell(&self.home, columns, rows, &all);
        terminal.line("clear; sessiontut learn --lessons $LESSONS");
        terminal
    }

    /// Starts the lesson, and advances to the task of its second step.
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

/// Checks that the lesson ended with this exit status and that the terminal was restored.
#[track_caller]
pub fn left(terminal: &Terminal, status: i32) {
    terminal.wait_until("how to continue", |screen| {
        screen.replace('\n', " ").contains(shown::CONTINUES)
    });
    terminal.line("echo status=$?");
    terminal.wait_for(&format!("status={status}"));
    assert!(terminal.is_sane());
}

/// Checks the same as [`left`], and that no key remains in Redis.
#[track_caller]
pub fn left_sanely(terminal: &Terminal, learner: &Learner, status: i32) {
    left(terminal, status);
    assert!(learner.server.keys().is_empty(), "{:?}", learner.server.keys());
}

const NEXT: &str =
    "# What comes next\n\n## Code\n\n```python\nprint(1)\n```\n\n```javascript\nconsole.log(1);\n```\n";
