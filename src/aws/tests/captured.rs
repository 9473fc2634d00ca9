//! Checks the results for networks that were captured from an AWS mock.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::aws::{Assessment, Code, Documents, Outcome, judge};

pub(super) fn networks() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/networks");
    let mut folders: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    folders
}

/// Returns the name and text of each document in a folder.
pub(super) fn texts(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let files = files.into_iter().filter(|path| !path.ends_with("expected.json"));
    files
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect()
}

pub(super) fn judged(texts: impl IntoIterator<Item = String>) -> Assessment {
    let mut documents = Documents::default();
    for text in texts {
        documents.add_text(&text);
    }
    let facts = documents.facts.clone().unwrap_or_default();
    judge(&facts, &documents)
}

fn codes(assessment: &Assessment, outcomes: &[Outcome]) -> Vec<&'static str> {
    let checks = assessment
        .checks
        .iter()
        .filter(|check| outcomes.contains(&check.outcome));
    checks.map(|check| check.code.name()).collect()
}

/// Returns the result in the format of `expected.json`.
fn result(assessment: &Assessment) -> Value {
    let commands: Vec<_> = assessment
        .fixes
        .iter()
        .filter_map(|fix| fix.command.clone())
        .collect();
    let mut undo: Vec<_> = assessment
        .fixes
        .iter()
        .filter_map(|fix| fix.undo.clone())
        .collect();
    undo.reverse();
    json!({
        "verdict": assessment.outcome.name(),
        "first": assessment.first.map(Code::name),
        "denied": codes(assessment, &[Outcome::Denied, Outcome::Partly]),
        "unknown": codes(assessment, &[Outcome::Unknown]),
        "fixes": commands,
        "undo": undo,
    })
}

#[test]
fn every_captured_network_has_the_expected_result() {
    let mut wrong = Vec::new();
    for folder in networks() {
        let expected = fs::read_to_string(folder.join("expected.json")).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let found = result(&judged(texts(&folder).into_iter().map(|(_, text)| text)));
        if found != expected {
            wrong.push(format!(
                "{}\nexpected {expected:#}\nfound {found:#}",
                folder.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Removes the member at position `left`, counted across all objects. Returns the name of the member.
fn remove(value: &mut Value, left: &mut usize) -> Option<String> {
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| remove(item, left)),
        Value::Object(members) => {
            let names: Vec<String> = members.keys().cloned().collect();
            for name in names {
                if *left == 0 {
                    members.remove(&name);
                    return Some(name);
                }
                *left -= 1;
                if let Some(removed) = members.get_mut(&name).and_then(|member| remove(member, left)) {
                    return Some(removed);
                }
            }
            None
        }
        _ => None,
    }
}

/// Networks that the test of missing members skips. In these networks, a second source, such as the instance
/// metadata, contains the same value as a removed member.
const REPLACED: [&str; 3] = [
    "default-group-on-both",
    "cache-address-gone",
    "cache-being-created",
];

/// Checks that a missing member never turns "allowed" into "denied" or the reverse, because older versions of
/// `aws` omit members. The result may become unknown.
#[test]
fn a_missing_member_never_turns_the_verdict_around() {
    let mut wrong = Vec::new();
    let is_replaced = |folder: &PathBuf| REPLACED.iter().any(|name| folder.ends_with(name));
    for folder in networks().into_iter().filter(|folder| !is_replaced(folder)) {
        let documents: Vec<Value> = texts(&folder)
            .iter()
            .filter_map(|(_, text)| serde_json::from_str(text).ok())
            .collect();
        let judge_all = |documents: &[Value]| judged(documents.iter().map(Value::to_string)).outcome;
        let before = judge_all(&documents);
        for file in 0..documents.len() {
            // To keep the test quick, it removes only every seventh member.
            for at in (file % 7..).step_by(7) {
                let mut changed = documents.clone();
                let Some(name) = remove(&mut changed[file], &mut at.clone()) else {
                    break;
                };
                let after = judge_all(&changed);
                let is_wrong = match before {
                    Outcome::Allowed => matches!(after, Outcome::Denied | Outcome::Partly),
                    Outcome::Denied => after == Outcome::Allowed,
                    _ => after == Outcome::Allowed || after == Outcome::Denied,
                };
                if is_wrong {
                    wrong.push(format!(
                        "{}: without {name}: {before:?} {after:?}",
                        folder.display()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
