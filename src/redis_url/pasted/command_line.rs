//! Recognises the command line of a Redis client, such as `redis-cli --tls -h HOST -a PASSWORD`.

use super::super::error::invalid;
use super::super::intended::IntendedUrl;
use super::{Meaning, meaning_of};
use crate::secret::Secret;

/// The names of clients that have the same options as redis-cli.
const CLIENTS: [&str; 7] = [
    "redis-cli",
    "valkey-cli",
    "keydb-cli",
    "redis-benchmark",
    "redli",
    "iredis",
    "sessiontut",
];

/// Options of Redis clients that have a value but do not affect the connection.
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
    // If a quote is not closed, or if the whole text is a comment in a shell, split the text only at spaces.
    let words = shell_words::split(text).ok().filter(|words| !words.is_empty());
    let words = words.unwrap_or_else(|| text.split_whitespace().map(str::to_owned).collect());
    let is_client = |word: &String| CLIENTS.iter().any(|client| word.ends_with(client));
    let client = words.iter().position(is_client);
    let arguments = match client {
        Some(at) => &words[at + 1..],
        // The text contains only options, as in `-h HOST -p 6379`, or is the command line of another program.
        None if words.len() > 1 && words.iter().any(|word| is_connection_option(word)) => &words[..],
        None => return None,
    };
    let before = &words[..client.unwrap_or(0)];
    let assigned = |name| {
        before
            .iter()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let meant = options(arguments, assigned("REDIS_URL")).map(|url| IntendedUrl {
        password: url.password.or(assigned("REDISCLI_AUTH").map(Secret::new)),
        ..url
    });
    let error = invalid("this is a command line, not a URL: enter only the URL");
    Some(Meaning::new(error, meant))
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

/// Reads the options of a command line. Returns `None` if an option is repeated or has an unusable value, or
/// if the server is missing. `url_before` is the value of a `REDIS_URL` assignment before the command.
fn options(arguments: &[String], url_before: Option<&str>) -> Option<IntendedUrl> {
    let mut url = IntendedUrl::default();
    let (mut host, mut port, mut base) = (None, None::<String>, None);
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
    if host.is_none() {
        base = base.or(url_before.map(str::to_owned));
    }
    if let Some(base) = base {
        return Some(url.or(meaning_of(&base).meant?));
    }
    if url.socket.is_some() {
        return Some(url);
    }
    let host: String = host?;
    // The value of -h can be HOST:PORT or a URL. An IPv6 address, which contains several colons, is only a
    // host.
    if host.contains("://") || host.matches(':').count() == 1 {
        url = url.or(meaning_of(&host).meant?);
    } else {
        url.hosts = vec![(host, None)];
    }
    if let (Some(port), Some((_, slot))) = (port, url.hosts.first_mut()) {
        *slot = Some(port.parse().ok().filter(|port| *port > 0)?);
    }
    Some(url.with_tls_if_needed())
}

/// Stores `value` in `slot`. Returns `None` if `slot` already contained a value.
fn set<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}
