//! Checks that manipulated documents cause no panic, and that commands contain only parsed values.

use super::captured::{judged, networks, texts};
use crate::aws::{Documents, judge};
use serde_json::Value;

/// Texts that are harmful in a shell command or on a terminal.
const HOSTILE: [&str; 9] = [
    "sg-1; reboot",
    "sg-$(reboot)",
    "sg-`reboot`",
    "sg-1\nreboot",
    "sg-1'\"reboot",
    "\u{1b}]0;x\u{7}\u{1b}[2Jreboot",
    "\u{202e}reboot",
    "--profile=x reboot",
    "0.0.0.0/0 && reboot",
];

/// Replaces the string at position `left`, counted across the whole document.
fn replace(value: &mut Value, left: &mut usize, text: &str) {
    match value {
        Value::String(own) => {
            if *left == 0 {
                *own = text.to_owned();
            }
            *left = left.wrapping_sub(1);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, left, text)),
        Value::Object(members) => members.values_mut().for_each(|item| replace(item, left, text)),
        _ => {}
    }
}

#[test]
fn no_text_of_a_document_reaches_a_command() {
    // Every fifth network is enough, because the documents of all networks have the same members.
    for folder in networks().into_iter().step_by(5) {
        let documents: Vec<Value> = texts(&folder)
            .iter()
            .filter_map(|(_, text)| serde_json::from_str(text).ok())
            .collect();
        for (number, hostile) in HOSTILE.iter().enumerate() {
            for file in 0..documents.len() {
                for at in (number..36).step_by(HOSTILE.len()) {
                    let mut changed = documents.clone();
                    replace(&mut changed[file], &mut at.clone(), hostile);
                    let mut all = Documents::default();
                    changed.iter().for_each(|document| all.add(document, ""));
                    let assessment = judge(&all.facts.clone().unwrap_or_default(), &all);
                    for fix in &assessment.fixes {
                        let lines = fix.command.iter().chain(&fix.undo);
                        for line in lines {
                            assert!(!line.contains("reboot") && !line.contains('\u{1b}'), "{line:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn truncated_deep_and_noisy_documents_cause_no_panic() {
    let folder = networks()
        .into_iter()
        .find(|path| path.ends_with("missing-ingress"))
        .unwrap();
    let all: Vec<String> = texts(&folder).into_iter().map(|(_, text)| text).collect();
    let expected = judged(all.clone());
    // Add prompts, colours and carriage returns, as a terminal does.
    let noisy = all.iter().map(|text| {
        let text = text.replace('\n', "\r\n");
        format!("\u{1b}[32muser@host\u{1b}[0m$ aws ec2 describe-x\r\n{text}\r\n\u{1b}[?2004h$ \r\n")
    });
    assert_eq!(judged([noisy.collect::<String>()]), expected);
    for text in &all {
        for end in (0..text.len()).step_by(97) {
            let others = all.iter().filter(|other| *other != text).cloned();
            drop(judged(others.chain([text[..end].to_owned()])));
        }
    }
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    drop(judged([format!("{{\"SecurityGroups\": {deep}}}"), deep]));
    let many = format!(
        "{{\"NetworkInterfaces\": [{}{{}}]}}",
        "{\"NetworkInterfaceId\": \"eni-1\"},\n".repeat(120_000)
    );
    drop(judged(all.into_iter().chain([many])));
}
