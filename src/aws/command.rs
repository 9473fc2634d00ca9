//! Commands for the program `aws` that users paste. Only parsed ids, ranges and numbers can be added to one.

use std::fmt::Display;

use ipnet::IpNet;

use super::id::{Account, Id, Region};

/// A value that contains nothing with a meaning to the shell.
pub(crate) trait Plain: Display {}

impl Plain for Id {}
impl Plain for Region {}
impl Plain for Account {}
impl Plain for IpNet {}
impl Plain for u16 {}
impl Plain for i64 {}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AwsCommand(String);

impl AwsCommand {
    /// Starts `aws ec2 OPERATION`, in the region if that is known.
    pub(crate) fn ec2(operation: &str, region: Option<&Region>) -> Self {
        let mut line = format!("aws ec2 {operation}");
        if let Some(region) = region {
            line += &format!(" --region {region}");
        }
        Self(line)
    }

    /// Adds an option with a value.
    pub(crate) fn with(mut self, option: &'static str, value: &impl Plain) -> Self {
        self.0 += &format!(" {option} {value}");
        self
    }

    /// Adds fixed words.
    pub(crate) fn word(mut self, word: &'static str) -> Self {
        self.0 += " ";
        self.0 += word;
        self
    }

    /// Adds an option with an interval of ports.
    pub(crate) fn ports(mut self, (first, last): (u16, u16)) -> Self {
        self.0 += &if first == last {
            format!(" --port {first}")
        } else {
            format!(" --port {first}-{last}")
        };
        self
    }

    /// Adds an interval of ports in the form that entries of ACLs need.
    pub(crate) fn port_range(mut self, (first, last): (u16, u16)) -> Self {
        self.0 += &format!(" --port-range From={first},To={last}");
        self
    }

    /// Adds a rule for an IPv6 range. `--cidr` is for IPv4 only.
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
