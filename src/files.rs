//! Reads and writes files safely, despite crashes, other processes and other users.

mod atomic;
mod lock;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) use atomic::{NewFile, check_writable, write};
pub(crate) use lock::{open_lock, turn};

const MOST_BYTES: u64 = 1024 * 1024;

/// Reads a regular file of at most 1 MB. Fails if the file is larger, is not a regular file, or cannot be
/// read.
pub(crate) fn read_small(file: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(file)?.len() > MOST_BYTES {
        return Err(io::Error::other("larger than 1 MB"));
    }
    read(file)
}

/// Reads a regular file. Rejects other kinds of files, such as FIFOs, because reading them could block
/// forever.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    check_regular(path)?;
    fs::read(path)
}

fn check_regular(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.is_file() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

/// Whether a file belongs to the user of this process or to root.
#[cfg(unix)]
fn is_trusted(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    [0, rustix::process::geteuid().as_raw()].contains(&found.uid())
}

#[cfg(not(unix))]
fn is_trusted(_: &fs::Metadata) -> bool {
    true
}

/// Renames a damaged file to an unused name, and returns that name.
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
}
