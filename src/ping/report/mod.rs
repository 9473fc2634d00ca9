//! Renders a verdict as text for people and as JSON for scripts.

pub mod json;
pub mod steps;
pub mod text;
