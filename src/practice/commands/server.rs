//! The server as such: INFO, ROLE, CONFIG GET and the like.

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::arguments::number;
use super::connection::VERSION;
use super::pattern::matches;
use super::{Call, Outcome, Refusal};
use crate::practice::client::Pause;
use crate::practice::reply::Reply;
use crate::practice::store::DATABASES;

/// What `INFO` calls this server: nobody shall take it for a real Redis.
pub(super) const NAME: &str = "sessiontut-practice";

pub(super) fn role(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::Array(vec![
        Reply::text("master"),
        Reply::Int(0),
        Reply::Array(Vec::new()),
    ]))
}

pub(super) fn time(_: &mut Call<'_>) -> Outcome {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let parts = [now.as_secs().to_string(), now.subsec_micros().to_string()];
    Ok(Reply::bulks(parts.map(String::into_bytes)))
}

pub(super) fn monitor(call: &mut Call<'_>) -> Outcome {
    if call.in_transaction {
        return Err(Refusal::new("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    call.client.is_monitor.set(true);
    Ok(Reply::Ok)
}

pub(super) fn wait(call: &mut Call<'_>) -> Outcome {
    let replicas = number(call.word(1))?;
    let timeout = crate::practice::request::integer(call.word(2))
        .ok_or(Refusal::new("ERR timeout is not an integer or out of range"))?;
    let Ok(timeout) = u64::try_from(timeout) else {
        return Err(Refusal::new("ERR timeout is negative"));
    };
    if replicas <= 0 || call.in_transaction {
        return Ok(Reply::Int(0));
    }
    // There are no replicas: only the time-out ends it.
    let until = (timeout > 0)
        .then(|| Instant::now().checked_add(Duration::from_millis(timeout)))
        .flatten();
    call.client
        .pause
        .set(Some(until.map_or(Pause::Endless, Pause::Until)));
    Ok(Reply::Many(Vec::new()))
}

const NO_CLUSTER: &str = "ERR This instance has cluster support disabled";

pub(super) fn readonly(_: &mut Call<'_>) -> Outcome {
    Err(Refusal::new(NO_CLUSTER))
}

pub(super) fn whoami(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::text("default"))
}

pub(super) fn info(call: &mut Call<'_>) -> Outcome {
    if call.spec.name == "cluster|info" {
        return Err(Refusal::new(NO_CLUSTER));
    }
    let wanted: Vec<String> = call.words[1..].iter().map(|word| super::lower(word)).collect();
    let is_wanted = |section: &str| {
        wanted.is_empty()
            || wanted.iter().any(|word| {
                *word == section.to_lowercase() || matches!(word.as_str(), "all" | "default" | "everything")
            })
    };
    let mut text = String::new();
    for (name, facts) in sections(call) {
        if is_wanted(name) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            // Writing to a String cannot fail.
            let _ = write!(text, "# {name}\r\n");
            for (fact, value) in facts {
                let _ = write!(text, "{fact}:{value}\r\n");
            }
        }
    }
    Ok(Reply::Verbatim(text))
}

type Facts = Vec<(String, String)>;

fn sections(call: &Call<'_>) -> Vec<(&'static str, Facts)> {
    let hub = &*call.hub;
    let up = hub.since.elapsed().as_secs();
    vec![
        (
            "Server",
            facts(&[
                ("redis_version", &VERSION),
                ("server_name", &NAME),
                ("redis_mode", &"standalone"),
                ("os", &std::env::consts::OS),
                ("arch_bits", &usize::BITS),
                ("process_id", &std::process::id()),
                ("run_id", &hub.run_id),
                ("tcp_port", &hub.port),
                ("uptime_in_seconds", &up),
                ("uptime_in_days", &(up / 86400)),
            ]),
        ),
        (
            "Clients",
            facts(&[
                ("connected_clients", &hub.clients.len()),
                ("maxclients", &hub.limits.clients),
            ]),
        ),
        (
            "Memory",
            facts(&[
                ("used_memory", &hub.store.used()),
                ("maxmemory", &hub.limits.data),
                ("maxmemory_policy", &"noeviction"),
            ]),
        ),
        ("Persistence", facts(&[("loading", &0)])),
        (
            "Stats",
            facts(&[
                ("total_connections_received", &hub.counts.connections),
                ("total_commands_processed", &hub.counts.commands),
                ("rejected_connections", &hub.counts.rejected),
                ("expired_keys", &hub.store.expired()),
                ("evicted_keys", &0),
                ("keyspace_hits", &hub.counts.hits),
                ("keyspace_misses", &hub.counts.misses),
            ]),
        ),
        (
            "Replication",
            facts(&[("role", &"master"), ("connected_slaves", &0)]),
        ),
        ("Cluster", facts(&[("cluster_enabled", &0)])),
        ("Keyspace", keyspace(call)),
    ]
}

fn facts(facts: &[(&str, &dyn std::fmt::Display)]) -> Facts {
    facts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.to_string()))
        .collect()
}

fn keyspace(call: &Call<'_>) -> Facts {
    let mut facts = Facts::new();
    for db in 0..DATABASES {
        let keys = call.hub.store.database(db);
        if keys.len() > 0 {
            let ends: Vec<i64> = keys.iter().filter_map(|(_, entry)| entry.expires).collect();
            let count = i64::try_from(ends.len()).unwrap_or(i64::MAX).max(1);
            let left: i64 = ends.iter().map(|end| (end - call.now()) / count).sum();
            let line = format!("keys={},expires={},avg_ttl={left}", keys.len(), ends.len());
            facts.push((format!("db{db}"), line));
        }
    }
    facts
}

pub(super) fn get(call: &mut Call<'_>) -> Outcome {
    let patterns: Vec<String> = call.words[2..].iter().map(|word| super::lower(word)).collect();
    let shown = settings(call).into_iter().filter(|(name, _)| {
        patterns
            .iter()
            .any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
    });
    Ok(Reply::Map(
        shown
            .map(|(name, value)| (Reply::text(name), Reply::text(value)))
            .collect(),
    ))
}

/// What clients and benchmarks ask for.
fn settings(call: &Call<'_>) -> Facts {
    let hub = &*call.hub;
    let password = hub.password.as_ref().map_or("", |_| crate::secret::MASK);
    facts(&[
        ("appendonly", &"no"),
        ("bind", &"127.0.0.1"),
        ("databases", &DATABASES),
        ("hash-max-listpack-entries", &128),
        ("hash-max-listpack-value", &64),
        ("maxclients", &hub.limits.clients),
        ("maxmemory", &hub.limits.data),
        ("maxmemory-policy", &"noeviction"),
        ("notify-keyspace-events", &""),
        ("port", &hub.port),
        ("proto-max-bulk-len", &hub.limits.request),
        ("requirepass", &password),
        ("save", &""),
        ("set-max-intset-entries", &512),
        ("tcp-keepalive", &300),
        ("timeout", &0),
    ])
}
