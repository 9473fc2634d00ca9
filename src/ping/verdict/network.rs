//! The verdict on names, connections and TLS.

use std::net::IpAddr;
use std::time::Duration;

use super::Blame;
use crate::os::{Flow, Icmp};
use crate::ping::catalogue::Code;
use crate::ping::experiment::looks_like_tls;
use crate::ping::observation::{
    By, Dial, DialResult, Endpoint, Experiment, Handshake, Heard, Lookup, NameAnswer, Observations, TlsResult,
};
use crate::ping::place::Listener;
use crate::target::Target;

pub(super) fn dns(target: &Target, seen: &Observations) -> Option<Blame> {
    let host = target.host().unwrap_or_default();
    let Some(lookup) = &seen.dns else {
        return excluded(host, seen);
    };
    if !lookup.addresses.is_empty() {
        let families = if lookup.addresses.iter().any(std::net::IpAddr::is_ipv4) {
            "IPv4"
        } else {
            "IPv6"
        };
        return seen.dials.is_empty().then(|| {
            Blame::proved(
                Code::DnsNoAddress,
                format!("{host} has no address of the family that was asked for"),
            )
            .because(format!("it has addresses of {families} alone"))
        });
    }
    let said = |wanted: fn(&NameAnswer) -> bool| lookup.servers.iter().any(|server| wanted(&server.answer));
    let blame = if said(|answer| *answer == NameAnswer::NoAddress) {
        Blame::proved(
            Code::DnsNoAddress,
            format!("the name {host} exists and has no A or AAAA record"),
        )
    } else if let Some(end) = dangling(lookup) {
        Blame::proved(
            Code::DnsNotFound,
            format!("the name {host} is an alias of {end}, which does not exist"),
        )
    } else if said(|answer| *answer == NameAnswer::NotFound) {
        Blame::proved(Code::DnsNotFound, format!("the name {host} does not exist"))
    } else if said(|answer| matches!(answer, NameAnswer::Refused(_) | NameAnswer::Malformed)) {
        Blame::proved(
            Code::DnsServerFailure,
            format!("the name server cannot or will not answer for {host}"),
        )
    } else if said(|answer| matches!(answer, NameAnswer::Addresses(_))) {
        // The servers know the name, and the system's resolver does not ask them.
        Blame::likely(
            Code::DnsNotFound,
            format!("this system's resolver does not find {host}"),
        )
    } else {
        Blame::proved(
            Code::DnsTimeout,
            format!("no name server answers, so {host} has no address"),
        )
    };
    Some(blame.because_all(dns_evidence(lookup)))
}

/// An address of the one family, and `-4` or `-6` asks for the other.
fn excluded(host: &str, seen: &Observations) -> Option<Blame> {
    let address = host.parse::<IpAddr>().ok().filter(|_| seen.dials.is_empty())?;
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    Some(
        Blame::proved(
            Code::DnsNoAddress,
            format!("{host} is no address of the family that was asked for"),
        )
        .because(format!("it is an address of {family}: nothing was sent to it")),
    )
}

fn dangling(lookup: &Lookup) -> Option<&str> {
    lookup.servers.iter().find_map(|server| match &server.answer {
        NameAnswer::DanglingAlias(end) => Some(end.as_str()),
        _ => None,
    })
}

fn dns_evidence(lookup: &Lookup) -> Vec<String> {
    let mut facts = Vec::new();
    if lookup.system_was_silent {
        facts.push(format!(
            "the system's resolver gave no answer within {}",
            seconds(lookup.took)
        ));
    } else if let Some(fault) = &lookup.fault {
        facts.push(format!(
            "the system's resolver says: {}",
            crate::sanitize::line(fault)
        ));
    }
    if lookup.is_unconfigured {
        facts.push(
            "/etc/resolv.conf is missing or names no name server, so this host itself was asked".into(),
        );
    }
    for server in &lookup.servers {
        let said = match &server.answer {
            NameAnswer::Addresses(found) => format!("answers {} addresses", found.len()),
            NameAnswer::NoAddress => "says that the name exists, without A or AAAA record".into(),
            NameAnswer::NotFound => "says that the name does not exist (NXDOMAIN)".into(),
            NameAnswer::DanglingAlias(end) => {
                format!("says that it is an alias (CNAME) of {end}, which does not exist (NXDOMAIN)")
            }
            NameAnswer::Refused(code) => format!("answers {code}"),
            NameAnswer::Silent => "does not answer".into(),
            NameAnswer::Unreachable(words) => format!("cannot be asked: {words}"),
            NameAnswer::Malformed => "answers something that is no answer".into(),
        };
        facts.push(format!("name server {} {said}", server.address));
    }
    facts.push("no connection was tried: there is no address to connect to".into());
    facts
}

