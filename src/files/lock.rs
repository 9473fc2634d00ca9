//! Lock files. To change a file, a process holds the lock on a separate file in the same folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::check_regular;

/// Opens a lock file, or creates it with access only for its owner.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    match check_regular(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// How long to wait for a lock that another process holds.
const TURN: Duration = Duration::from_secs(2);

/// The pause between two attempts to acquire a lock.
const RETRY: Duration = Duration::from_millis(5);

/// Waits for the exclusive lock on the file at `path`. Dropping the returned lock file releases the lock.
/// Fails if the lock file cannot be opened or locked, or if another process holds the lock for 2 s.
pub(crate) fn turn(path: &Path) -> io::Result<File> {
    let lock = open_lock(&path.with_extension("lock"))?;
    let until = Instant::now() + TURN;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(RETRY),
            Err(TryLockError::WouldBlock) => {
                let text = format!("another process holds the lock on {}", path.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
        }
    }
}
