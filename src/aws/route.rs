//! Route tables, which determine where packets are sent. The route with the longest matching prefix applies.
//!
//! Source: <https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Route_Tables.html#route-tables-priority>

use std::net::IpAddr;

use ipnet::IpNet;

use super::documents::{Documents, all, is_complete};
use super::id::Id;
use super::objects::{Route, RouteTable};
use super::truth::Truth;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The route stays in the VPC.
    Local,
    Peering(Id),
    TransitGateway(Id),
    /// The route leads to the internet or a NAT gateway, so packets do not reach the other VPC.
    Internet(String),
    /// The route leads to an appliance, a VPN or a core network. The documents do not show where packets go
    /// from there.
    NotFollowed(String),
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Active,
    /// The target does not exist any more, or drops the packets.
    Blackhole,
    Unknown,
}

/// The route that applies to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen<'a> {
    pub(crate) route: &'a Route,
    /// The range in the route that contains the address.
    pub(crate) prefix: IpNet,
    pub(crate) target: Target,
    pub(crate) state: State,
}

/// The result of looking up an address in a route table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LookUp<'a> {
    Route(Chosen<'a>),
    /// No route matches the address.
    Nowhere,
    /// A route with an unknown destination may match the address. If the destination is a prefix list with
    /// unknown entries, contains the ID of the list.
    Unknown(Option<Id>),
}

/// Returns the route table that applies to a subnet: the table that is associated with the subnet, or else the
/// main route table of the VPC.
pub(crate) fn table_of<'a>(
    documents: &'a Documents,
    vpc: &Id,
    subnet: Option<&Id>,
) -> Option<&'a RouteTable> {
    let subnet = subnet?;
    let of = |is_it: &dyn Fn(&RouteTable) -> bool| all(&documents.route_tables).find(|table| is_it(table));
    let own = of(&|table| {
        let mut associations = table.associations.iter().flatten();
        associations.any(|association| association.subnet.as_ref() == Some(subnet))
    });
    let tables_are_readable =
        all(&documents.route_tables).all(|table| table.associations.is_some() && table.vpc.is_some());
    let main = || {
        of(&|table| {
            let mut associations = table.associations.iter().flatten();
            table.vpc.as_ref() == Some(vpc)
                && associations.any(|association| association.is_main == Some(true))
        })
    };
    own.or_else(|| main().filter(|_| is_complete(&documents.route_tables) && tables_are_readable))
}

impl RouteTable {
    /// Looks up the route for an address. Returns `None` if the routes are unknown.
    pub(crate) fn look_up<'a>(&'a self, documents: &Documents, to: IpAddr) -> Option<LookUp<'a>> {
        let mut best: Option<(&Route, IpNet)> = None;
        let routes = self.routes.as_ref()?;
        let is_local = self
            .local_ranges()
            .is_some_and(|ranges| ranges.iter().any(|range| range.contains(&to)));
        // The local route takes precedence over propagated routes, even over more specific ones.
        for route in routes.iter().filter(|route| !(is_local && route.is_propagated())) {
            let prefixes = match (route.range.or(route.ipv6_range), &route.prefix_list) {
                (Some(range), _) => vec![range],
                (None, Some(list)) => match documents.prefix_list(list) {
                    Some(entries) => entries,
                    None if route.is_gateway_endpoint() && is_private(to) => continue,
                    None => return Some(LookUp::Unknown(Some(list.clone()))),
                },
                (None, None) => return Some(LookUp::Unknown(None)),
            };
            for prefix in prefixes.into_iter().filter(|prefix| prefix.contains(&to)) {
                let is_better = best.is_none_or(|(other, best)| {
                    prefix.prefix_len() > best.prefix_len()
                        || (prefix.prefix_len() == best.prefix_len() && route.rank() < other.rank())
                });
                if is_better {
                    best = Some((route, prefix));
                }
            }
        }
        Some(best.map_or(LookUp::Nowhere, |(route, prefix)| {
            LookUp::Route(Chosen {
                route,
                prefix,
                target: route.target(),
                state: route.state(),
            })
        }))
    }
}

impl Route {
    /// Returns the rank of a route, for routes with equal prefixes. The route with the lowest rank applies:
    /// static routes to a range, routes to a prefix list, then propagated routes.
    fn rank(&self) -> u8 {
        if self.is_propagated() {
            2
        } else {
            u8::from(self.prefix_list.is_some())
        }
    }

    fn is_propagated(&self) -> bool {
        self.origin.as_deref() == Some("EnableVgwRoutePropagation")
    }

    pub(crate) fn contains(&self, documents: &Documents, address: IpAddr) -> Truth {
        match (self.range.or(self.ipv6_range), &self.prefix_list) {
            (Some(range), _) => Truth::from(range.contains(&address)),
            (None, Some(list)) => {
                let entries = documents.prefix_list(list);
                Truth::from(entries.map(|entries| entries.iter().any(|range| range.contains(&address))))
            }
            (None, None) => Truth::Unknown,
        }
    }

    /// Whether the target is a gateway endpoint for S3 or DynamoDB. Routes to gateway endpoints apply only to
    /// public addresses.
    pub(crate) fn is_gateway_endpoint(&self) -> bool {
        self.gateway
            .as_deref()
            .is_some_and(|gateway| gateway.starts_with("vpce-"))
    }

    pub(crate) fn state(&self) -> State {
        match self.state.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("active") => State::Active,
            Some("blackhole" | "filtered") => State::Blackhole,
            _ => State::Unknown,
        }
    }

    pub(crate) fn target(&self) -> Target {
        let text = |id: &Id| id.as_str().to_owned();
        if let Some(id) = &self.peering {
            Target::Peering(id.clone())
        } else if let Some(id) = &self.transit_gateway {
            Target::TransitGateway(id.clone())
        } else if let Some(gateway) = self.gateway.as_deref() {
            match gateway {
                "local" => Target::Local,
                _ if gateway.starts_with("igw-") => Target::Internet(gateway.to_owned()),
                _ => Target::NotFollowed(gateway.to_owned()),
            }
        } else if let Some(id) = &self.nat_gateway {
            // A default route to a NAT gateway leads to the internet. A more specific route can lead to
            // another network, through a private NAT gateway.
            match self.range.is_some_and(|range| range.prefix_len() > 0) || self.prefix_list.is_some() {
                true => Target::NotFollowed(text(id)),
                false => Target::Internet(text(id)),
            }
        } else if let Some(id) = self
            .egress_only_gateway
            .as_ref()
            .or(self.carrier_gateway.as_ref())
        {
            Target::Internet(text(id))
        } else if let Some(id) = self
            .interface
            .as_ref()
            .or(self.instance.as_ref())
            .or(self.local_gateway.as_ref())
        {
            Target::NotFollowed(text(id))
        } else if self.core_network.is_some() {
            Target::NotFollowed("a core network".to_owned())
        } else {
            Target::Unknown
        }
    }
}

/// Whether an address is private (RFC 1918, RFC 4193), unlike the addresses of public AWS services.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}
