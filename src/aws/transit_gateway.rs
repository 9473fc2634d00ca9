//! Determines whether a transit gateway forwards packets from one VPC to the other.
//!
//! Source: <https://docs.aws.amazon.com/vpc/latest/tgw/how-transit-gateways-work.html>

use std::net::IpAddr;

use super::documents::{Documents, all, find};
use super::id::Id;
use super::objects::{TransitAttachment, TransitRoute, TransitRoutes};
use super::path;
use super::permission;
use super::place::Place;
use super::truth::Truth;

/// What happens to packets at the transit gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Transit {
    Forwarded,
    /// The attachment has no subnet in the sender's Availability Zone.
    NoSubnetInZone(Id),
    /// The gateway's route table has no route to the other VPC.
    NoRoute(Id),
    Unknown(&'static str),
}

/// Determines what happens to packets from one end to the other.
pub(crate) fn follow(documents: &Documents, gateway: &Id, from: &Place, to: &Place) -> Transit {
    let attachment = |place: &Place| -> Option<&TransitAttachment> {
        let mut own = path::attachments(documents, place.vpc.as_ref()?);
        own.find(|attachment| attachment.gateway.as_ref() == Some(gateway))
    };
    let (Some(near), Some(far)) = (attachment(from), attachment(to)) else {
        return Transit::Unknown(permission::TRANSIT_GATEWAY_VPC_ATTACHMENTS);
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
            .map_or(Transit::Unknown(permission::SUBNETS), Transit::NoSubnetInZone);
    }
    let Some(table) = table_of(documents, near) else {
        return Transit::Unknown(permission::TRANSIT_GATEWAY_ATTACHMENTS);
    };
    let Some(address) = to.address else {
        return Transit::Unknown(permission::NETWORK_INTERFACES);
    };
    let Some(routes) = routes_to(documents, table, address) else {
        return Transit::Unknown(permission::TRANSIT_GATEWAY_ROUTES);
    };
    let longest = routes
        .into_iter()
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
    match Truth::from(is_active).and(Truth::from(leads)) {
        Truth::No => Transit::NoRoute(table.clone()),
        Truth::Unknown => Transit::Unknown(permission::TRANSIT_GATEWAY_ROUTES),
        Truth::Yes if is_in_zone == Truth::Yes => Transit::Forwarded,
        Truth::Yes => Transit::Unknown(permission::SUBNETS),
    }
}

/// Returns the routes for the address in a route table of the gateway, or `None` if they are unknown.
fn routes_to<'a>(documents: &'a Documents, table: &Id, address: IpAddr) -> Option<Vec<&'a TransitRoute>> {
    // Only a search for this address shows its routes.
    let about = |routes: &&TransitRoutes| {
        routes.table.as_ref() == Some(table) && routes.searched.is_none_or(|range| range.contains(&address))
    };
    let answers: Option<Vec<&Vec<TransitRoute>>> = all(&documents.transit_routes)
        .filter(about)
        .map(|routes| routes.routes.as_ref())
        .collect();
    let answers = answers.filter(|answers| !answers.is_empty())?;
    let to_address = |route: &&TransitRoute| route.range.is_some_and(|range| range.contains(&address));
    Some(answers.into_iter().flatten().filter(to_address).collect())
}

/// Returns the gateway's route table for packets from the attachment, or `None` if unknown. This table may
/// differ from the gateway's default table.
fn table_of<'a>(documents: &'a Documents, attachment: &TransitAttachment) -> Option<&'a Id> {
    let used = find(&documents.transit_tables, |table| {
        table.attachment.is_some() && table.attachment == attachment.id
    });
    let association = used?.association.as_ref()?;
    let is_associated = association
        .state
        .as_ref()
        .is_some_and(|state| state.eq_ignore_ascii_case("associated"));
    association.table.as_ref().filter(|_| is_associated)
}
