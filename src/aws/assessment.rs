//! The combined result of all AWS checks.

use super::cache::Cache;
use super::check::{Certainty, Check, Code, Outcome};
use super::fix::AwsFix;
use super::id::Account;
use super::place::Place;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assessment {
    pub(crate) outcome: Outcome,
    pub(crate) certainty: Certainty,
    /// The code of the check that determines the outcome, or `None` if all checks allow the connection.
    pub(crate) first: Option<Code>,
    /// The checks, most important first.
    pub(crate) checks: Vec<Check>,
    /// The fixes, in the same order as `checks`.
    pub(crate) fixes: Vec<AwsFix>,
    pub(crate) source: Place,
    pub(crate) destination: Place,
    pub(crate) cache: Option<Cache>,
    /// Whether the host name resolved to a public address. Such an address does not belong to a VPC.
    pub(crate) is_public: bool,
    /// Findings outside the checks, one sentence each.
    pub(crate) notes: Vec<String>,
    /// The AWS account of the instance. Set only if the credentials belong to a different account.
    pub(crate) other_account: Option<Account>,
    /// Pairs of a cache user's name and login method: `iam`, `password` or `no-password`.
    pub(crate) logins: Vec<(String, String)>,
}

impl Assessment {
    /// Returns the IAM permissions that are missing for the checks with an unknown outcome.
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

    /// Returns the overall result as one sentence without a full stop.
    pub(crate) fn summary(&self) -> String {
        match (self.outcome, self.first_check()) {
            (Outcome::Allowed, _) | (_, None) => {
                "all rules, routes and network ACLs that were checked allow the connection".to_owned()
            }
            (_, Some(check)) => check.text.clone(),
        }
    }

    pub(crate) fn first_check(&self) -> Option<&Check> {
        self.checks.iter().find(|check| Some(check.code) == self.first)
    }

    /// Whether every check with this kind of fix allows the connection. False if there is no such check.
    pub(crate) fn rules_out(&self, kind: &str) -> bool {
        let mut about = self
            .checks
            .iter()
            .filter(|check| check.code.fix_kind() == kind)
            .peekable();
        about.peek().is_some() && about.all(|check| check.outcome == Outcome::Allowed)
    }
}
