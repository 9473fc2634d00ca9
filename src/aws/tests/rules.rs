//! Checks single AWS rules. Each row contains a description, a network, and the expected result.

mod acls;
mod caches;
mod fixes;
mod groups;
mod peerings;
mod routes;

use serde_json::Value;

use super::apply::apply;
use super::captured::judged;
use super::example::{Example, result};
use crate::aws::Outcome;

/// Checks the result of each row. Then applies the fixes, and checks that the changed network allows the
/// connection.
fn check(rows: &[(&str, Example, &str)]) {
    let mut wrong = Vec::new();
    for (rule, example, expected) in rows {
        let assessment = example.judge();
        let found = result(&assessment);
        if found != *expected {
            wrong.push(format!(
                "{rule}: expected {expected}, found {found}\n{:#?}",
                assessment.checks
            ));
            continue;
        }
        if !example.has("SecurityGroups") {
            continue;
        }
        let mut documents = example.documents();
        let commands: Vec<&str> = assessment
            .fixes
            .iter()
            .filter_map(|fix| fix.command.as_deref())
            .collect();
        commands.iter().for_each(|command| apply(command, &mut documents));
        let fixed = judged(documents.iter().map(Value::to_string));
        let denied = assessment
            .checks
            .iter()
            .filter(|check| check.outcome == Outcome::Denied)
            .count();
        if commands.len() >= denied
            && denied > 0
            && matches!(fixed.outcome, Outcome::Denied | Outcome::Partly)
        {
            wrong.push(format!(
                "{rule}: after {commands:#?}: {}\n{:#?}",
                result(&fixed),
                fixed.checks
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
