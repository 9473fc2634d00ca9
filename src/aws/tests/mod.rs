//! Tests the AWS checks with captured networks, tables of rules, random networks and manipulated documents.

// Clippy exempts test functions, but not the helper functions that they call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod apply;
mod captured;
mod example;
mod hostile;
mod random;
mod rules;
