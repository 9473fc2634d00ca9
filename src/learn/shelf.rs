//! Where lessons stand: compiled into the program, or in a folder.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::lesson::{Block, Lesson, Refusal, Tab};
use super::parse::{number_and_id, parse};
use super::{names, region};

/// Where lessons come from.
#[derive(Clone, Debug)]
pub(crate) enum Shelf {
    /// The program's own.
    BuiltIn,
    /// A folder of files `NN-id.md`.
    Folder(PathBuf),
}

/// The lessons that could be read, and why others could not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    /// In their order.
    pub lessons: Vec<Lesson>,
    /// What is wrong with the other files.
    pub refusals: Vec<Refusal>,
}

/// The lessons that are compiled in, by the name of their file, such as
/// `("01-cookie-session.md", include_str!("../../lessons/01-cookie-session.md"))`.
const BUILT_IN: &[(&str, &str)] = &[
    (
        "01-cookie-session.md",
        include_str!("../../lessons/01-cookie-session.md"),
    ),
    (
        "02-reach-redis.md",
        include_str!("../../lessons/02-reach-redis.md"),
    ),
    (
        "03-count-visits.md",
        include_str!("../../lessons/03-count-visits.md"),
    ),
    ("04-expire.md", include_str!("../../lessons/04-expire.md")),
    (
        "05-session-store.md",
        include_str!("../../lessons/05-session-store.md"),
    ),
    (
        "06-in-a-browser.md",
        include_str!("../../lessons/06-in-a-browser.md"),
    ),
    (
        "07-in-production.md",
        include_str!("../../lessons/07-in-production.md"),
    ),
    (
        "08-troubleshooting.md",
        include_str!("../../lessons/08-troubleshooting.md"),
    ),
];

impl fmt::Display for Shelf {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => out.write_str("the built-in lessons"),
            Self::Folder(folder) => write!(out, "{}", folder.display()),
        }
    }
}

impl Shelf {
    /// Reads every lesson as it is for a learner of this name; a file that is refused takes no other down.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub(crate) fn read(&self, name: &str) -> io::Result<Book> {
        let files = match self {
            Self::BuiltIn => BUILT_IN
                .iter()
                .map(|(name, source)| (format!("lessons/{name}"), Ok((*source).to_owned())))
                .collect(),
            Self::Folder(folder) => files_of(folder)?,
        };
        Ok(book_of(files, name))
    }

    /// The text of an example file, where there is one: `path` is relative to the project that holds the lessons.
    fn example(&self, path: &str) -> Option<String> {
        match self {
            // Where the program runs in its own source, the examples are at hand.
            Self::BuiltIn => fs::read_to_string(path).ok(),
            Self::Folder(folder) => {
                let project = folder.canonicalize().ok()?;
                let read = |root: &Path| fs::read_to_string(root.join(path)).ok();
                project.parent().and_then(read).or_else(|| read(&project))
            }
        }
    }

    /// What is wrong with the regions that a lesson copies from example files.
    #[must_use]
    pub(crate) fn differences(&self, lesson: &Lesson) -> Vec<Refusal> {
        let blocks = lesson
            .steps
            .iter()
            .flat_map(|step| &step.blocks)
            .chain(&lesson.introduction);
        let tabs = blocks.flat_map(|block| match block {
            Block::Code(tabs) => tabs.as_slice(),
            _ => &[],
        });
        tabs.filter_map(|tab| self.difference(lesson, tab)).collect()
    }

    fn difference(&self, lesson: &Lesson, tab: &Tab) -> Option<Refusal> {
        let (path, name) = tab.from.as_ref()?;
        let refusal = |line, what| {
            Some(Refusal {
                file: lesson.file.clone(),
                line,
                what,
            })
        };
        let Some(source) = self.example(path) else {
            return match self {
                Self::BuiltIn => None,
                Self::Folder(_) => refusal(tab.line, format!("`from=` names no file: there is no {path}")),
            };
        };
        let Some(region) = region::lines_of(&source, name) else {
            let what = format!(
                "{path} has no region `{name}`: it lies between `region {name}` and `endregion {name}`"
            );
            return refusal(tab.line, what);
        };
        let (row, ours, theirs) = region::difference(&tab.text, &region)?;
        refusal(
            tab.line + 1 + row,
            format!("differs from {path}#{name}: here `{ours}`, there `{theirs}`"),
        )
    }
}

