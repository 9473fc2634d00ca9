//! Determines the address on which `serve` listens, and the URL to open in a browser, which often runs on
//! another machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs, UdpSocket};

use crate::ping::instance::Instance;

/// The default port of `serve`, which is the port in the tutorial.
pub(crate) const DEFAULT_PORT: u16 = 5000;

/// The reason why `serve` cannot listen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    /// The listen address does not consist of an IP address or host name and a port.
    #[error("invalid listen address {0:?}: use an address and a port, such as 127.0.0.1:5000")]
    Unreadable(String),
    /// The host name cannot be resolved.
    #[error("cannot resolve the host of the listen address {0:?}: {1}")]
    Unresolved(String, io::Error),
    /// Another process is listening on the first address. The second address is suggested instead.
    #[error("port {} of {} is in use; try --listen {}", .0.port(), .0.ip(), .1)]
    InUse(SocketAddr, SocketAddr),
    #[error("cannot listen on {0}: {1}")]
    Refused(SocketAddr, io::Error),
}

/// Listens on the address `text`, which consists of an IP address or host name and a port.
pub(crate) fn bind(text: &str) -> Result<TcpListener, ListenError> {
    let address = listen_address(text)?;
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse(address, next_to(address)),
        _ => ListenError::Refused(address, error),
    };
    let listener = TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener)
}

/// The number of ports that [`bind_near`] tries before it uses any free port.
const NEAR: u16 = 20;

/// Like [`bind`], but uses one of the next ports or any free port if the port is in use.
pub(crate) fn bind_near(text: &str) -> Result<TcpListener, ListenError> {
    let first = bind(text);
    let Err(ListenError::InUse(address, _)) = &first else {
        return first;
    };
    let (ip, port) = (address.ip(), address.port());
    let near = (1..=NEAR).filter_map(|step| port.checked_add(step));
    let mut others = near
        .chain([0])
        .map(|port| bind(&SocketAddr::new(ip, port).to_string()));
    others.find(Result::is_ok).unwrap_or(first)
}

/// Parses an address and a port. Resolves a host name.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, ListenError> {
    let unreadable = || ListenError::Unreadable(text.to_owned());
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(unreadable)?;
    let port: u16 = port.parse().map_err(|_| unreadable())?;
    let is_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.');
    if host.is_empty() || !host.chars().all(is_name) {
        return Err(unreadable());
    }
    let unresolved = |fault| ListenError::Unresolved(text.to_owned(), fault);
    let mut found: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(unresolved)?.collect();
    // Prefer IPv4, because `localhost` can have two addresses, and people usually open 127.0.0.1.
    found.sort_by_key(SocketAddr::is_ipv6);
    found.first().copied().ok_or_else(unreadable)
}

/// Returns `address` with the next port, or with [`DEFAULT_PORT`] if there is no higher port.
fn next_to(address: SocketAddr) -> SocketAddr {
    let port = match address.port() {
        u16::MAX => DEFAULT_PORT,
        port => port + 1,
    };
    SocketAddr::new(address.ip(), port)
}

/// The URL to open, and instructions for opening it from another machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HowToOpen {
    pub url: String,
    /// The instructions for opening the URL from another machine, one per line.
    pub notes: Vec<String>,
}

/// Explains how to open the app that listens on `address`.
///
/// If this host is an EC2 instance, `instance` describes it, and `user` is the login name on it.
pub(crate) fn how_to_open(address: SocketAddr, instance: Option<&Instance>, user: &str) -> HowToOpen {
    let port = address.port();
    let here = url(&from_here(address).to_string());
    let Some(instance) = instance else {
        let mut notes = Vec::new();
        if address.ip().is_unspecified() {
            notes.push(format!(
                "the server is listening on all addresses of this host: from another computer, open port {port} at one \
                 of these addresses"
            ));
        }
        return HowToOpen { url: here, notes };
    };
    let name = Some(instance.public_name.as_str()).filter(|name| !name.is_empty());
    if address.ip().is_loopback() {
        let host = name.unwrap_or("THIS-INSTANCE");
        let near = from_here(address);
        return HowToOpen {
            url: here,
            notes: vec![format!(
                "this is an EC2 instance: on your own computer run `ssh -N -L {port}:{near} {user}@{host}`, \
                 then open http://127.0.0.1:{port}/ there"
            )],
        };
    }
    let group = instance.groups.first().map_or("SECURITY-GROUP", String::as_str);
    let rule = format!(
        "to open this page from your own computer, add an inbound rule to the instance's security group \
         (Custom TCP, port {port}, source My IP): \
         `aws ec2 authorize-security-group-ingress --region {} --group-id {group} --protocol tcp --port {port} --cidr YOUR-IP/32`",
        instance.region
    );
    let no_name = "this EC2 instance has no public name, so it is reachable only from inside its VPC";
    let (url, notes) = match name {
        Some(name) => (url(&format!("{name}:{port}")), vec![rule]),
        None => (here, vec![no_name.to_owned(), rule]),
    };
    HowToOpen { url, notes }
}

