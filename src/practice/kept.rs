//! A server on data that outlives it: the lock that gives the right to a file, and what becomes of one that is of no use.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::server::{Options, Server};
use crate::state;

/// What a user should know about the practice Redis that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The state folder cannot be used: the data lives as long as this command.
    NotKept {
        /// What the system said.
        reason: String,
    },
    /// The data file was damaged; it was renamed, and the data begins anew.
    SetAside {
        /// Where the damaged file is now.
        path: PathBuf,
    },
}

/// Opens a lock file, for its owner alone.
pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Starts a server, and sets its data file aside where that is what prevents it.
pub(super) fn start(mut options: Options, notices: &mut Vec<Notice>) -> io::Result<Server> {
    let started = Server::start(options.clone());
    let Some(file) = &options.file else {
        return started;
    };
    match started {
        Err(fault) if fault.kind() == io::ErrorKind::InvalidData => {
            let path = state::set_aside(file)?;
            notices.push(Notice::SetAside { path });
            Server::start(options)
        }
        // A file that nobody may read is left as it is, and not written over.
        Err(fault)
            if fault.kind() == io::ErrorKind::PermissionDenied
                && File::open(file).is_err()
                && file.exists() =>
        {
            notices.push(Notice::NotKept {
                reason: format!("{}: {fault}", file.display()),
            });
            options.file = None;
            Server::start(options)
        }
        other => other,
    }
}
