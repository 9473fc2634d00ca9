//! Adds the results from AWS documents to a verdict. The results do not change the cause, its certainty or
//! the exit status.

use std::collections::BTreeSet;

use super::{Finding, Verdict};
use crate::aws::{self, Assessment, AwsAnswer, AwsFix, Check, Code, EndpointName, Outcome};
use crate::ping::causes::{Cause, Fix};
use crate::ping::conclusions::regions;
use crate::ping::observation::Observations;
use crate::redis_url::Target;
use crate::sanitize;

/// The kinds of fix that change AWS objects. AWS documents can show that such a fix is needed or unnecessary.
const KINDS: [&str; 4] = ["security-group", "network-acl", "route", "outside-vpc"];

/// The question about a verdict that `--aws` asks AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// How the two ends of the connection, and the network between them, are configured.
    Path,
    /// How the cache and its users are configured. AWS is not asked about the network.
    Cache,
}

/// Returns the question that AWS documents can answer about this verdict. Returns `None` if AWS documents
/// cannot explain the cause, for example if the port belongs to an HTTP server.
pub(crate) fn question(target: &Target, verdict: &Verdict) -> Option<Question> {
    let Some(finding) = &verdict.finding else {
        return Some(Question::Path);
    };
    let is_cache = target
        .host()
        .is_some_and(|host| EndpointName::parse(host).is_some());
    match finding.cause {
        Cause::TcpTimeout | Cause::ClusterUnreachableNodes => Some(Question::Path),
        Cause::DnsNotFound
        | Cause::DnsNoAddress
        | Cause::TcpRefused
        | Cause::TlsRequired
        | Cause::TlsNotOffered
        | Cause::TlsStalled
        | Cause::TlsVersion
        | Cause::AuthRequired
        | Cause::AuthFailed
        | Cause::AuthNotConfigured
        | Cause::AuthNoPermission
        | Cause::ClusterMode
        | Cause::RoleReplica => is_cache.then_some(Question::Cache),
        _ => None,
    }
}

/// Adds the results from AWS documents to a verdict for which [`question`] has returned a question.
pub(crate) fn add(answer: &AwsAnswer, verdict: &mut Verdict) {
    let assessment = &answer.assessment;
    match &mut verdict.finding {
        Some(finding) if finding.cause == Cause::TcpTimeout => return prove(answer, finding),
        Some(finding) => {
            finding.evidence.extend(facts_about(finding.cause, assessment));
            finding.evidence.extend(problems(answer));
            if finding.cause == Cause::ClusterUnreachableNodes {
                finding
                    .evidence
                    .extend(assessment.checks.iter().flat_map(facts_of));
                let others = std::mem::take(&mut finding.fixes);
                finding.fixes = assessment.fixes.iter().map(of_aws).chain(others).collect();
            }
            return;
        }
        None => {}
    }
    let unreachable = verdict
        .warnings
        .iter_mut()
        .find(|warning| warning.cause == Cause::ClusterUnreachableNodes);
    if let Some(warning) = unreachable.filter(|_| assessment.outcome == Outcome::Denied) {
        warning.summary = format!("{}: {}", warning.summary, safe(&assessment.summary()));
        let others = std::mem::take(&mut warning.fixes);
        warning.fixes = assessment.fixes.iter().map(of_aws).chain(others).collect();
        return;
    }
    let partly = assessment
        .checks
        .iter()
        .find(|check| check.outcome == Outcome::Partly);
    if let Some(check) = partly {
        verdict.warnings.push(super::finding::Warning {
            cause: Cause::AwsPartly,
            summary: safe(&check.text),
            fixes: assessment
                .fixes
                .iter()
                .filter(|fix| fix.code == check.code)
                .map(of_aws)
                .collect(),
        });
    }
}

/// Describes the difference if the region in the host name is not the region of this instance. Sends no
/// request to AWS.
pub(super) fn other_region(target: &Target, seen: &Observations) -> Option<String> {
    let (named, own) = regions(target, seen)?;
    Some(safe(&format!(
        "the name belongs to a cache in {named}, but this instance is in {own}"
    )))
}

/// Returns the verdict that follows from AWS documents alone, without a connection attempt.
pub(crate) fn of_documents(answer: &AwsAnswer) -> Verdict {
    let assessment = &answer.assessment;
    let mut verdict = Verdict::default();
    if matches!(assessment.outcome, Outcome::Denied | Outcome::Partly) {
        let is_proved = assessment.certainty == aws::Certainty::Proved;
        let mut finding = Finding::proved_if(is_proved, Cause::TcpTimeout);
        prove(answer, &mut finding);
        verdict.finding = Some(finding);
    }
    verdict
}

