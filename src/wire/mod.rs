//! RESP over any stream: what was sent, what came back, and how long it took.
//!
//! Replies are the `redis` crate's [`redis::Value`] everywhere, whoever read them. Spec:
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

mod connection;
mod driver;
mod measure;
mod multiplexed;
mod queue;
mod raw;
mod recorder;
mod show;
mod stream;
mod trip;
mod write;

pub use connection::{Connection, ReadError};
pub use measure::{Limits, Malformed, measure};
pub use multiplexed::Multiplexed;
pub use queue::Broken;
pub use raw::{Replies, Reply};
pub use recorder::{Exchange, Recorded, Recorder};
pub use show::{command_line, error_text, reply_lines};
pub use stream::Stream;
pub use trip::{Batch, Trip};
