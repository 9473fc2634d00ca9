//! Where we stand: decides the order of the fixes where nothing comes back.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::deadline::Deadline;
use crate::sanitize;

/// This host, as seen from the address that it tried to reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Where the target lies, seen from here.
    pub nearness: Nearness,
    /// Whether this process runs in a container, where `localhost` is the container.
    pub in_container: bool,
    /// The EC2 instance that this is, where it is one.
    pub instance: Option<Instance>,
}

/// Where an address lies, seen from here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nearness {
    /// This very host.
    Loopback,
    /// A private address in a network that this host is in, or has a route of its own to.
    SameNetwork,
    /// A private address that only the default route leads to.
    ForeignPrivate,
    /// A public address.
    Public,
    /// This system does not show its routes.
    #[default]
    Unknown,
}

/// What the metadata service says about an EC2 instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Region, such as `eu-central-1`.
    pub region: String,
    /// Ids of the security groups of the interface that the probe used.
    pub groups: Vec<String>,
    /// IPv4 ranges of the interface's VPC, as `10.0.0.0/16`.
    pub vpc_ranges: Vec<String>,
    /// The public DNS name; empty where it has none.
    pub public_name: String,
}

/// The metadata service answers within a few milliseconds, or it is not there.
const METADATA_BUDGET: Duration = Duration::from_millis(150);
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>
const METADATA_ADDRESS: &str = "169.254.169.254:80";
/// The longest answer that is read: the largest value, a list of groups, has a few hundred bytes.
const LONGEST_ANSWER: u64 = 8 * 1024;

/// Looks at this host's networks and, on EC2, at the instance's own description.
pub async fn observe(addresses: &[SocketAddr], deadline: Deadline) -> Place {
    let Some(address) = addresses.first().map(SocketAddr::ip) else {
        return Place::default();
    };
    let instance = instance(deadline).await;
    let in_vpc = instance.as_ref().is_some_and(|instance| instance.holds(address));
    let nearness = if in_vpc {
        Nearness::SameNetwork
    } else {
        nearness(address)
    };
    Place {
        nearness,
        in_container: Path::new("/.dockerenv").exists(),
        instance,
    }
}

impl Instance {
    fn holds(&self, address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else {
            return false;
        };
        self.vpc_ranges
            .iter()
            .filter_map(|range| Network::parse(range))
            .any(|network| network.holds(address))
    }
}

fn nearness(address: IpAddr) -> Nearness {
    if address.is_loopback() {
        return Nearness::Loopback;
    }
    let is_private = match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local() || is_shared(address),
        IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
    };
    if !is_private {
        return Nearness::Public;
    }
    let IpAddr::V4(address) = address else {
        return Nearness::Unknown;
    };
    match fs::read_to_string("/proc/net/route") {
        Ok(table) if networks(&table).any(|network| network.holds(address)) => Nearness::SameNetwork,
        Ok(_) => Nearness::ForeignPrivate,
        Err(_) => Nearness::Unknown,
    }
}

/// 100.64.0.0/10, carriers' and some VPCs' own space (RFC 6598).
fn is_shared(address: Ipv4Addr) -> bool {
    Network {
        base: 0x6440_0000,
        mask: 0xffc0_0000,
    }
    .holds(address)
}

struct Network {
    base: u32,
    mask: u32,
}

impl Network {
    fn parse(range: &str) -> Option<Self> {
        let (base, bits) = range.trim().split_once('/')?;
        let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 32)?;
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        Some(Self {
            base: u32::from(base.parse::<Ipv4Addr>().ok()?),
            mask,
        })
    }

    fn holds(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & self.mask == self.base & self.mask
    }
}

/// The networks of the routing table (`proc_pid_net(5)`), without the default route and routes that refuse.
fn networks(table: &str) -> impl Iterator<Item = Network> {
    const REJECT: u32 = 0x0200;
    table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
        let (base, flags, mask) = (number(1)?.swap_bytes(), number(3)?, number(7)?.swap_bytes());
        (mask != 0 && flags & REJECT == 0).then_some(Network { base, mask })
    })
}

/// The EC2 instance that this is, where it is one; within a moment, or not at all.
pub async fn instance(deadline: Deadline) -> Option<Instance> {
    let service = service()?;
    let until = deadline.within(METADATA_BUDGET);
    until.bound(describe(&service)).await.ok().flatten()
}

/// `HOST:PORT` of the metadata service, where there is one to ask (the AWS SDKs' own settings decide first).
fn service() -> Option<String> {
    if std::env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true")) {
        return None;
    }
    if let Ok(endpoint) = std::env::var("AWS_EC2_METADATA_SERVICE_ENDPOINT") {
        let host = endpoint
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        return (!host.is_empty()).then(|| {
            if host.contains(':') {
                host
            } else {
                format!("{host}:80")
            }
        });
    }
    is_ec2().then(|| METADATA_ADDRESS.to_owned())
}

/// EC2 writes its name into the firmware's tables; elsewhere nobody is asked.
fn is_ec2() -> bool {
    let reads = |path: &str| fs::read_to_string(path).unwrap_or_default().to_lowercase();
    reads("/sys/class/dmi/id/sys_vendor").contains("amazon ec2")
        || reads("/sys/hypervisor/uuid").starts_with("ec2")
}

async fn describe(service: &str) -> Option<Instance> {
    let token = request(
        service,
        "PUT",
        "/latest/api/token",
        "X-aws-ec2-metadata-token-ttl-seconds: 60",
    )
    .await?;
    let token = format!("X-aws-ec2-metadata-token: {token}");
    let get = async |path: &str| request(service, "GET", &format!("/latest/meta-data/{path}"), &token).await;
    let mac = get("mac").await?;
    let interface = format!("network/interfaces/macs/{mac}");
    let words = |text: Option<String>| -> Vec<String> {
        text.unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    Some(Instance {
        region: get("placement/region").await?,
        groups: words(get(&format!("{interface}/security-group-ids")).await),
        vpc_ranges: words(get(&format!("{interface}/vpc-ipv4-cidr-blocks")).await),
        public_name: get("public-hostname").await.unwrap_or_default(),
    })
}

/// One HTTP/1.0 request; the body of a 200, made harmless.
async fn request(service: &str, method: &str, path: &str, header: &str) -> Option<String> {
    let mut stream = TcpStream::connect(service).await.ok()?;
    let head =
        format!("{method} {path} HTTP/1.0\r\nHost: {service}\r\n{header}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let is_ok = head.split_whitespace().nth(1) == Some("200");
    let lines: Vec<_> = body
        .lines()
        .map(|line| sanitize::line(line.trim()).into_owned())
        .collect();
    is_ok.then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth0\t0000000A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";

    #[test]
    fn a_default_route_makes_no_address_near() {
        let holds = |address: &str| networks(TABLE).any(|network| network.holds(address.parse().unwrap()));
        assert!(holds("10.0.3.17"));
        assert!(!holds("10.1.3.17"));
    }

    #[test]
    fn ranges_are_read_and_held_against_addresses() {
        let network = Network::parse("172.31.0.0/16").unwrap();
        assert!(
            network.holds("172.31.9.9".parse().unwrap()) && !network.holds("172.30.9.9".parse().unwrap())
        );
        assert!(
            Network::parse("0.0.0.0/0")
                .unwrap()
                .holds("1.2.3.4".parse().unwrap())
        );
        assert!(Network::parse("x/99").is_none());
    }
}
