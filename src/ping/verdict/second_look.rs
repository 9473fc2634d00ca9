//! Adds to a finding whether all servers behind the host name have the fault, or only one of them.

use super::finding::Finding;
use super::no_reply::ONLY_THIS_CONNECTION;
use crate::ping::observation::{Dial, Observations};

/// Adds to a finding which address it is about, and whether a second connection works.
pub(super) fn with_second_look(finding: Finding, seen: &Observations) -> Finding {
    let Some(first) = seen.tcp.connected_address() else {
        return finding;
    };
    let connected = seen.tcp.dials.iter().filter(|dial| Dial::is_connected(dial));
    let has_several = connected.count() > 1;
    let finding = finding.facts(
        has_several
            .then(|| format!("the host in the URL has several addresses; this report is about {first}")),
    );
    let Some(look) = &seen.experiments.second_look else {
        return finding;
    };
    let (other, works) = (look.address, look.works());
    let summary = &finding.summary;
    match (other == first, works) {
        (true, true) => {
            let summary = format!("{summary}; {ONLY_THIS_CONNECTION}");
            finding
                .summary(summary)
                .fact("a second connection to the same address got the expected replies")
        }
        (false, true) => {
            let summary = format!("{summary} (this is the result at {first}; the address {other} works)");
            finding.summary(summary).fact(format!(
                "a second connection, to {other}, got the expected replies"
            ))
        }
        (true, false) => finding,
        (false, false) => finding.fact(format!("a second connection, to {other}, did not work either")),
    }
}
