//! Creates a fix for each denial: a command that changes an AWS object, and a command that undoes the change.

mod acl;
mod group;
mod peering;
mod route;

use super::cache::{Cache, SERVERLESS_PORTS};
use super::check::{Check, Code, Outcome};
use super::command::AwsCommand;
use super::id::Id;
use super::network::Network;
use super::security_group::Direction;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AwsFix {
    /// The code of the check that denies the connection without this fix.
    pub(crate) code: Code,
    /// The value for `fixes[].kind`.
    pub(crate) kind: &'static str,
    /// What the user should do, in one or more sentences. The last sentence has no full stop.
    pub(crate) text: String,
    /// A shell command that can be pasted unchanged.
    pub(crate) command: Option<String>,
    /// The shell command that undoes the fix, or a description of the steps.
    pub(crate) undo: Option<String>,
}

impl AwsFix {
    fn text(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            kind: code.fix_kind(),
            text: text.into(),
            command: None,
            undo: None,
        }
    }

    fn with(mut self, command: AwsCommand, undo: impl Into<String>) -> Self {
        self.command = Some(command.finish());
        self.undo = Some(undo.into());
        self
    }
}

/// Returns the fixes for all denials, in the order of the checks.
pub(crate) fn all(network: &Network<'_>, checks: &[Check]) -> Vec<AwsFix> {
    let mut fixes = Vec::new();
    // The ACL entries in the fixes so far. Each is an ACL, a direction and an entry number.
    let mut reserved: Vec<(Id, Direction, i64)> = Vec::new();
    for check in checks {
        if !matches!(check.outcome, Outcome::Denied | Outcome::Partly) {
            continue;
        }
        match check.code {
            Code::RouteThere => fixes.extend(network.route_fix(check, network.source, network.destination)),
            Code::RouteBack => fixes.extend(network.route_fix(check, network.destination, network.source)),
            Code::SgEgress => fixes.extend(network.group_fix(check.code, Direction::Egress)),
            Code::SgIngress => fixes.extend(network.group_fix(check.code, Direction::Ingress)),
            Code::AclOut | Code::AclIn | Code::AclBackOut | Code::AclBackIn => {
                fixes.extend(network.acl_fix(check.code, &mut reserved));
            }
            Code::VpcPeering => fixes.extend(network.accept_fix(check)),
            Code::VpcDifferent => fixes.extend(network.peering_fix(check)),
            _ => fixes.extend(network.advice(check.code)),
        }
    }
    fixes
}

impl Network<'_> {
    fn command(&self, operation: &str) -> AwsCommand {
        AwsCommand::ec2(operation, self.facts.region.as_ref())
    }

    /// Returns the first and last port that a rule should allow. For a serverless cache, the range contains
    /// both of its ports.
    fn ports(&self) -> Option<(u16, u16)> {
        let port = self.facts.port?;
        let is_serverless = self.cache.is_some_and(Cache::is_serverless);
        let [first, last] = SERVERLESS_PORTS;
        Some(if is_serverless && (first..=last).contains(&port) {
            (first, last)
        } else {
            (port, port)
        })
    }

    /// Returns a fix without a command, for checks that no command can fix.
    fn advice(&self, code: Code) -> Option<AwsFix> {
        let text = match code {
            Code::RegionDifferent => {
                "use a cache in the region of this instance, or run the app in the region of the cache. Or connect \
                 the two VPCs with a peering or a transit gateway"
            }
            Code::CacheStatus => {
                "wait until the cache is available, or look up the reason for its status in the ElastiCache console (Events)"
            }
            Code::CachePort => {
                let ports = self.cache.and_then(|cache| cache.ports.as_ref());
                let ports: Vec<_> = ports.into_iter().flatten().map(ToString::to_string).collect();
                &format!("use the port of the cache in the URL: {}", ports.join(" or "))
            }
            Code::CacheEngine => {
                "use the endpoint of a Redis or Valkey cache: Memcached uses another protocol"
            }
            Code::AddressGone => {
                "look up the name again, and restart the app if it stores old addresses: the address of a cache \
                 changes after a failover"
            }
            Code::VpcOverlap => {
                "use an instance in the VPC of the cache: a peering cannot connect two VPCs with overlapping \
                 address ranges"
            }
            _ => return None,
        };
        Some(AwsFix::text(code, text))
    }
}

/// Describes one port or a range of ports.
pub(super) fn ports_text((first, last): (u16, u16)) -> String {
    if first == last {
        format!("TCP port {first}")
    } else {
        format!("TCP ports {first}-{last}")
    }
}
