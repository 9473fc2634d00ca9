//! sessiontut: learn server-side sessions in Redis, and find out why a Redis connection fails.
//!
//! Three jobs, each a straight line:
//!
//! ```text
//! ping    url ─▶ target ─▶ ladder (a rung a layer, plus experiments) ─▶ observations ─▶ verdict ─▶ report
//! learn   lesson file ─▶ steps ─▶ run against Redis ─▶ check reply and state ─▶ tell ─▶ progress
//! serve   request ─▶ session (cookie ⇄ SessionStore ⇄ Redis) ─▶ page
//! ```
//!
//! [`cli`] and [`commands`] are the front door, [`ui`] is the only place that prints; everything else returns
//! typed values and knows no terminal. Dependencies point one way: front door → job → [`redis_client`].

mod cli;
mod commands;
mod exit;
mod learn;
mod os;
mod redis_client;
mod serve;
mod signals;
mod state;
mod ui;

pub mod deadline;
pub mod drill;
pub mod ping;
pub mod practice;
pub mod redis_url;
pub mod sanitize;
pub mod secret;
pub mod session;

pub use cli::Cli;
pub use commands::{Error, parse, report, run};
pub use exit::Exit;
pub use redis_client::connect::{RedisConnection, Unreachable, open};

/// Readers of untrusted input, for the tests and the fuzz targets only.
#[doc(hidden)]
pub mod untrusted {
    pub use crate::learn::is_valid_lesson;
    pub use crate::ping::report::{json, steps, text};
    pub use crate::redis_client::{Limits, measure};
    pub use crate::ui::markdown;
}

#[cfg(test)]
#[path = "../tests/support/golden.rs"]
mod golden;
