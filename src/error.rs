//! Defines the error type of all commands.

use crate::exit::Exit;
use crate::ping;
use crate::redis_client::connect::Unreachable;
use crate::redis_client::fault::RedisFault;
use crate::redis_url::UrlError;
use crate::signals::Interrupted;

/// The reason why a command failed.
#[derive(Debug)]
pub enum Error {
    /// The parser rejected the command line, or the command line contains `--help` or `--version`.
    CommandLine(clap::Error),
    /// An argument is valid for the parser but not for the command.
    Usage(String),
    /// The Redis URL is invalid or unsupported.
    Url(UrlError),
    /// Redis cannot be reached or used. The value contains the verdict of `ping`.
    Unreachable(Box<Unreachable>),
    /// Redis rejected a command or did not reply.
    Refused(Box<RedisFault>),
    /// SIGINT (Ctrl-C), SIGTERM or SIGHUP ended the command.
    Interrupted,
    /// Any other error.
    Other(anyhow::Error),
}

impl Error {
    /// Returns the exit status for this error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::CommandLine(answer) if !answer.use_stderr() => Exit::Ok,
            Self::CommandLine(_) | Self::Usage(_) => Exit::Usage,
            Self::Url(fault) => ping::judge_url(fault).exit(),
            Self::Unreachable(unreachable) => unreachable.verdict.exit(),
            Self::Refused(fault) => fault.exit,
            Self::Interrupted => Exit::Interrupted,
            Self::Other(_) => Exit::No,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }
}

impl From<clap::Error> for Error {
    fn from(answer: clap::Error) -> Self {
        Self::CommandLine(answer)
    }
}

impl From<UrlError> for Error {
    fn from(fault: UrlError) -> Self {
        Self::Url(fault)
    }
}

impl From<Box<Unreachable>> for Error {
    fn from(unreachable: Box<Unreachable>) -> Self {
        Self::Unreachable(unreachable)
    }
}

impl From<RedisFault> for Error {
    fn from(fault: RedisFault) -> Self {
        Self::Refused(Box::new(fault))
    }
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

impl From<Interrupted> for Error {
    fn from(Interrupted: Interrupted) -> Self {
        Self::Interrupted
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.into())
    }
}
