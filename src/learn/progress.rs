//! The learner's progress, by lesson id, in a JSON file. A file that cannot be used never stops a lesson.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::state;

/// The version of the file format.
const VERSION: u64 = 1;

/// A larger file is not a progress file.
const MOST_BYTES: u64 = 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Progress {
    record: Record,
    /// `None`: not saved.
    file: Option<PathBuf>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    version: u64,
    /// The id of the current lesson.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    /// Unknown ids are kept: they belong to another folder of lessons.
    #[serde(default)]
    lessons: BTreeMap<String, LessonProgress>,
    /// Keys that still have to be removed if the program did not end normally.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LessonProgress {
    /// The step to continue with, from 0.
    #[serde(default)]
    pub step: usize,
    #[serde(default)]
    pub done: bool,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl Progress {
    /// Reads `progress.json` in the folder. Also returns a message if it cannot be used or saved.
    #[must_use]
    pub(crate) fn read(folder: Option<&Path>) -> (Self, Option<String>) {
        let Some(folder) = folder else {
            let problem = "progress will not be saved: set HOME or XDG_STATE_HOME";
            return (Self::in_memory(), Some(problem.into()));
        };
        let file = folder.join("progress.json");
        match content(&file) {
            Ok(None) => match fs::create_dir_all(folder).and_then(|()| can_write(folder)) {
                Ok(()) => (Self::new(Some(file)), None),
                Err(error) => (Self::in_memory(), Some(not_saved(&file, &error))),
            },
            Ok(Some(text)) => Self::from_text(file, &text),
            Err(error) => (Self::in_memory(), Some(not_saved(&file, &error))),
        }
    }

    fn from_text(file: PathBuf, text: &str) -> (Self, Option<String>) {
        let json = serde_json::from_str::<Value>(text).unwrap_or_default();
        if json
            .get("version")
            .and_then(Value::as_u64)
            .is_some_and(|version| version > VERSION)
        {
            let problem = not_saved(&file, &"written by a newer sessiontut");
            return (Self::in_memory(), Some(problem));
        }
        match serde_json::from_value::<Record>(json) {
            Ok(record) if record.version == VERSION => match can_write(file.parent().unwrap_or(&file)) {
                Ok(()) => {
                    let file = Some(file);
                    (Self { record, file }, None)
                }
                Err(error) => {
                    let problem = not_saved(&file, &error);
                    (Self { record, file: None }, Some(problem))
                }
            },
            _ => Self::set_aside(file),
        }
    }

    /// Renames a damaged file, and starts without progress.
    fn set_aside(file: PathBuf) -> (Self, Option<String>) {
        match state::set_aside(&file) {
            Ok(renamed) => {
                let problem = format!(
                    "{} is damaged and was renamed to {}; lessons start from the beginning",
                    file.display(),
                    renamed.display()
                );
                (Self::new(Some(file)), Some(problem))
            }
            Err(error) => (Self::in_memory(), Some(not_saved(&file, &error))),
        }
    }

    fn new(file: Option<PathBuf>) -> Self {
        let record = Record {
            version: VERSION,
            ..Record::default()
        };
        Self { record, file }
    }

    /// Progress that is neither read nor saved.
    #[must_use]
    pub(crate) fn in_memory() -> Self {
        Self::new(None)
    }

    #[must_use]
    pub(crate) fn of(&self, id: &str) -> LessonProgress {
        self.record.lessons.get(id).cloned().unwrap_or_default()
    }

    /// The id of the current lesson.
    #[must_use]
    pub(crate) fn current(&self) -> Option<&str> {
        self.record.current.as_deref()
    }

    /// The language of code blocks.
    #[must_use]
    pub(crate) fn language(&self) -> Option<&str> {
        self.record.language.as_deref()
    }

    pub(crate) fn set_language(&mut self, language: &str) {
        self.record.language = Some(language.to_owned());
    }

    /// Keys that still have to be removed.
    #[must_use]
    pub(crate) fn keys(&self) -> &[String] {
        &self.record.keys
    }

    pub(crate) fn set_keys(&mut self, keys: Vec<String>) {
        self.record.keys = keys;
    }

    /// The learner is at this step of this lesson.
    pub(crate) fn arrive(&mut self, id: &str, step: usize) {
        self.record.current = Some(id.to_owned());
        self.record.lessons.entry(id.to_owned()).or_default().step = step;
    }

    /// The lesson is done; the next time it starts at its first step.
    pub(crate) fn finish(&mut self, id: &str) {
        let lesson = self.record.lessons.entry(id.to_owned()).or_default();
        lesson.done = true;
        lesson.step = 0;
    }

    /// All lessons are done, so none is current.
    pub(crate) fn leave_lesson(&mut self) {
        self.record.current = None;
    }

    /// Forgets the progress of a lesson.
    pub(crate) fn forget(&mut self, id: &str) {
        self.record.lessons.remove(id);
        if self.record.current.as_deref() == Some(id) {
            self.record.current = None;
        }
    }

    /// Saves the file atomically.
    ///
    /// # Errors
    /// Returns a message for the learner, but only for the first failure.
    pub(crate) fn save(&mut self) -> Result<(), String> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let saved = serde_json::to_vec_pretty(&self.record)
            .map_err(io::Error::other)
            .and_then(|text| state::write(file, &text));
        let Err(error) = saved else {
            return Ok(());
        };
        let problem = not_saved(file, &error);
        self.file = None;
        Err(problem)
    }
}

