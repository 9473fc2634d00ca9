//! Checks the routes to the cache and back.

use crate::aws::check::{Check, Code};
use crate::aws::documents::{all, find, is_complete};
use crate::aws::id::Id;
use crate::aws::network::Network;
use crate::aws::objects::RouteTable;
use crate::aws::path::{self, Link};
use crate::aws::permission;
use crate::aws::place::Place;
use crate::aws::route::{self, Chosen, LookUp, State, Target};
use crate::aws::transit_gateway::{self, Transit};
use crate::aws::truth::Truth;

pub(super) struct RouteCheck {
    pub check: Check,
    pub path: Path,
}

/// The path of the packets, which determines whether security group rules can name groups of the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// There is no route, or the route stays in the VPC.
    None,
    /// A peering connection or transit gateway between the two VPCs.
    Link(Link),
    /// A transit gateway with unknown attachments.
    UnknownGateway,
    /// The path leads through an appliance, a VPN or a different network. The documents do not show where
    /// packets go from there.
    Appliance,
    Unknown,
}

/// The route that applies to the address of the other end.
struct CheckedRoute<'a> {
    code: Code,
    /// The name of the route table, for messages.
    table: &'a str,
    chosen: &'a Chosen<'a>,
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
        let is_same_vpc = from.vpc.is_some() && from.vpc == to.vpc;
        if is_same_vpc && self.is_same_subnet == Truth::Yes {
            let check = Check::allowed(code, "both ends are in the same subnet");
            return RouteCheck::without_path(check.about(from.subnet.as_ref()));
        }
        let (table, chosen) = match self.chosen_route(code, from, to) {
            Ok(found) => found,
            Err(check) => return RouteCheck::without_path(check),
        };
        let route = CheckedRoute {
            code,
            table: name_of(table),
            chosen: &chosen,
        };
        let mut result = if is_same_vpc {
            local_route(&route)
        } else {
            self.route_between_vpcs(&route, from, to)
        };
        result.check.object = table.id.as_ref().map(ToString::to_string);
        result.check = result.check.likely_if(self.destination.is_by_name);
        result
    }

    /// Returns the route table of the sender's subnet, and the route that applies. If there is no route, or
    /// the route is unknown, returns the failed check.
    fn chosen_route(&self, code: Code, from: &Place, to: &Place) -> Result<(&RouteTable, Chosen<'_>), Check> {
        let unknown =
            |text: String, about: Option<&Id>, need| Check::unknown(code, text).about(about).needs(&[need]);
        let (Some(vpc), Some(address)) = (&from.vpc, to.address) else {
            let text = "the AWS replies do not show to which address the route must lead".to_owned();
            return Err(unknown(text, None, permission::NETWORK_INTERFACES));
        };
        let Some(subnet) = &from.subnet else {
            let text = format!(
                "the AWS replies do not show which subnet of {vpc} has the address, so the route table is unknown"
            );
            return Err(unknown(text, Some(vpc), permission::SUBNETS));
        };
        let Some(table) = route::table_of(self.documents, vpc, Some(subnet)) else {
            let text = format!("the AWS replies do not contain the route table of {subnet}");
            return Err(unknown(text, Some(subnet), permission::ROUTE_TABLES));
        };
        let (id, name) = (table.id.as_ref(), name_of(table));
        match table.look_up(self.documents, address) {
            Some(LookUp::Route(chosen)) => Ok((table, chosen)),
            Some(LookUp::Nowhere) => Err(Check::denied(code, format!("{name} has no route to {address}"))
                .about(id)
                .aws_code("CANNOT_ROUTE")
                .likely_if(self.destination.is_by_name)),
            Some(LookUp::Unknown(list)) => {
                let text = format!(
                    "a route of {name} may lead to {address}, but the AWS replies do not show its destination"
                );
                let need = match list {
                    Some(_) => permission::MANAGED_PREFIX_LIST_ENTRIES,
                    None => permission::ROUTE_TABLES,
                };
                Err(unknown(text, id, need))
            }
            None => {
                let text = format!("the AWS replies do not contain all routes of {name}");
                Err(unknown(text, id, permission::ROUTE_TABLES))
            }
        }
    }

    fn route_between_vpcs(&self, route: &CheckedRoute<'_>, from: &Place, to: &Place) -> RouteCheck {
        let CheckedRoute { table, chosen, .. } = route;
        let prefix = chosen.prefix;
        let link = match &chosen.target {
            Target::Peering(id) | Target::TransitGateway(id) => {
                self.links.iter().find(|link| link.id() == id)
            }
            _ => None,
        };
        // This route becomes active as soon as the peering connection is accepted.
        let is_waiting = link.is_some_and(Link::is_pending);
        if !is_waiting && chosen.state == State::Blackhole {
            let text =
                format!("the route of {table} to {prefix} is a blackhole: its target no longer exists");
            return route.denied(text, "BAD_STATE_ROUTE");
        }
        if !is_waiting && chosen.state == State::Unknown {
            let text =
                format!("the AWS replies do not show whether the route of {table} to {prefix} is active");
            return route.unknown(text, &[permission::ROUTE_TABLES], Path::Unknown);
        }
        match &chosen.target {
            Target::Peering(id) => self.through_peering(route, id, link),
            Target::TransitGateway(id) => self.through_gateway(route, id, link, from, to),
            Target::Internet(target) => route.denied(
                format!("{table} leads to {prefix} through {target}, not to the other VPC"),
                "CANNOT_ROUTE",
            ),
            Target::Local => route.denied(
                format!("{table} keeps packets to {prefix} in the VPC"),
                "CANNOT_ROUTE",
            ),
            Target::NotFollowed(target) => route.unknown(
                format!("{table} leads to {prefix} through {target}, which `ping` cannot check"),
                &[],
                Path::Appliance,
            ),
            Target::Unknown => route.unknown(
                format!("the AWS replies do not show the target of the route of {table} to {prefix}"),
                &[permission::ROUTE_TABLES],
                Path::Unknown,
            ),
        }
    }

    fn through_peering(&self, route: &CheckedRoute<'_>, id: &Id, link: Option<&Link>) -> RouteCheck {
        let leads = route.leads_through(id);
        let needs = [permission::VPC_PEERING_CONNECTIONS];
        match link {
            Some(link) if link.is_pending() || link.is_active() => {
                route.allowed(leads, Path::Link(link.clone()))
            }
            Some(link) => route.unknown(
                format!("{leads}, and the AWS replies do not show that {id} is active"),
                &needs,
                Path::Link(link.clone()),
            ),
            None if self.may_connect(id) => route.unknown(
                format!("{leads}, and the AWS replies do not show which VPCs {id} connects"),
                &needs,
                Path::Unknown,
            ),
            None => route.denied(
                format!("{leads}, which does not connect the two VPCs"),
                "CANNOT_ROUTE",
            ),
        }
    }

    fn through_gateway(
        &self,
        route: &CheckedRoute<'_>,
        id: &Id,
        link: Option<&Link>,
        from: &Place,
        to: &Place,
    ) -> RouteCheck {
        let leads = route.leads_through(id);
        let Some(link) = link else {
            return route.unknown(
                format!("{leads}, and the AWS replies do not show its attachments"),
                &[permission::TRANSIT_GATEWAY_VPC_ATTACHMENTS],
                Path::UnknownGateway,
            );
        };
        let result = match transit_gateway::follow(self.documents, id, from, to) {
            Transit::Forwarded => route.allowed(leads, Path::None),
            Transit::NoSubnetInZone(attachment) => {
                let zone = from.zone.as_deref().unwrap_or("its zone");
                let text =
                    format!("{attachment} has no subnet in {zone}, so packets from there do not enter {id}");
                route.denied(text, "TGW_ROUTE_AZ_RESTRICTION")
            }
            Transit::NoRoute(routes) => {
                let text = format!("{routes} of {id} has no route to the other VPC");
                route.denied(text, "CANNOT_ROUTE")
            }
            Transit::Unknown(need) => {
                let text = format!("{leads}, and the AWS replies do not show where {id} sends the packets");
                route.unknown(text, &[need], Path::None)
            }
        };
        RouteCheck::new(result.check, Path::Link(link.clone()))
    }

    /// Whether a peering connection that the documents do not describe completely might connect the two VPCs.
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

