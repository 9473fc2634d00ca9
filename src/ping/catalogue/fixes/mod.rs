//! What to do about each cause: the one place where advice stands. One file a rung, as in the verdict.

mod dns;
mod server;
mod tcp;
mod tls;

use super::{Circumstances, Code, Fix};

/// What to do, most promising first.
#[must_use]
pub(crate) fn fixes(code: Code, at: &Circumstances) -> Vec<Fix> {
    match code {
        Code::UrlInvalid | Code::UrlScheme | Code::UrlEncoding | Code::UrlSuspect => url(code, at),
        Code::DnsNotFound | Code::DnsNoAddress | Code::DnsTimeout | Code::DnsServerFailure => {
            dns::fixes(code, at)
        }
        Code::TcpTimeout => tcp::unanswered(at),
        Code::TcpRefused | Code::TcpUnreachable | Code::TcpProhibited => tcp::refused(code, at),
        Code::TlsRequired
        | Code::TlsNotOffered
        | Code::TlsUntrusted
        | Code::TlsNameMismatch
        | Code::TlsExpired
        | Code::TlsVersion
        | Code::TlsClientCert
        | Code::TlsStalled
        | Code::TlsExpiresSoon => tls::fixes(code, at),
        _ => server::fixes(code, at),
    }
}

fn url(code: Code, at: &Circumstances) -> Vec<Fix> {
    let mut list = Vec::new();
    if code == Code::UrlEncoding {
        list.push(Fix::paste(
            "encode",
            "percent-encode the user name and the password (this reads it without showing it)",
            "python3 -c 'import getpass, urllib.parse as u; print(u.quote(getpass.getpass(), safe=\"\"))'",
        ));
    }
    if code == Code::UrlSuspect && at.has_lone_user {
        list.push(Fix::say(
            "url",
            "a password stands behind a colon, as in redis://:PASSWORD@HOST:6379/0",
        ));
    }
    if code == Code::UrlSuspect && at.has_options {
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
fn route(text: &str, at: &Circumstances) -> Fix {
    Fix::paste("route", text, at.route())
}
