//! Networks that were captured from an imitation of AWS, each with its expected result.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::aws::{Assessment, Code, Documents, Outcome, judge};

/// The folders of all captured networks.
pub(super) fn networks() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/aws/networks");
    let mut folders: Vec<_> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    folders
}

/// The texts of the documents in a folder.
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

/// The result in the form of `expected.json`.
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
