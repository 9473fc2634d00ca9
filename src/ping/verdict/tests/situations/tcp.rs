//! Lists examples of failed connections and lost packets.

use super::aws::{ALL_ALLOWED, MISSING_RULE, NO_ACLS, verdict_on};
use super::*;

fn socket(result: DialResult) -> Observations {
    Observations::default().with(|seen| {
        seen.tcp.dials = vec![Dial {
            to: Endpoint::Named("/run/redis.sock".into()),
            ..dial(result)
        }];
    })
}

fn icmp(code: u8) -> ErrorSource {
    ErrorSource::Icmp(Icmp {
        v6: false,
        kind: 3,
        code,
        from: Some("10.0.3.1".parse().unwrap()),
    })
}

/// Returns observations of a timeout on this host, where `listeners` listen on the port.
fn silence_here(listeners: Vec<LocalListener>) -> Observations {
    listened_here(listeners, dialled(SILENCE))
}

pub(super) fn tcp_no_local_port() -> Vec<Situation> {
    let ports = |first, last, open, time_wait| {
        let mut seen = from_here(Nearness::SameNetwork, dialled(DialResult::NoLocalPort));
        seen.this_host.local_ports = Some(LocalPorts {
            first,
            last,
            open,
            time_wait,
        });
        seen
    };
    vec![
        seen("a narrow range", IP, ports(40_000, 40_099, 100, 0)),
        seen("the default range", IP, ports(32_768, 60_999, 31, 28_201)),
    ]
}

pub(super) fn local_open_files() -> Vec<Situation> {
    let too_low = Observations::default().with(|seen| seen.open_file_limit = Some(8));
    vec![
        seen("before the first check", IP, too_low),
        seen("a socket", IP, dialled(DialResult::TooManyFiles)),
    ]
}

pub(super) fn path_loss() -> Vec<Situation> {
    let lossy = |retransmissions, connecting| {
        pong().with(|seen| {
            seen.retransmissions = retransmissions;
            seen.tcp.took = Duration::from_millis(connecting);
        })
    };
    vec![
        seen("a lost SYN", IP, lossy(1, 1020)),
        seen("a lost packet", IP, lossy(1, 2)),
        seen("many lost packets", IP, lossy(7, 2)),
    ]
}

pub(super) fn tcp_timeout() -> Vec<Situation> {
    let mut on_ec2 = from_here(Nearness::SameNetwork, dialled(SILENCE));
    on_ec2.this_host.instance = Some(Instance {
        region: "eu-central-1".into(),
        groups: vec!["sg-0123456789abcdef0".into()],
        ..Instance::default()
    });
    let short = Dial {
        took: Duration::from_millis(300),
        ..dial(DialResult::Timeout { syns: Some(1) })
    };
    let single_syn = Observations::default().with(|seen| seen.tcp.dials = vec![short]);
    let near = on_ec2.clone();
    let on_aws = |documents| near.clone().with(|seen| seen.aws = Some(verdict_on(documents)));
    vec![
        seen(
            "a private network",
            IP_WITH_LOGIN,
            from_here(Nearness::ForeignPrivate, dialled(SILENCE)),
        ),
        seen("on EC2", IP, on_ec2),
        seen(
            "a Kubernetes Service",
            "redis://redis.shop.svc.cluster.local",
            dialled(SILENCE),
        ),
        seen(
            "an ElastiCache name",
            "redis://shop.x1y2z3.ng.0001.use1.cache.amazonaws.com",
            from_here(Nearness::ForeignPrivate, dialled(SILENCE)),
        ),
        seen(
            "a name of another provider",
            "rediss://shop.redis.cache.windows.net:6380",
            from_here(Nearness::Public, dialled(SILENCE)),
        ),
        seen(
            "an Amazon RDS database",
            "redis://shop.c9akciq32rgh.eu-west-1.rds.amazonaws.com",
            from_here(Nearness::ForeignPrivate, dialled(SILENCE)),
        ),
        seen("a search domain", "redis://cache.shop.example", {
            let completed = CompletedName {
                name: "cache.shop.example.corp.example".into(),
                search: SearchDomains::Line(FileLine {
                    number: 2,
                    text: "search corp.example".into(),
                }),
            };
            from_here(Nearness::Public, dialled(SILENCE)).with(|seen| {
                seen.dns = Some(Lookup {
                    addresses: vec!["10.0.3.17".parse().unwrap()],
                    completed: Some(completed),
                    ..Lookup::default()
                });
            })
        }),
        seen(
            "a port typo",
            "redis://10.0.3.17:6739",
            from_here(Nearness::Public, dialled(SILENCE)),
        ),
        seen("a single SYN", IP, single_syn),
        seen(
            "a full queue on this host",
            IP,
            silence_here(vec![listener("redis-server", "0.0.0.0", 2)]),
        ),
        seen(
            "an empty queue on this host",
            IP,
            silence_here(vec![listener("redis-server", "0.0.0.0", 0)]),
        ),
        seen("no listener on this host", IP, silence_here(vec![])),
        seen(
            "a unix socket",
            SOCKET,
            socket(DialResult::Timeout { syns: None }),
        ),
        seen(
            "a public endpoint of a serverless cache",
            "rediss://shop-x1y2z3.public.serverless.use1.cache.amazonaws.com",
            dialled(SILENCE),
        ),
        seen("a missing rule on AWS", IP, on_aws(&MISSING_RULE)),
        seen("all rules on AWS allow it", IP, on_aws(&ALL_ALLOWED)),
        seen("the ACLs on AWS are not known", IP, on_aws(&NO_ACLS)),
    ]
}

