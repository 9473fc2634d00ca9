//! The report for people: a line a rung, then the verdict, its evidence, and numbered fixes to paste.
//!
//! It fits 80 columns and reads without colour.

use super::json::flavor;
use super::steps::{Status, Step};
use crate::ping::catalogue::Fix;
use crate::ping::observation::Observations;
use crate::ping::verdict::{Certainty, Finding, Verdict, median, seconds};
use crate::target::{Origin, Target};

/// Columns that the report keeps to, except for commands, which must stay whole to be pasted.
pub const WIDTH: usize = 80;

/// One rung: a mark that is a word too, its name, its time and what it came to.
#[must_use]
pub fn rung(step: &Step) -> String {
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
    wrapped(
        &format!("{mark} {:<4} {took:>8}  ", step.rung.name()),
        &step.detail,
    )
    .join("\n")
}

/// The verdict's first line: what is to be known, if nothing else is read.
#[must_use]
pub fn headline(target: &Target, seen: &Observations, verdict: &Verdict) -> String {
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
            hanging(4, &format!("ok: {whose} answers{}{role}{speed}", version(seen))).join("\n")
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
            let words = format!("{}: {whose}{sure}{}", finding.code.as_str(), finding.summary);
            hanging(4, &words).join("\n")
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
pub fn url_headline(finding: &Finding) -> String {
    hanging(4, &format!("{}: {}", finding.code.as_str(), finding.summary)).join("\n")
}

/// Evidence, fixes and warnings, behind the headline.
#[must_use]
pub fn details(verdict: &Verdict) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(finding) = &verdict.finding {
        lines.extend(finding.evidence.iter().flat_map(|fact| wrapped("  - ", fact)));
        if !finding.fixes.is_empty() {
            lines.push(String::new());
            lines.push("What to do:".into());
            lines.extend(numbered(&finding.fixes));
        }
    }
    for warning in &verdict.warnings {
        let words = format!("{}: {}", warning.code.as_str(), warning.summary);
        lines.extend(hanging(2, &format!("warning {words}")));
        lines.extend(warning.fixes.iter().flat_map(|fix| paragraph("  -> ", fix)));
    }
    lines
}

fn numbered(fixes: &[Fix]) -> Vec<String> {
    let lines = fixes
        .iter()
        .enumerate()
        .flat_map(|(index, fix)| paragraph(&format!("{:>3}. ", index + 1), fix));
    lines.collect()
}

fn paragraph(lead: &str, fix: &Fix) -> Vec<String> {
    let mut lines = wrapped(lead, &fix.text);
    lines.extend(fix.command.iter().map(|command| format!("       {command}")));
    lines
}

/// Wraps at blanks; lines after the first are indented by `indent`.
fn hanging(indent: usize, text: &str) -> Vec<String> {
    let mut lines = wrapped(&" ".repeat(indent), text);
    if let Some(first) = lines.first_mut() {
        first.drain(..indent);
    }
    lines
}

/// Wraps at blanks; lines after the first are indented as far as `lead` is long.
fn wrapped(lead: &str, text: &str) -> Vec<String> {
    let indent = lead.chars().count().min(WIDTH / 2);
    let mut lines = Vec::new();
    let mut line = lead.to_owned();
    let mut is_fresh = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !is_fresh && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            is_fresh = true;
        }
        if !is_fresh {
            line.push(' ');
        }
        line.push_str(word);
        is_fresh = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_keeps_to_the_width() {
        let lines = wrapped("  - ", &"word ".repeat(60));
        assert!(lines.len() > 3 && lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert!(lines[1].starts_with("    word"));
    }
}