/// Where all addresses fail, differently: refused, then prohibited, then unreachable, then time-out is the cause.
pub(super) fn tcp(target: &Target, seen: &Observations) -> Option<Blame> {
    if seen.dials.iter().any(|dial| dial.result == DialResult::Connected) {
        return None;
    }
    let telling = seen.dials.iter().min_by_key(|dial| rank(dial))?;
    let to = &telling.to;
    let blame = match &telling.result {
        DialResult::Refused if matches!(to, Endpoint::Named(_)) => Blame::proved(
            Code::TcpRefused,
            format!("no server listens behind the socket {to}"),
        ),
        DialResult::Refused => Blame::proved(
            Code::TcpRefused,
            format!("{to} refuses: nothing listens on that port"),
        ),
        DialResult::Prohibited(By::ThisHost(_)) => Blame::proved(
            Code::TcpProhibited,
            format!("this host itself forbids the connection to {to}"),
        ),
        DialResult::Prohibited(By::Icmp(_)) => Blame::proved(
            Code::TcpProhibited,
            format!("a firewall answers for {to}, and says no"),
        ),
        DialResult::Unreachable(_) | DialResult::Other(_) => {
            Blame::proved(Code::TcpUnreachable, format!("there is no way to {to}"))
        }
        DialResult::NoNeighbour => Blame::proved(
            Code::TcpUnreachable,
            format!("nobody in this host's own network is {to}"),
        ),
        DialResult::NoRoute => Blame::proved(Code::TcpUnreachable, format!("this host has no route to {to}")),
        _ if is_refused_here(seen) => Blame::likely(
            Code::TcpProhibited,
            format!("this host's own firewall drops what is sent to {to}"),
        )
        .because(format!(
            "the kernel could not send {} of the repeated SYNs",
            seen.refused_sends
        )),
        _ if matches!(to, Endpoint::Named(_)) => Blame::proved(
            Code::TcpTimeout,
            format!("the server behind {to} takes no connection: its queue is full"),
        ),
        _ if never_left(telling) => Blame::likely(
            Code::TcpUnreachable,
            format!("what is sent to {to} never leaves this host"),
        )
        .because(
            "one SYN was made, and none repeated: it still waits for a neighbour (the address itself, or the router \
             on the way there) that does not answer",
        ),
        _ => Blame::proved(Code::TcpTimeout, format!("{to} does not answer at all")),
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
    let listener = seen.place.as_ref()?.listener?;
    let is_silence = matches!(telling.result, DialResult::Timeout { .. });
    is_silence.then(|| match listener {
        Listener::Nobody => {
            "nobody listens there, and no RST says so: a firewall of this host drops it".into()
        }
        Listener::Waiting(0) => {
            "a server listens there, its queue is empty: a firewall of this host drops it".into()
        }
        Listener::Waiting(count) => {
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
    repeated > 0 && seen.refused_sends >= repeated
}

/// The kernel repeats no SYN that still lies in a queue of this host.
fn never_left(dial: &Dial) -> bool {
    matches!(dial.result, DialResult::Timeout { syns: Some(1) }) && dial.took > TWO_SYNS
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

fn by_whom(by: &By) -> String {
    match by {
        By::ThisHost(words) => format!("refused by this host itself: {words}"),
        By::Icmp(icmp) => {
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

pub(super) fn tls(target: &Target, seen: &Observations) -> Option<Blame> {
    if !target.tls {
        return None;
    }
    let plain = match &seen.experiment {
        Some(Experiment::PlainPing(heard)) => Some(heard),
        _ => None,
    };
    // What answers a plain PING decides, however the handshake failed.
    let is_established = seen
        .tls
        .as_ref()
        .is_some_and(|tls| tls.result == TlsResult::Established);
    if !is_established {
        match plain {
            Some(heard @ Heard::Reply(_)) if heard.is_pong() || heard.error().is_some() => {
                return Some(not_offered(seen));
            }
            Some(heard @ Heard::Reply(_)) => {
                return Some(super::protocol::not_redis_reply(
                    heard,
                    "a plain PING on a second connection",
                ));
            }
            Some(Heard::Other(received)) if !looks_like_tls(received) => {
                return Some(super::protocol::not_redis(
                    received,
                    "to a plain PING on a second connection",
                ));
            }
            _ => {}
        }
    }
    blame_handshake(seen.tls.as_ref()?, plain, seen.small_hello.as_ref())
}

fn not_offered(seen: &Observations) -> Blame {
    let handshake = match seen.tls.as_ref().map(|tls| &tls.result) {
        Some(TlsResult::NotTls) => "the TLS hello was answered with something that is no TLS",
        Some(TlsResult::Closed) => "the TLS hello was answered by closing the connection",
        _ => "the TLS hello was met with silence",
    };
    Blame::proved(
        Code::TlsNotOffered,
        "the URL asks for TLS, and the server speaks plain Redis there",
    )
    .because(handshake)
    .because(match &seen.experiment {
        Some(Experiment::PlainPing(heard)) if heard.error().is_some() => format!(
            "a plain PING on a second connection was answered in Redis's way: {}",
            crate::sanitize::line(&heard.error().unwrap_or_default())
        ),
        _ => "a plain PING on a second connection was answered by Redis".to_owned(),
    })
}

fn blame_handshake(tls: &Handshake, plain: Option<&Heard>, small: Option<&TlsResult>) -> Option<Blame> {
    let blame = match &tls.result {
        TlsResult::Established => return None,
        TlsResult::Untrusted(words) => untrusted(tls, words),
        TlsResult::OtherName => Blame::proved(
            Code::TlsNameMismatch,
            format!("the certificate is not for {}", tls.expected_name),
        )
        .because("the names in it were held against the host of the URL, or --tls-name"),
        TlsResult::Expired => {
            let age = tls.certificate.as_ref().map(|found| -found.ends_in);
            Blame::proved(
                Code::TlsExpired,
                format!("the certificate expired {}ago", age.map_or_else(String::new, ago)),
            )
            .because("its dates were held against the clock of this host")
        }
        TlsResult::NotValidYet => {
            let wait = tls.certificate.as_ref().map(|found| found.begins_in);
            let wait = wait.map_or_else(String::new, |wait| format!(": it begins in {}", age(wait)));
            Blame::proved(
                Code::TlsExpired,
                format!("the certificate is not valid yet{wait}"),
            )
            .because("its dates were held against the clock of this host")
        }
        // OpenSSL's answer to a missing client certificate in TLS 1.2: after its own certificate was shown.
        TlsResult::NothingInCommon(alert) if alert == "HandshakeFailure" && tls.certificate.is_some() => {
            client_certificate(alert)
        }
        TlsResult::NothingInCommon(words) => Blame::proved(
            Code::TlsVersion,
            "server and client have no TLS version or cipher in common",
        )
        .because(format!("the handshake ended with: {words}")),
        TlsResult::ClientCertificate(alert) => client_certificate(alert),
        TlsResult::Refused(alert) if alert == "UnrecognisedName" => Blame::proved(
            Code::TlsNameMismatch,
            format!("the server has no certificate for {}", tls.expected_name),
        )
        .because(format!("the server sent the TLS alert {alert}")),
        TlsResult::Refused(words) => Blame::likely(
            Code::TlsVersion,
            "the server ends the TLS handshake with an alert",
        )
        .because(format!("the handshake ended with: {words}")),
        TlsResult::BadName(words) => Blame::proved(Code::TlsNameMismatch, words.clone())
            .because("no handshake was tried: it needs a name to ask for"),
        TlsResult::Unusable(words) => {
            let code = if words.starts_with("--ca ") {
                Code::TlsUntrusted
            } else {
                Code::TlsClientCert
            };
            Blame::proved(code, words.clone())
                .because("no handshake was tried: an option for TLS cannot be used")
        }
        TlsResult::TimedOut => return Some(stalled(tls, plain, small)),
        TlsResult::NotTls | TlsResult::Closed => return Some(closed(&tls.result, plain)),
    };
    Some(blame.because_all(certificate_evidence(tls)))
}

fn untrusted(tls: &Handshake, words: &str) -> Blame {
    let certificate = tls.certificate.as_ref();
    let signer = match certificate {
        Some(found) if found.is_self_signed => "is signed by itself".to_owned(),
        Some(found) => format!("is signed by {}, which is not trusted here", found.issuer),
        None => "ends at no root that is trusted here".to_owned(),
    };
    Blame::proved(Code::TlsUntrusted, format!("the certificate {signer}"))
        .because(format!("the check said: {words}"))
}

/// What the server says when it wants a client certificate, before or after the handshake.
pub(super) fn client_certificate(alert: &str) -> Blame {
    Blame::proved(
        Code::TlsClientCert,
        "the server wants a client certificate that it trusts",
    )
    .because(format!("the server sent the TLS alert {alert}"))
}

fn certificate_evidence(tls: &Handshake) -> Vec<String> {
    let Some(found) = &tls.certificate else {
        return Vec::new();
    };
    let ends = if found.ends_in < 0 {
        format!("expired {}ago", ago(-found.ends_in))
    } else {
        format!("ends in {}", age(found.ends_in))
    };
    vec![
        format!("certificate for {}", found.names.join(", ")),
        format!("signed by {}; {ends}", found.issuer),
    ]
}

fn stalled(tls: &Handshake, plain: Option<&Heard>, small: Option<&TlsResult>) -> Blame {
    let waited = format!(
        "TCP connected, and the TLS handshake was not done within {}",
        seconds(tls.took)
    );
    if small.is_some_and(TlsResult::is_tls) {
        return Blame::proved(
            Code::TlsStalled,
            "the TLS handshake starts, and its large packets are lost on the way",
        )
        .because(waited)
        .because("a handshake in small packets (segments of 536 bytes), on another connection, was answered")
        .because_all(tls.flow.filter(|flow| flow.out_of_order > 0).map(packets));
    }
    let blame = match plain {
        Some(Heard::Silence(received)) if received.is_empty() => Blame::likely(
            Code::ServerSilent,
            "the server accepts connections and never says anything",
        )
        .because(waited)
        .because("a plain PING on a second connection stayed unanswered too"),
        Some(Heard::Closed(_) | Heard::Reset(_) | Heard::Other(_)) => {
            Blame::proved(Code::TlsStalled, "the TLS handshake starts and never ends")
                .because(waited)
                .because("a plain PING on a second connection was turned away at once: small packets pass")
        }
        _ => Blame::likely(Code::TlsStalled, "the TLS handshake starts and never ends").because(waited),
    };
    blame.because_all(tls.flow.map(packets))
}

/// What has become of the packets while an answer was waited for in vain.
pub(in crate::ping) fn packets(flow: Flow) -> String {
    match flow {
        Flow {
            unacknowledged: 1.., ..
        } => "what was sent was never acknowledged: packets are lost once the connection is made".into(),
        Flow {
            out_of_order: 1.., ..
        } => "later packets have arrived, and an earlier, larger one has not: it is lost on the way".into(),
        _ => "every packet of ours was acknowledged: the host is there, and no answer comes from it".into(),
    }
}

fn closed(result: &TlsResult, plain: Option<&Heard>) -> Blame {
    let ended = if *result == TlsResult::NotTls {
        "TCP connected; the TLS hello was answered with something that is no TLS"
    } else {
        "TCP connected; the server closed or broke off before a session was made"
    };
    let also = match plain {
        Some(Heard::Silence(received)) if !received.is_empty() => {
            "a plain PING on a second connection got no complete answer"
        }
        Some(Heard::Silence(_)) => "a plain PING on a second connection stayed unanswered",
        Some(_) => "a plain PING on a second connection was turned away too",
        None => "there was no time left for a second connection",
    };
    Blame::proved(
        Code::ProtoClosed,
        "the server accepts the connection and ends it in the TLS handshake",
    )
    .because(ended)
    .because(also)
}

/// `3.0 s`, `12 ms`.
pub(in crate::ping) fn seconds(took: Duration) -> String {
    if took < Duration::from_millis(1) {
        format!("{:.0} µs", took.as_secs_f64() * 1e6)
    } else if took < Duration::from_secs(1) {
        format!("{:.1} ms", took.as_secs_f64() * 1000.0)
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}

fn ago(span: i64) -> String {
    format!("{} ", age(span))
}

/// `3 days`, `5 hours`.
pub(in crate::ping) fn age(span: i64) -> String {
    const STEPS: [(i64, &str); 3] = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    for (size, name) in STEPS {
        let count = span / size;
        if count > 0 {
            return format!("{count} {name}{}", if count == 1 { "" } else { "s" });
        }
    }
    format!("{span} seconds")
}
