//! Whether Redis serves: what a visit does, at a key that is gone when the answer comes.
//!
//! A PING would be answered by a replica, or by a Redis out of memory, while every page says 503.

use std::sync::Arc;

use super::fault::Fault;
use super::link::Link;
use crate::deadline::Deadline;
use crate::redis_client::Batch;
use crate::redis_client::Client;

const KEY: &[u8] = b"sessiontut:health";

/// Counts at a key, and deletes it, in one transaction.
pub(super) async fn check(link: &Arc<Link>, deadline: Deadline) -> Result<(), Fault> {
    let visit = Batch::transaction()
        .with(&[b"HINCRBY", KEY, b"checks", b"1"])
        .with(&[b"DEL", KEY]);
    let work = |client: Client| async move { client.travel(visit).await };
    link.ask(deadline, work).await?;
    Ok(())
}
