//! Lists examples with roles, clusters, databases and latency.

use super::*;

pub(super) fn role_replica() -> Vec<Situation> {
    let mut moved = write_refused("-MOVED 7 10.0.3.18:6379");
    moved.server.role = Some(redis::Value::Array(vec![redis::Value::BulkString(
        "slave".into(),
    )]));
    let named = asked(
        SentinelAnswer::Primary(NamedPrimary {
            name: "shop".into(),
            host: "10.0.3.17".into(),
            port: 6379,
        }),
        info(&[("role", "slave")]),
    );
    vec![
        seen(
            "HSET",
            IP,
            write_refused("-READONLY You can't write against a read only replica."),
        ),
        seen("a node of a cluster", IP, moved),
        seen("a warning", IP, info(&[("role", "slave")])),
        seen(
            "a known primary",
            IP,
            info(&[
                ("role", "slave"),
                ("master_host", "127.0.0.1"),
                ("master_port", "6380"),
            ]),
        ),
        seen("a Sentinel that names a replica", SENTINEL, named),
        seen(
            "a reader endpoint",
            "rediss://replica.shop.x1y2z3.euw1.cache.amazonaws.com",
            info(&[("role", "slave")]),
        ),
    ]
}

pub(super) fn role_master_down() -> Vec<Situation> {
    vec![
        seen("PING", IP, {
            let mut seen = error("-MASTERDOWN Link with MASTER is down");
            seen.server.fields = fields(&[
                ("role", "slave"),
                ("master_host", "10.0.3.18"),
                ("master_port", "6379"),
                ("master_link_status", "down"),
                ("master_link_down_since_seconds", "90"),
            ]);
            seen
        }),
        seen("HSET", IP, write_refused("-MASTERDOWN Link with MASTER is down")),
        seen(
            "a warning",
            IP,
            info(&[("role", "slave"), ("master_link_status", "down")]),
        ),
        seen(
            "the first copy",
            IP,
            info(&[
                ("role", "slave"),
                ("master_link_status", "down"),
                ("master_sync_in_progress", "1"),
            ]),
        ),
    ]
}

pub(super) fn role_sentinel() -> Vec<Situation> {
    let mut known = info(&[("redis_mode", "sentinel")]);
    known.server.sentinel_primary = Some(crate::ping::observation::NamedPrimary {
        name: "shop".into(),
        host: "10.0.3.18".into(),
        port: 6379,
    });
    vec![
        seen("a known primary", "redis://10.0.3.17:26379", known),
        seen("no primary", IP, info(&[("redis_mode", "sentinel")])),
        seen(
            "a Sentinel that watches nothing",
            IP,
            info(&[("redis_mode", "sentinel"), ("sentinel_masters", "0")]),
        ),
    ]
}

pub(super) fn cluster_mode() -> Vec<Situation> {
    let mut forbidden = info(&[("cluster_enabled", "1")]);
    forbidden.server.is_topology_forbidden = true;
    vec![
        seen("INFO", IP, info(&[("cluster_enabled", "1")])),
        seen("CLUSTER is forbidden", IP_WITH_LOGIN, forbidden),
    ]
}

pub(super) fn cluster_down() -> Vec<Situation> {
    let mut state = info(&[("cluster_enabled", "1")]);
    state.server.cluster = [("cluster_state".into(), "fail".into())].into();
    let slots = |assigned: &str, failing: &str| {
        let mut seen = info(&[("cluster_enabled", "1")]);
        seen.server.cluster = [
            ("cluster_state", "fail"),
            ("cluster_slots_assigned", assigned),
            ("cluster_slots_pfail", "0"),
            ("cluster_slots_fail", failing),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
        seen
    };
    vec![
        seen(
            "HSET",
            IP_WITH_LOGIN,
            write_refused("-CLUSTERDOWN Hash slot not served"),
        ),
        seen("CLUSTER INFO", IP, state),
        seen("slots without a node", IP, slots("16383", "0")),
        seen("a node that does not respond", IP, slots("16384", "5461")),
    ]
}

pub(super) fn cluster_partial() -> Vec<Situation> {
    let mut partial = info(&[("cluster_enabled", "1")]);
    partial.server.cluster = [
        ("cluster_state", "ok"),
        ("cluster_slots_assigned", "16384"),
        ("cluster_slots_pfail", "0"),
        ("cluster_slots_fail", "5461"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    vec![seen("a missing node", IP, partial)]
}

pub(super) fn cluster_unreachable_nodes() -> Vec<Situation> {
    let node = |to: &str, result| Dial {
        to: to
            .parse()
            .map_or_else(|_| Endpoint::Named(to.into()), Endpoint::Ip),
        ..dial(result)
    };
    let mut nameless = pong();
    nameless.server.cluster = [("cluster_state".into(), "ok".into())].into();
    nameless.server.announced = vec![node(
        "?:6379",
        DialResult::Other("the name cannot be resolved".into()),
    )];
    let mut one_node = pong();
    one_node.server.cluster = [("cluster_state".into(), "ok".into())].into();
    one_node.server.announced = vec![
        node("10.0.3.17:6379", DialResult::Connected),
        node("10.0.3.17:6380", DialResult::Refused),
        node("10.0.3.18:6379", SILENCE),
    ];
    let mut names = nameless.clone();
    names.server.announced = vec![node(
        "redis-0.headless:6379",
        DialResult::Other("the name cannot be resolved".into()),
    )];
    let mut announced = pong();
    announced.server.cluster = [("cluster_state".into(), "ok".into())].into();
    announced.server.announced = vec![dial(DialResult::Refused)];
    vec![
        seen("a refused connection", IP, announced),
        seen("no host name", IP, nameless),
        seen("unknown host names", IP, names),
        seen("two of three", IP, one_node),
    ]
}

pub(super) fn db_index() -> Vec<Situation> {
    let refused = pong().with(|seen| seen.requests.select = Some(reply("-ERR DB index is out of range")));
    vec![seen("SELECT", "redis://10.0.3.17/99", refused)]
}

pub(super) fn latency_high() -> Vec<Situation> {
    let slow = |connecting| {
        let mut seen = pong().with(|seen| seen.ping.round_trips = vec![Duration::from_millis(40); 5]);
        seen.tcp.dials[0].took = Duration::from_millis(connecting);
        seen
    };
    vec![
        seen("a slow network", IP, slow(40)),
        seen("a slow server", IP, slow(1)),
    ]
}

pub(super) fn latency_jitter() -> Vec<Situation> {
    let mut uneven = pong();
    uneven.ping.round_trips = vec![Duration::from_millis(1); 5];
    uneven.ping.round_trips[2] = Duration::from_millis(80);
    uneven.tcp.dials[0].took = Duration::from_millis(1);
    vec![seen("one of 80 ms", IP, uneven)]
}
