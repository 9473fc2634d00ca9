//! Locates the two ends of the connection: the instance's network interface, and the network interface with
//! the remote address.

use std::net::IpAddr;

use ipnet::IpNet;

use super::cache::Cache;
use super::documents::{Documents, all, is_complete};
use super::facts::Facts;
use super::id::{Account, Id, Region};
use super::objects::{Interface, RouteTable, Subnet};
use super::path;
use super::truth::Truth;

/// One end of the connection. A field is `None` if its value is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) address: Option<IpAddr>,
    pub(crate) region: Option<Region>,
    pub(crate) interface: Option<Id>,
    pub(crate) vpc: Option<Id>,
    pub(crate) subnet: Option<Id>,
    /// The CIDR range of the subnet that contains the address.
    pub(crate) range: Option<IpNet>,
    pub(crate) zone: Option<String>,
    pub(crate) groups: Option<Vec<Id>>,
    pub(crate) owner: Option<Account>,
    /// Whether the security groups come from ElastiCache's description of the cache, and not from a network
    /// interface.
    pub(crate) is_by_name: bool,
}

/// The result of the search for the remote end of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The VPC of the remote address was found.
    Here,
    /// The cache was found, but no network interface in its VPC has the address, so the address is probably
    /// out of date.
    Gone,
    /// The address is in the range of the instance's own VPC, so packets stay there. However, the cache with
    /// this address is in a different VPC. Contains the ID of that VPC.
    Overlap(Id),
    /// Interfaces in several VPCs have the address, so the right VPC is unknown.
    Several(Vec<Id>),
    Unknown,
}

/// Returns the instance's end of the connection.
pub(crate) fn source(facts: &Facts, documents: &Documents) -> Place {
    let own = facts.source.clone().unwrap_or_default();
    let address = source_address(facts);
    let by_id = own.interface.as_ref().and_then(|id| documents.interface(id));
    let by_address = || {
        let is_it = |interface: &&Interface| {
            address.is_some_and(|address| interface.has(address) == Truth::Yes)
                && (own.vpc.is_none() || own.vpc == interface.vpc)
        };
        let mut found = all(&documents.interfaces).filter(is_it);
        found.next().filter(|_| found.next().is_none())
    };
    let interface = by_id.or_else(by_address).cloned().unwrap_or_default();
    let mut place = Place {
        address,
        groups: interface.group_ids().or(own.groups),
        interface: interface.id.or(own.interface),
        vpc: interface.vpc.or(own.vpc),
        subnet: interface.subnet.or(own.subnet),
        owner: interface.owner.or(own.owner),
        region: facts.region.clone(),
        ..Place::default()
    };
    place.fill_in_subnet(documents);
    place
}

/// Returns the source address of the packets. In a container, this differs from the local address of the
/// socket.
fn source_address(facts: &Facts) -> Option<IpAddr> {
    let source = facts.source.as_ref();
    let own = source
        .and_then(|source| source.addresses.as_deref())
        .unwrap_or_default();
    match facts.from {
        Some(from) if own.is_empty() || own.contains(&from) || is_delegated(facts, from) => Some(from),
        from => {
            let same_family = |address: &&IpAddr| {
                facts
                    .address
                    .or(from)
                    .is_none_or(|to| to.is_ipv4() == address.is_ipv4())
            };
            own.iter().find(same_family).copied()
        }
    }
}

fn is_delegated(facts: &Facts, address: IpAddr) -> bool {
    let prefixes = facts.source.as_ref().and_then(|source| source.prefixes.as_ref());
    prefixes.is_some_and(|prefixes| prefixes.iter().any(|range| range.contains(&address)))
}

/// Whether this host sends packets with a source address that differs from the local address, as in a
/// container.
pub(crate) fn is_translated(facts: &Facts) -> bool {
    facts.from.is_some() && source_address(facts) != facts.from
}

/// The search for the remote end of the connection.
struct Search<'a> {
    facts: &'a Facts,
    documents: &'a Documents,
    cache: Option<&'a Cache>,
    source: &'a Place,
    own_vpc: &'a Id,
    address: IpAddr,
    /// The interfaces that have the remote address.
    interfaces: Vec<&'a Interface>,
}

/// Returns the remote end of the connection, and how it was found.
pub(crate) fn destination(
    facts: &Facts,
    documents: &Documents,
    cache: Option<&Cache>,
    source: &Place,
) -> (Place, Found) {
    let nowhere = Place {
        address: facts.address,
        ..Place::default()
    };
    let (Some(address), Some(own_vpc)) = (facts.address, &source.vpc) else {
        return (nowhere, Found::Unknown);
    };
    let search = Search {
        facts,
        documents,
        cache,
        source,
        own_vpc,
        address,
        interfaces: all(&documents.interfaces)
            .filter(|interface| interface.has(address) == Truth::Yes)
            .collect(),
    };
    if let Some(place) = search.interface_in(own_vpc) {
        return (place, Found::Here);
    }
    let found = match is_in_vpc(facts, documents, own_vpc, address) {
        Truth::Yes => search.in_own_vpc(),
        Truth::Unknown => Err(Found::Unknown),
        Truth::No => search.in_another_vpc(),
    };
    found.unwrap_or_else(|found| (nowhere, found))
}

