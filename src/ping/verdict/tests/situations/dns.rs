//! Lists examples of host names that cannot be found, or whose lookup is slow.

use super::*;

fn lookup(lookup: Lookup) -> Observations {
    Observations::default().with(|seen| seen.dns = Some(lookup))
}

fn resolved(title: &'static str, answer: NameAnswer) -> Situation {
    let address = "10.0.0.2:53".parse().unwrap();
    let servers = vec![name_server(address, answer)];
    seen(
        title,
        NAME,
        lookup(Lookup {
            servers,
            ..Lookup::default()
        }),
    )
}

/// Returns a lookup of a name that does not exist, with this line in `/etc/resolv.conf`.
fn searched(line: &str) -> Observations {
    let found = resolved("", NameAnswer::NotFound).seen.unwrap();
    found.with(|seen| {
        seen.dns.as_mut().unwrap().search = Some(SearchDomains::Line(FileLine {
            number: 2,
            text: line.into(),
        }));
    })
}

pub(super) fn dns_not_found() -> Vec<Situation> {
    let files_only = Lookup {
        servers: vec![name_server(
            "10.0.0.2:53".parse().unwrap(),
            NameAnswer::Addresses(vec!["10.0.3.17".parse().unwrap()]),
        )],
        nsswitch: Some(FileLine {
            number: 7,
            text: "hosts: files".into(),
        }),
        ..Lookup::default()
    };
    let dns_only = Lookup {
        servers: vec![name_server("10.0.0.2:53".parse().unwrap(), NameAnswer::NotFound)],
        nsswitch: Some(FileLine {
            number: 7,
            text: "hosts: dns".into(),
        }),
        hosts_file: Some(HostsEntry {
            line: 2,
            address: "10.0.3.17".parse().unwrap(),
            is_shared: false,
        }),
        ..Lookup::default()
    };
    vec![
        resolved("NXDOMAIN", NameAnswer::NotFound),
        seen(
            "an unreadable /etc/hosts",
            NAME,
            resolved("", NameAnswer::NotFound).seen.unwrap().with(|seen| {
                let lookup = seen.dns.as_mut().unwrap();
                lookup.unreadable = vec![("/etc/hosts", "permission denied".into())];
            }),
        ),
        resolved(
            "a dangling alias",
            NameAnswer::DanglingAlias("old.example".into()),
        ),
        seen(
            "a name of a container network",
            "redis://redis",
            *resolved("", NameAnswer::NotFound).seen.unwrap(),
        ),
        seen(
            "a search domain that does not complete the name",
            "redis://redis",
            searched("search corp.example"),
        ),
        seen(
            "a name that no Service has",
            "redis://redis",
            searched("search shop.svc.cluster.local svc.cluster.local cluster.local"),
        ),
        seen(
            "localhost",
            "redis://localhost",
            *resolved("", NameAnswer::NotFound).seen.unwrap(),
        ),
        seen("a source other than DNS", NAME, lookup(files_only)),
        resolved(
            "the resolver does not ask the server that knows",
            NameAnswer::Addresses(vec!["10.0.3.17".parse().unwrap()]),
        ),
        seen("only in /etc/hosts, which is not used", NAME, lookup(dns_only)),
    ]
}

pub(super) fn dns_no_address() -> Vec<Situation> {
    vec![
        resolved("no A or AAAA record", NameAnswer::NoAddress),
        resolved("an alias", NameAnswer::EmptyAlias("old.example".into())),
        resolved(
            "an alias of itself",
            NameAnswer::EmptyAlias("cache.example".into()),
        ),
        seen(
            "a name of the other family",
            NAME,
            lookup(Lookup {
                addresses: vec!["10.0.3.17".parse().unwrap()],
                ..Lookup::default()
            }),
        ),
        seen("an address of the other family", IP, Observations::default()),
    ]
}

