//! The exit statuses that scripts may rely on.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Success; for `ping`, Redis works.
    Ok = 0,
    /// The command failed (for example, `visits` when logged out, or a lesson with an unexpected reply), or an
    /// internal error occurred.
    No = 1,
    /// Wrong usage, or an invalid URL (`url.*`).
    Usage = 2,
    /// The name cannot be resolved (`dns.*`).
    Dns = 3,
    /// No connection (`tcp.*`).
    Tcp = 4,
    /// No TLS session (`tls.*`).
    Tls = 5,
    /// Login refused (`auth.*`).
    Auth = 6,
    /// Server unusable (`proto.*`, `server.*`, `role.*`, `cluster.*`, `db.*`).
    Server = 7,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
