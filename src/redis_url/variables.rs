//! Builds a URL from `REDIS_HOST` and related variables. `ping` uses this URL if no other URL is given.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::invalid;
use super::pasted::is_true;
use super::{Target, UrlError};

/// The names of the variables that describe a server, in the order in which messages list them.
const NAMES: [&str; 5] = [
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_USERNAME",
    "REDIS_PASSWORD",
    "REDIS_TLS",
];

/// The Redis server that the variables describe.
#[derive(Debug)]
pub(crate) struct FromVariables {
    pub target: Target,
    /// The names of the variables that are set, for messages: `REDIS_HOST and REDIS_PORT`.
    pub names: String,
}

/// Reads `REDIS_HOST` and related variables. Returns `None` if `REDIS_HOST` is not set or is empty. An error lists the
/// variables, and suggests the URL that they probably mean.
pub(crate) fn from_variables(
    variable: impl Fn(&str) -> Option<String>,
) -> Option<Result<FromVariables, UrlError>> {
    let value = |name: &str| variable(name).filter(|value| !value.is_empty());
    let host = value("REDIS_HOST")?;
    let set: Vec<&str> = NAMES.into_iter().filter(|name| value(name).is_some()).collect();
    let names = match &set[..] {
        [first, middle @ .., last] => {
            let middle: String = middle.iter().map(|name| format!(", {name}")).collect();
            format!("{first}{middle} and {last}")
        }
        _ => "REDIS_HOST".to_owned(),
    };
    Some(match target(&host, &value) {
        Ok(mut target) => {
            target.variables = Some(names.clone());
            Ok(FromVariables { target, names })
        }
        Err(error) => {
            let is_extra = |one: char| one.is_whitespace() || matches!(one, '"' | '\'');
            let has_extra = |name: &&&str| {
                value(name).is_some_and(|text| text.starts_with(is_extra) || text.ends_with(is_extra))
            };
            let message = match ["REDIS_HOST", "REDIS_PORT"].iter().find(has_extra) {
                Some(name) => format!(
                    "the value of {name} starts or ends with a quote, a space or a newline: remove it (a shell removes \
                     quotes, but docker --env-file and Kubernetes do not)"
                ),
                None => format!("{names}: {}", error.message),
            };
            Err(UrlError {
                message,
                is_about_variables: true,
                ..error
            })
        }
    })
}

fn target(host: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<Target, UrlError> {
    let tls = match value("REDIS_TLS").map(|tls| tls.to_ascii_lowercase()).as_deref() {
        None | Some("false" | "0" | "no" | "off") => false,
        Some(text) if is_true(text) => true,
        Some(_) => return Err(invalid("REDIS_TLS must be true or false")),
    };
    let scheme = if tls { "rediss" } else { "redis" };
    let encoded = |name: &str| {
        let text = value(name).unwrap_or_default();
        utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string()
    };
    let (user, password) = (encoded("REDIS_USERNAME"), encoded("REDIS_PASSWORD"));
    let login = match (user.is_empty(), password.is_empty()) {
        (true, true) => String::new(),
        (false, true) => format!("{user}@"),
        _ => format!("{user}:{password}@"),
    };
    let host = if host.parse::<std::net::Ipv6Addr>().is_ok() {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let port = value("REDIS_PORT").map_or_else(String::new, |port| format!(":{port}"));
    let mut target = Target::parse(&format!("{scheme}://{login}{host}{port}"))?;
    target.password_variable = target.password.is_some().then_some("REDIS_PASSWORD");
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On success, the URL and the names of the variables. On failure, the message and the suggestion.
    type Read = Result<(String, String), (String, Option<String>)>;

    fn read(variables: &[(&str, &str)]) -> Option<Read> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        from_variables(variable).map(|read| match read {
            Ok(read) => Ok((read.target.to_string(), read.names)),
            Err(error) => Err((error.message, error.suggestion)),
        })
    }

    #[test]
    fn the_variables_together_are_a_url() {
        assert_eq!(read(&[("REDIS_PORT", "6380")]), None);
        assert_eq!(read(&[("REDIS_HOST", "")]), None);
        for (variables, url, names) in [
            (&[("REDIS_HOST", "h")][..], "redis://h:6379/0", "REDIS_HOST"),
            (
                &[
                    ("REDIS_HOST", "fd00::1"),
                    ("REDIS_PORT", "6380"),
                    ("REDIS_TLS", "true"),
                ],
                "rediss://[fd00::1]:6380/0",
                "REDIS_HOST, REDIS_PORT and REDIS_TLS",
            ),
            (
                &[
                    ("REDIS_HOST", "h"),
                    ("REDIS_USERNAME", "bob"),
                    ("REDIS_PASSWORD", "Plover/4417@#"),
                ],
                "redis://bob:***@h:6379/0",
                "REDIS_HOST, REDIS_USERNAME and REDIS_PASSWORD",
            ),
            (
                &[("REDIS_HOST", "h"), ("REDIS_TLS", "0")],
                "redis://h:6379/0",
                "REDIS_HOST and REDIS_TLS",
            ),
        ] {
            assert_eq!(
                read(variables),
                Some(Ok((url.to_owned(), names.to_owned()))),
                "{variables:?}"
            );
        }
    }

    #[test]
    fn variables_that_make_no_url_are_named_with_what_they_mean() {
        for (variables, suggestion) in [
            (
                &[("REDIS_HOST", "h.example"), ("REDIS_PORT", "tcp://10.0.0.1:6379")][..],
                Some("redis://h.example:6379/0"),
            ),
            (
                &[
                    ("REDIS_HOST", "rediss://h.example:6380"),
                    ("REDIS_PASSWORD", "Plover-4417"),
                ],
                Some("rediss://:***@h.example:6380/0"),
            ),
            (
                &[("REDIS_HOST", "h.example:6380"), ("REDIS_PORT", "6380")],
                Some("redis://h.example:6380/0"),
            ),
            (&[("REDIS_HOST", "h.example"), ("REDIS_TLS", "maybe")], None),
        ] {
            let (message, meant) = read(variables).unwrap().unwrap_err();
            assert!(message.contains("REDIS_HOST"), "{message}");
            assert_eq!(meant.as_deref(), suggestion, "{variables:?}");
        }
    }
}
