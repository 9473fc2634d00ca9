//! One file a rung; each observes its layer and judges nothing.

pub mod auth;
pub mod dns;
pub mod role;
pub mod tcp;
pub mod tls;
