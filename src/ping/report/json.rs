//! Renders the report of `--json`, which is a single object. Scripts rely on its structure (schema 1).

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::{ReportStep, steps};
use crate::aws::{AwsAnswer, Outcome};
use crate::clock;
use crate::ping::Rung;
use crate::ping::conclusions::median;
use crate::ping::history::ProbeHistory;
use crate::ping::observation::{IdleTest, Observations};
use crate::ping::verdict::{Certainty, Verdict};
use crate::ping::watch::{ProbeResult, WatchEvent};
use crate::redis_url::provider;
use crate::redis_url::{Address, Origin, Target, UrlError};
use crate::sanitize;

/// Returns the report on one run of `ping`.
pub fn render(target: &Target, seen: &Observations, verdict: &Verdict, elapsed: Duration) -> Value {
    let mut report = frame(verdict, elapsed);
    report["target"] = target_of(target, seen.target(target));
    report["steps"] = steps(target, seen, verdict)
        .iter()
        .map(|step| step_of(step, seen))
        .collect();
    if !seen.ping.round_trips.is_empty() || seen.server.role.is_some() {
        report["server"] = server_of(seen);
    }
    if let Some(answer) = &seen.aws {
        report["aws"] = answer.json();
    }
    if let Some(test) = &seen.idle {
        report["idle"] = idle_of(test);
    }
    if !seen.ping.round_trips.is_empty() {
        report["rtt_ms"] = round_trips_of(&seen.ping.round_trips);
    }
    report
}

/// Returns the report on an invalid URL.
pub fn render_url(fault: &UrlError, verdict: &Verdict, elapsed: Duration) -> Value {
    let mut report = frame(verdict, elapsed);
    report["steps"] =
        json!([{"name": "url", "status": "fail", "ms": 0.0, "detail": fault.message, "addresses": []}]);
    report
}

/// Returns the report on AWS documents that were evaluated without a connection.
pub(crate) fn render_documents(answer: &AwsAnswer, verdict: &Verdict, elapsed: Duration) -> Value {
    let mut report = frame(verdict, elapsed);
    report["ok"] = (answer.assessment.outcome == Outcome::Allowed).into();
    report["summary"] = answer.assessment.summary().into();
    report["aws"] = answer.json();
    report
}

/// Marks a report as interrupted: Ctrl-C ended the run before a fault was found and before all checks were
/// run.
pub(crate) fn mark_interrupted(report: &mut Value) {
    report["ok"] = false.into();
    report["interrupted"] = true.into();
    report["summary"] = "interrupted before the checks were complete".into();
}

/// Adds the time of a `--watch` probe, and the difference from the previous probe.
pub(crate) fn add_probe(report: &mut Value, probe: &ProbeResult) {
    report["timestamp"] = clock::timestamp(probe.at).into();
    report["change"] = probe.change.name().into();
    let events = probe.events.iter().map(|event| match event {
        WatchEvent::Role { from, to } => {
            json!({"event": "role", "from": sanitize::line(from), "to": sanitize::line(to)})
        }
        WatchEvent::Address { from, to } => {
            json!({"event": "address", "from": from.to_string(), "to": to.to_string()})
        }
        WatchEvent::RunId => json!({"event": "run-id"}),
        WatchEvent::Name { to } => {
            json!({"event": "name", "to": to.iter().map(ToString::to_string).collect::<Vec<_>>()})
        }
    });
    report["events"] = events.collect();
}

/// Returns the totals of `--watch`, for the last line and for `--report`. `report` is the report on the last
/// probe.
pub(crate) fn totals(history: &ProbeHistory, report: &Value, elapsed: Duration) -> Value {
    let outages = history.recent_outages().map(|outage| {
        let (lasted, is_over) = outage.duration();
        json!({"timestamp": clock::timestamp(outage.began), "ms": milliseconds(lasted), "over": is_over})
    });
    let round_trips = history.percentiles().map(|found| {
        json!({
            "min": milliseconds(found.min), "p50": milliseconds(found.p50), "p90": milliseconds(found.p90),
            "p99": milliseconds(found.p99), "max": milliseconds(found.max), "samples": history.answered,
        })
    });
    json!({
        "schema": 1,
        "ok": report["ok"],
        "cause": report["cause"],
        "timestamp": clock::timestamp(SystemTime::now()),
        "elapsed_ms": milliseconds(elapsed),
        "totals": {
            "probes": history.probes(),
            "answered": history.answered,
            "lost_connections": history.lost_connections,
            "outages": history.outages,
            "last_outages": outages.collect::<Vec<_>>(),
            "rtt_ms": round_trips,
        },
    })
}

/// Returns the report on one run of the checks.
pub(crate) fn attempt(seen: &Observations, verdict: &Verdict, took: Duration) -> Value {
    let finding = verdict.finding.as_ref();
    let began = SystemTime::now().checked_sub(took);
    json!({
        "timestamp": began.map(clock::timestamp), "ms": milliseconds(took),
        "cause": finding.map(|finding| finding.cause.code()),
        "summary": finding.map(|finding| finding.summary.as_str()),
        "addresses": addresses_of(seen),
    })
}

fn addresses_of(seen: &Observations) -> Vec<Value> {
    let dials = seen.tcp.dials.iter();
    dials
        .map(|dial| json!({"address": dial.to.to_string(), "result": dial.result.name(), "ms": milliseconds(dial.took)}))
        .collect()
}

