//! `/source`: the code behind each step, as it runs here and in three frameworks.

use super::pages::{Layout, Source, SourceFile, Tab};
use super::step::Step;

struct Language {
    /// In the address.
    id: &'static str,
    /// On the tab.
    name: &'static str,
    /// What belongs to each step, the file to read first at the front.
    steps: [&'static [File]; 4],
}

struct File {
    path: &'static str,
    text: &'static str,
}

/// The page that a query asks for: `lang=rust|flask|express|axum`, `step=1..4`; without them the first language, and the step that runs.
pub(super) fn page(layout: Layout, query: &str) -> Option<Source> {
    let mut language = LANGUAGES.first()?;
    let mut step = layout.step;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "lang" => language = LANGUAGES.iter().find(|language| language.id == value)?,
            "step" => step = Step::numbered(value.parse().ok()?)?,
            _ => {}
        }
    }
    let files = language.steps[usize::from(step.number() - 1)];
    Some(Source {
        layout,
        step,
        languages: LANGUAGES
            .iter()
            .map(|other| tab(other.name.to_owned(), other, step, other.id == language.id))
            .collect(),
        steps: Step::ALL
            .into_iter()
            .map(|other| tab(format!("Step {}", other.number()), language, other, other == step))
            .collect(),
        files: files.iter().map(File::shown).collect(),
    })
}

impl File {
    /// Without the marks that tell the lessons which part to show.
    fn shown(&self) -> SourceFile {
        let is_mark = |line: &&str| {
            let text = line.trim_start().trim_start_matches(['#', '/']);
            text.starts_with(" region ") || text.starts_with(" endregion ")
        };
        let lines: Vec<&str> = self.text.lines().filter(|line| !is_mark(line)).collect();
        SourceFile {
            path: self.path,
            text: lines.join("\n"),
        }
    }
}

fn tab(name: String, language: &Language, step: Step, is_current: bool) -> Tab {
    let url = format!("/source?lang={}&step={}", language.id, step.number());
    Tab {
        name,
        url,
        is_current,
    }
}

/// A file of this repository, as it was when the program was compiled.
macro_rules! file {
    ($path:literal) => {
        File {
            path: $path,
            text: include_str!(concat!("../../", $path)),
        }
    };
}

static LANGUAGES: [Language; 4] = [
    Language {
        id: "rust",
        name: "Rust, as it runs here",
        steps: [
            &[file!("src/session/cookie.rs")],
            &[file!("src/serve/counter.rs")],
            &[file!("src/serve/counter.rs")],
            &[file!("src/session/store.rs"), file!("src/session/cookie.rs")],
        ],
    },
    Language {
        id: "flask",
        name: "Python, Flask",
        steps: [
            &[
                file!("examples/flask/step1.py"),
                file!("examples/flask/common.py"),
            ],
            &[
                file!("examples/flask/step2.py"),
                file!("examples/flask/common.py"),
            ],
            &[
                file!("examples/flask/step3.py"),
                file!("examples/flask/common.py"),
            ],
            &[
                file!("examples/flask/step4.py"),
                file!("examples/flask/common.py"),
            ],
        ],
    },
    Language {
        id: "express",
        name: "JavaScript, Express",
        steps: [
            &[
                file!("examples/express/step1.js"),
                file!("examples/express/common.js"),
            ],
            &[
                file!("examples/express/step2.js"),
                file!("examples/express/common.js"),
            ],
            &[
                file!("examples/express/step3.js"),
                file!("examples/express/common.js"),
            ],
            &[
                file!("examples/express/step4.js"),
                file!("examples/express/common.js"),
            ],
        ],
    },
    Language {
        id: "axum",
        name: "Rust, axum",
        steps: [
            &[file!("examples/axum/step1.rs"), file!("examples/axum/common.rs")],
            &[file!("examples/axum/step2.rs"), file!("examples/axum/common.rs")],
            &[file!("examples/axum/step3.rs"), file!("examples/axum/common.rs")],
            &[file!("examples/axum/step4.rs"), file!("examples/axum/common.rs")],
        ],
    },
];
