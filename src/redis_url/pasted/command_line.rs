//! Recognises the command line of a Redis client, such as `redis-cli --tls -h HOST -a PASSWORD`.

use super::super::error::invalid;
use super::super::intended::IntendedUrl;
use super::{Meaning, meaning_of};
use crate::secret::Secret;

/// Clients with the options of redis-cli.
const CLIENTS: [&str; 7] = [
    "redis-cli",
    "valkey-cli",
    "keydb-cli",
    "redis-benchmark",
    "redli",
    "iredis",
    "sessiontut",
];

/// The options with a value that say nothing about the connection.
const OTHER_OPTIONS_WITH_VALUE: [&str; 20] = [
    "-r",
    "-i",
    "-d",
    "-D",
    "-t",
    "-X",
    "-P",
    "-c!",
    "--sni",
    "--cacert",
    "--cacertdir",
    "--cert",
    "--key",
    "--pattern",
    "--eval",
    "--pipe-timeout",
    "--tls-ciphers",
    "--tls-ciphersuites",
    "--tls-name",
    "--timeout",
];

pub(super) fn read(text: &str) -> Option<Meaning> {
    // A text with an open quote is split at spaces only, and so is a comment, which would be removed.
    let words = shell_words::split(text).ok().filter(|words| !words.is_empty());
    let words = words.unwrap_or_else(|| text.split_whitespace().map(str::to_owned).collect());
    let is_client = |word: &String| CLIENTS.iter().any(|client| word.ends_with(client));
    let client = words.iter().position(is_client);
    let arguments = match client {
        Some(at) => &words[at + 1..],
        // -h HOST -p 6379, or the options of another program
        None if words.len() > 1 && words.iter().any(|word| is_connection_option(word)) => &words[..],
        None => return None,
    };
    let message = "this is a command line, not a URL: give only the URL";
    let error = Some(invalid(message));
    let mut meant = options(arguments, &words[..client.unwrap_or(0)]);
    if let Some(url) = &mut meant {
        for word in &words[..client.unwrap_or(0)] {
            match word.split_once('=') {
                Some(("REDISCLI_AUTH", password)) if url.password.is_none() => {
                    url.password = Some(Secret::new(password));
                }
                _ => {}
            }
        }
    }
    Some(Meaning { error, meant })
}

fn is_connection_option(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or_default();
    [
        "-h",
        "--host",
        "-u",
        "--url",
        "--uri",
        "--tls",
        "-a",
        "--pass",
        "--password",
        "-p",
    ]
    .contains(&name)
}

/// Reads the options. `None` if one is repeated or names nothing usable: then it is unclear what was meant.
fn options(arguments: &[String], before: &[String]) -> Option<IntendedUrl> {
    let mut url = IntendedUrl::default();
    let (mut host, mut port, mut base) = (None, None, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (name, attached) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let mut value = || attached.clone().or_else(|| words.next().cloned());
        match name {
            "-h" | "--host" => set(&mut host, value()?)?,
            "-p" | "--port" => set(&mut port, value()?)?,
            "-s" => set(&mut url.socket, value()?)?,
            "-u" | "--url" | "--uri" | "--redis" => set(&mut base, value()?)?,
            "-a" | "--pass" | "--password" | "--auth" => set(&mut url.password, Secret::new(value()?))?,
            "--user" | "--username" => set(&mut url.user, value()?)?,
            "-n" | "--db" => set(&mut url.db, value()?.parse().ok()?)?,
            "--tls" | "--ssl" => url.tls = true,
            _ if OTHER_OPTIONS_WITH_VALUE.contains(&name) => drop(value()),
            _ if word.contains("://") && base.is_none() && !name.starts_with('-') => {
                base = Some(word.clone());
            }
            _ => {}
        }
    }
    if base.is_none() && host.is_none() {
        // REDIS_URL=redis://… redis-cli
        let assigned = before.iter().filter_map(|word| word.split_once('='));
        base = assigned
            .map(|(_, value)| value.to_owned())
            .find(|value| value.contains("://"));
    }
    if let Some(base) = base {
        let inner = meaning_of(&base).meant?;
        return Some(IntendedUrl {
            tls: inner.tls || url.tls,
            user: url.user.or(inner.user),
            password: url.password.or(inner.password),
            db: url.db.or(inner.db),
            ..inner
        });
    }
    if url.socket.is_some() {
        return Some(url);
    }
    let host: String = host?;
    // -h HOST:PORT or -h redis://…, but not an IPv6 address
    let inner = if host.contains("://") || host.matches(':').count() == 1 {
        meaning_of(&host).meant?
    } else {
        IntendedUrl::default()
    };
    let (host, inner_port) = inner.hosts.first().cloned().unwrap_or((host, None));
    let port = match port {
        Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port > 0)?),
        None => inner_port,
    };
    url.tls |= inner.tls;
    url.password = url.password.or(inner.password);
    url.user = url.user.or(inner.user);
    url.hosts = vec![(host, port)];
    Some(url.with_tls_if_needed())
}

/// Sets a value, but only once: with two values, it is unclear which one is meant.
fn set<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}
