//! Prints the output of `check`: one line per check, failures with their evidence, and a summary.

use std::io::IsTerminal as _;
use std::time::Duration;

use colored::Colorize as _;
use serde_json::Value;

use super::waiting::Countdown;
use super::{answer, note, told, told_behind, writer};
use crate::check::Kind;
use crate::check::report::{CheckResult, Outcome, Report, Shown};

/// Prints the result of a check.
///
/// The reason for an inconclusive check is omitted if it is the same as in `previous`.
pub(crate) fn judged(result: &CheckResult, previous: Option<&CheckResult>) {
    let title = result.check.title;
    match (&result.outcome, result.check.kind) {
        (Outcome::Passes, _) => told_behind(&format!("{} ", "[ok]".green()), title),
        (Outcome::Fails(_), Kind::Must) => told_behind(&format!("{} ", "[!!]".red()), title),
        (Outcome::Fails(_), Kind::Advice) => {
            told_behind(&format!("{} ", "[ !]".yellow()), &format!("{title} (advice)"));
        }
        (Outcome::NotJudged(why), _) => {
            let is_repeated = matches!(previous.map(|result| &result.outcome), Some(Outcome::NotJudged(before)) if before == why);
            let why = if is_repeated { "for the same reason" } else { why };
            told_behind("[--] ", &format!("{title}: inconclusive ({why})"));
        }
    }
}

/// Prints the heading of a stage.
pub(crate) fn stage(stage: u8) {
    answer(&format!("stage {stage}"));
}

/// Prints the failures that `shown` selects, with their evidence, and a summary.
pub(crate) fn report(report: &Report, shown: Shown) {
    let failures = report.shown_failures(Shown::All);
    let shown = report.shown_failures(shown);
    for result in &shown {
        failure(result);
    }
    answer("");
    if failures.len() > shown.len() {
        let of = |results: &[&CheckResult]| results.iter().filter(|result| result.is_mistake()).count();
        let required = of(&failures) - of(&shown);
        let advisory = failures.len() - shown.len() - required;
        let counts = [(required, "required"), (advisory, "advisory")];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(count, kind)| format!("{count} {kind}")).collect();
        note(&format!(
            "more checks failed ({}): `sessiontut check --all` shows them in full",
            counts.join(", ")
        ));
    }
    if let Some(output) = &report.output {
        told(&format!("the output of the app is in {}", output.display()));
    }
    if !report.left.is_empty() {
        told(&format!(
            "keys that the app has left in Redis: {}",
            report.left.join(", ")
        ));
    }
    told(&report.summary());
}

fn failure(result: &CheckResult) {
    let Outcome::Fails(failure) = &result.outcome else {
        return;
    };
    answer("");
    told_behind("", &format!("{}: {}", result.check.id, result.check.title));
    told_behind("  did       ", &failure.did);
    told_behind("  expected  ", &failure.expected);
    told_behind("  got       ", &failure.got);
    for (lead, lines) in [
        ("  http      ", &failure.http),
        ("  redis     ", &failure.redis),
        ("  output    ", &failure.output),
    ] {
        for line in lines {
            told_behind(lead, line);
        }
    }
    told_behind("  why       ", failure.why.unwrap_or(result.check.why));
    let lesson = result.check.lesson.split('#').next().unwrap_or_default();
    told_behind(
        "  lesson    ",
        &format!("{} (`sessiontut learn {lesson}`)", result.check.lesson),
    );
}

/// Prints that the run was interrupted, and which of the app's keys remain.
pub(crate) fn interrupted(left: &[String]) {
    super::end_line_after_ctrl_c();
    match left {
        [] => note("interrupted"),
        keys => note(&format!(
            "interrupted; keys that the app has left in Redis: {}",
            keys.join(", ")
        )),
    }
}

pub(crate) fn json(value: &Value, is_indented: bool) {
    super::answered(writer::out_json(&writer::json(value, is_indented)));
}

/// Returns the report as JUnit XML, with the secrets of this run masked.
pub(crate) fn junit(report: &Report) -> String {
    report.junit(&writer::shown)
}

/// On a terminal, returns a function that shows the time left as a countdown. Elsewhere, prints `span` once,
/// and returns a function that does nothing.
pub(crate) fn countdown(what: &str, span: Duration) -> Box<dyn FnMut(Duration)> {
    if !std::io::stderr().is_terminal() {
        note(&format!("{what} in {:.1} s", span.as_secs_f64()));
        return Box::new(|_| {});
    }
    let mut countdown = Countdown::new(what, span);
    Box::new(move |left| countdown.show(left))
}
