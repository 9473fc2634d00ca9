//! The way through a transit gateway, from one attachment to another.
//!
//! <https://docs.aws.amazon.com/vpc/latest/tgw/how-transit-gateways-work.html>

use super::documents::{Documents, TransitAttachment, find};
use super::id::Id;
use super::path;
use super::place::Place;
use super::truth::Truth;

/// What happens to packets that a route sends to the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Transit {
    Forwarded,
    /// The attachment has no subnet in the Availability Zone of the sender.
    NoSubnetInZone(Id),
    /// The route table of the gateway has no route to the other VPC.
    NoRoute(Id),
    Unknown(&'static str),
}

/// Follows packets from one end to the other.
pub(crate) fn follow(documents: &Documents, gateway: &Id, from: &Place, to: &Place) -> Transit {
    let attachment = |place: &Place| -> Option<&TransitAttachment> {
        let mut own = path::attachments(documents, place.vpc.as_ref()?);
        own.find(|attachment| attachment.gateway.as_ref() == Some(gateway))
    };
    let (Some(near), Some(far)) = (attachment(from), attachment(to)) else {
        return Transit::Unknown("ec2:DescribeTransitGatewayVpcAttachments");
    };
    let zones: Option<Vec<String>> = near.subnets.as_ref().and_then(|subnets| {
        subnets
            .iter()
            .map(|subnet| documents.subnet(subnet)?.zone.clone())
            .collect()
    });
    let is_in_zone = Truth::from(
        zones
            .zip(from.zone.as_ref())
            .map(|(zones, own)| zones.contains(own)),
    );
    if is_in_zone == Truth::No {
        return near
            .id
            .clone()
            .map_or(Transit::Unknown("ec2:DescribeSubnets"), Transit::NoSubnetInZone);
    }
    let Some(table) = near
        .association
        .as_ref()
        .and_then(|association| association.table.as_ref())
    else {
        return Transit::Unknown("ec2:DescribeTransitGateways");
    };
    let found = find(&documents.transit_routes, |routes| {
        routes.table.as_ref() == Some(table)
    });
    let (Some(routes), Some(address)) = (found.and_then(|found| found.routes.as_ref()), to.address) else {
        return Transit::Unknown("ec2:SearchTransitGatewayRoutes");
    };
    let longest = routes
        .iter()
        .filter(|route| route.range.is_some_and(|range| range.contains(&address)))
        .max_by_key(|route| route.range.map(|range| range.prefix_len()));
    let Some(route) = longest else {
        return Transit::NoRoute(table.clone());
    };
    let is_active = route
        .state
        .as_ref()
        .map(|state| state.eq_ignore_ascii_case("active"));
    let leads = route.attachments.as_ref().map(|all| {
        all.iter()
            .any(|target| target.id.is_some() && target.id == far.id)
    });
    match Truth::from(is_active).and(Truth::from(leads)).and(is_in_zone) {
        Truth::Yes => Transit::Forwarded,
        Truth::No => Transit::NoRoute(table.clone()),
        Truth::Unknown => Transit::Unknown("ec2:SearchTransitGatewayRoutes"),
    }
}
