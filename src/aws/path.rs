//! Determines how two VPCs are connected, and whether security group rules can name groups of the other VPC.

use super::documents::{Documents, all, find};
use super::id::{Account, Id};
use super::objects::{Peering, TransitAttachment};
use super::truth::Truth;

/// A connection between two VPCs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Peering {
        id: Id,
        state: PeeringState,
        /// Whether both VPCs are in the same region.
        is_one_region: Truth,
        /// Whether both VPCs belong to the same account.
        is_one_account: Truth,
    },
    TransitGateway {
        id: Id,
        /// Whether incoming rules can name groups of the other VPC. Outgoing rules cannot.
        refers: Truth,
    },
}

/// The state of a peering connection. Only an active peering connection forwards packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeeringState {
    Active,
    /// The owner of the other VPC has not accepted the connection yet.
    Pending,
    /// A different temporary state, or an unknown state.
    Other,
}

impl Link {
    pub(crate) fn id(&self) -> &Id {
        match self {
            Self::Peering { id, .. } | Self::TransitGateway { id, .. } => id,
        }
    }

    /// Whether the connection currently forwards packets.
    pub(crate) fn is_active(&self) -> bool {
        match self {
            Self::Peering { state, .. } => *state == PeeringState::Active,
            Self::TransitGateway { .. } => true,
        }
    }

    /// Whether a security group rule can name a group of the other VPC. The first value is for incoming
    /// traffic, the second for outgoing traffic.
    pub(crate) fn references(&self) -> [Truth; 2] {
        match self {
            Self::Peering { is_one_region, .. } => [*is_one_region; 2],
            Self::TransitGateway { refers, .. } => [*refers, Truth::No],
        }
    }

    pub(crate) fn is_pending(&self) -> bool {
        matches!(
            self,
            Self::Peering {
                state: PeeringState::Pending,
                ..
            }
        )
    }
}

/// Returns all connections between two VPCs, except those that no longer exist. Active connections come
/// first.
pub(crate) fn links(documents: &Documents, one: &Id, other: &Id) -> Vec<Link> {
    let peerings = all(&documents.peerings).filter_map(|peering| peering_between(peering, one, other));
    let mut links: Vec<Link> = peerings.chain(gateways_between(documents, one, other)).collect();
    links.sort_by_key(|link| !link.is_active());
    links
}

/// Whether a peering connection with an incomplete description might connect these two VPCs.
pub(crate) fn may_connect(peering: &Peering, one: &Id, other: &Id) -> bool {
    let is_usable = state_of(peering).is_some();
    match connects(peering, one, other) {
        Truth::Yes => is_usable && peering.id.is_none(),
        Truth::No => false,
        Truth::Unknown => is_usable,
    }
}

fn connects(peering: &Peering, one: &Id, other: &Id) -> Truth {
    let ends = [&peering.accepter, &peering.requester].map(|end| end.as_ref()?.vpc.as_ref());
    let is = |end: Option<&Id>, vpc: &Id| Truth::from(end.map(|end| end == vpc));
    let [first, second] = ends;
    let straight = is(first, one).and(is(second, other));
    straight.or(is(first, other).and(is(second, one)))
}

/// Returns the state of a peering connection, or `None` if the peering connection no longer exists.
fn state_of(peering: &Peering) -> Option<PeeringState> {
    let code = peering.status.as_ref().and_then(|status| status.code.as_deref());
    match code.map(str::to_ascii_lowercase).as_deref() {
        Some("active") => Some(PeeringState::Active),
        Some("pending-acceptance") => Some(PeeringState::Pending),
        Some("deleted" | "deleting" | "expired" | "failed" | "rejected") => None,
        _ => Some(PeeringState::Other),
    }
}

fn peering_between(peering: &Peering, one: &Id, other: &Id) -> Option<Link> {
    if connects(peering, one, other) != Truth::Yes {
        return None;
    }
    let (accepter, requester) = (peering.accepter.as_ref()?, peering.requester.as_ref()?);
    let state = state_of(peering)?;
    let both = |same: Option<bool>| Truth::from(same);
    let regions = accepter.region.as_ref().zip(requester.region.as_ref());
    let owners = accepter.owner.as_ref().zip(requester.owner.as_ref());
    Some(Link::Peering {
        id: peering.id.clone()?,
        state,
        is_one_region: both(regions.map(|(one, other)| one == other)),
        is_one_account: both(owners.map(|(one, other)| one == other)),
    })
}

/// Returns the transit gateway attachments of a VPC that forward packets.
pub(super) fn attachments<'a>(
    documents: &'a Documents,
    vpc: &Id,
) -> impl Iterator<Item = &'a TransitAttachment> {
    all(&documents.transit_attachments).filter(move |attachment| {
        let state = attachment.state.as_deref().unwrap_or("available");
        attachment.vpc.as_ref() == Some(vpc)
            && ["available", "modifying"]
                .iter()
                .any(|usable| usable.eq_ignore_ascii_case(state))
    })
}

fn gateways_between(documents: &Documents, one: &Id, other: &Id) -> Vec<Link> {
    let pairs = attachments(documents, one).flat_map(|near| {
        let same_gateway =
            move |far: &&TransitAttachment| far.gateway.is_some() && far.gateway == near.gateway;
        attachments(documents, other)
            .filter(same_gateway)
            .map(move |far| (near, far))
    });
    let links = pairs.filter_map(|(near, far)| {
        let id = near.gateway.clone()?;
        let gateway = find(&documents.transit_gateways, |gateway| {
            gateway.id.as_ref() == Some(&id)
        });
        let enabled = [
            gateway.and_then(|gateway| gateway.options.as_ref()),
            near.options.as_ref(),
            far.options.as_ref(),
        ];
        let refers = enabled.into_iter().fold(Truth::Yes, |all, options| {
            let setting = options.and_then(|options| options.references.as_deref());
            all.and(Truth::from(
                setting.map(|setting| setting.eq_ignore_ascii_case("enable")),
            ))
        });
        Some(Link::TransitGateway { id, refers })
    });
    links.collect()
}

/// Whether a transit gateway might connect this VPC with a VPC of a different account. The documents cannot
/// rule this out, because they do not show the attachments of other accounts.
pub(crate) fn may_be_attached_elsewhere(
    documents: &Documents,
    own_vpc: &Id,
    own_account: Option<&Account>,
    other_account: Option<&Account>,
) -> bool {
    let is_own = own_account.is_some() && own_account == other_account;
    attachments(documents, own_vpc).next().is_some() && !is_own
}
