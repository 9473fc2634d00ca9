//! All terminal input and output.
//!
//! Results go to standard output. Progress messages and notes go to standard error.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Once, OnceLock};

use dialoguer::console::Term;

use crate::error::Error;
use crate::exit::Exit;
use crate::redis_client::fault::RedisFault;
use crate::redis_url::UrlError;
use crate::sanitize;
use crate::secret::MASK;

pub(crate) mod check;
pub(crate) mod drill;
mod highlight;
pub(crate) mod learn;
pub mod markdown;
pub(crate) mod menu;
pub(crate) mod ping;
pub(crate) mod prompt;
pub(crate) mod serve;
pub(crate) mod waiting;
mod window;
mod writer;

/// The definition of the command line. The module `commands` sets this value, because `ui` must not depend on
/// `commands`.
static CLI: OnceLock<fn() -> clap::Command> = OnceLock::new();

/// Sets the definition of the command line, which contains the help.
pub(crate) fn set_cli(definition: fn() -> clap::Command) {
    let _ = CLI.set(definition);
}

fn cli() -> clap::Command {
    CLI.get()
        .map_or_else(clap::Command::default, |definition| definition())
}

/// Whether both standard input and standard output are a terminal.
pub(crate) fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Prints the error of a command to standard error. If the error is help that the user requested, prints the
/// help to standard output.
pub(crate) fn error(error: &Error) {
    match error {
        Error::CommandLine(answer) => command_line(answer),
        Error::Usage(message) => note(&format!("sessiontut: {message}")),
        Error::Url(error) => url(error),
        Error::Unreachable(found) => {
            ping::verdict(
                &found.target,
                &found.seen,
                &found.verdict,
                ping::Verbosity::VerdictOnly,
            );
        }
        Error::Interrupted => end_line_after_ctrl_c(),
        Error::Refused(fault) => fault_lines(fault).iter().for_each(|line| note(line)),
        Error::Other(error) => note(&format!("sessiontut: {error:#}")),
    }
}

/// Returns the cause, the evidence and the fixes of a fault, one per line.
fn fault_lines(fault: &RedisFault) -> Vec<String> {
    let cause = format!("sessiontut: {} ({})", fault.summary, fault.code);
    let evidence = fault.evidence.iter().map(|fact| format!("  {fact}"));
    let fixes = fault.fixes.iter().map(|fix| match &fix.command {
        Some(command) => format!("  {}: `{command}`", fix.text),
        None => format!("  {}", fix.text),
    });
    [cause].into_iter().chain(evidence).chain(fixes).collect()
}

fn url(error: &UrlError) {
    let code = crate::ping::judge_url(error)
        .finding
        .map_or("", |finding| finding.cause.code());
    let meant = error
        .suggestion
        .as_ref()
        .map(|url| format!("; probably meant: {url}"));
    let meant = meant
        .or_else(|| error.advice.as_ref().map(|advice| format!("; {advice}")))
        .unwrap_or_default();
    note(&format!("sessiontut: {code}: {}{meant}", error.message));
}

/// Prints one line of a command's result, such as an address, without wrapping. A closed pipe, as after
/// `head -1`, is not an error.
pub(crate) fn answer(line: &str) {
    answered(writer::out(line));
}

/// Prints a script, line by line.
pub(crate) fn script(text: &str) {
    text.lines().for_each(answer);
}

/// Prints a line of a command's result without masking secrets, because the user needs the password in the
/// line.
pub(crate) fn answer_with_secrets(line: &str) {
    answered(writer::out_with_secrets(line));
}

/// Records an error that occurred when the program wrote to standard output, unless the error is a closed
/// pipe.
fn answered(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        let _ = OUTPUT_ERROR.set(error);
    }
}

/// The error that occurred when the program wrote to standard output, for example because of a full disk.
static OUTPUT_ERROR: OnceLock<std::io::Error> = OnceLock::new();

/// If a write to standard output has failed, prints the error and returns a failure. Otherwise, returns
/// `exit`.
pub(crate) fn check_output(exit: Exit) -> Exit {
    match OUTPUT_ERROR.get() {
        None => exit,
        Some(error) => {
            note(&format!("sessiontut: cannot write to standard output: {error}"));
            exit.or_failure()
        }
    }
}

/// Prints a sentence of a command's result, wrapped between words.
pub(crate) fn told(text: &str) {
    told_behind("", text);
}

/// Prints a sentence after `lead`. The lead is a mark or a name, and may contain colours.
pub(crate) fn told_behind(lead: &str, text: &str) {
    let columns = window::columns(&Term::stdout());
    for line in window::fitted(lead, &sanitize::line(text), columns) {
        answer(&line);
    }
}

/// Prints a sentence to standard error, wrapped between words.
pub(crate) fn note(text: &str) {
    let lines = window::lines(&sanitize::line(text), window::columns(&Term::stderr()));
    whole_note(&lines.join("\n"));
}

/// Prints lines to standard error without wrapping them.
pub(crate) fn whole_note(lines: &str) {
    writer::err(lines);
}

/// Ends the line on which the terminal has printed `^C`, so that the next output starts on a new line. Has an
/// effect only once, because the program ends after Ctrl-C.
pub(crate) fn end_line_after_ctrl_c() {
    static ENDED: Once = Once::new();
    if std::io::stderr().is_terminal() {
        ENDED.call_once(|| writer::err(""));
    }
}

/// Returns the first paragraph of a usage error as one line, or an empty string for other errors.
pub(crate) fn usage_message(error: &Error) -> String {
    match error {
        Error::CommandLine(answer) => {
            let text = without_logins(&answer.render().to_string());
            let lines: Vec<_> = text
                .lines()
                .take_while(|line| !line.trim().is_empty())
                .map(str::trim)
                .collect();
            sanitize::line(lines.join(" ").trim_start_matches("error: ")).into_owned()
        }
        Error::Usage(message) => sanitize::line(message).into_owned(),
        _ => String::new(),
    }
}

/// Masks the logins in URLs, because clap's messages repeat unexpected arguments.
fn without_logins(text: &str) -> String {
    let mask = |word: &str| match (word.split_once("://"), word.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{MASK}@{place}"),
        _ => word.to_owned(),
    };
    text.split_inclusive(char::is_whitespace).map(mask).collect()
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
    for line in without_logins(&words).lines() {
        whole_note(&window::lines(line, columns).join("\n"));
    }
}

/// Prints a message and, on a terminal, asks whether to continue. Without a terminal, returns true.
pub(crate) fn agrees(words: &str) -> bool {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        note(&format!("sessiontut: {words}"));
        return true;
    }
    note(words);
    dialoguer::Confirm::new()
        .with_prompt("Continue?")
        .default(true)
        .interact()
        .unwrap_or(false)
}

/// Prints the completion script for a shell.
pub(crate) fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli(), "sessiontut", &mut script);
    let _ = std::io::stdout().write_all(&script);
    Exit::Ok
}

pub(crate) fn help(exit: Exit) -> Exit {
    let _ = write!(std::io::stdout(), "{}", help_text());
    exit
}

fn help_text() -> String {
    cli().render_long_help().to_string()
}