pub(super) fn tcp_refused() -> Vec<Situation> {
    let mut container = from_here(Nearness::Loopback, dialled(DialResult::Refused));
    container.this_host.in_container = true;
    let refused = || dialled(DialResult::Refused);
    let entry = |address: &str| HostsEntry {
        line: 2,
        address: address.parse().unwrap(),
        is_shared: false,
    };
    let named = |hosts_file: Option<&str>, to: &str| {
        Observations::default().with(|seen| {
            seen.dns = Some(Lookup {
                addresses: vec![to.parse().unwrap()],
                hosts_file: hosts_file.map(entry),
                ..Lookup::default()
            });
            seen.tcp.dials = vec![Dial {
                to: Endpoint::Ip(format!("{to}:6379").parse().unwrap()),
                ..dial(DialResult::Refused)
            }];
        })
    };
    let mut stale = named(Some("10.0.9.9"), "10.0.9.9");
    stale.dns.as_mut().unwrap().servers = vec![name_server(
        "10.0.0.2:53".parse().unwrap(),
        NameAnswer::Addresses(vec!["10.0.3.17".parse().unwrap()]),
    )];
    let after_idle = refused().with(|seen| {
        seen.idle = Some(IdleTest {
            trials: vec![IdleTrial {
                idle: Duration::from_millis(2500),
                keepalive: None,
                end: IdleEnd::Closed,
            }],
            is_restarted: false,
        });
    });
    let mut plain_port = dialled(DialResult::Refused);
    plain_port.tcp.other_port = Some(Dial {
        to: Endpoint::Ip("10.0.3.17:6380".parse().unwrap()),
        ..dial(DialResult::Connected)
    });
    let primary = NamedPrimary::new("shop", "127.0.0.1", "6379").unwrap();
    let mut misled = asked(SentinelAnswer::Primary(primary), named(None, "127.0.0.1"));
    misled.dns = None;
    misled.followed.as_mut().unwrap().target = target(SENTINEL).of_primary("127.0.0.1", 6379);
    vec![
        seen("another host", IP, dialled(DialResult::Refused)),
        seen("a Sentinel that reports 127.0.0.1", SENTINEL, misled),
        seen(
            "two Sentinels",
            "rediss+sentinel://10.0.3.17,10.0.3.18/shop",
            asked(SentinelAnswer::None, dialled(DialResult::Refused)),
        ),
        seen("after an idle connection", IP, after_idle),
        seen(
            "the plain port of a provider",
            "redis://shop.redis.cache.windows.net",
            plain_port,
        ),
        seen("this host, in a container", "redis://127.0.0.1", container),
        seen("no listener on this host", IP, listened_here(vec![], refused())),
        seen(
            "a listener on another address of this host",
            IP,
            listened_here(vec![listener("redis-server", "127.0.0.1", 0)], refused()),
        ),
        seen(
            "a listener on this address",
            IP,
            listened_here(vec![listener("redis-server", "0.0.0.0", 0)], refused()),
        ),
        seen("a name in /etc/hosts", NAME, named(Some("10.0.9.9"), "10.0.9.9")),
        seen("a stale name in /etc/hosts", NAME, stale),
        seen(
            "a blocked name",
            NAME,
            named(None, "0.0.0.0").with(|seen| {
                seen.this_host.nearness = Nearness::Loopback;
            }),
        ),
        seen(
            "a port in place of the database",
            "redis://10.0.3.17/6380",
            refused(),
        ),
        seen(
            "a Memcached cache",
            "redis://shop.x1y2z3.cfg.use1.cache.amazonaws.com",
            refused(),
        ),
        seen(
            "a cache on AWS",
            "redis://shop.x1y2z3.ng.0001.use1.cache.amazonaws.com",
            refused(),
        ),
        seen("a published port", "redis://redis:6380", refused()),
        seen("a unix socket", SOCKET, socket(DialResult::Refused)),
        seen(
            "a path that is not a socket",
            SOCKET,
            socket(DialResult::NoSocket("no such file")),
        ),
    ]
}

