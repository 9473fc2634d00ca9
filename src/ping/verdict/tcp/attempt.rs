//! Describes a connection attempt.

use crate::clock::seconds;
use crate::os::Icmp;
use crate::ping::observation::{Dial, DialResult, Endpoint, ErrorSource};
use crate::sanitize;

pub(in crate::ping::verdict) fn describe(dial: &Dial) -> String {
    let to = &dial.to;
    let is_socket = matches!(to, Endpoint::Named(_));
    let took = seconds(dial.took);
    let result = match &dial.result {
        DialResult::Connected => format!("connected after {took}"),
        DialResult::Refused if is_socket => "no process is listening".into(),
        DialResult::NoSocket(found) => (*found).to_owned(),
        DialResult::Refused => format!("refused with a TCP reset (RST) after {took}"),
        DialResult::Prohibited(ErrorSource::ThisHost(error)) if is_socket => error.clone(),
        DialResult::Prohibited(source) | DialResult::Unreachable(source) => describe_source(source),
        DialResult::NoRoute => {
            "the kernel found no usable route to this address, so no packet was sent".into()
        }
        DialResult::TooManyFiles => "too many open files: no socket could be opened".into(),
        DialResult::NoLocalPort => {
            "no local port is free: the kernel reports \"cannot assign requested address\"".into()
        }
        DialResult::NoNeighbour => format!("no ARP/NDP reply on this network within {took}"),
        DialResult::Timeout { .. } if is_socket => {
            "the kernel cannot queue another connection for the server".into()
        }
        DialResult::Timeout { syns: Some(1) } => {
            format!("1 SYN packet and no retransmission in {took}; no reply and no ICMP error")
        }
        DialResult::Timeout { syns: Some(syns) } => {
            format!("{syns} SYN packets sent in {took}, without a reply or an ICMP error")
        }
        DialResult::Timeout { syns: None } => format!("no reply within {took}"),
        DialResult::Discarded if dial.lacks_zone() => {
            "the kernel cannot choose an interface for this link-local address, so no packet was sent".into()
        }
        DialResult::RejectedByRoute => {
            "the kernel rejects packets to this address (\"no route to host\"), so no packet was sent".into()
        }
        DialResult::Discarded => {
            "the kernel discards packets to this address (\"invalid argument\"), so no packet was sent".into()
        }
        DialResult::Other(error) => sanitize::line(error).into_owned(),
    };
    format!("{to}: {result}")
}

fn describe_source(source: &ErrorSource) -> String {
    match source {
        ErrorSource::ThisHost(error) => format!("blocked by this host: {error}"),
        ErrorSource::Icmp(icmp) => {
            let from = icmp
                .from
                .map_or_else(|| "a host on the way".to_owned(), |from| from.to_string());
            let version = if icmp.v6 { "ICMPv6" } else { "ICMP" };
            let meaning = icmp_meaning(*icmp);
            format!(
                "{from} sent an {version} error: {meaning} (type {}, code {})",
                icmp.kind, icmp.code
            )
        }
    }
}

fn icmp_meaning(icmp: Icmp) -> &'static str {
    match (icmp.v6, icmp.kind, icmp.code) {
        (false, 3, 0) => "network unreachable",
        (false, 3, 1) => "host unreachable",
        (false, 3, 2) => "protocol unreachable, which only a REJECT rule sends in reply to TCP",
        (false, 3, 3) | (true, 1, 4) => "port unreachable, which only a REJECT rule sends in reply to TCP",
        (false, 3, 9) => "network administratively prohibited",
        (false, 3, 10) => "host administratively prohibited",
        (false, 3, 13) | (true, 1, 1) => "communication administratively prohibited",
        (true, 1, 0) => "no route to the destination",
        (true, 1, 3) => "address unreachable",
        (true, 1, 5) => "source address refused by policy",
        (true, 1, 6) => "route rejected",
        (false, 11, _) | (true, 3, _) => "time exceeded: routing loop",
        _ => "destination unreachable",
    }
}
