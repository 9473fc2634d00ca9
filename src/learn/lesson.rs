//! A lesson: a title, a goal, and steps made of blocks. Lines are counted from 1.

use std::time::Duration;

use super::pattern::Pattern;

/// A lesson, as parsed from one file.
#[derive(Clone, Debug)]
pub(crate) struct Lesson {
    /// The `id` in the file name `NN-id.md`. Progress is stored under this ID.
    pub id: String,
    /// The `NN` in the file name `NN-id.md`, which determines the order of the lessons.
    pub number: u32,
    /// The file's name as shown in messages, for example `lessons/03-count-visits.md`.
    pub file: String,
    pub title: String,
    /// What the learner will achieve: the first blockquote, as plain text. It may be empty.
    pub goal: String,
    /// The blocks before the first step, which are shown but not run.
    pub introduction: Vec<Block>,
    /// The steps. There is at least one.
    pub steps: Vec<LessonStep>,
}

/// A step: one heading `## Title` and the blocks below it.
#[derive(Clone, Debug)]
pub(crate) struct LessonStep {
    pub title: String,
    pub blocks: Vec<Block>,
    pub hints: Vec<Hint>,
}

impl LessonStep {
    /// Returns the URL fragment of this step. It is derived from the title in the same way as on code-hosting
    /// sites.
    #[must_use]
    pub(crate) fn anchor(&self) -> String {
        let kept = |character: &char| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_');
        let title = self.title.to_lowercase().replace(' ', "-");
        title.chars().filter(kept).collect()
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Block {
    /// Text in Markdown.
    Prose(String),
    /// Commands that are shown and then run. Every reply is compared with the expected one.
    Redis(Transcript),
    /// Commands that the learner types. The result is judged by the checks or, if there are none, by the
    /// reply.
    Try {
        solution: Transcript,
        checks: Vec<Transcript>,
    },
    /// Commands that are run without being shown.
    Check(Transcript),
    Shell(Shell),
    /// The same code in one or more languages.
    Code(Vec<CodeTab>),
    Quiz(Quiz),
    Diagram(SequenceDiagram),
}

/// A sequence diagram: its participants, and the messages between them in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SequenceDiagram {
    /// The names of the participants, from left to right. There are at least two.
    pub participants: Vec<String>,
    pub events: Vec<DiagramEvent>,
}

/// An event in a diagram. Participants are identified by their indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DiagramEvent {
    Message {
        from: usize,
        /// The receiver, which is never the sender.
        to: usize,
        text: String,
        /// Whether the arrow is dashed, because the message is a reply.
        is_reply: bool,
    },
    Note {
        first: usize,
        /// The last participant that the note covers. It may be the same as the first.
        last: usize,
        text: String,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Hint {
    /// The hint in Markdown.
    pub text: String,
    /// The index of the block that the hint helps with.
    pub block: usize,
}

/// The line of a fence, and the instructions after its language.
#[derive(Clone, Debug, Default)]
pub(crate) struct FenceOptions {
    pub line: usize,
    /// The word `fails`: commands without an expected reply must return an error, and at least one command of
    /// the fence must be expected to fail.
    pub fails: bool,
    /// The word `real`: the fence requires a Redis server other than the practice Redis.
    pub needs_real_redis: bool,
    /// The wait that the instructions `after=11s watch=KEY` specify.
    pub wait: Option<Wait>,
    /// The instruction `from=PATH#REGION`: the path of an example file, and the region of this file that must
    /// contain the same text.
    pub from: Option<(String, String)>,
}

/// A list of commands with their expected replies.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    pub fence: FenceOptions,
    pub exchanges: Vec<LessonExchange>,
    /// In a `try`: commands that lead to the right state, but in the wrong way.
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

impl LessonExchange {
    /// Returns the lesson's explanation of a wrong reply, if it has one.
    pub(crate) fn explanation(&self, got: &[String]) -> Option<&str> {
        let wrong = self.wrong.iter().find(|wrong| wrong.reply.matches(got))?;
        Some(&wrong.why)
    }
}

/// An explanation of a wrong reply, such as `! (integer) -1: why`.
#[derive(Clone, Debug)]
pub(crate) struct WrongReply {
    pub reply: Pattern,
    pub why: String,
}

/// An explanation of a command that is not accepted, such as `!> HSET [..]: why`.
#[derive(Clone, Debug)]
pub(crate) struct WrongCommand {
    /// Matches the words of the command, separated by spaces. The command's name is in upper case.
    pub command: Pattern,
    pub why: String,
}

/// A wait before a block is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub span: Duration,
    /// The key whose TTL is shown during the wait, if any.
    pub watch: Option<String>,
}

/// A block of shell commands.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    pub fence: FenceOptions,
    pub text: String,
    /// The words of the commands to run, without `sessiontut`. The list is empty if the block is only shown.
    pub commands: Vec<Vec<String>>,
    /// Whether the commands are repeated until they succeed.
    pub is_task: bool,
}

/// A placeholder in a lesson for the command that starts the learner's app.
pub(crate) const APP: &str = "$APP";

/// A code sample in one language. The lesson shows the languages as tabs.
#[derive(Clone, Debug)]
pub(crate) struct CodeTab {
    pub fence: FenceOptions,
    /// The language, as returned by [`language_named`].
    pub language: String,
    pub text: String,
}

/// Returns the language of a fence in lower case. Abbreviations, and the names of the frameworks in the
/// examples, are also accepted.
#[must_use]
pub(crate) fn language_named(word: &str) -> String {
    let word = word.to_lowercase();
    let language = match word.as_str() {
        "py" | "flask" => "python",
        "js" | "node" | "express" => "javascript",
        "rs" | "axum" => "rust",
        "rb" | "sinatra" => "ruby",
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
    /// Why the answer is right or wrong. It is never empty if the answer is wrong.
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

/// An error in a lesson file, together with the correct form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub(crate) struct LessonError {
    /// The file's name as shown in messages.
    pub file: String,
    pub line: usize,
    pub what: String,
}
