//! The result of all checks together.

use super::cache::Cache;
use super::check::{Certainty, Check, Code, Outcome};
use super::fix::AwsFix;
use super::id::Account;
use super::place::Place;

/// The result of all checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assessment {
    pub(crate) outcome: Outcome,
    pub(crate) certainty: Certainty,
    /// The check that determines the outcome: the first denial or, if there is none, the first unknown check.
    pub(crate) first: Option<Code>,
    /// All checks, most important first.
    pub(crate) checks: Vec<Check>,
    /// The fixes for all denials, in the order of the checks.
    pub(crate) fixes: Vec<AwsFix>,
    pub(crate) source: Place,
    pub(crate) destination: Place,
    pub(crate) cache: Option<Cache>,
    /// Whether the dialled address is a public endpoint, which has no VPC.
    pub(crate) is_public: bool,
    /// Other findings, one sentence each.
    pub(crate) notes: Vec<String>,
    /// The account of the instance, if the credentials belong to a different account.
    pub(crate) other_account: Option<Account>,
    /// The users of the cache, each with its login method: `iam`, `password` or `no-password`.
    pub(crate) logins: Vec<(String, String)>,
}

impl Assessment {
    /// Returns the permissions for fetching the documents that unknown checks need.
    pub(crate) fn needs(&self) -> Vec<&'static str> {
        let mut needs: Vec<_> = self
            .checks
            .iter()
            .flat_map(|check| check.needs.iter().copied())
            .collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    /// Returns what the documents show, in one sentence without a full stop.
    pub(crate) fn summary(&self) -> String {
        match (self.outcome, self.first_check()) {
            (Outcome::Allowed, _) | (_, None) => {
                "all rules, routes and network ACLs that were checked allow the connection".to_owned()
            }
            (_, Some(check)) => check.text.clone(),
        }
    }

    /// Returns the check that determines the outcome.
    pub(crate) fn first_check(&self) -> Option<&Check> {
        self.checks.iter().find(|check| Some(check.code) == self.first)
    }

    /// Whether there are checks for this kind of fix, and all of them allow the connection.
    pub(crate) fn rules_out(&self, kind: &str) -> bool {
        let mut about = self
            .checks
            .iter()
            .filter(|check| check.code.fix_kind() == kind)
            .peekable();
        about.peek().is_some() && about.all(|check| check.outcome == Outcome::Allowed)
    }
}
