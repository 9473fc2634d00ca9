//! The pieces of a URL, and what each of them says.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;

use super::faults::{bad_host, foreign_to_hosts, invalid, must_be_encoded};
use super::{Address, DEFAULT_PORT, UrlError, UrlWarning};
use crate::secret::Secret;

/// Longest host name that the DNS can hold (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 253;
/// Longest label of a host name (RFC 1035, 2.3.4).
const LONGEST_LABEL: usize = 63;

/// The pieces of `[login@]authority[/path][?query]`, as they stand in the text.
pub(super) struct Parts<'a> {
    pub(super) login: Option<&'a str>,
    pub(super) authority: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
}

impl<'a> Parts<'a> {
    pub(super) fn of(text: &str, rest: &'a str) -> Result<Self, UrlError> {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (front, tail) = rest.split_at(end);
        if tail.contains('@') && !(names_a_place(front) && looks_like_a_query(tail)) {
            let culprit = tail.chars().next().unwrap_or('/');
            return Err(must_be_encoded(text, culprit));
        }
        let (login, authority) = match front.rsplit_once('@') {
            Some((login, authority)) => (Some(login), authority),
            None => (None, front),
        };
        let tail = tail.split('#').next().unwrap_or_default();
        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        Ok(Self {
            login,
            authority,
            path,
            query,
        })
    }

    pub(super) fn login(&self, text: &str) -> Result<(Option<String>, Option<Secret>), UrlError> {
        let Some(login) = self.login else {
            return Ok((None, None));
        };
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (login, None),
        };
        let user = decoded(text, user)?;
        let password = password.map(|password| decoded(text, password)).transpose()?;
        let password = password.filter(|password| !password.is_empty()).map(Secret::new);
        Ok(((!user.is_empty()).then_some(user), password))
    }

    pub(super) fn warnings(&self) -> Vec<UrlWarning> {
        let mut warnings = Vec::new();
        if self.login.is_some_and(|login| login.contains('@')) {
            warnings.push(UrlWarning::AtSignInPassword);
        }
        // What is no name of an option may be a piece of a password that has a ? in it.
        let options: Vec<String> = url::form_urlencoded::parse(self.query.as_bytes())
            .map(|(name, _)| name.into_owned())
            .filter(|name| is_option_name(name))
            .collect();
        if !options.is_empty() {
            warnings.push(UrlWarning::IgnoredOptions(options));
        }
        warnings
    }

    pub(super) fn address(&self, text: &str) -> Result<Address, UrlError> {
        let (host, port) = self.host_and_port(text)?;
        let host = percent_decode_str(host)
            .decode_utf8()
            .map_err(|_| bad_host(text))?
            .into_owned();
        if host.is_empty() {
            return Err(invalid(
                text,
                "the URL names no host: after redis:// comes a host name or an address",
            ));
        }
        if host.contains(['$', '{', '}']) || (host.len() > 2 && host.starts_with('%') && host.ends_with('%'))
        {
            let message = "the host is the name of a variable that nobody has filled in";
            return Err(invalid(text, message));
        }
        if is_placeholder(&host) {
            let message = "the host is still the placeholder of an instruction: put the primary endpoint of your \
                           own cache there";
            let endpoint = "redis://NAME.xxxxxx.ng.0001.use1.cache.amazonaws.com:6379/0";
            return Err(UrlError {
                suggestion: Some(endpoint.into()),
                ..invalid(text, message)
            });
        }
        if let Some(odd) = host.chars().find(|character| !character.is_ascii()) {
            return Err(foreign_to_hosts(text, odd));
        }
        if host.parse::<Ipv6Addr>().is_err() && !is_host_name(&host) {
            return Err(bad_host(text));
        }
        Ok(Address::Tcp {
            host,
            port: port_number(text, port)?,
        })
    }

    fn host_and_port(&self, text: &str) -> Result<(&'a str, Option<&'a str>), UrlError> {
        if let Some(inside) = self.authority.strip_prefix('[') {
            let Some((address, port)) = inside.split_once(']') else {
                return Err(invalid(
                    text,
                    "the bracket before the IPv6 address is never closed",
                ));
            };
            let bare = address.split('%').next().unwrap_or_default();
            if bare.parse::<Ipv6Addr>().is_err() {
                return Err(invalid(text, "what stands in brackets is no IPv6 address"));
            }
            return match port.strip_prefix(':') {
                Some(port) => Ok((address, Some(port))),
                None if port.is_empty() => Ok((address, None)),
                None => Err(invalid(text, "after the bracket comes a colon and the port")),
            };
        }
        if self.authority.contains(',') {
            return Err(invalid(text, "the URL names several hosts: give one of them"));
        }
        match self.authority.matches(':').count() {
            0 => Ok((self.authority, None)),
            1 => Ok(self
                .authority
                .split_once(':')
                .map_or((self.authority, None), |(h, p)| (h, Some(p)))),
            _ if self.starts_with_a_name() => Err(invalid(
                text,
                "there is more than one colon after the host: one colon and the port come there",
            )),
            _ => Err(invalid(
                text,
                "an IPv6 address must stand in brackets, as in redis://[fd00::1]:6379/0",
            )),
        }
    }

    /// No group of an IPv6 address is what stands before the first colon.
    fn starts_with_a_name(&self) -> bool {
        let first = self.authority.split(':').next().unwrap_or_default();
        !first.chars().all(|one| one.is_ascii_hexdigit())
    }

    pub(super) fn db(&self, text: &str) -> Result<u64, UrlError> {
        let path = self.path.trim_matches('/');
        if path.is_empty() {
            return Ok(0);
        }
        path.parse().map_err(|_| {
            invalid(
                text,
                "the part after the last slash must be the number of a database, such as /0",
            )
        })
    }
}

