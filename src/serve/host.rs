//! Decides which Host headers are accepted, as protection against DNS rebinding.
//!
//! A page on another site can make its own host name resolve to 127.0.0.1. The browser then regards this
//! server as part of that site, so the page could read every response. Only the Host header reveals such an
//! attack.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request};
use axum::http::header::{HOST, HeaderValue};
use axum::http::{StatusCode, Version};
use axum::response::Response;

use super::pages::{self, Layout};
use super::server::Ends;

/// The host names that this server accepts on loopback addresses.
#[derive(Clone, Debug)]
pub(super) struct OwnHosts {
    listen: SocketAddr,
    names: Arc<[String]>,
    layout: Layout,
}

impl OwnHosts {
    /// Creates the list of host names from the address `listen`, and from the names in `--listen` and
    /// `--host`.
    pub(super) fn new(listen: SocketAddr, names: Vec<String>, layout: Layout) -> Self {
        Self {
            listen,
            names: names.into(),
            layout,
        }
    }

    /// Whether to accept a request for `host` that arrives at the address `local`. Accepts any port in
    /// `host`, because the connection can come through a tunnel.
    fn accept(&self, host: &str, local: IpAddr) -> bool {
        let name = without_port(host);
        if let Ok(address) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
            let address = address.to_canonical();
            return address == Ipv4Addr::LOCALHOST
                || address == Ipv6Addr::LOCALHOST
                || address == self.listen.ip().to_canonical()
                || address == local
                || self.is_named(name);
        }
        name.eq_ignore_ascii_case("localhost") || self.is_named(name)
    }

    fn is_named(&self, name: &str) -> bool {
        self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether browsers regard `host` as the local computer, and its HTTP URLs as secure.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    match name.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let name = name.to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

/// Rejects requests with an invalid Host header (400). On loopback addresses, requests for the host name of
/// another site are rejected as well (421).
#[allow(clippy::result_large_err)] // The response itself, as the layer expects it.
pub(super) fn check(own: &OwnHosts, request: &Request) -> Result<(), Response> {
    if let Some(text) = host_error(request) {
        let refusal = pages::error(&own.layout, StatusCode::BAD_REQUEST, text);
        return Err(pages::close_connection(refusal));
    }
    let ConnectInfo(ends) = request
        .extensions()
        .get::<ConnectInfo<Ends>>()
        .expect("the server adds the addresses to every request");
    let local = ends.local.ip().to_canonical();
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let Some(host) = host.filter(|host| local.is_loopback() && !own.accept(host, local)) else {
        return Ok(());
    };
    let text = format!(
        "This server does not accept the host name “{}”: open http://{}:{}/, or start the server with --host NAME if \
         the name belongs to your proxy",
        without_port(host),
        if local.is_ipv6() { "[::1]" } else { "127.0.0.1" },
        ends.local.port()
    );
    let refusal = pages::error(&own.layout, StatusCode::MISDIRECTED_REQUEST, &text);
    Err(pages::close_connection(refusal))
}

/// Returns the reason why a request's Host header is invalid (RFC 9112, section 3.2), or `None` if it is
/// valid.
fn host_error(request: &Request) -> Option<&'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Some("The request has two Host headers");
    }
    let Some(host) = host.map(HeaderValue::as_bytes) else {
        return (request.version() == Version::HTTP_11).then_some("The request has no Host header");
    };
    match request.uri().authority() {
        Some(authority) if !authority.as_str().as_bytes().eq_ignore_ascii_case(host) => {
            Some("The host in the request's URL differs from the Host header")
        }
        None if !host.iter().all(is_host_byte) => Some("The Host header is invalid"),
        _ => None,
    }
}

/// Whether `byte` is allowed in a host (RFC 3986, section 3.2.2), or is the colon before a port.
fn is_host_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_loopback_only_the_servers_own_names_are_accepted() {
        let layout = Layout::of_any_app();
        let listen = "0.0.0.0:5000".parse().unwrap();
        let own = OwnHosts::new(listen, vec!["app.example".into()], layout);
        let accepts = |host: &str| own.accept(host, "127.0.0.1".parse().unwrap());
        for host in [
            "127.0.0.1",
            "127.0.0.1:5000",
            "127.0.0.1:81",
            "[::1]:5000",
            "[0:0::1]",
            "localhost",
            "LocalHost:9",
            "App.Example:80",
            "0.0.0.0:5000",
        ] {
            assert!(accepts(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example:5000",
            "localhost.evil.example",
            "localhost.",
            "app.example.evil",
            "10.0.0.1",
            "[::2]",
            "2130706433",
            "localhost:5000:80",
            "127.0.0.1:x",
        ] {
            assert!(!accepts(host), "{host}");
        }
    }

    #[test]
    fn browsers_treat_loopback_hosts_as_secure() {
        for (host, expected) in [
            ("localhost:5000", true),
            ("app.localhost", true),
            ("127.9.9.9:80", true),
            ("[::1]:80", true),
            ("localhost.example", false),
            ("10.0.0.1:5000", false),
            ("[::2]", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }
}
