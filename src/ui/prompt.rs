//! Prompts on a terminal: for a single key press (`keys.rs`), and for a line that can be edited (`line.rs`).

mod completion;
mod drawing;
mod events;
mod keys;
mod line;
mod modes;
mod paste;

pub(crate) use crossterm::event::KeyCode as Key;

pub(crate) use drawing::clear_wrapped;
pub(crate) use keys::{KeyReader, Press};
pub(crate) use line::{Assistance, Entry, LineEditor};
pub(crate) use modes::{WithoutEcho, discard_typed};
pub(crate) use paste::TEXT_IGNORED;