/// Checks a route within the VPC. The check can fail only if a broken route is more specific than the local
/// route.
fn local_route(route: &CheckedRoute<'_>) -> RouteCheck {
    let CheckedRoute { table, chosen, .. } = route;
    let prefix = chosen.prefix;
    match (&chosen.target, chosen.state) {
        (Target::Local, _) => route.allowed(
            format!("{table} keeps packets to {prefix} in the VPC"),
            Path::None,
        ),
        (_, State::Blackhole) => route.denied(
            format!(
                "the route of {table} to {prefix} takes precedence over the local route, and is a blackhole"
            ),
            "BAD_STATE_ROUTE",
        ),
        (Target::Internet(target), State::Active) => route.denied(
            format!(
                "{table} leads to {prefix} through {target}, which takes precedence over the local route"
            ),
            "MORE_SPECIFIC_ROUTE",
        ),
        (Target::Peering(id), State::Active) => route.denied(
            format!(
                "{}, which takes precedence over the local route",
                route.leads_through(id)
            ),
            "MORE_SPECIFIC_ROUTE",
        ),
        (Target::NotFollowed(target), _) => {
            let text =
                format!("{table} leads to {prefix} through {target}, an appliance that `ping` cannot check");
            let RouteCheck { check, path } = route.unknown(text, &[], Path::Appliance);
            RouteCheck::new(check.aws_code("MORE_SPECIFIC_ROUTE"), path)
        }
        _ => route.unknown(
            format!("the AWS replies do not show where the route of {table} to {prefix} leads"),
            &[permission::ROUTE_TABLES],
            Path::Unknown,
        ),
    }
}

impl CheckedRoute<'_> {
    fn leads_through(&self, id: &Id) -> String {
        format!("{} leads to {} through {id}", self.table, self.chosen.prefix)
    }

    fn allowed(&self, text: String, path: Path) -> RouteCheck {
        RouteCheck::new(Check::allowed(self.code, text), path)
    }

    fn denied(&self, text: String, aws_code: &'static str) -> RouteCheck {
        RouteCheck::without_path(Check::denied(self.code, text).aws_code(aws_code))
    }

    fn unknown(&self, text: String, needs: &[&'static str], path: Path) -> RouteCheck {
        RouteCheck::new(Check::unknown(self.code, text).needs(needs), path)
    }
}

fn name_of(table: &RouteTable) -> &str {
    table.id.as_ref().map_or("the route table", Id::as_str)
}
