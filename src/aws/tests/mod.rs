//! Tests of the verdict: captured networks, tables of rules, random networks, and hostile documents.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod apply;
mod captured;
mod example;
mod hostile;
mod random;
mod rules;