impl Book {
    /// The place of the lesson that a person means: by its number, its id, or a part of a word of its id or title.
    ///
    /// # Errors
    /// A line that says why none, or which ones, are meant.
    pub(crate) fn find(&self, word: &str) -> Result<usize, String> {
        let word = word.trim().to_lowercase();
        let exact = self
            .lessons
            .iter()
            .position(|lesson| lesson.id == word || word.parse() == Ok(lesson.number));
        if let Some(place) = exact {
            return Ok(place);
        }
        let has = |lesson: &Lesson| lesson.id.contains(&word) || lesson.title.to_lowercase().contains(&word);
        let places: Vec<usize> = (0..self.lessons.len())
            .filter(|place| !word.is_empty() && has(&self.lessons[*place]))
            .collect();
        match places.as_slice() {
            [place] => Ok(*place),
            [] => Err(format!(
                "no lesson is called {word:?}; `sessiontut learn --list` shows them all"
            )),
            several => {
                let names: Vec<String> = several
                    .iter()
                    .map(|place| format!("{} {}", self.lessons[*place].number, self.lessons[*place].id))
                    .collect();
                Err(format!(
                    "{word:?} can mean {}: say a little more",
                    names.join(", ")
                ))
            }
        }
    }
}

type Named = (String, Result<String, Unread>);

/// Why the text of a file cannot be had: its line, and what is wrong there.
type Unread = (usize, String);

/// A lesson is a page: what is larger was put here by mistake.
const MOST_BYTES: u64 = 1024 * 1024;

fn files_of(folder: &Path) -> io::Result<Vec<Named>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_lesson = name.to_lowercase().ends_with(".md") && !name.to_lowercase().starts_with("readme");
        if is_lesson && !name.starts_with('.') {
            let shown = folder.join(&name).to_string_lossy().into_owned();
            files.push((shown, text_of(&path)));
        }
    }
    Ok(files)
}

/// The text of a lesson file, of bounded size.
fn text_of(path: &Path) -> Result<String, Unread> {
    let cannot_be_read = |fault: io::Error| (1, format!("cannot be read: {fault}"));
    let metadata = fs::metadata(path).map_err(cannot_be_read)?;
    if !metadata.is_file() {
        return Err((1, "cannot be read: a lesson is a plain file".into()));
    }
    if metadata.len() > MOST_BYTES {
        return Err((1, "larger than 1 MB: a lesson is a page of text".into()));
    }
    let bytes = fs::read(path).map_err(cannot_be_read)?;
    String::from_utf8(bytes).map_err(|fault| {
        let before = &fault.as_bytes()[..fault.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        (line, "not UTF-8: save the file in that encoding".into())
    })
}

fn book_of(mut files: Vec<Named>, name: &str) -> Book {
    files.sort_by_key(|(file, _)| {
        (
            number_and_id(file).map_or(u32::MAX, |(number, _)| number),
            file.clone(),
        )
    });
    let mut book = Book::default();
    for (file, source) in files {
        let read = source
            .map_err(|(line, what)| {
                vec![Refusal {
                    file: file.clone(),
                    line,
                    what,
                }]
            })
            .and_then(|source| parse(&file, &names::under(&source, name)));
        match read {
            Ok(lesson) => match taken(&book, &lesson) {
                Some(what) => book.refusals.push(Refusal { file, line: 1, what }),
                None => book.lessons.push(lesson),
            },
            Err(refusals) => book.refusals.extend(refusals),
        }
    }
    book
}

/// Progress is kept by id and order by number: neither can be shared.
fn taken(book: &Book, lesson: &Lesson) -> Option<String> {
    let other = book
        .lessons
        .iter()
        .find(|other| other.id == lesson.id || other.number == lesson.number)?;
    let what = if other.id == lesson.id { "id" } else { "number" };
    Some(format!("its {what} is that of {}: give it another", other.file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_in_the_folder_is_compiled_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lessons");
        let mut files: Vec<(String, String)> = files_of(&folder)
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
            "BUILT_IN in src/learn/shelf.rs lists every file of lessons/, in order"
        );
    }

    #[test]
    fn the_built_in_lessons_are_in_order() {
        let book = Shelf::BuiltIn.read(names::FIRST_NAME).unwrap();
        assert_eq!(book.refusals, []);
        let differences: Vec<Refusal> = book
            .lessons
            .iter()
            .flat_map(|lesson| Shelf::BuiltIn.differences(lesson))
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
        let book = book_of(files, names::FIRST_NAME);
        let ids: Vec<&str> = book.lessons.iter().map(|lesson| lesson.id.as_str()).collect();
        assert_eq!(ids, ["expire", "count", "last"]);
        assert_eq!(book.refusals.len(), 2);
        for (word, place) in [
            ("3", 1),
            ("03", 1),
            ("10", 2),
            ("expire", 0),
            ("visi", 1),
            ("LAST", 2),
        ] {
            assert_eq!(book.find(word), Ok(place), "{word}");
        }
        assert!(book.find("again").is_ok());
        assert!(book.find("e").unwrap_err().contains("say a little more"));
        assert!(book.find("").unwrap_err().contains("--list"));
    }
}
