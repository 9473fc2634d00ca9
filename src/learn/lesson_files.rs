//! Lesson files, either built into the program or in a folder.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::lesson::{Block, CodeTab, Lesson, LessonError};
use super::name;
use super::parse::Problem;
use super::parse::{MayRun, number_and_id, parse};
use crate::files;

/// The source of lessons: a folder with files such as `NN-id.md`, or the built-in files.
#[derive(Clone, Debug)]
pub(crate) struct LessonFiles {
    pub folder: Option<PathBuf>,
    /// Decides which sessiontut commands the lessons may run.
    pub may_run: MayRun,
}

/// The lessons from all valid files, and the errors in the other files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lessons {
    /// The lessons, sorted by number.
    pub list: Vec<Lesson>,
    pub errors: Vec<LessonError>,
}

macro_rules! built_in {
    ($($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!("../../lessons/", $file)))),+]
    };
}

/// The names and contents of the files in `lessons/`.
const BUILT_IN: &[(&str, &str)] = built_in![
    "00-redis.md",
    "01-cookie-session.md",
    "02-reach-redis.md",
    "03-count-visits.md",
    "04-expire.md",
    "05-session-store.md",
    "06-in-a-browser.md",
    "07-in-production.md",
    "08-troubleshooting.md",
    "09-your-app.md",
];

/// Returns the IDs of the built-in lessons, such as `expire`.
pub(crate) fn built_in_names() -> Vec<&'static str> {
    let without_number = |(file, _): &(&'static str, &str)| file.trim_end_matches(".md").split_once('-');
    BUILT_IN
        .iter()
        .filter_map(without_number)
        .map(|(_, name)| name)
        .collect()
}

impl fmt::Display for LessonFiles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.folder {
            None => out.write_str("the built-in lessons"),
            Some(folder) => write!(out, "{}", folder.display()),
        }
    }
}

impl LessonFiles {
    /// Reads all lessons, and fills in the learner's name. Invalid files do not affect other lessons.
    pub(crate) fn read(&self, name: &str) -> io::Result<Lessons> {
        let files = match &self.folder {
            None => BUILT_IN
                .iter()
                .map(|(name, source)| (format!("lessons/{name}"), Ok((*source).to_owned())))
                .collect(),
            Some(folder) => files_in(folder)?,
        };
        Ok(lessons_of(files, name, self.may_run))
    }

    /// Returns the text of an example file, or `None` if the file cannot be read. `path` is relative to the
    /// parent of the lessons folder.
    fn example(&self, path: &str) -> Option<String> {
        let read = |file: &Path| String::from_utf8(files::read_small(file).ok()?).ok();
        match &self.folder {
            // The built-in lessons can find the examples if the working directory is the project folder.
            None => read(Path::new(path)),
            Some(folder) => {
                let project = folder.canonicalize().ok()?;
                let read = |root: &Path| read(&root.join(path));
                project.parent().and_then(read).or_else(|| read(&project))
            }
        }
    }

    /// Compares each fence that has `from=PATH#REGION` with its example file, and returns the differences.
    pub(crate) fn compare_examples(&self, lesson: &Lesson) -> Vec<LessonError> {
        let steps = lesson.steps.iter().flat_map(|step| &step.blocks);
        let tabs = steps.chain(&lesson.introduction).flat_map(|block| match block {
            Block::Code(tabs) => tabs.as_slice(),
            _ => &[],
        });
        let compared = tabs.filter_map(|tab| self.compare_example(tab));
        compared
            .map(|(line, what)| LessonError {
                file: lesson.file.clone(),
                line,
                what,
            })
            .collect()
    }

    /// Returns the first line that differs from the example file, with a description of the difference.
    /// Returns `None` if no line differs.
    fn compare_example(&self, tab: &CodeTab) -> Option<Problem> {
        let (path, name) = tab.fence.from.as_ref()?;
        let Some(source) = self.example(path) else {
            let what = || format!("`from=`: there is no file {path}");
            return self.folder.as_ref().map(|_| (tab.fence.line, what()));
        };
        let Some(region) = region(&source, name) else {
            let what =
                format!("{path} has no region `{name}`: mark it with `region {name}` and `endregion {name}`");
            return Some((tab.fence.line, what));
        };
        let (row, ours, theirs) = first_difference(&tab.text, &region)?;
        let what = format!("differs from {path}#{name}: here `{ours}`, there `{theirs}`");
        Some((tab.fence.line + 1 + row, what))
    }
}

