//! Reads the metadata of the EC2 instance that this host runs on. Some fixes use the metadata to name
//! security groups.

mod metadata;

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::aws::{Account, Id, Region, Source};
use crate::deadline::Deadline;
use metadata::{Metadata, is_ec2, service};

/// The EC2 instance that this host runs on, as described by its metadata service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// The AWS region, such as `eu-central-1`.
    pub region: String,
    /// The security group IDs of the network interface that the connection to Redis used.
    pub groups: Vec<String>,
    /// The CIDR blocks of the VPC, such as `10.0.0.0/16`.
    pub vpc_ranges: Vec<String>,
    /// The public DNS name of the instance, or an empty string.
    pub public_name: String,
}

impl Instance {
    /// Whether the address belongs to the instance's VPC.
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        self.vpc_ranges
            .iter()
            .filter_map(|range| range.parse::<IpNet>().ok())
            .any(|network| network.contains(&address))
    }
}

/// The time limit for the metadata requests of every run. A metadata service on EC2 replies within a few
/// milliseconds.
const METADATA_BUDGET: Duration = Duration::from_millis(150);

/// The time limit for the additional metadata requests that `--aws` needs.
const INTERFACE_BUDGET: Duration = Duration::from_secs(2);

/// Reads the instance metadata. Returns `None` if this host is not on EC2, or if the metadata service does
/// not reply in time. `source` is the local address of the connection.
pub(crate) async fn observe(source: Option<IpAddr>, deadline: Deadline) -> Option<Instance> {
    let service = service(|name| std::env::var(name).ok(), is_ec2)?;
    let until = deadline.within(METADATA_BUDGET);
    until.bound(describe(&service, source)).await.ok().flatten()
}

/// Returns the region of the instance, and details of the network interface with the address `source`. These
/// details take more requests than [`observe`], so they are read only for `--aws`.
pub(crate) async fn observe_interface(
    source: Option<IpAddr>,
    deadline: Deadline,
) -> Option<(Region, Source)> {
    let service = service(|name| std::env::var(name).ok(), is_ec2)?;
    let until = deadline.within(INTERFACE_BUDGET);
    until
        .bound(describe_interface(&service, source))
        .await
        .ok()
        .flatten()
}

async fn describe_interface(service: &str, source: Option<IpAddr>) -> Option<(Region, Source)> {
    let metadata = Metadata::of(service).await?;
    let interface = metadata.interface(source).await?;
    let own = |name: &'static str| {
        let path = format!("{interface}/{name}");
        let metadata = &metadata;
        async move { metadata.words(&path).await }
    };
    let id = |words: Vec<String>| words.first().and_then(|word| Id::parse(word));
    let ranges =
        |words: Vec<String>| -> Vec<IpNet> { words.iter().filter_map(|word| word.parse().ok()).collect() };
    let mut addresses = own("local-ipv4s").await;
    addresses.extend(own("ipv6s").await);
    let mut vpc_ranges = own("vpc-ipv4-cidr-blocks").await;
    vpc_ranges.extend(own("vpc-ipv6-cidr-blocks").await);
    let groups = own("security-group-ids").await;
    let region = Region::parse(&metadata.get("placement/region").await?)?;
    let source = Source {
        interface: id(own("interface-id").await),
        addresses: Some(addresses.iter().filter_map(|word| word.parse().ok()).collect()),
        prefixes: Some(ranges(own("ipv4-prefix").await)),
        vpc: id(own("vpc-id").await),
        subnet: id(own("subnet-id").await),
        groups: groups.iter().map(|word| Id::parse(word)).collect(),
        owner: own("owner-id")
            .await
            .first()
            .and_then(|word| Account::parse(word)),
        vpc_cidrs: Some(ranges(vpc_ranges)).filter(|ranges| !ranges.is_empty()),
    };
    Some((region, source))
}

async fn describe(service: &str, source: Option<IpAddr>) -> Option<Instance> {
    let metadata = Metadata::of(service).await?;
    let interface = metadata.interface(source).await?;
    let mut groups = metadata.words(&format!("{interface}/security-group-ids")).await;
    groups.retain(|group| is_plain(group));
    let mut vpc_ranges = metadata.words(&format!("{interface}/vpc-ipv4-cidr-blocks")).await;
    vpc_ranges.extend(metadata.words(&format!("{interface}/vpc-ipv6-cidr-blocks")).await);
    Some(Instance {
        region: metadata
            .get("placement/region")
            .await
            .filter(|region| is_plain(region))?,
        groups,
        vpc_ranges,
        public_name: metadata.get("public-hostname").await.unwrap_or_default(),
    })
}

