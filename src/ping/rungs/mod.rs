//! One file per rung, each with an `observe` function that checks its layer and judges nothing.

pub(crate) mod auth;
pub(crate) mod cluster;
pub(crate) mod dns;
pub(crate) mod ping;
pub(crate) mod role;
pub(crate) mod tcp;
pub(crate) mod tls;
