//! Suggests fixes for host names that have no address or a wrong address.

mod system_files;

use super::commands::shell_quoted;
use super::fix::{Fixes, advise};
use super::fix_context::FixContext;
use crate::ping::observation::{DialResult, Lookup, NameAnswer, NameServer};
use crate::ping::rungs::dns::SLOW_LOOKUP;
use crate::redis_url::hosting::Reach;
pub(in crate::ping) use system_files::hosts_file_fixes;
use system_files::name_sources;

pub(super) fn not_found(at: &FixContext) -> Fixes {
    if at.seen.primary().is_some() {
        return advise(
            "announce",
            "run the client where this name can be resolved, or configure the Sentinels to report an address that \
             clients can reach (sentinel announce-hostnames no, replica-announce-ip)",
        );
    }
    if at.name_servers().iter().any(is_known) {
        return name_sources(at).after(private_name(at));
    }
    if at.host().eq_ignore_ascii_case("localhost") {
        return advise(
            "hosts-file",
            "add localhost to /etc/hosts, where this name is usually defined, or use 127.0.0.1 in the URL",
        )
        .command("sudo sh -c 'echo \"127.0.0.1 localhost\" >> /etc/hosts'");
    }
    let fixes = match at.seen.dns.as_ref().and_then(Lookup::dangling_alias) {
        Some(end) => advise(
            "alias",
            format!(
                "change the CNAME record so that it points to a name that exists. The server {end} may have been deleted"
            ),
        ),
        None => spelling(at),
    };
    private_zone(at, fixes)
        .and_all(full_name(at))
        .after(private_name(at))
        .after(kubernetes_name(at))
}

/// Suggests what to check if the host name is a single word and was not found.
fn full_name(at: &FixContext) -> Option<Fixes> {
    let lookup = at.seen.dns.as_ref().filter(|_| !at.host().contains('.'))?;
    Some(advise(
        "search",
        match &lookup.search {
            Some(search) => format!(
                "if the name is short for a longer one, use the full name in the URL, or correct the search domains in \
                 {search}"
            ),
            None => "if the name is short for a longer one, use the full name in the URL".to_owned(),
        },
    ))
}

/// Suggests the full name of a Service, if the search domains show that this program runs in a pod of
/// Kubernetes (<https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/>).
fn kubernetes_name(at: &FixContext) -> Option<Fixes> {
    let search = at.seen.dns.as_ref()?.search.as_ref()?;
    let is_short = at.host().matches('.').count() < 2;
    (is_short && search.text().contains("svc.cluster.local")).then(|| {
        advise(
            "service",
            "write the host in the URL as SERVICE.NAMESPACE: according to the search domains, this program runs in a \
             Kubernetes pod. The following command lists the Services of all namespaces",
        )
        .command("kubectl get services --all-namespaces")
    })
}

pub(super) fn no_address(at: &FixContext) -> Fixes {
    let lookup = at.seen.dns.as_ref();
    let has_addresses = lookup.is_none_or(|lookup| !lookup.addresses.is_empty());
    if has_addresses && at.seen.tcp.dials.is_empty() {
        return advise(
            "family",
            "remove the option -4 or -6: it excludes all addresses of the host",
        );
    }
    if let Some(end) = lookup.and_then(Lookup::empty_alias) {
        let host = shell_quoted(at.host());
        let text = if end.eq_ignore_ascii_case(at.host().trim_end_matches('.')) {
            format!("correct the alias (CNAME record) of {host}, which leads back to the same name")
        } else {
            format!(
                "correct the aliases (CNAME records) that lead from {host} to {end}. The last name needs an A or \
                 AAAA record, and no alias may lead back to an earlier name"
            )
        };
        return advise("alias", text).after(private_name(at));
    }
    private_zone(at, spelling(at))
        .and(
            "rebind-protection",
            "if a home router resolves the names for this host, use another resolver: many home routers remove \
             private addresses from DNS replies (\"DNS rebind protection\")",
        )
        .after(private_name(at))
}

