//! The file with the app's output. The file size is limited, because an app might print in an endless loop.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::sanitize;

/// The size limit of the file with the app's output, in bytes. The file may briefly be larger, because its
/// size is checked periodically.
const MOST_BYTES: u64 = 8 * 1024 * 1024;
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// The number of bytes at the end of the app's output that are searched for the last lines. If the file is
/// too large, only this number of bytes is kept.
const TAIL: u64 = 64 * 1024;
/// The maximum number of lines of the app's output in a report.
const MOST_LINES: usize = 10;

/// The file with the app's output. A thread limits the file size until the last clone of this value is
/// dropped.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) file: PathBuf,
    /// Whether part of the output was removed.
    is_cut: Arc<AtomicBool>,
}

impl Output {
    /// Starts limiting the size of this file. The app must open the file in append mode, because the file is
    /// shortened while the app writes.
    pub(super) fn limited(file: &Path) -> Self {
        let output = Self {
            file: file.to_owned(),
            is_cut: Arc::default(),
        };
        let (file, watched) = (output.file.clone(), Arc::downgrade(&output.is_cut));
        let limit = move || {
            while let Some(is_cut) = watched.upgrade() {
                // If shortening fails, the next attempt may succeed.
                if shorten(&file).unwrap_or(false) {
                    is_cut.store(true, Ordering::Relaxed);
                }
                drop(is_cut);
                thread::sleep(CHECK_EVERY);
            }
        };
        // If the thread cannot be started, the size is not limited.
        let _ = thread::Builder::new().name("app-output".into()).spawn(limit);
        output
    }

    pub(super) fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |file| file.len())
    }

    /// Returns the output, or `None` if part of it was removed.
    pub(crate) fn whole(&self) -> Option<String> {
        let mut bytes = Vec::new();
        if let Ok(file) = File::open(&self.file) {
            let _ = file.take(MOST_BYTES).read_to_end(&mut bytes);
        }
        let is_cut = self.is_cut.load(Ordering::Relaxed) || self.length() > MOST_BYTES;
        (!is_cut).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Returns the last lines of the output, without control characters.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        let tail = tail(&self.file).unwrap_or_default();
        let tail = String::from_utf8_lossy(&tail);
        let lines: Vec<&str> = tail.lines().collect();
        let last = &lines[lines.len().saturating_sub(MOST_LINES)..];
        last.iter()
            .map(|line| sanitize::line(line).into_owned())
            .collect()
    }
}

/// If the file is too large, removes all but its end. Returns whether the file was too large.
fn shorten(file: &Path) -> io::Result<bool> {
    if file.metadata()?.len() <= MOST_BYTES {
        return Ok(false);
    }
    let tail = tail(file)?;
    let mut open = File::options().append(true).open(file)?;
    open.set_len(0)?;
    open.write_all(b"(sessiontut check has removed the output before this line, because it was too long)\n")?;
    open.write_all(&tail)?;
    Ok(true)
}

fn tail(file: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(file)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_too_large_keeps_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        let mut app = File::options().append(true).create(true).open(&path).unwrap();
        app.write_all(b"one\n").unwrap();
        assert!(!shorten(&path).unwrap());
        app.write_all(&vec![b'x'; MOST_BYTES as usize]).unwrap();
        app.write_all(b"\ntwo\n").unwrap();
        assert!(shorten(&path).unwrap());
        app.write_all(b"three \x1b[31m\n").unwrap();
        let output = Output {
            file: path,
            is_cut: Arc::new(AtomicBool::new(true)),
        };
        assert!(output.length() < 2 * TAIL);
        let lines = output.last_lines();
        assert!(
            lines.ends_with(&["two".to_owned(), "three \\x1b[31m".to_owned()]),
            "{lines:?}"
        );
        assert_eq!(output.whole(), None);
    }
}
