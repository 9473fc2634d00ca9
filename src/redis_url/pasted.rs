//! Recognises texts that people paste instead of a URL, and determines the URL that they meant.
//!
//! Each function in [`READERS`] recognises one kind of text, and returns the information in the text as an
//! [`IntendedUrl`]. It never adds information that the text does not contain. [`IntendedUrl::shown`] masks
//! the password.

mod command_line;
mod not_filled_in;
mod schemes;
mod setting_names;
mod settings;
mod typos;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::error::invalid;
use super::intended::IntendedUrl;
use super::parse::{strict, trim};
use super::{Address, Target, UrlError};
use crate::secret::Secret;

pub(crate) use not_filled_in::is_missing_value;
pub(super) use not_filled_in::not_filled_in;
pub(super) use settings::is_true;

/// The interpretation of a pasted text.
#[derive(Default)]
struct Meaning {
    /// The error in the text, or `None` if the error of the URL parser is precise enough.
    error: Option<UrlError>,
    /// The URL that was meant, if the text reveals it.
    meant: Option<IntendedUrl>,
}

/// The functions that recognise pasted texts, in the order in which they are tried. The last function accepts
/// any text that might be a URL with typos.
const READERS: [fn(&str) -> Option<Meaning>; 11] = [
    command_line::read,
    settings::read_assignment,
    settings::read,
    in_code,
    in_quotes,
    nested,
    in_base64,
    schemes::read,
    file_path,
    several_colons,
    typos::read,
];

/// The maximum length in bytes of a text in quotes. The limit prevents deep nesting of quotes, assignments
/// and commands.
const DEEPEST: usize = 500;

/// Parses a URL. If the URL is invalid, the error suggests the URL that the user probably meant.
pub(super) fn parse_or_suggest(text: &str) -> Result<Target, UrlError> {
    if let Some(error) = not_filled_in(text) {
        return Err(error);
    }
    strict(text).map_err(|error| explain(text, error))
}

/// Returns a more precise error than `error`, if possible. Its suggestion is the URL that the user probably
/// meant.
fn explain(text: &str, error: UrlError) -> UrlError {
    let text = trim(text);
    // Each level of the recursion removes characters, so limiting the length limits the depth.
    if text.len() > DEEPEST && text.starts_with(QUOTES) {
        return error;
    }
    let Meaning { error: better, meant } = READERS.iter().find_map(|read| read(text)).unwrap_or_default();
    UrlError {
        suggestion: meant.as_ref().and_then(IntendedUrl::shown),
        ..better.unwrap_or(error)
    }
}

/// Determines the meaning of a text inside another text.
fn meaning_of(text: &str) -> Meaning {
    let text = text.trim();
    if let Some(error) = not_filled_in(text) {
        return Meaning::new(error, None);
    }
    match strict(text) {
        Ok(target) => IntendedUrl::from(&target).into(),
        Err(error) => {
            let found = READERS.iter().find_map(|read| read(text)).unwrap_or_default();
            let meant = found.meant.as_ref();
            if let Some(password) = meant.and_then(|meant| meant.password.as_ref()) {
                password.mask_everywhere();
            }
            Meaning::new(found.error.unwrap_or(error), found.meant)
        }
    }
}

impl From<IntendedUrl> for Meaning {
    fn from(url: IntendedUrl) -> Self {
        Self {
            error: None,
            meant: Some(url),
        }
    }
}

impl Meaning {
    fn new(error: UrlError, meant: Option<IntendedUrl>) -> Self {
        Self {
            error: Some(error),
            meant,
        }
    }

    /// Determines the meaning of a text inside another text. `wrong` is the error in the outer text.
    fn within(text: &str, wrong: UrlError) -> Self {
        let inner = meaning_of(text);
        match inner.meant {
            Some(meant) => Self::new(wrong, Some(meant)),
            None => inner,
        }
    }
}

