//! The checks of the routes, in both directions.

use crate::aws::check::{Check, Code, Outcome};
use crate::aws::documents::{all, find, is_complete};
use crate::aws::id::Id;
use crate::aws::network::Network;
use crate::aws::path::{self, Link};
use crate::aws::permission;
use crate::aws::place::Place;
use crate::aws::route::{self, Chosen, LookUp, State, Target};
use crate::aws::transit_gateway::{self, Transit};
use crate::aws::truth::Truth;

/// The check of a route, and what it shows about the path.
pub(super) struct RouteCheck {
    pub check: Check,
    pub path: Path,
}

/// The path of the packets. It determines whether rules may refer to groups of the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// There is no route, or the route stays within the VPC.
    None,
    /// The path uses a peering connection or transit gateway between the two VPCs.
    Link(Link),
    /// The path uses a transit gateway whose attachments are unknown.
    UnknownGateway,
    /// The path uses an appliance, a VPN or another network, and cannot be followed any further.
    Appliance,
    Unknown,
}

impl RouteCheck {
    fn new(check: Check, path: Path) -> Self {
        Self { check, path }
    }

    fn without_path(check: Check) -> Self {
        Self::new(check, Path::None)
    }
}

impl Network<'_> {
    pub(super) fn route_checks(&self) -> Vec<RouteCheck> {
        [
            (Code::RouteThere, self.source, self.destination),
            (Code::RouteBack, self.destination, self.source),
        ]
        .map(|(code, from, to)| self.route_check(code, from, to))
        .into()
    }

    fn route_check(&self, code: Code, from: &Place, to: &Place) -> RouteCheck {
        let plain = RouteCheck::without_path;
        let is_same_vpc = from.vpc.is_some() && from.vpc == to.vpc;
        if is_same_vpc && self.is_same_subnet == Truth::Yes {
            return plain(
                Check::new(code, Outcome::Allowed, "both ends are in the same subnet")
                    .about(from.subnet.as_ref()),
            );
        }
        let (Some(vpc), Some(address)) = (&from.vpc, to.address) else {
            return plain(
                Check::new(
                    code,
                    Outcome::Unknown,
                    "the documents do not show where the route must lead",
                )
                .needs(&[permission::NETWORK_INTERFACES]),
            );
        };
        let Some(subnet) = &from.subnet else {
            let text = format!(
                "the documents do not show which subnet of {vpc} has the address, and so which route table applies"
            );
            return plain(
                Check::new(code, Outcome::Unknown, text)
                    .about(Some(vpc))
                    .needs(&[permission::SUBNETS]),
            );
        };
        let Some(table) = route::table_of(self.documents, vpc, Some(subnet)) else {
            let text = format!("the documents do not contain the route table of {subnet}");
            return plain(
                Check::new(code, Outcome::Unknown, text)
                    .about(Some(subnet))
                    .needs(&[permission::ROUTE_TABLES]),
            );
        };
        let id = table.id.as_ref();
        let name = id.map_or("the route table", Id::as_str);
        let chosen = match table.look_up(self.documents, address) {
            None => {
                let text = format!("the documents do not contain all routes of {name}");
                return plain(
                    Check::new(code, Outcome::Unknown, text)
                        .about(id)
                        .needs(&[permission::ROUTE_TABLES]),
                );
            }
            Some(LookUp::Unknown(list)) => {
                let text = format!(
                    "a route of {name} may lead to {address}, but the documents do not show its destination"
                );
                let needs = if list.is_some() {
                    permission::MANAGED_PREFIX_LIST_ENTRIES
                } else {
                    permission::ROUTE_TABLES
                };
                return plain(Check::new(code, Outcome::Unknown, text).about(id).needs(&[needs]));
            }
            Some(LookUp::Nowhere) => {
                let text = format!("{name} has no route to {address}");
                let check = Check::new(code, Outcome::Denied, text)
                    .about(id)
                    .aws_code("CANNOT_ROUTE");
                return plain(check.likely_if(self.destination.is_by_name));
            }
            Some(LookUp::Route(chosen)) => chosen,
        };
        let mut result = if is_same_vpc {
            local_route(code, name, &chosen)
        } else {
            self.route_to_link(code, name, &chosen, from, to)
        };
        result.check.object = id.map(ToString::to_string);
        result.check = result.check.likely_if(self.destination.is_by_name);
        result
    }

    fn route_to_link(
        &self,
        code: Code,
        table: &str,
        chosen: &Chosen<'_>,
        from: &Place,
        to: &Place,
    ) -> RouteCheck {
        let prefix = chosen.prefix;
        let denied = |text: String, aws_code| {
            RouteCheck::without_path(Check::new(code, Outcome::Denied, text).aws_code(aws_code))
        };
        let unknown = |text: String, needs: &[&'static str], path| {
            RouteCheck::new(Check::new(code, Outcome::Unknown, text).needs(needs), path)
        };
        let allowed = |id: &Id| {
            Check::new(
                code,
                Outcome::Allowed,
                format!("{table} leads to {prefix} through {id}"),
            )
        };
        let connecting = match &chosen.target {
            Target::Peering(id) | Target::TransitGateway(id) => {
                self.links.iter().find(|link| link.id() == id).cloned()
            }
            _ => None,
        };
        // When the peering connection is accepted, this route becomes active, too.
        let is_waiting = connecting.as_ref().is_some_and(Link::is_pending);
        if !is_waiting && chosen.state == State::Blackhole {
            return denied(
                format!(
                    "the route of {table} to {prefix} is a blackhole: its target does not exist any more"
                ),
                "BAD_STATE_ROUTE",
            );
        }
        if !is_waiting && chosen.state == State::Unknown {
            return unknown(
                format!("the documents do not show whether the route of {table} to {prefix} is active"),
                &[permission::ROUTE_TABLES],
                Path::Unknown,
            );
        }
        match (&chosen.target, connecting) {
            (Target::Peering(id), Some(link)) if !is_waiting && !link.is_active() => {
                let text = format!(
                    "{table} leads to {prefix} through {id}, and the documents do not show that {id} is active"
                );
                let check =
                    Check::new(code, Outcome::Unknown, text).needs(&[permission::VPC_PEERING_CONNECTIONS]);
                RouteCheck::new(check, Path::Link(link))
            }
            (Target::Peering(id), Some(link)) => RouteCheck::new(allowed(id), Path::Link(link)),
            (Target::TransitGateway(id), Some(link)) => {
                let check = match transit_gateway::follow(self.documents, id, from, to) {
                    Transit::Forwarded => allowed(id),
                    Transit::NoSubnetInZone(attachment) => {
                        let zone = from.zone.as_deref().unwrap_or("its zone");
                        let text = format!(
                            "{attachment} has no subnet in {zone}, so packets from there do not enter {id}"
                        );
                        Check::new(code, Outcome::Denied, text).aws_code("TGW_ROUTE_AZ_RESTRICTION")
                    }
                    Transit::NoRoute(routes) => {
                        let text = format!("{routes} of {id} has no route to the other VPC");
                        Check::new(code, Outcome::Denied, text).aws_code("CANNOT_ROUTE")
                    }
                    Transit::Unknown(need) => {
                        let text = format!(
                            "{table} leads to {prefix} through {id}, and the documents do not show where {id} sends the packets"
                        );
                        Check::new(code, Outcome::Unknown, text).needs(&[need])
                    }
                };
                RouteCheck::new(check, Path::Link(link))
            }
            (Target::Peering(id), None) if self.may_connect(id) => unknown(
                format!(
                    "{table} leads to {prefix} through {id}, and the documents do not show which VPCs {id} connects"
                ),
                &[permission::VPC_PEERING_CONNECTIONS],
                Path::Unknown,
            ),
            (Target::Peering(id), None) => denied(
                format!("{table} leads to {prefix} through {id}, which does not connect the two VPCs"),
                "CANNOT_ROUTE",
            ),
            (Target::Internet(target), _) => denied(
                format!("{table} leads to {prefix} through {target}, not to the other VPC"),
                "CANNOT_ROUTE",
            ),
            (Target::Local, _) => denied(
                format!("{table} keeps packets to {prefix} in the VPC"),
                "CANNOT_ROUTE",
            ),
            (Target::TransitGateway(id), None) => unknown(
                format!(
                    "{table} leads to {prefix} through {id}, and the documents do not show its attachments"
                ),
                &[permission::TRANSIT_GATEWAY_VPC_ATTACHMENTS],
                Path::UnknownGateway,
            ),
            (Target::NotFollowed(target), _) => unknown(
                format!("{table} leads to {prefix} through {target}, which cannot be followed"),
                &[],
                Path::Appliance,
            ),
            (Target::Unknown, _) => unknown(
                format!("the documents do not show the target of the route of {table} to {prefix}"),
                &[permission::ROUTE_TABLES],
                Path::Unknown,
            ),
        }
    }

    /// Whether a peering connection may be between the two VPCs. The documents may not describe it
    /// completely.
    fn may_connect(&self, id: &Id) -> bool {
        let (Some(one), Some(other)) = (&self.source.vpc, &self.destination.vpc) else {
            return true;
        };
        let own = find(&self.documents.peerings, |peering| {
            peering.id.as_ref() == Some(id)
        });
        match own {
            Some(peering) => path::may_connect(peering, one, other),
            None => {
                !is_complete(&self.documents.peerings)
                    || all(&self.documents.peerings).any(|peering| peering.id.is_none())
            }
        }
    }
}

