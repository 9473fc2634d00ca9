//! Lessons: Markdown files whose transcripts are run against Redis, judged by reply and by state.
//!
//! ```text
//! lesson file ─▶ steps ─▶ run against Redis ─▶ check reply and state ─▶ tell ─▶ progress
//! ```

mod fence;
mod guard;
mod lesson;
mod parse;
mod pattern;
mod quiz;
mod region;
mod shelf;
mod transcript;

pub use guard::{COMPLETIONS, Forbidden, PREFIX, keys_of};
pub use lesson::{
    Answer, Block, Exchange, Expected, Hint, Language, Lesson, Markdown, Needs, Quiz, Refusal, Run, Shell,
    Step, Tab, Transcript, Wait, WrongReply,
};
pub use parse::{MARKDOWN, parse};
pub use pattern::Pattern;
pub use shelf::{Book, Shelf};
pub use transcript::words;
