//! Builds `aws` commands for users to paste. Only parsed IDs, ranges and numbers can become part of a
//! command.

use std::fmt::Display;

use ipnet::IpNet;

use super::id::{Account, Id, Region};

/// A value without shell metacharacters.
pub(crate) trait Plain: Display {}

impl Plain for Id {}
impl Plain for Region {}
impl Plain for Account {}
impl Plain for IpNet {}
impl Plain for u16 {}
impl Plain for i64 {}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AwsCommand(String);

impl AwsCommand {
    /// Returns the text `aws ec2 OPERATION`, with `--region` if the region is known. The other methods append
    /// options.
    pub(crate) fn ec2(operation: &str, region: Option<&Region>) -> Self {
        let mut line = format!("aws ec2 {operation}");
        if let Some(region) = region {
            line += &format!(" --region {region}");
        }
        Self(line)
    }

    pub(crate) fn with(mut self, option: &'static str, value: &impl Plain) -> Self {
        self.0 += &format!(" {option} {value}");
        self
    }

    pub(crate) fn word(mut self, word: &'static str) -> Self {
        self.0 += " ";
        self.0 += word;
        self
    }

    pub(crate) fn ports(mut self, (first, last): (u16, u16)) -> Self {
        self.0 += &if first == last {
            format!(" --port {first}")
        } else {
            format!(" --port {first}-{last}")
        };
        self
    }

    /// Adds the ports as `From=…,To=…`, the form for network ACL entries.
    pub(crate) fn port_range(mut self, (first, last): (u16, u16)) -> Self {
        self.0 += &format!(" --port-range From={first},To={last}");
        self
    }

    /// Adds the option for a security group rule with an IPv6 range, because the shorter option `--cidr`
    /// accepts only IPv4.
    pub(crate) fn ipv6_rule(mut self, (first, last): (u16, u16), range: IpNet) -> Self {
        self.0 += &format!(
            " --ip-permissions 'IpProtocol=tcp,FromPort={first},ToPort={last},Ipv6Ranges=[{{CidrIpv6={range}}}]'"
        );
        self
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}
