//! Determines the verdict on the lookup of the host name.

use std::net::IpAddr;
use std::time::Duration;

use super::finding::Finding;
use crate::clock::seconds;
use crate::ping::causes::Cause;
use crate::ping::observation::{Lookup, NameAnswer, NameServer, Observations};
use crate::ping::rungs::dns::SLOW_LOOKUP;
use crate::redis_url::Target;
use crate::sanitize;

/// How long a recursive resolver may take if it queries other servers and a packet is lost.
const SLOW_RESOLVER: Duration = Duration::from_millis(1900);

pub(super) fn judge(target: &Target, seen: &Observations) -> Option<Finding> {
    let host = target.host().unwrap_or_default();
    let Some(lookup) = &seen.dns else {
        return judge_address(host, seen);
    };
    if let Some(address) = lookup.addresses.first() {
        return seen.tcp.dials.is_empty().then(|| {
            Finding::proved(Cause::DnsNoAddress)
                .summary(format!(
                    "{host} has only {} addresses, but -{} was given",
                    family(*address),
                    excluding(*address)
                ))
                .fact("no packet was sent, because there is no address to use")
        });
    }
    Some(
        without_address(host, lookup)
            .facts(evidence(host, lookup))
            .fact("no connection was tried, because there is no address"),
    )
}

/// Returns the finding about a host name for which no address was found.
fn without_address(host: &str, lookup: &Lookup) -> Finding {
    let any = |wanted: fn(&NameAnswer) -> bool| lookup.servers.iter().any(|server| wanted(&server.answer));
    let is_known = any(|answer| matches!(answer, NameAnswer::Addresses(_)));
    if is_known && any(NameAnswer::denies) {
        // Applications use the first answer that arrives.
        Finding::likely(Cause::DnsNotFound).summary(format!(
            "this system's name servers disagree about {host}: some report that the name does not exist"
        ))
    } else if let Some(end) = lookup.empty_alias() {
        Finding::proved(Cause::DnsNoAddress).summary(
            if end.eq_ignore_ascii_case(host.trim_end_matches('.')) {
                format!("{host} is an alias (CNAME) that leads back to itself")
            } else {
                format!("{host} is an alias (CNAME) of {end}, but no address of {end} was found")
            },
        )
    } else if any(|answer| *answer == NameAnswer::NoAddress) {
        Finding::proved(Cause::DnsNoAddress).summary(format!("{host} exists but has no A or AAAA record"))
    } else if let Some(end) = lookup.dangling_alias() {
        Finding::proved(Cause::DnsNotFound).summary(format!(
            "{host} is an alias (CNAME) of {end}, but {end} does not exist"
        ))
    } else if any(|answer| *answer == NameAnswer::NotFound) && skips_hosts_file(lookup) {
        Finding::proved(Cause::DnsNotFound).summary(format!(
            "{host} is in /etc/hosts, but this system does not look up names in that file"
        ))
    } else if any(|answer| *answer == NameAnswer::NotFound) {
        Finding::proved(Cause::DnsNotFound).summary(format!("the name {host} does not exist"))
    } else if !is_known && any(|answer| matches!(answer, NameAnswer::Refused(_) | NameAnswer::Malformed)) {
        let refuses = any(|answer| matches!(answer, NameAnswer::Refused(code) if code == "REFUSED"));
        let what = if refuses {
            "refuses to resolve"
        } else {
            "cannot resolve"
        };
        Finding::proved(Cause::DnsServerFailure).summary(format!("the name server {what} {host}"))
    } else if is_known {
        // The name servers return addresses, but the system's resolver does not use these servers.
        Finding::likely(Cause::DnsNotFound).summary(format!("this system's resolver does not find {host}"))
    } else if lookup.system_timed_out && lookup.took < SLOW_RESOLVER {
        Finding::likely(Cause::DnsTimeout)
            .summary(format!(
                "no name server replied to the query for {host} before the timeout"
            ))
            .fact("the resolver may need more time, because it queries other servers; try a longer --timeout")
    } else if let Some(error) = blocked_here(lookup) {
        Finding::proved(Cause::DnsTimeout).summary(format!(
            "this host blocks queries to the name server ({error}), so {host} cannot be resolved"
        ))
    } else if let (true, Some(server)) = (lookup.has_no_route(), lookup.servers.first()) {
        Finding::proved(Cause::DnsTimeout).summary(format!(
            "this host has no route to the name server {}, so {host} cannot be resolved",
            server.address.ip()
        ))
    } else {
        let who = match lookup.servers.as_slice() {
            [server] if matches!(server.answer, NameAnswer::NoTcp(_)) => {
                format!("the name server {} does not reply over TCP", server.address.ip())
            }
            [server] if server.answer == NameAnswer::Timeout => format!(
                "the name server {} did not reply within {}",
                server.address.ip(),
                seconds(server.took)
            ),
            [server] => format!("the name server {} does not reply", server.address.ip()),
            _ => "no name server replies".into(),
        };
        Finding::proved(Cause::DnsTimeout).summary(format!("{who}, so {host} cannot be resolved"))
    }
}

