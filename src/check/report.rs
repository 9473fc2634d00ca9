//! The report on an app: the result of each check, and a summary of each stage.

use std::path::PathBuf;
use std::time::Duration;

use askama::Template;
use serde_json::{Value, json};

use super::checks::{Check, Kind};
use super::judged::Failure;
use crate::sanitize;

#[derive(Debug)]
pub(crate) struct CheckResult {
    pub(crate) check: &'static Check,
    pub(crate) outcome: Outcome,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Passes,
    Fails(Box<Failure>),
    /// The check could not be judged. Contains the reason.
    NotJudged(String),
}

/// The results of one run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) results: Vec<CheckResult>,
    /// The names of the app's keys that still exist after the run.
    pub(crate) left: Vec<String>,
    /// The file with the app's output, or `None` if `check` did not start the app.
    pub(crate) output: Option<PathBuf>,
    pub(crate) elapsed: Duration,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StageResult {
    pub(crate) stage: u8,
    /// The number of required checks of the stage.
    pub(crate) must: usize,
    /// The number of required checks of the stage that passed.
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) advice_failed: usize,
}

impl StageResult {
    /// Whether at least one required check passed and none failed.
    fn is_ok(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

/// Which failures the report shows in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    First,
    /// The failures of all required checks or, if none failed, of all advisory checks.
    Kind,
    All,
}

impl CheckResult {
    fn fails(&self) -> bool {
        matches!(self.outcome, Outcome::Fails(_))
    }

    /// Whether this is a required check that failed.
    pub(crate) fn is_mistake(&self) -> bool {
        self.check.kind == Kind::Must && self.fails()
    }
}

impl Report {
    /// Whether no required check failed.
    pub(crate) fn is_ok(&self) -> bool {
        !self.results.iter().any(CheckResult::is_mistake)
    }

    /// Whether any check failed, even an advisory one.
    pub(crate) fn has_failures(&self) -> bool {
        self.results.iter().any(CheckResult::fails)
    }

    /// Returns the failures to show in full. `Shown::First` selects the first failure, preferably of a
    /// required check, and each failure to which an inconclusive check refers.
    pub(crate) fn shown_failures(&self, shown: Shown) -> Vec<&CheckResult> {
        let failures = || self.results.iter().filter(|result| result.fails());
        let first = failures()
            .find(|result| result.is_mistake())
            .or(failures().next());
        let is_first = |result: &CheckResult| first.is_some_and(|first| first.check.id == result.check.id);
        let is_referred_to = |result: &CheckResult| {
            let reference = format!("see {}", result.check.id);
            self.results.iter().any(|other| match &other.outcome {
                Outcome::NotJudged(why) => why.ends_with(&reference),
                _ => false,
            })
        };
        let has_mistakes = !self.is_ok();
        failures()
            .filter(|result| match shown {
                Shown::First => is_first(result) || is_referred_to(result),
                Shown::Kind => !has_mistakes || result.is_mistake(),
                Shown::All => true,
            })
            .collect()
    }

    pub(crate) fn stages(&self) -> Vec<StageResult> {
        let of = |stage| {
            let count = |kind, is_it: fn(&CheckResult) -> bool| {
                let results = self.of_stage(stage).filter(|result| result.check.kind == kind);
                results.filter(|result| is_it(result)).count()
            };
            StageResult {
                stage,
                must: count(Kind::Must, |_| true),
                passed: count(Kind::Must, |result| matches!(result.outcome, Outcome::Passes)),
                failed: count(Kind::Must, CheckResult::fails),
                advice_failed: count(Kind::Advice, CheckResult::fails),
            }
        };
        (1..=4).map(of).filter(|result| result.must > 0).collect()
    }

    fn of_stage(&self, stage: u8) -> impl Iterator<Item = &CheckResult> {
        self.results
            .iter()
            .filter(move |result| result.check.stage == stage)
    }

    /// Returns the number of the last stage before the first failed stage, or 0 if the first stage failed.
    fn furthest(&self) -> u8 {
        let stages = self.stages();
        let passed = stages.iter().take_while(|stage| stage.is_ok());
        passed.last().map_or(0, |stage| stage.stage)
    }

    /// Returns a summary such as "stages 1 to 3 passed; stage 4: 5 of 11 required checks passed".
    pub(crate) fn summary(&self) -> String {
        let stages = self.stages();
        let mut parts = Vec::new();
        match (self.furthest(), stages.first()) {
            (0, _) | (_, None) => {}
            (last, Some(first)) if last == first.stage => parts.push(format!("stage {last} passed")),
            (last, Some(first)) => parts.push(format!("stages {} to {last} passed", first.stage)),
        }
        for stage in stages.iter().filter(|stage| stage.failed > 0) {
            parts.push(format!(
                "stage {}: {} of {} required checks passed",
                stage.stage, stage.passed, stage.must
            ));
        }
        let not_judged = self
            .results
            .iter()
            .filter(|result| matches!(result.outcome, Outcome::NotJudged(_)))
            .count();
        match not_judged {
            0 => {}
            1 => parts.push("across all stages, 1 check was inconclusive".to_owned()),
            _ => parts.push(format!(
                "across all stages, {not_judged} checks were inconclusive"
            )),
        }
        let advice: usize = stages.iter().map(|stage| stage.advice_failed).sum();
        if advice > 0 {
            parts.push(format!("{} failed", counted(advice, "advisory check")));
        }
        parts.join("; ")
    }