/// Adds the results from AWS documents to a finding about a connection without a reply. Removes fixes that
/// the documents replace or rule out.
fn prove(answer: &AwsAnswer, finding: &mut Finding) {
    let assessment = &answer.assessment;
    if matches!(assessment.outcome, Outcome::Denied | Outcome::Partly) {
        finding.summary = format!("{}: {}", finding.summary, safe(&assessment.summary()));
    }
    // Two checks of one network ACL may need the same permission, so skip facts that were already added.
    let mut seen = BTreeSet::new();
    let new = assessment.checks.iter().flat_map(facts_of);
    finding
        .evidence
        .extend(new.filter(|fact| seen.insert(fact.clone())));
    if assessment.outcome == Outcome::Allowed {
        finding.evidence.push(format!("AWS: {}", assessment.summary()));
    }
    finding
        .evidence
        .extend(assessment.notes.iter().map(|note| safe(note)));
    finding.evidence.extend(problems(answer));
    let is_proved = |kind: &str| assessment.fixes.iter().any(|fix| fix.kind == kind);
    let mut fixes: Vec<Fix> = assessment.fixes.iter().map(of_aws).collect();
    if assessment.fixes.iter().any(|fix| fix.command.is_some()) {
        let text = "to test your permissions before you run a command, append --dry-run to it. AWS then changes \
                    nothing, and answers DryRunOperation if you are allowed to run the command, or \
                    UnauthorizedOperation if not";
        fixes.push(Fix::new("permission", text));
    }
    if !fixes.is_empty() {
        let text = "after the change, run sessiontut ping --wait 120, which retries until Redis answers: a change in AWS \
                    takes effect only after a moment";
        fixes.push(Fix::new("wait", text));
    }
    finding.fixes.retain(|fix| {
        !(KINDS.contains(&fix.kind) && (is_proved(fix.kind) || assessment.rules_out(fix.kind)))
    });
    fixes.append(&mut finding.fixes);
    finding.fixes = fixes;
    if assessment.outcome == Outcome::Allowed {
        finding.fixes.extend(remaining());
    }
    if let (Some(owner), Outcome::Unknown) = (&assessment.other_account, assessment.outcome) {
        let text = format!("use the credentials of account {owner}, to which this instance belongs");
        finding.fixes.insert(0, Fix::new("account", text));
    }
    let needs = answer.needs();
    if assessment.outcome == Outcome::Unknown && !needs.is_empty() {
        let text = format!(
            "grant your AWS user or role the read-only permission {}, and run the same command again. \
             sessiontut ping --aws-policy prints a policy with all permissions that --aws needs",
            needs.join(", ")
        );
        finding.fixes.insert(0, Fix::new("permission", text));
    }
}

/// Returns the fixes that may still help if all AWS rules allow the connection.
fn remaining() -> [Fix; 2] {
    [
        Fix::new(
            "address",
            "look up the name again: after a failover, an app may still use an old address",
        ),
        Fix::new(
            "host",
            "if nothing else helps, check whether the instance's connection tracking table is full, and whether an \
             appliance is on the path. AWS's Reachability Analyzer examines the path between two interfaces (0.10 \
             USD per run)",
        ),
    ]
}

fn of_aws(fix: &AwsFix) -> Fix {
    Fix {
        kind: fix.kind,
        text: safe(&fix.text),
        command: fix.command.clone(),
        undo: fix.undo.clone(),
    }
}

/// Describes a check of AWS documents that did not pass, and rules that almost allow the connection, one per
/// item. Returns nothing for a check that passed.
fn facts_of(check: &Check) -> Vec<String> {
    let term = check
        .aws_code
        .map_or_else(String::new, |code| format!(" [{code}]"));
    let first = match check.outcome {
        Outcome::Allowed => return Vec::new(),
        Outcome::Denied | Outcome::Partly => {
            format!("according to AWS, {}{term}", safe(&check.text))
        }
        Outcome::Unknown if check.needs.is_empty() => format!("{}{term}", safe(&check.text)),
        Outcome::Unknown => {
            let needs = check.needs.join(" or ");
            format!("{} (permission needed: {needs})", safe(&check.text))
        }
    };
    let others = check.near_misses.iter().map(|miss| safe(miss));
    std::iter::once(first).chain(others).collect()
}

