//! The practice Redis: a small Redis-compatible server on loopback, so that everything works on a machine without Redis.
//!
//! ```text
//! bytes ─▶ request ─▶ command (looked up in one table) ─▶ store ─▶ reply ─▶ bytes
//! ```
//!
//! [`attach`] is the way to it for commands; [`Server`] is the server itself, in a thread of its own. Its replies are byte for byte those of Redis 7.0;
//! `tests/practice_differential.rs` holds it to that.

mod alone;
mod attach;
mod client;
mod commands;
mod connection;
mod dict;
mod hub;
mod join;
mod kept;
mod manner;
pub(crate) mod random;
mod reply;
mod request;
mod server;
mod snapshot;
mod store;
mod value;

pub use alone::{Keep, Lone};
pub use attach::{Attached, Fault, attach};
pub use kept::Notice;
pub use manner::Manner;
pub use server::{Limits, Options, Server};
