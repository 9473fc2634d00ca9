//! Checks the security groups of both ends.

use super::routes::{Path, RouteCheck};
use crate::aws::check::{Check, Code};
use crate::aws::network::Network;
use crate::aws::path::Link;
use crate::aws::security_group::{Direction, Traffic};
use crate::aws::truth::Truth;

impl Network<'_> {
    /// Whether a rule can name a security group of the other end. The first value is for incoming traffic,
    /// the second for outgoing traffic. Without a route, the values are for the path that the fixes would
    /// create.
    pub(super) fn references(&self, routes: &[RouteCheck]) -> [Truth; 2] {
        if routes.iter().any(|route| route.path == Path::Appliance) {
            return [Truth::No; 2];
        }
        let of_route = |route: &RouteCheck| match &route.path {
            Path::Link(link) => Some(link.references()),
            Path::UnknownGateway => Some([Truth::Unknown, Truth::No]),
            Path::Unknown => Some([Truth::Unknown; 2]),
            Path::None | Path::Appliance => None,
        };
        if self.source.vpc.is_some() && self.source.vpc == self.destination.vpc {
            return routes.iter().find_map(of_route).unwrap_or([Truth::Yes; 2]);
        }
        let first = self.links.first().map(Link::references);
        routes
            .iter()
            .find_map(of_route)
            .or(first)
            .unwrap_or([Truth::Unknown; 2])
    }

    pub(super) fn group_checks(&self) -> Vec<Check> {
        let Some(port) = self.facts.port else {
            return [Code::SgEgress, Code::SgIngress]
                .map(|code| Check::unknown(code, "neither the URL nor an AWS reply contains the port"))
                .into();
        };
        let traffic = |direction, own, peer, references| Traffic {
            documents: self.documents,
            facts: self.facts,
            direction,
            own,
            peer,
            port,
            references,
        };
        let [incoming, outgoing] = self.references;
        vec![
            traffic(Direction::Egress, self.source, self.destination, outgoing).judge(),
            traffic(Direction::Ingress, self.destination, self.source, incoming).judge(),
        ]
    }
}
