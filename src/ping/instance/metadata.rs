//! The client for the metadata service of EC2 instances.
//!
//! The AWS SDK is not used, because it would add many crates. IMDSv2 needs only one PUT for a token and a few
//! GETs.

use std::fs;
use std::net::IpAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use crate::sanitize;

/// The address of the metadata service
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html>).
const METADATA_ADDRESS: &str = "169.254.169.254:80";

const METADATA_ADDRESS_V6: &str = "[fd00:ec2::254]:80";

/// The maximum number of bytes that are read from a response. The longest value is a list of groups with a
/// few hundred bytes.
const LONGEST_RESPONSE: u64 = 8 * 1024;

/// Returns `HOST:PORT` of the metadata service. The environment variables of the AWS SDKs take precedence.
/// Returns `None` if a variable disables the service, or if this host is not on EC2.
pub(super) fn service(setting: impl Fn(&str) -> Option<String>, is_ec2: fn() -> bool) -> Option<String> {
    if setting("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return None;
    }
    if let Some(endpoint) = setting("AWS_EC2_METADATA_SERVICE_ENDPOINT") {
        return host_and_port(&endpoint);
    }
    let is_v6 = setting("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")
        .is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
    let address = if is_v6 {
        METADATA_ADDRESS_V6
    } else {
        METADATA_ADDRESS
    };
    is_ec2().then(|| address.to_owned())
}

/// Extracts `HOST:PORT` from a URL. Returns `None` if the URL is invalid.
fn host_and_port(endpoint: &str) -> Option<String> {
    let url = Url::parse(endpoint).ok()?;
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

/// Whether this host is an EC2 instance, according to the firmware tables.
pub(super) fn is_ec2() -> bool {
    let reads = |path: &str| fs::read_to_string(path).unwrap_or_default().to_lowercase();
    reads("/sys/class/dmi/id/sys_vendor").contains("amazon ec2")
        || reads("/sys/hypervisor/uuid").starts_with("ec2")
}

/// The metadata service, and the token that each request must contain.
pub(super) struct Metadata<'a> {
    service: &'a str,
    token: String,
}

impl<'a> Metadata<'a> {
    pub(super) async fn of(service: &'a str) -> Option<Self> {
        let lifetime = "X-aws-ec2-metadata-token-ttl-seconds: 60";
        let token = request(service, "PUT", "/latest/api/token", lifetime).await?;
        Some(Self { service, token })
    }

    pub(super) async fn get(&self, path: &str) -> Option<String> {
        let token = format!("X-aws-ec2-metadata-token: {}", self.token);
        request(self.service, "GET", &format!("/latest/meta-data/{path}"), &token).await
    }

    pub(super) async fn words(&self, path: &str) -> Vec<String> {
        let text = self.get(path).await.unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Returns the metadata path of the network interface with the address `source`. If no interface has this
    /// address, as in a container, returns the path of the instance's primary interface.
    pub(super) async fn interface(&self, source: Option<IpAddr>) -> Option<String> {
        const ALL: &str = "network/interfaces/macs";
        let source = source.map(|address| address.to_string());
        let addresses = match &source {
            Some(address) if address.contains(':') => "ipv6s",
            _ => "local-ipv4s",
        };
        let macs = self.words(&format!("{ALL}/")).await;
        for mac in macs.iter().filter(|_| macs.len() > 1) {
            let path = format!("{ALL}/{}", mac.trim_end_matches('/'));
            let own = self.words(&format!("{path}/{addresses}")).await;
            if source.as_ref().is_some_and(|source| own.contains(source)) {
                return Some(path);
            }
        }
        Some(format!("{ALL}/{}", self.get("mac").await?))
    }
}

/// Sends one HTTP/1.0 request. Returns the body of a 200 response, made safe to print, or `None` for any
/// other result.
async fn request(service: &str, method: &str, path: &str, header: &str) -> Option<String> {
    let mut stream = TcpStream::connect(service).await.ok()?;
    let head =
        format!("{method} {path} HTTP/1.0\r\nHost: {service}\r\n{header}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    let mut stream = stream.take(LONGEST_RESPONSE);
    let mut response = Vec::new();
    while !is_complete(&response) && stream.read_buf(&mut response).await.ok()? > 0 {}
    let response = String::from_utf8(response).ok()?;
    let (head, body) = response.split_once("\r\n\r\n")?;
    let is_ok = head.split_whitespace().nth(1) == Some("200");
    let lines: Vec<_> = body
        .lines()
        .map(|line| sanitize::line(line.trim()).into_owned())
        .collect();
    is_ok.then(|| lines.join("\n"))
}

/// Whether the response is complete, according to its Content-Length. This matters because some services keep
/// the connection open after the response.
fn is_complete(response: &[u8]) -> bool {
    let text = String::from_utf8_lossy(response);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let content_length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_it = name.eq_ignore_ascii_case("content-length");
        is_it.then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    content_length.is_some_and(|length| body.len() >= length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_settings_decide_whether_and_what_to_query() {
        let asked = |name: &'static str, value: &'static str, is_ec2| {
            service(|wanted| (wanted == name).then(|| value.to_owned()), is_ec2)
        };
        let endpoint = |value| asked("AWS_EC2_METADATA_SERVICE_ENDPOINT", value, || false);
        assert_eq!(asked("AWS_EC2_METADATA_DISABLED", "True", || true), None);
        assert_eq!(asked("", "", || true).unwrap(), METADATA_ADDRESS);
        assert_eq!(asked("", "", || false), None);
        assert_eq!(
            asked("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6", || true).unwrap(),
            METADATA_ADDRESS_V6
        );
        assert_eq!(endpoint("http://127.0.0.1:1338/").unwrap(), "127.0.0.1:1338");
        assert_eq!(endpoint("http://169.254.169.254").unwrap(), "169.254.169.254:80");
        assert_eq!(endpoint("http://[fd00:ec2::254]").unwrap(), "[fd00:ec2::254]:80");
        assert_eq!(
            endpoint("http://[fd00:ec2::254]:81/").unwrap(),
            "[fd00:ec2::254]:81"
        );
        assert_eq!(endpoint(""), None);
    }
}
