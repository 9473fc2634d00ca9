//! From the text of a URL to a [`Target`], or to what is wrong with it.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::slips::probably_meant;
use super::{Address, DEFAULT_PORT, Doubt, Origin, SCHEMES, Target, UrlFault, UrlFaultKind};
use crate::secret::Secret;

/// Longest host name that the DNS can hold (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 253;
/// Longest path of a unix socket (`unix(7)`: 108 bytes with the zero at its end; 104 elsewhere).
const LONGEST_SOCKET: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// Longest label of a host name (RFC 1035, 2.3.4).
const LONGEST_LABEL: usize = 63;

pub(super) fn parse(text: &str) -> Result<Target, UrlFault> {
    refuse_wrapping(text)?;
    let (scheme, rest) = scheme_of(text)?;
    if matches!(scheme.as_str(), "unix" | "redis+unix") {
        return unix_target(text, rest);
    }
    let parts = Parts::of(text, rest)?;
    let (user, password) = parts.login(text)?;
    let mut doubts = parts.doubts();
    if user.is_some() && password.is_none() {
        doubts.push(Doubt::UserWithoutPassword);
    }
    if password
        .as_ref()
        .is_some_and(|password| is_encoded_twice(password.reveal()))
    {
        doubts.push(Doubt::EncodedTwice);
    }
    Ok(Target {
        address: parts.address(text)?,
        tls: matches!(scheme.as_str(), "rediss" | "valkeys"),
        user,
        password,
        db: parts.db(text)?,
        origin: Origin::Given,
        doubts,
    })
}

