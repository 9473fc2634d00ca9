//! From the text of a URL to a [`Target`], or to the URL that was probably meant.
//!
//! Nothing here may show any part of what stands before the last `@`: a password that was split at the wrong
//! place is still a password.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::{Address, DEFAULT_PORT, Slip, Target};
use crate::secret::{MASK, Secret};

/// Why a URL cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UrlFault {
    /// Which of the three kinds of fault.
    pub kind: UrlFaultKind,
    /// Which part is wrong, without any secret.
    pub message: String,
    /// The URL that was probably meant, its password masked.
    pub suggestion: Option<String>,
}

/// The kinds of fault that a URL can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UrlFaultKind {
    /// No usable host, port or database.
    Invalid,
    /// A scheme that is not Redis's.
    Scheme,
    /// A character in the user name or password that must be percent-encoded.
    Encoding,
}

impl UrlFault {
    fn new(kind: UrlFaultKind, message: impl Into<String>, suggestion: Option<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            suggestion,
        }
    }

    fn invalid(message: impl Into<String>, suggestion: Option<String>) -> Self {
        Self::new(UrlFaultKind::Invalid, message, suggestion)
    }

    fn encoding(message: impl Into<String>, suggestion: Option<String>) -> Self {
        Self::new(UrlFaultKind::Encoding, message, suggestion)
    }
}

/// The URL that stands in for one that cannot be guessed.
const EXAMPLE: &str = "redis://127.0.0.1:6379/0";

pub(super) fn parse(text: &str) -> Result<Target, UrlFault> {
    let url = text.trim();
    if url.is_empty() {
        return Err(UrlFault::invalid(
            "the URL is empty: the variable that should hold it was probably never set",
            Some(EXAMPLE.into()),
        ));
    }
    without_wrapping(url)?;
    let (scheme, rest) = split_scheme(url)?;
    if url.chars().any(char::is_control) {
        return Err(UrlFault::invalid("the URL holds a control character", None));
    }
    match scheme {
        Scheme::Unix => unix(rest),
        Scheme::Tcp { tls } => tcp(rest, tls),
    }
}

