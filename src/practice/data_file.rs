//! Starts servers whose data is saved in the state folder. A lock file ensures that only one process at a
//! time uses a data file. If the data file cannot be used, the server starts without it, and a notice gives
//! the reason.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::server::{Server, ServerOptions};
use crate::files;
use crate::state;

const STANDALONE_LOCK: &str = "practice-alone.lock";
const STANDALONE_DATA: &str = "practice-alone.data";

/// A message for the user about the saved data of a practice Redis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DataNotice {
    #[error(
        "its data is in memory only and is lost when this command ends: the state folder cannot be used ({reason})"
    )]
    MemoryOnly { reason: String },
    /// The data file was damaged. It was renamed to `path`, and the server started without data.
    #[error("its data file was damaged and is now {}; starting empty", .path.display())]
    SetAside { path: PathBuf },
}

/// Starts a server whose data is in the file `data`. Renames the file if it is damaged. Saves no data if the
/// file cannot be read. Adds a message to `notices` in both cases.
pub(super) fn start(
    mut options: ServerOptions,
    data: &Path,
    lock: File,
    notices: &mut Vec<DataNotice>,
) -> io::Result<Server> {
    options.data = Some(data.to_owned());
    let mut server = match Server::start(options.clone()) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let path = files::set_aside(data)?;
            notices.push(DataNotice::SetAside { path });
            Server::start(options)
        }
        Err(error) if data.exists() && files::read(data).is_err() => {
            notices.push(DataNotice::MemoryOnly {
                reason: format!("{}: {error}", data.display()),
            });
            options.data = None;
            Server::start(options)
        }
        other => other,
    }?;
    server.lock = Some(lock);
    Ok(server)
}

/// Starts the server of `sessiontut practice`, whose data is separate from the data that other commands use.
/// Saves no data if `saves_data` is false. Returns the same errors as [`Server::start`].
pub(crate) fn start_standalone(
    options: ServerOptions,
    saves_data: bool,
) -> io::Result<(Server, Vec<DataNotice>)> {
    let mut notices = Vec::new();
    if !saves_data {
        return Ok((Server::start(options)?, notices));
    }
    let server = match lock_standalone() {
        Ok((folder, lock)) => start(options, &folder.join(STANDALONE_DATA), lock, &mut notices),
        Err(reason) => {
            notices.push(DataNotice::MemoryOnly { reason });
            Server::start(options)
        }
    };
    Ok((server?, notices))
}

fn lock_standalone() -> Result<(PathBuf, File), String> {
    let folder = state::open_folder().map_err(|error| error.to_string())?;
    let lock = files::open_lock(&folder.join(STANDALONE_LOCK)).map_err(|error| error.to_string())?;
    match lock.try_lock() {
        Ok(()) => Ok((folder, lock)),
        Err(TryLockError::WouldBlock) => Err("another `sessiontut practice` is using it".into()),
        Err(TryLockError::Error(error)) => Err(error.to_string()),
    }
}