/// Returns the error message if this host itself blocked all queries. The reason can be a firewall rule,
/// seccomp or a missing capability.
fn blocked_here(lookup: &Lookup) -> Option<&str> {
    let mut errors = lookup.servers.iter().map(|server| match &server.answer {
        NameAnswer::Blocked(error) => Some(error.as_str()),
        _ => None,
    });
    let first = errors.next()??;
    errors.all(|error| error.is_some()).then_some(first)
}

/// Returns the finding about an IP address in the URL that `-4` or `-6` excludes.
fn judge_address(host: &str, seen: &Observations) -> Option<Finding> {
    let address: IpAddr = host.parse().ok().filter(|_| seen.tcp.dials.is_empty())?;
    Some(
        Finding::proved(Cause::DnsNoAddress)
            .summary(format!(
                "{host} is an {} address, but -{} was given",
                family(address),
                excluding(address)
            ))
            .fact("no packet was sent, because there is no address to use"),
    )
}

fn join(addresses: &[IpAddr]) -> String {
    let addresses: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
    addresses.join(", ")
}

fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}

/// Returns the option, `-4` or `-6`, that excludes the address.
fn excluding(address: IpAddr) -> char {
    if address.is_ipv4() { '6' } else { '4' }
}

fn evidence(host: &str, lookup: &Lookup) -> Vec<String> {
    let mut facts = Vec::new();
    if lookup.system_timed_out {
        facts.push(format!(
            "the system's resolver did not reply within {}",
            seconds(lookup.took)
        ));
    } else if let Some(error) = &lookup.fault {
        facts.push(format!(
            "the system's resolver reports: {}",
            sanitize::line(error)
        ));
    }
    facts.extend(
        lookup
            .unreadable
            .iter()
            .map(|(path, error)| format!("this user cannot read {path}: {error}")),
    );
    if lookup.is_unconfigured {
        facts.push(
            "/etc/resolv.conf is missing or contains no name server, so this host itself was queried".into(),
        );
    }
    let is_known = |server: &NameServer| matches!(server.answer, NameAnswer::Addresses(_));
    let is_elsewhere = lookup.hosts_file.is_some() || lookup.servers.iter().any(is_known);
    if let Some(line) = lookup.nsswitch.as_ref().filter(|_| is_elsewhere) {
        let (number, text) = (line.number, &line.text);
        facts.push(format!(
            "line {number} of /etc/nsswitch.conf ({text}) determines where names are looked up"
        ));
    }
    facts.extend(describe_servers(&lookup.servers));
    facts.extend(search_domains(host, lookup));
    if lookup.ignored_servers > 0 {
        facts.push(
            "/etc/resolv.conf lists more than three name servers, of which only the first three are used"
                .into(),
        );
    }
    if let Some(resolver) = lookup.other_resolver {
        facts.push(format!(
            "this program looks up names with {resolver}, so applications may get another result"
        ));
    }
    facts
}

/// Describes the search domains with which the host name was looked up, if it is a single word.
fn search_domains(host: &str, lookup: &Lookup) -> Option<String> {
    let does_not_exist = |server: &NameServer| server.answer == NameAnswer::NotFound;
    let is_word = !host.contains('.') && !host.eq_ignore_ascii_case("localhost");
    if !is_word || !lookup.servers.iter().any(does_not_exist) {
        return None;
    }
    Some(match &lookup.search {
        Some(search) => format!(
            "the resolver also looked up the name in the search domains in {search} ({}), and found no address",
            search.text()
        ),
        None => "/etc/resolv.conf contains no search domain that completes the name".to_owned(),
    })
}

/// Whether the host name is in `/etc/hosts`, but `/etc/nsswitch.conf` does not list that file as a source of
/// names.
fn skips_hosts_file(lookup: &Lookup) -> bool {
    let sources = lookup.nsswitch.as_ref();
    lookup.hosts_file.is_some() && sources.is_some_and(|line| !line.sets_source("files"))
}

