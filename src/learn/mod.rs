//! Lessons: Markdown files whose transcripts are run against Redis, judged by reply and by state.
//!
//! ```text
//! lesson file ─▶ steps ─▶ run against Redis ─▶ check reply and state ─▶ tell ─▶ progress
//! ```

pub mod browser;
pub mod check;
pub mod classroom;
pub mod course;
mod fence;
mod guard;
mod lesson;
pub mod link;
pub mod lock;
mod meant;
pub mod names;
mod parse;
pub mod pattern;
pub mod progress;
mod quiz;
mod refusal;
mod region;
pub mod scene;
mod shelf;
pub mod stop;
mod transcript;
pub mod unattended;

pub use guard::{COMPLETIONS, Forbidden, PREFIX, keys_of};
pub use lesson::{
    Answer, Block, Exchange, Expected, Hint, Language, Lesson, Markdown, Needs, Quiz, Refusal, Run, Shell,
    Step, Tab, Transcript, Wait, WrongReply,
};
pub use parse::{MARKDOWN, parse};
pub use pattern::Pattern;
pub use shelf::{Book, Shelf};
pub use transcript::words;
