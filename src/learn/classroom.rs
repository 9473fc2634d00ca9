//! What a lesson says and asks: the core's side of the conversation, without a terminal in it.

use std::time::Duration;

use super::check::Outcome;
use super::guard::Forbidden;
use super::lesson::{Hint, Language, Lesson, Markdown, Quiz, Shell, Tab, Transcript};
use super::link::Unanswered;
use super::stop::Interrupted;

/// Where a lesson is taught: says things to a learner, and asks.
pub(crate) trait Classroom {
    /// Shows what happens.
    fn tell(&mut self, said: &Said<'_>);

    /// Asks for one of these keys; the first is what Enter means.
    ///
    /// # Errors
    /// [`Interrupted`] by Ctrl-C, or by the end of the input.
    fn key(&mut self, offers: &[Offer]) -> Result<Key, Interrupted>;

    /// Asks for a Redis command, or a key.
    ///
    /// # Errors
    /// [`Interrupted`].
    fn command(&mut self, keys: &[String], offers: &[Offer]) -> Result<Typed, Interrupted>;

    /// Asks for answers of a quiz (their places, from 0), or a key.
    ///
    /// # Errors
    /// [`Interrupted`].
    fn answer(&mut self, quiz: &Quiz, offers: &[Offer]) -> Result<Picked, Interrupted>;

    /// Asks for a line of text.
    ///
    /// # Errors
    /// [`Interrupted`].
    fn line(&mut self, question: &str) -> Result<String, Interrupted>;
}

/// What a learner can want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Go on: run what is shown, look at the next part.
    Next,
    /// Show a hint.
    Hint,
    /// Show the solution.
    Solution,
    /// List the lessons, and go to one.
    List,
    /// Show code in the next language.
    Language,
    /// Begin this step again.
    Redo,
    /// Go back to the step before.
    Back,
    /// Prove it: only the tasks of this lesson.
    FastLane,
    /// Run `ping` on this Redis.
    Ping,
    /// Not now.
    No,
    /// Leave.
    Quit,
}

/// A key that is offered, and what it does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// What it means.
    pub key: Key,
    /// What it does here, in a word or two.
    pub does: &'static str,
}

/// What was typed where a command was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// A command line.
    Command(String),
    /// One of the keys that were offered.
    Key(Key),
}

/// What was picked where an answer was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Picked {
    /// Answers, by their places from 0.
    Answers(Vec<usize>),
    /// One of the keys that were offered.
    Key(Key),
}

/// How far a lesson is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Gone through.
    Done,
    /// The one the learner is in.
    Now,
    /// Neither.
    Open,
}

/// What happens in a lesson.
#[derive(Debug)]
pub(crate) enum Said<'a> {
    /// A lesson begins, or goes on at a later step.
    Lesson {
        /// The lesson.
        lesson: &'a Lesson,
        /// How many there are.
        of: usize,
        /// The step it begins at, from 0.
        step: usize,
    },
    /// A step begins.
    Step {
        /// Its lesson.
        lesson: &'a Lesson,
        /// Its place, from 0.
        step: usize,
    },
    /// Text.
    Prose(&'a Markdown),
    /// Code, in one of its languages.
    Code {
        /// The languages that there are.
        tabs: &'a [Tab],
        /// The one to show.
        shown: usize,
    },
    /// A shell command.
    Shell(&'a Shell),
    /// Commands that are about to be run.
    Commands(&'a Transcript),
    /// What came back of it.
    Outcome(&'a Outcome),
    /// The learner is to type; whether state or reply is judged shows in what follows.
    YourTurn,
    /// The reply to what the learner typed.
    Reply(&'a [String]),
    /// What Redis answered to the learner is an error with a known meaning.
    Meaning(&'a str),
    /// A command of the learner was not sent.
    Forbidden {
        /// Why not.
        why: &'a Forbidden,
        /// What they may have meant.
        meant: Option<&'a str>,
    },
    /// A line that is no command.
    Unreadable(&'a str),
    /// The learner's command was right, but the task is not done yet, or not that way.
    NotYet(&'a Outcome),
    /// Queued behind MULTI: nothing to judge yet.
    Queued,
    /// The task is done.
    Well,
    /// A solution.
    Solution(&'a Transcript),
    /// A hint, and how many there are.
    Hint {
        /// The hint.
        hint: &'a Hint,
        /// Its place, from 1.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// There is no (further) hint.
    NoHint,
    /// A quiz.
    Quiz(&'a Quiz),
    /// What the answer means: whether it was right, and the reasons of what was picked.
    Answered {
        /// Whether it was right.
        right: bool,
        /// The places that were picked, from 0.
        picked: &'a [usize],
        /// The quiz.
        quiz: &'a Quiz,
    },
    /// A block was not run: it needs a Redis that is not the practice one.
    NeedsRealRedis(&'a Transcript),
    /// The same, of a command.
    CommandNeedsRealRedis,
    /// A wait goes on.
    Countdown {
        /// What is left of it.
        left: Duration,
        /// The key whose life is shown, and what is left of it in milliseconds, as PTTL says it.
        watched: Option<(&'a str, i64)>,
    },
    /// A wait is over.
    CountdownOver,
    /// Redis does not answer; the learner has done nothing wrong.
    Trouble(&'a Unanswered),
    /// The connection broke; there is a new one, and the lesson's keys are as they were.
    Reconnected(&'a Unanswered),
    /// Redis answers again, and the lesson's keys are as they were.
    BackAgain,
    /// This Redis holds keys of others, in words.
    OthersKeys(&'a str),
    /// Somebody else is in a lesson on this Redis.
    NameTaken(&'a str),
    /// A name cannot be used.
    BadName(&'a str),
    /// From here on the lesson goes by this name.
    Named(&'a str),
    /// The code is shown in this language from now on.
    Language(&'a Language),
    /// There is no code here whose language could be chosen.
    OneLanguage,
    /// All lessons.
    List(&'a [(&'a Lesson, Standing)]),
    /// What the learner asked for cannot be done: a line says why.
    Sorry(&'a str),
    /// Commands of ours have written what they had to say.
    CommandsOver,
    /// A command of ours ended, and not well.
    CommandEnded(&'a str),
    /// The lesson is gone through.
    LessonDone(&'a Lesson),
    /// So are all.
    AllDone,
    /// The fast lane begins.
    FastLane,
    /// A line about progress or keys that the learner should know.
    Note(&'a str),
}