/// Describes the entry for the host name in `/etc/hosts`, and the name servers' answers for comparison.
/// Returns nothing if a successful lookup did not use the entry.
pub(super) fn hosts_file(target: &Target, seen: &Observations) -> Vec<String> {
    let (Some(host), Some(lookup)) = (target.host(), &seen.dns) else {
        return Vec::new();
    };
    let Some(entry) = &lookup.hosts_file else {
        return Vec::new();
    };
    let mapping = format!(
        "line {} of /etc/hosts maps {host} to {}",
        entry.line, entry.address
    );
    if lookup.addresses.is_empty() {
        return vec![format!("{mapping}, but the lookup did not use this line")];
    }
    if host.eq_ignore_ascii_case("localhost") || !lookup.addresses.contains(&entry.address) {
        return Vec::new();
    }
    let used = format!("{mapping}, so applications use this address without querying a name server");
    std::iter::once(used)
        .chain(describe_servers(&lookup.servers))
        .collect()
}

/// Describes the answer of each name server.
fn describe_servers(servers: &[NameServer]) -> impl Iterator<Item = String> {
    servers.iter().map(|server| {
        let answer = match &server.answer {
            NameAnswer::Addresses(addresses) => format!("returns {}", join(addresses)),
            NameAnswer::NoAddress => "reports that the name exists without an A or AAAA record".into(),
            NameAnswer::EmptyAlias(end) => {
                format!("reports that the name is an alias (CNAME) of {end}, but returns no A or AAAA record")
            }
            NameAnswer::NotFound => "reports that the name does not exist (NXDOMAIN)".into(),
            NameAnswer::DanglingAlias(end) => {
                format!("reports that the name is an alias (CNAME) of {end}, and that {end} does not exist (NXDOMAIN)")
            }
            NameAnswer::Refused(code) => format!("replies {code}"),
            NameAnswer::Timeout => format!("did not reply within {}", seconds(server.took)),
            NameAnswer::Unreachable(error) => format!("cannot be reached: {error}"),
            NameAnswer::NoTcp(error) => {
                format!(
                    "reports that its response is too long for UDP, but cannot be queried over TCP: {error}"
                )
            }
            NameAnswer::Blocked(error) => {
                format!("cannot be queried, because this host blocks the query: {error}")
            }
            NameAnswer::Malformed => "sends a malformed response".into(),
        };
        format!("name server {} {answer}", server.address)
    })
}

/// Returns a warning about a slow lookup, with the name servers that caused the delay.
pub(super) fn slow(target: &Target, seen: &Observations) -> Option<(Cause, String)> {
    let lookup = seen.dns.as_ref()?;
    let host = target.host()?;
    if lookup.addresses.is_empty() || lookup.took <= SLOW_LOOKUP {
        return None;
    }
    let took = seconds(lookup.took);
    let took = if lookup.system_timed_out {
        format!("takes more than {took}")
    } else {
        format!("takes {took}")
    };
    let reasons: Vec<_> = lookup.servers.iter().filter_map(why_slow).collect();
    let reasons = if reasons.is_empty() {
        "the name servers reply at once, so another part of this system's resolver is slow".to_owned()
    } else {
        reasons.join(", ")
    };
    Some((Cause::DnsSlow, format!("the lookup of {host} {took}: {reasons}")))
}

fn why_slow(server: &NameServer) -> Option<String> {
    let address = server.address.ip();
    let took = seconds(server.took);
    match (&server.answer, server.silent_about) {
        (NameAnswer::Timeout, _) => Some(format!("name server {address} did not reply within {took}")),
        (_, Some(kind)) => Some(format!("name server {address} does not reply to {kind} queries")),
        (NameAnswer::Unreachable(_), _) => Some(format!("name server {address} cannot be reached")),
        (NameAnswer::NoTcp(_), _) => Some(format!("name server {address} cannot be reached over TCP")),
        (NameAnswer::Refused(code), _) => Some(format!("name server {address} replies {code}")),
        _ if server.took > SLOW_LOOKUP / 2 => Some(format!("name server {address} takes {took} to reply")),
        _ => None,
    }
}

/// Returns a warning if the resolver appended a search domain to the host name.
pub(super) fn completed(target: &Target, seen: &Observations) -> Option<(Cause, String)> {
    let lookup = seen.dns.as_ref()?;
    let completed = lookup.completed.as_ref()?;
    let (host, name) = (target.host()?, &completed.name);
    let text = completed.search.text();
    Some((
        Cause::DnsSearch,
        format!(
            "the name {host} is looked up as {name}, because of the search domain in {} ({text})",
            completed.search
        ),
    ))
}