pub(super) fn dns_timeout() -> Vec<Situation> {
    vec![
        resolved("no reply", NameAnswer::Timeout),
        seen(
            "a fourth name server",
            NAME,
            resolved("", NameAnswer::Timeout)
                .seen
                .unwrap()
                .with(|seen| seen.dns.as_mut().unwrap().ignored_servers = 1),
        ),
        resolved("no reply over TCP", NameAnswer::NoTcp("no reply".into())),
        resolved(
            "unreachable",
            NameAnswer::Unreachable("connection refused".into()),
        ),
        resolved(
            "no route",
            NameAnswer::Unreachable("network is unreachable".into()),
        ),
        seen(
            "a stopped resolver on this host",
            NAME,
            lookup(Lookup {
                servers: vec![name_server(
                    "127.0.0.53:53".parse().unwrap(),
                    NameAnswer::Unreachable("connection refused".into()),
                )],
                ..Lookup::default()
            }),
        ),
        resolved(
            "a rule of this host",
            NameAnswer::Blocked("operation not permitted".into()),
        ),
        seen(
            "a short wait",
            NAME,
            lookup(Lookup {
                system_timed_out: true,
                took: Duration::from_millis(900),
                ..Lookup::default()
            }),
        ),
        seen(
            "an unreadable resolv.conf",
            NAME,
            lookup(Lookup {
                fault: Some("Temporary failure in name resolution".into()),
                unreadable: vec![("/etc/resolv.conf", "permission denied".into())],
                servers: vec![name_server(
                    "127.0.0.1:53".parse().unwrap(),
                    NameAnswer::Unreachable("connection refused".into()),
                )],
                ..Lookup::default()
            }),
        ),
        seen(
            "no resolver configured",
            NAME,
            lookup(Lookup {
                fault: Some("Temporary failure in name resolution".into()),
                is_unconfigured: true,
                ..Lookup::default()
            }),
        ),
    ]
}

pub(super) fn dns_server_failure() -> Vec<Situation> {
    vec![
        resolved("SERVFAIL", NameAnswer::Refused("SERVFAIL".into())),
        resolved("nonsense", NameAnswer::Malformed),
    ]
}

pub(super) fn dns_slow() -> Vec<Situation> {
    let slow = |servers: Vec<NameServer>, system_timed_out| {
        let mut seen = pong();
        seen.dns = Some(Lookup {
            addresses: vec!["10.0.3.17".parse().unwrap()],
            servers,
            system_timed_out,
            took: Duration::from_millis(2004),
            ..Lookup::default()
        });
        seen
    };
    let found = || NameAnswer::Addresses(vec!["10.0.3.17".parse().unwrap()]);
    let (first, second) = ("10.0.0.2:53".parse().unwrap(), "10.0.0.3:53".parse().unwrap());
    let mut no_aaaa = name_server(first, found());
    no_aaaa.silent_about = Some("AAAA");
    let mut late = name_server(first, found());
    late.took = Duration::from_millis(1500);
    vec![
        seen(
            "the first of two name servers does not reply",
            NAME,
            slow(
                vec![
                    name_server(first, NameAnswer::Timeout),
                    name_server(second, found()),
                ],
                false,
            ),
        ),
        seen("no reply to AAAA queries", NAME, slow(vec![no_aaaa], true)),
        seen("a slow name server", NAME, slow(vec![late], false)),
        seen(
            "another reason",
            NAME,
            slow(vec![name_server(first, found())], true),
        ),
    ]
}

pub(super) fn dns_search() -> Vec<Situation> {
    let mut completed = pong();
    completed.dns = Some(Lookup {
        addresses: vec!["10.0.3.17".parse().unwrap()],
        completed: Some(CompletedName {
            name: "cache.staging.example".into(),
            search: SearchDomains::Line(FileLine {
                number: 2,
                text: "search staging.example".into(),
            }),
        }),
        ..Lookup::default()
    });
    let mut variable = completed.clone();
    let lookup = variable.dns.as_mut().unwrap();
    lookup.completed.as_mut().unwrap().search = SearchDomains::Variable("staging.example".into());
    vec![
        seen("a short name", "redis://cache", completed),
        seen("LOCALDOMAIN", "redis://cache", variable),
    ]
}

pub(super) fn dns_partial() -> Vec<Situation> {
    let mut partly = pong();
    partly.tcp.dials.push(dial(DialResult::Timeout { syns: Some(2) }));
    let mut by_file = pong();
    by_file.tcp.dials.push(dial(DialResult::Refused));
    by_file.dns = Some(by_hosts_file("10.0.3.17", "10.0.3.17"));
    let mut here = pong();
    here.tcp.dials.push(Dial {
        to: Endpoint::Ip("[::1]:6379".parse().unwrap()),
        ..dial(DialResult::Refused)
    });
    vec![
        seen("one of two addresses", NAME, partly),
        seen("an address from /etc/hosts", NAME, by_file),
        seen("an address of this host", "redis://localhost", here),
    ]
}
