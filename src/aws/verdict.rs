//! Determines the checks from the documents and facts.

mod acls;
mod routes;

use super::cache::{self, Cache, EndpointName, Form, SERVERLESS_PORTS};
use super::check::{Certainty, Check, Code, Outcome};
use super::documents::{Documents, Interface, User, all, find, is_complete};
use super::facts::Facts;
use super::fix::{self, AwsFix};
use super::id::{Account, Id};
use super::path::{self, Link};
use super::place::{self, Found, Place};
use super::route::Target;
use super::security_group::{Direction, Traffic};
use super::truth::Truth;
use routes::{Path, RouteCheck};

/// The range of local ports that is assumed if the kernel's range is not known.
const ALL_EPHEMERAL: (u16, u16) = (1024, u16::MAX);

const NEEDS_ROUTES: &str = "ec2:DescribeRouteTables";
const NEEDS_PEERINGS: &str = "ec2:DescribeVpcPeeringConnections";
const NEEDS_ATTACHMENTS: &str = "ec2:DescribeTransitGatewayVpcAttachments";
const NEEDS_INTERFACES: &str = "ec2:DescribeNetworkInterfaces";
const NEEDS_ACLS: &str = "ec2:DescribeNetworkAcls";
const NEEDS_SUBNETS: &str = "ec2:DescribeSubnets";

/// The result of all checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assessment {
    pub(crate) outcome: Outcome,
    pub(crate) certainty: Certainty,
    /// The check that determines the outcome: the first denial or, if there is none, the first unknown check.
    pub(crate) first: Option<Code>,
    /// All checks, in the order of their importance.
    pub(crate) checks: Vec<Check>,
    /// The fixes for all denials, in the order of the checks.
    pub(crate) fixes: Vec<AwsFix>,
    pub(crate) source: Place,
    pub(crate) destination: Place,
    pub(crate) cache: Option<Cache>,
    /// Whether the dialled address is a public endpoint, which has no VPC.
    pub(crate) is_public: bool,
    /// Other findings, in one sentence each.
    pub(crate) notes: Vec<String>,
    /// The account of the instance, if the credentials belong to another one.
    pub(crate) other_account: Option<Account>,
    /// The users of the cache, each with the way in which the user logs in: `iam`, `password` or
    /// `no-password`.
    pub(crate) logins: Vec<(String, String)>,
}

impl Assessment {
    /// Returns the permissions needed to fetch the documents that would settle the open questions.
    pub(crate) fn needs(&self) -> Vec<&'static str> {
        let mut needs: Vec<_> = self
            .checks
            .iter()
            .flat_map(|check| check.needs.iter().copied())
            .collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// Returns what the documents show, in one sentence without a full stop.
    pub(crate) fn summary(&self) -> String {
        match (self.outcome, self.first_check()) {
            (Outcome::Allowed, _) | (_, None) => {
                "all rules, routes and network ACLs that were checked allow the connection".to_owned()
            }
            (_, Some(check)) => check.text.clone(),
        }
    }

    /// Returns the first check with this outcome.
    pub(crate) fn first_check(&self) -> Option<&Check> {
        self.checks.iter().find(|check| Some(check.code) == self.first)
    }

    /// Whether there are checks for this kind of fix, and all of them allow the connection.
    pub(crate) fn rules_out(&self, kind: &str) -> bool {
        let mut about = self
            .checks
            .iter()
            .filter(|check| check.code.fix_kind() == kind)
            .peekable();
        about.peek().is_some() && about.all(|check| check.outcome == Outcome::Allowed)
    }
}

/// The parts of the network that the checks use.
pub(crate) struct Network<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) documents: &'a Documents,
    pub(crate) cache: Option<&'a Cache>,
    pub(crate) source: &'a Place,
    pub(crate) destination: &'a Place,
    /// The connections between the two VPCs. Empty if both ends are in the same VPC.
    pub(crate) links: Vec<Link>,
    /// Whether rules may refer to groups of the other end: first for incoming, then for outgoing traffic.
    pub(crate) references: [Truth; 2],
    pub(crate) is_same_subnet: Truth,
}

