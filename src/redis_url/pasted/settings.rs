//! Recognises settings, such as StackExchange.Redis strings, Spring properties, environment variables, and
//! the `host = …` lists of providers.

use super::super::error::invalid;
use super::super::hosting::Hosting;
use super::super::intended::IntendedUrl;
use super::super::parse::is_host;
use super::setting_names::{Role, role};
use super::{Meaning, is_full_host, meaning_of};
use crate::secret::Secret;

/// The default port of StackExchange.Redis with `ssl=true`
/// (<https://github.com/StackExchange/StackExchange.Redis/blob/main/src/StackExchange.Redis/ConfigurationOptions.cs>).
const STACKEXCHANGE_TLS_PORT: u16 = 6380;

/// Recognises `REDIS_URL=redis://…`, `export REDIS_URL="…"`, `REDIS_URL: …` and `-e REDIS_URL=…`.
pub(super) fn read_assignment(text: &str) -> Option<Meaning> {
    let first = text.lines().next()?;
    let (name, value) = split_setting(first)?;
    let is_word = !unquoted(value).contains(' ');
    let is_url = match role(&name) {
        Some(role) => role == Role::Url && !value.starts_with('{'),
        // This is the form REDIS_CONNECTION=HOST:6380,password=…
        None => !value.starts_with('{') && (value.contains("://") || (is_word && value.contains(':'))),
    };
    let is_only_one = text.lines().filter(|line| !line.trim().is_empty()).count() == 1;
    (is_url && (is_only_one || value.contains("://"))).then(|| {
        let value = unquoted(value);
        // A command can follow, as in REDIS_URL=redis://… program
        let (word, rest) = value.split_once(char::is_whitespace).unwrap_or((value, ""));
        // If an @ follows, the space belongs to the login.
        let is_command = value.contains("://") && !rest.contains('@');
        let value = if is_command { word } else { value };
        Meaning::within(value, invalid(assignment(first, &name)))
    })
}

/// Describes an assignment. Shows the variable's name only if it is the name of a known setting.
fn assignment(line: &str, name: &str) -> String {
    let (before, separator) = match line.find(['=', ':']) {
        Some(at) if line[at..].starts_with('=') => (&line[..at], "equals sign"),
        Some(at) => (&line[..at], "colon"),
        None => (line, "equals sign"),
    };
    let word = before.split_whitespace().last().unwrap_or_default();
    let word = word.trim_matches(['"', '\'', '-']);
    let is_known = role(name).is_some() && word.to_ascii_lowercase().replace(['_', '-'], ".").ends_with(name);
    let variable = if is_known {
        format!("the variable {word}")
    } else {
        "a variable".to_owned()
    };
    format!("this text sets {variable}: enter only its value, which is the text after the first {separator}")
}

/// Recognises a list of settings, one per line or separated by commas, semicolons or spaces.
pub(super) fn read(text: &str) -> Option<Meaning> {
    // A list of settings is not valid after redis://, but the scheme shows that the settings are for Redis.
    let (scheme, list) = match text.split_once("://") {
        Some((scheme, list)) if list.contains(',') && list.contains('=') && !scheme.contains([',', '=']) => {
            (scheme, list)
        }
        Some((before, _)) if !before.contains('=') && !before.contains(": ") => return None,
        _ => ("", text),
    };
    if !list.contains('=') && !list.contains(':') {
        return None;
    }
    let separators: &[char] = if list.trim().contains('\n') {
        &['\n']
    } else if list.contains(',') {
        &[',']
    } else {
        &[';', ' ']
    };
    // In JavaScript, an empty object enables TLS.
    let list = &list.replace("tls: {}", "tls: true");
    let mut found = Found::default();
    // In YAML, `ssl:` can be on its own line before `enabled: true`. In Kubernetes manifests, `name:
    // REDIS_HOST` comes before `value: …`.
    let (mut group, mut named) = ("", "");
    for item in split(list, separators) {
        let item = item.trim().trim_end_matches(',');
        match split_setting(item) {
            _ if item.is_empty() => {}
            Some((name, value)) if name == "name" => named = unquoted(value),
            Some((name, value)) if name == "value" => {
                let name = named.to_ascii_lowercase().replace('_', ".");
                found.set(&name, unquoted(value))?;
            }
            Some((name, value)) if is_nothing(value) => found.count += usize::from(role(&name).is_some()),
            Some((name, value)) => found.set(&format!("{group}.{name}"), unquoted(value))?,
            None if item.ends_with(':') => group = item.trim_end_matches(':').trim_matches(['"', '\'']),
            None if found.count == 0 => {
                found.add_host(item);
                found.has_bare_host = !found.url.hosts.is_empty();
            }
            None => {}
        }
    }
    found.url.tls |= super::schemes::says_tls(scheme);
    if found.count == 0 || (found.is_unusable && super::in_code(text).is_some()) {
        return None;
    }
    Some(found.into_meaning())
}