fn not_saved(file: &Path, why: &dyn std::fmt::Display) -> String {
    format!("progress will not be saved: {}: {why}", file.display())
}

/// The text of the file; `None` if it does not exist.
fn content(file: &Path) -> io::Result<Option<String>> {
    match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(metadata) if !metadata.is_file() => Err(io::Error::other("not a regular file")),
        // An empty text is not valid JSON, so the file is set aside.
        Ok(metadata) if metadata.len() > MOST_BYTES => Ok(Some(String::new())),
        Ok(_) => fs::read(file).map(|bytes| Some(String::from_utf8_lossy(&bytes).into_owned())),
    }
}

/// Creates a file in the folder, because its permissions alone do not show whether that is possible.
fn can_write(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!(".probe-{}", std::process::id()));
    fs::write(&probe, b"")?;
    fs::remove_file(&probe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_comes_back_by_id_and_unknown_ids_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("progress.json");
        let text = r#"{"version":1,"lessons":{"of-others":{"step":3,"done":true,"stars":5}},"mood":"good"}"#;
        fs::write(&file, text).unwrap();
        let (mut progress, problem) = Progress::read(Some(folder.path()));
        assert_eq!(problem, None);
        progress.arrive("expire", 2);
        progress.save().unwrap();
        let (progress, _) = Progress::read(Some(folder.path()));
        assert_eq!(
            (progress.current(), progress.of("expire").step),
            (Some("expire"), 2)
        );
        let kept: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(kept["lessons"]["of-others"]["stars"], 5);
        assert_eq!(kept["mood"], "good");
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_reported() {
        for text in [
            "{",
            "[]",
            "",
            "{\"lessons\":7}",
            "{\"version\":\"1\"}",
            "\u{0}\u{1}",
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("progress.json"), text).unwrap();
            let (mut progress, problem) = Progress::read(Some(folder.path()));
            assert!(problem.is_some(), "{text}");
            assert_eq!(
                fs::read_to_string(folder.path().join("progress.damaged-1")).unwrap(),
                text
            );
            progress.arrive("expire", 1);
            progress.save().unwrap();
        }
    }

    #[test]
    fn a_newer_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("progress.json");
        fs::write(&file, "{\"version\":2,\"steps\":[]}").unwrap();
        let (mut progress, problem) = Progress::read(Some(folder.path()));
        assert!(problem.is_some());
        progress.arrive("expire", 1);
        progress.save().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\"version\":2,\"steps\":[]}");
    }

    #[test]
    fn without_a_folder_nothing_is_saved_and_nothing_fails() {
        let (mut progress, problem) = Progress::read(None);
        assert!(problem.is_some());
        progress.arrive("expire", 1);
        assert_eq!(progress.save(), Ok(()));

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("not-a-folder");
        fs::write(&file, "").unwrap();
        let (mut progress, problem) = Progress::read(Some(&file.join("state")));
        assert!(problem.is_some());
        assert_eq!(progress.save(), Ok(()));
    }
}
