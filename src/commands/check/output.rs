//! The file with the app's output.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::state;

const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the path of the file for the app's output, and removes an old file with the same path.
pub(super) fn create() -> Result<PathBuf, Error> {
    let file = match state::open_folder() {
        Ok(folder) => {
            remove_old(&folder);
            folder.join(format!("check-{}.log", std::process::id()))
        }
        Err(_) => std::env::temp_dir().join(format!("sessiontut-check-{}.log", std::process::id())),
    };
    match fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(file),
    }
}

/// Removes output files that are more than 24 hours old.
fn remove_old(folder: &Path) {
    let is_old = |file: &fs::DirEntry| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        let changed = file.metadata().and_then(|about| about.modified());
        let age = changed.ok().and_then(|changed| changed.elapsed().ok());
        name.starts_with("check-") && name.ends_with(".log") && age.is_some_and(|age| age > KEPT)
    };
    for file in fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(is_old)
    {
        remove(Some(file.path()));
    }
}

pub(super) fn remove(file: Option<PathBuf>) {
    if let Some(file) = file {
        // A file that cannot be removed stays.
        let _ = fs::remove_file(file);
    }
}
