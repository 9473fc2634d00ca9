//! Decides which sessiontut commands a lesson from `--lessons` may run. Only some commands are allowed,
//! because the author of the lesson may be unknown, and `--yes` runs commands without confirmation.

use std::net::SocketAddr;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use crate::commands::cli::{Cli, Command};
use crate::commands::ping::PingArgs;
use crate::commands::serve::ServeArgs;
use crate::commands::session::ExpireArgs;

/// The allowed commands, each with its allowed options. An allowed option neither writes a file nor names a
/// different Redis or host. Options that are not listed here are forbidden.
const ALLOWED: &[(&str, &str)] = &[
    (
        "ping",
        "json timeout write_check v4 v6 quiet count interval wait hold idle codes",
    ),
    ("login", "name quiet show_token"),
    ("visits", "times quiet show_token"),
    ("expire", "ttl quiet show_token"),
    ("session", "quiet show_token"),
    ("logout", "quiet show_token"),
    ("serve", "stage listen ttl max_age secure_cookies cookie_name log"),
];

/// The maximum duration of a command in a lesson, which is also the time limit of all lessons with `--yes`.
const LONGEST: Duration = super::UNATTENDED_WITHIN;

/// The maximum TTL in seconds of sessions that `serve` creates in a lesson.
const LONGEST_TTL: u32 = 86_400;

/// Checks whether a lesson may run a command line, given without the leading `sessiontut`.
pub(super) fn check(words: &[String]) -> Result<(), String> {
    let argv = std::iter::once("sessiontut").chain(words.iter().map(String::as_str));
    let line = words.join(" ");
    let invalid = |error: clap::Error| match error.use_stderr() {
        true => format!("`sessiontut {line}` is not valid: {}", error.kind()),
        false => format!("a lesson cannot run `sessiontut {line}`"),
    };
    let matches = Cli::command().try_get_matches_from(argv).map_err(&invalid)?;
    let Some((name, given)) = matches.subcommand() else {
        return Err("name a command after `sessiontut`".into());
    };
    let Some((_, options)) = ALLOWED.iter().find(|(command, _)| *command == name) else {
        let allowed: Vec<&str> = ALLOWED.iter().map(|(command, _)| *command).collect();
        return Err(format!(
            "a lesson cannot run `{name}`; allowed: {}",
            allowed.join(", ")
        ));
    };
    if let Some(option) = forbidden(name, given, options) {
        return Err(format!("a lesson cannot run `{name}` with {option}"));
    }
    match Cli::from_arg_matches(&matches).map_err(&invalid)?.command {
        Some(Command::Ping(args)) => check_time(ping_time(&args)),
        Some(Command::Expire(ExpireArgs { ttl, .. })) => check_time(Duration::from_secs(ttl.into())),
        Some(Command::Serve(args)) => check_serve(&args),
        _ => Ok(()),
    }
}

/// Returns the first given option that is not in `options`, or `None` if all are.
fn forbidden(name: &str, given: &ArgMatches, options: &str) -> Option<String> {
    let cli = Cli::command();
    let mut arguments = cli.find_subcommand(name)?.get_arguments();
    let argument = arguments.find(|argument| {
        let id = argument.get_id().as_str();
        let is_given = matches!(given.try_contains_id(id), Ok(true))
            && given.value_source(id) == Some(ValueSource::CommandLine);
        is_given && !options.split(' ').any(|option| option == id)
    })?;
    Some(match argument.get_long() {
        Some(long) => format!("--{long}"),
        None => argument.get_value_names().map_or_else(
            || argument.get_id().to_string(),
            |names| format!("a {}", names.join(" ")),
        ),
    })
}

fn ping_time(args: &PingArgs) -> Duration {
    let spans = [Some(args.timeout), args.wait, args.hold, args.idle];
    let pings = args.interval.saturating_mul(args.count.unwrap_or_default());
    spans.into_iter().flatten().fold(pings, Duration::saturating_add)
}

