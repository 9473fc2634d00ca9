//! Creates the commands that add what is missing, and those that remove it again.

use ipnet::IpNet;

use super::check::{Check, Code, Outcome};
use super::command::AwsCommand;
use super::documents::RouteTable;
use super::id::Id;
use super::network_acl::{self, Packets};
use super::path::Link;
use super::place::{self, Place};
use super::route::{self, LookUp, State, Target};
use super::security_group::{self, Direction};
use super::truth::Truth;
use super::verdict::Network;

/// A fix for one denial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AwsFix {
    /// The check that succeeds after this fix.
    pub(crate) code: Code,
    /// The kind of fix, as in `fixes[].kind`.
    pub(crate) kind: &'static str,
    /// What to do, in one sentence.
    pub(crate) text: String,
    /// A command that can be pasted unchanged.
    pub(crate) command: Option<String>,
    /// The command that undoes the fix, or a description of the steps.
    pub(crate) undo: Option<String>,
}

impl AwsFix {
    fn text(code: Code, text: impl Into<String>) -> Self {
        Self {
            code,
            kind: code.fix_kind(),
            text: text.into(),
            command: None,
            undo: None,
        }
    }

    fn with(mut self, command: AwsCommand, undo: impl Into<String>) -> Self {
        self.command = Some(command.finish());
        self.undo = Some(undo.into());
        self
    }
}

/// The part of a command that changes a route, without the route's target.
struct RouteChange {
    command: AwsCommand,
    undo: String,
    destination: String,
    is_new: bool,
}

/// Returns the fixes for all denials, in the order of the checks.
pub(crate) fn all(network: &Network<'_>, checks: &[Check]) -> Vec<AwsFix> {
    let mut fixes = Vec::new();
    // The ACL entries that earlier fixes add, each as the ACL, the direction and the number.
    let mut reserved: Vec<(Id, Direction, i64)> = Vec::new();
    for check in checks {
        if !matches!(check.outcome, Outcome::Denied | Outcome::Partly) {
            continue;
        }
        match check.code {
            Code::RouteThere => fixes.extend(network.route_fix(check, network.source, network.destination)),
            Code::RouteBack => fixes.extend(network.route_fix(check, network.destination, network.source)),
            Code::SgEgress => {
                fixes.extend(network.group_fix(
                    check.code,
                    Direction::Egress,
                    network.source,
                    network.destination,
                ));
            }
            Code::SgIngress => {
                fixes.extend(network.group_fix(
                    check.code,
                    Direction::Ingress,
                    network.destination,
                    network.source,
                ));
            }
            Code::AclOut | Code::AclIn | Code::AclBackOut | Code::AclBackIn => {
                fixes.extend(network.acl_fix(check.code, &mut reserved));
            }
            _ => fixes.extend(network.other_fix(check)),
        }
    }
    fixes
}