fn problems(answer: &AwsAnswer) -> Vec<String> {
    answer.problems.iter().map(|problem| safe(problem)).collect()
}

/// Makes text safe to print. The text may quote documents, which come from outside.
fn safe(text: &str) -> String {
    sanitize::line(text).into_owned()
}

/// Returns the facts in ElastiCache's description of the cache that concern `cause`.
fn facts_about(cause: Cause, assessment: &Assessment) -> Vec<String> {
    let of_check = |code: Code| {
        // An unknown check that needs no further permission has found that there is no such cache.
        let is_fact = |check: &&Check| {
            check.outcome == Outcome::Denied || check.outcome == Outcome::Unknown && check.needs.is_empty()
        };
        let mut checks = assessment.checks.iter().filter(|check| check.code == code);
        checks.find(is_fact).map(|check| safe(&check.text))
    };
    let mut facts = Vec::new();
    let cache = assessment.cache.as_ref();
    match cause {
        Cause::DnsNotFound | Cause::DnsNoAddress => {
            facts.extend(of_check(Code::CacheStatus));
            facts.extend(assessment.notes.iter().map(|note| safe(note)));
        }
        Cause::TcpRefused => {
            facts
                .push("the address answers, so no security group and no network ACL is the cause".to_owned());
            facts.extend(of_check(Code::CachePort));
            facts.extend(of_check(Code::CacheStatus));
        }
        Cause::TlsRequired | Cause::TlsNotOffered | Cause::TlsStalled => {
            facts.extend(cache.and_then(|cache| {
                Some(match (cache.has_tls?, cache.tls_mode.as_deref()) {
                    (false, _) => format!(
                        "ElastiCache reports that {} has no encryption in transit: use redis://",
                        cache.name
                    ),
                    (true, Some("preferred")) => {
                        format!(
                            "ElastiCache reports that {} accepts connections with and without TLS",
                            cache.name
                        )
                    }
                    (true, _) => format!(
                        "ElastiCache reports that {} requires encryption in transit: use rediss://",
                        cache.name
                    ),
                })
            }));
        }
        Cause::TlsVersion if assessment.is_public => {
            facts.push("a public endpoint of a serverless cache accepts TLS 1.3 only".to_owned());
        }
        Cause::AuthRequired | Cause::AuthFailed | Cause::AuthNotConfigured | Cause::AuthNoPermission => {
            facts.extend(login_facts(assessment));
        }
        Cause::ClusterMode | Cause::ClusterUnreachableNodes => {
            facts.extend(cache.and_then(|cache| {
                let mode = if cache.is_cluster? { "enabled" } else { "disabled" };
                Some(format!(
                    "ElastiCache reports that cluster mode of {} is {mode}",
                    cache.name
                ))
            }));
            if cause == Cause::ClusterUnreachableNodes
                && cache.is_some_and(|cache| cache.kind == "serverless")
            {
                facts.push(
                    "a serverless cache needs the ports 6379 and 6380 in its security group".to_owned(),
                );
            }
        }
        Cause::RoleReplica => {
            let primary = cache.and_then(|cache| cache.primary_endpoint.as_ref());
            facts.extend(primary.map(|host| safe(&format!("ElastiCache's primary endpoint is {host}"))));
        }
        _ => {}
    }
    facts
}

fn login_facts(assessment: &Assessment) -> Vec<String> {
    let Some(cache) = &assessment.cache else {
        return Vec::new();
    };
    let name = &cache.name;
    let groups = cache.user_groups.as_deref().unwrap_or_default();
    let mut facts = Vec::new();
    if let Some(group) = groups.first() {
        facts.push(format!(
            "{name} uses the user group {group}: log in with a user name and its password or IAM token"
        ));
        let logins = assessment.logins.iter();
        facts.extend(logins.map(|(user, kind)| safe(&format!("the user {user} logs in with: {kind}"))));
    } else if cache.has_token == Some(true) {
        facts.push(format!(
            "{name} uses an AUTH token: log in with this token as the password, without a user name"
        ));
    } else if cache.has_token == Some(false) && cache.user_groups.is_some() {
        facts.push(format!(
            "{name} has neither an AUTH token nor a user group, so it needs no password"
        ));
    }
    facts
}
