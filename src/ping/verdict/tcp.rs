//! The verdict on connection attempts.

use std::time::Duration;

use super::Blame;
use super::words::seconds;
use crate::os::Icmp;
use crate::ping::causes::Cause;
use crate::ping::observation::{Dial, DialResult, Endpoint, ErrorSource, Observations};
use crate::ping::this_host::LocalListener;
use crate::redis_url::Target;

/// Where all addresses fail, differently: refused, then prohibited, then unreachable, then time-out is the cause.
pub(super) fn judge(target: &Target, seen: &Observations) -> Option<Blame> {
    if seen.dials.iter().any(|dial| dial.result == DialResult::Connected) {
        return None;
    }
    let telling = seen.dials.iter().min_by_key(|dial| rank(dial))?;
    let to = &telling.to;
    let blame = match &telling.result {
        DialResult::Refused if matches!(to, Endpoint::Named(_)) => Blame::proved(
            Cause::TcpRefused,
            format!("no server listens behind the socket {to}"),
        ),
        DialResult::Refused => Blame::proved(
            Cause::TcpRefused,
            format!("{to} refuses: nothing listens on that port"),
        ),
        DialResult::Prohibited(ErrorSource::ThisHost(_)) => Blame::proved(
            Cause::TcpProhibited,
            format!("this host itself forbids the connection to {to}"),
        ),
        DialResult::Prohibited(ErrorSource::Icmp(_)) => Blame::proved(
            Cause::TcpProhibited,
            format!("a firewall answers for {to}, and says no"),
        ),
        DialResult::Unreachable(_) | DialResult::Other(_) => {
            Blame::proved(Cause::TcpUnreachable, format!("there is no way to {to}"))
        }
        DialResult::NoNeighbour => Blame::proved(
            Cause::TcpUnreachable,
            format!("nobody in this host's own network is {to}"),
        ),
        DialResult::NoRoute => Blame::proved(Cause::TcpUnreachable, format!("this host has no route to {to}")),
        _ if is_refused_here(seen) => Blame::likely(
            Cause::TcpProhibited,
            format!("this host's own firewall drops what is sent to {to}"),
        )
        .because(format!(
            "the kernel could not send {} of the repeated SYNs",
            seen.blocked_retransmissions
        )),
        _ if matches!(to, Endpoint::Named(_)) => Blame::proved(
            Cause::TcpTimeout,
            format!("the server behind {to} takes no connection: its queue is full"),
        ),
        _ if never_left(telling) => Blame::likely(
            Cause::TcpUnreachable,
            format!("what is sent to {to} never leaves this host"),
        )
        .because(
            "one SYN was made, and none repeated: it still waits for a neighbour (the address itself, or the router \
             on the way there) that does not answer",
        ),
        _ if is_one_packet(telling) => {
            Blame::likely(Cause::TcpTimeout, format!("{to} has not answered in the time that there was"))
                .because("a single SYN proves little, since any packet may get lost: try a longer --timeout")
        }
        _ => Blame::proved(Cause::TcpTimeout, format!("{to} does not answer at all")),
    };
    let hold = target.tls || target.password.is_some();
    let untried = if hold {
        "TLS, AUTH and PING were not tried"
    } else {
        "PING was not tried"
    };
    Some(
        blame
            .because_all(seen.dials.iter().map(describe))
            .because_all(named_wrongly(target, seen, to))
            .because_all(queue(seen, telling))
            .because(format!("{untried}: there is no connection")),
    )
}

/// On this very host, who listens tells a full queue from a firewall.
fn queue(seen: &Observations, telling: &Dial) -> Option<String> {
    let listener = seen.this_host.as_ref()?.listener?;
    let is_silence = matches!(telling.result, DialResult::Timeout { .. });
    is_silence.then(|| match listener {
        LocalListener::Missing => {
            "nobody listens there, and no RST says so: a firewall of this host drops it".into()
        }
        LocalListener::Backlog(0) => {
            "a server listens there, its queue is empty: a firewall of this host drops it".into()
        }
        LocalListener::Backlog(count) => {
            format!("the server that listens there does not take those in its queue ({count}): it is full")
        }
    })
}

/// A name that leads where nobody meant it to: by this host's own file, or to this host itself.
fn named_wrongly(target: &Target, seen: &Observations, to: &Endpoint) -> Option<String> {
    let host = target.host()?;
    let lookup = seen.dns.as_ref()?;
    if let Some(address) = lookup
        .hosts_file
        .filter(|_| !host.eq_ignore_ascii_case("localhost"))
    {
        return Some(format!(
            "/etc/hosts says that {host} is {address}: no name server was asked"
        ));
    }
    let Endpoint::Ip(address) = to else {
        return None;
    };
    let is_nowhere = address.ip().is_unspecified();
    is_nowhere.then(|| {
        format!(
            "the resolver says that {host} is {}: it may be blocked there",
            address.ip()
        )
    })
}

