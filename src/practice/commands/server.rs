//! Implements the commands about the server, such as INFO, ROLE, CONFIG GET and COMMAND.

use std::fmt::{Display, Write as _};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::arguments::lower;
use super::command_table::{PRACTICE, find_name};
use crate::practice::client::Pause;
use crate::practice::command::{CommandResult, Invocation, SYNTAX};
use crate::practice::command_info::CommandInfo;
use crate::practice::reply::Reply;
use crate::practice::state::ServerState;
use crate::practice::store::DATABASES;
use crate::practice::words::integer;

/// The version of Redis that the practice Redis imitates.
pub(super) const VERSION: &str = "7.0.15";
/// The name of the practice Redis in INFO, which distinguishes it from a real Redis.
pub(crate) const NAME: &str = "sessiontut-practice";

pub(super) fn role() -> Reply {
    Reply::Array(vec![
        Reply::text("master"),
        Reply::Int(0),
        Reply::Array(Vec::new()),
    ])
}

pub(super) fn time() -> Reply {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let parts = [now.as_secs().to_string(), now.subsec_micros().to_string()];
    Reply::Array(parts.map(Reply::text).into())
}

pub(super) fn monitor(call: &mut Invocation<'_>) -> CommandResult {
    if call.in_transaction {
        return Err("ERR MONITOR isn't allowed for DENY BLOCKING client".into());
    }
    call.state.monitors.insert(call.client.id);
    Ok(Reply::Ok)
}

pub(super) fn wait(call: &mut Invocation<'_>) -> CommandResult {
    let replicas = call.number(1)?;
    let timeout = integer(call.word(2)).ok_or("ERR timeout is not an integer or out of range")?;
    let Ok(timeout) = u64::try_from(timeout) else {
        return Err("ERR timeout is negative".into());
    };
    if replicas <= 0 || call.in_transaction {
        return Ok(Reply::Int(0));
    }
    // There are no replicas, so WAIT ends only at the timeout. A timeout of 0 means no timeout.
    let until = Instant::now().checked_add(Duration::from_millis(timeout));
    let pause = until.filter(|_| timeout > 0).map_or(Pause::Forever, Pause::Until);
    call.client.pause.set(Some(pause));
    Ok(Reply::Many(Vec::new()))
}

type Facts = Vec<(String, String)>;

fn facts(facts: &[(&str, &dyn Display)]) -> Facts {
    facts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.to_string()))
        .collect()
}

