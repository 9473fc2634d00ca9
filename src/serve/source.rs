//! `/source`: shows the code of each stage, in this server's version and in the frameworks of `examples/`.

use askama::Template;

use super::pages::Layout;
use super::stage::AppStage;
use crate::examples::{LANGUAGES, SourceFile, SourceLanguage};

/// The page at `GET /source`.
#[derive(Template)]
#[template(path = "source.html")]
pub(super) struct SourcePage<'a> {
    layout: &'a Layout,
    language: &'static SourceLanguage,
    stage: AppStage,
}

impl<'a> SourcePage<'a> {
    /// Returns the page for a query such as `lang=flask&stage=4`. The values of `lang` are the IDs in
    /// [`LANGUAGES`]. The defaults are the first language and the stage of this server. Returns `None` if
    /// there is no such language or stage.
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
        self.language.files(self.stage)
    }
}

/// Returns the URL of the page that shows the file at `path`, if there is such a page.
pub(super) fn url_of(path: &str) -> Option<String> {
    LANGUAGES.iter().find_map(|language| {
        let has_file = |stage: &AppStage| language.files(*stage).iter().any(|file| file.path == path);
        let stage = AppStage::ALL.into_iter().rev().find(has_file)?;
        Some(format!("/source?lang={}&stage={}", language.id, stage.number()))
    })
}

impl SourceLanguage {
    fn files(&self, stage: AppStage) -> &'static [SourceFile] {
        self.stages[usize::from(stage.number() - 1)]
    }
}
