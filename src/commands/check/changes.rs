//! Notices when the source code of the app changes (`--watch`).

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// How often to look for changed files.
pub(super) const LOOK: Duration = Duration::from_millis(300);
/// Folders that are ignored, because they do not contain source code.
const NOT_WATCHED: [&str; 6] = ["node_modules", "target", "__pycache__", "venv", "build", "dist"];

/// Returns the most recent modification time of any file in a folder and its subfolders.
pub(super) fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let changes = entries.filter_map(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || NOT_WATCHED.contains(&name.as_ref()) {
            return None;
        }
        match entry.file_type().ok()?.is_dir() {
            true => newest(&entry.path()),
            false => entry.metadata().ok()?.modified().ok(),
        }
    });
    changes.max()
}
