//! `/source`: the code behind each step.

use super::page::{Frame, Source, Tab};
use super::step::Step;

struct Language {
    /// In the address.
    id: &'static str,
    /// On the tab.
    name: &'static str,
    /// A file a step.
    files: [File; 4],
}

struct File {
    path: &'static str,
    text: &'static str,
}

/// The page that a query asks for: `lang=rust`, `step=1..4`; without them the first language, and the step that runs.
pub(super) fn page<'a>(frame: &'a Frame, query: &str) -> Option<Source<'a>> {
    let mut language = LANGUAGES.first()?;
    let mut step = frame.step;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "lang" => language = LANGUAGES.iter().find(|language| language.id == value)?,
            "step" => step = Step::numbered(value.parse().ok()?)?,
            _ => {}
        }
    }
    let file = &language.files[usize::from(step.number() - 1)];
    Some(Source {
        frame,
        step,
        languages: LANGUAGES
            .iter()
            .map(|other| tab(other.name.to_owned(), other, step, other.id == language.id))
            .collect(),
        steps: Step::ALL
            .into_iter()
            .map(|other| tab(format!("Step {}", other.number()), language, other, other == step))
            .collect(),
        path: file.path,
        text: file.text,
    })
}

fn tab(name: String, language: &Language, step: Step, is_current: bool) -> Tab {
    let url = format!("/source?lang={}&step={}", language.id, step.number());
    Tab {
        name,
        url,
        is_current,
    }
}

/// What runs here, as it was compiled.
static LANGUAGES: [Language; 1] = [Language {
    id: "rust",
    name: "Rust, as it runs here",
    files: [
        File {
            path: "src/session/cookie.rs",
            text: include_str!("../session/cookie.rs"),
        },
        File {
            path: "src/serve/counter.rs",
            text: include_str!("counter.rs"),
        },
        File {
            path: "src/serve/counter.rs",
            text: include_str!("counter.rs"),
        },
        File {
            path: "src/session/store.rs",
            text: include_str!("../session/store.rs"),
        },
    ],
}];