/// Returns the report on an invalid command line.
pub fn render_usage(message: &str) -> Value {
    let mut report = frame(&Verdict::default(), Duration::ZERO);
    report["ok"] = false.into();
    report["cause"] = "usage".into();
    report["certainty"] = "proved".into();
    report["summary"] = message.into();
    report["evidence"] = json!(["no packet was sent: the command line cannot be used"]);
    report["fixes"] = json!([{"kind": "usage", "text": "sessiontut ping --help lists the options", "command": "sessiontut ping --help", "undo": null}]);
    report
}

fn frame(verdict: &Verdict, elapsed: Duration) -> Value {
    let finding = verdict.finding.as_ref();
    json!({
        "schema": 1,
        "ok": finding.is_none(),
        "target": null,
        "cause": finding.map(|finding| finding.cause.code()),
        "certainty": finding.map(|finding| match finding.certainty {
            Certainty::Proved => "proved",
            Certainty::Likely => "likely",
        }),
        "summary": finding.map_or("Redis answers", |finding| finding.summary.as_str()),
        "evidence": finding.map(|finding| finding.evidence.clone()).unwrap_or_default(),
        "fixes": finding.map(|finding| finding.fixes.as_slice()).unwrap_or_default(),
        "warnings": verdict.warnings.iter().map(|warning| json!({
            "code": warning.cause.code(), "summary": warning.summary, "fixes": warning.fixes,
        })).collect::<Vec<_>>(),
        "steps": [],
        "server": null,
        "rtt_ms": null,
        "aws": null,
        "elapsed_ms": milliseconds(elapsed),
    })
}

/// Describes the target. `reached` is the target that was checked: if the URL contains Sentinels, the primary
/// that one of them reported or, without such a report, a Sentinel.
fn target_of(target: &Target, reached: &Target) -> Value {
    let kind = match (&reached.address, target.origin) {
        (_, Origin::Practice) => Some("practice"),
        (Address::Unix(_), _) => Some("unix"),
        (Address::Tcp { host, .. }, _) => provider::endpoint_hint(host).map(|hint| hint.kind.name()),
    };
    json!({
        "url": target.to_string(), "host": reached.host(), "port": reached.port(), "tls": target.tls, "db": target.db,
        "endpoint": kind,
    })
}

fn step_of(step: &ReportStep, seen: &Observations) -> Value {
    let addresses = if step.rung == Rung::Tcp {
        addresses_of(seen)
    } else {
        Vec::new()
    };
    json!({
        "name": step.rung.name(), "status": step.status.name(), "ms": step.took.map(milliseconds),
        "detail": step.detail, "addresses": addresses,
    })
}

fn server_of(seen: &Observations) -> Value {
    let server = &seen.server;
    let safe = |name: &str| server.field(name).map(|text| sanitize::line(text).into_owned());
    let version = safe("valkey_version")
        .or_else(|| safe("dragonfly_version"))
        .or_else(|| safe("redis_version"));
    let role = server.role_name().map(|role| sanitize::line(&role).into_owned());
    let mode = if server.is_cluster() {
        Some("cluster".into())
    } else {
        safe("redis_mode").or(safe("server_mode"))
    };
    json!({"version": version, "flavor": flavor(seen), "mode": mode, "role": role})
}

/// The fields of INFO that contain the versions of other products. These products also report a version of
/// Redis.
const OTHER_PRODUCTS: [&str; 5] = [
    "garnet_version",
    "kvrocks_version",
    "pika_version",
    "tile38_version",
    "upstash_version",
];

/// Returns the kind of server, such as `valkey`, according to the fields in INFO.
pub fn flavor(seen: &Observations) -> Option<&'static str> {
    let server = &seen.server;
    let name = server.field("server_name").unwrap_or_default();
    if name == "sessiontut-practice" {
        Some("sessiontut-practice")
    } else if server.field("dragonfly_version").is_some() {
        Some("dragonfly")
    } else if name == "valkey" || server.field("valkey_version").is_some() {
        Some("valkey")
    } else if server.field("keydb_version").is_some() || server.field("mvcc_depth").is_some() {
        Some("keydb")
    } else if OTHER_PRODUCTS.iter().any(|name| server.field(name).is_some()) {
        None
    } else {
        server.field("redis_version").map(|_| "redis")
    }
}

/// Returns the `--idle` trials in two groups: without TCP keepalive, and with it.
fn idle_of(test: &IdleTest) -> Value {
    let results = |keepalive| {
        let lost = test.shortest_lost(keepalive);
        json!({
            "survived_s": test.longest_survived(keepalive).map(rounded_seconds),
            "lost_s": lost.map(|trial| rounded_seconds(trial.idle)), "end": lost.map(|trial| trial.end.name()),
        })
    };
    let mut report = results(None);
    report["keepalive"] = match test.trials.iter().find_map(|trial| trial.keepalive) {
        Some(period) => {
            let mut with_keepalive = results(Some(period));
            with_keepalive["interval_s"] = rounded_seconds(period).into();
            with_keepalive
        }
        None => Value::Null,
    };
    report
}

/// Converts a duration to seconds, rounded to milliseconds.
fn rounded_seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1000.0).round() / 1000.0
}

fn round_trips_of(round_trips: &[Duration]) -> Value {
    let mut sorted = round_trips.to_vec();
    sorted.sort();
    let at = |percent: usize| sorted[(sorted.len() - 1) * percent / 100];
    json!({
        "min": milliseconds(sorted[0]), "p50": milliseconds(median(round_trips)),
        "p90": milliseconds(at(90)), "p99": milliseconds(if sorted.len() < 100 { sorted[sorted.len() - 1] } else { at(99) }),
        "max": milliseconds(sorted[sorted.len() - 1]), "samples": sorted.len(),
    })
}

/// Converts a duration to milliseconds, rounded to microseconds.
fn milliseconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1_000_000.0).round() / 1000.0
}