/// Quotes around the URL, and commands or assignments in front of it, that came along with copy and paste.
fn without_wrapping(url: &str) -> Result<(), UrlFault> {
    let quotes = ['"', '\'', '`', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];
    let bare = url.trim_matches(quotes).trim();
    if bare.len() != url.len() {
        return Err(UrlFault::invalid("there are quotes around the URL", meant(bare)));
    }
    if let Some(bare) = url.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
        return Err(UrlFault::invalid(
            "there are angle brackets around the URL",
            meant(bare),
        ));
    }
    for lead in ["export REDIS_URL=", "REDIS_URL=", "redis-cli -u "] {
        if let Some(bare) = url.strip_prefix(lead) {
            let message = format!("`{}` is no part of the URL", lead.trim_end());
            return Err(UrlFault::invalid(
                message,
                meant(bare.trim().trim_matches(quotes)),
            ));
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Scheme {
    Tcp { tls: bool },
    Unix,
}

fn known_scheme(name: &str) -> Option<Scheme> {
    match name.to_ascii_lowercase().as_str() {
        "redis" | "valkey" => Some(Scheme::Tcp { tls: false }),
        "rediss" | "valkeys" => Some(Scheme::Tcp { tls: true }),
        "unix" | "redis+unix" => Some(Scheme::Unix),
        _ => None,
    }
}

fn split_scheme(url: &str) -> Result<(Scheme, &str), UrlFault> {
    let Some((name, rest)) = url.split_once("://").filter(|(name, _)| is_scheme(name)) else {
        return Err(without_scheme(url));
    };
    if let Some(scheme) = known_scheme(name) {
        return Ok((scheme, rest));
    }
    let lowered = name.to_ascii_lowercase();
    let secure = lowered.ends_with("ss")
        || ["https", "tls", "redis+tls", "redis+ssl", "stunnel"].contains(&lowered.as_str());
    let near = if secure { "rediss" } else { "redis" };
    // A scheme is letters, digits, +, - and .: the worst it can hold is a password that was typed before "://".
    let shown = if lowered.len() <= 16 {
        format!("`{lowered}://`")
    } else {
        "the scheme".into()
    };
    let message =
        format!("{shown} is not a scheme of Redis: redis, rediss, valkey, valkeys, redis+unix or unix");
    Err(UrlFault::new(
        UrlFaultKind::Scheme,
        message,
        meant(&format!("{near}://{rest}")),
    ))
}

fn is_scheme(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "+-.".contains(character))
}

fn without_scheme(url: &str) -> UrlFault {
    if url.starts_with('/') && !url.starts_with("//") {
        return UrlFault::invalid("a path is not a URL", meant(&format!("unix://{url}")));
    }
    for (start, whole) in [
        ("rediss:", "rediss://"),
        ("redis:", "redis://"),
        ("valkeys:", "valkeys://"),
        ("valkey:", "valkey://"),
        ("unix:", "unix://"),
    ] {
        let Some(rest) = url.strip_prefix(start) else {
            continue;
        };
        // `redis:6379` is a host called redis, as in many a compose file.
        if rest.starts_with(|first: char| first.is_ascii_digit())
            && !rest.contains('.')
            && !rest.contains('@')
        {
            break;
        }
        let rest = if whole == "unix://" {
            format!("/{}", rest.trim_start_matches('/'))
        } else {
            rest.trim_start_matches('/').into()
        };
        return UrlFault::invalid("`://` must follow the scheme", meant(&format!("{whole}{rest}")));
    }
    let rest = url.trim_start_matches([':', '/']);
    UrlFault::invalid(
        "the URL has no scheme (redis:// or, for TLS, rediss://)",
        meant(&format!("redis://{rest}")),
    )
}

/// How the URL reads once it is mended; `None` where that cannot be told.
fn meant(url: &str) -> Option<String> {
    match parse(url) {
        Ok(target) => Some(target.to_string()),
        Err(fault) => fault.suggestion,
    }
}

fn tcp(rest: &str, tls: bool) -> Result<Target, UrlFault> {
    let scheme = if tls { "rediss" } else { "redis" };
    let parts = split(rest, scheme)?;
    let mut slips = Vec::new();
    let (user, password) = login(parts.login, scheme, parts.place(), &mut slips)?;
    let masked = mask(parts.login);
    let (host, port) = host_and_port(parts.authority, scheme, &masked, parts.path)?;
    let db = database(parts.path, scheme, &masked, &host, port)?;
    for name in parameters(parts.query) {
        slips.push(Slip::Parameter(name));
    }
    Ok(Target {
        tls,
        user,
        password,
        db,
        slips,
        ..Target::at(Address::Tcp { host, port })
    })
}

/// A URL after its scheme, cut at the places that the URL standard names.
struct Parts<'a> {
    login: Option<&'a str>,
    authority: &'a str,
    path: &'a str,
    query: &'a str,
}

impl Parts<'_> {
    /// What follows the login, for a URL to show.
    fn place(&self) -> String {
        format!("{}{}", self.authority, self.path)
    }
}

fn split<'a>(rest: &'a str, scheme: &str) -> Result<Parts<'a>, UrlFault> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (before, tail) = rest.split_at(end);
    if let Some((_, place)) = tail.rsplit_once('@') {
        if !is_harmless_at(before, tail) {
            return Err(delimiter_in_login(
                &rest[..rest.len() - place.len() - 1],
                place,
                scheme,
            ));
        }
    }
    let (login, authority) = match before.rsplit_once('@') {
        Some((login, authority)) => (Some(login), authority),
        None => (None, before),
    };
    let tail = tail.split('#').next().unwrap_or_default();
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    Ok(Parts {
        login,
        authority,
        path,
        query,
    })
}

