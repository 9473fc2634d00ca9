//! Contains the code of the app at each stage, in this program's version and in the frameworks of
//! `examples/`. The code is compiled into the program.

pub(crate) struct SourceLanguage {
    /// The ID of the language in the URL of the page `/source`.
    pub(crate) id: &'static str,
    /// The name of the language that the page `/source` shows.
    pub(crate) name: &'static str,
    /// The files of each stage, the most important file first.
    pub(crate) stages: [&'static [SourceFile]; 4],
}

/// A source file of this repository.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceFile {
    pub(crate) path: &'static str,
    text: &'static str,
}

/// The files that together form the complete code of a stage.
pub(crate) struct CompleteCode {
    pub(crate) files: &'static [SourceFile],
    /// The query of the page `/source` that shows these files.
    pub(crate) query: String,
}

/// Returns the code to show for the file at `path`. For the main file of a stage, returns all files of the
/// stage. For any other file, returns only this file. Returns `None` if no stage contains the file.
pub(crate) fn complete(path: &str) -> Option<CompleteCode> {
    let stages = LANGUAGES
        .iter()
        .flat_map(|language| (1..).zip(&language.stages).map(move |stage| (language.id, stage)));
    let code = |id: &str, stage: usize, files: &'static [SourceFile]| CompleteCode {
        files,
        query: format!("lang={id}&stage={stage}"),
    };
    let mut other = None;
    for (id, (stage, files)) in stages {
        match files.iter().position(|file| file.path == path) {
            Some(0) => return Some(code(id, stage, files)),
            Some(at) => {
                other.get_or_insert_with(|| code(id, stage, &files[at..=at]));
            }
            None => {}
        }
    }
    other
}

impl SourceFile {
    /// Returns the file's text without the comments that mark regions for the lessons.
    pub(crate) fn shown(&self) -> String {
        let mut lines: Vec<&str> = Vec::new();
        for line in self.text.lines() {
            let text = line.trim_start().trim_start_matches(['#', '/']);
            if text.starts_with(" endregion ") {
                // gofmt puts an empty line before the mark.
                lines.pop_if(|last| last.is_empty());
            } else if !text.starts_with(" region ") {
                lines.push(line);
            }
        }
        lines.join("\n")
    }
}

/// Creates a [`SourceFile`] from its path.
macro_rules! file {
    ($($path:literal),+) => {
        SourceFile {
            path: concat!($($path),+),
            text: include_str!(concat!("../", $($path),+)),
        }
    };
}

/// Creates the lists of the source files for the four stages of a framework in `examples/`.
macro_rules! examples {
    ($folder:literal, $extension:literal) => {
        [
            examples!($folder, $extension, "1"),
            examples!($folder, $extension, "2"),
            examples!($folder, $extension, "3"),
            examples!($folder, $extension, "4"),
        ]
    };
    ($folder:literal, $extension:literal, $stage:literal) => {
        &[
            file!("examples/", $folder, "/stage", $stage, ".", $extension),
            file!("examples/", $folder, "/common.", $extension),
        ]
    };
}

pub(crate) static LANGUAGES: &[SourceLanguage] = &[
    SourceLanguage {
        id: "rust",
        name: "Rust, as in this server",
        stages: [
            &[file!("src/session/cookie.rs")],
            &[file!("src/serve/counter.rs")],
            &[file!("src/serve/counter.rs")],
            &[file!("src/session/store.rs"), file!("src/session/cookie.rs")],
        ],
    },
    SourceLanguage {
        id: "flask",
        name: "Python, Flask",
        stages: examples!("flask", "py"),
    },
    SourceLanguage {
        id: "express",
        name: "JavaScript, Express",
        stages: examples!("express", "js"),
    },
    SourceLanguage {
        id: "axum",
        name: "Rust, axum",
        stages: examples!("axum", "rs"),
    },
    SourceLanguage {
        id: "sinatra",
        name: "Ruby, Sinatra",
        stages: examples!("sinatra", "rb"),
    },
    SourceLanguage {
        id: "php",
        name: "PHP",
        stages: examples!("php", "php"),
    },
    SourceLanguage {
        id: "go",
        name: "Go",
        stages: examples!("go", "go"),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_complete_with_its_common_file() {
        let paths = |path| {
            let code = complete(path)?;
            let paths: Vec<&str> = code.files.iter().map(|file| file.path).collect();
            Some((paths.join(" "), code.query))
        };
        for (path, files, query) in [
            (
                "examples/flask/stage3.py",
                "examples/flask/stage3.py examples/flask/common.py",
                "lang=flask&stage=3",
            ),
            (
                "examples/axum/common.rs",
                "examples/axum/common.rs",
                "lang=axum&stage=1",
            ),
            (
                "src/session/store.rs",
                "src/session/store.rs src/session/cookie.rs",
                "lang=rust&stage=4",
            ),
        ] {
            assert_eq!(paths(path), Some((files.to_owned(), query.to_owned())));
        }
        assert_eq!(paths("Cargo.toml"), None);
    }
}
