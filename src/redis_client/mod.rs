//! Opens and uses all connections to Redis.
//!
//! - [`connect`] runs the checks of `ping`, and then turns their connection into a [`connection`].
//! - [`single`] uses the connection type of the `redis` crate, with [`limited`] replies.
//! - [`cluster`] uses one such connection per node of a cluster.
//! - [`probe`] is the connection of the checks. It keeps the received bytes as evidence.
//! - [`recorded`] records round trips, and [`show`] prints them as redis-cli does.
//! - [`reply`] reads values and error texts from replies.
//! - [`fault`] maps any error to a cause of `ping`.
//! - [`clock`] is the clock of the server.

mod clock;
mod cluster;
pub(crate) mod connect;
mod connection;
pub(crate) mod fault;
mod framing;
mod limited;
mod probe;
mod recorded;
pub(crate) mod refusal;
mod reply;
mod show;
mod single;
mod stream;

pub use clock::Clock;
pub(crate) use cluster::{SLOTS, open_stream, slot_of};
pub use connection::RedisConnection;
pub(crate) use framing::read_replies;
pub use framing::{Limits, measure};
pub(crate) use limited::REPLY_TOO_LARGE;
pub(crate) use probe::{ProbeConnection, ReadError, auth_command};
#[cfg(test)]
pub(crate) use recorded::RecordedCommand;
pub(crate) use recorded::{Recorded, RoundTrip};
pub(crate) use reply::{error_replies, error_text, items, text};
pub(crate) use show::{quoted, reply_lines};
pub(crate) use stream::Stream;
