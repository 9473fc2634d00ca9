//! The user's state folder, and atomic writes of files.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

/// A JSON file in the state folder. If it cannot be used, the program continues without it.
#[derive(Debug)]
pub(crate) struct Saved<T> {
    pub record: T,
    /// The path of the file; `None` if it is not saved.
    file: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u64,
    #[serde(flatten)]
    record: T,
}

/// The version of the file formats.
const VERSION: u64 = 1;

const MOST_BYTES: u64 = 1024 * 1024;

/// Returns the state folder: `$XDG_STATE_HOME/sessiontut`, or `~/.local/state/sessiontut`
/// (<https://specifications.freedesktop.org/basedir-spec/latest/>). If it does not exist, creates it with mode 0700.
///
/// # Errors
/// Returns an error if there is no home folder, or the state folder cannot be created.
pub(crate) fn open_folder() -> io::Result<PathBuf> {
    let named = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let state = named("XDG_STATE_HOME")
        .filter(|folder| folder.is_absolute())
        .or_else(|| named("HOME").map(|home| home.join(".local/state")));
    let missing = || io::Error::other("neither XDG_STATE_HOME nor HOME is set");
    let folder = state.ok_or_else(missing)?.join("sessiontut");
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).map_err(|error| {
        let problem = format!("cannot create {}: {error}", folder.display());
        io::Error::new(error.kind(), problem)
    })?;
    Ok(folder)
}

impl<T: Default + Serialize + DeserializeOwned> Saved<T> {
    /// Reads the file `name`, and renames it if it is damaged. Also returns a message if it is damaged or will not be
    /// saved; in it, `what` is what the file contains.
    pub(crate) fn read(folder: io::Result<PathBuf>, name: &str, what: &str) -> (Self, Option<String>) {
        let unsaved = |record, why: &dyn Display| {
            let problem = format!("{what} will not be saved: {why}");
            (Self { record, file: None }, Some(problem))
        };
        let file = match folder {
            Ok(folder) => folder.join(name),
            Err(error) => return unsaved(T::default(), &error),
        };
        let shown = file.display();
        let json = match json_in(&file) {
            Ok(json) => json,
            Err(error) => return unsaved(T::default(), &format!("{shown}: {error}")),
        };
        if json["version"].as_u64().is_some_and(|version| version > VERSION) {
            return unsaved(
                T::default(),
                &format!("{shown} was written by a newer sessiontut"),
            );
        }
        let (record, problem) = match serde_json::from_value::<Versioned<T>>(json) {
            Ok(found) => (found.record, None),
            Err(_) => match set_aside(&file) {
                Ok(renamed) => {
                    let renamed = renamed.display();
                    let problem =
                        format!("{shown} is damaged and was renamed to {renamed}; {what} starts again");
                    (T::default(), Some(problem))
                }
                Err(error) => return unsaved(T::default(), &format!("{shown}: {error}")),
            },
        };
        // Create a file, because the permissions of a folder alone do not show whether this is possible.
        match tempfile::tempfile_in(file.parent().unwrap_or(&file)) {
            Ok(_) => (
                Self {
                    record,
                    file: Some(file),
                },
                problem,
            ),
            Err(error) => unsaved(record, &format!("{shown}: {error}")),
        }
    }

    /// Creates a record that is neither read nor saved.
    pub(crate) fn in_memory() -> Self {
        Self {
            record: T::default(),
            file: None,
        }
    }

    /// Saves the file atomically.
    ///
    /// # Errors
    /// Returns a message, but only for the first failure.
    pub(crate) fn save(&mut self) -> Result<(), String> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let content = Versioned {
            version: VERSION,
            record: &self.record,
        };
        let text = serde_json::to_vec_pretty(&content).map_err(io::Error::other);
        let saved = text.and_then(|text| write(file, &text));
        let problem = saved.map_err(|error| format!("cannot save {}: {error}", file.display()));
        if problem.is_err() {
            self.file = None;
        }
        problem
    }
}

/// Returns the content of a JSON file: an empty record if the file does not exist, or null if it is invalid.
fn json_in(file: &Path) -> io::Result<Value> {
    match read_small(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(json!({ "version": VERSION })),
        Err(error) => Err(error),
        Ok(text) => Ok(serde_json::from_slice(&text).unwrap_or_default()),
    }
}

/// Reads a regular file of at most 1 MB.
///
/// # Errors
/// Returns an error if it is another file, or cannot be read.
pub(crate) fn read_small(file: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(file)?.len() > MOST_BYTES {
        return Err(io::Error::other("larger than 1 MB"));
    }
    read(file)
}

/// Writes a file atomically, readable only by its owner. Writes to a device or a pipe without replacing it.
///
/// Replaces a symbolic link to a file instead of following it: in a shared folder such as /tmp, another user may have
/// created the link.
///
/// # Errors
/// Returns an error if the file cannot be written. In this case, the file is unchanged.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if is_device_or_pipe(path) {
        return OpenOptions::new().write(true).open(path)?.write_all(content);
    }
    let mut new = NewFile::beside(path)?;
    new.file().write_all(content)?;
    new.replace()
}

/// Whether the path leads to a file that cannot be replaced, such as /dev/stdout, without a link of another user.
fn is_device_or_pipe(path: &Path) -> bool {
    #[cfg(unix)]
    let is_trusted = |link: &fs::Metadata| {
        use std::os::unix::fs::MetadataExt as _;
        [0, rustix::process::geteuid().as_raw()].contains(&link.uid())
    };
    #[cfg(not(unix))]
    let is_trusted = |_: &fs::Metadata| true;
    let found = fs::symlink_metadata(path);
    let is_foreign_link = found.is_ok_and(|found| found.is_symlink() && !is_trusted(&found));
    !is_foreign_link && fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// A temporary file that replaces another one when it is complete. It is readable only by its owner.
pub(crate) struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl NewFile {
    /// Creates an empty file in the folder of `path`.
    ///
    /// # Errors
    /// Returns an error if no file can be created there.
    pub(crate) fn beside(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Ok(Self {
            file: NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?,
            path: path.to_owned(),
        })
    }

    pub(crate) fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Waits until the disk has the content, and then renames the file.
    ///
    /// # Errors
    /// Returns an error if the disk is full or the file cannot be renamed. The file at the path is then unchanged.
    pub(crate) fn replace(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(self.path)?;
        Ok(())
    }
}

/// Reads a regular file. Anything else, such as a FIFO, could block for ever.
///
/// # Errors
/// Returns an error if there is no such file, or it cannot be read.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    check_regular(path)?;
    fs::read(path)
}

/// Opens a lock file, which only its owner can read, and creates it if it does not exist.
///
/// # Errors
/// Returns an error if it cannot be opened or created.
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

fn check_regular(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.is_file() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

/// How long other processes may hold the lock of a small file.
const TURN: Duration = Duration::from_secs(2);
/// How often a process asks for a lock that another one holds.
const RETRY: Duration = Duration::from_millis(5);

/// Waits for the exclusive lock of this file, which is released when the returned file is dropped.
///
/// # Errors
/// Returns an error if the lock file beside it cannot be opened or locked, or another process holds it for 2 s.
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

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_file_is_replaced_and_a_link_to_a_device_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let [link, device, target] = ["link", "device", "target"].map(|name| folder.path().join(name));
        fs::write(&target, b"kept").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        std::os::unix::fs::symlink("/dev/null", &device).unwrap();
        write(&link, b"new").unwrap();
        write(&device, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"kept");
        assert_eq!(fs::read(&link).unwrap(), b"new");
        assert!(!link.is_symlink() && device.is_symlink());
    }

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
