//! Compares the result for each random network with the result of an oracle. The oracle follows single
//! packets through a model of the network.
//!
//! `AWS_NETWORKS` sets the number of networks, and `AWS_SEED` sets the first seed.

mod documents;
mod network;
mod oracle;

use std::net::IpAddr;

use serde_json::Value;

use super::apply::apply;
use crate::aws::{Assessment, Documents, Outcome, judge};
use network::{Network, Random, all_allowed, ip, network, rules};

/// The number of networks per test if `AWS_NETWORKS` is unset.
const NETWORKS: u64 = 2000;

fn judged(documents: &[Value]) -> Assessment {
    let mut all = Documents::default();
    documents.iter().for_each(|document| all.add(document, ""));
    judge(&all.facts.clone().unwrap_or_default(), &all)
}

fn for_each_network(mut test: impl FnMut(u64, &Network, &mut Random)) {
    let setting =
        |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let first = setting("AWS_SEED", 1);
    for seed in first..first + setting("AWS_NETWORKS", NETWORKS) {
        let mut random = Random(seed);
        let network = network(&mut random);
        test(seed, &network, &mut random);
    }
}

#[test]
fn the_verdict_equals_that_of_the_packets() {
    let mut seen = std::collections::BTreeMap::new();
    for_each_network(|seed, network, _| {
        let assessment = judged(&network.documents());
        let expected = network.outcome();
        assert_eq!(
            assessment.outcome, expected,
            "seed {seed}: {:?}\n{network:#?}",
            assessment.checks
        );
        *seen.entry(expected.name()).or_insert(0) += 1;
    });
    assert!(seen.len() == 3, "{seen:?}");
}

fn badness(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Allowed => 0,
        Outcome::Unknown => 1,
        Outcome::Partly => 2,
        Outcome::Denied => 3,
    }
}

#[test]
fn another_allow_rule_never_makes_the_verdict_worse() {
    for_each_network(|seed, network, random| {
        let before = judged(&network.documents()).outcome;
        let mut changed = network.clone();
        match random.next() % 3 {
            0 => changed.ingress.extend(rules(random)),
            1 => changed.egress.extend(rules(random)),
            _ => {
                let is_egress = random.chance(50);
                let acl = if random.chance(50) {
                    &mut changed.near_acl
                } else {
                    &mut changed.far_acl
                };
                acl.retain(|entry| entry.number != 1 || entry.is_egress != is_egress);
                acl.push(all_allowed(1, is_egress));
            }
        }
        if changed.near.subnet == changed.far.subnet {
            changed.far_acl = changed.near_acl.clone();
        }
        let after = judged(&changed.documents()).outcome;
        assert!(
            badness(after) <= badness(before),
            "seed {seed}: {before:?} {after:?}"
        );
    });
}

#[test]
fn more_documents_never_turn_denied_into_allowed() {
    for_each_network(|seed, network, random| {
        let all = network.documents();
        let whole = judged(&all);
        let mut some = all.clone();
        for _ in 0..=random.next() % 3 {
            let at = 1 + usize::try_from(random.next() % (some.len() as u64 - 1)).unwrap();
            some.remove(at);
        }
        let part = judged(&some);
        if part.outcome == Outcome::Denied {
            assert_ne!(
                whole.outcome,
                Outcome::Allowed,
                "seed {seed}: {:?}\n{some:#?}",
                part.checks
            );
        }
        if part.outcome == Outcome::Allowed {
            assert_eq!(
                whole.outcome,
                Outcome::Allowed,
                "seed {seed}: {:?}\n{some:#?}",
                part.checks
            );
        }
        for check in part
            .checks
            .iter()
            .filter(|check| check.outcome == Outcome::Unknown)
        {
            assert!(!check.needs.is_empty(), "seed {seed}: {check:?}");
        }
    });
}

#[test]
fn all_fixes_together_allow_the_connection() {
    let mut applied = 0;
    for_each_network(|seed, network, _| {
        let mut documents = network.documents();
        let before = judged(&documents);
        let is_complete = before
            .fixes
            .iter()
            .all(|fix| fix.command.is_some() || fix.kind == "outside-vpc");
        for fix in before.fixes.iter().filter_map(|fix| fix.command.as_deref()) {
            apply(fix, &mut documents);
            applied += 1;
        }
        let after = judged(&documents);
        if is_complete {
            assert_eq!(
                after.outcome,
                Outcome::Allowed,
                "seed {seed}: {:?}\n{:#?}\n{:#?}",
                before.fixes,
                after.checks,
                network
            );
        }
        for undo in before
            .fixes
            .iter()
            .rev()
            .filter(|fix| fix.command.is_some())
            .filter_map(|fix| fix.undo.as_deref())
        {
            apply(undo, &mut documents);
        }
        // Two fixes cannot be undone completely: accepting a peering connection, and replacing a blackhole
        // route by a route to an existing target.
        let routes = network.near_routes.iter().chain(&network.far_routes);
        let can_undo = !before.fixes.iter().any(|fix| fix.kind == "peering")
            && !routes.into_iter().any(|route| route.is_blackhole);
        if can_undo {
            assert_eq!(
                judged(&documents).outcome,
                before.outcome,
                "seed {seed}: {:?}",
                before.fixes
            );
        }
    });
    assert!(applied > 100, "{applied}");
}

#[test]
fn the_model_and_the_documents_agree_about_the_addresses() {
    let near: IpAddr = ip("10.0.1.10").into();
    assert_eq!(
        judged(&network(&mut Random(1)).documents()).source.address,
        Some(near)
    );
}
