//! Creates the member `aws` in the report of `ping --json`.

use serde_json::{Value, json};

use super::assessment::Assessment;
use super::cache::Cache;
use super::check::{Check, Code};
use super::id::{Account, Id, Name, Region};
use super::place::Place;

/// An `aws` command that was run, and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) line: String,
    /// The exit status, or `None` if the command was stopped at the deadline or could not be started.
    pub(crate) status: Option<i32>,
    pub(crate) milliseconds: u64,
    /// Why the command returned no document, in a few words. `None` if the command succeeded.
    pub(crate) problem: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Cli,
    Documents,
}

/// The result of all checks, with the source of the documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AwsAnswer {
    pub(crate) assessment: Assessment,
    pub(crate) commands: Vec<Ran>,
    pub(crate) from: Origin,
    /// The IAM permissions that are missing, according to the error messages of `aws`.
    pub(crate) missing_permissions: Vec<String>,
    /// Problems that occurred while the documents were collected, one sentence each.
    pub(crate) problems: Vec<String>,
    /// The commands with their documents or errors, for `ping --report`.
    pub(crate) raw: Vec<Value>,
}

impl AwsAnswer {
    /// Returns the IAM permissions that are missing, according to the checks and the error messages of `aws`.
    pub(crate) fn needs(&self) -> Vec<String> {
        let checks = self.assessment.needs().into_iter().map(str::to_owned);
        let mut needs: Vec<_> = checks.chain(self.missing_permissions.iter().cloned()).collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// Returns the missing permissions as a remark in parentheses, or an empty string.
    pub(crate) fn needs_remark(&self) -> String {
        let needs = self.needs();
        if needs.is_empty() {
            String::new()
        } else {
            format!(" (permissions needed: {})", needs.join(", "))
        }
    }

    pub(crate) fn json(&self) -> Value {
        let assessment = &self.assessment;
        let mut destination = place(&assessment.destination);
        destination["cache"] = assessment.cache.as_ref().map_or(Value::Null, cache);
        json!({
            "verdict": assessment.outcome.name(),
            "certainty": assessment.certainty.name(),
            "first": assessment.first.map(Code::name),
            "source": place(&assessment.source),
            "destination": destination,
            "checks": assessment.checks.iter().map(check).collect::<Vec<_>>(),
            "fixes": assessment.fixes.iter().map(|fix| json!({
                "kind": fix.kind, "check": fix.code.name(), "text": fix.text, "command": fix.command, "undo": fix.undo,
            })).collect::<Vec<_>>(),
            "needs": self.needs(),
            "notes": assessment.notes.iter().chain(&self.problems).collect::<Vec<_>>(),
            "commands": self.commands.iter().map(|ran| json!({
                "line": ran.line, "rc": ran.status, "ms": ran.milliseconds, "problem": ran.problem,
            })).collect::<Vec<_>>(),
            "from": match self.from {
                Origin::Cli => "cli",
                Origin::Documents => "documents",
            },
        })
    }
}

fn place(place: &Place) -> Value {
    json!({
        "account": place.owner.as_ref().map(Account::as_str),
        "region": place.region.as_ref().map(Region::as_str),
        "vpc": place.vpc.as_ref().map(Id::as_str),
        "subnet": place.subnet.as_ref().map(Id::as_str),
        "interface": place.interface.as_ref().map(Id::as_str),
        "address": place.address,
        "groups": place.groups.as_ref().map(|groups| groups.iter().map(Id::as_str).collect::<Vec<_>>()),
    })
}

fn cache(cache: &Cache) -> Value {
    let auth = match (cache.has_token, cache.user_groups.as_deref()) {
        (_, Some([_, ..])) => Some("users"),
        (Some(true), _) => Some("token"),
        (Some(false), _) => Some("none"),
        (None, _) => None,
    };
    json!({
        "id": cache.name.as_str(), "kind": cache.kind, "status": cache.status, "engine": cache.engine, "ports": cache.ports,
        "tls": cache.has_tls.map(|has_tls| if has_tls { cache.tls_mode.clone().unwrap_or("required".into()) } else { "off".into() }),
        "auth": auth, "user_groups": cache.user_groups.as_ref().map(|groups| groups.iter().map(Name::as_str).collect::<Vec<_>>()),
        "public": cache.is_public,
    })
}

fn check(check: &Check) -> Value {
    json!({
        "code": check.code.name(), "result": check.outcome.name(), "object": check.object, "text": check.text,
        "aws_code": check.aws_code, "needs": check.needs, "certainty": check.certainty.name(),
        "near_misses": check.near_misses,
    })
}