impl Lessons {
    /// Finds a lesson by number, by ID, or by part of its ID or title. Returns the lesson's index. Returns a
    /// message if no lesson matches, or if several lessons match.
    pub(crate) fn find(&self, word: &str) -> Result<usize, String> {
        let word = word.trim().to_lowercase();
        let is_exact = |lesson: &Lesson| lesson.id == word || word.parse() == Ok(lesson.number);
        if let Some(index) = self.list.iter().position(is_exact) {
            return Ok(index);
        }
        let has = |lesson: &Lesson| lesson.id.contains(&word) || lesson.title.to_lowercase().contains(&word);
        let indexes: Vec<usize> = (0..self.list.len())
            .filter(|index| !word.is_empty() && has(&self.list[*index]))
            .collect();
        match indexes.as_slice() {
            [index] => Ok(*index),
            [] => Err(format!(
                "there is no lesson {word:?}; `sessiontut learn --list` lists all lessons"
            )),
            several => {
                let lessons = several.iter().map(|index| &self.list[*index]);
                let names: Vec<String> = lessons
                    .map(|lesson| format!("{} {}", lesson.number, lesson.id))
                    .collect();
                Err(format!("{word:?} matches several lessons: {}", names.join(", ")))
            }
        }
    }
}

/// A file name for messages, and the text of the file. If the file cannot be used, contains the problem
/// instead of the text.
type LessonFile = (String, Result<String, Problem>);

fn files_in(folder: &Path) -> io::Result<Vec<LessonFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let lower = name.to_lowercase();
        if lower.ends_with(".md") && !lower.starts_with("readme") && !name.starts_with('.') {
            let shown = folder.join(&name).to_string_lossy().into_owned();
            files.push((shown, text_of(&path)));
        }
    }
    Ok(files)
}