/// Performs all checks on a network.
pub(crate) fn judge(facts: &Facts, documents: &Documents) -> Assessment {
    let endpoint = facts.endpoint.as_deref().and_then(EndpointName::parse);
    let host = facts.endpoint.clone().unwrap_or_default();
    let cache = endpoint
        .as_ref()
        .and_then(|endpoint| Cache::find(endpoint, &host, documents));
    let source = place::source(facts, documents);
    let (mut destination, found) = place::destination(facts, documents, cache.as_ref(), &source);
    destination.region = cache::region_of(&host);
    let is_public = endpoint
        .as_ref()
        .is_some_and(|endpoint| endpoint.form == Form::PublicServerless);
    let links = match (&source.vpc, &destination.vpc) {
        (Some(one), Some(other)) if one != other => path::links(documents, one, other),
        _ => Vec::new(),
    };
    let mut network = Network {
        facts,
        documents,
        cache: cache.as_ref(),
        source: &source,
        destination: &destination,
        links,
        references: [Truth::Unknown; 2],
        is_same_subnet: source.shares_subnet_with(&destination),
    };
    let mut checks = network.cache_checks(endpoint.as_ref());
    if !is_public {
        let reach = network.vpc_check(&found);
        let is_connected = reach.code == Code::Vpc && reach.outcome == Outcome::Allowed
            || reach.code == Code::VpcPeering && reach.outcome == Outcome::Denied
            || reach.code == Code::AddressGone;
        let is_apart = reach.code == Code::VpcDifferent && reach.outcome == Outcome::Denied;
        checks.push(reach);
        let routes = if is_connected {
            network.route_checks()
        } else {
            Vec::new()
        };
        network.references = if is_apart {
            [Truth::No; 2]
        } else {
            network.references(&routes)
        };
        checks.extend(routes.into_iter().map(|route| route.check));
        checks.extend(network.group_checks());
        checks.extend(network.acl_checks());
    }
    let is_likely = place::is_translated(facts);
    let mut checks: Vec<Check> = checks
        .into_iter()
        .map(|check| check.likely_if(is_likely))
        .collect();
    checks.sort_by_key(|check| check.code);
    let (outcome, first) = overall(&checks);
    let certainty = checks.iter().find(|check| Some(check.code) == first).map_or(
        if is_likely {
            Certainty::Likely
        } else {
            Certainty::Proved
        },
        |check| check.certainty,
    );
    let fixes = fix::all(&network, &checks);
    let notes = network.notes();
    Assessment {
        outcome,
        certainty,
        first,
        checks,
        fixes,
        notes,
        logins: logins(cache.as_ref(), documents),
        other_account: other_account(facts, documents).cloned(),
        source,
        destination,
        cache,
        is_public,
    }
}

/// Returns the account of the instance, if the credentials belong to another one.
fn other_account<'a>(facts: &'a Facts, documents: &Documents) -> Option<&'a Account> {
    let owner = facts.source.as_ref()?.owner.as_ref()?;
    let account = documents.account.as_ref()?;
    (owner != account).then_some(owner)
}

/// Returns the users in the cache's user groups.
fn logins(cache: Option<&Cache>, documents: &Documents) -> Vec<(String, String)> {
    let groups = cache
        .and_then(|cache| cache.user_groups.clone())
        .unwrap_or_default();
    let is_user = |user: &&User| user.groups.iter().flatten().any(|group| groups.contains(group));
    let users = all(&documents.users).filter(is_user);
    users
        .filter_map(|user| Some((user.name.clone()?, user.authentication.as_ref()?.kind.clone()?)))
        .collect()
}

/// Returns the outcome of all checks. A single proven denial is enough, even if other checks are unknown.
fn overall(checks: &[Check]) -> (Outcome, Option<Code>) {
    for outcome in [Outcome::Denied, Outcome::Partly, Outcome::Unknown] {
        if let Some(check) = checks.iter().find(|check| check.outcome == outcome) {
            return (outcome, Some(check.code));
        }
    }
    (Outcome::Allowed, None)
}