fn url(authority: &str) -> String {
    format!("http://{authority}/")
}

/// Returns the address that programs on this host use to reach `address`.
fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Returns the address that other hosts use to reach `address`. If `address` is unspecified, such as 0.0.0.0,
/// this is the address of this host on its network.
pub(super) fn from_elsewhere(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    match outward(address.ip()) {
        Some(ip) => SocketAddr::new(ip, address.port()),
        None => from_here(address),
    }
}

/// Returns this host's address on the network of its default route, or `None` if there is no route. Connects
/// a datagram socket, which sends no packet.
fn outward(family: IpAddr) -> Option<IpAddr> {
    // These addresses are reserved for documentation (RFC 5737, RFC 3849).
    let (any, documentation) = match family {
        IpAddr::V4(_) => ("0.0.0.0:0", "192.0.2.1:9"),
        IpAddr::V6(_) => ("[::]:0", "[2001:db8::1]:9"),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(documentation).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listen_address_is_an_address_and_a_port() {
        for text in ["127.0.0.1:0", "localhost:0", "[::1]:0", "0.0.0.0:0"] {
            assert!(listen_address(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "5000",
            ":5000",
            "127.0.0.1",
            "localhost:",
            "localhost:70000",
            "::1:5000x",
            "a b:1",
            "http://x:1",
        ] {
            assert!(
                matches!(listen_address(text), Err(ListenError::Unreadable(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn the_error_for_a_port_in_use_suggests_the_next_port() {
        let taken = bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let fault = bind(&format!("127.0.0.1:{port}")).unwrap_err().to_string();
        let next = next_to(taken.local_addr().unwrap());
        assert_eq!(
            fault,
            format!("port {port} of 127.0.0.1 is in use; try --listen {next}")
        );
    }

    #[test]
    fn another_port_is_used_if_the_port_is_in_use() {
        let taken = bind("127.0.0.1:0").unwrap();
        let near = bind_near(&taken.local_addr().unwrap().to_string()).unwrap();
        assert_ne!(near.local_addr().unwrap(), taken.local_addr().unwrap());
        assert!(near.local_addr().unwrap().ip().is_loopback());
        assert!(bind_near("127.0.0.1").is_err());
    }

    fn instance(public_name: &str) -> Instance {
        Instance {
            region: "eu-central-1".into(),
            groups: vec!["sg-0a1b".into()],
            vpc_ranges: Vec::new(),
            public_name: public_name.into(),
        }
    }

    fn at(address: &str, instance: Option<&Instance>) -> HowToOpen {
        how_to_open(address.parse().unwrap(), instance, "ec2-user")
    }

    #[test]
    fn an_unspecified_address_is_opened_as_loopback() {
        assert_eq!(at("0.0.0.0:5000", None).url, "http://127.0.0.1:5000/");
        assert_eq!(at("[::]:5000", None).url, "http://[::1]:5000/");
        assert_eq!(at("127.0.0.1:5000", None).notes, Vec::<String>::new());
    }

    #[test]
    fn on_ec2_the_url_has_the_public_name_and_a_note_the_inbound_rule() {
        let found = at("0.0.0.0:5000", Some(&instance("ec2-3-4.example.com")));
        assert_eq!(found.url, "http://ec2-3-4.example.com:5000/");
        assert!(found.notes[0].contains("--group-id sg-0a1b --protocol tcp --port 5000"));
        let found = at("0.0.0.0:5000", Some(&instance("")));
        assert_eq!(found.url, "http://127.0.0.1:5000/");
        assert!(found.notes[0].contains("no public name"));
    }

    #[test]
    fn on_ec2_a_loopback_address_needs_a_tunnel() {
        let found = at("127.0.0.1:5001", Some(&instance("ec2-3-4.example.com")));
        assert_eq!(found.url, "http://127.0.0.1:5001/");
        assert!(found.notes[0].contains("ssh -N -L 5001:127.0.0.1:5001 ec2-user@ec2-3-4.example.com"));
    }

    #[test]
    fn an_unspecified_address_is_announced_as_an_outward_one() {
        let found = from_elsewhere("0.0.0.0:5000".parse().unwrap());
        assert!(!found.ip().is_unspecified() && found.port() == 5000, "{found}");
        let one = "10.1.2.3:5000".parse().unwrap();
        assert_eq!(from_elsewhere(one), one);
    }
}
