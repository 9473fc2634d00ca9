//! Renders the report for people: one line per check, then the verdict with its evidence and numbered fixes.
//!
//! The report is readable without colour. The caller wraps the lines to the width of the window.

use super::json::flavor;
use super::{ReportStep, Status};
use crate::aws::{AwsAnswer, Check, Outcome};
use crate::clock::seconds;
use crate::ping::causes::Fix;
use crate::ping::conclusions::median;
use crate::ping::observation::Observations;
use crate::ping::verdict::{Certainty, Finding, Verdict};
use crate::redis_url::{Origin, Target};
use crate::sanitize;

/// A part of the report that starts on a new line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReportLine {
    /// Text that may be wrapped.
    Words {
        /// The start of the first line, such as a number.
        lead: String,
        /// The indentation of the second and later lines, in columns.
        further: usize,
        /// The text after `lead`.
        text: String,
    },
    /// An empty line or a command, which must not be wrapped.
    Whole(String),
}

impl ReportLine {
    /// Returns a line that starts with `lead`. If it is wrapped, the second and later lines are aligned with
    /// `text`.
    fn aligned(lead: impl Into<String>, text: impl Into<String>) -> Self {
        let lead = lead.into();
        Self::Words {
            further: lead.chars().count(),
            lead,
            text: text.into(),
        }
    }

    /// Returns a line without a lead. If it is wrapped, the second and later lines are indented by `further`
    /// columns.
    fn hanging(further: usize, text: String) -> Self {
        Self::Words {
            lead: String::new(),
            further,
            text,
        }
    }
}

/// Returns the line for one check: its status, name, time and detail.
pub fn rung(step: &ReportStep) -> ReportLine {
    let mark = mark(step.status);
    let took = step
        .took
        .filter(|took| !took.is_zero())
        .map(seconds)
        .unwrap_or_default();
    ReportLine::aligned(
        format!("{mark} {:<4} {took:>8}  ", step.rung.name()),
        step.detail.as_str(),
    )
}

fn mark(status: Status) -> &'static str {
    match status {
        Status::Ok => "[ok]",
        Status::Warn => "[! ]",
        Status::Fail => "[!!]",
        Status::Skipped => "[--]",
    }
}

/// Returns one line for each check of AWS documents.
pub(crate) fn aws_checks(answer: &AwsAnswer) -> Vec<(Status, ReportLine)> {
    let line = |check: &Check| {
        let status = match check.outcome {
            Outcome::Allowed => Status::Ok,
            Outcome::Partly => Status::Warn,
            Outcome::Denied => Status::Fail,
            Outcome::Unknown => Status::Skipped,
        };
        let lead = format!("{} {:<16}  ", mark(status), check.code.name());
        (status, ReportLine::aligned(lead, sanitize::line(&check.text)))
    };
    answer.assessment.checks.iter().map(line).collect()
}

/// Returns the first line of the verdict on AWS documents.
pub(crate) fn aws_headline(answer: &AwsAnswer, verdict: &Verdict) -> ReportLine {
    let summary = answer.assessment.summary();
    let summary = sanitize::line(&summary);
    let text = match (&verdict.finding, answer.assessment.outcome) {
        (Some(finding), _) => format!("{}: {summary}", code_and_certainty(finding)),
        (None, Outcome::Allowed) => format!("ok: {summary}"),
        (None, _) => format!("unknown: {summary}{}", answer.needs_remark()),
    };
    ReportLine::hanging(4, text)
}

/// Returns the first line of the verdict. It must be understandable without the other lines.
pub fn headline(target: &Target, seen: &Observations, verdict: &Verdict) -> ReportLine {
    let practice = match target.origin {
        Origin::Practice => "the built-in practice Redis (no URL was given, so this is not your Redis)",
        Origin::Given => "",
    };
    match &verdict.finding {
        None => {
            let name = if practice.is_empty() { "Redis" } else { practice };
            let role = seen.server.role_text();
            let role = role.map_or_else(String::new, |role| format!(", {role}"));
            let median = Some(median(&seen.ping.round_trips)).filter(|median| !median.is_zero());
            let speed = median.map(|median| format!(", round trip {}", seconds(median)));
            let speed = speed.unwrap_or_default();
            let version = version(seen);
            let place = seen.target(target).place();
            let survived = seen.idle.as_ref().and_then(|test| test.longest_survived(None));
            let idle = survived.map_or_else(String::new, |idle| {
                format!("; a connection survived {} without traffic", seconds(idle))
            });
            // An ACL may forbid writing for users other than the default user.
            let is_acl_user =
                target.password.is_some() && target.user.as_deref().is_some_and(|user| user != "default");
            let writes = if is_acl_user && seen.write_test.is_none() {
                "; writes were not tested (to test them, add --write-check)"
            } else {
                ""
            };
            ReportLine::hanging(
                4,
                format!("ok: {name} at {place} answers{version}{role}{speed}{idle}{writes}"),
            )
        }
        Some(finding) => {
            let separator = if practice.is_empty() { "" } else { ": " };
            let (cause, summary) = (code_and_certainty(finding), &finding.summary);
            ReportLine::hanging(4, format!("{cause}: {practice}{separator}{summary}"))
        }
    }
}

/// Returns the code of the cause. If the cause is not proved, adds its certainty: `tcp.timeout (likely)`.
fn code_and_certainty(finding: &Finding) -> String {
    let certainty = match finding.certainty {
        Certainty::Proved => "",
        Certainty::Likely => " (likely)",
    };
    format!("{}{certainty}", finding.cause.code())
}

fn version(seen: &Observations) -> String {
    let name = flavor(seen).unwrap_or_default();
    let field = if name == "valkey" {
        "valkey_version"
    } else {
        "redis_version"
    };
    match seen.server.field(field) {
        Some(version) => format!(" ({name} {})", sanitize::excerpt(version.as_bytes(), 20)),
        None => String::new(),
    }
}

/// Returns the first line of the verdict on an invalid URL.
pub fn url_headline(finding: &Finding) -> ReportLine {
    ReportLine::hanging(4, format!("{}: {}", finding.cause.code(), finding.summary))
}

/// Returns the lines with the evidence, the fixes and the warnings.
pub fn details(verdict: &Verdict) -> Vec<ReportLine> {
    let mut lines = Vec::new();
    if let Some(finding) = &verdict.finding {
        let facts = finding.evidence.iter();
        lines.extend(facts.map(|fact| ReportLine::aligned("  - ", fact)));
        lines.push(ReportLine::Whole(String::new()));
        lines.push(ReportLine::Whole("What to do:".into()));
        for (index, fix) in finding.fixes.iter().enumerate() {
            lines.extend(fix_lines(&format!("{:>3}. ", index + 1), fix));
        }
    }
    for warning in &verdict.warnings {
        let (code, summary) = (warning.cause.code(), &warning.summary);
        lines.push(ReportLine::hanging(2, format!("warning {code}: {summary}")));
        lines.extend(warning.fixes.iter().flat_map(|fix| fix_lines("  -> ", fix)));
    }
    lines
}

fn fix_lines(lead: &str, fix: &Fix) -> Vec<ReportLine> {
    let mut lines = vec![ReportLine::aligned(lead, &fix.text)];
    let command = fix.command.iter().map(|command| format!("       {command}"));
    let undo = fix.undo.iter().map(|undo| format!("       undo: {undo}"));
    lines.extend(command.chain(undo).map(ReportLine::Whole));
    lines
}
