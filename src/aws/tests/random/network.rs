//! A model of a network, and a generator of random networks.

use std::net::Ipv4Addr;

pub(super) const PORT: u16 = 6379;
/// The range of local ports in random networks. The range is small, so that the oracle can try every port.
pub(super) const EPHEMERAL: (u16, u16) = (40_000, 40_007);

/// A random number generator (SplitMix64, by Steele, Lea and Flood).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.next() % choices.len() as u64).unwrap()]
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Peer {
    Range(Ipv4Addr, u8),
    Group(&'static str),
    PrefixList,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) protocol: &'static str,
    pub(super) ports: (u16, u16),
    pub(super) peer: Peer,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) number: i64,
    pub(super) is_egress: bool,
    pub(super) is_allow: bool,
    pub(super) protocol: &'static str,
    pub(super) ports: (u16, u16),
    pub(super) range: (Ipv4Addr, u8),
}

#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) address: Ipv4Addr,
    pub(super) subnet: &'static str,
    pub(super) vpc: &'static str,
    pub(super) groups: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    Local,
    Peering(&'static str),
    Internet,
}

#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) range: (Ipv4Addr, u8),
    pub(super) target: Target,
    pub(super) is_blackhole: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) near: End,
    pub(super) far: End,
    pub(super) ingress: Vec<(&'static str, Rule)>,
    pub(super) egress: Vec<(&'static str, Rule)>,
    /// The ACL entries of the instance's subnet.
    pub(super) near_acl: Vec<Entry>,
    pub(super) far_acl: Vec<Entry>,
    pub(super) near_routes: Vec<Route>,
    pub(super) far_routes: Vec<Route>,
    /// The state of `pcx-1`, the peering connection between the two VPCs.
    pub(super) peering: Option<&'static str>,
    pub(super) prefix_list: Vec<(Ipv4Addr, u8)>,
}

pub(super) fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

pub(super) fn ranges() -> Vec<(Ipv4Addr, u8)> {
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

pub(super) fn network(random: &mut Random) -> Network {
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

pub(super) fn groups(random: &mut Random, names: &[&'static str]) -> Vec<&'static str> {
    if random.chance(30) {
        names.to_vec()
    } else {
        vec![random.of(names)]
    }
}

pub(super) fn rules(random: &mut Random) -> Vec<(&'static str, Rule)> {
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

pub(super) fn entries(random: &mut Random) -> Vec<Entry> {
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

pub(super) fn all_allowed(number: i64, is_egress: bool) -> Entry {
    Entry {
        number,
        is_egress,
        is_allow: true,
        protocol: "-1",
        ports: (0, 65535),
        range: (ip("0.0.0.0"), 0),
    }
}

pub(super) fn routes(random: &mut Random, ranges: &[(&str, u8)]) -> Vec<Route> {
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
