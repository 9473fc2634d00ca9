//! Sessions: cookie ⇄ [`SessionStore`] ⇄ Redis.
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
//! let redis = sessiontut::open(&target, &Trust::default(), deadline)
//!     .await
//!     .map_err(|unreachable| format!("{:?}", unreachable.verdict))?;
//! let mut store = SessionStore {
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

pub use cookie::{SigningKey, Token};
pub use store::SessionStore;

use std::time::Duration;

/// Prefix of every key that this program writes, because the Redis may also hold other keys.
pub const KEY_PREFIX: &str = "sessiontut:";

/// Default TTL of a session, in seconds; each visit resets it. Short, so that `serve` shows a session expire.
pub(crate) const DEFAULT_TTL: u32 = 10;
/// Default TTL of a session of the step commands, which are typed one by one.
pub(crate) const STEP_TTL: Duration = Duration::from_secs(30 * 60);
/// Default longest lifetime of a session, however often it is visited.
pub(crate) const DEFAULT_MAX_AGE: Duration = Duration::from_secs(8 * 3600);

/// Longest user name, in characters (Unicode scalars).
pub(crate) const LONGEST_NAME: usize = 64;

/// Why a text is not a user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    /// Nothing but white space.
    #[error("the name is empty")]
    Empty,
    /// More than [`LONGEST_NAME`] characters.
    #[error("a name may have at most {LONGEST_NAME} characters")]
    TooLong,
    /// Such as a line feed.
    #[error("a name must not contain control characters")]
    Control,
}

/// The one rule for user names. Returns the name without the white space around it.
///
/// # Errors
/// Returns [`NameError`] if the name is invalid.
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
