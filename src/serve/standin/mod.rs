//! What `client` and `session` will offer, as far as the app needs it to run; replaced by them.

#![allow(missing_docs)]

pub mod client;
pub mod cookie;
pub mod store;
pub mod token;
