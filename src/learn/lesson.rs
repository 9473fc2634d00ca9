//! A lesson: a title, a goal, and steps made of blocks. Lines are counted from 1.

use std::time::Duration;

use super::pattern::Pattern;

/// One lesson file.
#[derive(Clone, Debug)]
pub(crate) struct Lesson {
    /// The `id` of `NN-id.md`. Progress is stored under this ID.
    pub id: String,
    /// The `NN` of `NN-id.md`, which determines the order of the lessons.
    pub number: u32,
    /// The file's name in messages, for example `lessons/03-count-visits.md`.
    pub file: String,
    pub title: String,
    /// What the learner will achieve: the first blockquote as plain text. It may be empty.
    pub goal: String,
    /// The blocks before the first step. They are shown but not run.
    pub introduction: Vec<Block>,
    /// The steps; there is at least one.
    pub steps: Vec<LessonStep>,
}

/// One `## Title` with its blocks.
#[derive(Clone, Debug)]
pub(crate) struct LessonStep {
    pub title: String,
    pub blocks: Vec<Block>,
    pub hints: Vec<Hint>,
}

impl LessonStep {
    /// The fragment of a URL that leads to this step: the title as code-hosting sites convert it.
    #[must_use]
    pub(crate) fn anchor(&self) -> String {
        let kept = |character: &char| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_');
        let title = self.title.to_lowercase().replace(' ', "-");
        title.chars().filter(kept).collect()
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Block {
    /// Markdown.
    Prose(String),
    /// Shown, then run; every reply is compared.
    Redis(Transcript),
    /// The learner types the commands. They are judged by the checks or, if there are none, by the reply.
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
    Diagram(SequenceDiagram),
}

/// Who sends what to whom, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SequenceDiagram {
    /// The names of the participants, from left to right; there are at least two.
    pub participants: Vec<String>,
    pub events: Vec<DiagramEvent>,
}

/// An event in a diagram. Participants are indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DiagramEvent {
    Message {
        from: usize,
        /// A different participant.
        to: usize,
        text: String,
        /// Whether the arrow is dashed.
        is_reply: bool,
    },
    Note {
        first: usize,
        /// The last participant that the note is about. It may be the first.
        last: usize,
        text: String,
    },
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
    /// `fails`: every command without a reply in the lesson must fail, and so must at least one with a reply.
    pub fails: bool,
    /// `real`: requires a Redis server other than the practice Redis.
    pub needs_real_redis: bool,
    /// `after=11s watch=KEY`
    pub wait: Option<Wait>,
    /// `from=PATH#REGION`: the path and region of the example file that must contain the same text.
    pub from: Option<(String, String)>,
}

/// Commands and their expected replies.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    pub fence: FenceOptions,
    pub exchanges: Vec<LessonExchange>,
    /// In a `try`: commands that lead to the right state in the wrong way.
    pub wrong_commands: Vec<WrongCommand>,
}

/// One command and its expected reply.
#[derive(Clone, Debug)]
pub(crate) struct LessonExchange {
    pub line: usize,
    /// The command as written in the lesson.
    pub source: String,
    /// The words of the command.
    pub words: Vec<Vec<u8>>,
    /// The expected reply; `None` accepts any reply.
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

/// `!> HSET [..]: why`
#[derive(Clone, Debug)]
pub(crate) struct WrongCommand {
    /// Matches the words of the command, separated by spaces, with its name in upper case.
    pub command: Pattern,
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
    /// The words of the commands to run, without `sessiontut`. Empty if the text is only shown.
    pub commands: Vec<Vec<String>>,
    /// Whether the commands are run again until they succeed.
    pub is_task: bool,
}

/// The word of a command in a lesson that stands for the command that starts the learner's app.
pub(crate) const APP: &str = "$APP";

/// Code in one language.
#[derive(Clone, Debug)]
pub(crate) struct CodeTab {
    pub fence: FenceOptions,
    /// The language, as returned by [`language_named`].
    pub language: String,
    pub text: String,
}

/// The language of a fence in lower case. Also accepts abbreviations, and the names of the frameworks in the
/// examples.
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
    /// The answers, of which at least one is right.
    pub answers: Vec<Answer>,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub text: String,
    pub is_right: bool,
    /// The reason why it is right or wrong. It is not empty if the answer is wrong.
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

/// An error in a lesson file, with the correct form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub(crate) struct LessonError {
    /// The file's name in messages.
    pub file: String,
    pub line: usize,
    pub what: String,
}
