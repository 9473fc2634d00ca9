//! The only place that prints, colours, prompts and draws.
//!
//! Standard output is the answer; standard error is progress and notes.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::exit::Exit;
use crate::sanitize;

pub mod drill;
mod highlight;
pub mod learn;
pub mod markdown;
pub mod menu;
pub mod ping;
pub mod practice;
pub mod prompt;
pub mod serve;
pub mod waiting;
pub mod watch;

/// Prints a fault and its causes on standard error, in one line.
pub fn error(fault: &anyhow::Error) {
    eprintln!("sessiontut: {}", sanitize::line(&format!("{fault:#}")));
}

/// Prints one line of the answer. A reader that has gone away (`| head -1`) is no fault of ours.
pub fn answer(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a sentence to somebody in front of a terminal: no word is cut in two at its edge.
pub fn told(text: &str) {
    for line in markdown::wrapped(text, learn::width()) {
        answer(&line);
    }
}

/// Prints one line beside the answer, on standard error.
pub fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Says what is wrong with the command line, in one line.
pub fn usage(words: &str) {
    note(&format!("sessiontut: {}", sanitize::line(words)));
}

/// Waits for `span`: a bar on a terminal, nothing elsewhere.
pub async fn countdown(what: &str, span: Duration) {
    let bar = ProgressBar::new(span.as_secs());
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
    }
    // The template is a constant of ours; should it ever be wrong, the default one serves.
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} s") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    for second in 0..=span.as_secs() {
        bar.set_position(second);
        let left = span.saturating_sub(Duration::from_secs(second));
        tokio::time::sleep(left.min(Duration::from_secs(1))).await;
    }
    bar.finish_and_clear();
}

/// A countdown: a bar on a terminal, a line a second elsewhere.
#[derive(Debug)]
pub struct Countdown {
    what: &'static str,
    bar: Option<ProgressBar>,
}

impl Countdown {
    /// Begins at `span`.
    #[must_use]
    pub fn new(what: &'static str, span: Duration) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(millis(span));
            // The template is a constant of ours; should it ever be wrong, the default one serves.
            if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30}") {
                bar.set_style(style);
            }
            bar
        });
        Self { what, bar }
    }

    /// Shows what is left.
    pub fn show(&mut self, left: Duration) {
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
pub fn agrees(words: &str) -> bool {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        note(&format!("sessiontut: {words}"));
        return true;
    }
    let prompt = format!("{words}. Go on?");
    dialoguer::Confirm::new()
        .with_prompt(prompt)
        .default(true)
        .interact()
        .unwrap_or(false)
}

/// Prints the completions for a shell.
#[must_use]
pub fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sessiontut", &mut script);
    let _ = std::io::stdout().write_all(&script);
    Exit::Ok
}

/// Prints the help.
#[must_use]
pub fn help(exit: Exit) -> Exit {
    let help = Cli::command().render_long_help();
    let _ = write!(std::io::stdout(), "{help}");
    exit
}