/// What instructions write where the reader's own endpoint belongs.
fn is_placeholder(host: &str) -> bool {
    let dashed = host.to_ascii_lowercase().replace('_', "-");
    matches!(host, "HOST" | "HOSTNAME" | "ENDPOINT" | "ADDRESS")
        || host.contains('<')
        || host.contains(".xxxxxx.")
        || dashed.contains("your-")
        || dashed == "primary-endpoint"
}

fn is_option_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.'))
}

/// Whether `HOST` or `HOST:PORT` can stand there; `:secret` and `name:secret` cannot.
fn names_a_place(front: &str) -> bool {
    let place = front.rsplit_once('@').map_or(front, |(_, place)| place);
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !place.ends_with(']') => (host, port),
        _ => (place, ""),
    };
    !host.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn looks_like_a_query(tail: &str) -> bool {
    // `/0?email=a@b`: an @ in the value of an option ends no password.
    tail.split_once('?').is_some_and(|(path, query)| {
        !path.contains('@')
            && path.trim_matches('/').chars().all(|c| c.is_ascii_digit())
            && query.contains('=')
            && query.find('=') < query.find('@')
    })
}

pub(super) fn decoded(text: &str, part: &str) -> Result<String, UrlError> {
    let bytes = part.as_bytes();
    for (at, _) in part.match_indices('%') {
        let is_escape = bytes
            .get(at + 1..at + 3)
            .is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        if !is_escape {
            return Err(must_be_encoded(text, '%'));
        }
    }
    let decoded = percent_decode_str(part)
        .decode_utf8()
        .map_err(|_| must_be_encoded(text, '%'))?;
    Ok(decoded.into_owned())
}

fn port_number(text: &str, port: Option<&str>) -> Result<u16, UrlError> {
    let Some(port) = port.filter(|port| !port.is_empty()) else {
        return Ok(DEFAULT_PORT);
    };
    match port.parse::<u32>() {
        Ok(number @ 1..=65535) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(u16::try_from(number).unwrap_or(DEFAULT_PORT))
        }
        Ok(_) => Err(invalid(
            text,
            "the port is out of range: a port is a number from 1 to 65535",
        )),
        Err(_) => Err(invalid(text, "the port is not a number from 1 to 65535")),
    }
}

fn is_host_name(host: &str) -> bool {
    let bare = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        // A name that begins or ends with a hyphen is a host's nowhere (RFC 952), and no resolver is asked for it.
        (1..=LONGEST_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    // fe80::1%eth0 is an address whose zone Ipv6Addr does not read.
    let is_scoped = host
        .split_once('%')
        .is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok());
    is_scoped || (bare.len() <= LONGEST_NAME && bare.split('.').all(is_label))
}
