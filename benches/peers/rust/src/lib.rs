//! Code that all peers share: the settings and the page.

use std::env;

/// Reads a setting from the environment.
pub fn setting(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// The port to listen on.
pub fn port() -> u16 {
    setting("PORT").parse().expect("PORT is a port")
}

/// Generates pages of a fixed size.
#[derive(Clone)]
pub struct Page {
    filling: String,
}

impl Page {
    /// Creates a generator of pages with `PAGE_BYTES` bytes.
    pub fn from_environment() -> Self {
        let bytes: usize = setting("PAGE_BYTES").parse().expect("PAGE_BYTES is a number");
        Self {
            filling: "<p>The quick brown fox jumps over the lazy dog.</p>\n".repeat(bytes / 50 + 1)[..bytes].to_owned(),
        }
    }

    /// Returns a page that contains this text and is padded to the fixed size.
    pub fn saying(&self, text: &str) -> String {
        let mut page = String::with_capacity(self.filling.len());
        page.push_str(text);
        page.push_str(&self.filling[text.len()..]);
        page
    }
}