impl Search<'_> {
    /// Returns the network interface in this VPC that has the remote address.
    fn interface_in(&self, vpc: &Id) -> Option<Place> {
        let mut interfaces = self.interfaces.iter();
        let found = interfaces.find(|interface| interface.vpc.as_ref() == Some(vpc))?;
        Some(of_interface(found, self.address, self.documents))
    }

    /// Returns the remote end if the address is in the range of the instance's own VPC, but no known network
    /// interface in this VPC has the address. Packets to such an address never leave the VPC.
    fn in_own_vpc(&self) -> Result<(Place, Found), Found> {
        let Search { documents, cache, .. } = *self;
        let sees_all = is_complete(&documents.interfaces)
            && all(&documents.interfaces).all(|interface| interface.has(self.address) != Truth::Unknown)
            && owns_vpc(self.facts, documents, self.source) == Truth::Yes;
        let elsewhere = self.interfaces.iter().find_map(|interface| interface.vpc.clone());
        let named_elsewhere = cache
            .and_then(|cache| cache.vpc.clone())
            .filter(|vpc| vpc != self.own_vpc);
        if let Some(vpc) = named_elsewhere.or(elsewhere.filter(|_| sees_all)) {
            return Err(Found::Overlap(vpc));
        }
        let groups = cache.and_then(|cache| cache.groups.clone());
        let place = in_vpc(self.own_vpc, self.address, groups, documents);
        let is_gone = sees_all && cache.is_some();
        Ok((place, if is_gone { Found::Gone } else { Found::Here }))
    }

    /// Returns the remote end if the address is outside the range of the instance's own VPC.
    fn in_another_vpc(&self) -> Result<(Place, Found), Found> {
        let Search { documents, cache, .. } = *self;
        let mut vpcs: Vec<Id> = self
            .interfaces
            .iter()
            .filter_map(|interface| interface.vpc.clone())
            .collect();
        vpcs.sort();
        vpcs.dedup();
        let named = cache
            .and_then(|cache| cache.vpc.as_ref())
            .filter(|vpc| vpcs.contains(vpc));
        let connected: Vec<&Id> = vpcs
            .iter()
            .filter(|vpc| !path::links(documents, self.own_vpc, vpc).is_empty())
            .collect();
        let chosen = match (vpcs.as_slice(), named, connected.as_slice()) {
            ([only], ..) => Some(only),
            (_, Some(named), _) => Some(named),
            (_, None, [only]) => Some(*only),
            _ => None,
        };
        if let Some(vpc) = chosen {
            let place = self.interface_in(vpc).ok_or(Found::Unknown)?;
            return Ok((place, Found::Here));
        }
        if vpcs.len() > 1 {
            return Err(Found::Several(vpcs));
        }
        match cache.and_then(|cache| Some((cache.vpc.as_ref()?, cache.groups.clone()))) {
            Some((vpc, groups)) if vpc != self.own_vpc => {
                Ok((in_vpc(vpc, self.address, groups, documents), Found::Here))
            }
            _ => Err(Found::Unknown),
        }
    }
}

fn of_interface(interface: &Interface, address: IpAddr, documents: &Documents) -> Place {
    let mut place = Place {
        address: Some(address),
        interface: interface.id.clone(),
        vpc: interface.vpc.clone(),
        subnet: interface.subnet.clone(),
        groups: interface.group_ids(),
        owner: interface.owner.clone(),
        ..Place::default()
    };
    place.fill_in_subnet(documents);
    place
}

/// Describes the end of the connection at an address in a VPC, if the documents do not show the network
/// interface.
fn in_vpc(vpc: &Id, address: IpAddr, groups: Option<Vec<Id>>, documents: &Documents) -> Place {
    let subnet = all(&documents.subnets)
        .find(|subnet| subnet.vpc.as_ref() == Some(vpc) && subnet.range_with(address).is_some());
    let mut place = Place {
        address: Some(address),
        vpc: Some(vpc.clone()),
        subnet: subnet.and_then(|subnet| subnet.id.clone()),
        is_by_name: groups.is_some(),
        groups,
        ..Place::default()
    };
    place.fill_in_subnet(documents);
    place
}

impl Place {
    fn fill_in_subnet(&mut self, documents: &Documents) {
        let subnet = self.subnet.as_ref().and_then(|id| documents.subnet(id));
        if let (Some(subnet), Some(address)) = (subnet, self.address) {
            self.range = subnet.range_with(address);
            self.zone.clone_from(&subnet.zone);
            self.owner = self.owner.take().or_else(|| subnet.owner.clone());
        }
    }

