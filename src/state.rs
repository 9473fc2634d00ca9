//! The user's state folder, and functions that write files atomically.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

/// A JSON file in the state folder. If the file cannot be used, the program continues without it.
#[derive(Debug)]
pub(crate) struct Saved<T> {
    pub record: T,
    /// The path of the file, or `None` if nothing is saved.
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
    /// Reads the file `name`. If it is damaged, renames it. Also returns a message if the file is damaged or
    /// cannot be saved. `what` describes its contents in this message.
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
        // Creating a file is the only reliable test, because the permissions of the folder are not
        // sufficient.
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
    ///
    /// Returns a message at the first failure only.
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

/// Returns the contents of a JSON file: an empty record if the file does not exist, or null if it is invalid.
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
///
/// Returns an error if this is not a regular file of that size, or if it cannot be read.
pub(crate) fn read_small(file: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(file)?.len() > MOST_BYTES {
        return Err(io::Error::other("larger than 1 MB"));
    }
    read(file)
}

/// Writes a file atomically, so that only its owner can read it. A device, a pipe or /dev/stdout is written
/// to, not replaced.
///
/// A symbolic link to a file is replaced, not followed: in a shared folder such as /tmp, another user may
/// have created the link.
///
/// # Errors
/// Returns an error if the file cannot be written. In this case, the file is unchanged.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    match kind(path)? {
        Kind::Device => {
            // /dev/stdout may be a file that the shell has already truncated.
            let mut file = OpenOptions::new().append(true).open(path)?;
            file.write_all(content)
        }
        Kind::Replaceable => {
            let mut new = NewFile::beside(path)?;
            new.file().write_all(content)?;
            new.replace()
        }
    }
}

/// How to write to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The path is opened, because it is a device, a pipe, or a file in /dev or /proc.
    Device,
    /// The file is replaced, or created if it does not exist.
    Replaceable,
}

/// The maximum number of symbolic links that are followed, as in Linux.
const MOST_LINKS: usize = 40;

/// Determines how to write to a path. Only links that belong to this user or to root are followed.
fn kind(path: &Path) -> io::Result<Kind> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let folder = path.parent().unwrap_or(&path);
        let is_special = |folder: &Path| folder.starts_with("/dev") || folder.starts_with("/proc");
        if is_special(folder) && !folder.starts_with("/dev/shm") {
            return Ok(Kind::Device);
        }
        let Ok(found) = fs::symlink_metadata(&path) else {
            return Ok(Kind::Replaceable);
        };
        if found.is_symlink() && is_trusted(&found) {
            path = folder.join(fs::read_link(&path)?);
            continue;
        }
        if found.is_file() || found.is_dir() || found.is_symlink() {
            return Ok(Kind::Replaceable);
        }
        if is_trusted(&found) {
            return Ok(Kind::Device);
        }
        let problem = "it is a device or a pipe of another user";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
    }
    Ok(Kind::Replaceable)
}

/// Whether a file belongs to this user or to root.
#[cfg(unix)]
fn is_trusted(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    [0, rustix::process::geteuid().as_raw()].contains(&found.uid())
}

#[cfg(not(unix))]
fn is_trusted(_: &fs::Metadata) -> bool {
    true
}

/// A temporary file that replaces another file when it is complete. Only its owner can read it.
pub(crate) struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl NewFile {
    /// Creates an empty file in the folder of `path`.
    ///
    /// # Errors
    ///
    /// Returns an error if a file cannot be created there.
    pub(crate) fn beside(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let start: String = name.chars().take(NAME_CHARACTERS).collect();
        let prefix = format!(".{start}.");
        remove_left_behind(folder, &prefix);
        // tempfile chooses a random name, creates the file with O_EXCL and mode 0600, and removes it on drop.
        let file = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(SUFFIX)
            .tempfile_in(folder)?;
        // The lock shows other processes that this one is still running. Without a lock, they keep the file
        // for a day.
        let _ = file.as_file().try_lock();
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    pub(crate) fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Waits until the contents are on the disk, and then renames the file.
    ///
    /// # Errors
    /// Returns an error if the disk is full or the file cannot be renamed. The file at the path is then unchanged.
    pub(crate) fn replace(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(self.path)?;
        Ok(())
    }
}

/// How many characters of the file's name the temporary file's name contains. Names are limited to 255 bytes.
const NAME_CHARACTERS: usize = 50;

/// The suffix of the names of temporary files.
const SUFFIX: &str = ".sessiontut-new";

/// The minimum age of a temporary file that may have been left behind. A process locks its temporary file
/// directly after creating it.
const FRESH: Duration = Duration::from_secs(1);

/// Removes temporary files that were left behind by processes that were killed.
fn remove_left_behind(folder: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(prefix) && name.ends_with(SUFFIX) && is_left_behind(&entry.path()) {
            // If the file cannot be removed, the next write tries again.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_left_behind(path: &Path) -> bool {
    let Ok(found) = fs::symlink_metadata(path) else {
        return false;
    };
    let age = found.modified().ok().and_then(|modified| modified.elapsed().ok());
    let is_old = age.is_some_and(|age| age > FRESH);
    let is_locked = || File::open(path).is_ok_and(|file| file.try_lock().is_err());
    found.is_file() && is_trusted(&found) && is_old && !is_locked()
}

/// Reads a regular file. Other files are refused, because reading from a FIFO, for example, could block
/// forever.
///
/// # Errors
/// Returns an error if there is no such file, or it cannot be read.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    check_regular(path)?;
    fs::read(path)
}

/// Opens a lock file that only its owner can read. Creates the file if it does not exist.
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

/// How long to wait while another process holds the lock of a small file.
const TURN: Duration = Duration::from_secs(2);
/// How often to try again to take the lock.
const RETRY: Duration = Duration::from_millis(5);

/// Waits for an exclusive lock on this file. The lock is released when the returned file is dropped.
///
/// # Errors
///
/// Returns an error if the lock file beside it cannot be opened or locked, or if another process holds the
/// lock for 2 s.
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

    #[cfg(unix)]
    #[test]
    fn standard_output_and_pipes_are_written_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [link, file, pipe] = ["link", "file", "pipe"].map(|name| folder.path().join(name));
        std::os::unix::fs::symlink("/dev/stdout", &link).unwrap();
        fs::write(&file, "before ").unwrap();
        for path in [Path::new("/dev/stdout"), Path::new("/dev/fd/1"), &link] {
            assert_eq!(kind(path).unwrap(), Kind::Device, "{path:?}");
        }
        // This descriptor is like the one that `> file` creates.
        let open = OpenOptions::new().append(true).open(&file).unwrap();
        let descriptor = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open));
        write(Path::new(&descriptor), b"after").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"before after");

        assert!(
            std::process::Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        write(&pipe, b"new").unwrap();
        assert_eq!(reader.join().unwrap(), b"new");
        assert!(!fs::symlink_metadata(&pipe).unwrap().is_file());
    }

    #[test]
    fn the_temporary_file_of_a_killed_process_is_removed_and_that_of_another_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jar.json");
        let mut running = NewFile::beside(&path).unwrap();
        running.file().write_all(b"running").unwrap();
        let old = std::time::SystemTime::now() - Duration::from_secs(60);
        running.file().set_modified(old).unwrap();
        let [killed, other] = [".jar.json.aaaaaa", ".other.json.aaaaaa"].map(|name| {
            let path = folder.path().join(format!("{name}{SUFFIX}"));
            File::create(&path).unwrap().set_modified(old).unwrap();
            path
        });
        write(&path, b"new").unwrap();
        assert!(!killed.exists() && other.exists());
        running.replace().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"running");
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