/// `redis://host:6379/0?name=a@b`: an `@` that can belong to no password.
fn is_harmless_at(before: &str, tail: &str) -> bool {
    let authority = before.rsplit_once('@').map_or(before, |(_, authority)| authority);
    let Some((path, query)) = tail.split_once('?') else {
        return false;
    };
    let is_place = match authority.rsplit_once(':') {
        Some((host, port)) => !host.is_empty() && port.parse::<u16>().is_ok(),
        None => authority.contains('.'),
    };
    let is_path = path
        .trim_start_matches('/')
        .bytes()
        .all(|byte| byte.is_ascii_digit());
    is_place
        && is_path
        && query
            .find('=')
            .is_some_and(|equals| query.find('@') > Some(equals))
}

fn delimiter_in_login(login: &str, place: &str, scheme: &str) -> UrlFault {
    let mut found: Vec<String> = Vec::new();
    for (character, code) in [('#', "%23"), ('/', "%2F"), ('?', "%3F")] {
        if login.contains(character) {
            found.push(format!("`{character}` must be written as {code}"));
        }
    }
    let message = format!(
        "the user name or password holds a character that ends it: {}",
        found.join(", ")
    );
    UrlFault::encoding(message, masked_url(scheme, &mask_of(login), place))
}

/// The login as it may be shown: its mere form.
fn mask(login: Option<&str>) -> String {
    login.map_or_else(String::new, mask_of)
}

fn mask_of(login: &str) -> String {
    match login.split_once(':') {
        Some(("", _)) => format!(":{MASK}@"),
        Some(_) => format!("{MASK}:{MASK}@"),
        None => format!("{MASK}@"),
    }
}

/// The URL with its login masked, if the rest of it can be used.
fn masked_url(scheme: &str, login: &str, place: &str) -> Option<String> {
    let target = parse(&format!("{scheme}://{place}")).ok()?;
    let whole = target.to_string();
    let shown = whole.split_once("://").map_or(whole.as_str(), |(_, rest)| rest);
    Some(format!("{scheme}://{login}{shown}"))
}

type Login = (Option<String>, Option<Secret>);

fn login(login: Option<&str>, scheme: &str, place: String, slips: &mut Vec<Slip>) -> Result<Login, UrlFault> {
    let Some(login) = login else {
        return Ok((None, None));
    };
    if let Some(fault) = stray_percent(login) {
        return Err(UrlFault::encoding(
            fault,
            masked_url(scheme, &mask_of(login), &place),
        ));
    }
    if login.chars().any(char::is_whitespace) {
        let message = "the user name or password holds a space: it must be written as %20";
        return Err(UrlFault::encoding(
            message,
            masked_url(scheme, &mask_of(login), &place),
        ));
    }
    if login.contains('@') {
        slips.push(Slip::AtInPassword);
    }
    let decode = |part: &str| {
        percent_decode_str(part)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| {
                let message = "the user name or password is not UTF-8 once its % escapes are decoded";
                UrlFault::encoding(message, masked_url(scheme, &mask_of(login), &place))
            })
    };
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (decode(user)?, decode(password)?),
        None => (decode(login)?, String::new()),
    };
    if password.is_empty() && !user.is_empty() {
        slips.push(Slip::OnlyUser);
    }
    if holds_escape(&password) {
        slips.push(Slip::EncodedTwice);
    }
    let some = |text: String| (!text.is_empty()).then_some(text);
    Ok((some(user), some(password).map(Secret::new)))
}

fn stray_percent(login: &str) -> Option<String> {
    let bytes = login.as_bytes();
    let is_stray = |at: usize| {
        bytes[at] == b'%'
            && !bytes
                .get(at + 1..at + 3)
                .is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit))
    };
    (0..bytes.len()).any(is_stray).then(|| {
        "the user name or password holds a `%` that starts no escape: it must be written as %25".into()
    })
}

/// Whether decoded text still looks encoded.
fn holds_escape(text: &str) -> bool {
    text.as_bytes()
        .windows(3)
        .any(|code| code[0] == b'%' && code[1].is_ascii_hexdigit() && code[2].is_ascii_hexdigit())
}

