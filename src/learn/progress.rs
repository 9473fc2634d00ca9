//! Where the learner is, by the lessons' ids: a JSON file that is never allowed to stop a lesson.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::state;

/// The form of the file that this program writes.
const VERSION: u64 = 1;

/// A file larger than this is none of ours.
const MOST_BYTES: u64 = 1024 * 1024;

/// What is kept between two sittings.
#[derive(Debug)]
pub(crate) struct Progress {
    record: Record,
    keeping: Keeping,
}

/// Whether progress is written down.
#[derive(Debug)]
enum Keeping {
    In(PathBuf),
    /// Not, and the learner has been told why.
    Nowhere,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u64,
    /// The id of the lesson that was open last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    current: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    /// Ids that this program does not know stay: another set of lessons has them.
    #[serde(default)]
    lessons: BTreeMap<String, Mark>,
    /// Keys that a lesson may have left behind, if it could not tidy up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    #[serde(flatten)]
    unknown: serde_json::Map<String, serde_json::Value>,
}

/// How far a lesson is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The step to go on with, from 0.
    #[serde(default)]
    pub step: usize,
    /// Whether it was gone through to its end.
    #[serde(default)]
    pub done: bool,
    #[serde(flatten)]
    unknown: serde_json::Map<String, serde_json::Value>,
}

impl Progress {
    /// Reads the file; also returns a line for the learner where it is of no use, or cannot be kept.
    ///
    /// Without a folder nothing is kept.
    #[must_use]
    pub(crate) fn read(folder: Option<&Path>) -> (Self, Option<String>) {
        let Some(folder) = folder else {
            let line = "no home folder, so your progress is not kept this time (HOME or XDG_STATE_HOME would say where)";
            return (Self::nowhere(), Some(line.into()));
        };
        let file = folder.join("progress.json");
        match content(&file) {
            Ok(None) => match fs::create_dir_all(folder).and_then(|()| can_write(folder)) {
                Ok(()) => (Self::fresh(file), None),
                Err(fault) => {
                    let line = format!(
                        "{} cannot be written ({fault}), so your progress is not kept",
                        folder.display()
                    );
                    (Self::nowhere(), Some(line))
                }
            },
            Ok(Some(text)) => Self::from_text(file, &text),
            Err(fault) => {
                let line = format!(
                    "{} cannot be read ({fault}), so your progress is not kept",
                    file.display()
                );
                (Self::nowhere(), Some(line))
            }
        }
    }

    fn from_text(file: PathBuf, text: &str) -> (Self, Option<String>) {
        let version = serde_json::from_str::<serde_json::Value>(text)
            .ok()
            .and_then(|value| value.get("version")?.as_u64());
        if version.is_some_and(|version| version > VERSION) {
            let shown = file.display();
            let line = format!(
                "{shown} was written by a newer sessiontut: it is left alone, and progress is not kept"
            );
            return (Self::nowhere(), Some(line));
        }
        match serde_json::from_str::<Record>(text) {
            Ok(record) if record.version == VERSION => {
                let line = can_write(file.parent().unwrap_or(Path::new(".")))
                    .err()
                    .map(|fault| {
                        format!(
                            "{} cannot be written ({fault}), so new progress is not kept",
                            file.display()
                        )
                    });
                let keeping = if line.is_none() {
                    Keeping::In(file)
                } else {
                    Keeping::Nowhere
                };
                (Self { record, keeping }, line)
            }
            _ => Self::set_aside(file),
        }
    }

    /// What is no progress of ours is kept under another name, and lessons begin anew.
    fn set_aside(file: PathBuf) -> (Self, Option<String>) {
        let shown = file.display();
        match state::set_aside(&file) {
            Ok(aside) => {
                let line = format!(
                    "{shown} is no progress of ours, or damaged: kept as {}, and lessons begin anew",
                    aside.display()
                );
                (Self::fresh(file), Some(line))
            }
            Err(fault) => {
                let line =
                    format!("{shown} is damaged and cannot be set aside ({fault}), so progress is not kept");
                (Self::nowhere(), Some(line))
            }
        }
    }

    fn fresh(file: PathBuf) -> Self {
        Self {
            record: Record::empty(),
            keeping: Keeping::In(file),
        }
    }

    fn nowhere() -> Self {
        Self {
            record: Record::empty(),
            keeping: Keeping::Nowhere,
        }
    }

