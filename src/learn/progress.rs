//! The learner's progress in each lesson, saved in a JSON file. Lessons work even if the file is unusable.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::state::Saved;

pub(crate) type Progress = Saved<LearnerRecord>;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct LearnerRecord {
    /// The ID of the current lesson, or `None` if no lesson is in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The language in which code is shown, or `None` for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The command that starts the learner's app, or `None` if unknown. Empty if the learner starts the app
    /// in a different way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The progress by lesson ID. Unknown IDs are kept, because they may belong to a different folder of
    /// lessons.
    #[serde(default)]
    lessons: BTreeMap<String, LessonProgress>,
    /// Keys that an interrupted run left behind and that must still be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// The user name in `keys`, or `None` for the name `ada`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LessonProgress {
    /// The index of the step at which to continue.
    #[serde(default)]
    pub step: usize,
    #[serde(default)]
    pub done: bool,
    /// The time that the learner has spent on this lesson, in seconds.
    #[serde(default)]
    pub seconds: u64,
    /// The number of quizzes that the learner has answered.
    #[serde(default)]
    pub quizzes: usize,
    /// The number of quizzes that the learner answered correctly at the first attempt.
    #[serde(default)]
    pub right_at_once: usize,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// Reads `progress.json` from the folder. The second result is a message if the file is damaged or progress
/// cannot be saved.
pub(crate) fn read(folder: io::Result<PathBuf>) -> (Progress, Option<String>) {
    Saved::read(folder, "progress.json", "your progress")
}

impl LearnerRecord {
    pub(crate) fn of(&self, id: &str) -> LessonProgress {
        self.lessons.get(id).cloned().unwrap_or_default()
    }

    /// Records that the learner has reached this step.
    pub(crate) fn arrive(&mut self, id: &str, step: usize) {
        self.current = Some(id.to_owned());
        self.lessons.entry(id.to_owned()).or_default().step = step;
    }

    /// Resets the quiz results of a lesson that starts from its first step.
    pub(crate) fn begin(&mut self, id: &str) {
        let lesson = self.lessons.entry(id.to_owned()).or_default();
        (lesson.quizzes, lesson.right_at_once) = (0, 0);
    }

    /// Records the first answer to a quiz.
    pub(crate) fn answer(&mut self, id: &str, is_right: bool) {
        let lesson = self.lessons.entry(id.to_owned()).or_default();
        lesson.quizzes += 1;
        lesson.right_at_once += usize::from(is_right);
    }

    pub(crate) fn spend(&mut self, id: &str, span: Duration) {
        let lesson = self.lessons.entry(id.to_owned()).or_default();
        lesson.seconds = lesson.seconds.saturating_add(span.as_secs());
    }

    /// Records that the learner has completed the lesson. The next attempt starts at the first step.
    pub(crate) fn finish(&mut self, id: &str) {
        let lesson = self.lessons.entry(id.to_owned()).or_default();
        lesson.done = true;
        lesson.step = 0;
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.lessons.remove(id);
        self.current.take_if(|current| current == id);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn progress_comes_back_by_id_and_unknown_ids_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("progress.json");
        let text = r#"{"version":1,"lessons":{"of-others":{"step":3,"done":true,"stars":5}},"mood":"good"}"#;
        fs::write(&file, text).unwrap();
        let (mut progress, problem) = read(Ok(folder.path().to_owned()));
        assert_eq!(problem, None);
        progress.record.arrive("expire", 2);
        progress.save().unwrap();
        let (progress, _) = read(Ok(folder.path().to_owned()));
        assert_eq!(
            (
                progress.record.current.as_deref(),
                progress.record.of("expire").step
            ),
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
            let (mut progress, problem) = read(Ok(folder.path().to_owned()));
            assert!(problem.is_some(), "{text}");
            assert_eq!(
                fs::read_to_string(folder.path().join("progress.damaged-1")).unwrap(),
                text
            );
            progress.record.arrive("expire", 1);
            progress.save().unwrap();
        }
    }

    #[test]
    fn a_newer_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("progress.json");
        fs::write(&file, "{\"version\":2,\"steps\":[]}").unwrap();
        let (mut progress, problem) = read(Ok(folder.path().to_owned()));
        assert!(problem.is_some());
        progress.record.arrive("expire", 1);
        progress.save().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "{\"version\":2,\"steps\":[]}");
    }

    #[test]
    fn without_a_folder_nothing_is_saved_and_nothing_fails() {
        let (mut progress, problem) = read(Err(io::ErrorKind::NotFound.into()));
        assert!(problem.is_some());
        progress.record.arrive("expire", 1);
        assert_eq!(progress.save(), Ok(()));

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("not-a-folder");
        fs::write(&file, "").unwrap();
        let (mut progress, problem) = read(Ok(file.join("state")));
        assert!(problem.is_some());
        assert_eq!(progress.save(), Ok(()));
    }
}
