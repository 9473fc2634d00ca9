//! `/lesson`: shows the lessons as pages. Shows commands with example replies, but does not run them.

use std::sync::LazyLock;

use askama::Template;
use askama::filters::HtmlSafe;
use pulldown_cmark::{Event, Parser, Tag, html};

use super::pages::{Layout, Rendered};
use super::source;
use crate::learn::lesson_files::LessonFiles;
use crate::learn::name::FIRST_NAME;
use crate::learn::pattern::{Pattern, example};
use crate::learn::{Block, DiagramEvent, Lesson, LessonStep, MARKDOWN, Transcript};

pub(super) static LESSONS: LazyLock<Vec<Lesson>> = LazyLock::new(|| {
    let files = LessonFiles {
        folder: None,
        may_run: |_| Ok(()),
    };
    // The built-in lessons do not depend on a folder, so reading them cannot fail.
    files.read(FIRST_NAME).unwrap_or_default().list
});

/// The page at `GET /lesson`.
#[derive(Template)]
#[template(path = "lessons.html")]
pub(super) struct LessonsPage<'a> {
    pub(super) layout: &'a Layout,
    pub(super) lessons: &'static [Lesson],
}

/// The page at `GET /lesson/ID`.
#[derive(Template)]
#[template(path = "lesson.html")]
pub(super) struct LessonPage<'a> {
    layout: &'a Layout,
    lesson: &'static Lesson,
    previous: Option<&'static Lesson>,
    next: Option<&'static Lesson>,
}

impl<'a> LessonPage<'a> {
    /// Returns the page of a lesson, or `None` if there is no lesson with this ID or number.
    pub(super) fn new(layout: &'a Layout, id: &str) -> Option<Self> {
        let is_it = |lesson: &Lesson| lesson.id == id || id.parse() == Ok(lesson.number);
        let index = LESSONS.iter().position(is_it)?;
        Some(Self {
            layout,
            lesson: &LESSONS[index],
            previous: index.checked_sub(1).map(|before| &LESSONS[before]),
            next: LESSONS.get(index + 1),
        })
    }
}

/// The blocks of a lesson's step or introduction.
#[derive(Template)]
#[template(path = "blocks.html")]
struct Blocks<'a> {
    blocks: &'a [Block],
    /// The step, or `None` for the introduction.
    step: Option<&'a LessonStep>,
}

/// The blocks are the output of a template and therefore already HTML, so other templates must not escape
/// them.
impl HtmlSafe for Blocks<'_> {}

impl<'a> Blocks<'a> {
    fn of_step(step: &'a LessonStep) -> Self {
        Self {
            blocks: &step.blocks,
            step: Some(step),
        }
    }

    fn of_introduction(lesson: &'a Lesson) -> Self {
        Self {
            blocks: &lesson.introduction,
            step: None,
        }
    }

    /// Returns the hints for a block, in Markdown.
    fn hints(&self, block: usize) -> impl Iterator<Item = &'a str> {
        let hints = self.step.into_iter().flat_map(|step| &step.hints);
        hints
            .filter(move |hint| hint.block == block)
            .map(|hint| hint.text.as_str())
    }
}

/// Converts Markdown to HTML. HTML in the Markdown is shown as text.
fn markdown(text: &str) -> Rendered {
    let events = Parser::new_ext(text, MARKDOWN).map(|event| match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        // Aligned columns would get `style` attributes, which the Content-Security-Policy blocks.
        Event::Start(Tag::Table(_)) => Event::Start(Tag::Table(Vec::new())),
        other => other,
    });
    let mut rendered = String::new();
    html::push_html(&mut rendered, events);
    Rendered(rendered)
}

/// Returns the commands of `transcript` with examples of their replies, as redis-cli shows them.
fn transcript(transcript: &Transcript) -> String {
    let mut lines = Vec::new();
    for exchange in &transcript.exchanges {
        lines.push(format!("> {}", exchange.source));
        let reply = exchange.reply.iter().flat_map(Pattern::source);
        lines.extend(reply.map(|line| example(line)));
    }
    lines.join("\n")
}

/// Returns the usual spelling of a programming language's name.
fn language_name(language: &str) -> String {
    match language {
        "javascript" => "JavaScript".to_owned(),
        "typescript" => "TypeScript".to_owned(),
        "php" => "PHP".to_owned(),
        other => other[..1].to_uppercase() + &other[1..],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn html_in_markdown_is_text_and_has_no_style() {
        let text = "<script>alert(1)</script>\n\n**a** <b onclick=x>c</b> `<i>`\n\n| a |\n|--:|\n| <u> |\n";
        let html = markdown(text).0;
        for tag in ["<script", "<b ", "<i>", "<u>", "style="] {
            assert!(!html.contains(tag), "{html}");
        }
        assert!(
            html.contains("<strong>a</strong>") && html.contains("<table>"),
            "{html}"
        );
    }

    #[test]
    fn every_part_of_every_lesson_is_on_its_page() {
        let layout = Layout::of_any_app();
        for lesson in &*LESSONS {
            let page = LessonPage::new(&layout, &lesson.id).unwrap().render().unwrap();
            let steps = lesson.steps.iter().flat_map(|step| &step.blocks);
            let blocks: Vec<&Block> = lesson.introduction.iter().chain(steps).collect();
            let count =
                |is_counted: &dyn Fn(&Block) -> bool| blocks.iter().filter(|block| is_counted(block)).count();
            for (mark, expected) in [
                ("<h2 id=", lesson.steps.len()),
                ("class=\"quiz\"", count(&|block| matches!(block, Block::Quiz(_)))),
                ("<summary>Answer", count(&|block| matches!(block, Block::Quiz(_)))),
                (
                    "<summary>Solution",
                    count(&|block| matches!(block, Block::Try { .. })),
                ),
                (
                    "<ol class=\"sequence",
                    count(&|block| matches!(block, Block::Diagram(_))),
                ),
                (
                    "class=\"code\" open",
                    count(&|block| matches!(block, Block::Code(tabs) if tabs.len() > 1)),
                ),
                (
                    "<summary>Hint",
                    lesson.steps.iter().map(|step| step.hints.len()).sum(),
                ),
                ("<script", 0),
                ("style=", 0),
            ] {
                assert_eq!(page.matches(mark).count(), expected, "{mark} in {}", lesson.file);
            }
        }
    }

    #[test]
    fn the_steps_of_a_lesson_have_different_anchors() {
        assert!(!LESSONS.is_empty());
        for lesson in &*LESSONS {
            let anchors: HashSet<String> = lesson.steps.iter().map(LessonStep::anchor).collect();
            assert_eq!(anchors.len(), lesson.steps.len(), "{}", lesson.file);
        }
    }
}
