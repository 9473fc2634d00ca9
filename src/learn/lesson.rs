//! A lesson: a title, a goal, and steps that consist of blocks. Line numbers start at 1.

use std::time::Duration;

use super::pattern::Pattern;

/// A lesson that was parsed from one file.
#[derive(Clone, Debug)]
pub(crate) struct Lesson {
    /// The `id` in the file name `NN-id.md`. Progress is stored under this ID.
    pub id: String,
    /// The `NN` in the file name `NN-id.md`. Lessons are sorted by this number.
    pub number: u32,
    /// The file name for messages, such as `lessons/03-count-visits.md`.
    pub file: String,
    pub title: String,
    /// The first blockquote as plain text, which says what the learner will achieve. Empty if there is no
    /// blockquote.
    pub goal: String,
    /// The blocks before the first step, which are shown but not run.
    pub introduction: Vec<Block>,
    /// The steps, at least one.
    pub steps: Vec<LessonStep>,
}

/// A step: a `## Title` heading and the blocks below it.
#[derive(Clone, Debug)]
pub(crate) struct LessonStep {
    pub title: String,
    pub blocks: Vec<Block>,
    pub hints: Vec<Hint>,
}

impl LessonStep {
    /// Returns the URL fragment of this step, derived from the title in the same way as on code-hosting
    /// sites.
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
    /// Commands that are shown and run. Every reply is compared with the expected reply.
    Redis(Transcript),
    /// Commands that the learner types. The result is judged by the checks or, without checks, by the reply.
    Try {
        solution: Transcript,
        checks: Vec<Transcript>,
    },
    /// Commands that run without being shown.
    Check(Transcript),
    Shell(Shell),
    /// The same code in one or more languages.
    Code(Vec<CodeTab>),
    Quiz(Quiz),
    Diagram(SequenceDiagram),
}

/// A sequence diagram: the participants, and the messages between them in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SequenceDiagram {
    /// The names of the participants from left to right, at least two.
    pub participants: Vec<String>,
    pub events: Vec<DiagramEvent>,
}

/// An event in a diagram. Participants are identified by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DiagramEvent {
    Message {
        from: usize,
        /// The receiver, which is never the sender.
        to: usize,
        text: String,
        /// Whether the message is a reply, which is drawn as a dashed arrow.
        is_reply: bool,
    },
    Note {
        first: usize,
        /// The last participant that the note covers, possibly the same as the first.
        last: usize,
        text: String,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Hint {
    /// The text in Markdown.
    pub text: String,
    /// The index of the block that the hint belongs to.
    pub block: usize,
}

/// The options in a fence's first line, after the language.
#[derive(Clone, Debug, Default)]
pub(crate) struct FenceOptions {
    pub line: usize,
    /// Whether the options contain `fails`. If so, commands without an expected reply must return an error,
    /// and at least one command must fail.
    pub fails: bool,
    /// Whether the options contain `real`, so the fence cannot run on the practice Redis.
    pub needs_real_redis: bool,
    /// The wait in options such as `after=11s watch=KEY`.
    pub wait: Option<Wait>,
    /// The path and the region in the option `from=PATH#REGION`. The fence must contain the same text as
    /// this region of the example file.
    pub from: Option<(String, String)>,
}

/// Commands and their expected replies.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    pub fence: FenceOptions,
    pub exchanges: Vec<LessonExchange>,
    /// Commands of a `try` that reach the right state in the wrong way.
    pub wrong_commands: Vec<WrongCommand>,
}

/// A command and its expected reply.
#[derive(Clone, Debug)]
pub(crate) struct LessonExchange {
    pub line: usize,
    /// The command as written in the lesson.
    pub source: String,
    pub words: Vec<Vec<u8>>,
    /// The expected reply. `None` accepts any reply.
    pub reply: Option<Pattern>,
    /// Wrong replies that the lesson explains.
    pub wrong: Vec<WrongReply>,
}

impl LessonExchange {
    /// Returns the lesson's explanation of a wrong reply, if there is one.
    pub(crate) fn explanation(&self, got: &[String]) -> Option<&str> {
        let wrong = self.wrong.iter().find(|wrong| wrong.reply.matches(got))?;
        Some(&wrong.why)
    }
}

/// A wrong reply and its explanation, such as `! (integer) -1: why`.
#[derive(Clone, Debug)]
pub(crate) struct WrongReply {
    pub reply: Pattern,
    pub why: String,
}

/// A command that a task does not accept, with the reason, such as `!> HSET [..]: why`.
#[derive(Clone, Debug)]
pub(crate) struct WrongCommand {
    /// A pattern for the words of the command, separated by spaces. The command's name must be in upper case.
    pub command: Pattern,
    pub why: String,
}

/// A wait before a block runs.
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
    /// The words of the commands to run, without `sessiontut`. Empty if the block is only shown.
    pub commands: Vec<Vec<String>>,
    /// Whether the learner repeats the commands until they succeed.
    pub is_task: bool,
}

/// The placeholder in a lesson for the command that starts the learner's app.
pub(crate) const APP: &str = "$APP";

/// A code sample in one language, shown as a tab.
#[derive(Clone, Debug)]
pub(crate) struct CodeTab {
    pub fence: FenceOptions,
    /// The language, as returned by [`language_named`].
    pub language: String,
    pub text: String,
}

/// Returns the language of a fence in lower case. Accepts abbreviations, and the names of the frameworks in
/// the examples.
pub(crate) fn language_named(word: &str) -> String {
    let word = word.to_lowercase();
    let language = match word.as_str() {
        "py" | "flask" => "python",
        "js" | "node" | "express" => "javascript",
        "rs" | "axum" => "rust",
        "rb" | "sinatra" => "ruby",
        "golang" => "go",
        "ts" => "typescript",
        "bash" | "shell" | "console" => "sh",
        other => other,
    };
    language.to_owned()
}

#[derive(Clone, Debug)]
pub(crate) struct Quiz {
    pub question: String,
    /// The answers. At least one is right.
    pub answers: Vec<Answer>,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub text: String,
    pub is_right: bool,
    /// Why the answer is right or wrong. Empty only for right answers without an explanation.
    pub why: String,
}

impl Quiz {
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
    /// The file name for messages.
    pub file: String,
    pub line: usize,
    pub what: String,
}
