//! Our own commands, run for a lesson in this process.

use clap::Parser as _;

use crate::cli::{Cli, Command, RedisArgs};
use crate::exit::Exit;
use crate::learn::unattended::Commands;

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
    beside: Beside,
}

impl OwnCommands {
    pub(super) fn new(redis: &RedisArgs, beside: Beside) -> Self {
        Self {
            redis: redis.clone(),
            beside,
        }
    }
}

impl Commands for OwnCommands {
    fn run(&mut self, words: &[String]) -> Result<(), String> {
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
            Some(Command::Learn(_)) => Err(format!("{shown}: a lesson within a lesson")),
            Some(Command::Serve(_)) if self.beside == Beside::DrivenByUs => Ok(()),
            _ => match super::super::run(cli) {
                Exit::Ok => Ok(()),
                exit => Err(format!("{shown} ended with status {}", exit as u8)),
            },
        }
    }

    fn runs_beside(&self) -> bool {
        false
    }

    fn end(&mut self) {}
}

fn redis_args(command: &mut Command) -> Option<&mut RedisArgs> {
    match command {
        Command::Ping(args) => Some(&mut args.redis),
        Command::Serve(args) => Some(&mut args.redis),
        Command::Learn(args) => Some(&mut args.redis),
    }
}
