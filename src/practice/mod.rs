//! The practice Redis: a small Redis-compatible server on loopback, so that all commands of this program work
//! on a machine without Redis.
//!
//! ```text
//! bytes ─▶ request ─▶ command (looked up in the command table) ─▶ store ─▶ reply ─▶ bytes
//! ```
//!
//! The commands use the practice Redis through `PracticeRedis`. [`Server`] is the server itself, which runs
//! in a separate thread. Its replies are identical to those of Redis 7.0, which
//! `tests/practice_differential.rs` checks byte by byte.

mod admission;
mod attach;
mod client;
mod command;
mod command_info;
mod commands;
mod connection;
mod data_file;
mod dict;
mod glob;
mod packed;
mod reply;
mod request;
mod saver;
mod server;
mod simulated_fault;
mod snapshot;
mod state;
mod store;
mod value;
mod words;

pub(crate) use admission::raise_file_limit;
pub(crate) use attach::PracticeRedis;
pub(crate) use command_info::CommandInfo;
pub(crate) use commands::{SERVER_NAME, command_table};
pub(crate) use data_file::start_standalone;
pub(crate) use request::{RequestLimits, RequestReader, read_requests};
pub use server::{Server, ServerOptions};
pub use simulated_fault::SimulatedFault;
pub use state::ServerLimits;
pub(crate) use words::split;