pub(super) fn no_name_server(at: &FixContext) -> Fixes {
    let is_blocked = |server: &NameServer| matches!(server.answer, NameAnswer::Blocked(_));
    let blocked = at.name_servers().iter().any(is_blocked).then(|| {
        advise(
            "local-firewall",
            "check this host's own firewall, and whether this process is allowed to use the network (seccomp, \
             capabilities, network namespace)",
        )
        .command("sudo nft list ruleset")
    });
    if at.seen.dns.as_ref().is_some_and(Lookup::has_no_route) {
        return advise(
            "network",
            "check the network of this host: an interface, a VPN or the default route is missing, or this container \
             has no network",
        )
        .command("ip -br addr; ip route")
        .and(
            "resolver",
            "if the network settings are correct, replace the name servers in /etc/resolv.conf: perhaps they belong to \
             a VPN that is not connected",
        )
        .command("cat /etc/resolv.conf");
    }
    if at.seen.dns.as_ref().is_some_and(|lookup| lookup.is_unconfigured) {
        return advise(
            "resolver",
            "add the line `nameserver ADDRESS` to /etc/resolv.conf, which contains no name server",
        )
        .command("cat /etc/resolv.conf")
        .and_all(private_name(at))
        .after(blocked);
    }
    let resolver = match local_resolver(at) {
        Some(start) => start.and_all(resolver(
            at,
            "or, in /etc/resolv.conf, replace the name servers that do not reply",
        )),
        None => resolver(
            at,
            "start the DNS service on the name servers that do not reply, or replace these name servers in \
             /etc/resolv.conf",
        ),
    };
    let lacks_tcp = |server: &NameServer| matches!(server.answer, NameAnswer::NoTcp(_));
    if at.name_servers().iter().any(lacks_tcp) {
        return advise(
            "firewall",
            "in the firewalls between this host and the name server, also allow TCP port 53, because a response \
             that is too long for UDP is sent over TCP",
        )
        .and_all(resolver);
    }
    let lookup = at.seen.dns.as_ref();
    let order = lookup.is_some_and(|lookup| lookup.ignored_servers > 0).then(|| {
        advise(
            "resolver-order",
            "in /etc/resolv.conf, move the working name servers to the top, because only the first three are used",
        )
        .command("cat /etc/resolv.conf")
    });
    resolver
        .after(order)
        .and(
            "local-firewall",
            "or allow port 53 (UDP and TCP) in the firewalls between this host and the name server",
        )
        .and_all(private_name(at))
        .and_all(slow_name_server(at))
        .after(blocked)
}

/// Suggests a longer timeout if a name server may only be slow.
fn slow_name_server(at: &FixContext) -> Option<Fixes> {
    let is_late = |server: &NameServer| server.answer == NameAnswer::Timeout;
    at.name_servers().iter().any(is_late).then(|| {
        advise("timeout", "if the name server is only slow, use a longer timeout")
            .command(at.ping("--timeout 20 "))
    })
}

/// Suggests fixes if `/etc/resolv.conf` names a resolver on this host that is not running.
fn local_resolver(at: &FixContext) -> Option<Fixes> {
    let is_stopped = |server: &&NameServer| {
        server.address.ip().is_loopback() && matches!(server.answer, NameAnswer::Unreachable(_))
    };
    let stopped = at.name_servers().iter().find(is_stopped)?;
    let text = format!(
        "start this host's own resolver (systemd-resolved or dnsmasq), because no resolver answers on {}",
        stopped.address.ip()
    );
    Some(advise("local-resolver", text).command("ss -lunp 'sport = :53'"))
}

pub(super) fn server_failure(at: &FixContext) -> Fixes {
    let is_refused =
        |server: &NameServer| matches!(&server.answer, NameAnswer::Refused(code) if code == "REFUSED");
    let resolver = resolver(
        at,
        "use a name server that can resolve the name: check the addresses in /etc/resolv.conf",
    );
    let fixes = if at.name_servers().iter().any(is_refused) {
        advise(
            "name-server",
            "check whether the name server resolves other names, such as example.com. If not, configure the name \
             server to allow queries from this host (BIND: allow-query, allow-recursion). If it resolves them, it \
             is probably not responsible for this name, or removes private addresses (DNS rebind protection)",
        )
        .command("getent hosts example.com")
        .and_all(resolver)
        .and_all(spelling(at))
    } else {
        resolver.and(
            "name-server",
            "read the log of the name server. Perhaps the name server cannot reach the servers that are \
             responsible for this name, or rejects their DNSSEC signatures",
        )
    };
    fixes.after(private_name(at))
}

pub(super) fn slow(at: &FixContext) -> Fixes {
    let silent_about = at.name_servers().iter().find_map(|server| server.silent_about);
    let servers = "in /etc/resolv.conf, remove the name servers that do not reply, and put the fastest name server first";
    let is_fast = |server: &NameServer| is_known(server) && server.took <= SLOW_LOOKUP / 2;
    match silent_about {
        None if at.name_servers().iter().all(is_fast) => advise(
            "resolver",
            "check the line `hosts:` of /etc/nsswitch.conf: a source other than dns, such as mdns4_minimal, may be \
             slow",
        )
        .command("grep -n 'hosts:' /etc/nsswitch.conf"),
        Some("AAAA") => advise(
            "resolver",
            "use a name server that replies to AAAA queries or, with glibc 2.36 or newer, add `options no-aaaa` to \
             /etc/resolv.conf",
        )
        .command("cat /etc/resolv.conf"),
        _ => advise("resolver", servers).command("cat /etc/resolv.conf"),
    }
    .and("cache", "run a caching resolver on this host (systemd-resolved, dnsmasq, unbound)")
}

