//! Checks which commands are run, with a script in place of the program `aws`.

// Clippy exempts test functions, but not the helper functions that they call.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Question, ask_program};
use crate::aws::{AwsAnswer, Documents, Facts, Outcome};
use crate::deadline::Deadline;

/// A script that prints a prepared file for each operation, or nothing if there is no such file.
struct Script {
    folder: TempDir,
}

impl Script {
    fn new() -> Self {
        Self::running(
            "for word; do case $word in --include-managed-resources) test -e $D/old && { echo 'Unknown options: x' >&2; exit 252; }; set -- $1 managed;; esac; done\n\
             test -e $D/$2.err && { cat $D/$2.err >&2; exit 254; }\n\
             test -e $D/$2.json && cat $D/$2.json || true",
        )
    }

    fn running(script: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let this = Self { folder };
        let text = format!("#!/bin/bash\nD={}\n{script}\n", this.folder.path().display());
        fs::write(this.program(), text).unwrap();
        fs::set_permissions(this.program(), fs::Permissions::from_mode(0o755)).unwrap();
        this
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("aws")
    }

    /// Sets the output for an operation.
    fn with(self, operation: &str, answer: Value) -> Self {
        self.with_file(&format!("{operation}.json"), &answer.to_string())
    }

    fn with_file(self, name: &str, text: &str) -> Self {
        fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    async fn ask(&self, facts: Value, question: Question) -> AwsAnswer {
        let mut documents = Documents::default();
        documents.add(&facts, "");
        let facts: Facts = documents.facts.unwrap();
        let deadline = Deadline::after(Duration::from_secs(30));
        ask_program(self.program().as_os_str(), facts, question, deadline, &|_| {}).await
    }
}

/// Returns the operations with their options, in the order in which they were run.
fn asked(answer: &AwsAnswer) -> Vec<&str> {
    answer.commands.iter().map(|ran| ran.line.as_str()).collect()
}

fn has_asked(answer: &AwsAnswer, words: &str) -> bool {
    asked(answer)
        .iter()
        .any(|line| line.replace('\'', "").contains(words))
}

fn facts() -> Value {
    json!({"region": "eu-central-1", "address": "10.0.3.17", "port": 6379, "from": "10.0.1.10", "ephemeral": [32768, 60999],
        "source": {"interface": "eni-a", "addresses": ["10.0.1.10"], "vpc": "vpc-a", "subnet": "subnet-a", "groups": ["sg-app"],
        "owner": "123456789012", "vpc_cidrs": ["10.0.0.0/16"]}})
}

fn named() -> Value {
    let mut facts = facts();
    facts["endpoint"] = "master.shop.x1y2z3.euc1.cache.amazonaws.com".into();
    facts
}

fn interface(id: &str, vpc: &str, address: &str) -> Value {
    json!({"NetworkInterfaceId": id, "VpcId": vpc, "SubnetId": "subnet-b", "OwnerId": "123456789012", "PrivateIpAddress": address,
        "PrivateIpAddresses": [], "Ipv6Addresses": [{"Ipv6Address": "2001:db8::17"}], "Groups": [{"GroupId": "sg-cache"}]})
}

#[tokio::test]
async fn for_other_layers_only_elasticache_is_asked() {
    let script = Script::new()
        .with(
            "describe-replication-groups",
            json!({"ReplicationGroups": [{"ReplicationGroupId": "shop", "Status": "available",
            "MemberClusters": ["shop-001"], "TransitEncryptionEnabled": true, "UserGroupIds": ["staff"]}]}),
        )
        .with(
            "describe-users",
            json!({"Users": [{"UserId": "ada", "UserName": "ada", "UserGroupIds": ["staff"],
            "Authentication": {"Type": "iam"}}]}),
        );
    let answer = script.ask(named(), Question::Cache).await;
    assert!(
        asked(&answer)
            .iter()
            .all(|line| line.starts_with("aws elasticache ") || line.starts_with("aws sts ")),
        "{:#?}",
        asked(&answer)
    );
    assert_eq!(answer.assessment.logins, [("ada".to_owned(), "iam".to_owned())]);
    assert_eq!(answer.assessment.cache.unwrap().has_tls, Some(true));
}

#[tokio::test]
async fn hidden_interfaces_are_asked_for_only_if_none_was_found() {
    let managed = json!({"NetworkInterfaces": [interface("eni-b", "vpc-a", "10.0.3.17")]});
    let hidden = Script::new().with("managed", managed.clone());
    let answer = hidden.ask(facts(), Question::Path).await;
    assert!(
        has_asked(&answer, "--include-managed-resources"),
        "{:#?}",
        asked(&answer)
    );
    assert_eq!(answer.assessment.destination.interface.unwrap().as_str(), "eni-b");
    let visible = Script::new().with("describe-network-interfaces", managed);
    assert!(!has_asked(
        &visible.ask(facts(), Question::Path).await,
        "--include-managed-resources"
    ));
    // An unsupported option is not reported as a problem.
    let old = Script::new()
        .with_file("old", "")
        .ask(facts(), Question::Path)
        .await;
    assert!(
        has_asked(&old, "--include-managed-resources") && old.problems.is_empty(),
        "{:?}",
        old.problems
    );
}

#[tokio::test]
async fn without_the_filter_for_ipv6_all_interfaces_of_the_vpc_are_asked_for() {
    let script = Script::running(
        "case \"$*\" in *ipv6-addresses*) echo 'An error occurred (InternalError) when calling the DescribeNetworkInterfaces operation: no' >&2; exit 254;; \
         *Name=vpc-id*) test $2 = describe-network-interfaces && cat $D/all.json || echo '{}';; *) echo '{}';; esac",
    )
    .with("all", json!({"NetworkInterfaces": [interface("eni-b", "vpc-a", "10.0.3.17")]}));
    let mut v6 = facts();
    v6["address"] = "2001:db8::17".into();
    v6["from"] = "2001:db8::10".into();
    let answer = script.ask(v6, Question::Path).await;
    assert_eq!(answer.assessment.destination.interface.unwrap().as_str(), "eni-b");
}

#[tokio::test]
async fn the_route_table_of_each_attachment_is_searched_for_both_ends() {
    let attachment = |id: &str, vpc: &str, subnet: &str| json!({"TransitGatewayAttachmentId": id, "TransitGatewayId": "tgw-1", "VpcId": vpc, "State": "available", "SubnetIds": [subnet]});
    let used = |id: &str, table: &str| json!({"TransitGatewayAttachmentId": id, "Association": {"TransitGatewayRouteTableId": table, "State": "associated"}});
    let mut far = facts();
    far["address"] = "10.1.3.17".into();
    let script = Script::new()
        .with("describe-network-interfaces", json!({"NetworkInterfaces": [interface("eni-b", "vpc-b", "10.1.3.17")]}))
        .with("describe-transit-gateway-vpc-attachments", json!({"TransitGatewayVpcAttachments": [
            attachment("tgw-attach-a", "vpc-a", "subnet-a"), attachment("tgw-attach-b", "vpc-b", "subnet-b")]}))
        .with("describe-transit-gateway-attachments", json!({"TransitGatewayAttachments": [
            used("tgw-attach-a", "tgw-rtb-1"), used("tgw-attach-b", "tgw-rtb-2")]}));
    let answer = script.ask(far, Question::Path).await;
    for table in ["tgw-rtb-1", "tgw-rtb-2"] {
        for address in ["10.1.3.17/32", "10.0.1.10/32"] {
            let search = format!("{table} --filters Name=route-search.longest-prefix-match,Values={address}");
            assert!(has_asked(&answer, &search), "{search}: {:#?}", asked(&answer));
        }
    }
}

#[tokio::test]
async fn rejected_credentials_end_the_questions() {
    for error in [
        "An error occurred (ExpiredToken) when calling the GetCallerIdentity operation: expired",
        "aws: [ERROR]: An error occurred (NoCredentials): Unable to locate credentials",
    ] {
        let script = Script::new().with_file("get-caller-identity.err", error);
        let answer = script.ask(facts(), Question::Path).await;
        assert!(answer.commands.len() <= 2, "{:#?}", asked(&answer));
        assert_eq!(answer.problems.len(), 1, "{error}: {:?}", answer.problems);
        assert_eq!(answer.assessment.outcome, Outcome::Unknown);
    }
}

#[tokio::test]
async fn one_question_that_hangs_does_not_hide_the_others() {
    let script = Script::running("case $2 in describe-network-acls) sleep 60;; describe-network-interfaces) cat $D/found.json;; *) echo '{}';; esac")
        .with("found", json!({"NetworkInterfaces": [interface("eni-b", "vpc-a", "10.0.3.17")]}));
    let mut documents = Documents::default();
    documents.add(&facts(), "");
    let began = Instant::now();
    let deadline = Deadline::after(Duration::from_secs(5));
    let answer = ask_program(
        script.program().as_os_str(),
        documents.facts.unwrap(),
        Question::Path,
        deadline,
        &|_| {},
    )
    .await;
    assert!(began.elapsed() < Duration::from_secs(15));
    assert_eq!(answer.assessment.destination.interface.unwrap().as_str(), "eni-b");
    let hung = answer
        .commands
        .iter()
        .find(|ran| ran.line.contains("describe-network-acls"))
        .unwrap();
    assert!(hung.problem.is_some() && hung.status.is_none());
}

#[tokio::test]
async fn the_documents_of_a_report_are_judged_like_the_answers() {
    let script = Script::new()
        .with("get-caller-identity", json!({"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ada"}))
        .with("describe-network-interfaces", json!({"NetworkInterfaces": [interface("eni-b", "vpc-a", "10.0.3.17")]}))
        .with("describe-security-groups", json!({"SecurityGroups": [{"GroupId": "sg-cache", "IpPermissions": [], "IpPermissionsEgress": []}]}))
        .with_file("describe-network-acls.err", "An error occurred (AccessDenied) when calling the DescribeNetworkAcls operation: no");
    let answer = script.ask(facts(), Question::Path).await;
    let report = crate::aws::masked(&json!({"aws": {"documents": answer.raw}}));
    assert!(!report.to_string().contains("123456789012") && !report.to_string().contains("ada"));
    let mut documents = Documents::default();
    documents.add_text(&report.to_string());
    let again = crate::aws::judge(documents.facts.as_ref().unwrap(), &documents);
    assert_eq!(
        (again.outcome, again.first),
        (answer.assessment.outcome, answer.assessment.first)
    );
    let codes = |checks: &[crate::aws::Check]| {
        checks
            .iter()
            .map(|check| (check.code, check.outcome))
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(&again.checks), codes(&answer.assessment.checks));
    assert!(
        documents
            .missing_permissions()
            .contains("ec2:DescribeNetworkAcls")
    );
}
