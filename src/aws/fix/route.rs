//! Creates fixes that add, replace or remove a route.

use std::fmt;

use ipnet::IpNet;

use super::AwsFix;
use crate::aws::check::{Check, Code};
use crate::aws::command::AwsCommand;
use crate::aws::id::Id;
use crate::aws::network::Network;
use crate::aws::objects::{Route, RouteTable};
use crate::aws::path::Link;
use crate::aws::place::Place;
use crate::aws::route::{self, LookUp, State, Target};

/// An unfinished command that changes a route. The option for the route's target is added later.
pub(super) struct RouteChange {
    pub(super) command: AwsCommand,
    undo: String,
    destination: String,
    is_new: bool,
}

enum Destination<'a> {
    Range(IpNet),
    PrefixList(&'a Id),
}

impl Network<'_> {
    pub(super) fn route_fix(&self, check: &Check, from: &Place, to: &Place) -> Option<AwsFix> {
        if check.aws_code == Some("TGW_ROUTE_AZ_RESTRICTION") {
            let zone = from.zone.as_deref().unwrap_or("the sender's zone");
            let text = format!("add a subnet in {zone} to the attachment of the transit gateway");
            return Some(AwsFix::text(check.code, text));
        }
        let table = route::table_of(self.documents, from.vpc.as_ref()?, from.subnet.as_ref())?;
        let id = table.id.as_ref()?;
        if from.vpc == to.vpc {
            return self.remove_specific_route(check.code, table, id, to);
        }
        let link = self.links.first()?;
        let leads_there = matches!(&table.look_up(self.documents, to.address?)?, LookUp::Route(chosen)
            if chosen.state == State::Active && target_id(&chosen.target) == Some(link.id()));
        if leads_there {
            let text = format!(
                "in the route table that {} uses, add a route to the other VPC",
                link.id()
            );
            return Some(AwsFix::text(check.code, text));
        }
        let change = self.change_route(table, to)?;
        let (command, option) = match link {
            Link::Peering { id, .. } => (change.command.with("--vpc-peering-connection-id", id), id),
            Link::TransitGateway { id, .. } => (change.command.with("--transit-gateway-id", id), id),
        };
        let verb = if change.is_new {
            "add a route"
        } else {
            "replace the route"
        };
        let text = format!("{verb} in {id}: {} through {option}", change.destination);
        Some(AwsFix::text(check.code, text).with(command, change.undo))
    }

    /// Returns a change to the route table, after which the table leads packets to the other end. If an
    /// existing route would take precedence over a new route, the change replaces the existing route.
    pub(super) fn change_route(&self, table: &RouteTable, to: &Place) -> Option<RouteChange> {
        let id = table.id.as_ref()?;
        let range = to.range_for_rules()?;
        let wrong = match table.look_up(self.documents, to.address?)? {
            LookUp::Route(chosen) if chosen.prefix.prefix_len() >= range.prefix_len() => Some(chosen.route),
            _ => None,
        };
        let same = || {
            let mut routes = table.routes.iter().flatten();
            routes.find(|route| route.range.or(route.ipv6_range) == Some(range))
        };
        let with = |operation: &str, destination: &Destination<'_>| {
            destination.add_to(self.command(operation).with("--route-table-id", id))
        };
        let Some(old) = wrong.or_else(same) else {
            let new = Destination::Range(range);
            return Some(RouteChange {
                command: with("create-route", &new),
                undo: with("delete-route", &new).finish(),
                destination: new.to_string(),
                is_new: true,
            });
        };
        let destination = Destination::of(old)?;
        let undo = back_to(with("replace-route", &destination), &old.target()).map_or_else(
            || "replace the route with its old target".to_owned(),
            AwsCommand::finish,
        );
        Some(RouteChange {
            command: with("replace-route", &destination),
            undo,
            destination: destination.to_string(),
            is_new: false,
        })
    }

    /// Suggests removing a broken route between two subnets of one VPC, so that the local route applies.
    fn remove_specific_route(&self, code: Code, table: &RouteTable, id: &Id, to: &Place) -> Option<AwsFix> {
        let LookUp::Route(chosen) = table.look_up(self.documents, to.address?)? else {
            return None;
        };
        let destination = Destination::of(chosen.route)?;
        let with = |operation: &str| destination.add_to(self.command(operation).with("--route-table-id", id));
        let undo = back_to(with("create-route"), &chosen.target).map_or_else(
            || "create the route again with its old target".to_owned(),
            AwsCommand::finish,
        );
        let text = format!("remove the route of {id} to {destination}, so that the local route applies");
        Some(AwsFix::text(code, text).with(with("delete-route"), undo))
    }
}

impl<'a> Destination<'a> {
    /// Returns the destination of a route, or `None` if unknown.
    fn of(route: &'a Route) -> Option<Self> {
        match (route.range.or(route.ipv6_range), &route.prefix_list) {
            (Some(range), _) => Some(Self::Range(range)),
            (None, Some(list)) => Some(Self::PrefixList(list)),
            (None, None) => None,
        }
    }

    fn add_to(&self, command: AwsCommand) -> AwsCommand {
        match self {
            Self::Range(range @ IpNet::V4(_)) => command.with("--destination-cidr-block", range),
            Self::Range(range) => command.with("--destination-ipv6-cidr-block", range),
            Self::PrefixList(list) => command.with("--destination-prefix-list-id", *list),
        }
    }
}

impl fmt::Display for Destination<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(range) => range.fmt(f),
            Self::PrefixList(list) => list.fmt(f),
        }
    }
}

fn target_id(target: &Target) -> Option<&Id> {
    match target {
        Target::Peering(id) | Target::TransitGateway(id) => Some(id),
        _ => None,
    }
}

/// Adds the option for the previous target of a route, to undo a change. Returns `None` for a target without
/// such an option.
fn back_to(command: AwsCommand, target: &Target) -> Option<AwsCommand> {
    Some(match target {
        Target::Peering(id) => command.with("--vpc-peering-connection-id", id),
        Target::TransitGateway(id) => command.with("--transit-gateway-id", id),
        Target::Internet(text) | Target::NotFollowed(text) => {
            let option = match text.split('-').next()? {
                "igw" | "vgw" => "--gateway-id",
                "nat" => "--nat-gateway-id",
                "eigw" => "--egress-only-internet-gateway-id",
                "cagw" => "--carrier-gateway-id",
                "eni" => "--network-interface-id",
                "i" => "--instance-id",
                "lgw" => "--local-gateway-id",
                "vpce" => "--vpc-endpoint-id",
                _ => return None,
            };
            command.with(option, &Id::parse(text)?)
        }
        Target::Local | Target::Unknown => return None,
    })
}
