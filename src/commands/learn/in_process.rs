//! Runs sessiontut commands for a lesson, in this process and on the lesson's Redis.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use clap::Parser as _;
use tokio::sync::oneshot;

use crate::commands;
use crate::commands::check::CheckArgs;
use crate::commands::chosen::{Choice, RedisArgs};
use crate::commands::cli::{Cli, Command};
use crate::commands::serve::ServeArgs;
use crate::exit::Exit;
use crate::learn::app::{CommandFailure, RunningApp};

const READY_WITHIN: Duration = Duration::from_secs(10);

/// The TTL of the app's sessions when an unattended lesson runs `check`, in seconds.
const ROBOT_TTL: u32 = 2;

/// Runs a command line, given without the leading `sessiontut`. See [`crate::learn::app::RunCommand`].
pub(super) fn run(
    words: &[String],
    redis: &RedisArgs,
    choice: &Arc<Choice>,
    is_robot: bool,
    last_app: &mut Option<(String, SocketAddr)>,
) -> Result<Option<RunningApp>, CommandFailure> {
    let shown = format!("sessiontut {}", words.join(" "));
    let fail = |what: String| CommandFailure {
        what: format!("{shown}: {what}"),
        interrupted: false,
        lesson: None,
    };
    let argv = std::iter::once("sessiontut").chain(words.iter().map(String::as_str));
    let mut cli = Cli::try_parse_from(argv).map_err(|error| fail(error.kind().to_string()))?;
    if let Some(args) = cli.command.as_mut().and_then(redis_args) {
        *args = redis.clone();
    }
    let is_drill = matches!(cli.command, Some(Command::Drill(_)));
    let is_check = matches!(cli.command, Some(Command::Check(_)));
    if let (Some(Command::Check(args)), true) = (&mut cli.command, is_robot) {
        grade_own_app(args).map_err(&fail)?;
    }
    if let Some(Command::Check(args)) = &mut cli.command {
        args.in_lesson = true;
    }
    match cli.command {
        Some(Command::Learn(_)) => return Err(fail("a lesson cannot run `learn`".into())),
        Some(Command::Serve(args)) => {
            let app = serve(args, Arc::clone(choice), is_robot, last_app.as_ref()).map_err(fail)?;
            *last_app = Some((app.in_lesson.clone(), app.address));
            return Ok(Some(app));
        }
        // Only a person can answer a drill's questions.
        Some(Command::Drill(_)) if is_robot => return Ok(None),
        _ => {}
    }
    let mut failed_lesson = None;
    let ended = match &cli.command {
        Some(Command::Check(args)) => commands::check::graded(args).map(|(exit, lesson)| {
            failed_lesson = lesson;
            exit
        }),
        _ => commands::run(cli),
    };
    match ended.unwrap_or_else(|error| commands::report(&error)) {
        Exit::Ok => Ok(None),
        // The drill has already printed that the answer was wrong.
        Exit::No if is_drill => Ok(None),
        Exit::No if is_check => Err(CommandFailure {
            what: "the app is not correct yet: change it, and grade it again".into(),
            interrupted: false,
            lesson: failed_lesson,
        }),
        exit => Err(CommandFailure {
            what: format!("{shown}: {}", exit_status(exit)),
            interrupted: exit == Exit::Interrupted,
            lesson: None,
        }),
    }
}

/// Changes the arguments so that `check` grades sessiontut's own app, because an unattended lesson must not
/// need other software.
fn grade_own_app(args: &mut CheckArgs) -> Result<(), String> {
    // Without /proc, this program's path is known only from its command line.
    let started_as = || std::env::args_os().next().map(PathBuf::from);
    let program = std::env::current_exe()
        .or_else(|error| started_as().ok_or(error))
        .map_err(|error| error.to_string())?;
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let address = free.map_err(|error| error.to_string())?;
    let (stage, ttl) = (args.stage, ROBOT_TTL);
    let app = format!("serve --stage {stage} --ttl {ttl} --listen {address}");
    args.command = std::iter::once(program.display().to_string())
        .chain(app.split(' ').map(str::to_owned))
        .collect();
    // The lesson runs `check` once per stage.
    args.only_stage = true;
    args.ttl = ROBOT_TTL;
    args.url = Some(format!("http://{address}"));
    Ok(())
}

/// Runs the app in a thread, and returns as soon as the app listens. If the default port is in use, the app
/// uses another port: if possible, the port of the last app, because the page of that app may still be open.
fn serve(
    mut args: ServeArgs,
    choice: Arc<Choice>,
    is_robot: bool,
    last_app: Option<&(String, SocketAddr)>,
) -> Result<RunningApp, String> {
    if is_robot {
        // Only the robot uses the address, so any free port will do.
        "127.0.0.1:0".clone_into(&mut args.listen);
    }
    let in_lesson = args.listen.clone();
    let last_address = last_app.filter(|(address, _)| *address == in_lesson);
    let again = last_address.and_then(|(_, address)| crate::serve::bind(&address.to_string()).ok());
    let listener = match again {
        Some(listener) => listener,
        None => crate::serve::bind_near(&in_lesson).map_err(|error| error.to_string())?,
    };
    let (shut_down, is_shut_down) = oneshot::channel();
    let (ready, address) = mpsc::channel();
    let run = move || {
        let until = async {
            let _ = is_shut_down.await;
        };
        let served = commands::serve::run_until(&args, listener, Some(choice), until, move |address| {
            let _ = ready.send(address);
        });
        served.unwrap_or_else(|error| commands::report(&error))
    };
    let thread = thread::Builder::new().name("serve".into()).spawn(run);
    let thread = thread.map_err(|error| error.to_string())?;
    match address.recv_timeout(READY_WITHIN) {
        Ok(address) => Ok(RunningApp {
            address,
            in_lesson,
            shut_down,
            thread,
        }),
        Err(_) => Err(match thread.is_finished().then(|| thread.join()) {
            Some(Ok(exit)) => exit_status(exit),
            _ => "did not start in time".into(),
        }),
    }
}

fn exit_status(exit: Exit) -> String {
    format!("exit status {}", exit as u8)
}

fn redis_args(command: &mut Command) -> Option<&mut RedisArgs> {
    match command {
        Command::Ping(args) => Some(&mut args.redis),
        Command::Serve(args) => Some(&mut args.redis),
        Command::Learn(args) => Some(&mut args.redis),
        Command::Check(args) => Some(&mut args.redis),
        Command::Login(args) => Some(&mut args.step.redis),
        Command::Visits(args) => Some(&mut args.step.redis),
        Command::Expire(args) => Some(&mut args.step.redis),
        Command::Session(args) | Command::Logout(args) => Some(&mut args.redis),
        Command::Practice(_)
        | Command::Drill(_)
        | Command::Explain { .. }
        | Command::Completions { .. }
        | Command::Version
        | Command::Man { .. } => None,
    }
}
