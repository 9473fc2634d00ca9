//! Runs commands of this program for a lesson, in this process and on the lesson's Redis.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::Parser as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::oneshot;

use crate::cli::{Cli, Command, RedisArgs, ServeArgs};
use crate::commands;
use crate::exit::Exit;
use crate::learn::app::{CommandFailure, RunningApp};
use crate::redis_url::Target;
use crate::secret::Secret;

/// Time limit for the app to listen.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Who answers the questions of a command, and visits the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum User {
    Person,
    Robot,
}

/// Runs a command line, without the leading `sessiontut`; see [`crate::learn::app::RunCommand`].
pub(super) fn run(
    words: &[String],
    redis: &RedisArgs,
    target: &Target,
    user: User,
) -> Result<Option<RunningApp>, CommandFailure> {
    let shown = format!("sessiontut {}", words.join(" "));
    let fail = |what: String| CommandFailure {
        what: format!("{shown}: {what}"),
        interrupted: false,
    };
    let argv = std::iter::once("sessiontut").chain(words.iter().map(String::as_str));
    let mut cli = Cli::try_parse_from(argv).map_err(|error| fail(error.kind().to_string()))?;
    let names_redis = words
        .iter()
        .any(|word| word == "--redis" || word.starts_with("--redis="));
    if let Some(args) = cli.command.as_mut().and_then(redis_args)
        && !names_redis
    {
        *args = redis.clone();
    }
    let is_drill = matches!(cli.command, Some(Command::Drill(_)));
    match cli.command {
        Some(Command::Learn(_)) => return Err(fail("a lesson cannot run `learn`".into())),
        Some(Command::Serve(args)) => return serve(args, target, user).map(Some).map_err(fail),
        // A drill asks questions that only a person can answer.
        Some(Command::Drill(_)) if user == User::Robot => return Ok(None),
        _ => {}
    }
    match commands::run(cli).unwrap_or_else(|error| commands::report(&error)) {
        Exit::Ok => Ok(None),
        // The drill has already shown that the answer was wrong.
        Exit::No if is_drill => Ok(None),
        exit => Err(CommandFailure {
            what: format!("{shown}: exit status {}", exit as u8),
            interrupted: exit == Exit::Interrupted,
        }),
    }
}

/// Serves the app in a thread; returns when it listens.
fn serve(mut args: ServeArgs, target: &Target, user: User) -> Result<RunningApp, String> {
    if user == User::Robot {
        // Only the robot needs the address, and the default port may be in use.
        "127.0.0.1:0".clone_into(&mut args.listen);
    }
    // The practice Redis of this lesson, even if it exists only in this process.
    args.redis.url = args.redis.url.or_else(|| practice_url(target));
    let (shut_down, is_shut_down) = oneshot::channel();
    let (ready, address) = mpsc::channel();
    let run = move || {
        let until = async {
            let _ = is_shut_down.await;
        };
        let served = commands::serve::run_until(&args, until, move |address| {
            let _ = ready.send(address);
        });
        served.unwrap_or_else(|error| commands::report(&error))
    };
    let thread = thread::Builder::new().name("serve".into()).spawn(run);
    let thread = thread.map_err(|error| error.to_string())?;
    match address.recv_timeout(READY_WITHIN) {
        Ok(address) => Ok(RunningApp {
            address,
            shut_down,
            thread,
        }),
        Err(_) => Err(match thread.is_finished().then(|| thread.join()) {
            Some(Ok(exit)) => format!("exit status {}", exit as u8),
            _ => "did not start in time".into(),
        }),
    }
}

/// The URL of a practice Redis, with its password.
fn practice_url(target: &Target) -> Option<String> {
    let password = target.password.as_ref().map_or("", Secret::reveal);
    let password = utf8_percent_encode(password, NON_ALPHANUMERIC);
    let (host, port, db) = (target.host()?, target.port()?, target.db);
    Some(format!("redis://:{password}@{host}:{port}/{db}"))
}

fn redis_args(command: &mut Command) -> Option<&mut RedisArgs> {
    match command {
        Command::Ping(args) => Some(&mut args.redis),
        Command::Serve(args) => Some(&mut args.redis),
        Command::Learn(args) => Some(&mut args.redis),
        Command::Login(args) => Some(&mut args.step.redis),
        Command::Visits(args) => Some(&mut args.step.redis),
        Command::Expire(args) => Some(&mut args.step.redis),
        Command::Session(args) | Command::Logout(args) => Some(&mut args.redis),
        Command::Practice(_) | Command::Drill(_) | Command::Completions { .. } => None,
    }
}
