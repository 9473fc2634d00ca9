use std::path::PathBuf;

use super::parts::{Parts, decode, parse_login, warnings};
use crate::redis_url::error::{invalid, unencoded};
use crate::redis_url::{Address, Target, UrlError};

/// The maximum length of a unix socket's path in bytes, excluding the final zero (`unix(7)`).
const LONGEST_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Parses `unix://[login@]/path/to/socket[?db=N]`.
pub(super) fn parse_unix(rest: &str) -> Result<Target, UrlError> {
    // If the text starts with the path, an @ is part of the path. Otherwise, the @ ends the login.
    let (login, place) = match rest.rsplit_once('@') {
        Some((login, place)) if !rest.starts_with('/') => (Some(login), place),
        _ => (None, rest),
    };
    if let Some(culprit) = login.and_then(|login| login.chars().find(|one| matches!(one, '/' | '?' | '#'))) {
        return Err(unencoded(culprit));
    }
    let (path, query) = place.split_once('?').unwrap_or((place, ""));
    let path = decode(path)?;
    if path.len() > LONGEST_SOCKET_PATH {
        return Err(invalid(format!(
            "the path of the socket is longer than {LONGEST_SOCKET_PATH} bytes"
        )));
    }
    if path.trim_matches('/').is_empty() {
        return Err(invalid(
            "the URL has no socket path: put the path after unix://, as in unix:///run/redis/redis.sock",
        ));
    }
    let parts = Parts {
        login,
        authority: "",
        path: "",
        query,
        fragment: "",
    };
    let (user, password) = parse_login(login)?;
    let db = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "db");
    let db = db.map_or(Ok(0), |(_, value)| value.parse());
    Ok(Target {
        warnings: warnings(&parts, user.as_deref(), password.as_ref(), &["db"]),
        user,
        password,
        db: db.map_err(|_| invalid("db must be a database number, as in ?db=0"))?,
        ..Target::new(Address::Unix(PathBuf::from(path)))
    })
}
