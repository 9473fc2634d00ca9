//! Whether Redis is usable: does what a visit does, on a key that the same transaction deletes.
//!
//! PING would succeed on a replica, or on a Redis out of memory, while every page returns 503.

use std::sync::Arc;

use super::connection_manager::ConnectionManager;
use super::fault::Fault;
use crate::deadline::Deadline;
use crate::session::KEY_PREFIX;

/// Counts at a key and deletes it, in one transaction.
pub(super) async fn check(redis: &Arc<ConnectionManager>, deadline: Deadline) -> Result<(), Fault> {
    let key = format!("{KEY_PREFIX}health");
    let check = |mut redis| async move {
        redis::pipe()
            .atomic()
            .hincr(&key, "checks", 1)
            .del(&key)
            .exec_async(&mut redis)
            .await
    };
    redis.run(deadline, check).await
}
