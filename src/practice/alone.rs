//! A practice Redis on a port of its own, whose data is kept from one run to the next.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::attach::Notice;
use super::server::{Options, Server};
use crate::state;

const LOCK: &str = "practice-alone.lock";
const DATA: &str = "practice-alone.data";

/// The right to the data of the practice Redis that runs alone; one process at a time has it.
#[derive(Debug)]
pub struct Lone {
    folder: Option<PathBuf>,
    notices: Vec<Notice>,
    _lock: Option<File>,
}

/// Whether data outlives the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It is saved, and loaded by the next one.
    Saved,
    /// It is forgotten.
    Nothing,
}

impl Lone {
    /// Takes the right to the data; where it cannot be had, a notice says why, and nothing is kept.
    #[must_use]
    pub fn open(keep: Keep) -> Self {
        if keep == Keep::Nothing {
            return Self {
                folder: None,
                notices: Vec::new(),
                _lock: None,
            };
        }
        match lock() {
            Ok((folder, lock)) => Self {
                folder: Some(folder),
                notices: Vec::new(),
                _lock: Some(lock),
            },
            Err(reason) => Self {
                folder: None,
                notices: vec![Notice::NotKept { reason }],
                _lock: None,
            },
        }
    }

    /// What the user should be told.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Starts a server on the data. A damaged file is set aside, which is told.
    ///
    /// # Errors
    /// What [`Server::start`] says.
    pub fn start(&mut self, options: Options) -> io::Result<Server> {
        let file = self.folder.as_ref().map(|folder| folder.join(DATA));
        start(Options { file, ..options }, &mut self.notices)
    }
}

fn lock() -> Result<(PathBuf, File), String> {
    let folder = state::open_folder().map_err(|fault| fault.to_string())?;
    let lock = open(&folder.join(LOCK)).map_err(|fault| fault.to_string())?;
    match lock.try_lock() {
        Ok(()) => Ok((folder, lock)),
        Err(fs::TryLockError::WouldBlock) => Err("another one that runs has it".into()),
        Err(fs::TryLockError::Error(fault)) => Err(fault.to_string()),
    }
}

/// Opens a lock file, for its owner alone.
pub(super) fn open(path: &Path) -> io::Result<File> {
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
                && fs::File::open(file).is_err()
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
