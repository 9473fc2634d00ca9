//! A learner is the person at the terminal, or the robot of `learn --yes`. Both get the same events and the same
//! questions.

use std::net::SocketAddr;
use std::time::Duration;

use super::check::Outcome;
use super::connection::Unavailable;
use super::lesson::{CodeTab, Hint, Lesson, LessonExchange, Quiz, SequenceDiagram, Shell, Transcript, Wait};
use crate::examples::SourceFile;
use crate::signals::Interrupted;

/// A learner. Every question returns [`Interrupted`] on Ctrl-C, or at the end of the input.
pub(crate) trait Learner {
    fn show(&mut self, event: &CourseEvent<'_>);

    /// Asks for one of these keys. Enter selects the first.
    fn press(&mut self, offers: &[Offer]) -> Result<Key, Interrupted>;

    /// Asks for a Redis command, or for one of the keys in `offers`. `keys` are the Redis keys for completion.
    fn type_command(&mut self, keys: &[String], offers: &[Offer]) -> Result<Typed, Interrupted>;

    /// Asks for the right answers of a quiz, or for one of the keys in `offers`.
    fn pick(&mut self, quiz: &Quiz, offers: &[Offer]) -> Result<Picked, Interrupted>;

    /// Asks for the command that starts the learner's app. Returns nothing if the learner starts it.
    fn start_command(&mut self) -> Result<String, Interrupted>;

    /// Asks for a line of text.
    fn type_line(&mut self, question: &str) -> Result<String, Interrupted>;
}

/// The meaning of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Continue: run the commands that are shown, or go to the next part.
    Next,
    Hint,
    Solution,
    /// List the lessons, and choose one.
    List,
    /// Show code in the next language.
    Language,
    /// Show the complete files that contain the last code.
    Files,
    /// Change the command that starts the learner's app.
    StartCommand,
    /// Start this step again.
    Redo,
    /// Go back to the previous step.
    Back,
    /// Show only the tasks of this lesson.
    FastLane,
    /// Run `ping` on this Redis.
    Ping,
    /// Decline the action of [`Key::Next`].
    No,
    Quit,
}

/// A keyboard key that is available at a prompt, with a description of one to three words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub key: Key,
    pub does: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    Command(String),
    Key(Key),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Picked {
    /// The indexes of answers, in order.
    Answers(Vec<usize>),
    Key(Key),
}

/// Progress of a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Done,
    Current,
    Open,
}

/// The kind of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Plain,
    Success,
    Warning,
    Failure,
}

/// An event in a lesson. Steps and hints are counted from 0.
#[derive(Debug)]
pub(crate) enum CourseEvent<'a> {
    /// A lesson starts, or continues at a later step than the first.
    Lesson {
        lesson: &'a Lesson,
        of: usize,
        step: usize,
    },
    Step {
        lesson: &'a Lesson,
        step: usize,
    },
    /// Markdown.
    Prose(&'a str),
    /// Code in several languages, one of which is shown.
    Code {
        tabs: &'a [CodeTab],
        shown: usize,
    },
    /// Complete files, in this language.
    Files {
        files: &'a [SourceFile],
        language: &'a str,
    },
    Diagram(&'a SequenceDiagram),
    Shell(&'a Shell),
    /// Redis commands that are about to be run.
    Commands(&'a Transcript),
    /// One of these commands was run.
    Ran(&'a Outcome),
    /// A `redis check`, or one command of it, was run silently.
    Checked(&'a Outcome),
    /// The learner should type commands.
    Try,
    /// The reply to a typed command, as redis-cli prints it.
    Reply(&'a [String]),
    /// The task is not done yet. Contains the check that failed.
    NotYet(&'a Outcome),
    Solution(&'a Transcript),
    Hint {
        hint: &'a Hint,
        number: usize,
        of: usize,
    },
    Quiz(&'a Quiz),
    Answered {
        quiz: &'a Quiz,
        picked: &'a [usize],
    },
    /// A fence was not run.
    Skipped {
        line: usize,
        commands: &'a [LessonExchange],
        why: &'static str,
    },
    Countdown {
        wait: &'a Wait,
        left: Duration,
        /// The reply to PTTL for the key to watch.
        pttl: Option<i64>,
    },
    CountdownOver,
    /// Redis did not answer, or is unavailable.
    Unavailable(&'a Unavailable),
    Lessons(&'a [(&'a Lesson, Standing)]),
    /// Called when the app runs. The robot logs in and visits the page, as the lesson asks a person to do.
    AppStarted {
        line: usize,
        address: SocketAddr,
    },
    /// Called when the app is about to stop.
    AppStops,
    /// A command of this program has finished writing to the terminal.
    CommandOutput,
    CommandFailed {
        line: usize,
        what: &'a str,
    },
    LessonDone(&'a Lesson),
    /// One sentence for the learner.
    Message(Mark, &'a str),
}
