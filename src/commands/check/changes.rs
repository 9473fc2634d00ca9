//! Detects changes to the app's source code (`--watch`).

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The pause between two searches for changed files with `--watch`.
pub(super) const LOOK: Duration = Duration::from_millis(300);
/// Folders that `--watch` ignores, because they contain no source code of the app.
const NOT_WATCHED: [&str; 6] = ["node_modules", "target", "__pycache__", "venv", "build", "dist"];

/// Files and their modification times.
type Files = HashMap<PathBuf, Option<SystemTime>>;

/// The state of a watched folder.
#[derive(Debug)]
pub(super) struct Watch {
    folder: PathBuf,
    /// The file to which the report is written. Changes to this file are ignored.
    report: Option<PathBuf>,
    /// Whether the app stops after each run.
    is_app_stopped: bool,
    /// The files at the start of the run, for comparison.
    seen: Files,
    /// The files that changed during the last run.
    changed: HashSet<PathBuf>,
    /// Files that the app itself writes, such as a log or a database.
    written_by_app: HashSet<PathBuf>,
}

impl Watch {
    pub(super) fn new(folder: &Path, report: Option<&Path>, is_app_stopped: bool) -> Self {
        // The paths of the folder and of the report may refer to the same folder in different ways, for
        // example through a symbolic link.
        let absolute = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let in_its_folder = |file: &Path| {
            let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
            absolute(folder.unwrap_or(Path::new("."))).join(file.file_name().unwrap_or_default())
        };
        Self {
            folder: absolute(folder),
            report: report.map(in_its_folder),
            is_app_stopped,
            seen: Files::new(),
            changed: HashSet::new(),
            written_by_app: HashSet::new(),
        }
    }

    /// Records the state of the folder before a run.
    pub(super) fn run_begins(&mut self) {
        self.seen = self.files();
    }

    /// Records the files that changed during the run. If a file changes in two successive runs, the app
    /// itself probably writes that file.
    pub(super) fn run_ends(&mut self) {
        let now = self.files();
        let changed: HashSet<PathBuf> = self.changed_since(&now).collect();
        self.written_by_app
            .extend(changed.intersection(&self.changed).cloned());
        self.changed = changed;
        for file in &self.written_by_app {
            // A stopped app cannot change this file any more, so a further change comes from the user.
            self.seen.insert(file.clone(), now.get(file).copied().flatten());
        }
    }

    /// Whether a file has changed since the run began. While the app runs, ignores files that the app itself
    /// writes.
    pub(super) fn has_changed(&self) -> bool {
        let now = self.files();
        let mut changed = self.changed_since(&now);
        changed.any(|file| self.is_app_stopped || !self.written_by_app.contains(&file))
    }

    /// Returns the files that are new, changed or missing.
    fn changed_since<'a>(&'a self, now: &'a Files) -> impl Iterator<Item = PathBuf> + 'a {
        let all = self.seen.keys().chain(now.keys());
        let is_changed = |file: &&PathBuf| {
            let time = |files: &Files| files.get(*file).copied().flatten();
            time(&self.seen) != time(now)
        };
        all.filter(is_changed).cloned()
    }

    /// Returns the watched files in the folder and its subfolders, except the report.
    fn files(&self) -> Files {
        let mut files = Files::new();
        add_files(&self.folder, &mut files);
        if let Some(report) = &self.report {
            files.remove(report);
        }
        files
    }
}

fn add_files(folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || NOT_WATCHED.contains(&name.as_ref()) {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => add_files(&entry.path(), files),
            Ok(_) => {
                let changed = entry.metadata().and_then(|about| about.modified());
                files.insert(entry.path(), changed.ok());
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_the_source_code_counts_and_what_a_run_writes_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let [source, log, report] = ["app.py", "app.log", "junit.xml"].map(|name| folder.path().join(name));
        let write = |file: &Path, second: u64| {
            fs::write(file, "text").unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            fs::File::options()
                .append(true)
                .open(file)
                .unwrap()
                .set_modified(time)
                .unwrap();
        };
        write(&source, 1);
        for is_app_stopped in [true, false] {
            let mut watch = Watch::new(folder.path(), Some(&report), is_app_stopped);
            let mut run = |second: u64, changes: &[&PathBuf]| {
                watch.run_begins();
                changes.iter().for_each(|file| write(file, second));
                watch.run_ends();
                watch.has_changed()
            };
            assert!(!run(2, &[&report]));
            assert!(run(3, &[&report, &log]), "the log is new");
            assert!(!run(4, &[&report, &log]), "the app writes the log");
            assert!(run(5, &[&log, &source]), "the user has changed the source code");
            assert!(!run(6, &[&log]));
            write(&log, 7);
            assert_eq!(watch.has_changed(), is_app_stopped);
            write(&source, 8);
            assert!(watch.has_changed());
        }
    }
}