/// Splits a text at the separators, braces and parentheses, except inside quotes.
fn split<'a>(text: &'a str, separators: &[char]) -> Vec<&'a str> {
    let mut items = Vec::new();
    let (mut start, mut quote, mut last) = (0, None, ' ');
    for (at, character) in text.char_indices() {
        let may_open = last.is_whitespace() || "=:,({>".contains(last);
        match character {
            '"' | '\'' if quote == Some(character) => quote = None,
            '"' | '\'' if quote.is_none() && may_open && text[at + 1..].contains(character) => {
                quote = Some(character);
            }
            _ if quote.is_some() => {}
            '{' | '}' | '(' | ')' => {
                // The name of a function or type is not a setting.
                let is_call = matches!(character, '{' | '(') && last.is_ascii_alphanumeric();
                items.extend((!is_call).then_some(&text[start..at]));
                start = at + 1;
            }
            separator if separators.contains(&separator) => {
                items.push(&text[start..at]);
                start = at + separator.len_utf8();
            }
            _ => {}
        }
        last = character;
    }
    items.push(&text[start..]);
    items
}

/// Whether `value` is a word that programming languages use for a missing value.
fn is_nothing(value: &str) -> bool {
    matches!(value, "null" | "None" | "nil" | "undefined")
}

/// Whether the value is `true`, `1`, `yes`, `on`, `require` or `required`, ignoring case.
pub(in crate::redis_url) fn is_true(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "true" | "1" | "yes" | "on" | "required" | "require"
    )
}

#[derive(Default)]
struct Found {
    url: IntendedUrl,
    port: Option<u16>,
    /// The number of settings that were recognised.
    count: usize,
    has_bare_host: bool,
    has_link: bool,
    is_unusable: bool,
}

impl Found {
    /// Adds the host in `HOST` or `HOST:PORT`, as in a StackExchange.Redis string, unless it might be
    /// something else.
    fn add_host(&mut self, item: &str) {
        let (host, port) = item.rsplit_once(':').map_or((item, None), |(host, port)| {
            (host, port.parse::<u16>().ok().filter(|port| *port > 0))
        });
        let host = host.trim_matches(['[', ']']);
        let is_certain = port.is_some() || (self.url.hosts.is_empty() && is_full_host(host));
        if is_host(host) && is_certain {
            self.url.hosts.push((host.to_owned(), port));
        }
    }

