//! Asks the user for permission to use a Redis server that contains keys of other programs.

use super::session::endpoint;
use crate::error::Error;
use crate::redis_client::RedisConnection;
use crate::redis_client::fault::RedisFault;
use crate::redis_url::{Origin, Target};
use crate::session::jar::Jar;
use crate::session::other_keys::{count_other_keys, notice};
use crate::state;
use crate::ui;

/// Returns whether the user allows the command to write. If Redis contains keys of other programs, prints a
/// message and, on a terminal, asks the user. `what` describes the planned changes in full sentences.
pub(super) async fn may_write(
    target: &Target,
    redis: &mut RedisConnection,
    what: &str,
) -> Result<bool, Error> {
    if is_known(target) {
        return Ok(true);
    }
    let others = count_other_keys(redis).await;
    let others = others.map_err(|error| RedisFault::of_error(&error, &redis.fix_context()))?;
    if let Some(others) = notice(others)
        && !ui::agrees(&format!("{others}. {what}"))
    {
        return Ok(false);
    }
    remember(target);
    Ok(true)
}

/// Whether permission is already granted: the target is the practice Redis, or the user has agreed before.
pub(super) fn is_known(target: &Target) -> bool {
    target.origin == Origin::Practice || jar().is_some_and(|jar| jar.cookie(&endpoint(target)).is_known)
}

/// Records the user's permission to use this Redis, so that later commands do not ask again.
pub(super) fn remember(target: &Target) {
    if let Some(mut jar) = jar() {
        let endpoint = endpoint(target);
        let mut cookie = jar.cookie(&endpoint);
        cookie.is_known = true;
        // If saving fails, the next command asks again.
        let _ = jar.keep(&endpoint, cookie);
    }
}

fn jar() -> Option<Jar> {
    Some(Jar::open(&state::open_folder().ok()?))
}
