//! Checks that both ends are in the same VPC or in connected VPCs.

use crate::aws::check::{Check, Code};
use crate::aws::documents::{all, is_complete};
use crate::aws::id::Id;
use crate::aws::network::Network;
use crate::aws::path::{self, Link};
use crate::aws::permission;
use crate::aws::place::Found;
use crate::aws::route::{State, Target};
use crate::aws::truth::Truth;

impl Network<'_> {
    pub(super) fn vpc_check(&self, found: &Found) -> Check {
        let address = self
            .destination
            .address
            .map_or_else(|| "the address".to_owned(), |address| address.to_string());
        match found {
            Found::Gone => {
                let text = format!(
                    "no network interface in the VPC has the address {address}, so the name led to an old address"
                );
                Check::denied(Code::AddressGone, text)
                    .about(Some(&address))
                    .likely_if(true)
            }
            Found::Overlap(other) => {
                let own = self.source.vpc.as_ref().map_or("this VPC", Id::as_str);
                let text = format!(
                    "{address} belongs to {other}, but the address ranges of {own} contain it too, so packets \
                     never leave {own}"
                );
                Check::denied(Code::VpcOverlap, text)
                    .about(Some(other))
                    .aws_code("VPC_LOCAL_ROUTE_CIDR_RESTRICTION")
                    .likely_if(true)
            }
            Found::Several(vpcs) => {
                let names: Vec<_> = vpcs.iter().map(Id::as_str).collect();
                let text = format!("{address} exists in several VPCs: {}", names.join(", "));
                Check::unknown(Code::Vpc, text).needs(&[permission::VPC_PEERING_CONNECTIONS])
            }
            Found::Unknown => self.unknown_vpc(&address),
            Found::Here => self.connection_check(),
        }
    }

    fn unknown_vpc(&self, address: &str) -> Check {
        let text = match (&self.source.vpc, self.documents.interfaces.is_some()) {
            (None, _) => "the AWS replies do not show the VPC of this instance".to_owned(),
            (_, false) => format!("the AWS replies do not show which VPC has {address}"),
            (_, true) => format!("no network interface that these credentials can see has {address}"),
        };
        let mut needs = vec![permission::NETWORK_INTERFACES];
        if self.documents.interfaces.is_some() {
            needs = vec![permission::REPLICATION_GROUPS, permission::CACHE_SUBNET_GROUPS];
        }
        Check::unknown(Code::Vpc, text).needs(&needs)
    }

    fn connection_check(&self) -> Check {
        let (Some(own), Some(other)) = (&self.source.vpc, &self.destination.vpc) else {
            return self.unknown_vpc("the address");
        };
        if own == other {
            return Check::allowed(Code::Vpc, format!("both ends are in {own}")).about(Some(own));
        }
        if let Some(link) = self.links.iter().find(|link| link.is_active()) {
            let text = format!("{} connects {own} with {other}", link.id());
            return Check::allowed(Code::Vpc, text).about(Some(link.id()));
        }
        let mut needs = self.unknown_links(own, other);
        let other_way = self.other_way(own);
        if other_way == Some(None) {
            needs.push(permission::ROUTE_TABLES);
        }
        let pending = self.links.iter().find(|link| link.is_pending());
        let code = if pending.is_some() {
            Code::VpcPeering
        } else {
            Code::VpcDifferent
        };
        if let Some(Some(target)) = other_way {
            let text = format!(
                "the cache is in {other}, and a route of {own} sends its packets to {target}, which `ping` cannot check"
            );
            return Check::unknown(code, text).about(Some(target)).needs(&needs);
        }
        if !needs.is_empty() || !self.links.iter().all(Link::is_pending) {
            let text = format!(
                "the cache is in {other}, and the AWS replies do not show whether anything connects it with {own}"
            );
            return Check::unknown(code, text).about(Some(other)).needs(&needs);
        }
        if let Some(link) = pending {
            let text = format!(
                "the peering {} between {own} and {other} has not been accepted",
                link.id()
            );
            return Check::denied(code, text)
                .about(Some(link.id()))
                .aws_code("BAD_STATE");
        }
        let text =
            format!("the cache is in {other}, this instance is in {own}, and nothing connects the two VPCs");
        Check::denied(code, text)
            .about(Some(other))
            .aws_code("NO_ROUTE_TO_DESTINATION")
            .likely_if(self.destination.is_by_name)
    }

    /// Returns the IAM permissions for documents that may show a connection between the VPCs.
    fn unknown_links(&self, own: &Id, other: &Id) -> Vec<&'static str> {
        let mut needs = Vec::new();
        let is_vague = all(&self.documents.peerings).any(|peering| path::may_connect(peering, own, other));
        if !is_complete(&self.documents.peerings) || is_vague {
            needs.push(permission::VPC_PEERING_CONNECTIONS);
        }
        let is_hidden = path::may_be_attached_elsewhere(
            self.documents,
            own,
            self.source.owner.as_ref(),
            self.destination.owner.as_ref(),
        );
        if !is_complete(&self.documents.transit_attachments) || is_hidden {
            needs.push(permission::TRANSIT_GATEWAY_VPC_ATTACHMENTS);
        }
        needs
    }

    /// Finds a route for the address to a target, such as an appliance, from which packets may reach the
    /// other VPC. The documents do not show where packets go from such a target. Returns the target,
    /// `Some(None)` if the routes or the target are unknown, and `None` if there is no such route.
    fn other_way(&self, own: &Id) -> Option<Option<String>> {
        let Some(address) = self.destination.address else {
            return Some(None);
        };
        if !is_complete(&self.documents.route_tables) {
            return Some(None);
        }
        let mut is_known = false;
        for table in all(&self.documents.route_tables).filter(|table| table.vpc.as_ref() == Some(own)) {
            let Some(routes) = &table.routes else {
                return Some(None);
            };
            is_known = true;
            for route in routes {
                let contains = route.contains(self.documents, address);
                let is_other_service =
                    contains == Truth::Unknown && route.prefix_list.is_some() && route.is_gateway_endpoint();
                if contains == Truth::No || route.state() == State::Blackhole || is_other_service {
                    continue;
                }
                match route.target() {
                    Target::NotFollowed(target) => return Some(Some(target)),
                    Target::TransitGateway(id) => return Some(Some(id.to_string())),
                    Target::Unknown => return Some(None),
                    Target::Local | Target::Peering(_) | Target::Internet(_) => {}
                }
            }
        }
        (!is_known).then_some(None)
    }
}
