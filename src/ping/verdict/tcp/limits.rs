//! Describes limits of this host that prevent a connection: local ports and open files.

use crate::ping::FILES_NEEDED;
use crate::ping::causes::Cause;
use crate::ping::observation::{Dial, DialResult, Observations};
use crate::ping::this_host::LocalPorts;
use crate::ping::verdict::finding::Finding;

/// Returns the finding about a limit of open files that is too low for the checks.
pub(in crate::ping::verdict) fn judge_open_files(seen: &Observations) -> Option<Finding> {
    let limit = open_files(seen).filter(|_| seen.tcp.dials.is_empty())?;
    let finding = Finding::proved(Cause::LocalOpenFiles).fact(limit);
    Some(if seen.dns.is_some() {
        finding.summary("this process cannot open any more files, so it cannot look up the host name")
    } else {
        finding
            .summary("this process cannot open enough files to run the checks")
            .fact(format!(
                "the checks need about {FILES_NEEDED} more files: for sockets, the name lookup, and certificates"
            ))
            .fact("no packet was sent")
    })
}

pub(super) fn open_files(seen: &Observations) -> Option<String> {
    let limit = seen.open_file_limit?;
    Some(format!(
        "this process can have at most {limit} files open (ulimit -n)"
    ))
}

/// Describes how local ports are used, if none is free.
pub(super) fn local_ports(seen: &Observations, dial: &Dial) -> Option<String> {
    let LocalPorts {
        first,
        last,
        open,
        time_wait,
    } = seen.this_host.local_ports?;
    let count = u32::from(last).saturating_sub(first.into()) + 1;
    (dial.result == DialResult::NoLocalPort).then(|| {
        format!(
            "net.ipv4.ip_local_port_range is {first} to {last} ({count} {}); connections to this address: {open} \
             open, {time_wait} in TIME_WAIT",
            if count == 1 { "port" } else { "ports" }
        )
    })
}

/// Returns a note if the range of local ports is too small.
pub(super) fn few_ports(seen: &Observations) -> Option<String> {
    const FEW: u16 = 1000;
    let LocalPorts { first, last, .. } = seen.this_host.local_ports?;
    let count = last.saturating_sub(first).saturating_add(1);
    let noun = if count == 1 { "port" } else { "ports" };
    (count < FEW).then(|| format!(": only {count} {noun} can be used ({first} to {last})"))
}
