//! Parses the host and the port in a URL.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use percent_encoding::percent_decode_str;

use super::super::error::{invalid, invalid_host_character};
use super::super::{Address, DEFAULT_PORT, UrlError};
use crate::sanitize;

/// The maximum length of a host name in DNS, in bytes (RFC 1035, 2.3.4).
const LONGEST_NAME: usize = 253;
/// The maximum length of one label of a host name, in bytes (RFC 1035, 2.3.4).
const LONGEST_LABEL: usize = 63;

pub(super) fn parse_address(authority: &str) -> Result<Address, UrlError> {
    if authority.contains(',') && !authority.starts_with('[') {
        return Err(invalid(
            "the URL contains several hosts, or a comma instead of a dot: use one host",
        ));
    }
    parse_host_and_port(authority, DEFAULT_PORT)
}

pub(super) fn parse_host_and_port(authority: &str, default: u16) -> Result<Address, UrlError> {
    let (host, port) = split_port(authority)?;
    let bad_host = || invalid("the host is neither a name nor an address");
    let host = if host.contains(':') {
        // RFC 6874 writes the % before the zone of an IPv6 address as %25, but many clients accept both.
        Cow::Owned(host.replacen("%25", "%", 1))
    } else {
        percent_decode_str(host).decode_utf8().map_err(|_| bad_host())?
    };
    if host.is_empty() {
        return Err(invalid(
            "the URL has no host: put a host name or an address after redis://",
        ));
    }
    if let Some(character) = host.chars().find(|character| !character.is_ascii()) {
        return Err(invalid_host_character(character));
    }
    if port.is_empty() && port_after_dot(&host).is_some() {
        return Err(invalid(
            "the host name ends in a number: there is probably a dot instead of a colon before the port",
        ));
    }
    let numbers = host.split('.').count();
    if numbers > 4 && host.split('.').all(is_number) {
        return Err(UrlError {
            advice: Some("correct the address: an IPv4 address has four numbers".into()),
            ..invalid(format!(
                "the host looks like an IPv4 address, but has {numbers} numbers instead of four"
            ))
        });
    }
    if host.is_ascii()
        && host.split('.').any(|label| label.len() > LONGEST_LABEL)
        && !host.contains([':', '%'])
    {
        return Err(invalid(format!(
            "a part of the host name is longer than {LONGEST_LABEL} characters, which DNS does not allow"
        )));
    }
    if is_impossible_address(&host) {
        return Err(
            invalid("the host looks like an IPv4 address, but one of its numbers is more than 255")
                .with_advice("correct the address: each of its four numbers must be from 0 to 255"),
        );
    }
    if !is_host(&host) {
        // The message shows no letters or digits, because they might be part of a password.
        let odd = host
            .chars()
            .find(|one| !one.is_ascii_alphanumeric() && !"-_.:%".contains(*one));
        return Err(odd.map_or_else(bad_host, |odd| {
            let odd = sanitize::excerpt(odd.to_string().as_bytes(), 1);
            invalid(format!(
                "the host name contains {odd}, which is not allowed in a name"
            ))
        }));
    }
    Ok(Address::Tcp {
        port: parse_port(port, &host, default)?,
        host: host.into_owned(),
    })
}

/// Splits `authority` into the host (IPv6 without brackets) and the port, which is empty if it is missing.
fn split_port(authority: &str) -> Result<(&str, &str), UrlError> {
    if let Some(inside) = authority.strip_prefix('[') {
        let Some((address, port)) = inside.split_once(']') else {
            return Err(invalid("the bracket before the IPv6 address is not closed"));
        };
        let without_zone = address.split('%').next().unwrap_or_default();
        if without_zone.parse::<Ipv6Addr>().is_err() {
            return Err(invalid("the part in brackets is not an IPv6 address"));
        }
        return match port.strip_prefix(':') {
            None if !port.is_empty() => Err(invalid(
                "after the bracket, only a colon and the port are allowed",
            )),
            port => Ok((address, port.unwrap_or_default())),
        };
    }
    let (first, rest) = authority.split_once(':').unwrap_or((authority, ""));
    if !rest.contains(':') {
        return Ok((first, rest));
    }
    let is_ipv6_group = first.chars().all(|one| one.is_ascii_hexdigit());
    Err(if is_ipv6_group {
        invalid("an IPv6 address must be in brackets, as in redis://[fd00::1]:6379/0")
    } else {
        invalid("there is more than one colon after the host: expected HOST:PORT")
    })
}

fn parse_port(port: &str, host: &str, default: u16) -> Result<u16, UrlError> {
    if port.is_empty() {
        return Ok(default);
    }
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(number @ 1..) if is_number => Ok(number),
        _ if is_number => {
            // Show the number only if it follows an IP address. Otherwise, the host might be missing, and the
            // number might be the password.
            let is_address = host.parse::<IpAddr>().is_ok();
            let shown = if is_address {
                sanitize::excerpt(format!(" {port}").as_bytes(), 12)
            } else {
                String::new()
            };
            Err(invalid(format!(
                "the port{shown} is out of range: use a number from 1 to 65535"
            )))
        }
        _ => Err(invalid("the port is not a number from 1 to 65535")),
    }
}

/// Splits `cache.example.6379`, in which a dot precedes the port. Only a number of 1024 or more counts as a
/// port, because host names rarely end in such a number. Returns `None` for other names.
pub(in crate::redis_url) fn port_after_dot(host: &str) -> Option<(&str, u16)> {
    let (name, digits) = host.rsplit_once('.')?;
    let port = digits.parse().ok().filter(|port| *port >= 1024)?;
    let has_domain = name.contains('.') && name.ends_with(|last: char| last.is_ascii_alphabetic());
    let is_address = name.parse::<Ipv4Addr>().is_ok();
    (has_domain || is_address || name == "localhost").then_some((name, port))
}

/// Whether `host` looks like an IPv4 address, but contains a number greater than 255.
fn is_impossible_address(host: &str) -> bool {
    let numbers: Vec<&str> = host.split('.').collect();
    numbers.len() == 4
        && numbers.iter().all(|text| is_number(text))
        && numbers
            .iter()
            .any(|number| number.parse::<u16>().map_or(true, |number| number > 255))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether `host` is a valid host name or an IP address (IPv6 without brackets).
pub(crate) fn is_host(host: &str) -> bool {
    host.is_ascii()
        && !is_impossible_address(host)
        && (host.parse::<Ipv6Addr>().is_ok() || is_host_name(host))
}

fn is_host_name(host: &str) -> bool {
    let bare = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        // A label that starts or ends with a hyphen is invalid (RFC 952), and resolvers do not query it.
        (1..=LONGEST_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    // Ipv6Addr does not parse the zone of an address such as fe80::1%eth0.
    let is_scoped = host
        .split_once('%')
        .is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok());
    is_scoped || (bare.len() <= LONGEST_NAME && bare.split('.').all(is_label))
}
