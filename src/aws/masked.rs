//! Removes account numbers, tags and ARNs from documents, so that a report can be shared with other people.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};
use serde_json::Value;

/// Members of documents that may identify the user. These members are removed, because no check needs them.
const DROPPED: [&str; 6] = ["Tags", "TagSet", "TagList", "Arn", "ARN", "UserId"];

/// Replaces each account number with a placeholder. Equal numbers get equal placeholders.
pub(crate) fn masked(report: &Value) -> Value {
    mask(report, &mut HashMap::new())
}

fn mask(value: &Value, numbers: &mut HashMap<String, String>) -> Value {
    match value {
        Value::String(text) => mask_text(text, numbers).into(),
        Value::Array(items) => items.iter().map(|item| mask(item, numbers)).collect(),
        Value::Object(members) => {
            // Next to a `GroupId`, the member `UserId` is needed, because it contains the account that owns
            // the group.
            let is_owner = |name: &str| name == "UserId" && members.contains_key("GroupId");
            let is_dropped = |name: &str| DROPPED.contains(&name) && !is_owner(name);
            let kept = members.iter().filter(|(name, _)| !is_dropped(name));
            kept.map(|(name, item)| (name.clone(), mask(item, numbers)))
                .collect()
        }
        other => other.clone(),
    }
}

fn mask_text(text: &str, numbers: &mut HashMap<String, String>) -> String {
    static ACCOUNT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\b[0-9]{12}\b").expect("the pattern is valid"));
    let replace = |found: &Captures<'_>| {
        let next = format!("{:012}", numbers.len() + 1);
        numbers.entry(found[0].to_owned()).or_insert(next).clone()
    };
    ACCOUNT.replace_all(text, replace).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn account_numbers_are_masked_but_stay_equal() {
        let documents = json!([
            json!({"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ada", "UserId": "AIDAX"}),
            json!({"Subnets": [{"OwnerId": "123456789012", "Tags": [{"Key": "Name", "Value": "secret"}]}, {"OwnerId": "210987654321"}]}),
            json!({"UserIdGroupPairs": [{"GroupId": "sg-1", "UserId": "210987654321"}]}),
            json!({"SecurityGroups": [{"GroupId": "sg-1", "Tags": [{"Key": "Owner", "Value": "secret"}]}]}),
            json!({"error": "User: arn:aws:iam::123456789012:user/x is not authorized"}),
        ]);
        let found = masked(&documents);
        let text = found.to_string();
        for secret in ["123456789012", "210987654321", "ada", "AIDAX", "secret"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert_eq!(found[0]["Account"], found[1]["Subnets"][0]["OwnerId"]);
        assert_eq!(
            found[1]["Subnets"][1]["OwnerId"],
            found[2]["UserIdGroupPairs"][0]["UserId"]
        );
        assert_ne!(
            found[1]["Subnets"][0]["OwnerId"],
            found[1]["Subnets"][1]["OwnerId"]
        );
    }
}
