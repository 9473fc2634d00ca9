//! Suggests fixes for replicas, Sentinels, clusters and database numbers.

use std::collections::BTreeSet;

use super::commands::{ADMIN_LOGIN, cli_tls_options, endpoint, login_options, scheme, shell_quoted};
use super::fix::{Fixes, advise};
use super::fix_context::FixContext;
use super::login::user;
use crate::ping::observation::{Dial, DialResult, Endpoint, SentinelAnswer};
use crate::ping::this_host::LocalListener;
use crate::redis_client::SLOTS;
use crate::sanitize;

pub(super) fn replica(at: &FixContext) -> Fixes {
    if at.seen.server.is_cluster() {
        // Each primary serves only some of the slots.
        return advise(
            "cluster-client",
            "use the cluster class of your client library, which finds the right primary for each key",
        );
    }
    if at.seen.primary().is_some()
        && let Some(list) = at.sentinel_cli("SENTINEL MASTERS")
    {
        return advise(
            "wait",
            "wait until the Sentinels report the new primary: a failover may be running",
        )
        .command(at.ping_with(at.given, "--wait 120 --write-check "))
        .and(
            "sentinel",
            "if the Sentinels still report this replica as the primary, its role was changed by hand or by another \
             tool. Check what the Sentinels know about this server",
        )
        .command(list);
    }
    if let Some(primary) = at.host().strip_prefix("replica.").filter(|_| at.is_aws()) {
        return advise(
            "endpoint",
            "connect to the primary endpoint: the host in the URL is the reader endpoint, but only the primary accepts \
             writes",
        )
        .try_command(at, at.ping_at(&format!("master.{primary}"), at.port()));
    }
    let fixes = advise(
        "endpoint",
        "connect to the primary, because only the primary accepts writes. Cloud providers call its address the \
         primary endpoint",
    );
    match primary(at) {
        Some(primary) => fixes.command(primary).and(
            "endpoint",
            "if that server is a replica too, connect to the primary of that server",
        ),
        None => fixes,
    }
}

pub(super) fn master_down(at: &FixContext) -> Fixes {
    if at.seen.server.field("master_sync_in_progress") == Some("1") {
        return advise(
            "wait",
            "wait until the replica has copied the data of its primary",
        )
        .command(at.ping("--wait 120 "));
    }
    let check = advise(
        "primary",
        "check that the primary is running, that the replica can reach it, and that the replica has the primary's \
         password (masterauth)",
    );
    let check = match at.seen.server.primary() {
        // In the replica's reply, a loopback address means the replica's own host.
        Some((host, port)) if is_loopback_name(&host) => advise(
            "primary",
            format!(
                "on the replica's host, check that the primary is running on port {port}, and that the replica has the \
                 primary's password (masterauth)"
            ),
        )
        .command(at.ping_at(&host, port)),
        _ => match primary(at) {
            Some(primary) => check.command(primary),
            None => check.redis_cli(at, "INFO replication"),
        },
    };
    check.and(
        "failover",
        "if the primary does not come back, promote a replica (REPLICAOF NO ONE). Writes that the replica has not \
         received are lost",
    )
}

/// Returns a command that checks the primary that a replica reports. Returns `None` if the replica reports no
/// primary. The command may fail, because this host may be unable to reach the primary at the reported
/// address.
fn primary(at: &FixContext) -> Option<String> {
    let (host, port) = at.seen.server.primary()?;
    // In the replica's reply, a loopback address means the replica's own host.
    let host = if is_loopback_name(&host) { at.host() } else { &host };
    (!host.is_empty()).then(|| at.ping_at(host, port))
}

