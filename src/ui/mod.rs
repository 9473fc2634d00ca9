//! The only place that prints, colours, prompts and draws.
//!
//! Standard output is the answer; standard error is progress and notes.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use clap::CommandFactory as _;
use dialoguer::console::Term;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::Cli;
use crate::commands::Error;
use crate::exit::Exit;
use crate::redis_url::UrlError;
use crate::sanitize;

pub(crate) mod drill;
mod echo;
mod highlight;
pub(crate) mod learn;
pub mod markdown;
pub(crate) mod menu;
pub(crate) mod ping;
pub(crate) mod practice;
pub(crate) mod prompt;
pub(crate) mod serve;
pub(crate) mod waiting;
pub(crate) mod watch;
mod window;

/// Prints a command's error: help that was asked for goes to standard output, everything else to standard error.
pub(crate) fn error(error: &Error) {
    match error {
        Error::CommandLine(answer) => command_line(answer),
        Error::Usage(message) => note(&format!("sessiontut: {message}")),
        Error::Url(fault) => url(fault),
        Error::Unreachable(found) => {
            ping::verdict(
                &found.target,
                &found.seen,
                &found.verdict,
                ping::Verbosity::VerdictOnly,
            );
        }
        Error::Interrupted => {}
        Error::Other(error) => note(&format!("sessiontut: {error:#}")),
    }
}

fn url(error: &UrlError) {
    let code = crate::ping::judge_url(error)
        .finding
        .map_or("", |finding| finding.cause.code());
    let meant = error
        .suggestion
        .as_ref()
        .map_or_else(String::new, |url| format!("; probably meant: {url}"));
    note(&format!("sessiontut: {code}: {}{meant}", error.message));
}

/// Prints one line of the answer, whole: an address, or what is to be pasted. A reader that has gone away
/// (`| head -1`) is no fault of ours.
pub(crate) fn answer(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a sentence of the answer: no word is cut in two at the edge of a window.
pub(crate) fn told(text: &str) {
    told_behind("", text);
}

/// The same, behind a mark or a name, whose colours are our own.
pub(crate) fn told_behind(lead: &str, text: &str) {
    let columns = window::columns(&Term::stdout());
    for line in window::fitted(lead, &sanitize::line(text), columns) {
        answer(&line);
    }
}

/// Prints a sentence beside the answer, on standard error: no word is cut in two at the edge of a window.
pub(crate) fn note(text: &str) {
    for line in window::lines(&sanitize::line(text), window::columns(&Term::stderr())) {
        whole_note(&line);
    }
}

/// Prints lines beside the answer as they are: what went over the wire, which can be pasted.
pub(crate) fn whole_note(lines: &str) {
    let _ = writeln!(std::io::stderr(), "{lines}");
}

fn command_line(answer: &clap::Error) {
    if !answer.use_stderr() {
        // Clap wraps its help itself.
        let _ = answer.print();
        return;
    }
    let columns = window::columns(&Term::stderr());
    let words = answer.render();
    let words = if dialoguer::console::colors_enabled_stderr() && columns.is_some() {
        words.ansi().to_string()
    } else {
        words.to_string()
    };
    for line in words.lines() {
        whole_note(&window::lines(line, columns).join("\n"));
    }
}

/// What is counted down, and a bar as long as the window allows.
fn bar_style(behind: &str) -> ProgressStyle {
    let bar = window::width(&Term::stderr())
        .saturating_sub(LONGEST_COUNT)
        .min(LONGEST_BAR);
    // The template is a text of ours; should it ever be wrong, the default one serves.
    ProgressStyle::with_template(&format!("{{msg}} {{bar:{bar}}}{behind}"))
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Columns of the longest words beside a bar.
const LONGEST_COUNT: usize = 38;
/// Columns of a bar.
const LONGEST_BAR: usize = 30;

/// A countdown: a bar on a terminal, a line a second elsewhere.
#[derive(Debug)]
pub(crate) struct Countdown {
    what: &'static str,
    bar: Option<ProgressBar>,
}

impl Countdown {
    /// Begins at `span`.
    #[must_use]
    pub(crate) fn new(what: &'static str, span: Duration) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(millis(span));
            bar.set_style(bar_style(""));
            bar
        });
        Self { what, bar }
    }

    /// Shows what is left.
    pub(crate) fn show(&mut self, left: Duration) {
        let words = format!("{} for {:.1} s more", self.what, left.as_secs_f64());
        match &self.bar {
            Some(bar) => {
                bar.set_message(words);
                bar.set_position(millis(left));
            }
            None => note(&words),
        }
    }
}

impl Drop for Countdown {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Says something and, on a terminal, asks whether to go on; elsewhere the line alone is enough.
#[must_use]
pub(crate) fn agrees(words: &str) -> bool {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        note(&format!("sessiontut: {words}"));
        return true;
    }
    note(words);
    dialoguer::Confirm::new()
        .with_prompt("Go on?")
        .default(true)
        .interact()
        .unwrap_or(false)
}

/// Prints the completions for a shell.
#[must_use]
pub(crate) fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sessiontut", &mut script);
    let _ = std::io::stdout().write_all(&script);
    Exit::Ok
}

/// Prints the help.
#[must_use]
pub(crate) fn help(exit: Exit) -> Exit {
    let help = Cli::command().render_long_help();
    let _ = write!(std::io::stdout(), "{help}");
    exit
}
