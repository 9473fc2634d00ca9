//! A lesson: a title, a goal, and steps made of blocks. Lines are counted from 1.

use std::time::Duration;

use super::pattern::Pattern;

/// One lesson file.
#[derive(Clone, Debug)]
pub(crate) struct Lesson {
    /// The `id` of `NN-id.md`, by which progress is stored.
    pub id: String,
    /// The `NN` of `NN-id.md`: its place in the order.
    pub number: u32,
    /// The file as messages name it, for example `lessons/03-count-visits.md`.
    pub file: String,
    pub title: String,
    /// What the learner will achieve: the first blockquote as plain text; may be empty.
    pub goal: String,
    /// The blocks before the first step. They are shown but not run.
    pub introduction: Vec<Block>,
    /// At least one.
    pub steps: Vec<LessonStep>,
}

/// One `## Title` with its blocks.
#[derive(Clone, Debug)]
pub(crate) struct LessonStep {
    pub title: String,
    pub blocks: Vec<Block>,
    pub hints: Vec<Hint>,
}

#[derive(Clone, Debug)]
pub(crate) enum Block {
    /// Markdown.
    Prose(String),
    /// Shown, then run; every reply is compared.
    Redis(Transcript),
    /// The learner types. Judged by the checks, or by the reply if there are none.
    Try {
        solution: Transcript,
        checks: Vec<Transcript>,
    },
    /// Run silently.
    Check(Transcript),
    Shell(Shell),
    /// The same code in one or more languages.
    Code(Vec<CodeTab>),
    Quiz(Quiz),
}

#[derive(Clone, Debug)]
pub(crate) struct Hint {
    /// Markdown.
    pub text: String,
    /// The index of the block that it helps with.
    pub block: usize,
}

/// The line of a fence, and the words after its language.
#[derive(Clone, Debug, Default)]
pub(crate) struct FenceOptions {
    pub line: usize,
    /// `fails`: expects an error, for every command without a written reply, or for at least one with a written reply.
    pub fails: bool,
    /// `real`: needs a Redis other than the practice Redis.
    pub needs_real_redis: bool,
    /// `after=11s watch=KEY`
    pub wait: Option<Wait>,
    /// `from=PATH#REGION`: the path and region of the example that the text must equal.
    pub from: Option<(String, String)>,
}

/// Commands and their expected replies.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    pub fence: FenceOptions,
    pub exchanges: Vec<LessonExchange>,
}

/// One command and its expected reply.
#[derive(Clone, Debug)]
pub(crate) struct LessonExchange {
    pub line: usize,
    /// The command as written in the lesson.
    pub source: String,
    /// The words of the command.
    pub words: Vec<Vec<u8>>,
    /// `None`: any reply.
    pub reply: Option<Pattern>,
    /// Wrong replies that the lesson explains.
    pub wrong: Vec<WrongReply>,
}

/// `! (integer) -1: why`
#[derive(Clone, Debug)]
pub(crate) struct WrongReply {
    pub reply: Pattern,
    pub why: String,
}

/// A wait before a block is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub span: Duration,
    /// The key whose TTL is shown during the wait.
    pub watch: Option<String>,
}

/// Shell commands.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    pub fence: FenceOptions,
    pub text: String,
    /// Commands to run: their words, without `sessiontut`. Empty if the text is only shown.
    pub commands: Vec<Vec<String>>,
}

/// Code in one language.
#[derive(Clone, Debug)]
pub(crate) struct CodeTab {
    pub fence: FenceOptions,
    /// As [`language_named`] returns it.
    pub language: String,
    pub text: String,
}

/// The language of a fence in lower case. Also understands short names, and the frameworks of the examples.
#[must_use]
pub(crate) fn language_named(word: &str) -> String {
    let word = word.to_lowercase();
    let language = match word.as_str() {
        "py" | "flask" => "python",
        "js" | "node" | "express" => "javascript",
        "rs" | "axum" => "rust",
        "ts" => "typescript",
        "bash" | "shell" | "console" => "sh",
        other => other,
    };
    language.to_owned()
}

#[derive(Clone, Debug)]
pub(crate) struct Quiz {
    pub question: String,
    /// At least one is right.
    pub answers: Vec<Answer>,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub text: String,
    pub is_right: bool,
    /// Why it is right or wrong; not empty if it is wrong.
    pub why: String,
}

impl Quiz {
    /// The indexes of the right answers.
    #[must_use]
    pub(crate) fn right_answers(&self) -> Vec<usize> {
        let answers = self.answers.iter().enumerate();
        let right = answers.filter(|(_, answer)| answer.is_right);
        right.map(|(index, _)| index).collect()
    }
}

/// An error in a lesson file: what is wrong, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub(crate) struct LessonError {
    /// The file as messages name it.
    pub file: String,
    pub line: usize,
    pub what: String,
}