impl Network<'_> {
    fn cache_checks(&self, endpoint: Option<&EndpointName>) -> Vec<Check> {
        let mut checks = Vec::new();
        let named = self.facts.endpoint.as_deref().and_then(cache::region_of);
        if let (Some(named), Some(own)) = (&named, &self.facts.region) {
            let check = if named == own {
                Check::new(
                    Code::RegionDifferent,
                    Outcome::Allowed,
                    format!("the cache is in {own}, as this instance is"),
                )
            } else {
                let text = format!("the name belongs to a cache in {named}, but this instance is in {own}");
                Check::new(Code::RegionDifferent, Outcome::Denied, text)
            };
            checks.push(check.about(Some(named)));
        }
        let Some(endpoint) = endpoint else {
            return checks;
        };
        let Some(cache) = self.cache else {
            checks.push(self.unknown_cache(endpoint));
            return checks;
        };
        checks.push(status_check(cache));
        if let (Some(ports), Some(port)) = (&cache.ports, self.facts.port) {
            let listed: Vec<_> = ports.iter().map(ToString::to_string).collect();
            let listed = listed.join(" and ");
            let check = if ports.contains(&port) || cache.is_serverless() && SERVERLESS_PORTS.contains(&port)
            {
                Check::new(
                    Code::CachePort,
                    Outcome::Allowed,
                    format!("the cache listens on port {port}"),
                )
            } else {
                let text = format!("the cache listens on port {listed}, not on {port}");
                Check::new(Code::CachePort, Outcome::Denied, text)
            };
            checks.push(check.about(Some(&cache.name)));
        }
        if cache
            .engine
            .as_deref()
            .is_some_and(|engine| engine.eq_ignore_ascii_case("memcached"))
        {
            let text = format!("{} is a Memcached cluster, not Redis or Valkey", cache.name);
            checks.push(Check::new(Code::CacheEngine, Outcome::Denied, text).about(Some(&cache.name)));
        }
        checks
    }

    fn unknown_cache(&self, endpoint: &EndpointName) -> Check {
        let name = endpoint.names.last();
        let (is_absent, needs) = match endpoint.form {
            Form::Nodes => (
                is_complete(&self.documents.replication_groups)
                    && is_complete(&self.documents.cache_clusters),
                "elasticache:DescribeReplicationGroups",
            ),
            Form::Serverless | Form::PublicServerless => (
                is_complete(&self.documents.serverless_caches),
                "elasticache:DescribeServerlessCaches",
            ),
        };
        let check = match name.filter(|_| is_absent) {
            Some(name) => {
                let text = format!(
                    "ElastiCache has no cache named {name} in this account and region: check the spelling, the account and the \
                     region"
                );
                Check::new(Code::CacheStatus, Outcome::Unknown, text)
            }
            None => {
                let text = "the documents do not contain ElastiCache's description of the cache";
                Check::new(Code::CacheStatus, Outcome::Unknown, text).needs(&[needs])
            }
        };
        check.about(name)
    }

    fn vpc_check(&self, found: &Found) -> Check {
        let address = self
            .destination
            .address
            .map_or_else(|| "the address".to_owned(), |address| address.to_string());
        match found {
            Found::Gone => {
                let text =
                    format!("no network interface in the VPC has {address}: the name led to an old address");
                Check::new(Code::AddressGone, Outcome::Denied, text)
                    .about(Some(&address))
                    .likely_if(true)
            }
            Found::Overlap(other) => {
                let own = self.source.vpc.as_ref().map_or("this VPC", Id::as_str);
                let text = format!(
                    "{address} belongs to {other}, but the ranges of {own} contain it, too: packets never leave {own}"
                );
                Check::new(Code::VpcOverlap, Outcome::Denied, text)
                    .about(Some(other))
                    .aws_code("VPC_LOCAL_ROUTE_CIDR_RESTRICTION")
                    .likely_if(true)
            }
            Found::Several(vpcs) => {
                let names: Vec<_> = vpcs.iter().map(Id::as_str).collect();
                let text = format!("{address} exists in several VPCs: {}", names.join(", "));
                Check::new(Code::Vpc, Outcome::Unknown, text).needs(&[NEEDS_PEERINGS])
            }
            Found::Unknown => self.unknown_vpc(&address),
            Found::Here => self.connection_check(),
        }
    }

    fn unknown_vpc(&self, address: &str) -> Check {
        let text = match (&self.source.vpc, self.documents.interfaces.is_some()) {
            (None, _) => "the documents do not show the VPC of this instance".to_owned(),
            (_, false) => format!("the documents do not show which VPC has {address}"),
            (_, true) => format!("no network interface that these credentials can see has {address}"),
        };
        let mut needs = vec![NEEDS_INTERFACES];
        if self.documents.interfaces.is_some() {
            needs = vec![
                "elasticache:DescribeReplicationGroups",
                "elasticache:DescribeCacheSubnetGroups",
            ];
        }
        Check::new(Code::Vpc, Outcome::Unknown, text).needs(&needs)
    }

    /// Checks whether both ends are in the same VPC or in connected VPCs.
    fn connection_check(&self) -> Check {
        let (Some(own), Some(other)) = (&self.source.vpc, &self.destination.vpc) else {
            return self.unknown_vpc("the address");
        };
        if own == other {
            return Check::new(Code::Vpc, Outcome::Allowed, format!("both ends are in {own}"))
                .about(Some(own));
        }
        if let Some(link) = self.links.iter().find(|link| link.is_active()) {
            let text = format!("{} connects {own} with {other}", link.id());
            return Check::new(Code::Vpc, Outcome::Allowed, text).about(Some(link.id()));
        }
        let mut needs = Vec::new();
        let is_vague = all(&self.documents.peerings).any(|peering| path::may_connect(peering, own, other));
        if !is_complete(&self.documents.peerings) || is_vague {
            needs.push(NEEDS_PEERINGS);
        }
        let is_hidden = path::may_be_attached_elsewhere(
            self.documents,
            own,
            self.source.owner.as_ref(),
            self.destination.owner.as_ref(),
        );
        if !is_complete(&self.documents.transit_attachments) || is_hidden {
            needs.push(NEEDS_ATTACHMENTS);
        }
        let other_way = self.other_way(own);
        if other_way == Some(None) {
            needs.push(NEEDS_ROUTES);
        }
        let pending = self.links.iter().find(|link| link.is_pending());
        let code = if pending.is_some() {
            Code::VpcPeering
        } else {
            Code::VpcDifferent
        };
        let is_only_pending = self.links.iter().all(Link::is_pending);
        if let Some(Some(target)) = other_way {
            let text = format!(
                "the cache is in {other}, and a route of {own} sends its packets to {target}, which cannot be followed"
            );
            return Check::new(code, Outcome::Unknown, text)
                .about(Some(target))
                .needs(&needs);
        }
        if !needs.is_empty() || !is_only_pending {
            let text = format!(
                "the cache is in {other}, and the documents do not show whether anything connects it with {own}"
            );
            return Check::new(code, Outcome::Unknown, text)
                .about(Some(other))
                .needs(&needs);
        }
        match pending {
            Some(link) => {
                let text = format!(
                    "the peering {} between {own} and {other} has not been accepted",
                    link.id()
                );
                Check::new(code, Outcome::Denied, text)
                    .about(Some(link.id()))
                    .aws_code("BAD_STATE")
            }
            None => {
                let text =
                    format!("the cache is in {other}, this instance in {own}, and nothing connects the two");
                let is_likely = self.destination.is_by_name;
                Check::new(code, Outcome::Denied, text)
                    .about(Some(other))
                    .aws_code("NO_ROUTE_TO_DESTINATION")
                    .likely_if(is_likely)
            }
        }
    }

    /// Returns the target of a route in the VPC that may lead to the address, although no peering connection
    /// or attachment is visible. Returns `Some(None)` if the routes are not known.
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
                let contains = match (route.range.or(route.ipv6_range), &route.prefix_list) {
                    (Some(range), _) => Truth::from(range.contains(&address)),
                    (None, Some(list)) => {
                        let entries = self.documents.prefix_list(list);
                        Truth::from(
                            entries.map(|entries| entries.iter().any(|range| range.contains(&address))),
                        )
                    }
                    (None, None) => Truth::Unknown,
                };
                let is_dead = route
                    .state
                    .as_deref()
                    .is_some_and(|state| state.eq_ignore_ascii_case("blackhole"));
                let gateway_endpoint = route.prefix_list.is_some()
                    && route
                        .gateway
                        .as_deref()
                        .is_some_and(|gateway| gateway.starts_with("vpce-"));
                if contains == Truth::No || is_dead || gateway_endpoint && contains == Truth::Unknown {
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

    /// Whether rules may refer to groups of the other end on this path: first for incoming, then for outgoing
    /// traffic. If there is no route, this applies to the path that the fixes create.
    fn references(&self, routes: &[RouteCheck]) -> [Truth; 2] {
        if routes.iter().any(|route| route.path == Path::Appliance) {
            return [Truth::No; 2];
        }
        let of_route = |route: &RouteCheck| match &route.path {
            Path::Link(link) => Some(link.references()),
            Path::UnknownGateway => Some([Truth::Unknown, Truth::No]),
            Path::Unknown => Some([Truth::Unknown; 2]),
            Path::None | Path::Appliance => None,
        };
        if self.source.vpc.is_some() && self.source.vpc == self.destination.vpc {
            return routes.iter().find_map(of_route).unwrap_or([Truth::Yes; 2]);
        }
        let first = self.links.first().map(Link::references);
        routes
            .iter()
            .find_map(of_route)
            .or(first)
            .unwrap_or([Truth::Unknown; 2])
    }

    fn group_checks(&self) -> Vec<Check> {
        let Some(port) = self.facts.port else {
            return [Code::SgEgress, Code::SgIngress]
                .map(|code| {
                    Check::new(
                        code,
                        Outcome::Unknown,
                        "neither the URL nor a document contains the port",
                    )
                })
                .into();
        };
        let traffic = |direction, own, peer, references| Traffic {
            documents: self.documents,
            facts: self.facts,
            direction,
            own,
            peer,
            port,
            references,
        };
        let [incoming, outgoing] = self.references;
        vec![
            traffic(Direction::Egress, self.source, self.destination, outgoing).judge(),
            traffic(Direction::Ingress, self.destination, self.source, incoming).judge(),
        ]
    }

    /// Returns findings that do not belong to any check.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let interface = self.destination.interface.as_ref();
        let interface: Option<&Interface> = interface.and_then(|id| {
            find(&self.documents.interfaces, |interface| {
                interface.id.as_ref() == Some(id)
            })
        });
        if let Some(interface) = interface.filter(|interface| interface.is_elasticache()) {
            let description = interface.description.as_deref().unwrap_or_default();
            notes.push(format!(
                "the interface with this address belongs to ElastiCache ({description})"
            ));
        }
        let named = self.cache.and_then(|cache| Some((cache, cache.groups.as_ref()?)));
        if let (Some((cache, named)), Some(own)) =
            (named.filter(|_| interface.is_some()), &self.destination.groups)
        {
            let mut sorted = [named.clone(), own.clone()];
            sorted.iter_mut().for_each(|groups| groups.sort());
            if sorted[0] != sorted[1] {
                notes.push(format!(
                    "ElastiCache says that {} has the security groups {}, but the interface with this address has {}: the name may \
                     lead to an old address, or a change is in progress",
                    cache.name,
                    list(named),
                    list(own),
                ));
            }
        }
        let account = self.documents.account.as_ref();
        if let (Some(account), Some(owner)) = (account, other_account(self.facts, self.documents)) {
            notes.push(format!(
                "the credentials belong to account {account}, but this instance to {owner}: they may not see its network"
            ));
        }
        if place::is_translated(self.facts) {
            notes.push(
                "this process seems to run in a container: the address of the instance is used instead of the container's"
                    .to_owned(),
            );
        }
        notes
    }
}

fn list(ids: &[Id]) -> String {
    ids.iter().map(Id::as_str).collect::<Vec<_>>().join(", ")
}

fn status_check(cache: &Cache) -> Check {
    const USABLE: [&str; 3] = ["available", "modifying", "snapshotting"];
    let name = &cache.name;
    let check = match cache.status.as_deref() {
        None => Check::new(
            Code::CacheStatus,
            Outcome::Unknown,
            format!("ElastiCache's answer does not contain the status of {name}"),
        )
        .needs(&["elasticache:DescribeReplicationGroups"]),
        Some(status) if USABLE.iter().any(|usable| usable.eq_ignore_ascii_case(status)) => {
            Check::new(Code::CacheStatus, Outcome::Allowed, format!("{name} is {status}"))
        }
        Some(status) => {
            let text = format!("the status of {name} is {status}, so that it does not answer");
            Check::new(Code::CacheStatus, Outcome::Denied, text).aws_code("BAD_STATE")
        }
    };
    check.about(Some(name))
}