fn is_loopback_name(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

pub(super) fn sentinel(at: &FixContext) -> Fixes {
    let answer = at.seen.followed.as_ref().map(|followed| &followed.answer);
    if let Some(SentinelAnswer::UnknownName(known)) = answer
        && !known.is_empty()
    {
        let shown: Vec<_> = known
            .iter()
            .map(|name| sanitize::excerpt(name.as_bytes(), 60))
            .collect();
        let text = format!(
            "use the name of a primary that the Sentinel watches: {}",
            shown.join(", ")
        );
        return match known.as_slice() {
            [name] if is_word(name) => advise("name", text).try_command(
                at,
                at.ping_to(|target| {
                    if let Some(sentinels) = &mut target.sentinels {
                        sentinels.name.clone_from(name);
                    }
                }),
            ),
            _ => advise("name", text),
        };
    }
    let watches_none =
        matches!(answer, Some(SentinelAnswer::UnknownName(_))) || at.seen.server.watches_no_primary();
    if watches_none {
        return advise(
            "monitor",
            "connect to the Redis server itself, or configure the Sentinel to watch it (`sentinel monitor` in \
             sentinel.conf)",
        );
    }
    let Some(primary) = &at.seen.server.sentinel_primary else {
        return advise(
            "endpoint",
            "connect to a primary that the Sentinel watches: SENTINEL MASTERS lists the primaries with their \
             addresses",
        )
        .redis_cli(at, "SENTINEL MASTERS");
    };
    let in_this_program = if at.socket().is_some() {
        // A Sentinel URL needs a host and a port, but a unix socket has neither.
        String::new()
    } else {
        format!(
            ". In this program, use {}+sentinel://{}/{}",
            scheme(at.target),
            endpoint(at.target),
            if is_word(&primary.name) {
                primary.name.as_str()
            } else {
                "NAME"
            }
        )
    };
    let follow = format!(
        "to follow failovers, use the Sentinel support of the application's client (redis-py: Sentinel), with the primary's name{in_this_program}"
    );
    if !at
        .seen
        .server
        .sentinel_primary_dials
        .iter()
        .any(Dial::is_connected)
    {
        let text = format!(
            "run the client in the network of the primary, or configure the Sentinel to announce an address that \
             clients can reach: {primary} may be an address in a container network"
        );
        return advise("announce", text);
    }
    let url = shell_quoted(&format!("{}://{primary}/{}", scheme(at.target), at.target.db));
    advise("endpoint", "connect to the primary that the Sentinel watches")
        .try_command(at, format!("sessiontut ping {url}"))
        .and("sentinel", follow)
}

/// Whether the name of a primary needs no encoding in a URL.
fn is_word(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.bytes().all(is_plain)
}

pub(super) fn cluster_mode(at: &FixContext) -> Fixes {
    let grant = at.seen.server.is_topology_forbidden.then(|| {
        advise(
            "acl",
            format!(
                "as an administrator, allow the user to run CLUSTER SLOTS. Do this on every node of the cluster. \
                 {ADMIN_LOGIN}"
            ),
        )
        .command(at.admin_cli(&[format!("ACL SETUSER {} '+cluster|slots'", user(at))]))
    });
    advise(
        "client",
        "use the cluster class of your client library (redis-py: RedisCluster)",
    )
    .after(grant)
}

pub(super) fn cluster_down(at: &FixContext) -> Fixes {
    if at.seen.server.failing_slots() == Some(SLOTS.into()) {
        return check_cluster(at, "list the nodes and slots that this node knows")
            .and(
                "create",
                "if the cluster is new, run redis-cli --cluster create with the addresses of all nodes; this assigns \
                 the slots",
            )
            .and(
                "nodes-conf",
                "if the cluster worked before, this node has lost its nodes.conf or was reset (CLUSTER RESET): \
                 restore that file, or add the node to the cluster again (redis-cli --cluster add-node)",
            );
    }
    missing_slots(at)
}

pub(super) fn cluster_partial(at: &FixContext) -> Fixes {
    missing_slots(at)
}

/// Suggests how to find the nodes of the slots that are not served.
fn missing_slots(at: &FixContext) -> Fixes {
    let counts = |slots: Option<u64>| slots.is_some_and(|slots| slots > 0);
    let server = &at.seen.server;
    let (unassigned, unanswered) = (server.unassigned_slots(), server.unanswered_slots());
    let nodes = advise(
        "nodes",
        "start the missing nodes again, or promote a replica of each missing node (CLUSTER FAILOVER TAKEOVER)",
    );
    let assign = counts(unassigned).then(|| {
        advise(
            "slots",
            "find out which node had the unassigned slots before: that node may have been reset or removed. If these \
             slots contained no data, assign them to a node (CLUSTER ADDSLOTSRANGE)",
        )
    });
    if counts(unanswered) {
        // redis-cli --cluster check waits for ever for a node that does not reply.
        return advise(
            "cluster",
            "find out which nodes do not respond: CLUSTER NODES marks these nodes with `fail` or, if not all nodes \
             agree yet, with `fail?`",
        )
        .redis_cli(at, "CLUSTER NODES")
        .and_all(nodes)
        .and_all(assign);
    }
    match assign {
        Some(assign) => check_cluster(at, "check which slots are assigned to no node").and_all(assign),
        None => check_cluster(at, "check which slots have no node").and_all(nodes),
    }
}

fn check_cluster(at: &FixContext, text: &str) -> Fixes {
    if at.socket().is_some() {
        // redis-cli --cluster cannot use a unix socket.
        return advise("cluster", text).redis_cli(at, "CLUSTER NODES");
    }
    advise("cluster", text).command(format!(
        "redis-cli --cluster check {}{}{}",
        endpoint(at.target),
        cli_tls_options(at.target, at.trust()),
        login_options(at.target)
    ))
}

pub(super) fn unreachable_nodes(at: &FixContext) -> Fixes {
    let failed = || {
        at.seen
            .server
            .announced
            .iter()
            .filter(|dial| dial.result != DialResult::Connected)
    };
    let is_nameless = |to: &Endpoint| matches!(to, Endpoint::Named(name) if name.starts_with("?:"));
    if failed().any(|dial| is_nameless(&dial.to)) {
        return advise(
            "announce",
            "on every node, set cluster-announce-hostname, because the nodes are configured to announce host \
             names, but have none. Or set cluster-preferred-endpoint-type to ip",
        )
        .redis_cli(at, "CONFIG GET cluster-preferred-endpoint-type");
    }
    if failed().any(|dial| matches!(dial.to, Endpoint::Ip(address) if address.port() == 0)) {
        return advise(
            "tls-cluster",
            "on every node, set tls-cluster to yes: the nodes accept only TLS, but announce the port without TLS, \
             which is 0",
        );
    }
    if let Some(forwarder) = at.listener().and_then(LocalListener::forwarder)
        && at.seen.reaches_no_announced_node()
    {
        return advise(
            "network",
            format!(
                "run the client in the network of the nodes: this connection goes through {forwarder} to one node, but \
                 cluster clients connect to each node at its announced address"
            ),
        );
    }
    if at.provider().is_some() {
        return advise(
            "firewall",
            format!(
                "check that the firewalls on the path allow connections to the nodes of the cluster, not only to port {}",
                at.port()
            ),
        )
        .and(
            "network",
            "if the nodes announce private addresses, run the client in the network of the cluster",
        );
    }
    if failed().all(|dial| matches!(dial.to, Endpoint::Named(_))) {
        return advise(
            "announce-hostname",
            "configure the nodes to announce host names that clients can resolve (cluster-announce-hostname), or IP \
             addresses (cluster-preferred-endpoint-type ip), or run the client in the network of the nodes",
        )
        .redis_cli(at, "CONFIG GET cluster-preferred-endpoint-type");
    }
    // If this run has reached a node at the announced IP address, only the announced port is wrong.
    let own = at.seen.tcp.connected_address().map(|address| address.ip());
    let is_own = |to: &Endpoint| matches!(to, Endpoint::Ip(address) if Some(address.ip()) == own);
    let announce = if failed().all(|dial| is_own(&dial.to)) {
        advise(
            "announce-port",
            "configure the nodes to announce ports that clients can reach (cluster-announce-port; for TLS, \
             cluster-announce-tls-port), or run the client in the network of the nodes",
        )
    } else {
        advise(
            "announce",
            "configure the nodes to announce addresses that clients can reach (cluster-announce-ip), or run \
             the client in the network of the nodes",
        )
    };
    let is_refused = |result: &DialResult| matches!(result, DialResult::Refused);
    let refused: BTreeSet<String> = failed()
        .filter(|dial| is_refused(&dial.result) && !is_loopback(&dial.to))
        .map(|dial| dial.to.to_string())
        .collect();
    let silent: BTreeSet<String> = failed()
        .filter(|dial| !is_refused(&dial.result) && !is_loopback(&dial.to))
        .map(|dial| dial.to.to_string())
        .collect();
    let reaches_others = failed().count() < at.seen.server.announced.len();
    let node = (reaches_others && !refused.is_empty()).then(|| {
        let text = format!("start each node that refuses connections: {}", joined(refused));
        advise("node", text)
    });
    let port = (reaches_others && !silent.is_empty()).then(|| {
        let text = format!(
            "for each node that does not reply, check that its host is up, and that the firewalls allow \
             connections to it: {}",
            joined(silent)
        );
        advise("firewall", text)
    });
    match (node, port) {
        // The other nodes are reachable at their announced addresses, so the refused address is probably
        // right too.
        (Some(node), None) => node,
        (node, port) => announce.after(port).after(node),
    }
}

fn is_loopback(to: &Endpoint) -> bool {
    matches!(to, Endpoint::Ip(address) if address.ip().is_loopback())
}

fn joined(addresses: BTreeSet<String>) -> String {
    addresses.into_iter().collect::<Vec<_>>().join(", ")
}

/// Suggests database 0, if the server refuses SELECT.
pub(super) fn database_0(at: &FixContext) -> Fixes {
    advise(
        "db",
        "use database 0, for which SELECT is not needed, but which may already contain other data",
    )
    .try_command(at, at.ping_to(|target| target.db = 0))
}

pub(super) fn db_index(at: &FixContext) -> Fixes {
    advise(
        "db",
        "use database 0, which may already contain other data, or another database that exists (usually 1 to 15; \
         in a cluster, only database 0 exists)",
    )
    .try_command(at, at.ping_to(|target| target.db = 0))
    .and("databases", "check how many databases the server has")
    .redis_cli(at, "CONFIG GET databases")
}
