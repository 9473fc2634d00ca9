//! A learner is the person at the terminal or, with `learn --yes`, the robot: code that answers in the
//! person's place. Both receive the same events and the same questions.

use std::net::SocketAddr;
use std::time::Duration;

use super::check::Outcome;
use super::connection::Unavailable;
use super::lesson::{CodeTab, Lesson, LessonExchange, Quiz, SequenceDiagram, Transcript, Wait};
use crate::examples::SourceFile;
use crate::signals::Interrupted;

/// Takes a course. Every method that asks a question returns [`Interrupted`] after Ctrl-C or at the end of
/// the input.
pub(crate) trait Learner {
    fn show(&mut self, event: &CourseEvent<'_>);

    /// Asks for one of these keys. Enter selects the first one.
    fn press(&mut self, offers: &[Offer]) -> Result<Key, Interrupted>;

    /// Asks for a Redis command, or for one of the keys in `offers`. `keys` are Redis keys that can be
    /// completed.
    fn type_command(&mut self, keys: &[String], offers: &[Offer]) -> Result<Typed, Interrupted>;

    /// Asks for the right answers of a quiz, or for one of the keys in `offers`.
    fn pick(&mut self, quiz: &Quiz, offers: &[Offer]) -> Result<Picked, Interrupted>;

    /// Asks for the command that starts the learner's app. Returns an empty string if the learner starts the
    /// app in another way.
    fn start_command(&mut self) -> Result<String, Interrupted>;

    /// Whether the course continues if Ctrl-C ends a command that the course runs.
    fn continues_after_interrupt(&self) -> bool {
        true
    }

    /// Asks for a line of text.
    fn type_line(&mut self, question: &str) -> Result<String, Interrupted>;
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Continues: runs the commands that are shown, or goes to the next part.
    Next,
    Hint,
    Solution,
    /// Lists the lessons, so that the learner can choose one.
    List,
    /// Shows code in the next language.
    Language,
    /// Shows the complete files that the most recent code comes from.
    Files,
    /// Changes the command that starts the learner's app.
    StartCommand,
    /// Starts this step again.
    Redo,
    /// Goes back to the previous step.
    Back,
    /// Shows only the tasks of this lesson.
    FastLane,
    /// Runs `ping` on this Redis.
    Ping,
    /// Declines what [`Key::Next`] would do.
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
    /// The indexes of the chosen answers, in ascending order.
    Answers(Vec<usize>),
    Key(Key),
}

/// The learner's progress in a lesson.
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
    /// A lesson starts, or continues at a later step.
    Lesson {
        lesson: &'a Lesson,
        /// The number of this lesson, counted from 1, and the total number of lessons.
        position: (usize, usize),
        step: usize,
    },
    Step {
        lesson: &'a Lesson,
        step: usize,
    },
    /// Text in Markdown.
    Prose(&'a str),
    /// Code in several languages, one of which is shown.
    Code {
        tabs: &'a [CodeTab],
        shown: usize,
    },
    /// The complete files in this language.
    Files {
        files: &'a [SourceFile],
        language: &'a str,
    },
    Diagram(&'a SequenceDiagram),
    /// Shell commands, as shown to the learner.
    Shell(&'a str),
    /// Redis commands that are about to be run.
    Commands(&'a Transcript),
    /// One of the commands has been run.
    Ran(&'a Outcome),
    /// A `redis check`, or one of its commands, has been run without being shown.
    Checked(&'a Outcome),
    /// The learner is asked to type commands.
    Try,
    /// The reply to a typed command, as redis-cli prints it.
    Reply(&'a [String]),
    /// The task is not solved yet. Contains the check that failed.
    NotYet(&'a Outcome),
    Solution(&'a Transcript),
    Hint {
        text: &'a str,
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
        /// The reply to PTTL for the watched key.
        pttl: Option<i64>,
    },
    CountdownOver,
    /// Redis has not replied, or is unavailable.
    Unavailable(&'a Unavailable),
    Lessons(&'a [(&'a Lesson, Standing)]),
    /// The app is running. The robot now logs in and visits the page, as the lesson asks a person to do.
    AppStarted {
        line: usize,
        address: SocketAddr,
    },
    /// The app is about to stop.
    AppStops,
    /// A command of this program has finished writing to the terminal.
    CommandOutput,
    CommandFailed {
        line: usize,
        what: &'a str,
    },
    LessonDone(&'a Lesson),
    /// One sentence to show to the learner.
    Message(Mark, &'a str),
}
