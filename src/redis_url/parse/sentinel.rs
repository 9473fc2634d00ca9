use super::super::error::invalid;
use super::super::{Address, SENTINEL_PORT, Sentinels, Target, UrlError};
use super::address::parse_host_and_port;
use super::parts::{Parts, decode, parse_db, parse_login, warnings};
use crate::secret::Secret;

/// Parses `redis+sentinel://[user:password@]HOST[:PORT][,HOST…]/NAME[/db]`. URLs for other clients can end in
/// `/db#NAME` or `/db?sentinelMasterId=NAME` instead.
///
/// The user and password are for the primary. The password of the Sentinels is the value of
/// `?sentinel_password=`.
pub(super) fn parse_sentinel(parts: &Parts<'_>, tls: bool) -> Result<Target, UrlError> {
    let (user, password) = parse_login(parts.login)?;
    let hosts = parts
        .authority
        .split(',')
        .map(|one| match parse_host_and_port(one, SENTINEL_PORT)? {
            Address::Tcp { host, port } => Ok((host, port)),
            Address::Unix(_) => Err(invalid("the URL of a Sentinel must contain a host")),
        })
        .collect::<Result<Vec<_>, UrlError>>()?;
    let option = |names: &[&str]| {
        let mut options = url::form_urlencoded::parse(parts.query.as_bytes());
        let found = options.find(|(name, _)| names.contains(&&**name));
        found
            .map(|(_, value)| value.into_owned())
            .filter(|value| !value.is_empty())
    };
    let mut path = parts.path.trim_matches('/').splitn(2, '/');
    let mut segment = || path.next().filter(|segment| !segment.is_empty());
    let elsewhere = match parts.fragment {
        "" => option(NAME_OPTIONS),
        fragment => Some(decode(fragment)?),
    };
    let name = match elsewhere {
        Some(name) => name,
        None => decode(segment().unwrap_or_default())?,
    };
    if name.is_empty() {
        return Err(no_name(&hosts, tls));
    }
    let db = match segment() {
        Some(db) => parse_db(db)?,
        None => parse_db(&option(&["db", "database"]).unwrap_or_default())?,
    };
    let (host, port) = hosts.first().cloned().unwrap_or_default();
    let known = [NAME_OPTIONS, SENTINEL_PASSWORD_OPTIONS, &["db", "database"]].concat();
    Ok(Target {
        tls,
        warnings: warnings(parts, user.as_deref(), password.as_ref(), &known),
        user,
        password,
        db,
        sentinels: Some(Sentinels {
            hosts,
            name,
            password: option(SENTINEL_PASSWORD_OPTIONS).map(Secret::new),
        }),
        ..Target::new(Address::Tcp { host, port })
    })
}

/// Returns the error for a URL without the name of the primary.
fn no_name(hosts: &[(String, u16)], tls: bool) -> UrlError {
    let list = hosts.first().map(|(host, port)| {
        let tls = if tls { " --tls" } else { "" };
        format!("redis-cli -h {host} -p {port}{tls} SENTINEL MASTERS")
    });
    let error = invalid(
        "the name of the primary is missing after the hosts: use the name from the configuration of the Sentinels",
    )
    .with_advice(
        "add a slash and the name of the primary to the URL, after the hosts. The following command lists the \
         primaries that a Sentinel watches, with their names",
    );
    UrlError {
        command: list,
        ..error
    }
}

/// The options that contain the name of the primary in URLs for Lettuce, Asynq and redis-rs.
const NAME_OPTIONS: &[&str] = &[
    "sentinelMasterId",
    "master",
    "master_name",
    "service_name",
    "sentinel_service_name",
];

const SENTINEL_PASSWORD_OPTIONS: &[&str] = &["sentinel_password"];