    /// Returns the CIDR range to allow in a rule about this end. This is the range of the subnet, because a
    /// cache node can get a new address in a failover.
    pub(crate) fn range_for_rules(&self) -> Option<IpNet> {
        self.range.or(self.address.map(IpNet::from))
    }

    pub(crate) fn shares_subnet_with(&self, other: &Self) -> Truth {
        match (&self.vpc, &other.vpc, &self.subnet, &other.subnet) {
            (_, _, Some(one), Some(two)) => Truth::from(one == two),
            (Some(one), Some(two), ..) if one != two => Truth::No,
            // Even if the subnet of the other end is unknown, the address of that end can show that it is in
            // a different subnet.
            _ => match (self.range, other.address) {
                (Some(range), Some(address)) if !range.contains(&address) => Truth::No,
                _ => Truth::Unknown,
            },
        }
    }
}

impl Interface {
    pub(crate) fn has(&self, address: IpAddr) -> Truth {
        let own = match address {
            IpAddr::V4(_) => {
                let first = self.address.map(|own| own == address);
                let others = self
                    .addresses
                    .as_ref()
                    .map(|all| all.iter().any(|own| own.address == Some(address)));
                return Truth::from(first).or(Truth::from(others));
            }
            IpAddr::V6(_) => self.ipv6_addresses.as_ref(),
        };
        Truth::from(own.map(|all| all.iter().any(|own| own.address == Some(address))))
    }

    fn group_ids(&self) -> Option<Vec<Id>> {
        self.groups
            .as_ref()?
            .iter()
            .map(|group| group.id.clone())
            .collect()
    }

    pub(crate) fn is_elasticache(&self) -> bool {
        const SERVICE: &str = "amazon-elasticache";
        let owner = self
            .attachment
            .as_ref()
            .and_then(|attachment| attachment.instance_owner.as_deref());
        let starts = |text: &String| text.starts_with("ElastiCache");
        owner == Some(SERVICE)
            || self.requester.as_deref() == Some(SERVICE)
            || self.description.as_ref().is_some_and(starts)
    }
}

impl Subnet {
    /// Returns the CIDR range of the subnet that contains the address, or `None` if no range does.
    fn range_with(&self, address: IpAddr) -> Option<IpNet> {
        let others = self.ipv6_ranges.iter().flatten().filter_map(|range| range.range);
        self.range
            .into_iter()
            .chain(others)
            .find(|range| range.contains(&address))
    }
}

impl RouteTable {
    /// Returns the CIDR ranges of the VPC, taken from the local routes of this table.
    pub(crate) fn local_ranges(&self) -> Option<Vec<IpNet>> {
        let local = self
            .routes
            .as_ref()?
            .iter()
            .filter(|route| route.gateway.as_deref() == Some("local"));
        Some(
            local
                .filter_map(|route| route.range.or(route.ipv6_range))
                .collect(),
        )
    }
}

fn is_in_vpc(facts: &Facts, documents: &Documents, vpc: &Id, address: IpAddr) -> Truth {
    let contains = |ranges: &[IpNet]| ranges.iter().any(|range| range.contains(&address));
    let known = facts.source.as_ref().and_then(|source| source.vpc_cidrs.clone());
    let is_same_family = |range: &IpNet| range.addr().is_ipv4() == address.is_ipv4();
    let known = known
        .filter(|ranges| ranges.iter().any(is_same_family))
        .or_else(|| ranges_of(documents, vpc));
    match known {
        Some(ranges) => Truth::from(contains(&ranges)),
        None => {
            let mut own = all(&documents.subnets).filter(|subnet| subnet.vpc.as_ref() == Some(vpc));
            match own.any(|subnet| subnet.range_with(address).is_some()) {
                true => Truth::Yes,
                false => Truth::Unknown,
            }
        }
    }
}

/// Returns the CIDR ranges of a VPC, taken from one of its route tables. Returns `None` if unknown.
pub(crate) fn ranges_of(documents: &Documents, vpc: &Id) -> Option<Vec<IpNet>> {
    let mut tables = all(&documents.route_tables).filter(|table| table.vpc.as_ref() == Some(vpc));
    let ranges = tables.find_map(RouteTable::local_ranges)?;
    (!ranges.is_empty()).then_some(ranges)
}

/// Whether this account owns the instance's VPC. If a different account owns the VPC and shares it, some
/// interfaces in the VPC are not visible.
fn owns_vpc(facts: &Facts, documents: &Documents, source: &Place) -> Truth {
    let subnet = source.subnet.as_ref().and_then(|id| documents.subnet(id));
    let owner = subnet.and_then(|subnet| subnet.owner.clone());
    let own = facts.source.as_ref().and_then(|source| source.owner.clone());
    let account = documents.account.clone().or(own);
    Truth::from(owner.zip(account).map(|(owner, account)| owner == account))
}