/// Suggests fixes for a host name that the resolver completed with a search domain.
pub(super) fn completed(at: &FixContext) -> Fixes {
    match at.seen.dns.as_ref().and_then(|lookup| lookup.completed.as_ref()) {
        Some(completed) => advise(
            "search",
            format!(
                "if {} is the right server, use this full name in the URL, so that search domains have no effect",
                completed.name
            ),
        ),
        None => advise("search", "use the full name in the URL"),
    }
}

/// Suggests a fix if the resolver appended a search domain to a full host name, because the result may be a
/// different server.
pub(super) fn search_domain(at: &FixContext) -> Option<Fixes> {
    let completed = at.seen.dns.as_ref()?.completed.as_ref()?;
    let (host, port) = (at.host(), at.port());
    // Kubernetes service names contain dots, but are not full names.
    let is_container = at
        .hosting()
        .is_some_and(|hosting| hosting.reach == Reach::Containers);
    let is_full = host.contains('.') && !host.ends_with('.');
    (is_full && !is_container).then(|| {
        let text = format!(
            "if {} is not the right server, write {host}. in the URL, with a dot at the end. The resolver then \
             does not append the search domain in {}",
            completed.name,
            completed.search
        );
        let fixes = advise("search", text);
        // Some TLS libraries reject a host name that ends with a dot, so suggest no command with TLS.
        if at.target.tls {
            fixes
        } else {
            fixes.try_command(at, at.ping_at(&format!("{host}."), port))
        }
    })
}

/// Suggests fixes for a host name with several addresses, if connections to some of the addresses failed. A
/// single lost packet may be the reason.
pub(super) fn partial(at: &FixContext) -> Fixes {
    let dial = at.seen.tcp.failed_beside_connection();
    let failed = dial.and_then(|dial| Some((dial, dial.to.ip()?)));
    if let Some((dial, failed)) = failed
        && let Some(works) = at.seen.tcp.connected_address()
        && dial.result == DialResult::Refused
        && failed.ip().is_loopback()
        && !at.target.tls
    {
        let works = works.ip().to_string();
        return advise("bind", format!("use {works} in the URL"))
            .try_command(at, at.ping_at(&works, at.port()))
            .and(
                "bind",
                format!(
                    "or make the server listen on {} too (`bind` in the Redis configuration)",
                    failed.ip()
                ),
            );
    }
    let look = failed.map(|(dial, failed)| {
        let (address, port) = (failed.ip().to_string(), failed.port());
        // Only a timeout can be the result of a lost packet.
        let (how, timeout) = match dial.result {
            DialResult::Timeout { .. } => (
                ", with a longer timeout: a packet may have been lost, or",
                "--timeout 10 ",
            ),
            _ => (":", ""),
        };
        let name = format!("--tls-name {} ", shell_quoted(at.host()));
        let name = if at.target.tls { name.as_str() } else { "" };
        let text = format!("test {address} again{how} the server may still be starting");
        advise("address", text)
            .command(at.ping_with(&at.target.of_primary(&address, port), &format!("{timeout}{name}")))
    });
    let entry = at.seen.dns.as_ref().and_then(|lookup| lookup.hosts_file.as_ref());
    let place = match entry {
        Some(entry) => format!("line {} of /etc/hosts", entry.line),
        None => format!("the DNS records of {}", shell_quoted(at.host())),
    };
    let remove = format!(
        "if the test fails again, start the server that has this address, or remove the address from {place}"
    );
    advise("records", remove).after(look)
}

/// Whether the name server returned an address of the host.
fn is_known(server: &NameServer) -> bool {
    matches!(server.answer, NameAnswer::Addresses(_))
}

/// Suggests what to check if the host name exists only inside a container network, or inside the network of a
/// provider other than AWS.
fn private_name(at: &FixContext) -> Option<Fixes> {
    at.hosting()
        .filter(|hosting| hosting.is_private() && !hosting.is_aws)
        .map(|hosting| advise("private-name", hosting.check))
}

fn spelling(at: &FixContext) -> Fixes {
    advise(
        "spelling",
        if at.is_aws() {
            "copy the primary endpoint from the AWS console again: the name in the URL probably contains a typo, or the \
             cache was deleted"
        } else {
            "check the name for typos; if a provider runs the server, copy the host name from its console"
        },
    )
}

fn private_zone(at: &FixContext, fixes: Fixes) -> Fixes {
    if private_name(at).is_some() {
        return fixes;
    }
    fixes.and(
        "private-zone",
        if at.is_aws() {
            "if the name belongs to a private DNS zone, run the client on an instance in the VPC of the zone"
        } else {
            "if the name belongs to a private DNS zone, run the client in the network of that zone, or connect to \
             that network with a VPN"
        },
    )
}

/// Suggests `text` as a fix for this host's resolver, with a command that shows the resolver's configuration.
fn resolver(at: &FixContext, text: &str) -> Fixes {
    advise(
        "resolver",
        at.with_aws_note(text, "; in a VPC, enableDnsSupport must be on"),
    )
    .command("cat /etc/resolv.conf")
}