fn host_and_port(authority: &str, scheme: &str, login: &str, path: &str) -> Result<(String, u16), UrlFault> {
    let with = |place: &str| {
        let path = if database_of(path).is_some() { path } else { "/0" };
        masked_url(scheme, login, &format!("{place}{path}"))
    };
    if let Some(inner) = authority.strip_prefix('[') {
        let Some((host, after)) = inner.split_once(']') else {
            return Err(UrlFault::invalid(
                "the IPv6 address lacks its closing bracket `]`",
                with(&format!("[{inner}]")),
            ));
        };
        let host = host.replace("%25", "%");
        let address = host.split('%').next().unwrap_or_default();
        if address.parse::<Ipv6Addr>().is_err() {
            return Err(UrlFault::invalid(
                "what stands in brackets is not an IPv6 address",
                None,
            ));
        }
        return match after.strip_prefix(':') {
            Some(port) => Ok((
                host.clone(),
                number_of(port, || with(&format!("[{host}]:{DEFAULT_PORT}")))?,
            )),
            None if after.is_empty() => Ok((host, DEFAULT_PORT)),
            None => Err(UrlFault::invalid(
                "something other than a port follows the IPv6 address",
                with(&format!("[{host}]")),
            )),
        };
    }
    if authority.matches(':').count() > 1 {
        return Err(many_colons(authority, &with));
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    if host.is_empty() {
        let port = port
            .parse::<u16>()
            .ok()
            .filter(|port| *port > 0)
            .unwrap_or(DEFAULT_PORT);
        // Without a login, what fails to be a host may be a mangled password: then show an example alone.
        return Err(UrlFault::invalid(
            "the URL names no host",
            with(&format!("127.0.0.1:{port}")),
        ));
    }
    if is_placeholder(authority) {
        let message = "the host is still the placeholder: put your endpoint's own name there (the console shows it as \"Primary endpoint\")";
        return Err(UrlFault::invalid(
            message,
            with("my-cache.abc123.0001.use1.cache.amazonaws.com:6379"),
        ));
    }
    if let Some(why) = not_a_host(host) {
        let safe: String = host
            .chars()
            .filter(|character| character.is_ascii_alphanumeric() || "-._".contains(*character))
            .collect();
        let near = (not_a_host(&safe).is_none() && !safe.is_empty())
            .then(|| with(&format!("{safe}:{DEFAULT_PORT}")))
            .flatten();
        return Err(UrlFault::invalid(why, near));
    }
    let port = number_of(port, || with(&format!("{host}:{DEFAULT_PORT}")))?;
    Ok((host.to_owned(), port))
}

/// An IPv6 address without brackets, the port perhaps behind it.
fn many_colons(authority: &str, with: &dyn Fn(&str) -> Option<String>) -> UrlFault {
    if let Some((address, port)) = authority.rsplit_once(':') {
        let is_port = port.len() >= 4 && port.parse::<u16>().is_ok_and(|port| port >= 1024);
        let is_whole = authority.parse::<Ipv6Addr>().is_ok();
        if address.parse::<Ipv6Addr>().is_ok()
            && is_port
            && (!is_whole || port.ends_with("379") || port.ends_with("380"))
        {
            return UrlFault::invalid(
                "an IPv6 address must stand in brackets",
                with(&format!("[{address}]:{port}")),
            );
        }
        if is_whole {
            return UrlFault::invalid(
                "an IPv6 address must stand in brackets",
                with(&format!("[{authority}]:{DEFAULT_PORT}")),
            );
        }
    }
    UrlFault::invalid(
        "there are several colons where only a host and a port can stand",
        None,
    )
}

fn number_of(port: &str, meant: impl Fn() -> Option<String>) -> Result<u16, UrlFault> {
    if port.is_empty() {
        return Ok(DEFAULT_PORT);
    }
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(number) if digits && number > 0 => Ok(number),
        _ if digits => Err(UrlFault::invalid(
            "the port is not a number from 1 to 65535",
            meant(),
        )),
        _ => Err(UrlFault::invalid("the port is not a number", meant())),
    }
}

