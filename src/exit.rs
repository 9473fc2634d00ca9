//! Defines the exit statuses on which scripts can rely.

use std::process::ExitCode;

/// The exit status of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Success. For `ping`: Redis works.
    Ok = 0,
    /// The command failed, or an internal error occurred. Examples are `visits` when logged out, and a lesson
    /// with an unexpected reply.
    No = 1,
    /// The command line or the URL (`url.*`) is invalid.
    Usage = 2,
    /// The host name cannot be resolved (`dns.*`).
    Dns = 3,
    /// The connection cannot be opened (`tcp.*`).
    Tcp = 4,
    /// The TLS session cannot be established (`tls.*`).
    Tls = 5,
    /// The login was refused (`auth.*`).
    Auth = 6,
    /// The server is unusable (`proto.*`, `server.*`, `role.*`, `cluster.*`, `db.*`).
    Server = 7,
    /// Ctrl-C or another termination signal ended the command.
    Interrupted = 130,
}

impl Exit {
    /// Returns [`Self::No`] instead of [`Self::Ok`]. Returns all other statuses unchanged.
    pub(crate) fn or_failure(self) -> Self {
        if self == Self::Ok { Self::No } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
