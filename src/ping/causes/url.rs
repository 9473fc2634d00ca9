//! What to do about each cause: the one place where advice stands. One file a rung, as in the verdict.

use super::{Cause, Fix, FixContext, dns, server, tcp, tls};

/// What to do, most promising first.
#[must_use]
pub(crate) fn fixes(cause: Cause, at: &FixContext) -> Vec<Fix> {
    match cause {
        Cause::UrlInvalid | Cause::UrlScheme | Cause::UrlEncoding | Cause::UrlSuspect => url(cause, at),
        Cause::DnsNotFound | Cause::DnsNoAddress | Cause::DnsTimeout | Cause::DnsServerFailure => {
            dns::fixes(cause, at)
        }
        Cause::TcpTimeout => tcp::unanswered(at),
        Cause::TcpRefused | Cause::TcpUnreachable | Cause::TcpProhibited => tcp::refused(cause, at),
        Cause::TlsRequired
        | Cause::TlsNotOffered
        | Cause::TlsUntrusted
        | Cause::TlsNameMismatch
        | Cause::TlsExpired
        | Cause::TlsVersion
        | Cause::TlsClientCert
        | Cause::TlsStalled
        | Cause::TlsExpiresSoon => tls::fixes(cause, at),
        _ => server::fixes(cause, at),
    }
}

fn url(cause: Cause, at: &FixContext) -> Vec<Fix> {
    let mut list = Vec::new();
    if cause == Cause::UrlEncoding {
        list.push(Fix::paste(
            "encode",
            "percent-encode the user name and the password (this reads it without showing it)",
            "python3 -c 'import getpass, urllib.parse as u; print(u.quote(getpass.getpass(), safe=\"\"))'",
        ));
    }
    if cause == Cause::UrlSuspect && at.has_lone_user {
        list.push(Fix::say(
            "url",
            "a password stands behind a colon, as in redis://:PASSWORD@HOST:6379/0",
        ));
    }
    if cause == Cause::UrlSuspect && at.has_options {
        list.push(Fix::say(
            "url",
            "give options to the client in its code, not behind the ? of the URL",
        ));
    }
    if let Some(meant) = &at.suggestion {
        list.push(Fix::paste(
            "url",
            "this was probably meant (*** stands for the password)",
            format!("export REDIS_URL='{meant}'"),
        ));
    } else if list.is_empty() {
        list.push(Fix::paste(
            "url",
            "set the URL",
            "export REDIS_URL='redis://HOST:6379/0'",
        ));
    }
    list
}

/// Looking at which way packets take, for a reason that differs.
pub(super) fn route(text: &str, at: &FixContext) -> Fix {
    Fix::paste("route", text, at.route())
}
