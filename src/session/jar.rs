//! The session cookies of the step commands: one per endpoint, in a file in the state folder with mode 0600.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Token;
use crate::state;

const FILE: &str = "cookies.json";

/// State saved for one endpoint. It contains a secret, so it has no `Debug`.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct StoredCookie {
    token: Option<String>,
    /// How the last session ended, if a step command ended it.
    pub ended: Option<SessionEnd>,
    /// Whether the user has confirmed that this Redis also holds other keys.
    #[serde(default)]
    pub is_known: bool,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SessionEnd {
    /// By `sessiontut logout`.
    LoggedOut,
    /// The key expired while `sessiontut expire` was running.
    Expired,
}

/// All cookies of this user.
pub(crate) struct Jar {
    path: PathBuf,
    cookies: BTreeMap<String, StoredCookie>,
    /// The problem with the file, in one line.
    pub complaint: Option<String>,
}

impl Jar {
    /// Reads the jar in a state folder. Renames a damaged file, and starts with an empty jar.
    #[must_use]
    pub(crate) fn open(folder: &Path) -> Self {
        let path = folder.join(FILE);
        let (cookies, complaint) = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => (BTreeMap::new(), None),
            Err(error) => (
                BTreeMap::new(),
                Some(format!("cannot read {}: {error}", path.display())),
            ),
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(cookies) => (cookies, None),
                Err(_) => (BTreeMap::new(), Some(set_aside(&path))),
            },
        };
        Self {
            path,
            cookies,
            complaint,
        }
    }

    /// Returns the cookie of an endpoint.
    #[must_use]
    pub(crate) fn cookie(&self, endpoint: &str) -> StoredCookie {
        self.cookies.get(endpoint).cloned().unwrap_or_default()
    }

    /// Saves a cookie, and keeps the cookies that other processes have saved in the meantime.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or written.
    pub(crate) fn keep(&mut self, endpoint: &str, cookie: StoredCookie) -> io::Result<()> {
        let _turn = state::turn(&self.path)?;
        if let Some(kept) = std::fs::read(&self.path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        {
            self.cookies = kept;
        }
        self.cookies.insert(endpoint.to_owned(), cookie);
        let text = serde_json::to_vec_pretty(&self.cookies).map_err(io::Error::other)?;
        state::write(&self.path, &text)
    }
}

impl StoredCookie {
    /// The session's token; `None` before a login and after a logout.
    #[must_use]
    pub(crate) fn token(&self) -> Option<Token> {
        Token::parse(self.token.as_deref()?)
    }

    /// Replaces the token, or removes it because the session has ended.
    #[must_use]
    pub(crate) fn with(self, token: Option<&Token>, ended: Option<SessionEnd>) -> Self {
        Self {
            token: token.map(|token| token.reveal().to_owned()),
            ended,
            ..self
        }
    }
}

fn set_aside(path: &Path) -> String {
    match state::set_aside(path) {
        Ok(aside) => format!(
            "{} was damaged, so it was renamed to {}",
            path.display(),
            aside.display()
        ),
        Err(error) => format!("{} is damaged and cannot be renamed: {error}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_keep_their_cookies_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        let (mut one, mut other) = (Jar::open(folder.path()), Jar::open(folder.path()));
        let known = StoredCookie {
            is_known: true,
            ..StoredCookie::default()
        };
        one.keep("one:6379/0", known.clone()).unwrap();
        other.keep("other:6379/0", known).unwrap();
        let jar = Jar::open(folder.path());
        assert!(jar.cookie("one:6379/0").is_known && jar.cookie("other:6379/0").is_known);
    }

    #[test]
    fn cookies_outlive_the_program_and_a_damaged_jar_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let token = Token::generate();
        let mut jar = Jar::open(folder.path());
        jar.keep("cache:6379/0", StoredCookie::default().with(Some(&token), None))
            .unwrap();
        let found = Jar::open(folder.path()).cookie("cache:6379/0").token().unwrap();
        assert_eq!(found.reveal(), token.reveal());
        std::fs::write(folder.path().join(FILE), b"{half").unwrap();
        let jar = Jar::open(folder.path());
        assert!(jar.complaint.is_some());
        assert!(folder.path().join("cookies.damaged-1").exists());
    }
}
