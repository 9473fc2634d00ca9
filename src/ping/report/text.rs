//! The report for people: a line a rung, then the verdict, its evidence, and numbered fixes to paste.
//!
//! It reads without colour; who shows it breaks it where the window ends.

use super::json::flavor;
use super::steps::{Status, Step};
use crate::ping::causes::Fix;
use crate::ping::observation::Observations;
use crate::ping::verdict::{Certainty, Finding, Verdict, median, seconds};
use crate::redis_url::{Origin, Target};

/// A line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A sentence behind what stands before it.
    Words {
        /// What stands before it.
        lead: String,
        /// How many columns further in the sentence goes on, where it does not fit.
        further: usize,
        /// The sentence.
        text: String,
    },
    /// Nothing, or a command, which must stay whole to be pasted.
    Whole(String),
}

impl Line {
    /// Goes on as far in as it began.
    fn behind(lead: impl Into<String>, text: impl Into<String>) -> Self {
        let lead = lead.into();
        Self::Words {
            further: lead.chars().count(),
            lead,
            text: text.into(),
        }
    }

    /// Begins at the edge, and goes on further in.
    fn hanging(further: usize, text: String) -> Self {
        Self::Words {
            lead: String::new(),
            further,
            text,
        }
    }
}

/// One rung: a mark that is a word too, its name, its time and what it came to.
#[must_use]
pub fn rung(step: &Step) -> Line {
    let mark = match step.status {
        Status::Ok => "[ok]",
        Status::Warn => "[! ]",
        Status::Fail => "[!!]",
        Status::Skipped => "[--]",
    };
    let took = step
        .took
        .filter(|took| !took.is_zero())
        .map(seconds)
        .unwrap_or_default();
    Line::behind(
        format!("{mark} {:<4} {took:>8}  ", step.rung.name()),
        step.detail.as_str(),
    )
}

/// The verdict's first line: what is to be known, if nothing else is read.
#[must_use]
pub fn headline(target: &Target, seen: &Observations, verdict: &Verdict) -> Line {
    let whose = match target.origin {
        Origin::Practice => "the built-in practice Redis (no URL was given, so this is not yours)",
        Origin::Given => "Redis",
    };
    match &verdict.finding {
        None => {
            let median = median(&seen.round_trips);
            let speed = if median.is_zero() {
                String::new()
            } else {
                format!(", round trip {}", seconds(median))
            };
            let role = seen
                .server
                .role_name()
                .map_or_else(String::new, |role| format!(", {role}"));
            let role = crate::sanitize::line(&role).into_owned();
            Line::hanging(4, format!("ok: {whose} answers{}{role}{speed}", version(seen)))
        }
        Some(finding) => {
            let sure = match finding.certainty {
                Certainty::Proved => "",
                Certainty::Likely => "probably: ",
            };
            let whose = if target.origin == Origin::Practice {
                format!("{whose}: ")
            } else {
                String::new()
            };
            let words = format!("{}: {whose}{sure}{}", finding.cause.code(), finding.summary);
            Line::hanging(4, words)
        }
    }
}

fn version(seen: &Observations) -> String {
    let name = flavor(seen).unwrap_or_default();
    let field = if name == "valkey" {
        "valkey_version"
    } else {
        "redis_version"
    };
    match seen.server.field(field) {
        Some(version) => format!(" ({name} {})", crate::sanitize::excerpt(version.as_bytes(), 20)),
        None => String::new(),
    }
}

/// The first line about a URL that cannot be used.
#[must_use]
pub fn url_headline(finding: &Finding) -> Line {
    Line::hanging(4, format!("{}: {}", finding.cause.code(), finding.summary))
}

/// Evidence, fixes and warnings, behind the headline.
#[must_use]
pub fn details(verdict: &Verdict) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(finding) = &verdict.finding {
        lines.extend(finding.evidence.iter().map(|fact| Line::behind("  - ", fact)));
        if !finding.fixes.is_empty() {
            lines.push(Line::Whole(String::new()));
            lines.push(Line::Whole("What to do:".into()));
            lines.extend(numbered(&finding.fixes));
        }
    }
    for warning in &verdict.warnings {
        let words = format!("warning {}: {}", warning.cause.code(), warning.summary);
        lines.push(Line::hanging(2, words));
        lines.extend(warning.fixes.iter().flat_map(|fix| paragraph("  -> ", fix)));
    }
    lines
}

fn numbered(fixes: &[Fix]) -> impl Iterator<Item = Line> {
    fixes
        .iter()
        .enumerate()
        .flat_map(|(index, fix)| paragraph(&format!("{:>3}. ", index + 1), fix))
}

fn paragraph(lead: &str, fix: &Fix) -> Vec<Line> {
    let mut lines = vec![Line::behind(lead, &fix.text)];
    lines.extend(
        fix.command
            .iter()
            .map(|command| Line::Whole(format!("       {command}"))),
    );
    lines
}
