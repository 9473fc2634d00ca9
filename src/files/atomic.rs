//! Writes files atomically.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tempfile::NamedTempFile;

use super::is_trusted;
use crate::deadline::Deadline;

/// How long to wait for a program to open a pipe for reading, or to read from it.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// The pause between two attempts while no program reads a pipe.
const RETRY: Duration = Duration::from_millis(10);

/// Writes a file atomically, with access only for its owner. Writes directly to a device, a pipe or
/// `/dev/stdout`, instead of replacing it.
///
/// Follows a symbolic link only if the link leads to a device or a pipe, and this user or root owns the link.
/// Replaces other links. In a shared folder such as /tmp, another user may have created a link to attack this
/// user. Fails if the file cannot be written. An existing file is then unchanged.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    match kind(path)? {
        Kind::Device => write_to_device(path, content, READ_WITHIN),
        Kind::Replaceable => {
            let mut new = NewFile::beside(path)?;
            new.file().write_all(content)?;
            new.replace()
        }
    }
}

/// Checks whether [`write()`] is likely to succeed, without changing anything. Returns the error that
/// [`write()`] would probably return.
pub(crate) fn check_writable(path: &Path) -> io::Result<()> {
    match kind(path)? {
        // Do not open a pipe here: closing the pipe would signal the end of the input to its reader.
        Kind::Device => Ok(()),
        Kind::Replaceable if path.is_dir() => {
            Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"))
        }
        Kind::Replaceable => NewFile::beside(path).map(drop),
    }
}

/// Writes to a device or a pipe. Gives up after `patience` if no program reads the pipe.
fn write_to_device(path: &Path, mut content: &[u8], patience: Duration) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // Do not truncate the file. /dev/stdout may be a file that already contains output.
    options.append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let mut deadline = Deadline::after(patience);
    let unread = || io::Error::new(io::ErrorKind::TimedOut, "no program reads this pipe");
    let mut file = loop {
        match options.open(path) {
            Err(error) if has_no_reader(path, &error) && !deadline.is_over() => thread::sleep(RETRY),
            Err(error) if has_no_reader(path, &error) => return Err(unread()),
            opened => break opened?,
        }
    };
    while !content.is_empty() {
        match file.write(content) {
            Ok(written) => {
                content = &content[written..];
                deadline = Deadline::after(patience);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Err(_) if deadline.is_over() => return Err(unread()),
            Err(_) => thread::sleep(RETRY),
        }
    }
    Ok(())
}

/// Whether opening a pipe failed because no program has opened the pipe for reading.
#[cfg(unix)]
fn has_no_reader(path: &Path, error: &io::Error) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    let is_pipe = || fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
    error.raw_os_error() == Some(libc::ENXIO) && is_pipe()
}

#[cfg(not(unix))]
fn has_no_reader(_: &Path, _: &io::Error) -> bool {
    false
}

/// How to write to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The path is opened and written to, because it is a device, a pipe, or a file in /dev or /proc.
    Device,
    /// The file is replaced, or created if it does not exist.
    Replaceable,
}

/// The maximum number of symbolic links to follow, as in Linux.
const MOST_LINKS: usize = 40;

/// Determines how to write to a path. Follows only links that belong to this user or to root.
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

/// A temporary file that will replace the file at `path`. Only the owner can read the temporary file.
pub(crate) struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl NewFile {
    /// Creates an empty temporary file in the folder of `path`.
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
        // The lock shows other processes that this process still needs the file. Without the lock, another
        // process could remove the file once it is older than [`FRESH`].
        let _ = file.as_file().try_lock();
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    pub(crate) fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Waits until the content is on the disk, then replaces the file at `path`. Fails if the disk is full or
    /// the file cannot be renamed. The file to be replaced is then unchanged.
    pub(crate) fn replace(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(self.path)?;
        Ok(())
    }
}

/// The maximum number of characters that a temporary file's name takes from the name of the file to be
/// replaced. The whole name might not fit, because the system limits names to 255 bytes.
const NAME_CHARACTERS: usize = 50;

/// The suffix of temporary file names.
const SUFFIX: &str = ".sessiontut-new";

/// The minimum age at which a temporary file is removed. A younger file might be one that a process has
/// created but not locked yet.
const FRESH: Duration = Duration::from_secs(1);

/// Removes temporary files that killed processes left behind.
fn remove_left_behind(folder: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(prefix) && name.ends_with(SUFFIX) && is_left_behind(&entry.path()) {
            // If removal fails, the next write tries again.
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
        let unread = write_to_device(&pipe, b"new", Duration::from_millis(50));
        assert_eq!(unread.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_path_is_checked_without_changing_anything() {
        let folder = tempfile::tempdir().unwrap();
        let [new, missing] = ["new.json", "missing/new.json"].map(|name| folder.path().join(name));
        check_writable(&new).unwrap();
        assert!(check_writable(&missing).is_err());
        assert!(check_writable(folder.path()).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
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
