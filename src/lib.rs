//! sessiontut: learn how server-side sessions in Redis work, and find out why a Redis connection fails.
//!
//! The program has four main functions. Each is a linear pipeline:
//!
//! ```text
//! ping    URL → rungs (one check per layer, plus experiments) → observations → verdict → report
//! learn   lesson file → steps → commands on Redis → replies and state compared → progress
//! serve   request → session (cookie ⇄ SessionStore ⇄ Redis) → page
//! check   app → visits through a proxy → exchanges → checks → report
//! ```
//!
//! `commands` parses the command line and starts one of the main functions, which return typed values and
//! events. Only `ui` prints. Dependencies point in one direction: commands → main functions → `session`
//! and `redis_client`. ARCHITECTURE.md describes each main function, file by file.
//!
//! This crate exports only what the program and its tests need. The entry points are [`ping::climb`] and
//! [`ping::judge`], [`is_valid_lesson`], and [`session::SessionStore`].

mod aws;
mod aws_program;
mod check;
mod clock;
mod commands;
mod error;
mod examples;
mod exit;
mod files;
mod learn;
mod os;
mod random;
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

pub use commands::{Cli, parse, report_for, run};
pub use error::Error;
pub use exit::Exit;
pub use learn::is_valid_lesson;
pub use redis_client::connect::{Unreachable, open};
pub use redis_client::{Clock, RedisConnection};

#[doc(hidden)]
pub use check::driver;

#[doc(hidden)]
pub mod untrusted;

#[cfg(test)]
#[allow(unreachable_pub)] // The integration tests include it, too.
#[path = "../tests/support/golden.rs"]
mod golden;