fn check_time(span: Duration) -> Result<(), String> {
    if span <= LONGEST {
        return Ok(());
    }
    Err(format!(
        "this command takes {:.0} s, but `learn --yes` must finish all lessons within {} s",
        span.as_secs_f64(),
        LONGEST.as_secs()
    ))
}

fn check_serve(args: &ServeArgs) -> Result<(), String> {
    let is_loopback = match args.listen.parse::<SocketAddr>() {
        Ok(address) => address.ip().is_loopback(),
        // Any name other than localhost might resolve to a different address later.
        Err(_) => args.listen.starts_with("localhost:"),
    };
    if !is_loopback {
        let listen = &args.listen;
        return Err(format!(
            "`--listen {listen}`: in a lesson, `serve` listens on loopback only (127.0.0.1)"
        ));
    }
    if args.ttl > LONGEST_TTL || args.max_age > Duration::from_secs(LONGEST_TTL.into()) {
        return Err(format!("in a lesson, a session may last {LONGEST_TTL} s at most"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(line: &str) -> Result<(), String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        check(&words)
    }

    #[test]
    fn harmless_commands_may_run() {
        for line in [
            "ping",
            "ping --json --timeout 2",
            "ping --write-check --count 3 -4",
            "ping --hold 100",
            "ping --idle 60",
            "login ada",
            "visits --times 3",
            "expire --ttl 5",
            "session --show-token",
            "logout -q",
            "serve --step 2",
            "serve --stage 2",
            "serve --listen 127.0.0.1:0 --ttl 60",
            "serve --listen localhost:5000",
            "serve --listen [::1]:0",
        ] {
            assert_eq!(judged(line), Ok(()), "{line}");
        }
    }

    const FORBIDDEN: &[&str] = &[
        "ping redis://127.0.0.1:1",
        "ping --redis redis://127.0.0.1:1",
        "ping --redis=redis://127.0.0.1:1",
        "ping --report /tmp/x",
        "ping --report=/tmp/x",
        "ping --save-ca /tmp/x",
        "ping --watch",
        "ping --ca /tmp/x",
        "ping --tls-name x",
        "ping --insecure",
        "ping --insecure --insecure-auth",
        "ping --hold 86400",
        "ping --idle 200",
        "ping --wait 181",
        "ping --timeout 86400",
        "ping --count 100 --interval 3",
        "login ada --redis redis://127.0.0.1:1",
        "logout --redis unix:///tmp/x",
        "visits --cert /tmp/x --key /tmp/y",
        "expire --ttl 3600",
        "serve --listen 0.0.0.0:5000",
        "serve --listen [::]:5000",
        "serve --listen 10.0.0.7:5000",
        "serve --listen localhost.example:5000",
        "serve --ttl 4294967295",
        "serve --max-age 400d",
        "serve --redis redis://127.0.0.1:1",
        "practice",
        "practice --no-save",
        "drill",
        "drill --serve expired-certificate",
        "learn",
        "learn --yes",
        "check x",
        "completions bash",
        "help",
        "--help",
        "ping --help",
        "--version",
        "ping --no-such-option",
        "",
    ];

    #[test]
    fn nothing_else_may_run() {
        for line in FORBIDDEN {
            assert!(judged(line).is_err(), "{line}");
        }
    }

    #[test]
    fn every_option_of_the_list_exists() {
        let cli = Cli::command();
        for (name, options) in ALLOWED {
            let command = cli.find_subcommand(name).unwrap();
            for option in options.split(' ') {
                let mut arguments = command.get_arguments();
                assert!(
                    arguments.any(|argument| argument.get_id() == option),
                    "{name} {option}"
                );
            }
        }
    }

    #[test]
    fn wording_of_forbidden_commands() {
        let message = |line: &&str| format!("{line}\n  {}\n", judged(line).unwrap_err());
        let messages: String = FORBIDDEN.iter().map(message).collect();
        crate::golden::assert_golden("learn/forbidden-commands.txt", &messages);
    }
}
