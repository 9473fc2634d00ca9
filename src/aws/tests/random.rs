//! Random networks. The verdict must equal that of an oracle that follows single packets through a model of the network,
//! and does not use the code under test.
//!
//! `AWS_NETWORKS` sets the number of networks, `AWS_SEED` the first seed.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use crate::aws::{Assessment, Documents, Outcome, judge};

/// Networks per test if `AWS_NETWORKS` is not set.
const NETWORKS: u64 = 2000;
const PORT: u16 = 6379;
/// Few local ports, so that the oracle can try all of them.
const EPHEMERAL: (u16, u16) = (40_000, 40_007);

/// Steele, Lea and Flood: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.next() % choices.len() as u64).unwrap()]
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Peer {
    Range(Ipv4Addr, u8),
    Group(&'static str),
    PrefixList,
}

#[derive(Clone, Copy, Debug)]
struct Rule {
    protocol: &'static str,
    ports: (u16, u16),
    peer: Peer,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    number: i64,
    is_egress: bool,
    is_allow: bool,
    protocol: &'static str,
    ports: (u16, u16),
    range: (Ipv4Addr, u8),
}

#[derive(Clone, Debug)]
struct End {
    address: Ipv4Addr,
    subnet: &'static str,
    vpc: &'static str,
    groups: Vec<&'static str>,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Local,
    Peering(&'static str),
    Internet,
}

#[derive(Clone, Debug)]
struct Route {
    range: (Ipv4Addr, u8),
    target: Target,
    is_blackhole: bool,
}

#[derive(Clone, Debug)]
struct Network {
    near: End,
    far: End,
    ingress: Vec<(&'static str, Rule)>,
    egress: Vec<(&'static str, Rule)>,
    /// The entries of the ACL of each end's subnet.
    near_acl: Vec<Entry>,
    far_acl: Vec<Entry>,
    near_routes: Vec<Route>,
    far_routes: Vec<Route>,
    /// The state of the peering `pcx-1` between the two VPCs.
    peering: Option<&'static str>,
    prefix_list: Vec<(Ipv4Addr, u8)>,
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn ranges() -> Vec<(Ipv4Addr, u8)> {
    [
        "0.0.0.0/0",
        "10.0.0.0/16",
        "10.0.1.0/24",
        "10.0.1.10/32",
        "10.0.3.0/24",
        "10.0.3.17/32",
        "10.1.0.0/16",
        "10.1.3.0/25",
        "192.168.0.0/16",
    ]
    .iter()
    .map(|text| {
        let (base, length) = text.split_once('/').unwrap();
        (ip(base), length.parse().unwrap())
    })
    .collect()
}

fn network(random: &mut Random) -> Network {
    let is_two = random.chance(40);
    let far = match (is_two, random.chance(15)) {
        (true, _) => End {
            address: ip("10.1.3.17"),
            subnet: "subnet-b",
            vpc: "vpc-b",
            groups: vec![],
        },
        (false, true) => End {
            address: ip("10.0.1.17"),
            subnet: "subnet-a",
            vpc: "vpc-a",
            groups: vec![],
        },
        (false, false) => End {
            address: ip("10.0.3.17"),
            subnet: "subnet-b",
            vpc: "vpc-a",
            groups: vec![],
        },
    };
    let near = End {
        address: ip("10.0.1.10"),
        subnet: "subnet-a",
        vpc: "vpc-a",
        groups: vec![],
    };
    let mut network = Network {
        near: End {
            groups: groups(random, &["sg-a", "sg-b"]),
            ..near
        },
        far: End {
            groups: groups(random, &["sg-b", "sg-c"]),
            ..far
        },
        ingress: rules(random),
        egress: rules(random),
        near_acl: entries(random),
        far_acl: entries(random),
        near_routes: vec![Route {
            range: (ip("10.0.0.0"), 16),
            target: Target::Local,
            is_blackhole: false,
        }],
        far_routes: vec![],
        peering: None,
        prefix_list: ranges().into_iter().filter(|_| random.chance(20)).collect(),
    };
    if random.chance(70) {
        let all = Rule {
            protocol: "-1",
            ports: (0, 0),
            peer: Peer::Range(ip("0.0.0.0"), 0),
        };
        network.egress.push((network.near.groups[0], all));
    }
    if random.chance(60) {
        let group = Rule {
            protocol: "tcp",
            ports: (PORT, PORT),
            peer: Peer::Group(network.near.groups[0]),
        };
        network.ingress.push((network.far.groups[0], group));
    }
    if is_two {
        network.far_routes = vec![Route {
            range: (ip("10.1.0.0"), 16),
            target: Target::Local,
            is_blackhole: false,
        }];
        network.peering = random.of(&[
            None,
            Some("active"),
            Some("active"),
            Some("active"),
            Some("pending-acceptance"),
            Some("deleted"),
        ]);
        network.near_routes.extend(routes(
            random,
            &[("10.1.0.0", 16), ("10.1.3.0", 24), ("0.0.0.0", 0)],
        ));
        network.far_routes.extend(routes(
            random,
            &[("10.0.0.0", 16), ("10.0.1.0", 24), ("0.0.0.0", 0)],
        ));
    } else {
        network.far_routes = network.near_routes.clone();
    }
    if network.near.subnet == network.far.subnet {
        network.far_acl = network.near_acl.clone();
        network.far_routes = network.near_routes.clone();
    }
    network
}

fn groups(random: &mut Random, names: &[&'static str]) -> Vec<&'static str> {
    if random.chance(30) {
        names.to_vec()
    } else {
        vec![random.of(names)]
    }
}

fn rules(random: &mut Random) -> Vec<(&'static str, Rule)> {
    let mut rules = Vec::new();
    for group in ["sg-a", "sg-b", "sg-c"] {
        for _ in 0..random.of(&[0, 1, 1, 2, 3]) {
            let peer = match random.next() % 8 {
                0..=2 => Peer::Group(random.of(&["sg-a", "sg-b", "sg-c"])),
                3 => Peer::PrefixList,
                _ => {
                    let (base, length) = random.of(&ranges());
                    Peer::Range(base, length)
                }
            };
            let rule = Rule {
                protocol: random.of(&["tcp", "tcp", "tcp", "6", "-1", "udp", "icmp"]),
                ports: random.of(&[
                    (6379, 6379),
                    (6379, 6379),
                    (6379, 6380),
                    (0, 65535),
                    (6380, 6380),
                    (443, 443),
                    (6000, 7000),
                ]),
                peer,
            };
            rules.push((group, rule));
        }
    }
    rules
}

fn entries(random: &mut Random) -> Vec<Entry> {
    if random.chance(20) {
        let mut entries = [true, false]
            .map(|is_egress| all_allowed(100, is_egress))
            .to_vec();
        let ports = random.of(&[(40_000, 40_003), (40_002, 40_007), (40_004, 40_007)]);
        entries.push(Entry {
            number: 90,
            is_allow: false,
            protocol: "6",
            ports,
            ..all_allowed(90, random.chance(50))
        });
        return entries;
    }
    if random.chance(50) {
        return [true, false]
            .map(|is_egress| all_allowed(100, is_egress))
            .to_vec();
    }
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..random.of(&[1, 2, 3, 4, 6]) {
        let entry = Entry {
            number: random.of(&[1, 2, 10, 50, 90, 100, 101, 110, 200, 32766]),
            is_egress: random.chance(50),
            is_allow: random.chance(65),
            protocol: random.of(&["-1", "-1", "6", "6", "6", "17"]),
            ports: random.of(&[
                (6379, 6379),
                (0, 65535),
                (1024, 65535),
                (40_000, 40_003),
                (40_002, 40_007),
                (443, 443),
            ]),
            range: random.of(&ranges()),
        };
        if !entries
            .iter()
            .any(|other| (other.number, other.is_egress) == (entry.number, entry.is_egress))
        {
            entries.push(entry);
        }
    }
    entries
}

fn all_allowed(number: i64, is_egress: bool) -> Entry {
    Entry {
        number,
        is_egress,
        is_allow: true,
        protocol: "-1",
        ports: (0, 65535),
        range: (ip("0.0.0.0"), 0),
    }
}

fn routes(random: &mut Random, ranges: &[(&str, u8)]) -> Vec<Route> {
    let mut routes = Vec::new();
    for (base, length) in ranges {
        if random.chance(55) {
            let target = random.of(&[
                Target::Peering("pcx-1"),
                Target::Peering("pcx-1"),
                Target::Peering("pcx-2"),
                Target::Internet,
            ]);
            routes.push(Route {
                range: (ip(base), *length),
                target,
                is_blackhole: random.chance(8),
            });
        }
    }
    routes
}

// The oracle.

fn is_in(address: Ipv4Addr, (base, length): (Ipv4Addr, u8)) -> bool {
    let mask = if length == 0 { 0 } else { u32::MAX << (32 - length) };
    u32::from(address) & mask == u32::from(base) & mask
}

impl Network {
    /// Whether a rule lets a TCP packet between these ends through.
    fn rule_allows(&self, rules: &[(&'static str, Rule)], own: &End, peer: &End) -> bool {
        rules
            .iter()
            .filter(|(group, _)| own.groups.contains(group))
            .any(|(_, rule)| {
                let is_port = match rule.protocol {
                    "-1" => true,
                    "tcp" | "6" => rule.ports.0 <= PORT && PORT <= rule.ports.1,
                    _ => false,
                };
                let is_peer = match rule.peer {
                    Peer::Range(base, length) => is_in(peer.address, (base, length)),
                    Peer::Group(group) => peer.groups.contains(&group) && self.keeps_references(),
                    Peer::PrefixList => self.prefix_list.iter().any(|range| is_in(peer.address, *range)),
                };
                is_port && is_peer
            })
    }

    fn keeps_references(&self) -> bool {
        self.near.vpc == self.far.vpc || self.peering == Some("active")
    }

    fn acl_allows(entries: &[Entry], is_egress: bool, peer: Ipv4Addr, port: u16) -> bool {
        let mut own: Vec<&Entry> = entries
            .iter()
            .filter(|entry| entry.is_egress == is_egress)
            .collect();
        own.sort_by_key(|entry| entry.number);
        let first = own.into_iter().find(|entry| {
            let is_port = entry.protocol == "-1"
                || entry.protocol == "6" && entry.ports.0 <= port && port <= entry.ports.1;
            is_port && is_in(peer, entry.range)
        });
        first.is_some_and(|entry| entry.is_allow)
    }

    fn arrives(&self, routes: &[Route], to: &End) -> bool {
        let best = routes
            .iter()
            .filter(|route| is_in(to.address, route.range))
            .max_by_key(|route| route.range.1);
        best.is_some_and(|route| {
            !route.is_blackhole
                && match route.target {
                    Target::Local => self.near.vpc == self.far.vpc,
                    Target::Peering(id) => id == "pcx-1" && self.peering == Some("active"),
                    Target::Internet => false,
                }
        })
    }

    /// Follows a SYN from this local port, and the reply to it.
    fn answers(&self, local_port: u16) -> bool {
        let (near, far) = (&self.near, &self.far);
        let crosses_subnets = near.subnet != far.subnet;
        let syn = self.rule_allows(&self.egress, near, far)
            && (!crosses_subnets || Self::acl_allows(&self.near_acl, true, far.address, PORT))
            && (!crosses_subnets || self.arrives(&self.near_routes, far))
            && (!crosses_subnets || Self::acl_allows(&self.far_acl, false, near.address, PORT))
            && self.rule_allows(&self.ingress, far, near);
        let reply = !crosses_subnets
            || Self::acl_allows(&self.far_acl, true, near.address, local_port)
                && self.arrives(&self.far_routes, near)
                && Self::acl_allows(&self.near_acl, false, far.address, local_port);
        syn && reply
    }

    fn outcome(&self) -> Outcome {
        let answered = (EPHEMERAL.0..=EPHEMERAL.1)
            .filter(|port| self.answers(*port))
            .count();
        match answered {
            0 => Outcome::Denied,
            answered if answered == usize::from(EPHEMERAL.1 - EPHEMERAL.0) + 1 => Outcome::Allowed,
            _ => Outcome::Partly,
        }
    }

    // The documents.

    fn documents(&self) -> Vec<Value> {
        let interface = |id: &str, end: &End| {
            json!({"NetworkInterfaceId": id, "VpcId": end.vpc, "SubnetId": end.subnet, "OwnerId": "123456789012",
                "PrivateIpAddress": end.address, "Groups": end.groups.iter().map(|id| json!({"GroupId": id})).collect::<Vec<_>>()})
        };
        let permissions = |rules: &[(&str, Rule)], group: &str| -> Vec<Value> {
            rules
                .iter()
                .filter(|(of, _)| *of == group)
                .map(|(_, rule)| permission(rule))
                .collect()
        };
        let group = |id: &str| {
            json!({"GroupId": id, "GroupName": id, "IpPermissions": permissions(&self.ingress, id),
                "IpPermissionsEgress": permissions(&self.egress, id)})
        };
        let mut acls = vec![acl("acl-a", self.near.subnet, &self.near_acl)];
        let mut tables = vec![table("rtb-a", "vpc-a", self.near.subnet, &self.near_routes)];
        let mut subnets = vec![subnet("subnet-a", "vpc-a", "10.0.1.0/24")];
        if self.near.subnet != self.far.subnet {
            acls.push(acl("acl-b", self.far.subnet, &self.far_acl));
            tables.push(table("rtb-b", self.far.vpc, self.far.subnet, &self.far_routes));
            let range = if self.far.vpc == "vpc-a" {
                "10.0.3.0/24"
            } else {
                "10.1.3.0/24"
            };
            subnets.push(subnet("subnet-b", self.far.vpc, range));
        }
        let peerings: Vec<_> = self.peering.iter().map(|state| peering("pcx-1", state)).collect();
        let entries: Vec<_> = self
            .prefix_list
            .iter()
            .map(|(base, length)| json!({"Cidr": format!("{base}/{length}")}))
            .collect();
        vec![
            json!({"region": "eu-central-1", "port": PORT, "address": self.far.address, "from": self.near.address,
                "ephemeral": [EPHEMERAL.0, EPHEMERAL.1], "source": {"interface": "eni-a", "addresses": [self.near.address],
                "vpc": "vpc-a", "subnet": "subnet-a", "groups": self.near.groups, "owner": "123456789012",
                "vpc_cidrs": ["10.0.0.0/16"]}}),
            json!({"NetworkInterfaces": [interface("eni-a", &self.near), interface("eni-b", &self.far)]}),
            json!({"SecurityGroups": [group("sg-a"), group("sg-b"), group("sg-c")]}),
            json!({"NetworkAcls": acls}),
            json!({"RouteTables": tables}),
            json!({"Subnets": subnets}),
            json!({"VpcPeeringConnections": peerings}),
            json!({"TransitGatewayVpcAttachments": []}),
            json!({"PrefixListEntries": [{"PrefixListId": "pl-a", "Entries": entries}]}),
        ]
    }
}

fn subnet(id: &str, vpc: &str, range: &str) -> Value {
    json!({"SubnetId": id, "VpcId": vpc, "CidrBlock": range, "OwnerId": "123456789012", "AvailabilityZone": "eu-central-1a"})
}

fn peering(id: &str, state: &str) -> Value {
    let end = |vpc: &str, range: &str| json!({"VpcId": vpc, "CidrBlock": range, "OwnerId": "123456789012", "Region": "eu-central-1"});
    json!({"VpcPeeringConnectionId": id, "Status": {"Code": state}, "AccepterVpcInfo": end("vpc-b", "10.1.0.0/16"),
        "RequesterVpcInfo": end("vpc-a", "10.0.0.0/16")})
}

fn permission(rule: &Rule) -> Value {
    let mut permission = json!({"IpProtocol": rule.protocol, "IpRanges": [], "Ipv6Ranges": [], "UserIdGroupPairs": [], "PrefixListIds": []});
    if rule.protocol != "-1" {
        permission["FromPort"] = rule.ports.0.into();
        permission["ToPort"] = rule.ports.1.into();
    }
    match rule.peer {
        Peer::Range(base, length) => permission["IpRanges"] = json!([{"CidrIp": format!("{base}/{length}")}]),
        Peer::Group(id) => {
            permission["UserIdGroupPairs"] = json!([{"GroupId": id, "UserId": "123456789012"}]);
        }
        Peer::PrefixList => permission["PrefixListIds"] = json!([{"PrefixListId": "pl-a"}]),
    }
    permission
}

fn acl(id: &str, subnet: &str, entries: &[Entry]) -> Value {
    let entries = entries.iter().map(|entry| {
        let mut one = json!({"RuleNumber": entry.number, "Egress": entry.is_egress, "Protocol": entry.protocol,
            "RuleAction": if entry.is_allow { "allow" } else { "deny" },
            "CidrBlock": format!("{}/{}", entry.range.0, entry.range.1)});
        if entry.protocol != "-1" {
            one["PortRange"] = json!({"From": entry.ports.0, "To": entry.ports.1});
        }
        one
    });
    let default = [true, false].map(|egress| {
        json!({"RuleNumber": 32767, "Egress": egress, "Protocol": "-1", "RuleAction": "deny", "CidrBlock": "0.0.0.0/0"})
    });
    json!({"NetworkAclId": id, "Associations": [{"SubnetId": subnet}], "Entries": entries.chain(default).collect::<Vec<_>>()})
}

fn table(id: &str, vpc: &str, subnet: &str, routes: &[Route]) -> Value {
    let routes = routes.iter().map(|route| {
        let mut one = json!({"DestinationCidrBlock": format!("{}/{}", route.range.0, route.range.1), "Origin": "CreateRoute",
            "State": if route.is_blackhole { "blackhole" } else { "active" }});
        match route.target {
            Target::Local => one["GatewayId"] = "local".into(),
            Target::Peering(id) => one["VpcPeeringConnectionId"] = id.into(),
            Target::Internet => one["GatewayId"] = "igw-1".into(),
        }
        one
    });
    json!({"RouteTableId": id, "VpcId": vpc, "Associations": [{"SubnetId": subnet, "Main": false}], "Routes": routes.collect::<Vec<_>>()})
}

fn judged(documents: &[Value]) -> Assessment {
    let mut all = Documents::default();
    documents.iter().for_each(|document| all.add(document, ""));
    judge(&all.facts.clone().unwrap_or_default(), &all)
}

fn for_each_network(mut test: impl FnMut(u64, &Network, &mut Random)) {
    let setting =
        |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let first = setting("AWS_SEED", 1);
    for seed in first..first + setting("AWS_NETWORKS", NETWORKS) {
        let mut random = Random(seed);
        let network = network(&mut random);
        test(seed, &network, &mut random);
    }
}

#[test]
fn the_verdict_equals_that_of_the_packets() {
    let mut seen = std::collections::BTreeMap::new();
    for_each_network(|seed, network, _| {
        let assessment = judged(&network.documents());
        let expected = network.outcome();
        assert_eq!(
            assessment.outcome, expected,
            "seed {seed}: {:?}\n{network:#?}",
            assessment.checks
        );
        *seen.entry(expected.name()).or_insert(0) += 1;
    });
    assert!(seen.len() == 3, "{seen:?}");
}

fn badness(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Allowed => 0,
        Outcome::Unknown => 1,
        Outcome::Partly => 2,
        Outcome::Denied => 3,
    }
}

#[test]
fn another_allow_rule_never_makes_the_verdict_worse() {
    for_each_network(|seed, network, random| {
        let before = judged(&network.documents()).outcome;
        let mut changed = network.clone();
        match random.next() % 3 {
            0 => changed.ingress.extend(rules(random)),
            1 => changed.egress.extend(rules(random)),
            _ => {
                let is_egress = random.chance(50);
                let acl = if random.chance(50) {
                    &mut changed.near_acl
                } else {
                    &mut changed.far_acl
                };
                acl.retain(|entry| entry.number != 1 || entry.is_egress != is_egress);
                acl.push(all_allowed(1, is_egress));
            }
        }
        if changed.near.subnet == changed.far.subnet {
            changed.far_acl = changed.near_acl.clone();
        }
        let after = judged(&changed.documents()).outcome;
        assert!(
            badness(after) <= badness(before),
            "seed {seed}: {before:?} {after:?}"
        );
    });
}

#[test]
fn more_documents_never_turn_denied_into_allowed() {
    for_each_network(|seed, network, random| {
        let all = network.documents();
        let whole = judged(&all);
        let mut some = all.clone();
        for _ in 0..=random.next() % 3 {
            let at = 1 + usize::try_from(random.next() % (some.len() as u64 - 1)).unwrap();
            some.remove(at);
        }
        let part = judged(&some);
        if part.outcome == Outcome::Denied {
            assert_ne!(
                whole.outcome,
                Outcome::Allowed,
                "seed {seed}: {:?}\n{some:#?}",
                part.checks
            );
        }
        if part.outcome == Outcome::Allowed {
            assert_eq!(
                whole.outcome,
                Outcome::Allowed,
                "seed {seed}: {:?}\n{some:#?}",
                part.checks
            );
        }
        for check in part
            .checks
            .iter()
            .filter(|check| check.outcome == Outcome::Unknown)
        {
            assert!(!check.needs.is_empty(), "seed {seed}: {check:?}");
        }
    });
}

#[test]
fn all_fixes_together_allow_the_connection() {
    let mut applied = 0;
    for_each_network(|seed, network, _| {
        let mut documents = network.documents();
        let before = judged(&documents);
        let is_complete = before
            .fixes
            .iter()
            .all(|fix| fix.command.is_some() || fix.kind == "outside-vpc");
        for fix in before.fixes.iter().filter_map(|fix| fix.command.as_deref()) {
            apply(fix, &mut documents);
            applied += 1;
        }
        let after = judged(&documents);
        if is_complete {
            assert_eq!(
                after.outcome,
                Outcome::Allowed,
                "seed {seed}: {:?}\n{:#?}\n{:#?}",
                before.fixes,
                after.checks,
                network
            );
        }
        for undo in before
            .fixes
            .iter()
            .rev()
            .filter(|fix| fix.command.is_some())
            .filter_map(|fix| fix.undo.as_deref())
        {
            apply(undo, &mut documents);
        }
        // An accepted peering stays accepted, and nothing makes a route to an existing peering a blackhole again.
        let routes = network.near_routes.iter().chain(&network.far_routes);
        let can_undo = !before.fixes.iter().any(|fix| fix.kind == "peering")
            && !routes.into_iter().any(|route| route.is_blackhole);
        if can_undo {
            assert_eq!(
                judged(&documents).outcome,
                before.outcome,
                "seed {seed}: {:?}",
                before.fixes
            );
        }
    });
    assert!(applied > 100, "{applied}");
}

/// Does to the documents what AWS would do after these commands.
fn apply(line: &str, documents: &mut [Value]) {
    let line = line.strip_prefix("P=$(").unwrap_or(line);
    for command in line.split(" && ") {
        let words = shell_words::split(command.trim_end_matches(')').split("   #").next().unwrap()).unwrap();
        let value = |name: &str| {
            let at = words.iter().position(|word| word == name);
            at.map(|at| words[at + 1].clone())
        };
        let mut items = |kind: &str| -> Vec<Value> {
            let document = documents
                .iter_mut()
                .find(|document| document.get(kind).is_some())
                .unwrap();
            document[kind].as_array().unwrap().clone()
        };
        let (kind, items) = match words[2].as_str() {
            "authorize-security-group-ingress"
            | "revoke-security-group-ingress"
            | "authorize-security-group-egress"
            | "revoke-security-group-egress" => {
                let mut groups = items("SecurityGroups");
                let member = if words[2].ends_with("ingress") {
                    "IpPermissions"
                } else {
                    "IpPermissionsEgress"
                };
                let group = groups
                    .iter_mut()
                    .find(|group| group["GroupId"] == value("--group-id").unwrap())
                    .unwrap();
                let (first, last) = value("--port").map_or((0, 0), |ports| {
                    let (first, last) = ports.split_once('-').unwrap_or((&ports, &ports));
                    (first.parse().unwrap(), last.parse().unwrap())
                });
                let peer = match (value("--source-group"), value("--cidr")) {
                    (Some(id), _) => (
                        "UserIdGroupPairs",
                        json!([{"GroupId": id, "UserId": "123456789012"}]),
                    ),
                    (_, Some(range)) => ("IpRanges", json!([{"CidrIp": range}])),
                    _ => panic!("{command}"),
                };
                let rule = Rule {
                    protocol: "tcp",
                    ports: (first, last),
                    peer: Peer::PrefixList,
                };
                let mut rule = permission(&rule);
                rule["PrefixListIds"] = json!([]);
                rule[peer.0] = peer.1;
                let rules = group[member].as_array_mut().unwrap();
                if words[2].starts_with("authorize") {
                    rules.push(rule);
                } else {
                    let at = rules.iter().rposition(|other| *other == rule).unwrap();
                    rules.remove(at);
                }
                ("SecurityGroups", groups)
            }
            "create-network-acl-entry" | "delete-network-acl-entry" => {
                let mut acls = items("NetworkAcls");
                let acl = acls
                    .iter_mut()
                    .find(|acl| acl["NetworkAclId"] == value("--network-acl-id").unwrap())
                    .unwrap();
                let number: i64 = value("--rule-number").unwrap().parse().unwrap();
                let egress = words.iter().any(|word| word == "--egress");
                let entries = acl["Entries"].as_array_mut().unwrap();
                let is_it = |entry: &Value| entry["RuleNumber"] == number && entry["Egress"] == egress;
                if words[2].starts_with("create") {
                    assert!(!entries.iter().any(is_it), "the number is used: {command}");
                    let range = value("--port-range").unwrap();
                    let numbers: Vec<u16> = range
                        .split(',')
                        .map(|part| part.split_once('=').unwrap().1.parse().unwrap())
                        .collect();
                    entries.push(json!({"RuleNumber": number, "Egress": egress, "Protocol": "6", "RuleAction": "allow",
                        "CidrBlock": value("--cidr-block").unwrap(), "PortRange": {"From": numbers[0], "To": numbers[1]}}));
                } else {
                    entries.retain(|entry| !is_it(entry));
                }
                ("NetworkAcls", acls)
            }
            "create-route" | "replace-route" | "delete-route" => {
                let mut tables = items("RouteTables");
                let table = tables
                    .iter_mut()
                    .find(|table| table["RouteTableId"] == value("--route-table-id").unwrap())
                    .unwrap();
                let destination = value("--destination-cidr-block").unwrap();
                let routes = table["Routes"].as_array_mut().unwrap();
                let exists = routes
                    .iter()
                    .any(|route| route["DestinationCidrBlock"] == destination);
                assert_eq!(exists, words[2] != "create-route", "{command}");
                routes.retain(|route| route["DestinationCidrBlock"] != destination);
                if words[2] != "delete-route" {
                    let mut route = json!({"DestinationCidrBlock": destination, "State": "active", "Origin": "CreateRoute"});
                    for (option, member) in [
                        ("--vpc-peering-connection-id", "VpcPeeringConnectionId"),
                        ("--gateway-id", "GatewayId"),
                    ] {
                        if let Some(id) = value(option) {
                            route[member] = id.replace("$P", "pcx-new").into();
                        }
                    }
                    routes.push(route);
                }
                ("RouteTables", tables)
            }
            "accept-vpc-peering-connection" => {
                let mut peerings = items("VpcPeeringConnections");
                let id = value("--vpc-peering-connection-id")
                    .unwrap()
                    .replace("$P", "pcx-new");
                let one = peerings
                    .iter_mut()
                    .find(|one| one["VpcPeeringConnectionId"] == id)
                    .unwrap();
                one["Status"]["Code"] = "active".into();
                activate_routes(documents, &id);
                ("VpcPeeringConnections", peerings)
            }
            "create-vpc-peering-connection" => {
                let mut peerings = items("VpcPeeringConnections");
                peerings.push(peering("pcx-new", "pending-acceptance"));
                ("VpcPeeringConnections", peerings)
            }
            "delete-vpc-peering-connection" => ("VpcPeeringConnections", Vec::new()),
            // Text, for example of a fix with several steps.
            _ => return,
        };
        let document = documents
            .iter_mut()
            .find(|document| document.get(kind).is_some())
            .unwrap();
        document[kind] = items.into();
    }
}

/// Routes to a peering are blackholes until it is accepted.
fn activate_routes(documents: &mut [Value], peering: &str) {
    let tables = documents
        .iter_mut()
        .find_map(|document| document.get_mut("RouteTables"));
    let routes = tables.unwrap().as_array_mut().unwrap().iter_mut();
    for route in routes.flat_map(|table| table["Routes"].as_array_mut().unwrap()) {
        if route["VpcPeeringConnectionId"] == peering {
            route["State"] = "active".into();
        }
    }
}

#[test]
fn the_model_and_the_documents_agree_about_the_addresses() {
    let near: IpAddr = ip("10.0.1.10").into();
    assert_eq!(
        judged(&network(&mut Random(1)).documents()).source.address,
        Some(near)
    );
}
