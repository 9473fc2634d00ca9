//! What to do about a name without an address.

use super::{Cause, Fix, FixContext};

pub(super) fn fixes(cause: Cause, at: &FixContext) -> Vec<Fix> {
    let spelling = Fix::say(
        "spelling",
        "copy the primary endpoint anew from the console: a letter too many is the usual reason",
    );
    let private = Fix::say(
        "private-zone",
        "names of a private zone are known inside their VPC only: ask from an instance in it",
    );
    let resolver = Fix::paste(
        "resolver",
        "look at the name servers of this host; in a VPC, enableDnsSupport must be on",
        "cat /etc/resolv.conf",
    );
    let query = Fix::paste("query", "ask by hand", format!("getent hosts {}", at.host));
    match cause {
        Cause::DnsTimeout => vec![
            resolver,
            Fix::say(
                "local-firewall",
                "port 53, UDP and TCP, must be allowed out to the name server",
            ),
        ],
        Cause::DnsServerFailure => vec![resolver, query],
        Cause::DnsNoAddress if at.has_other_family => vec![Fix::say(
            "family",
            "leave -4 or -6 out: there are addresses of the other family alone",
        )],
        Cause::DnsNotFound if at.alias.is_some() => {
            let end = at.alias.as_deref().unwrap_or_default();
            let renew =
                format!("let the alias point to a name that exists: {end} may be a cache that was deleted");
            vec![Fix::say("alias", renew), private, query]
        }
        Cause::DnsNoAddress => vec![
            spelling,
            private,
            Fix::say(
                "rebind-protection",
                "many home routers hide names with private addresses (\"DNS rebind protection\"): ask another resolver",
            ),
            query,
        ],
        _ => vec![spelling, private, query],
    }
}
