//! Implements sessions: cookie ⇄ [`SessionStore`] ⇄ Redis.
//!
//! ```no_run
//! use std::time::Duration;
//! use sessiontut::deadline::Deadline;
//! use sessiontut::redis_url::{Target, Trust};
//! use sessiontut::session::SessionStore;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let target = Target::parse("redis://127.0.0.1:6379")?;
//! let deadline = Deadline::after(Duration::from_secs(2));
//! let mut redis = sessiontut::open(&target, &Trust::default(), deadline)
//!     .await
//!     .map_err(|unreachable| format!("{:?}", unreachable.verdict))?;
//! redis.read_clock().await;
//! let mut store = SessionStore {
//!     clock: redis.clock(),
//!     redis,
//!     ttl: Duration::from_secs(30 * 60),
//!     max_age: Duration::from_secs(8 * 60 * 60),
//! };
//! let token = store.create("ada").await?;
//! let session = store.visit(&token).await?;
//! assert_eq!(session.map(|session| session.visits), Some(1));
//! store.end(&token).await?;
//! # Ok(())
//! # }
//! ```

pub(crate) mod cookie;
pub(crate) mod jar;
pub(crate) mod other_keys;
pub(crate) mod store;

pub use cookie::{CookieError, SigningKey, Token};
pub use store::SessionStore;

use std::time::Duration;

/// The prefix of every key that this program writes.
pub const KEY_PREFIX: &str = "sessiontut:";

/// Default TTL of a session in seconds. It is short so that users of `serve` can watch a session expire.
pub(crate) const DEFAULT_TTL: u32 = 10;
/// Default TTL of a session that a step command creates. It is longer than [`DEFAULT_TTL`], because the user
/// needs time to type the next command.
pub(crate) const STEP_TTL: Duration = Duration::from_secs(30 * 60);
/// Default maximum lifetime of a session, however often it is visited.
pub(crate) const DEFAULT_MAX_AGE: Duration = Duration::from_secs(8 * 3600);

/// The maximum length of a user name in characters (Unicode scalar values).
pub(crate) const LONGEST_NAME: usize = 64;

/// The reason why a text is not a valid user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    /// The name is empty or consists only of white space.
    #[error("the name is empty")]
    Empty,
    /// The name has more than [`LONGEST_NAME`] characters.
    #[error("the name is longer than {LONGEST_NAME} characters")]
    TooLong,
    /// The name contains a control character, such as a line feed.
    #[error("the name contains control characters")]
    Control,
}

/// Validates a user name. Returns the name without surrounding white space.
pub(crate) fn user_name(text: &str) -> Result<&str, NameError> {
    let name = text.trim();
    if name.chars().any(char::is_control) {
        Err(NameError::Control)
    } else if name.is_empty() {
        Err(NameError::Empty)
    } else if name.chars().count() > LONGEST_NAME {
        Err(NameError::TooLong)
    } else {
        Ok(name)
    }
}
