//! Sessions: cookie ⇄ [`SessionStore`] ⇄ Redis. One hash a session, under a key that only its token leads to.

pub mod cookie;
pub mod jar;
pub mod neighbours;
pub mod store;
pub mod token;

pub use cookie::SigningKey;
pub use store::SessionStore;
pub use token::Token;

/// Characters that a user name may have, after trimming.
pub const LONGEST_NAME: usize = 64;

/// What every key of ours begins with: we are guests on other people's Redis.
pub const KEY_PREFIX: &str = "sessiontut:";