    /// Stores the value of a setting, if its name is known. Returns `None` if the value is unusable, or if
    /// the settings contain different hosts.
    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        let role = match role(name) {
            Some(role) => role,
            // This is the form "Redis": "HOST:6380,password=…"
            None if value.contains(',') && value.contains("password=") => Role::Url,
            None => return Some(()),
        };
        self.count += 1;
        if value.is_empty() {
            return Some(());
        }
        match role {
            Role::Url => {
                let Some(inner) = meaning_of(value).meant else {
                    self.is_unusable = true;
                    return Some(());
                };
                self.url = std::mem::take(&mut self.url).or(inner);
            }
            // REDIS_HOST can contain a whole URL.
            Role::Host | Role::Hosts if value.contains("://") => {
                let inner = meaning_of(value.split(',').next()?).meant?;
                self.url = std::mem::take(&mut self.url).or(inner);
            }
            Role::Host if self.url.hosts.iter().any(|(host, _)| host != value) => return None,
            Role::Host if !self.url.hosts.is_empty() => {}
            Role::Host => {
                let (host, port) = match value.rsplit_once(':') {
                    Some((host, port)) if port.parse::<u16>().is_ok() && !host.contains(':') => {
                        (host, port.parse().ok())
                    }
                    _ => (value.trim_matches(['[', ']']), None),
                };
                self.url.hosts = vec![(host.to_owned(), port)];
            }
            Role::Hosts => {
                for item in value.split([',', ' ']) {
                    self.add_host(item);
                }
            }
            // REDIS_PORT can contain a service link.
            Role::Port if value.contains("://") => {
                let link = meaning_of(value).meant?;
                self.port = link.hosts.first()?.1;
                if self.url.hosts.is_empty() {
                    self.url.hosts = link.hosts;
                }
                self.has_link = true;
            }
            Role::Port => self.port = Some(value.parse().ok().filter(|port| *port > 0)?),
            Role::User => self.url.user = Some(value.to_owned()),
            Role::Password => self.url.password = Some(Secret::new(value)),
            Role::Tls => self.url.tls |= is_true(value) || super::schemes::says_tls(value),
            Role::TlsBundle => self.url.tls = true,
            Role::Db => self.url.db = Some(value.parse().ok()?),
            Role::Primary => self.url.primary = Some(value.to_owned()),
            Role::Other => {}
        }
        Some(())
    }

    fn into_meaning(mut self) -> Meaning {
        if self.url.hosts.is_empty() && self.url.socket.is_none() && !self.is_unusable {
            let error = invalid("these are settings, not a URL, and the host is missing");
            return Meaning::new(error, None);
        }
        if self.url.primary.is_none() {
            self.url.hosts.truncate(1);
        }
        if let (Some(port), [(_, slot @ None)]) = (self.port, &mut self.url.hosts[..]) {
            *slot = Some(port);
        }
        if self.has_bare_host && self.url.tls && self.url.primary.is_none() {
            for (host, port) in &mut self.url.hosts {
                let of_provider = || Hosting::of(host).and_then(|hosting| hosting.tls_port);
                *port = port.or_else(of_provider).or(Some(STACKEXCHANGE_TLS_PORT));
            }
        }
        let message = if self.has_bare_host {
            "this is a connection string of StackExchange.Redis (.NET, Azure), not a URL"
        } else if self.has_link {
            super::schemes::SERVICE_LINK
        } else {
            "these are settings, not a URL"
        };
        Meaning::new(invalid(message), Some(self.url.with_tls_if_needed()))
    }
}

/// Splits `NAME=VALUE` or `NAME: VALUE`. Removes any prefix that belongs to a shell, a Dockerfile or YAML.
/// Returns `None` if the text has another form.
fn split_setting(item: &str) -> Option<(String, &str)> {
    const PREFIXES: [&str; 12] = [
        "export ",
        "set ",
        "setx ",
        "declare -x ",
        "ENV ",
        "env ",
        "-e ",
        "--env ",
        "--",
        "- ",
        "$env:",
        "-D",
    ];
    let mut item = item.trim();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| item.strip_prefix(prefix)) {
        item = rest.trim_start();
    }
    // In JSON and in PHP arrays, the names are in quotes.
    let quote = item.chars().next().filter(|first| matches!(first, '"' | '\''));
    let item = quote.map_or(item, |_| &item[1..]);
    let end = item.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))?;
    let (name, rest) = item.split_at(end);
    let rest = quote.map_or(Some(rest), |quote| rest.strip_prefix(quote))?;
    let rest = rest.trim_start();
    let value = rest
        .strip_prefix(":=")
        .or_else(|| rest.strip_prefix("=>"))
        .or_else(|| rest.strip_prefix('='))
        .or_else(|| rest.strip_prefix(": "))
        .or_else(|| rest.strip_prefix(':').filter(|rest| rest.starts_with('"')))?;
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    is_name.then(|| (name.to_ascii_lowercase().replace(['_', '-'], "."), value.trim()))
}

fn unquoted(value: &str) -> &str {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote) {
            return inner.split(quote).next().unwrap_or_default();
        }
    }
    value
}
