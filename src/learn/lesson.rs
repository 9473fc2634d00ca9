//! What a lesson is once it is read: a title, a promise, and steps made of blocks.

use std::fmt;
use std::time::Duration;

use super::pattern::Pattern;

/// One lesson file, read.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// What progress is kept by: the `id` of `NN-id.md`.
    pub id: String,
    /// Its place in the order: the `NN` of `NN-id.md`.
    pub number: u32,
    /// The file as messages name it: `lessons/03-count-visits.md`.
    pub file: String,
    /// The `# Title`.
    pub title: String,
    /// The first blockquote under the title, as plain text; empty where there is none.
    pub promise: String,
    /// What stands between the promise and the first step; nothing in it is run.
    pub introduction: Vec<Block>,
    /// The steps, in order; there is at least one.
    pub steps: Vec<Step>,
}

/// One `## Title` and what stands under it.
#[derive(Clone, Debug)]
pub struct Step {
    /// The step's title.
    pub title: String,
    /// The line of the title, from 1.
    pub line: usize,
    /// What is shown, run and asked, in order.
    pub blocks: Vec<Block>,
    /// The step's hints, each for one of the blocks.
    pub hints: Vec<Hint>,
}

/// One piece of a step.
#[derive(Clone, Debug)]
pub enum Block {
    /// Shown as it stands.
    Prose(Markdown),
    /// Shown, run when the learner says so, every reply compared.
    Redis(Transcript),
    /// The learner types; judged by the checks that follow it, or by the reply where there are none.
    Try {
        /// One way to do it.
        solution: Transcript,
        /// What must then be found in Redis.
        checks: Vec<Transcript>,
    },
    /// Run silently: judges the state.
    Check(Transcript),
    /// A command line for the shell.
    Shell(Shell),
    /// Code in one language, or the same in several: tabs.
    Code(Vec<Tab>),
    /// A question and its answers.
    Quiz(Quiz),
}

/// A part of the lesson's own Markdown source.
#[derive(Clone, Debug)]
pub struct Markdown {
    /// Its first line in the file, from 1.
    pub line: usize,
    /// The source.
    pub text: String,
}

/// A folded hint.
#[derive(Clone, Debug)]
pub struct Hint {
    /// What is shown.
    pub text: Markdown,
    /// The index of the block that it helps with.
    pub block: usize,
}

/// Commands and the replies they must have.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// The line of the fence, from 1.
    pub line: usize,
    /// Command by command.
    pub exchanges: Vec<Exchange>,
    /// What kind of reply is expected.
    pub expected: Expected,
    /// What to wait for first.
    pub wait: Option<Wait>,
    /// Which Redis can show it.
    pub needs: Needs,
}

/// One command and its expected reply.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The line of the command, from 1.
    pub line: usize,
    /// The command as the lesson writes it.
    pub source: String,
    /// The command's words, as sent.
    pub words: Vec<Vec<u8>>,
    /// The expected reply; `None` where the lesson leaves it open.
    pub reply: Option<Pattern>,
    /// Wrong replies that the lesson can explain.
    pub wrong: Vec<WrongReply>,
}

/// A wrong reply, and what it tells: `! (integer) -1: why`.
#[derive(Clone, Debug)]
pub struct WrongReply {
    /// The reply.
    pub reply: Pattern,
    /// Why it came.
    pub why: String,
}

/// Whether a transcript is expected to work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The replies as they are written.
    Replies,
    /// An error: of its commands without a written reply each, of the others at least one.
    Error,
}

/// Which Redis a block can be run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Any.
    AnyRedis,
    /// One that is not the practice Redis (`real`).
    RealRedis,
}

/// A wait before a transcript is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// How long (`after=11s`).
    pub span: Duration,
    /// The key whose TTL counts down meanwhile (`watch=KEY`).
    pub watch: Option<String>,
}

/// A fence of shell commands.
#[derive(Clone, Debug)]
pub struct Shell {
    /// The line of the fence, from 1.
    pub line: usize,
    /// The text, as shown.
    pub text: String,
    /// Whether we run it.
    pub run: Run,
    /// What to wait for first.
    pub wait: Option<Wait>,
    /// Which Redis can show it.
    pub needs: Needs,
}

/// Whether a shell fence is run, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// Only shown.
    ShownOnly,
    /// Our own commands, run in this process: their words, without the leading `sessiontut`.
    InProcess(Vec<Vec<String>>),
}

/// Code in one language.
#[derive(Clone, Debug)]
pub struct Tab {
    /// The line of the fence, from 1.
    pub line: usize,
    /// Its language.
    pub language: Language,
    /// The code.
    pub text: String,
    /// The region of an example file that it must equal: path and region (`from=PATH#REGION`).
    pub from: Option<(String, String)>,
}

/// The language of a fence: its first word, in lower case; `text` where it has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Language(pub String);

impl Language {
    /// The language that a person means: by its name, a short form, or the framework of our examples.
    #[must_use]
    pub fn named(word: &str) -> Self {
        let word = word.to_lowercase();
        Self(match word.as_str() {
            "py" | "flask" => "python".into(),
            "js" | "node" | "express" => "javascript".into(),
            "rs" | "axum" => "rust".into(),
            "ts" => "typescript".into(),
            "bash" | "shell" | "console" => "sh".into(),
            _ => word,
        })
    }
}

impl fmt::Display for Language {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A question with answers to choose from.
#[derive(Clone, Debug)]
pub struct Quiz {
    /// The line of the fence, from 1.
    pub line: usize,
    /// What is asked.
    pub question: String,
    /// The answers, in order; at least one is right.
    pub answers: Vec<Answer>,
}

impl Quiz {
    /// The indexes of the right answers.
    #[must_use]
    pub fn right_answers(&self) -> Vec<usize> {
        let answers = self.answers.iter().enumerate();
        let right = answers.filter(|(_, answer)| answer.is_right);
        right.map(|(index, _)| index).collect()
    }
}

/// One answer of a quiz.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The answer.
    pub text: String,
    /// Whether it is right.
    pub is_right: bool,
    /// Why it is right or wrong; a wrong one always has it.
    pub why: String,
}

/// Why a lesson file is not read, or one of the reasons.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct LessonError {
    /// The file as messages name it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub what: String,
}
