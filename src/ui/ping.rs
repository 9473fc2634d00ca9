//! How `ping` looks on a terminal and elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use colored::Colorize as _;
use indicatif::{ProgressBar, ProgressStyle};

use crate::deadline::Deadline;
use crate::ping::observation::Observations;
use crate::ping::report::steps::{self, Status, Step};
use crate::ping::report::text;
use crate::ping::verdict::Verdict;
use crate::ping::{Event, Rung};
use crate::target::Target;

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);

/// Shows a climb as it happens: a line a rung, and a spinner with what is waited for.
#[derive(Debug)]
pub struct Climbing<'a> {
    target: &'a Target,
    spinner: Option<ProgressBar>,
    lines: Lines,
}

/// Whether the rungs are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// A line a rung.
    Shown,
    /// The verdict alone.
    Hidden,
}

impl<'a> Climbing<'a> {
    /// Nothing is shown yet.
    #[must_use]
    pub fn new(target: &'a Target, lines: Lines) -> Self {
        Self {
            target,
            spinner: None,
            lines,
        }
    }

    /// Shows one event of the climb.
    pub fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Hint(words) if self.lines == Lines::Shown => {
                print(&decorated(&steps::hint(words)));
            }
            Event::Hint(_) => {}
            Event::Reached(rung, deadline) => self.wait(*rung, *deadline),
            Event::Left(rung, seen) => {
                self.clear();
                if self.lines == Lines::Shown {
                    print(&decorated(&steps::observed(*rung, self.target, seen)));
                }
            }
        }
    }

    fn wait(&mut self, rung: Rung, deadline: Deadline) {
        self.clear();
        if !std::io::stderr().is_terminal() {
            return;
        }
        let waiting = match rung {
            Rung::Url => "reading the URL",
            Rung::Dns => "looking the name up",
            Rung::Tcp => "connecting",
            Rung::Tls => "shaking hands (TLS)",
            Rung::Auth => "logging in",
            Rung::Ping => "waiting for PONG",
            Rung::Role => "asking what it is",
        };
        // A fixed number of turns counts the time down: nothing else needs to run beside the climb.
        let spinner = ProgressBar::new(deadline.span().as_secs()).with_style(style());
        spinner.set_message(format!(
            "{waiting}, at most {:.0} s more",
            deadline.left().as_secs_f64().ceil()
        ));
        spinner.enable_steady_tick(TURN);
        self.spinner = Some(spinner);
    }

    fn clear(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
    }
}

impl Drop for Climbing<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

fn style() -> ProgressStyle {
    // The template is a constant of ours; should it ever be wrong, the default one serves.
    ProgressStyle::with_template("     {spinner} {msg} ({elapsed})")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// The verdict, behind the rungs.
pub fn verdict(target: &Target, seen: &Observations, verdict: &Verdict, lines: Lines) {
    let headline = text::headline(target, seen, verdict);
    print(&if verdict.finding.is_none() {
        headline.green().to_string()
    } else {
        headline.red().bold().to_string()
    });
    if lines == Lines::Shown || verdict.finding.is_some() {
        for line in text::details(verdict) {
            print(&line);
        }
    }
}

/// The verdict on a URL that cannot be used.
pub fn url_verdict(verdict: &Verdict) {
    if let Some(finding) = &verdict.finding {
        print(
            &format!("{}: {}", finding.code.as_str(), finding.summary)
                .red()
                .bold()
                .to_string(),
        );
    }
    for line in text::details(verdict) {
        print(&line);
    }
}

/// One JSON object on a line of its own, wherever it goes: a stream of them is read line by line.
///
/// # Errors
/// When the reader of standard output has gone away.
pub fn json_line(report: &serde_json::Value) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{report}")
}

/// One JSON object on a line of its own, or spread out where a person reads it.
pub fn json(report: &serde_json::Value) {
    let text = if std::io::stdout().is_terminal() {
        serde_json::to_string_pretty(report)
    } else {
        serde_json::to_string(report)
    };
    print(&text.unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}")));
}

fn decorated(step: &Step) -> String {
    let line = text::rung(step);
    match step.status {
        Status::Ok => line,
        Status::Warn => line.yellow().to_string(),
        Status::Fail => line.red().to_string(),
        Status::Skipped => line.dimmed().to_string(),
    }
}

/// A reader that has gone away (`| head -1`) is no fault of ours.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
