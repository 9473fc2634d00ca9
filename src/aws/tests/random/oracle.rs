//! An oracle that follows single packets through the model. The oracle shares no code with the checks.

use std::net::Ipv4Addr;

use super::network::{EPHEMERAL, End, Entry, Network, PORT, Peer, Route, Rule, Target};
use crate::aws::Outcome;

pub(super) fn is_in(address: Ipv4Addr, (base, length): (Ipv4Addr, u8)) -> bool {
    let mask = if length == 0 { 0 } else { u32::MAX << (32 - length) };
    u32::from(address) & mask == u32::from(base) & mask
}

impl Network {
    /// Whether one of the rules allows TCP packets between the two ends.
    fn rule_allows(&self, rules: &[(&'static str, Rule)], own: &End, peer: &End) -> bool {
        rules
            .iter()
            .filter(|(group, _)| own.groups.contains(group))
            .any(|(_, rule)| {
                let is_port = match rule.protocol {
                    "-1" => true,
                    "tcp" | "6" => rule.ports.0 <= PORT && PORT <= rule.ports.1,
                    _ => false,
                };
                let is_peer = match rule.peer {
                    Peer::Range(base, length) => is_in(peer.address, (base, length)),
                    Peer::Group(group) => peer.groups.contains(&group) && self.keeps_references(),
                    Peer::PrefixList => self.prefix_list.iter().any(|range| is_in(peer.address, *range)),
                };
                is_port && is_peer
            })
    }

    fn keeps_references(&self) -> bool {
        self.near.vpc == self.far.vpc || self.peering == Some("active")
    }

    fn acl_allows(entries: &[Entry], is_egress: bool, peer: Ipv4Addr, port: u16) -> bool {
        let mut own: Vec<&Entry> = entries
            .iter()
            .filter(|entry| entry.is_egress == is_egress)
            .collect();
        own.sort_by_key(|entry| entry.number);
        let first = own.into_iter().find(|entry| {
            let is_port = entry.protocol == "-1"
                || entry.protocol == "6" && entry.ports.0 <= port && port <= entry.ports.1;
            is_port && is_in(peer, entry.range)
        });
        first.is_some_and(|entry| entry.is_allow)
    }

    fn arrives(&self, routes: &[Route], to: &End) -> bool {
        let best = routes
            .iter()
            .filter(|route| is_in(to.address, route.range))
            .max_by_key(|route| route.range.1);
        best.is_some_and(|route| {
            !route.is_blackhole
                && match route.target {
                    Target::Local => self.near.vpc == self.far.vpc,
                    Target::Peering(id) => id == "pcx-1" && self.peering == Some("active"),
                    Target::Internet => false,
                }
        })
    }

    /// Whether a SYN from this local port gets a reply.
    fn answers(&self, local_port: u16) -> bool {
        let (near, far) = (&self.near, &self.far);
        let crosses_subnets = near.subnet != far.subnet;
        let syn = self.rule_allows(&self.egress, near, far)
            && (!crosses_subnets || Self::acl_allows(&self.near_acl, true, far.address, PORT))
            && (!crosses_subnets || self.arrives(&self.near_routes, far))
            && (!crosses_subnets || Self::acl_allows(&self.far_acl, false, near.address, PORT))
            && self.rule_allows(&self.ingress, far, near);
        let reply = !crosses_subnets
            || Self::acl_allows(&self.far_acl, true, near.address, local_port)
                && self.arrives(&self.far_routes, near)
                && Self::acl_allows(&self.near_acl, false, far.address, local_port);
        syn && reply
    }

    pub(super) fn outcome(&self) -> Outcome {
        let answered = (EPHEMERAL.0..=EPHEMERAL.1)
            .filter(|port| self.answers(*port))
            .count();
        match answered {
            0 => Outcome::Denied,
            answered if answered == usize::from(EPHEMERAL.1 - EPHEMERAL.0) + 1 => Outcome::Allowed,
            _ => Outcome::Partly,
        }
    }
}