impl From<&Target> for IntendedUrl {
    fn from(target: &Target) -> Self {
        let (hosts, socket) = match (&target.address, &target.sentinels) {
            (_, Some(sentinels)) => (sentinels.hosts.clone(), None),
            (Address::Tcp { host, port }, None) => (vec![(host.clone(), *port)], None),
            (Address::Unix(path), None) => (Vec::new(), Some(path.to_string_lossy().into_owned())),
        };
        // A user name without a password is often a misplaced password, so treat it as one.
        let user_only = target.user.clone().filter(|_| target.password.is_none());
        Self {
            tls: target.tls,
            user: target.user.clone().filter(|_| user_only.is_none()),
            password: target.password.clone().or(user_only.map(Secret::new)),
            hosts: hosts.into_iter().map(|(host, port)| (host, Some(port))).collect(),
            primary: target.sentinels.as_ref().map(|sentinels| sentinels.name.clone()),
            socket,
            db: Some(target.db),
        }
    }
}

const QUOTES: [char; 9] = [
    '"', '\'', '`', '<', '>', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}',
];

fn in_quotes(text: &str) -> Option<Meaning> {
    let inner = text.trim_matches(QUOTES).trim_end_matches([';', ',', '\\']);
    (!inner.is_empty() && inner.len() < text.len())
        .then(|| Meaning::within(inner, invalid(around(text, inner))))
}

/// Describes the characters in `text` before and after the URL `inner`.
fn around(text: &str, inner: &str) -> String {
    let (before, after) = text.split_once(inner).unwrap_or_default();
    let name = |character: char| match character {
        '"' => "a double quote (\")",
        '\'' => "a single quote (')",
        '`' => "a backtick (`)",
        '<' | '>' => "an angle bracket",
        ';' => "a semicolon",
        ',' => "a comma",
        '\\' => "a backslash",
        _ => "a typographic quotation mark",
    };
    let names = |part: &str| {
        let mut names: Vec<_> = part.chars().map(name).collect();
        names.dedup();
        names.join(" and ")
    };
    let what = match (names(before), names(after)) {
        (before, after) if before == after => format!("{before} is before and after the URL"),
        (before, after) if after.is_empty() => format!("{before} is before the URL"),
        (before, after) if before.is_empty() => format!("{after} is after the URL"),
        (before, after) => format!("{before} is before the URL, and {after} after it"),
    };
    if text.contains(['"', '\'']) {
        format!("{what}: remove it (a shell removes quotes, but docker --env-file and Kubernetes do not)")
    } else {
        format!("{what}: remove it")
    }
}

/// Recognises a URL within code or a sentence: `createClient("redis://…")`, `Service URI: rediss://…`.
fn in_code(text: &str) -> Option<Meaning> {
    let (before, _) = text.split_once("://")?;
    let start = before
        .rfind(|one: char| !(one.is_ascii_alphanumeric() || matches!(one, '+' | '-')))
        .map(|at| at + before[at..].chars().next().map_or(0, char::len_utf8))?;
    let opening = before[..start].chars().next_back()?;
    let url = &text[start..];
    let end = match opening {
        quote @ ('"' | '\'' | '`') => url.find(quote)?,
        blank if blank.is_whitespace() => url.find(char::is_whitespace).unwrap_or(url.len()),
        _ => return None,
    };
    // If an @ follows, the space belongs to the login.
    let is_whole = !url[end..].contains('@');
    (is_whole && schemes::is_known(&before[start..])).then(|| {
        Meaning::within(
            &url[..end],
            invalid("the text contains more than the URL: enter only the URL"),
        )
    })
}

/// Recognises a URL in base64, as in the data of a Kubernetes secret.
fn in_base64(text: &str) -> Option<Meaning> {
    let decoded = BASE64_STANDARD.decode(text).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (scheme, _) = decoded.split_once("://")?;
    schemes::is_known(trim(scheme)).then(|| {
        let wrong = "the URL is still encoded as base64, as in a Kubernetes secret: decode it (base64 -d)";
        Meaning::within(&decoded, invalid(wrong))
    })
}

