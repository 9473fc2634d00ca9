//! Our own commands, run for a lesson in this process.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clap::Parser as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::oneshot;

use crate::cli::{Cli, Command, RedisArgs, ServeArgs};
use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::learn::browser::Visit;
use crate::learn::names::FIRST_NAME;
use crate::learn::unattended::{By, Commands, Failure};
use crate::redis_url::Target;
use crate::secret::Secret;
use crate::ui;

/// Who uses what runs beside a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// The learner, in a browser.
    ForTheLearner,
    /// Our own HTTP client: nobody else is there.
    DrivenByUs,
}

/// Runs `sessiontut …` in this process, on the lessons' Redis.
pub(super) struct OwnCommands {
    redis: RedisArgs,
    target: Target,
    beside: Beside,
    /// Who our own HTTP client logs in as.
    pub(super) name: String,
    serving: Option<Serving>,
}

/// The app, served on a thread of its own while the lesson goes on.
struct Serving {
    end: oneshot::Sender<()>,
    thread: JoinHandle<Exit>,
    /// Our own visit to it, where nobody else is there.
    visit: Option<Visit>,
}

/// For the app to listen, or to say why it cannot.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// For our own visits to it.
const VISITS_WITHIN: Duration = Duration::from_secs(10);

impl OwnCommands {
    pub(super) fn new(redis: &RedisArgs, target: &Target, beside: Beside) -> Self {
        Self {
            redis: redis.clone(),
            target: target.clone(),
            beside,
            name: FIRST_NAME.to_owned(),
            serving: None,
        }
    }

    fn serve(&mut self, mut args: ServeArgs, shown: &str) -> Result<(), String> {
        self.end();
        if self.beside == Beside::DrivenByUs {
            // Nobody has to find it, and the usual port may be taken.
            "127.0.0.1:0".clone_into(&mut args.listen);
        }
        // The very practice Redis of this lesson, also where it lives in this process alone.
        args.redis.url = args.redis.url.or_else(|| url_of(&self.target));
        let (end, ended) = oneshot::channel();
        let (ready, address) = mpsc::channel();
        let run = move || {
            let until = async {
                // A lesson that is gone has ended as well.
                let _ = ended.await;
            };
            let outcome = super::super::serve::run_until(&args, until, move |address| {
                // Nobody waits for it any more once the time to be ready is over.
                let _ = ready.send(address);
            });
            outcome.unwrap_or_else(|fault| {
                ui::error(&fault);
                Exit::No
            })
        };
        let thread = thread::Builder::new()
            .name("serve".into())
            .spawn(run)
            .map_err(|fault| format!("{shown}: {fault}"))?;
        let Ok(address) = address.recv_timeout(READY_WITHIN) else {
            return Err(match thread.is_finished().then(|| thread.join()) {
                Some(Ok(exit)) => failure(shown, exit).what,
                _ => format!("{shown} did not get ready"),
            });
        };
        let visit = match self.beside {
            Beside::ForTheLearner => Ok(None),
            Beside::DrivenByUs => {
                Visit::log_in(address, &self.name, Deadline::after(VISITS_WITHIN)).map(Some)
            }
        };
        let (visit, outcome) = match visit {
            Ok(visit) => (visit, Ok(())),
            Err(fault) => (None, Err(fault)),
        };
        self.serving = Some(Serving { end, thread, visit });
        outcome
    }
}

impl Commands for OwnCommands {
    fn run(&mut self, words: &[String]) -> Result<(), Failure> {
        let shown = format!("sessiontut {}", words.join(" "));
        let mut all = vec!["sessiontut".to_owned()];
        all.extend_from_slice(words);
        let mut cli = Cli::try_parse_from(&all).map_err(|fault| format!("{shown}: {}", fault.kind()))?;
        if let Some(redis) = cli.command.as_mut().and_then(redis_args) {
            // The lessons' Redis, unless the command line itself names another one.
            if !words
                .iter()
                .any(|word| word == "--redis" || word.starts_with("--redis="))
            {
                *redis = self.redis.clone();
            }
        }
        match cli.command {
            Some(Command::Learn(_)) => Err(format!("{shown}: a lesson within a lesson").into()),
            Some(Command::Serve(args)) => Ok(self.serve(args, &shown)?),
            // It asks a person.
            Some(Command::Drill(_)) if self.beside == Beside::DrivenByUs => Ok(()),
            // Whether the answer was right, it has said itself.
            Some(Command::Drill(_)) => match super::super::run(cli) {
                Exit::Ok | Exit::No => Ok(()),
                exit => Err(failure(&shown, exit)),
            },
            _ => match super::super::run(cli) {
                Exit::Ok => Ok(()),
                exit => Err(failure(&shown, exit)),
            },
        }
    }

    fn runs_beside(&self) -> bool {
        self.serving.is_some()
    }

    fn end(&mut self) {
        if let Some(Serving { end, thread, visit }) = self.serving.take() {
            if let Some(visit) = visit {
                // An app that has ended took nobody's session with it: that ends by its TTL.
                let _ = visit.log_out(Deadline::after(VISITS_WITHIN));
            }
            // It may have ended by itself, at Ctrl-C.
            let _ = end.send(());
            let _ = thread.join();
        }
    }
}

fn failure(shown: &str, exit: Exit) -> Failure {
    Failure {
        what: format!("{shown} ended with status {}", exit as u8),
        by: match exit {
            Exit::Interrupted => By::CtrlC,
            _ => By::Itself,
        },
    }
}

/// The URL of a practice Redis, for this process alone: it holds the password.
fn url_of(target: &Target) -> Option<String> {
    let password = target.password.as_ref().map_or("", Secret::reveal);
    let password = utf8_percent_encode(password, NON_ALPHANUMERIC);
    Some(format!(
        "redis://:{password}@{}:{}/{}",
        target.host()?,
        target.port()?,
        target.db
    ))
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
        // They ask no Redis.
        Command::Practice(_) | Command::Drill(_) | Command::Completions { .. } => None,
    }
}