impl Network<'_> {
    fn command(&self, operation: &str) -> AwsCommand {
        AwsCommand::ec2(operation, self.facts.region.as_ref())
    }

    /// Returns the range of ports that a rule should allow. A serverless cache needs two ports.
    fn ports(&self) -> Option<(u16, u16)> {
        let port = self.facts.port?;
        let is_serverless = self.cache.is_some_and(super::cache::Cache::is_serverless);
        let [first, last] = super::cache::SERVERLESS_PORTS;
        let both = (first, last);
        Some(if is_serverless && (first..=last).contains(&port) {
            both
        } else {
            (port, port)
        })
    }

    fn other_fix(&self, check: &Check) -> Vec<AwsFix> {
        let of = |text: &str| AwsFix::text(check.code, text);
        match check.code {
            Code::RegionDifferent => vec![of(
                "use a cache in this instance's region, or run the app in the cache's region: only a peering or a transit \
                 gateway between the regions can connect them",
            )],
            Code::CacheStatus => vec![of(
                "wait until the cache is available, or look for the reason of its status in the ElastiCache console (Events)",
            )],
            Code::CachePort => {
                let ports = self
                    .cache
                    .and_then(|cache| cache.ports.as_ref())
                    .into_iter()
                    .flatten();
                let ports: Vec<_> = ports.map(ToString::to_string).collect();
                vec![of(&format!(
                    "use the port of the cache in the URL: {}",
                    ports.join(" or ")
                ))]
            }
            Code::CacheEngine => vec![of(
                "use the endpoint of a Redis or Valkey cache: Memcached has another protocol",
            )],
            Code::AddressGone => vec![of(
                "look the name up again, and restart the app if it keeps addresses: after a failover or a change, the cache has \
                 another address",
            )],
            Code::VpcOverlap => vec![of(
                "use an instance in the VPC of the cache: two VPCs with overlapping ranges cannot be connected by a peering",
            )],
            Code::VpcPeering => self.accept_fix(check),
            Code::VpcDifferent => self.peering_fix(check),
            _ => Vec::new(),
        }
    }

    fn accept_fix(&self, check: &Check) -> Vec<AwsFix> {
        let Some(link) = self.links.iter().find(|link| link.is_pending()) else {
            return Vec::new();
        };
        let option = "--vpc-peering-connection-id";
        let accept = self
            .command("accept-vpc-peering-connection")
            .with(option, link.id());
        let delete = self
            .command("delete-vpc-peering-connection")
            .with(option, link.id());
        let undo = format!(
            "{}   # an accepted peering cannot become pending again",
            delete.finish()
        );
        let fix = AwsFix::text(
            check.code,
            "accept the peering, in the account of the VPC that it was requested for",
        );
        vec![fix.with(accept, undo)]
    }

    /// Returns the simple fix and, if it is possible, a fix that creates a new peering connection.
    fn peering_fix(&self, check: &Check) -> Vec<AwsFix> {
        let other = self
            .destination
            .vpc
            .as_ref()
            .map_or("the cache's VPC", Id::as_str);
        let mut fixes = vec![AwsFix::text(
            check.code,
            format!("use an instance in {other}, the VPC of the cache"),
        )];
        fixes.extend(self.new_peering().map(|command| AwsFix {
            code: check.code,
            kind: "peering",
            text: "or connect the two VPCs with a peering, and add the routes".to_owned(),
            command: Some(command),
            undo: Some("delete the two routes, then the peering".to_owned()),
        }));
        fixes
    }

    fn new_peering(&self) -> Option<String> {
        let (near, far) = (self.source, self.destination);
        let (own, other) = (near.vpc.as_ref()?, far.vpc.as_ref()?);
        let is_one_account = match (&near.owner, &far.owner) {
            (Some(one), Some(other)) => one == other,
            // If the owner is unknown, but the documents show the VPC's subnets or the cache, the VPC belongs
            // to this account.
            (_, None) => far.is_by_name,
            (None, _) => false,
        };
        let ranges = (
            place::ranges_of(self.documents, own)?,
            place::ranges_of(self.documents, other)?,
        );
        let overlaps = ranges.0.iter().any(|one| {
            ranges
                .1
                .iter()
                .any(|other| one.contains(other) || other.contains(one))
        });
        if !is_one_account || overlaps {
            return None;
        }
        let routes = [(near, far), (far, near)].map(|(from, to)| {
            let table = route::table_of(self.documents, from.vpc.as_ref()?, from.subnet.as_ref())?;
            let change = self.change_route(table, to)?;
            Some(change.command.word("--vpc-peering-connection-id \"$P\"").finish())
        });
        let [there, back] = routes;
        let create = self
            .command("create-vpc-peering-connection")
            .with("--vpc-id", own)
            .with("--peer-vpc-id", other)
            .word("--query VpcPeeringConnection.VpcPeeringConnectionId --output text")
            .finish();
        let accept = self
            .command("accept-vpc-peering-connection")
            .word("--vpc-peering-connection-id \"$P\"")
            .finish();
        Some(format!("P=$({create}) && {accept} && {} && {}", there?, back?))
    }

    fn group_fix(&self, code: Code, direction: Direction, own: &Place, peer: &Place) -> Option<AwsFix> {
        let (groups, ports) = (own.groups.as_deref()?, self.ports()?);
        let of_cache = |groups| security_group::best_of_cache(groups, self.documents, ports.0);
        let of_instance = |groups| security_group::best_of_instance(groups, self.documents);
        let [incoming, outgoing] = self.references;
        let of_peer = |references| peer.groups.as_deref().filter(|_| references == Truth::Yes);
        let (group, named) = match direction {
            Direction::Ingress => (of_cache(groups)?, of_peer(incoming).and_then(of_instance)),
            Direction::Egress => (of_instance(groups)?, of_peer(outgoing).and_then(of_cache)),
        };
        let rule = |verb: &str| {
            let command = self
                .command(&format!("{verb}-security-group-{}", direction.name()))
                .with("--group-id", group);
            Some(match (named, peer.address.map(IpNet::from)) {
                (Some(named), _) => {
                    let command = command
                        .word("--protocol tcp")
                        .ports(ports)
                        .with("--source-group", named);
                    let owner = peer
                        .owner
                        .as_ref()
                        .filter(|owner| own.owner.as_ref().is_some_and(|own| own != *owner));
                    match owner {
                        Some(owner) => command.with("--group-owner", owner),
                        None => command,
                    }
                }
                (None, Some(range @ IpNet::V4(_))) => {
                    command.word("--protocol tcp").ports(ports).with("--cidr", &range)
                }
                (None, Some(range)) => command.ipv6_rule(ports, range),
                (None, None) => return None,
            })
        };
        let from = match (direction, named, peer.address) {
            (Direction::Ingress, Some(named), _) => format!("in from {named}"),
            (Direction::Egress, Some(named), _) => format!("out to {named}"),
            (Direction::Ingress, None, address) => format!("in from {}", address?),
            (Direction::Egress, None, address) => format!("out to {}", address?),
        };
        let text = format!(
            "add a rule to {group} that allows tcp {} {from}",
            range_text(ports)
        );
        Some(AwsFix::text(code, text).with(rule("authorize")?, rule("revoke")?.finish()))
    }

    fn acl_fix(&self, code: Code, reserved: &mut Vec<(Id, Direction, i64)>) -> Option<AwsFix> {
        let (_, place, packets) = self
            .acl_passages()
            .into_iter()
            .find(|(other, ..)| *other == code)?;
        let packets: Packets = packets?;
        let acl = network_acl::of_subnet(self.documents, place.subnet.as_ref()?)?;
        let id = acl.id.as_ref()?;
        let peer = if std::ptr::eq(place, self.source) {
            self.destination
        } else {
            self.source
        };
        let range = peer.range_for_rules()?;
        let direction = packets.direction;
        let own: Vec<i64> = reserved
            .iter()
            .filter(|(other, way, _)| other == id && *way == direction)
            .map(|(.., number)| *number)
            .collect();
        let what = format!(
            "tcp {} {} {range}",
            range_text(packets.ports),
            if direction == Direction::Egress {
                "to"
            } else {
                "from"
            }
        );
        let Some(number) = acl.free_number(packets, &own) else {
            let text = format!(
                "add an entry to {id} that allows {what}: no rule number before the entry that denies it is free, so replace an \
                 existing entry"
            );
            return Some(AwsFix::text(code, text));
        };
        reserved.push((id.clone(), direction, number));
        let way = match direction {
            Direction::Ingress => "--ingress",
            Direction::Egress => "--egress",
        };
        let entry = |operation: &str| {
            self.command(operation)
                .with("--network-acl-id", id)
                .word(way)
                .with("--rule-number", &number)
        };
        let option = if range.addr().is_ipv4() {
            "--cidr-block"
        } else {
            "--ipv6-cidr-block"
        };
        let create = entry("create-network-acl-entry")
            .word("--protocol tcp")
            .port_range(packets.ports)
            .with(option, &range)
            .word("--rule-action allow");
        let text = format!("add entry {number} to {id}, which allows {what}");
        Some(AwsFix::text(code, text).with(create, entry("delete-network-acl-entry").finish()))
    }

    fn route_fix(&self, check: &Check, from: &Place, to: &Place) -> Option<AwsFix> {
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
                "add a route to the other VPC to the route table that {} uses",
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

    /// Returns the change of a route table that packets to the other end need, without the route's target. If
    /// a wrong route would take precedence, it is replaced.
    fn change_route(&self, table: &RouteTable, to: &Place) -> Option<RouteChange> {
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
        let of = |operation: &str| self.command(operation).with("--route-table-id", id);
        let Some(old) = wrong.or_else(same) else {
            let option = destination_option(range);
            return Some(RouteChange {
                command: of("create-route").with(option, &range),
                undo: of("delete-route").with(option, &range).finish(),
                destination: range.to_string(),
                is_new: true,
            });
        };
        let replace = || {
            Some(match (old.range.or(old.ipv6_range), &old.prefix_list) {
                (Some(range), _) => (
                    of("replace-route").with(destination_option(range), &range),
                    range.to_string(),
                ),
                (None, Some(list)) => (
                    of("replace-route").with("--destination-prefix-list-id", list),
                    list.to_string(),
                ),
                (None, None) => return None,
            })
        };
        let (command, destination) = replace()?;
        let undo = back_to(replace()?.0, &old.target()).map_or_else(
            || "replace the route with its old target".to_owned(),
            AwsCommand::finish,
        );
        Some(RouteChange {
            command,
            undo,
            destination,
            is_new: false,
        })
    }

    /// Returns a fix that removes a route within a VPC. The local route is sufficient, but a more specific
    /// route that does not work takes precedence.
    fn remove_specific_route(&self, code: Code, table: &RouteTable, id: &Id, to: &Place) -> Option<AwsFix> {
        let LookUp::Route(chosen) = table.look_up(self.documents, to.address?)? else {
            return None;
        };
        let range = chosen.route.range.or(chosen.route.ipv6_range);
        let (destination, option) = match (range, &chosen.route.prefix_list) {
            (Some(range), _) => (range.to_string(), None),
            (None, Some(list)) => (list.to_string(), Some(list)),
            (None, None) => return None,
        };
        let route = |operation: &str| {
            let command = self.command(operation).with("--route-table-id", id);
            match (option, range) {
                (Some(list), _) => command.with("--destination-prefix-list-id", list),
                (None, Some(range)) => command.with(destination_option(range), &range),
                (None, None) => command,
            }
        };
        let undo = back_to(route("create-route"), &chosen.target).map_or_else(
            || "create the route again with its old target".to_owned(),
            AwsCommand::finish,
        );
        let text = format!("remove the route of {id} to {destination}, so that the local route applies");
        Some(AwsFix::text(code, text).with(route("delete-route"), undo))
    }
}

fn target_id(target: &Target) -> Option<&Id> {
    match target {
        Target::Peering(id) | Target::TransitGateway(id) => Some(id),
        _ => None,
    }
}

/// Adds the previous target of a route to the command.
fn back_to(command: AwsCommand, target: &Target) -> Option<AwsCommand> {
    let id = |text: &str| Id::parse(text);
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
            command.with(option, &id(text)?)
        }
        Target::Local | Target::Unknown => return None,
    })
}

fn destination_option(range: IpNet) -> &'static str {
    if range.addr().is_ipv4() {
        "--destination-cidr-block"
    } else {
        "--destination-ipv6-cidr-block"
    }
}

fn range_text((first, last): (u16, u16)) -> String {
    if first == last {
        first.to_string()
    } else {
        format!("{first}-{last}")
    }
}