/// When the second SYN is under way for certain: the first is repeated after a second (RFC 6298, 2).
const TWO_SYNS: Duration = Duration::from_millis(1900);

/// Whether this host itself has refused to send every repetition; what it could not send for others counts as well.
fn is_refused_here(seen: &Observations) -> bool {
    let repeated = seen.dials.iter().map(|dial| match dial.result {
        DialResult::Timeout { syns } => u64::from(syns.unwrap_or(2)).saturating_sub(1),
        _ => 0,
    });
    let repeated: u64 = repeated.sum();
    repeated > 0 && seen.blocked_retransmissions >= repeated
}

/// The kernel repeats no SYN that still lies in a queue of this host.
fn never_left(dial: &Dial) -> bool {
    matches!(dial.result, DialResult::Timeout { syns: Some(1) }) && dial.took > TWO_SYNS
}

/// The time was over before the first SYN could be repeated.
fn is_one_packet(dial: &Dial) -> bool {
    matches!(dial.result, DialResult::Timeout { syns: Some(1) }) && !never_left(dial)
}

fn rank(dial: &Dial) -> u8 {
    match &dial.result {
        DialResult::Timeout { .. } if never_left(dial) => 3,
        DialResult::Connected => 0,
        DialResult::Refused => 1,
        DialResult::Prohibited(_) => 2,
        DialResult::Unreachable(_) | DialResult::NoNeighbour | DialResult::Other(_) => 3,
        DialResult::Timeout { .. } => 4,
        // A family without a route says nothing about the others.
        DialResult::NoRoute => 5,
    }
}

/// One attempt, in words.
pub(super) fn describe(dial: &Dial) -> String {
    let to = &dial.to;
    let took = seconds(dial.took);
    match &dial.result {
        DialResult::Connected => format!("{to}: connected after {took}"),
        DialResult::Refused if matches!(to, Endpoint::Named(_)) => format!("{to}: nobody listens there"),
        DialResult::Refused => format!("{to}: RST after {took}: the host is reachable, its port closed"),
        DialResult::Prohibited(by) => format!("{to}: {}", by_whom(by)),
        DialResult::Unreachable(by) => format!("{to}: {}", by_whom(by)),
        DialResult::NoRoute => format!("{to}: this host has no route for that address"),
        DialResult::NoNeighbour => {
            format!("{to}: asked for in this host's own network for {took} (ARP), and nobody answers")
        }
        DialResult::Timeout { .. } if matches!(to, Endpoint::Named(_)) => {
            format!("{to}: the kernel cannot queue another connection for its server")
        }
        DialResult::Timeout { syns: Some(syns) } => {
            format!(
                "{to}: {syns} SYN{} sent in {took}, none answered, no ICMP",
                if *syns == 1 { "" } else { "s" }
            )
        }
        DialResult::Timeout { syns: None } => format!("{to}: no answer within {took}"),
        DialResult::Other(words) => format!("{to}: {}", crate::sanitize::line(words)),
    }
}

fn by_whom(by: &ErrorSource) -> String {
    match by {
        ErrorSource::ThisHost(words) => format!("refused by this host itself: {words}"),
        ErrorSource::Icmp(icmp) => {
            let from = icmp
                .from
                .map_or_else(|| "somebody on the way".to_owned(), |from| from.to_string());
            let family = if icmp.v6 { "ICMPv6" } else { "ICMP" };
            format!(
                "{from} answered {family} {}/{}, {}",
                icmp.kind,
                icmp.code,
                icmp_meaning(*icmp)
            )
        }
    }
}

fn icmp_meaning(icmp: Icmp) -> &'static str {
    match (icmp.v6, icmp.kind, icmp.code) {
        (false, 3, 0) => "network unreachable",
        (false, 3, 1) => "host unreachable",
        (false, 3, 2) => "protocol unreachable, which for TCP only a REJECT rule sends",
        (false, 3, 3) | (true, 1, 4) => "port unreachable, which for TCP only a REJECT rule sends",
        (false, 3, 9) => "network administratively prohibited",
        (false, 3, 10) => "host administratively prohibited",
        (false, 3, 13) | (true, 1, 1) => "communication administratively prohibited",
        (true, 1, 0) => "no route to the destination",
        (true, 1, 3) => "address unreachable",
        (true, 1, 5) => "source address refused by policy",
        (true, 1, 6) => "route rejected",
        (false, 11, _) | (true, 3, _) => "time exceeded: the packet went round in circles",
        _ => "destination unreachable",
    }
}
