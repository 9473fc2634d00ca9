//! The verdict on a name: without an address there is nothing to connect to.

use std::net::IpAddr;
use std::time::Duration;

use super::Blame;
use super::words::seconds;
use crate::ping::causes::Cause;
use crate::ping::observation::{Lookup, NameAnswer, Observations};
use crate::redis_url::Target;

/// What a resolver may need for a name that it has to ask others for, and a lost packet to be sent again.
const SLOW_RESOLVER: Duration = Duration::from_millis(1900);

pub(super) fn judge(target: &Target, seen: &Observations) -> Option<Blame> {
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
                Cause::DnsNoAddress,
                format!("{host} has no address of the family that was asked for"),
            )
            .because(format!("it has addresses of {families} alone"))
        });
    }
    let said = |wanted: fn(&NameAnswer) -> bool| lookup.servers.iter().any(|server| wanted(&server.answer));
    let blame = if said(|answer| *answer == NameAnswer::NoAddress) {
        Blame::proved(
            Cause::DnsNoAddress,
            format!("the name {host} exists and has no A or AAAA record"),
        )
    } else if let Some(end) = dangling(lookup) {
        Blame::proved(
            Cause::DnsNotFound,
            format!("the name {host} is an alias of {end}, which does not exist"),
        )
    } else if said(|answer| *answer == NameAnswer::NotFound) {
        Blame::proved(Cause::DnsNotFound, format!("the name {host} does not exist"))
    } else if said(|answer| matches!(answer, NameAnswer::Refused(_) | NameAnswer::Malformed)) {
        Blame::proved(
            Cause::DnsServerFailure,
            format!("the name server cannot or will not answer for {host}"),
        )
    } else if said(|answer| matches!(answer, NameAnswer::Addresses(_))) {
        // The servers know the name, and the system's resolver does not ask them.
        Blame::likely(
            Cause::DnsNotFound,
            format!("this system's resolver does not find {host}"),
        )
    } else if lookup.system_timed_out && lookup.took < SLOW_RESOLVER {
        Blame::likely(
            Cause::DnsTimeout,
            format!("no name server has answered for {host} in the time that there was"),
        )
        .because("a resolver that asks others may take as long: try a longer --timeout")
    } else {
        Blame::proved(
            Cause::DnsTimeout,
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
            Cause::DnsNoAddress,
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
    if lookup.system_timed_out {
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
            NameAnswer::Timeout => "does not answer".into(),
            NameAnswer::Unreachable(words) => format!("cannot be asked: {words}"),
            NameAnswer::Malformed => "answers something that is no answer".into(),
        };
        facts.push(format!("name server {} {said}", server.address));
    }
    facts.push("no connection was tried: there is no address to connect to".into());
    facts
}