fn text_of(path: &Path) -> Result<String, Problem> {
    let bytes = files::read_small(path).map_err(|error| (1, format!("cannot be read: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        (line, "not UTF-8".into())
    })
}

fn lessons_of(mut files: Vec<LessonFile>, name: &str, may_run: MayRun) -> Lessons {
    files.sort_by_key(|(file, _)| {
        let number = number_and_id(file).map_or(u32::MAX, |(number, _)| number);
        (number, file.clone())
    });
    let mut lessons = Lessons::default();
    for (file, text) in files {
        let error = |(line, what)| LessonError {
            file: file.clone(),
            line,
            what,
        };
        let parsed = text.map_err(|problem| vec![error(problem)]).and_then(|text| {
            let is_built_in = BUILT_IN.iter().any(|(_, source)| *source == text);
            let may_run = if is_built_in {
                |_: &[String]| Ok(())
            } else {
                may_run
            };
            parse(&file, &name::rename(&text, name), may_run)
        });
        match parsed {
            Ok(lesson) => match duplicate(&lessons, &lesson) {
                Some(what) => lessons.errors.push(error((1, what))),
                None => lessons.list.push(lesson),
            },
            Err(errors) => lessons.errors.extend(errors),
        }
    }
    lessons
}

/// Returns a message if a different lesson has the same ID or number. IDs must differ because progress is
/// stored by ID, and numbers because lessons are sorted by number.
fn duplicate(lessons: &Lessons, lesson: &Lesson) -> Option<String> {
    let is_same = |other: &&Lesson| other.id == lesson.id || other.number == lesson.number;
    let other = lessons.list.iter().find(is_same)?;
    let what = if other.id == lesson.id { "id" } else { "number" };
    Some(format!("has the same {what} as {}", other.file))
}

/// Returns the lines between the comments `region NAME` and `endregion NAME`, or `None` without these
/// comments. Omits the comments of other regions.
fn region(source: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> = source.lines().collect();
    let place = |word| lines.iter().position(|line| marker(line) == Some((word, name)));
    let inside = lines.get(place("region")? + 1..place("endregion")?)?;
    let shown: Vec<&str> = inside
        .iter()
        .copied()
        .filter(|line| marker(line).is_none())
        .collect();
    Some(shown.join("\n"))
}

/// Returns the first difference between a fence and a region: the line index, and both versions of the line.
fn first_difference(text: &str, region: &str) -> Option<(usize, String, String)> {
    let (text, region) = (dedented(text), dedented(region));
    (0..text.len().max(region.len()))
        .map(|row| {
            let line = |lines: &[String]| lines.get(row).cloned().unwrap_or_default();
            (row, line(&text), line(&region))
        })
        .find(|(_, ours, theirs)| ours != theirs)
}

/// Parses the comment `region NAME` or `endregion NAME`. Returns `None` for all other lines.
fn marker(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let mut signs = ["//", "#", "--", ";"].into_iter();
    let comment = signs.find_map(|sign| line.strip_prefix(sign))?.trim();
    let (word, name) = comment.trim_start_matches('#').split_once(char::is_whitespace)?;
    matches!(word, "region" | "endregion").then_some((word, name.trim()))
}

fn dedented(text: &str) -> Vec<String> {
    let text = textwrap::dedent(text);
    let lines = text.trim_matches('\n').lines();
    lines.map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_in_the_folder_is_compiled_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lessons");
        let mut files: Vec<(String, String)> = files_in(&folder)
            .unwrap_or_default()
            .into_iter()
            .map(|(file, source)| (file.rsplit('/').next().unwrap().to_owned(), source.unwrap()))
            .collect();
        files.sort();
        let compiled_in: Vec<(String, String)> = BUILT_IN
            .iter()
            .map(|(name, source)| ((*name).to_owned(), (*source).to_owned()))
            .collect();
        assert_eq!(
            compiled_in, files,
            "BUILT_IN in src/learn/lesson_files.rs lists every file of lessons/, in order"
        );
    }

    #[test]
    fn the_built_in_lessons_are_in_order() {
        let files = LessonFiles {
            folder: None,
            may_run: |_| Ok(()),
        };
        let lessons = files.read(name::FIRST_NAME).unwrap();
        assert_eq!(lessons.errors, []);
        let differences: Vec<LessonError> = lessons
            .list
            .iter()
            .flat_map(|lesson| files.compare_examples(lesson))
            .collect();
        assert_eq!(differences, []);
    }

    #[test]
    fn a_lesson_is_found_by_number_id_or_a_part_of_a_word() {
        let named = |name: &str, title: &str| {
            (
                format!("lessons/{name}"),
                Ok(format!("# {title}\n\n## S\n\ntext\n")),
            )
        };
        let files = vec![
            named("10-last.md", "Expire again"),
            named("02-expire.md", "Let it expire"),
            named("03-count.md", "Count visits"),
            named("03-other.md", "Same number"),
            named("04-count.md", "Same id"),
        ];
        let lessons = lessons_of(files, name::FIRST_NAME, |_| Ok(()));
        let ids: Vec<&str> = lessons.list.iter().map(|lesson| lesson.id.as_str()).collect();
        assert_eq!(ids, ["expire", "count", "last"]);
        assert_eq!(lessons.errors.len(), 2);
        for (word, place) in [
            ("3", 1),
            ("03", 1),
            ("10", 2),
            ("expire", 0),
            ("visi", 1),
            ("LAST", 2),
        ] {
            assert_eq!(lessons.find(word), Ok(place), "{word}");
        }
        assert!(lessons.find("again").is_ok());
        assert!(lessons.find("e").is_err() && lessons.find("").is_err());
    }

    const SOURCE: &str = "import x\n\ndef a():\n    # region one\n    b()\n    # region two\n    if c:\n        d()\n    # endregion two\n    # endregion one\n";

    #[test]
    fn a_region_is_the_text_between_its_markers() {
        assert_eq!(
            dedented(&region(SOURCE, "one").unwrap()),
            ["b()", "if c:", "    d()"]
        );
        assert_eq!(dedented(&region(SOURCE, "two").unwrap()), ["if c:", "    d()"]);
        assert_eq!(region(SOURCE, "three"), None);
        assert_eq!(region("// #region a\nx\n// #endregion a\n", "a").unwrap(), "x");
        assert_eq!(region("# region a\nx\n", "a"), None);
    }

    #[test]
    fn a_difference_names_its_line() {
        let two = region(SOURCE, "two").unwrap();
        assert_eq!(first_difference("if c:\n    d()\n", &two), None);
        assert_eq!(
            first_difference("if c:\n    e()\n", &two),
            Some((1, "    e()".into(), "    d()".into()))
        );
        assert_eq!(
            first_difference("if c:\n", &two),
            Some((1, String::new(), "    d()".into()))
        );
    }
}