fn is_placeholder(authority: &str) -> bool {
    let lowered = authority.to_ascii_lowercase();
    [
        "your-",
        "your_",
        "yourendpoint",
        "<",
        ">",
        "{",
        "}",
        "$",
        "primary-endpoint",
        "xxxxxx",
    ]
    .iter()
    .any(|mark| lowered.contains(mark))
        || ["endpoint", "host", "hostname", "your", "..."]
            .contains(&lowered.split(':').next().unwrap_or_default())
}

fn not_a_host(host: &str) -> Option<&'static str> {
    if !host
        .chars()
        .all(|character| character.is_ascii_alphanumeric() || "-._".contains(character))
    {
        return Some("the host holds a character that no host name has");
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let labels: Vec<&str> = name.split('.').collect();
    if labels.iter().any(|label| label.is_empty()) {
        return Some("the host has an empty part between its dots");
    }
    if name.len() > 253 || labels.iter().any(|label| label.len() > 63) {
        return Some("the host is longer than a DNS name may be");
    }
    let numeric = labels
        .iter()
        .all(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if numeric && (labels.len() != 4 || name.parse::<Ipv4Addr>().is_err()) {
        return Some("the host is not an IPv4 address: four numbers from 0 to 255");
    }
    None
}

fn database_of(path: &str) -> Option<u64> {
    let digits = path.trim_matches('/');
    if digits.is_empty() {
        return Some(0);
    }
    // Too many digits for any number are still a number, and far out of range.
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().unwrap_or(u64::MAX))
}

fn database(path: &str, scheme: &str, login: &str, host: &str, port: u16) -> Result<u64, UrlFault> {
    database_of(path).ok_or_else(|| {
        let place = if host.contains(':') {
            format!("[{host}]:{port}/0")
        } else {
            format!("{host}:{port}/0")
        };
        UrlFault::invalid(
            "the database after the `/` is not a number",
            masked_url(scheme, login, &place),
        )
    })
}

/// The names of the query's parameters; their values may be secrets.
fn parameters(query: &str) -> impl Iterator<Item = String> {
    query
        .split(['&', ';'])
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            let is_name = name.len() <= 32
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
            if is_name {
                name.to_owned()
            } else {
                "…".to_owned()
            }
        })
}

/// `unix://[user:password@]/path[?db=N]`, as redis-py reads it.
fn unix(rest: &str) -> Result<Target, UrlFault> {
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut slips = Vec::new();
    let (login_text, path) = if before.starts_with('/') {
        (None, before)
    } else {
        match before.rsplit_once("@/") {
            Some((login, _)) => (Some(login), &before[login.len() + 1..]),
            None => (None, before),
        }
    };
    if !path.starts_with('/') || path == "/" {
        let near = path.trim_start_matches('/');
        let near = if near.is_empty() {
            "run/redis/redis.sock"
        } else {
            near
        };
        let near = (!near.contains(['@', ':'])).then(|| format!("unix:///{near}"));
        return Err(UrlFault::invalid(
            "the path of the unix socket must start with `/`",
            near,
        ));
    }
    let (mut user, mut password) = login(login_text, "unix", String::new(), &mut slips)?;
    let mut db = 0;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
        match name {
            "db" => {
                db = database_of(&value).filter(|_| !value.is_empty()).ok_or_else(|| {
                    UrlFault::invalid(
                        "the database in `?db=` is not a number",
                        Some(format!("unix://{path}?db=0")),
                    )
                })?;
            }
            "password" | "pass" => password = Some(Secret::new(value)),
            "user" | "username" => user = Some(value),
            _ => slips.extend(parameters(pair).map(Slip::Parameter)),
        }
    }
    let decoded = percent_decode_str(path).decode_utf8_lossy().into_owned();
    Ok(Target {
        user,
        password,
        db,
        slips,
        ..Target::at(Address::Unix(PathBuf::from(decoded)))
    })
}

#[cfg(test)]
mod tests;
