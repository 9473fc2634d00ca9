//! Lists examples of servers on AWS, with the results of `--aws`.

use super::*;
use crate::aws::{AwsAnswer, Documents, Origin};

/// Returns the answer of `--aws` for a captured network.
pub(super) fn verdict_on(documents: &[&str]) -> Box<AwsAnswer> {
    let mut found = Documents::default();
    documents.iter().for_each(|text| found.add_text(text));
    let facts = found.facts.clone().unwrap_or_default();
    Box::new(AwsAnswer {
        assessment: crate::aws::judge(&facts, &found),
        commands: Vec::new(),
        from: Origin::Documents,
        missing_permissions: found.missing_permissions().into_iter().collect(),
        problems: Vec::new(),
        raw: Vec::new(),
    })
}

macro_rules! captured {
    ($name:literal $(, $file:literal)*) => {
        [$(include_str!(concat!("../../../../../tests/aws/networks/", $name, "/", $file, ".json"))),*]
    };
}

pub(super) const MISSING_RULE: [&str; 6] = captured!(
    "missing-ingress",
    "facts",
    "network-acls",
    "network-interfaces",
    "route-tables",
    "security-groups",
    "subnets"
);
pub(super) const ALL_ALLOWED: [&str; 6] = captured!(
    "allowed",
    "facts",
    "network-acls",
    "network-interfaces",
    "route-tables",
    "security-groups",
    "subnets"
);
pub(super) const NO_ACLS: [&str; 5] = captured!(
    "allowed",
    "facts",
    "network-interfaces",
    "route-tables",
    "security-groups",
    "subnets"
);
/// Documents about a network ACL that lets only some of the replies through. The changed network ACL comes
/// first, so that it takes precedence over the captured network ACL.
const PARTLY: [&str; 6] = [
    ALL_ALLOWED[0],
    r#"{"NetworkAcls": [{"NetworkAclId": "acl-0a", "Associations": [{"SubnetId": "subnet-7631a4c10074d37f8"}], "Entries": [
        {"Egress": true, "RuleNumber": 100, "Protocol": "-1", "RuleAction": "allow", "CidrBlock": "0.0.0.0/0"},
        {"Egress": false, "RuleNumber": 100, "Protocol": "6", "RuleAction": "allow", "CidrBlock": "10.0.0.0/16",
         "PortRange": {"From": 49152, "To": 65535}}]}]}"#,
    ALL_ALLOWED[1],
    ALL_ALLOWED[2],
    ALL_ALLOWED[4],
    ALL_ALLOWED[5],
];

pub(super) fn aws_partly() -> Vec<Situation> {
    let partly = pong().with(|seen| seen.aws = Some(verdict_on(&PARTLY)));
    vec![seen("an ACL with too few ports", IP, partly)]
}