/// Whether a word is safe in a shell command, because a fake metadata service could send shell code.
fn is_plain(word: &str) -> bool {
    word.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener};
    use std::thread;

    use super::*;
    use crate::ping::judge;
    use crate::ping::observation::{Dial, DialResult, Endpoint, Observations};
    use crate::ping::this_host::{Nearness, ThisHost};
    use crate::redis_url::Target;

    /// Returns the fake metadata service's response to `request`, or `None` for an error. The fake instance
    /// has two network interfaces in two VPCs.
    fn answer(request: &str) -> Option<&'static str> {
        let line = request.lines().next()?;
        if line.starts_with("PUT /latest/api/token ") {
            return request.contains("token-ttl-seconds: 60").then_some("TOKEN==");
        }
        if !request.contains("X-aws-ec2-metadata-token: TOKEN==") {
            return None;
        }
        let path = line.strip_prefix("GET /latest/meta-data/")?.split(' ').next()?;
        Some(match path {
            "mac" => "02:00:00:00:00:01",
            "placement/region" => "eu-central-1",
            "network/interfaces/macs/" => "02:00:00:00:00:01/\n02:00:00:00:00:02/",
            "network/interfaces/macs/02:00:00:00:00:01/local-ipv4s" => "10.1.0.5",
            "network/interfaces/macs/02:00:00:00:00:02/local-ipv4s" => "10.0.3.99\n10.0.3.98",
            "network/interfaces/macs/02:00:00:00:00:01/security-group-ids" => "sg-0aaaa",
            "network/interfaces/macs/02:00:00:00:00:02/security-group-ids" => "sg-0bbbb\nsg-0cccc",
            "network/interfaces/macs/02:00:00:00:00:01/vpc-ipv4-cidr-blocks" => "10.1.0.0/16",
            "network/interfaces/macs/02:00:00:00:00:02/vpc-ipv4-cidr-blocks" => "10.0.0.0/16\n10.9.0.0/16",
            _ => return None,
        })
    }

    /// Starts a fake metadata service. If `closes` is true, the service closes each connection after the
    /// response. Otherwise, the response has a Content-Length.
    fn metadata_service(closes: bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let mut open = Vec::new();
            for mut stream in listener.incoming().flatten() {
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|length| length > 0)
                {
                    request.push(byte[0]);
                }
                let answer = answer(&String::from_utf8_lossy(&request));
                let status = if answer.is_some() {
                    "200 OK"
                } else {
                    "404 Not Found"
                };
                let body = answer.unwrap_or_default();
                if closes {
                    let _ = write!(stream, "HTTP/1.0 {status}\r\n\r\n{body}");
                } else {
                    let length = body.len();
                    let _ = write!(
                        stream,
                        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}"
                    );
                    open.push(stream);
                }
            }
        });
        address
    }

    async fn described_from(source: &str) -> Instance {
        describe(&metadata_service(true), source.parse().ok())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_service_that_keeps_its_connections_open_causes_no_wait() {
        let service = metadata_service(false);
        let described = describe(&service, "10.1.0.5".parse().ok());
        let instance = Deadline::after(Duration::from_secs(20)).bound(described).await;
        assert_eq!(instance.unwrap().unwrap().groups, ["sg-0aaaa"]);
    }

    #[test]
    fn only_plain_words_go_into_a_command_to_paste() {
        assert!(is_plain("sg-0aaaa") && is_plain("eu-central-1"));
        for words in ["eu; reboot", "sg-$(reboot)", "sg-`reboot`", "sg\nreboot"] {
            assert!(!is_plain(words), "{words}");
        }
    }

    #[tokio::test]
    async fn the_interface_of_the_connection_is_described() {
        let second = described_from("10.0.3.98").await;
        assert_eq!(second.groups, ["sg-0bbbb", "sg-0cccc"]);
        assert!(second.holds("10.9.1.1".parse().unwrap()) && !second.holds("10.1.0.9".parse().unwrap()));
        assert_eq!(described_from("10.1.0.5").await.groups, ["sg-0aaaa"]);
        // The address belongs to a container's bridge, not to an interface of the instance.
        assert_eq!(described_from("172.17.0.2").await.groups, ["sg-0aaaa"]);
    }

    #[tokio::test]
    async fn the_command_to_paste_names_this_instances_group_its_region_and_the_port() {
        let instance = described_from("10.0.3.98").await;
        let address: SocketAddr = "10.0.3.17:6380".parse().unwrap();
        let seen = Observations::default().with(|seen| {
            seen.tcp.dials = vec![Dial {
                to: Endpoint::Ip(address),
                result: DialResult::Timeout { syns: Some(3) },
                took: Duration::from_secs(3),
            }];
            seen.this_host = ThisHost {
                nearness: Nearness::SameNetwork,
                instance: Some(instance),
                ..ThisHost::default()
            };
        });
        let target = Target::parse("rediss://10.0.3.17:6380").unwrap();
        let fix = judge(&target, &seen).finding.unwrap().fixes.remove(0);
        assert_eq!(fix.kind, "security-group");
        let command = fix.command.unwrap();
        for part in [
            "--region eu-central-1",
            "--source-group sg-0bbbb",
            "--port 6380",
            "--protocol tcp",
            "aws ec2 describe-network-interfaces --region eu-central-1 \
             --filters Name=addresses.private-ip-address,Values=10.0.3.17 ",
            // The command changes something only if it finds exactly one group.
            "if [ $# -eq 1 ]; then aws ec2 authorize-security-group-ingress",
        ] {
            assert!(command.contains(part), "{part} is missing in: {command}");
        }
    }
}
