//! One file a rung; each observes its layer and judges nothing.

pub(crate) mod auth;
pub(crate) mod dns;
pub(crate) mod role;
pub(crate) mod tcp;
pub(crate) mod tls;
