//! Performs all checks of a connection on AWS. Each submodule contains checks of one kind.

mod acls;
mod cache;
mod groups;
mod notes;
mod routes;
mod vpc;

use super::assessment::Assessment;
use super::cache::{Cache, EndpointName, Form, region_of};
use super::check::{Certainty, Check, Code, Outcome};
use super::documents::{Documents, all};
use super::facts::Facts;
use super::fix;
use super::id::Account;
use super::network::Network;
use super::objects::User;
use super::path;
use super::place::{self, Found};
use super::truth::Truth;

pub(crate) fn judge(facts: &Facts, documents: &Documents) -> Assessment {
    let endpoint = facts.endpoint.as_deref().and_then(EndpointName::parse);
    let host = facts.endpoint.clone().unwrap_or_default();
    let cache = endpoint
        .as_ref()
        .and_then(|endpoint| Cache::find(endpoint, &host, documents));
    let source = place::source(facts, documents);
    let (mut destination, found) = place::destination(facts, documents, cache.as_ref(), &source);
    destination.region = region_of(&host);
    let is_public = endpoint
        .as_ref()
        .is_some_and(|endpoint| endpoint.form == Form::PublicServerless);
    let links = match (&source.vpc, &destination.vpc) {
        (Some(one), Some(other)) if one != other => path::links(documents, one, other),
        _ => Vec::new(),
    };
    let mut network = Network {
        facts,
        documents,
        cache: cache.as_ref(),
        source: &source,
        destination: &destination,
        links,
        references: [Truth::Unknown; 2],
        is_same_subnet: source.shares_subnet_with(&destination),
    };
    let mut checks = network.cache_checks(endpoint.as_ref());
    if !is_public {
        checks.extend(network.path_checks(&found));
    }
    let is_likely = place::is_translated(facts);
    let mut checks: Vec<Check> = checks
        .into_iter()
        .map(|check| check.likely_if(is_likely))
        .collect();
    checks.sort_by_key(|check| check.code);
    let (outcome, first) = overall(&checks);
    let otherwise = if is_likely {
        Certainty::Likely
    } else {
        Certainty::Proved
    };
    let decisive = checks.iter().find(|check| Some(check.code) == first);
    Assessment {
        outcome,
        certainty: decisive.map_or(otherwise, |check| check.certainty),
        first,
        fixes: fix::all(&network, &checks),
        checks,
        notes: network.notes(),
        logins: logins(cache.as_ref(), documents),
        other_account: other_account(facts, documents).cloned(),
        source,
        destination,
        cache,
        is_public,
    }
}

impl Network<'_> {
    /// Returns the checks of the network between the two ends.
    fn path_checks(&mut self, found: &Found) -> Vec<Check> {
        let reach = self.vpc_check(found);
        let is_connected = reach.code == Code::Vpc && reach.outcome == Outcome::Allowed
            || reach.code == Code::VpcPeering && reach.outcome == Outcome::Denied
            || reach.code == Code::AddressGone;
        let is_apart = reach.code == Code::VpcDifferent && reach.outcome == Outcome::Denied;
        let routes = if is_connected {
            self.route_checks()
        } else {
            Vec::new()
        };
        self.references = if is_apart {
            [Truth::No; 2]
        } else {
            self.references(&routes)
        };
        let mut checks = vec![reach];
        checks.extend(routes.into_iter().map(|route| route.check));
        checks.extend(self.group_checks());
        checks.extend(self.acl_checks());
        checks
    }
}

/// Returns the instance's AWS account if the credentials belong to a different account. Otherwise, returns
/// `None`.
fn other_account<'a>(facts: &'a Facts, documents: &Documents) -> Option<&'a Account> {
    let owner = facts.source.as_ref()?.owner.as_ref()?;
    let account = documents.account.as_ref()?;
    (owner != account).then_some(owner)
}

/// Returns the users in the cache's user groups, each with its login method.
fn logins(cache: Option<&Cache>, documents: &Documents) -> Vec<(String, String)> {
    let groups = cache
        .and_then(|cache| cache.user_groups.clone())
        .unwrap_or_default();
    let is_user = |user: &&User| user.groups.iter().flatten().any(|group| groups.contains(group));
    let users = all(&documents.users).filter(is_user);
    users
        .filter_map(|user| Some((user.name.clone()?, user.authentication.as_ref()?.kind.clone()?)))
        .collect()
}

/// Returns the outcome of all checks together, and the code of the check that determines this outcome. A
/// denial takes precedence over unknown outcomes.
fn overall(checks: &[Check]) -> (Outcome, Option<Code>) {
    for outcome in [Outcome::Denied, Outcome::Partly, Outcome::Unknown] {
        if let Some(check) = checks.iter().find(|check| check.outcome == outcome) {
            return (outcome, Some(check.code));
        }
    }
    (Outcome::Allowed, None)
}
