//! The user's state folder, and atomic writes of files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// `$XDG_STATE_HOME/sessiontut`, or `~/.local/state/sessiontut`
/// (<https://specifications.freedesktop.org/basedir-spec/latest/>); `None` if `HOME` is not set either.
#[must_use]
pub(crate) fn folder() -> Option<PathBuf> {
    let named = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let state = named("XDG_STATE_HOME")
        .filter(|folder| folder.is_absolute())
        .or_else(|| named("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("sessiontut"))
}

/// Returns the state folder. If it does not exist, creates it with mode 0700.
///
/// # Errors
/// Returns an error if there is no home folder, or the state folder cannot be created.
pub(crate) fn open_folder() -> io::Result<PathBuf> {
    let folder = folder()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "neither XDG_STATE_HOME nor HOME is set"))?;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder)?;
    Ok(folder)
}

/// Writes a file atomically, readable only by its owner. Follows links. Writes to a device or a pipe without replacing it.
///
/// # Errors
/// Returns an error if the file cannot be written. The file is then unchanged.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let found = fs::canonicalize(path);
    let path = found.as_deref().unwrap_or(path);
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return OpenOptions::new().write(true).open(path)?.write_all(content);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Waits for the exclusive lock of this file, which is released when the returned file is dropped.
///
/// # Errors
/// Returns an error if the lock file beside it cannot be opened or locked.
pub(crate) fn turn(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let lock = options.open(path.with_extension("lock"))?;
    // Other processes hold it only while they read and write a small file.
    lock.lock()?;
    Ok(lock)
}

/// Renames a damaged file to an unused name, and returns that name.
///
/// # Errors
/// Returns an error if the file cannot be renamed.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    let aside = loop {
        let aside = path.with_extension(format!("damaged-{number}"));
        if fs::symlink_metadata(&aside).is_err() {
            break aside;
        }
        number += 1;
    };
    fs::rename(path, &aside)?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_damaged_file_does_not_take_the_place_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jar.json");
        let kept = ["one", "two"].map(|text| {
            fs::write(&path, text).unwrap();
            set_aside(&path).unwrap()
        });
        assert_eq!(
            kept.map(|aside| fs::read_to_string(aside).unwrap()),
            ["one", "two"]
        );
        assert!(!path.exists());
    }

    #[test]
    fn a_file_is_written_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jar.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(write(&folder.path().join("missing/jar.json"), b"x").is_err());
    }
}
