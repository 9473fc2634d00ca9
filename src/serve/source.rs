//! `/source`: the code of each stage, in this server and in three frameworks.

use askama::Template;

use super::pages::Layout;
use super::stage::AppStage;

struct SourceLanguage {
    /// The name in the URL.
    id: &'static str,
    /// The name on the tab.
    name: &'static str,
    /// The files of each stage, the most important one first.
    stages: [&'static [SourceFile]; 4],
}

/// A file of this repository, as it was when the program was compiled.
struct SourceFile {
    path: &'static str,
    text: &'static str,
}

/// `GET /source`.
#[derive(Template)]
#[template(path = "source.html")]
pub(super) struct SourcePage<'a> {
    layout: &'a Layout,
    language: &'static SourceLanguage,
    stage: AppStage,
}

impl<'a> SourcePage<'a> {
    /// Returns the page for a query with `lang=rust|flask|express|axum` and `stage=1..4`. The defaults are the first
    /// language and the stage of this server.
    pub(super) fn new(layout: &'a Layout, query: &str) -> Option<Self> {
        let mut language = &LANGUAGES[0];
        let mut stage = layout.stage;
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "lang" => language = LANGUAGES.iter().find(|language| language.id == value)?,
                "stage" | "step" => stage = AppStage::numbered(value.parse().ok()?)?,
                _ => {}
            }
        }
        Some(Self {
            layout,
            language,
            stage,
        })
    }

    fn files(&self) -> &'static [SourceFile] {
        self.language.stages[usize::from(self.stage.number() - 1)]
    }
}

impl SourceFile {
    /// Returns the text without the comments that mark regions for the lessons.
    fn shown(&self) -> String {
        let is_mark = |line: &&str| {
            let text = line.trim_start().trim_start_matches(['#', '/']);
            text.starts_with(" region ") || text.starts_with(" endregion ")
        };
        let lines: Vec<&str> = self.text.lines().filter(|line| !is_mark(line)).collect();
        lines.join("\n")
    }
}

/// A [`SourceFile`] from its path.
macro_rules! file {
    ($($path:literal),+) => {
        SourceFile {
            path: concat!($($path),+),
            text: include_str!(concat!("../../", $($path),+)),
        }
    };
}

/// The four stages in `examples/`.
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

static LANGUAGES: [SourceLanguage; 4] = [
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
];
