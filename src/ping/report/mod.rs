//! Two renderers of the same verdict: text for people, JSON for scripts.

pub mod json;
pub mod steps;
pub mod text;
