//! Creates fixes that add a rule to a security group.

use ipnet::IpNet;

use super::{AwsFix, ports_text};
use crate::aws::check::Code;
use crate::aws::network::Network;
use crate::aws::security_group::{self, Direction};
use crate::aws::truth::Truth;

impl Network<'_> {
    pub(super) fn group_fix(&self, code: Code, direction: Direction) -> Option<AwsFix> {
        let (own, peer) = match direction {
            Direction::Egress => (self.source, self.destination),
            Direction::Ingress => (self.destination, self.source),
        };
        let (groups, ports) = (own.groups.as_deref()?, self.ports()?);
        let of_cache = |groups| security_group::best_of_cache(groups, self.documents, ports.0);
        let of_instance = |groups| security_group::best_of_instance(groups, self.documents);
        let [incoming, outgoing] = self.references;
        let of_peer = |references| peer.groups.as_deref().filter(|_| references == Truth::Yes);
        let (group, named) = match direction {
            Direction::Ingress => (of_cache(groups)?, of_peer(incoming).and_then(of_instance)),
            Direction::Egress => (of_instance(groups)?, of_peer(outgoing).and_then(of_cache)),
        };
        let rule = |verb: &str| {
            let command = self
                .command(&format!("{verb}-security-group-{}", direction.name()))
                .with("--group-id", group);
            Some(match (named, peer.address.map(IpNet::from)) {
                (Some(named), _) => {
                    let command = command
                        .word("--protocol tcp")
                        .ports(ports)
                        .with("--source-group", named);
                    let owner = peer
                        .owner
                        .as_ref()
                        .filter(|owner| own.owner.as_ref().is_some_and(|own| own != *owner));
                    match owner {
                        Some(owner) => command.with("--group-owner", owner),
                        None => command,
                    }
                }
                (None, Some(range @ IpNet::V4(_))) => {
                    command.word("--protocol tcp").ports(ports).with("--cidr", &range)
                }
                (None, Some(range)) => command.ipv6_rule(ports, range),
                (None, None) => return None,
            })
        };
        let peer = match named {
            Some(named) => named.to_string(),
            None => peer.address?.to_string(),
        };
        let text = format!(
            "add an {} rule to {group} that allows {} {} {peer}",
            direction.adjective(),
            ports_text(ports),
            direction.preposition()
        );
        Some(AwsFix::text(code, text).with(rule("authorize")?, rule("revoke")?.finish()))
    }
}