    pub(crate) fn json(&self) -> Value {
        let stages = self.stages();
        let stages: Vec<Value> = stages
            .iter()
            .map(|stage| json!({ "stage": stage.stage, "ok": stage.is_ok() }))
            .collect();
        json!({
            "schema": 1,
            "ok": self.is_ok(),
            "furthest": self.furthest(),
            "stages": stages,
            "checks": self.results.iter().map(json_of).collect::<Vec<_>>(),
            "left": self.left,
            "output": self.output.as_ref().map(|file| file.to_string_lossy()),
            "elapsed_ms": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Returns the report as JUnit XML with one test suite per stage. Failed advisory checks count as
    /// skipped. `masked` masks the secrets in a text.
    pub(crate) fn junit(&self, masked: &dyn Fn(&str) -> String) -> String {
        let suites = self.stages();
        let suites = suites.iter().map(|stage| {
            let results: Vec<&CheckResult> = self.of_stage(stage.stage).collect();
            let not_passed = results
                .iter()
                .filter(|result| !matches!(result.outcome, Outcome::Passes));
            let skipped = not_passed.count() - stage.failed;
            Suite {
                stage: stage.stage,
                failed: stage.failed,
                skipped,
                results,
            }
        });
        let template = Junit {
            suites: suites.collect(),
            seconds: self.elapsed.as_secs_f64(),
            masked,
        };
        template.render().unwrap_or_default()
    }
}

fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

fn json_of(result: &CheckResult) -> Value {
    let check = result.check;
    let kind = match check.kind {
        Kind::Must => "must",
        Kind::Advice => "advice",
    };
    let mut value = json!({
        "id": check.id, "stage": check.stage, "kind": kind, "title": check.title, "why": check.why, "lesson": check.lesson,
    });
    match &result.outcome {
        Outcome::Passes => value["result"] = "holds".into(),
        Outcome::NotJudged(why) => {
            value["result"] = "not-judged".into();
            value["why"] = why.as_str().into();
        }
        Outcome::Fails(failure) => {
            value["result"] = "fails".into();
            value["did"] = failure.did.as_str().into();
            value["expected"] = failure.expected.as_str().into();
            value["got"] = failure.got.as_str().into();
            value["why"] = failure.why.unwrap_or(check.why).into();
            value["exchange"] = json!({ "http": failure.http, "redis": failure.redis });
            if !failure.output.is_empty() {
                value["exchange"]["output"] = failure.output.clone().into();
            }
        }
    }
    value
}

#[derive(Template)]
#[template(path = "junit.xml")]
struct Junit<'a> {
    suites: Vec<Suite<'a>>,
    seconds: f64,
    masked: &'a dyn Fn(&str) -> String,
}

struct Suite<'a> {
    stage: u8,
    failed: usize,
    skipped: usize,
    results: Vec<&'a CheckResult>,
}

impl Junit<'_> {
    /// Returns the failure text and the skip text of a result. At most one of the two texts is present.
    fn texts(&self, result: &CheckResult) -> (Option<String>, Option<String>) {
        // `sanitize::lines` also escapes characters that XML does not allow.
        let clean = |text: &str| sanitize::lines(&(self.masked)(text)).into_owned();
        match &result.outcome {
            Outcome::Passes => (None, None),
            Outcome::NotJudged(why) => (None, Some(clean(why))),
            Outcome::Fails(failure) => {
                let lines = failure
                    .http
                    .iter()
                    .chain(&failure.redis)
                    .chain(&failure.output)
                    .fold(String::new(), |text, line| text + "\n" + line);
                let text = format!(
                    "did: {}\nexpected: {}\ngot: {}\nwhy: {}\nlesson: {}{lines}",
                    failure.did,
                    failure.expected,
                    failure.got,
                    failure.why.unwrap_or(result.check.why),
                    result.check.lesson
                );
                match result.is_mistake() {
                    true => (Some(clean(&text)), None),
                    false => (None, Some(clean(&text))),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::checks::CHECKS;
    use super::*;

    fn report(fails: &[&str]) -> Report {
        let result = |check: &'static Check| {
            let failure = Failure {
                did: "<did>".into(),
                expected: "this".into(),
                got: "\"that\" & more, Plover-4417 \u{1}\u{fffe}".into(),
                why: None,
                http: vec!["GET / → 200".into()],
                redis: Vec::new(),
                output: Vec::new(),
            };
            let outcome = match fails.contains(&check.id) {
                true => Outcome::Fails(Box::new(failure)),
                false => Outcome::Passes,
            };
            CheckResult { check, outcome }
        };
        Report {
            results: CHECKS.iter().map(result).collect(),
            ..Report::default()
        }
    }

    #[test]
    fn advice_does_not_fail_a_stage() {
        let all = report(&["pages-are-not-stored"]);
        assert!(all.is_ok());
        assert_eq!(
            (all.json()["ok"].clone(), all.json()["furthest"].clone()),
            (true.into(), 4.into())
        );
        let some = report(&["logout-ends-the-session"]);
        assert!(!some.is_ok());
        assert_eq!(some.json()["furthest"], 3);
        assert_eq!(some.stages()[3].failed, 1);
    }

    #[test]
    fn junit_contains_every_check_and_is_valid_xml_without_secrets() {
        let masked = |text: &str| text.replace("Plover-4417", "***");
        let xml = report(&["logout-ends-the-session", "pages-are-not-stored"]).junit(&masked);
        assert_eq!(xml.matches("<testcase ").count(), CHECKS.len(), "{xml}");
        assert_eq!(
            (xml.matches("<failure").count(), xml.matches("<skipped").count()),
            (1, 1),
            "{xml}"
        );
        assert!(!xml.contains("<did>") && !xml.contains("& more"), "{xml}");
        let is_invalid = |one: char| (one < ' ' && one != '\n') || one >= '\u{fffe}';
        assert!(!xml.contains("Plover") && !xml.contains(is_invalid), "{xml}");
    }
}