pub(super) fn info(call: &mut Invocation<'_>) -> CommandResult {
    let wanted: Vec<String> = call.words[1..].iter().map(|word| lower(word)).collect();
    let is_wanted = |section: &str| {
        let includes = |word: &String| {
            *word == section.to_lowercase() || matches!(word.as_str(), "all" | "default" | "everything")
        };
        wanted.is_empty() || wanted.iter().any(includes)
    };
    let mut text = String::new();
    for (name, facts) in sections(call.state) {
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

fn sections(state: &ServerState) -> Vec<(&'static str, Facts)> {
    let uptime = state.since.elapsed().as_secs();
    let server = facts(&[
        ("redis_version", &VERSION),
        ("server_name", &NAME),
        ("redis_mode", &"standalone"),
        ("os", &std::env::consts::OS),
        ("arch_bits", &usize::BITS),
        ("process_id", &std::process::id()),
        ("run_id", &state.run_id),
        ("tcp_port", &state.port),
        ("uptime_in_seconds", &uptime),
        ("uptime_in_days", &(uptime / 86400)),
    ]);
    let clients = facts(&[
        ("connected_clients", &state.clients.len()),
        ("maxclients", &state.limits.clients),
    ]);
    let memory = facts(&[
        ("used_memory", &state.store.used),
        ("maxmemory", &state.limits.data),
        ("maxmemory_policy", &"noeviction"),
    ]);
    let statistics = facts(&[
        ("total_connections_received", &state.statistics.connections),
        ("total_commands_processed", &state.statistics.commands),
        ("rejected_connections", &state.statistics.rejected),
        ("expired_keys", &state.store.expired),
        ("evicted_keys", &0),
        ("keyspace_hits", &state.statistics.hits),
        ("keyspace_misses", &state.statistics.misses),
    ]);
    let replication = facts(&[("role", &"master"), ("connected_slaves", &0)]);
    vec![
        ("Server", server),
        ("Clients", clients),
        ("Memory", memory),
        ("Persistence", facts(&[("loading", &0)])),
        ("Stats", statistics),
        ("Replication", replication),
        ("Cluster", facts(&[("cluster_enabled", &0)])),
        ("Keyspace", keyspace(state)),
    ]
}

fn keyspace(state: &ServerState) -> Facts {
    let mut facts = Facts::new();
    for db in 0..DATABASES {
        let keys = state.store.len(db);
        if keys > 0 {
            let entries = state.store.iter(db);
            let expiries: Vec<i64> = entries.filter_map(|(_, entry)| entry.expires).collect();
            let count = i64::try_from(expiries.len()).unwrap_or(i64::MAX).max(1);
            let now = state.store.now;
            let average: i64 = expiries.iter().map(|moment| (moment - now) / count).sum();
            let line = format!("keys={keys},expires={},avg_ttl={average}", expiries.len());
            facts.push((format!("db{db}"), line));
        }
    }
    facts
}

pub(super) fn config_get(call: &mut Invocation<'_>) -> CommandResult {
    let patterns: Vec<String> = call.words[2..].iter().map(|word| lower(word)).collect();
    let is_wanted = |name: &str| {
        let mut patterns = patterns.iter();
        patterns.any(|pattern| call.matches(pattern.as_bytes(), name.as_bytes()))
    };
    let shown = settings(call.state)
        .into_iter()
        .filter(|(name, _)| is_wanted(name));
    let shown = shown.map(|(name, value)| (Reply::text(name), Reply::text(value)));
    call.collect(shown).map(Reply::Map)
}

/// Returns the settings that CONFIG GET reports.
fn settings(state: &ServerState) -> Facts {
    let password = state.password.as_ref().map_or("", |_| crate::secret::MASK);
    facts(&[
        ("appendonly", &"no"),
        ("bind", &"127.0.0.1"),
        ("databases", &DATABASES),
        ("hash-max-listpack-entries", &128),
        ("hash-max-listpack-value", &64),
        ("maxclients", &state.limits.clients),
        ("maxmemory", &state.limits.data),
        ("maxmemory-policy", &"noeviction"),
        ("notify-keyspace-events", &""),
        ("port", &state.port),
        ("proto-max-bulk-len", &state.limits.request),
        ("requirepass", &password),
        ("save", &""),
        ("set-max-intset-entries", &512),
        ("tcp-keepalive", &300),
        ("timeout", &0),
    ])
}

fn commands() -> impl Iterator<Item = &'static CommandInfo> {
    PRACTICE.iter().filter(|command| !command.name.contains('|'))
}

pub(super) fn command_info_of_all() -> Reply {
    Reply::Array(commands().map(description).collect())
}

pub(super) fn command_count() -> Reply {
    Reply::count(commands().count())
}

pub(super) fn command_list(call: &mut Invocation<'_>) -> CommandResult {
    if call.words.len() > 2 {
        return Err(SYNTAX);
    }
    let names = commands().map(|command| Reply::text(command.name));
    Ok(Reply::Array(names.collect()))
}

pub(super) fn command_info(call: &mut Invocation<'_>) -> CommandResult {
    if call.words.len() == 2 {
        return Ok(command_info_of_all());
    }
    let wanted = call.words[2..].iter();
    let found =
        wanted.map(|name| find_name(&[PRACTICE], &name.to_ascii_lowercase()).map_or(Reply::Nil, description));
    call.collect(found).map(Reply::Array)
}

/// Formats one command as COMMAND INFO does, but with empty lists of tips and key specifications.
fn description(command: &'static CommandInfo) -> Reply {
    let (first, last, step) = command.keys;
    let statuses = |words: &mut dyn Iterator<Item = String>| {
        Reply::Set(words.map(|word| Reply::Status(word.into())).collect())
    };
    let subcommands = PRACTICE.iter().filter(|other| command.contains(other));
    Reply::Array(vec![
        Reply::text(command.name),
        Reply::Int(command.arity),
        statuses(&mut command.flags().map(str::to_owned)),
        Reply::Int(first),
        Reply::Int(last),
        Reply::Int(step),
        statuses(&mut command.categories().into_iter().map(|name| format!("@{name}"))),
        Reply::Set(Vec::new()),
        Reply::Set(Vec::new()),
        Reply::Array(subcommands.map(description).collect()),
    ])
}