/// Checks a route within the VPC. The route matters only if it is more specific than the local route.
fn local_route(code: Code, table: &str, chosen: &Chosen<'_>) -> RouteCheck {
    let prefix = chosen.prefix;
    let denied = |text: String, aws_code| {
        RouteCheck::without_path(Check::new(code, Outcome::Denied, text).aws_code(aws_code))
    };
    match (&chosen.target, chosen.state) {
        (Target::Local, _) => {
            let text = format!("{table} keeps packets to {prefix} in the VPC");
            RouteCheck::without_path(Check::new(code, Outcome::Allowed, text))
        }
        (_, State::Blackhole) => denied(
            format!(
                "the route of {table} to {prefix} takes precedence over the local route, and is a blackhole"
            ),
            "BAD_STATE_ROUTE",
        ),
        (Target::Internet(target), State::Active) => denied(
            format!(
                "{table} leads to {prefix} through {target}, which takes precedence over the local route"
            ),
            "MORE_SPECIFIC_ROUTE",
        ),
        (Target::Peering(id), State::Active) => denied(
            format!("{table} leads to {prefix} through {id}, which takes precedence over the local route"),
            "MORE_SPECIFIC_ROUTE",
        ),
        (Target::NotFollowed(target), _) => {
            let text =
                format!("{table} leads to {prefix} through {target}, an appliance that cannot be followed");
            let check = Check::new(code, Outcome::Unknown, text).aws_code("MORE_SPECIFIC_ROUTE");
            RouteCheck::new(check, Path::Appliance)
        }
        _ => {
            let text = format!("the documents do not show where the route of {table} to {prefix} leads");
            let check = Check::new(code, Outcome::Unknown, text).needs(&[permission::ROUTE_TABLES]);
            RouteCheck::new(check, Path::Unknown)
        }
    }
}