/// The pieces of `[login@]authority[/path][?query]`, as they stand in the text.
struct Parts<'a> {
    login: Option<&'a str>,
    authority: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &str, rest: &'a str) -> Result<Self, UrlFault> {
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

    fn login(&self, text: &str) -> Result<(Option<String>, Option<Secret>), UrlFault> {
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

    fn doubts(&self) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        if self.login.is_some_and(|login| login.contains('@')) {
            doubts.push(Doubt::AtSignInPassword);
        }
        // What is no name of an option may be a piece of a password that has a ? in it.
        let options: Vec<String> = url::form_urlencoded::parse(self.query.as_bytes())
            .map(|(name, _)| name.into_owned())
            .filter(|name| is_option_name(name))
            .collect();
        if !options.is_empty() {
            doubts.push(Doubt::IgnoredOptions(options));
        }
        doubts
    }

    fn address(&self, text: &str) -> Result<Address, UrlFault> {
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
            return Err(UrlFault {
                meant: Some(endpoint.into()),
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

    fn host_and_port(&self, text: &str) -> Result<(&'a str, Option<&'a str>), UrlFault> {
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
            _ => Err(invalid(
                text,
                "an IPv6 address must stand in brackets, as in redis://[fd00::1]:6379/0",
            )),
        }
    }

    fn db(&self, text: &str) -> Result<u64, UrlFault> {
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

fn refuse_wrapping(text: &str) -> Result<(), UrlFault> {
    if text.trim().is_empty() {
        let message =
            "the URL is empty; expected redis://HOST:6379/0 (is the variable that it comes from set?)";
        return Err(UrlFault {
            meant: None,
            ..invalid(text, message)
        });
    }
    if text.trim().starts_with(['"', '\'', '`', '\u{201c}', '<']) {
        return Err(invalid(
            text,
            "there are quotes around the URL: they belong to the shell, not into the value",
        ));
    }
    if text.contains(|character: char| character.is_whitespace() || character.is_control()) {
        return Err(invalid(
            text,
            "there is a blank or a control character in the URL",
        ));
    }
    Ok(())
}

fn scheme_of(text: &str) -> Result<(String, &str), UrlFault> {
    let Some((scheme, rest)) = text.split_once("://") else {
        let known = SCHEMES.iter().any(|known| text.starts_with(&format!("{known}:")));
        return Err(if known {
            invalid(
                text,
                "after the scheme come a colon and two slashes, as in redis://HOST:6379/0",
            )
        } else {
            invalid(
                text,
                "the URL has no scheme: it begins with redis:// or rediss://",
            )
        });
    };
    let lower = scheme.to_ascii_lowercase();
    if SCHEMES.contains(&lower.as_str()) {
        return Ok((lower, rest));
    }
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !is_scheme {
        return Err(invalid(
            text,
            "the URL has no scheme: it begins with redis:// or rediss://",
        ));
    }
    Err(UrlFault {
        kind: UrlFaultKind::Scheme,
        message: format!(
            "the scheme is {}://, which is not Redis's: redis:// is plain, rediss:// is TLS, unix:// is a socket",
            crate::sanitize::excerpt(scheme.as_bytes(), 20)
        ),
        meant: probably_meant(text),
    })
}

/// `unix://[login@]/path/to/socket[?db=N]`: here, and only here, clients agree on `db`.
fn unix_target(text: &str, rest: &str) -> Result<Target, UrlFault> {
    // Only a path that begins at once may hold an @ itself; elsewhere a login ends there.
    let (login, place) = match rest.rsplit_once('@') {
        Some((login, place)) if !rest.starts_with('/') => (Some(login), place),
        _ => (None, rest),
    };
    if let Some(culprit) = login.and_then(|login| login.chars().find(|one| matches!(one, '/' | '?' | '#'))) {
        return Err(must_be_encoded(text, culprit));
    }
    let (path, query) = place.split_once('?').unwrap_or((place, ""));
    let path = decoded(text, path)?;
    if path.len() > LONGEST_SOCKET {
        let message =
            format!("the path of a socket has at most {LONGEST_SOCKET} bytes, and this one has more");
        return Err(UrlFault {
            meant: None,
            ..invalid(text, &message)
        });
    }
    if path.trim_matches('/').is_empty() {
        let message =
            "the URL names no socket: after unix:// comes its path, as in unix:///run/redis/redis.sock";
        return Err(UrlFault {
            meant: None,
            ..invalid(text, message)
        });
    }
    let parts = Parts {
        login,
        authority: "",
        path: "",
        query,
    };
    let (user, password) = parts.login(text)?;
    let db = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "db");
    let db = db.map_or(Ok(0), |(_, value)| {
        value
            .parse()
            .map_err(|_| invalid(text, "db must be the number of a database, as in ?db=0"))
    })?;
    let mut doubts = parts.doubts();
    doubts.retain(
        |doubt| !matches!(doubt, Doubt::IgnoredOptions(names) if names.iter().all(|name| name == "db")),
    );
    let address = Address::Unix(PathBuf::from(path));
    Ok(Target {
        address,
        tls: false,
        user,
        password,
        db,
        origin: Origin::Given,
        doubts,
    })
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

fn decoded(text: &str, part: &str) -> Result<String, UrlFault> {
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

fn is_encoded_twice(password: &str) -> bool {
    let bytes = password.as_bytes();
    password.match_indices('%').any(|(at, _)| {
        bytes
            .get(at + 1..at + 3)
            .is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit))
    })
}

fn port_number(text: &str, port: Option<&str>) -> Result<u16, UrlFault> {
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

fn bad_host(text: &str) -> UrlFault {
    invalid(text, "the host is neither a name nor an address")
}

/// Word processors make dashes of hyphens and leave characters that nobody sees; resolvers want ASCII.
fn foreign_to_hosts(text: &str, odd: char) -> UrlFault {
    let code = u32::from(odd);
    let message = if odd.is_alphanumeric() {
        format!("{odd} cannot stand in the name of a host: write an international name as xn--…")
    } else {
        format!(
            "a character that only looks right stands in the name of the host (U+{code:04X}): type the name by hand"
        )
    };
    invalid(text, &message)
}

fn invalid(text: &str, message: &str) -> UrlFault {
    UrlFault {
        kind: UrlFaultKind::Invalid,
        message: message.to_owned(),
        meant: probably_meant(text),
    }
}

fn must_be_encoded(text: &str, culprit: char) -> UrlFault {
    let message = match culprit {
        '%' => "a % in the user name or password starts no escape: write it as %25".to_owned(),
        _ => format!(
            "a {culprit} in the user name or password must be percent-encoded: write it as %{:02X}",
            u32::from(culprit)
        ),
    };
    UrlFault {
        kind: UrlFaultKind::Encoding,
        message,
        meant: probably_meant(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> UrlFaultKind {
        parse(text).expect_err(text).kind
    }

    #[test]
    fn every_form_of_url_is_read() {
        for (text, shown) in [
            ("redis://h", "redis://h:6379/0"),
            ("rediss://h:6380/2", "rediss://h:6380/2"),
            ("valkeys://h", "rediss://h:6379/0"),
            ("REDIS://h/", "redis://h:6379/0"),
            ("redis://:p@h", "redis://:***@h:6379/0"),
            ("redis://ada:p%40q@h", "redis://ada:***@h:6379/0"),
            ("redis://secret@h", "redis://***@h:6379/0"),
            ("redis://[fd00::1]:7000/1", "redis://[fd00::1]:7000/1"),
            ("redis://10.0.0.1", "redis://10.0.0.1:6379/0"),
            ("unix:///run/redis.sock", "unix:///run/redis.sock"),
            ("unix://:p@/run/redis.sock?db=3", "unix://:***@/run/redis.sock"),
        ] {
            assert_eq!(
                parse(text).map(|target| target.to_string()),
                Ok(shown.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn passwords_are_decoded_and_the_last_at_sign_ends_them() {
        let target = parse("redis://ada:p%23q@r@h").unwrap();
        assert_eq!(target.password.unwrap().reveal(), "p#q@r");
        assert_eq!(target.doubts, [Doubt::AtSignInPassword]);
    }

    #[test]
    fn what_is_unusable_is_told_apart() {
        for text in [
            "",
            "  ",
            "\"redis://h\"",
            "redis://",
            "redis://:6379",
            "redis://h:0",
            "redis://h:99999",
            "redis://h:x",
            "redis://h/x",
            "redis://fd00::1",
            "redis://[fd00::1",
            "redis://[x]:1",
            "redis://your-endpoint:6379",
            "redis://HOST:6379/0",
            "redis://PRIMARY_ENDPOINT:6379",
            "redis://NAME.xxxxxx.ng.0001.use1.cache.amazonaws.com:6379/0",
            "redis://${REDIS_HOST}:6379",
            "redis://$HOST",
            "redis://%HOST%:6379",
            "redis://h1:6379,h2:6379",
            "h:6379",
            "redis:h",
            "redis://a b",
            "redis://h..h",
            "redis://-h",
            "unix://",
            "redis://h/-1",
        ] {
            assert_eq!(kind(text), UrlFaultKind::Invalid, "{text}");
        }
        for text in ["http://h", "redsi://h", "redis+tls://h", "tcp://h:6379"] {
            assert_eq!(kind(text), UrlFaultKind::Scheme, "{text}");
        }
        for text in [
            "redis://:a#b@h",
            "redis://u:a/b@h",
            "redis://:a?b@h",
            "redis://:a?b=c@h",
            "redis://:a/1?b=c@h",
            "redis://u:a?b=c@h",
            "redis://:a%zz@h",
            "redis://:a%@h",
        ] {
            assert_eq!(kind(text), UrlFaultKind::Encoding, "{text}");
        }
    }

    #[test]
    fn what_a_word_processor_made_of_a_host_is_named_and_mended() {
        let fault = parse("redis://:Plover-4417@my\u{2013}cache.example\u{200b}:6379").unwrap_err();
        assert!(fault.message.contains("U+2013"), "{}", fault.message);
        assert_eq!(fault.meant.unwrap(), "redis://:***@my-cache.example:6379/0");
        let fault = parse("redis://bücher.example").unwrap_err();
        assert!(fault.message.contains("xn--"), "{}", fault.message);
    }

    #[test]
    fn no_fault_shows_a_piece_of_the_password() {
        for text in [
            "redis://:Plover#4417@h",
            "redis://bob:Plover/4417@h",
            "redsi://:Plover-4417@h",
            "redis://:Plover?4417@h",
            "redis://bob:Plover%zz4417@h",
            "unix://:Plover/4417@/run/redis.sock",
            "redis://:Plover-4417@h:port",
            "'redis://:Plover-4417@h'",
            "bob:Plover@4417@h",
        ] {
            let fault = parse(text).expect_err(text);
            let shown = format!("{fault} {fault:?}");
            assert!(!shown.contains("Plover") && !shown.contains("4417"), "{shown}");
        }
    }

    #[test]
    fn options_that_clients_ignore_are_noticed() {
        let target = parse("redis://h/0?db=3&socket_timeout=5").unwrap();
        assert_eq!(
            target.doubts,
            [Doubt::IgnoredOptions(vec!["db".into(), "socket_timeout".into()])]
        );
        assert_eq!(
            parse("redis://Plover-4417@h").unwrap().doubts,
            [Doubt::UserWithoutPassword]
        );
        assert_eq!(parse("redis://:a%2525@h").unwrap().doubts, [Doubt::EncodedTwice]);
        assert!(parse("redis://:a%25@h").unwrap().doubts.is_empty());
    }
}