    /// How far a lesson is.
    #[must_use]
    pub(crate) fn of(&self, id: &str) -> Mark {
        self.record.lessons.get(id).cloned().unwrap_or_default()
    }

    /// The lesson that was open last.
    #[must_use]
    pub(crate) fn current(&self) -> Option<&str> {
        self.record.current.as_deref()
    }

    /// The language that code was shown in last.
    #[must_use]
    pub(crate) fn language(&self) -> Option<&str> {
        self.record.language.as_deref()
    }

    /// Keys that a lesson may have left behind.
    #[must_use]
    pub(crate) fn keys(&self) -> &[String] {
        &self.record.keys
    }

    /// The learner is at this step of this lesson.
    pub(crate) fn arrive(&mut self, id: &str, step: usize) {
        self.record.current = Some(id.to_owned());
        self.record.lessons.entry(id.to_owned()).or_default().step = step;
    }

    /// The learner has gone through this lesson: the next time it begins at its start.
    pub(crate) fn finish(&mut self, id: &str) {
        let mark = self.record.lessons.entry(id.to_owned()).or_default();
        mark.done = true;
        mark.step = 0;
    }

    /// The learner is in no lesson: all are gone through.
    pub(crate) fn rest(&mut self) {
        self.record.current = None;
    }

    /// Code is shown in this language from now on.
    pub(crate) fn prefer(&mut self, language: &str) {
        self.record.language = Some(language.to_owned());
    }

    /// These keys are to be removed the next time, should this sitting not come to it.
    pub(crate) fn note_keys(&mut self, keys: Vec<String>) {
        self.record.keys = keys;
    }

    /// Forgets a lesson.
    pub(crate) fn forget(&mut self, id: &str) {
        self.record.lessons.remove(id);
        if self.record.current.as_deref() == Some(id) {
            self.record.current = None;
        }
    }

    /// Writes it down, whole or not at all.
    ///
    /// # Errors
    /// A line for the learner, the first time that it cannot be written.
    pub(crate) fn save(&mut self) -> Result<(), String> {
        let Keeping::In(file) = &self.keeping else {
            return Ok(());
        };
        let written = serde_json::to_vec_pretty(&self.record)
            .map_err(io::Error::other)
            .and_then(|text| state::write(file, &text));
        let Err(fault) = written else {
            return Ok(());
        };
        let line = format!(
            "{} cannot be written ({fault}), so new progress is not kept",
            file.display()
        );
        self.keeping = Keeping::Nowhere;
        Err(line)
    }
}

impl Record {
    fn empty() -> Self {
        Self {
            version: VERSION,
            current: None,
            language: None,
            lessons: BTreeMap::new(),
            keys: Vec::new(),
            unknown: serde_json::Map::new(),
        }
    }
}

/// The text of the file; `None` where there is none.
fn content(file: &Path) -> io::Result<Option<String>> {
    match fs::metadata(file) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
        Ok(about) if !about.is_file() => Err(io::Error::other("not a file")),
        // Neither JSON nor small: set aside like anything else that is not ours.
        Ok(about) if about.len() > MOST_BYTES => Ok(Some(String::new())),
        Ok(_) => fs::read(file).map(|bytes| Some(String::from_utf8_lossy(&bytes).into_owned())),
    }
}

/// Whether files can be made in a folder: asked by making one, since permissions alone do not tell.
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
        let (mut progress, line) = Progress::read(Some(folder.path()));
        assert_eq!(line, None);
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
    fn a_file_that_is_not_ours_is_set_aside_and_said_in_one_line() {
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
            let (mut progress, line) = Progress::read(Some(folder.path()));
            assert!(line.unwrap().contains("begin anew"), "{text}");
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
        let (mut progress, line) = Progress::read(Some(folder.path()));
        assert!(line.unwrap().contains("newer"));
        progress.arrive("expire", 1);
        progress.save().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\"version\":2,\"steps\":[]}");
    }

    #[test]
    fn without_a_place_nothing_is_kept_and_nothing_fails() {
        let (mut progress, line) = Progress::read(None);
        assert!(line.unwrap().contains("no home folder"));
        progress.arrive("expire", 1);
        assert_eq!(progress.save(), Ok(()));

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("not-a-folder");
        fs::write(&file, "").unwrap();
        let (mut progress, line) = Progress::read(Some(&file.join("state")));
        assert!(line.unwrap().contains("not kept"));
        assert_eq!(progress.save(), Ok(()));
    }
}
