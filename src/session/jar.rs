//! Stores the session cookies of the step commands, one per endpoint, in a file with mode 0600 in the state
//! folder.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Token;
use crate::files;

const FILE: &str = "cookies.json";

/// The token and the state that are saved for one endpoint. Does not implement `Debug`, because the token is
/// secret.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct StoredCookie {
    token: Option<String>,
    /// How the last session ended, if a step command ended it or saw it end.
    pub ended: Option<SessionEnd>,
    /// Whether the user has agreed to use this Redis although it contains other keys.
    #[serde(default)]
    pub is_known: bool,
}

/// How a session of the step commands ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SessionEnd {
    /// `sessiontut logout` ended the session.
    LoggedOut,
    /// The session's key expired while `sessiontut expire` was running.
    Expired,
}

pub(crate) struct Jar {
    path: PathBuf,
    cookies: BTreeMap<String, StoredCookie>,
    /// A problem with the file, described in one line. `None` if there is no problem.
    pub complaint: Option<String>,
}

impl Jar {
    /// Reads the jar from a state folder. If the file is damaged, renames it and starts with an empty jar.
    pub(crate) fn open(folder: &Path) -> Self {
        let mut jar = Self {
            path: folder.join(FILE),
            cookies: BTreeMap::new(),
            complaint: None,
        };
        match files::read_small(&jar.path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(cookies) => jar.cookies = cookies,
                Err(_) => jar.complaint = Some(set_aside(&jar.path)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => jar.complaint = Some(format!("cannot read {}: {error}", jar.path.display())),
        }
        jar
    }

    pub(crate) fn cookie(&self, endpoint: &str) -> StoredCookie {
        self.cookies.get(endpoint).cloned().unwrap_or_default()
    }

    /// Saves a cookie. Keeps the cookies that other processes have saved in the meantime.
    pub(crate) fn keep(&mut self, endpoint: &str, cookie: StoredCookie) -> io::Result<()> {
        let _turn = files::turn(&self.path)?;
        if let Ok(bytes) = files::read_small(&self.path)
            && let Ok(kept) = serde_json::from_slice(&bytes)
        {
            self.cookies = kept;
        }
        self.cookies.insert(endpoint.to_owned(), cookie);
        let text = serde_json::to_vec_pretty(&self.cookies).map_err(io::Error::other)?;
        files::write(&self.path, &text)
    }
}

impl StoredCookie {
    /// Returns the session's token, or `None` before a login and after a logout.
    pub(crate) fn token(&self) -> Option<Token> {
        Token::parse(self.token.as_deref()?)
    }

    /// Replaces the token and `ended`. `None` removes the old value.
    pub(crate) fn with(self, token: Option<&Token>, ended: Option<SessionEnd>) -> Self {
        Self {
            token: token.map(|token| token.reveal().to_owned()),
            ended,
            ..self
        }
    }
}

fn set_aside(path: &Path) -> String {
    let (aside, path) = (files::set_aside(path), path.display());
    match aside {
        Ok(aside) => format!("{path} was damaged, so it was renamed to {}", aside.display()),
        Err(error) => format!("{path} is damaged and cannot be renamed: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_do_not_overwrite_each_others_cookies() {
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
    fn cookies_are_saved_and_a_damaged_file_is_renamed() {
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

    #[cfg(unix)]
    #[test]
    fn a_device_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.path().join(FILE)).unwrap();
        assert!(Jar::open(folder.path()).complaint.is_some());
    }
}
