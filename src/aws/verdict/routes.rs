//! The checks of the routes in both directions.

use super::{NEEDS_ATTACHMENTS, NEEDS_INTERFACES, NEEDS_ROUTES, NEEDS_SUBNETS, Network};
use crate::aws::check::{Check, Code, Outcome};
use crate::aws::id::Id;
use crate::aws::path::Link;
use crate::aws::place::Place;
use crate::aws::route::{self, Chosen, LookUp, State, Target};
use crate::aws::transit_gateway::{self, Transit};
use crate::aws::truth::Truth;

/// A route check, and what it shows about the path.
pub(super) struct RouteCheck {
    pub check: Check,
    /// The peering or gateway that the route leads to.
    pub link: Option<Link>,
    /// Whether the route may lead through an appliance.
    pub is_appliance: bool,
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
        let plain = |check| RouteCheck {
            check,
            link: None,
            is_appliance: false,
        };
        let is_same_vpc = from.vpc.is_some() && from.vpc == to.vpc;
        if is_same_vpc && self.is_same_subnet == Truth::Yes {
            return plain(
                Check::new(code, Outcome::Allowed, "both ends are in the same subnet")
                    .about(from.subnet.as_ref()),
            );
        }
        let (Some(vpc), Some(address)) = (&from.vpc, to.address) else {
            return plain(
                Check::new(code, Outcome::Unknown, "the route is not known").needs(&[NEEDS_INTERFACES]),
            );
        };
        let Some(subnet) = &from.subnet else {
            let text = format!(
                "it is not known which subnet of {vpc} has the address, and so which route table applies"
            );
            return plain(
                Check::new(code, Outcome::Unknown, text)
                    .about(Some(vpc))
                    .needs(&[NEEDS_SUBNETS]),
            );
        };
        let Some(table) = route::table_of(self.documents, vpc, Some(subnet)) else {
            let text = format!("the route table of {subnet} is not known");
            return plain(
                Check::new(code, Outcome::Unknown, text)
                    .about(Some(subnet))
                    .needs(&[NEEDS_ROUTES]),
            );
        };
        let id = table.id.as_ref();
        let name = id.map_or("the route table", Id::as_str);
        let chosen = match table.look_up(self.documents, address) {
            None => {
                let text = format!("the routes of {name} are not known");
                return plain(
                    Check::new(code, Outcome::Unknown, text)
                        .about(id)
                        .needs(&[NEEDS_ROUTES]),
                );
            }
            Some(LookUp::Unknown(list)) => {
                let text =
                    format!("a route of {name} may contain {address}, but its destination is not known");
                let needs = if list.is_some() {
                    "ec2:GetManagedPrefixListEntries"
                } else {
                    NEEDS_ROUTES
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
        let link = |id: &Id| self.links.iter().find(|link| link.id() == id).cloned();
        let denied = |text: String, aws_code| RouteCheck {
            check: Check::new(code, Outcome::Denied, text).aws_code(aws_code),
            link: None,
            is_appliance: false,
        };
        let unknown = |text: String, needs: &[&'static str], link| RouteCheck {
            check: Check::new(code, Outcome::Unknown, text).needs(needs),
            link,
            is_appliance: true,
        };
        let connecting = match &chosen.target {
            Target::Peering(id) | Target::TransitGateway(id) => link(id),
            _ => None,
        };
        // A route to a peering that has not been accepted becomes active with it.
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
                format!("the state of the route of {table} to {prefix} is not known"),
                &[NEEDS_ROUTES],
                None,
            );
        }
        match (&chosen.target, connecting) {
            (Target::Peering(id), Some(link)) => RouteCheck {
                check: Check::new(
                    code,
                    Outcome::Allowed,
                    format!("{table} leads to {prefix} through {id}"),
                ),
                link: Some(link),
                is_appliance: false,
            },
            (Target::TransitGateway(id), Some(link)) => {
                let outcome = match transit_gateway::follow(self.documents, id, from, to) {
                    Transit::Forwarded => Check::new(
                        code,
                        Outcome::Allowed,
                        format!("{table} leads to {prefix} through {id}"),
                    ),
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
                        let text =
                            format!("{table} leads to {prefix} through {id}, whose own routes are not known");
                        Check::new(code, Outcome::Unknown, text).needs(&[need])
                    }
                };
                RouteCheck {
                    check: outcome,
                    link: Some(link),
                    is_appliance: false,
                }
            }
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
                format!("{table} leads to {prefix} through {id}, whose attachments are not known"),
                &[NEEDS_ATTACHMENTS],
                None,
            ),
            (Target::NotFollowed(target), _) => unknown(
                format!("{table} leads to {prefix} through {target}, which cannot be followed"),
                &[],
                None,
            ),
            (Target::Unknown, _) => unknown(
                format!("the target of the route of {table} to {prefix} is not known"),
                &[NEEDS_ROUTES],
                None,
            ),
        }
    }
}

/// A route within the VPC. Only one that is more specific than the local route matters.
fn local_route(code: Code, table: &str, chosen: &Chosen<'_>) -> RouteCheck {
    let prefix = chosen.prefix;
    let of = |check, is_appliance| RouteCheck {
        check,
        link: None,
        is_appliance,
    };
    match (&chosen.target, chosen.state) {
        (Target::Local, _) => of(
            Check::new(
                code,
                Outcome::Allowed,
                format!("{table} keeps packets to {prefix} in the VPC"),
            ),
            false,
        ),
        (_, State::Blackhole) => {
            let text = format!(
                "the route of {table} to {prefix} takes precedence over the local route, and is a blackhole"
            );
            of(
                Check::new(code, Outcome::Denied, text).aws_code("BAD_STATE_ROUTE"),
                false,
            )
        }
        (Target::Internet(target), State::Active) => {
            let text = format!(
                "{table} leads to {prefix} through {target}, which takes precedence over the local route"
            );
            of(
                Check::new(code, Outcome::Denied, text).aws_code("MORE_SPECIFIC_ROUTE"),
                false,
            )
        }
        (Target::Peering(id), State::Active) => {
            let text = format!(
                "{table} leads to {prefix} through {id}, which takes precedence over the local route"
            );
            of(
                Check::new(code, Outcome::Denied, text).aws_code("MORE_SPECIFIC_ROUTE"),
                false,
            )
        }
        (Target::NotFollowed(target), _) => {
            let text =
                format!("{table} leads to {prefix} through {target}, an appliance that cannot be followed");
            of(
                Check::new(code, Outcome::Unknown, text).aws_code("MORE_SPECIFIC_ROUTE"),
                true,
            )
        }
        _ => {
            let text = format!("{table} leads to {prefix} through a target that cannot be followed");
            of(
                Check::new(code, Outcome::Unknown, text).needs(&[NEEDS_ROUTES]),
                true,
            )
        }
    }
}