/// Recognises the path of a file, such as `/run/secrets/redis_url`. The path is not shown, because the text
/// might be a password.
fn file_path(text: &str) -> Option<Meaning> {
    let is_path = ["/", "./", "../", "~/"]
        .iter()
        .any(|start| text.starts_with(start));
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./~".contains(&byte);
    let is_file =
        is_path && !text.starts_with("//") && !text.ends_with(".sock") && text.bytes().all(is_plain);
    let error = invalid("this is a path, not a URL").with_advice(
        "if the file contains the URL, set REDIS_URL to the contents of the file: REDIS_URL=$(cat FILE). If the file \
         is a unix socket, write unix:// before the path",
    );
    is_file.then(|| Meaning::new(error, None))
}

/// Recognises a URL inside a URL: `redis://redis://…`, `jdbc:redis://…`, `redis://redis:tcp://…`.
fn nested(text: &str) -> Option<Meaning> {
    if let Some((outer, inner)) = text.split_once(':')
        && outer.bytes().all(|byte| byte.is_ascii_alphabetic())
        && inner
            .split_once("://")
            .is_some_and(|(scheme, _)| schemes::is_known(scheme))
    {
        return Some(Meaning::within(
            inner,
            invalid(
                "the URL has a prefix that does not belong to the URL: start the URL with redis:// or rediss://",
            ),
        ));
    }
    let (outer_scheme, rest) = text.split_once("://")?;
    let at = rest.find("://")?;
    let scheme_length = rest[..at]
        .bytes()
        .rev()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"+-".contains(byte))
        .count();
    let (between, inner) = rest.split_at(at - scheme_length);
    let inner_scheme = &inner[..scheme_length];
    if !schemes::is_known(inner_scheme) || between.contains(['?', '/', '#']) {
        return None;
    }
    let (login, place) = between.rsplit_once('@').unwrap_or(("", between));
    let outer = if login.is_empty() {
        IntendedUrl::default()
    } else {
        typos::login(login)
    };
    let mut meant = outer.or(meaning_of(inner).meant.unwrap_or_default());
    meant.tls |= schemes::says_tls(outer_scheme);
    // In redis://redis:tcp://10.96.0.10:6379, a service link is in the place of the port.
    if let Some(host) = place.strip_suffix(':').filter(|host| super::parse::is_host(host)) {
        let port = meant.hosts.first().and_then(|(_, port)| *port);
        meant.hosts = vec![(host.to_owned(), port)];
    }
    let message = if inner_scheme == "tcp" {
        schemes::SERVICE_LINK
    } else {
        "there is a URL inside the URL: perhaps the variable for the host (such as REDIS_HOST) contains a whole URL"
    };
    Some(Meaning::new(invalid(message), Some(meant)))
}

/// Recognises `user:password:host:port`, with a colon instead of the @, and `host:port:password`.
fn several_colons(text: &str) -> Option<Meaning> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("redis", text));
    let (authority, db) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('[') || !(db.is_empty() || db.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    let parts: Vec<&str> = authority.splitn(5, ':').collect();
    let (user, password, host, port) = match parts[..] {
        [user, password, host, port] if is_port(port) && !is_port(host) && !rest.contains('@') => {
            // If the password contains a colon, HOST:PORT:PASSWORD is ambiguous.
            if password.is_empty() || (is_full_host(user) && is_port(password)) {
                return None;
            }
            (user, password, host, port)
        }
        [host, port, _] if is_full_host(host) && is_port(port) => {
            let password = &authority[host.len() + port.len() + 2..];
            if is_port(password) {
                return None;
            }
            ("", password, host, port)
        }
        _ => return None,
    };
    let meant = IntendedUrl {
        tls: schemes::says_tls(scheme),
        hosts: vec![(host.to_owned(), port.parse().ok())],
        db: db.parse().ok(),
        ..typos::login(&format!("{user}:{password}"))
    };
    let error = invalid(
        "there are too many colons: write the password before the host, with an @ between them, as in \
         redis://USER:PASSWORD@HOST:6379",
    );
    Some(Meaning::new(error, Some(meant)))
}

/// Whether `host` is certainly a host, rather than a user name or a password.
fn is_full_host(host: &str) -> bool {
    host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok()
        || (host.contains('.')
            && super::parse::is_host(host)
            && host.ends_with(|last: char| last.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests;
