//! Sessions: cookie ⇄ [`SessionStore`] ⇄ Redis. One hash a session, under a key that only its token leads to.

pub(crate) mod cookie;
pub(crate) mod jar;
pub(crate) mod neighbours;
pub(crate) mod store;
pub(crate) mod token;

pub use cookie::SigningKey;
pub use store::SessionStore;
pub use token::Token;

/// Characters that a user name may have, after trimming.
pub const LONGEST_NAME: usize = 64;

/// What every key of ours begins with: we are guests on other people's Redis.
pub const KEY_PREFIX: &str = "sessiontut:";
