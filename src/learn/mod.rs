//! Lessons: Markdown files whose transcripts are run against Redis, judged by reply and by state.
//!
//! ```text
//! lesson file ─▶ steps ─▶ run against Redis ─▶ check reply and state ─▶ tell ─▶ progress
//! ```

pub(crate) mod browser;
pub(crate) mod check;
pub(crate) mod classroom;
pub(crate) mod course;
mod fence;
mod guard;
mod lesson;
pub(crate) mod link;
pub(crate) mod lock;
mod meant;
pub(crate) mod names;
mod parse;
pub(crate) mod pattern;
pub(crate) mod progress;
mod quiz;
mod refusal;
mod region;
pub(crate) mod scene;
mod shelf;
pub(crate) mod stop;
mod transcript;
pub(crate) mod unattended;

pub(crate) use guard::{COMPLETIONS, Forbidden, PREFIX, keys_of};
pub(crate) use lesson::{
    Answer, Block, Exchange, Expected, Hint, Language, Lesson, Markdown, Needs, Quiz, Refusal, Run, Shell,
    Step, Tab, Transcript, Wait, WrongReply,
};
pub(crate) use parse::MARKDOWN;
pub use parse::parse;
pub(crate) use pattern::Pattern;
pub(crate) use shelf::{Book, Shelf};
pub(crate) use transcript::words;
