//! The person at the terminal or, with `learn --yes`, code that simulates a person (the robot). Both receive
//! the same events and questions.

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

    /// Returns the key that the learner pressed at a pause in the last text, or `None` if the learner has
    /// read the whole text. After a key press, the rest of the text has not been shown.
    fn key_at_pause(&mut self) -> Option<Key> {
        None
    }

    /// Asks for a key press that `offers` contains. Enter selects the first offer.
    fn press(&mut self, offers: &[Offer]) -> Result<Key, Interrupted>;

    /// Asks for a Redis command, or for a key press that `offers` contains. `keys` are Redis keys for
    /// completion.
    fn type_command(&mut self, keys: &[String], offers: &[Offer]) -> Result<Typed, Interrupted>;

    /// Asks for the right answers of a quiz, or for a key press that `offers` contains.
    fn pick(&mut self, quiz: &Quiz, offers: &[Offer]) -> Result<Picked, Interrupted>;

    /// Asks for the command that starts the learner's app. Returns an empty string if the learner starts the
    /// app in a different way.
    fn start_command(&mut self) -> Result<String, Interrupted>;

    /// Whether the course continues if Ctrl-C ends a command.
    fn continues_after_interrupt(&self) -> bool {
        true
    }

    fn type_line(&mut self, question: &str) -> Result<String, Interrupted>;
}

/// The action of a keyboard key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Continues: runs the shown commands, or goes to the next part.
    Next,
    Hint,
    Solution,
    /// Lists the lessons, so that the learner can choose one.
    List,
    /// Shows code in the next language.
    Language,
    /// Shows the complete source files of the most recent code.
    Files,
    StartCommand,
    /// Restarts this step.
    Redo,
    Back,
    /// Shows only the tasks of this lesson.
    FastLane,
    /// Runs `ping` on this Redis.
    Ping,
    /// Declines the action of [`Key::Next`].
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Done,
    Current,
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Plain,
    Success,
    Warning,
    Failure,
}

/// An event in a lesson. Indexes of steps and hints start at 0.
#[derive(Debug)]
pub(crate) enum CourseEvent<'a> {
    /// A lesson starts, or continues at a later step.
    Lesson {
        lesson: &'a Lesson,
        /// The lesson's number, counted from 1, and the total number of lessons.
        position: (usize, usize),
        step: usize,
    },
    Step {
        lesson: &'a Lesson,
        step: usize,
    },
    /// The keys that the learner can press at a pause in the next text. The first one continues.
    Reading(&'a [Offer]),
    /// Text in Markdown.
    Prose(&'a str),
    /// Code in several languages, of which only one is shown.
    Code {
        tabs: &'a [CodeTab],
        shown: usize,
    },
    /// The complete source files in `language`.
    Files {
        files: &'a [SourceFile],
        language: &'a str,
    },
    Diagram(&'a SequenceDiagram),
    /// Shell commands in the form that the learner sees.
    Shell(&'a str),
    /// Redis commands that are about to run.
    Commands(&'a Transcript),
    /// A command of [`CourseEvent::Commands`] has run.
    Ran(&'a Outcome),
    /// A command of a `redis check` has run without being shown.
    Checked(&'a Outcome),
    /// The learner must type commands.
    Try,
    /// The reply to a typed command, in the format of redis-cli.
    Reply(&'a [String]),
    /// A check has failed, so the task is not solved yet.
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
    /// A fence of the lesson was skipped.
    Skipped {
        line: usize,
        commands: &'a [LessonExchange],
        why: &'static str,
    },
    Countdown {
        wait: &'a Wait,
        left: Duration,
        /// The reply to PTTL for the watched key, or `None` if no key is watched.
        pttl: Option<i64>,
    },
    CountdownOver,
    /// Redis does not reply, or is unavailable.
    Unavailable(&'a Unavailable),
    Lessons(&'a [(&'a Lesson, Standing)]),
    /// The app is running, so the robot logs in and visits the page now, as a person would.
    AppStarted {
        line: usize,
        address: SocketAddr,
    },
    AppStops,
    /// A sessiontut command has finished writing to the terminal.
    CommandOutput,
    CommandFailed {
        line: usize,
        what: &'a str,
    },
    LessonDone(&'a Lesson),
    /// One sentence for the learner.
    Message(Mark, &'a str),
}
