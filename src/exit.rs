//! The exit statuses that scripts may rely on.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It worked; for `ping`: Redis answers.
    Ok = 0,
    /// The command's own answer is no (`visits` when logged out, a lesson that did not hold), or something
    /// happened that the tool did not expect of itself.
    No = 1,
    /// Wrong usage, or a URL that cannot be used (`url.*`).
    Usage = 2,
    /// The name leads nowhere (`dns.*`).
    Dns = 3,
    /// No connection (`tcp.*`).
    Tcp = 4,
    /// No TLS session (`tls.*`).
    Tls = 5,
    /// Not let in (`auth.*`).
    Auth = 6,
    /// Connected, and no use (`proto.*`, `server.*`, `role.*`, `cluster.*`, `db.*`).
    Server = 7,
    /// Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
