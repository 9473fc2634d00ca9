//! RESP over any stream: what was sent, what came back, and how long it took.
//!
//! Replies are the `redis` crate's [`redis::Value`] everywhere, whoever read them. Spec:
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

pub(crate) mod command_table;
mod connect;
mod connection;
mod driver;
pub(crate) mod error_replies;
mod measure;
mod multiplexed;
mod queue;
mod raw;
mod recorder;
mod show;
mod stream;
mod trip;
mod write;

pub use connect::{Client, Unreachable, open};
pub(crate) use connection::{Connection, ReadError};
pub use measure::{Limits, measure};
pub(crate) use multiplexed::Multiplexed;
pub(crate) use queue::Broken;
pub(crate) use raw::{Replies, Reply};
pub(crate) use recorder::{Exchange, Recorded, Recorder};
pub(crate) use show::{command_line, error_text, quoted, reply_lines};
pub(crate) use stream::Stream;
pub(crate) use trip::{Batch, Trip};
