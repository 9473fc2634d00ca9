//! What the peers have in common: their settings and the page.

use std::env;

/// A setting from the environment.
pub fn setting(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// The port to listen on.
pub fn port() -> u16 {
    setting("PORT").parse().expect("PORT is a port")
}

/// Makes pages of one size.
#[derive(Clone)]
pub struct Page {
    filling: String,
}

impl Page {
    /// Pages of `PAGE_BYTES` bytes.
    pub fn from_environment() -> Self {
        let bytes: usize = setting("PAGE_BYTES").parse().expect("PAGE_BYTES is a number");
        Self {
            filling: "<p>The quick brown fox jumps over the lazy dog.</p>\n".repeat(bytes / 50 + 1)[..bytes].to_owned(),
        }
    }

    /// A page that says this, and is as long as all others.
    pub fn saying(&self, text: &str) -> String {
        let mut page = String::with_capacity(self.filling.len());
        page.push_str(text);
        page.push_str(&self.filling[text.len()..]);
        page
    }
}
