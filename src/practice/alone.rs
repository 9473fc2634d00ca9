//! A practice Redis on a port of its own, whose data is kept from one run to the next.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use super::kept::{self, Notice};
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
        kept::start(Options { file, ..options }, &mut self.notices)
    }
}

fn lock() -> Result<(PathBuf, File), String> {
    let folder = state::open_folder().map_err(|fault| fault.to_string())?;
    let lock = kept::open_lock(&folder.join(LOCK)).map_err(|fault| fault.to_string())?;
    match lock.try_lock() {
        Ok(()) => Ok((folder, lock)),
        Err(fs::TryLockError::WouldBlock) => Err("another one that runs has it".into()),
        Err(fs::TryLockError::Error(fault)) => Err(fault.to_string()),
    }
}
