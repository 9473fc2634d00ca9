/// The names of settings and their roles. Each name consists of the last words of a setting, in lower case
/// and separated by dots.
const NAMES: &[(&str, Role)] = &[
    ("sentinel.master", Role::Primary),
    ("sentinel.service.name", Role::Primary),
    ("servicename", Role::Primary),
    ("service.name", Role::Primary),
    ("sentinel.password", Role::Other),
    ("sentinel.username", Role::Other),
    ("sentinel.nodes", Role::Hosts),
    ("cluster.nodes", Role::Hosts),
    ("nodes", Role::Hosts),
    ("hosts", Role::Hosts),
    ("connection.string", Role::Url),
    ("connectionstring", Role::Url),
    ("url", Role::Url),
    ("uri", Role::Url),
    ("dsn", Role::Url),
    ("host", Role::Host),
    // Railway and the Google Cloud examples write each of these names as a single word.
    ("redishost", Role::Host),
    ("redisport", Role::Port),
    ("redisuser", Role::User),
    ("redispassword", Role::Password),
    ("redisssl", Role::Tls),
    ("redistls", Role::Tls),
    ("redisdb", Role::Db),
    ("hostname", Role::Host),
    ("host.name", Role::Host),
    ("endpoint", Role::Host),
    ("server", Role::Host),
    ("addr", Role::Host),
    ("address", Role::Host),
    ("port", Role::Port),
    ("username", Role::User),
    ("user", Role::User),
    ("password", Role::Password),
    ("pass", Role::Password),
    ("rediscli.auth", Role::Password),
    ("requirepass", Role::Password),
    ("auth.token", Role::Password),
    ("ssl.bundle", Role::TlsBundle),
    ("ssl.enabled", Role::Tls),
    ("tls.enabled", Role::Tls),
    ("ssl", Role::Tls),
    ("tls", Role::Tls),
    ("use.ssl", Role::Tls),
    ("use.tls", Role::Tls),
    ("scheme", Role::Tls),
    ("defaultdatabase", Role::Db),
    ("database", Role::Db),
    ("db", Role::Db),
];

/// The part of a URL that a setting contains.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Url,
    Host,
    Hosts,
    Port,
    User,
    Password,
    Tls,
    /// The name of a TLS bundle in Spring. Any name enables TLS.
    TlsBundle,
    Db,
    /// The name of the primary that the Sentinels monitor.
    Primary,
    Other,
}

/// Returns the role of the setting `name`, or `None` if the name is unknown.
pub(super) fn role(name: &str) -> Option<Role> {
    NAMES
        .iter()
        .find(|(end, _)| {
            name.strip_suffix(end)
                .is_some_and(|before| before.is_empty() || before.ends_with('.'))
        })
        .map(|(_, role)| *role)
}
