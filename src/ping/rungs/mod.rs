//! One file per rung. Its `observe` function checks a layer and records facts, without interpreting them.

pub(crate) mod auth;
pub(crate) mod cluster;
pub(crate) mod dns;
pub(crate) mod permissions;
pub(crate) mod ping;
pub(crate) mod role;
pub(crate) mod tcp;
pub(crate) mod tls;