pub(super) fn tcp_unreachable() -> Vec<Situation> {
    let unscoped = Dial {
        to: Endpoint::Ip("[fe80::1]:6379".parse().unwrap()),
        ..dial(DialResult::Discarded)
    };
    vec![
        seen("no route", IP, dialled(DialResult::NoRoute)),
        seen("no neighbour", IP, dialled(DialResult::NoNeighbour)),
        seen("an ICMP error", IP, dialled(DialResult::Unreachable(icmp(1)))),
        seen(
            "an ICMP error of this host",
            IP,
            routed("10.0.3.0/24", None, dialled(DialResult::Unreachable(icmp(1)))),
        ),
        seen(
            "a gateway without a reply",
            IP,
            routed(
                "0.0.0.0/0",
                Some("10.0.3.254"),
                dialled(DialResult::Unreachable(icmp(1))),
            ),
        ),
        seen("a multicast address", "redis://224.0.0.7", {
            let multicast = Dial {
                to: Endpoint::Ip("224.0.0.7:6379".parse().unwrap()),
                ..dial(DialResult::NoRoute)
            };
            let seen = Observations::default().with(|seen| seen.tcp.dials = vec![multicast]);
            routed("0.0.0.0/0", Some("10.0.3.254"), seen)
        }),
        seen("lo is down", "redis://127.0.0.1", {
            let mut seen = silence_here(vec![]);
            seen.this_host.is_loopback_down = true;
            seen
        }),
        seen(
            "a SYN that never left",
            IP,
            dialled(DialResult::Timeout { syns: Some(1) }),
        ),
        seen(
            "a SYN that the gateway does not accept",
            IP,
            routed(
                "0.0.0.0/0",
                Some("10.0.3.254"),
                dialled(DialResult::Timeout { syns: Some(1) }),
            ),
        ),
        seen("an interface without a carrier", IP, {
            let mut seen = routed("10.0.3.0/24", None, dialled(SILENCE));
            seen.this_host.route.as_mut().unwrap().has_no_carrier = true;
            seen
        }),
        seen("a route that rejects", IP, dialled(DialResult::RejectedByRoute)),
        seen("only IPv6", NAME, {
            let six = Dial {
                to: Endpoint::Ip("[fd00::2]:6379".parse().unwrap()),
                ..dial(DialResult::NoRoute)
            };
            Observations::default().with(|seen| {
                seen.tcp.dials = vec![six];
                seen.dns = Some(Lookup {
                    addresses: vec!["fd00::2".parse().unwrap()],
                    ..Lookup::default()
                });
            })
        }),
        seen("a blackhole route", IP, dialled(DialResult::Discarded)),
        seen("no zone", "redis://[fe80::1]", {
            Observations::default().with(|seen| seen.tcp.dials = vec![unscoped.clone()])
        }),
        seen("an unknown zone", "redis://[fe80::1%25eth7]", {
            Observations::default().with(|seen| seen.tcp.dials = vec![unscoped.clone()])
        }),
        seen(
            "another error",
            IP,
            dialled(DialResult::Other("protocol not available".into())),
        ),
    ]
}

pub(super) fn tcp_prohibited() -> Vec<Situation> {
    let here = DialResult::Prohibited(ErrorSource::ThisHost("permission denied".into()));
    let blocked = dialled(SILENCE).with(|seen| seen.tcp.blocked_retransmissions = 2);
    vec![
        seen(
            "a firewall on the way",
            IP,
            dialled(DialResult::Prohibited(icmp(13))),
        ),
        seen("a rule of this host", IP, dialled(here.clone())),
        seen(
            "a Kubernetes Service",
            "redis://redis.shop.svc.cluster.local",
            dialled(DialResult::Prohibited(icmp(3))),
        ),
        seen("blocked retransmissions", IP, blocked),
        seen("a unix socket", SOCKET, socket(here)),
    ]
}
