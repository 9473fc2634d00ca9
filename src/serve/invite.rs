//! What to open to see the app, from where people sit: their browser is seldom on an EC2 instance.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::ping::instance::Instance;

/// The address to open, and what has to be done for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invitation {
    /// The address, as a URL.
    pub url: String,
    /// A line each.
    pub notes: Vec<String>,
}

/// How to see what listens at `address`, on this EC2 instance if it is one; `user` can log in there.
#[must_use]
pub(crate) fn invite(address: SocketAddr, instance: Option<&Instance>, user: &str) -> Invitation {
    let port = address.port();
    let here = url(&from_here(address).to_string());
    let Some(instance) = instance else {
        let notes = if address.ip().is_unspecified() {
            vec![format!(
                "it listens on every address of this host: from other computers, open port {port} at one of them"
            )]
        } else {
            Vec::new()
        };
        return Invitation { url: here, notes };
    };
    let name = Some(instance.public_name.as_str()).filter(|name| !name.is_empty());
    if address.ip().is_loopback() {
        let host = name.unwrap_or("THIS-INSTANCE");
        let near = from_here(address);
        return Invitation {
            url: here,
            notes: vec![format!(
                "this is an EC2 instance: on your own computer run `ssh -N -L {port}:{near} {user}@{host}`, \
                 then open http://127.0.0.1:{port}/ there"
            )],
        };
    }
    let group = instance.groups.first().map_or("SECURITY-GROUP", String::as_str);
    let rule = format!(
        "the instance's security group must let you in: an inbound rule, Custom TCP, port {port}, source My IP: \
         `aws ec2 authorize-security-group-ingress --region {} --group-id {group} --protocol tcp --port {port} --cidr YOUR-IP/32`",
        instance.region
    );
    match name {
        Some(name) => Invitation {
            url: url(&format!("{name}:{port}")),
            notes: vec![rule],
        },
        None => Invitation {
            url: here,
            notes: vec![
                "this EC2 instance has no public name: it can be opened from inside its VPC alone".to_owned(),
                rule,
            ],
        },
    }
}

fn url(authority: &str) -> String {
    format!("http://{authority}/")
}

/// Where this host itself finds what listens at `address`.
fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Where others find what listens at `address`: 0.0.0.0 leads everyone to themselves.
pub(super) fn from_elsewhere(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    match outward(address.ip()) {
        Some(ip) => SocketAddr::new(ip, address.port()),
        None => from_here(address),
    }
}

/// The address that this host uses towards others. Connecting a datagram socket sends nothing; it asks for the route.
fn outward(family: IpAddr) -> Option<IpAddr> {
    // Addresses that documentation may use, and nobody has (RFC 5737, RFC 3849).
    let (any, far): (SocketAddr, SocketAddr) = match family {
        IpAddr::V4(_) => (
            (Ipv4Addr::UNSPECIFIED, 0).into(),
            (Ipv4Addr::new(192, 0, 2, 1), 9).into(),
        ),
        IpAddr::V6(_) => (
            (Ipv6Addr::UNSPECIFIED, 0).into(),
            (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into(),
        ),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(far).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(public_name: &str) -> Instance {
        Instance {
            region: "eu-central-1".into(),
            groups: vec!["sg-0a1b".into()],
            vpc_ranges: Vec::new(),
            public_name: public_name.into(),
        }
    }

    fn at(address: &str, instance: Option<&Instance>) -> Invitation {
        invite(address.parse().unwrap(), instance, "ec2-user")
    }

    #[test]
    fn an_address_that_leads_nowhere_is_not_what_to_open() {
        assert_eq!(at("0.0.0.0:5000", None).url, "http://127.0.0.1:5000/");
        assert_eq!(at("[::]:5000", None).url, "http://[::1]:5000/");
        assert_eq!(at("127.0.0.1:5000", None).notes, Vec::<String>::new());
    }

    #[test]
    fn on_ec2_it_is_the_public_name_and_the_rule_that_lets_you_in() {
        let found = at("0.0.0.0:5000", Some(&instance("ec2-3-4.example.com")));
        assert_eq!(found.url, "http://ec2-3-4.example.com:5000/");
        assert!(found.notes[0].contains("--group-id sg-0a1b --protocol tcp --port 5000"));
        let found = at("0.0.0.0:5000", Some(&instance("")));
        assert_eq!(found.url, "http://127.0.0.1:5000/");
        assert!(found.notes[0].contains("no public name"));
    }

    #[test]
    fn on_ec2_and_loopback_it_is_a_tunnel() {
        let found = at("127.0.0.1:5001", Some(&instance("ec2-3-4.example.com")));
        assert_eq!(found.url, "http://127.0.0.1:5001/");
        assert!(found.notes[0].contains("ssh -N -L 5001:127.0.0.1:5001 ec2-user@ec2-3-4.example.com"));
    }

    #[test]
    fn others_are_never_sent_to_an_address_that_means_themselves() {
        let found = from_elsewhere("0.0.0.0:5000".parse().unwrap());
        assert!(!found.ip().is_unspecified() && found.port() == 5000, "{found}");
        let one = "10.1.2.3:5000".parse().unwrap();
        assert_eq!(from_elsewhere(one), one);
    }
}
