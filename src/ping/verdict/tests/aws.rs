//! Checks the evidence from ElastiCache's description of a cache.

// The `json!` macro returns owned values.
#![allow(clippy::needless_pass_by_value)]

use serde_json::{Value, json};

use crate::aws::{self, AwsAnswer, Documents, Origin};
use crate::ping::causes::Cause;
use crate::ping::verdict::aws::Question;
use crate::ping::verdict::{Finding, Verdict, aws as proof};
use crate::redis_url::Target;

const GROUP: &str = "master.shop.x1y2z3.euc1.cache.amazonaws.com";
const SERVERLESS: &str = "shop-x1y2z3.serverless.euc1.cache.amazonaws.com";
const PUBLIC: &str = "shop-x1y2z3.public.serverless.euc1.cache.amazonaws.com";

/// Returns ElastiCache's description of the replication group `shop`, in which `members` adds or replaces
/// JSON members.
fn group(members: Value) -> Vec<Value> {
    let mut group = json!({"ReplicationGroupId": "shop", "Status": "available", "Engine": "valkey", "MemberClusters": ["shop-001"],
        "NodeGroups": [{"PrimaryEndpoint": {"Address": GROUP, "Port": 6390}, "NodeGroupMembers": []}]});
    group
        .as_object_mut()
        .unwrap()
        .extend(members.as_object().unwrap().clone());
    vec![json!({"ReplicationGroups": [group]})]
}

fn answer(host: &str, port: u16, documents: &[Value]) -> AwsAnswer {
    let mut found = Documents::default();
    let facts = json!({"region": "eu-central-1", "endpoint": host, "address": "10.0.3.17", "port": port, "source": {}});
    found.add(&facts, "");
    documents.iter().for_each(|document| found.add(document, ""));
    AwsAnswer {
        assessment: aws::judge(found.facts.as_ref().unwrap(), &found),
        commands: Vec::new(),
        from: Origin::Documents,
        missing_permissions: Vec::new(),
        problems: Vec::new(),
        raw: Vec::new(),
    }
}

/// Returns the evidence that `--aws` adds to a cause.
fn added(cause: Cause, answer: &AwsAnswer) -> String {
    let mut verdict = Verdict {
        finding: Some(Finding::proved(cause)),
        ..Verdict::default()
    };
    proof::add(answer, &mut verdict);
    verdict.finding.unwrap().evidence.join("\n")
}

#[test]
fn each_cause_gets_what_elasticache_shows_about_it() {
    let users = || {
        json!({"Users": [{"UserId": "ada-1", "UserName": "ada", "UserGroupIds": ["staff"], "Authentication": {"Type": "iam"}},
        {"UserId": "bob-1", "UserName": "bob", "UserGroupIds": ["others"], "Authentication": {"Type": "password"}}]})
    };
    let with_users = || {
        let mut documents = group(json!({"UserGroupIds": ["staff"], "AuthTokenEnabled": false}));
        documents.push(users());
        documents
    };
    let tls = |is_on: bool, mode: Option<&str>| {
        group(json!({"TransitEncryptionEnabled": is_on, "TransitEncryptionMode": mode}))
    };
    let no_cache = || vec![json!({"ReplicationGroups": []}), json!({"CacheClusters": []})];
    let serverless = |host: &str| {
        vec![
            json!({"ServerlessCaches": [{"ServerlessCacheName": "shop", "Status": "available", "Engine": "valkey", "UserGroupId": "staff",
            "Endpoint": {"Address": host, "Port": 6379}, "ReaderEndpoint": {"Address": host, "Port": 6380}}]}),
            users(),
        ]
    };
    for (cause, host, documents, parts) in [
        (
            Cause::DnsNotFound,
            GROUP,
            no_cache(),
            &["no cache named shop"][..],
        ),
        (
            Cause::DnsNotFound,
            SERVERLESS,
            vec![json!({"ServerlessCaches": []})],
            &["no cache named shop"],
        ),
        (
            Cause::DnsNotFound,
            GROUP,
            group(json!({"Status": "creating"})),
            &["creating"],
        ),
        (
            Cause::DnsNoAddress,
            GROUP,
            group(json!({"Status": "deleting"})),
            &["deleting"],
        ),
        (
            Cause::TcpRefused,
            GROUP,
            group(json!({})),
            &["no security group", "6390, not on 6379"],
        ),
        (
            Cause::TcpRefused,
            GROUP,
            group(json!({"Status": "deleting"})),
            &["deleting"],
        ),
        (
            Cause::TlsRequired,
            GROUP,
            tls(true, Some("required")),
            &["rediss://"],
        ),
        (Cause::TlsStalled, GROUP, tls(true, None), &["rediss://"]),
        (
            Cause::TlsNotOffered,
            GROUP,
            tls(false, None),
            &["no encryption", "redis://"],
        ),
        (
            Cause::TlsNotOffered,
            GROUP,
            tls(true, Some("preferred")),
            &["with and without TLS"],
        ),
        (Cause::TlsVersion, PUBLIC, serverless(PUBLIC), &["TLS 1.3"]),
        (Cause::TlsVersion, SERVERLESS, serverless(SERVERLESS), &[]),
        (
            Cause::AuthRequired,
            GROUP,
            group(json!({"AuthTokenEnabled": true, "UserGroupIds": []})),
            &["AUTH token"],
        ),
        (Cause::AuthFailed, GROUP, with_users(), &["staff", "ada", "iam"]),
        (
            Cause::AuthFailed,
            SERVERLESS,
            serverless(SERVERLESS),
            &["staff", "ada", "iam"],
        ),
        (Cause::AuthNoPermission, GROUP, with_users(), &["ada"]),
        (
            Cause::AuthNotConfigured,
            GROUP,
            group(json!({"AuthTokenEnabled": false, "UserGroupIds": []})),
            &["neither"],
        ),
        (
            Cause::ClusterMode,
            GROUP,
            group(json!({"ClusterEnabled": true})),
            &["enabled"],
        ),
        (
            Cause::ClusterMode,
            SERVERLESS,
            serverless(SERVERLESS),
            &["enabled"],
        ),
        (
            Cause::ClusterUnreachableNodes,
            SERVERLESS,
            serverless(SERVERLESS),
            &["6379 and 6380"],
        ),
        (Cause::RoleReplica, GROUP, group(json!({})), &[GROUP]),
        // A property that ElastiCache does not show must not be reported.
        (Cause::TlsRequired, GROUP, group(json!({})), &[]),
        (Cause::AuthFailed, GROUP, group(json!({})), &[]),
        (Cause::ProtoNotRedis, GROUP, tls(true, None), &[]),
    ] {
        let evidence = added(cause, &answer(host, 6379, &documents));
        assert_eq!(
            evidence.is_empty(),
            parts.is_empty(),
            "{}, {host}: {evidence}",
            cause.code()
        );
        for part in parts {
            assert!(
                evidence.contains(part),
                "{}, {host}: {part}: {evidence}",
                cause.code()
            );
        }
        assert!(!evidence.contains("bob"), "{evidence}");
    }
}

#[test]
fn aws_is_asked_only_about_causes_that_it_can_explain() {
    let question = |cause: Cause, host: &str| {
        let verdict = Verdict {
            finding: Some(Finding::proved(cause)),
            ..Verdict::default()
        };
        proof::question(&Target::parse(&format!("redis://{host}")).unwrap(), &verdict)
    };
    for cause in Cause::ALL.iter().copied() {
        let expected = match cause.code() {
            "tcp.timeout" | "cluster.unreachable_nodes" => Some(Question::Path),
            "dns.not_found"
            | "dns.no_address"
            | "tcp.refused"
            | "tls.required"
            | "tls.not_offered"
            | "tls.stalled"
            | "tls.version"
            | "auth.required"
            | "auth.failed"
            | "auth.not_configured"
            | "auth.no_permission"
            | "cluster.mode"
            | "role.replica" => Some(Question::Cache),
            _ => None,
        };
        assert_eq!(question(cause, GROUP), expected, "{}", cause.code());
        // Without the name of a cache, no question to ElastiCache is possible.
        assert_eq!(
            question(cause, "10.0.3.17"),
            expected.filter(|question| *question == Question::Path),
            "{}",
            cause.code()
        );
    }
    let works = proof::question(&Target::parse("redis://10.0.3.17").unwrap(), &Verdict::default());
    assert_eq!(works, Some(Question::Path));
}

/// If the second port of a serverless cache is blocked, the verdict reports a cluster node that cannot be
/// reached.
#[test]
fn the_rule_that_an_unreachable_node_needs_comes_first() {
    let mut found = Documents::default();
    for document in [
        json!({"region": "eu-central-1", "endpoint": SERVERLESS, "address": "10.0.3.17", "port": 6380, "from": "10.0.1.10", "ephemeral": [32768, 60999],
            "source": {"interface": "eni-a", "addresses": ["10.0.1.10"], "vpc": "vpc-a", "subnet": "subnet-a", "groups": ["sg-app"], "vpc_cidrs": ["10.0.0.0/16"]}}),
        json!({"NetworkInterfaces": [{"NetworkInterfaceId": "eni-b", "VpcId": "vpc-a", "SubnetId": "subnet-a", "PrivateIpAddress": "10.0.3.17", "Groups": [{"GroupId": "sg-cache"}]}]}),
        json!({"SecurityGroups": [{"GroupId": "sg-cache", "IpPermissionsEgress": [], "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 6379,
            "ToPort": 6379, "UserIdGroupPairs": [{"GroupId": "sg-app"}], "IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": []}]}]}),
        json!({"ServerlessCaches": [{"ServerlessCacheName": "shop", "Status": "available"}]}),
    ] {
        found.add(&document, "");
    }
    let answer = AwsAnswer {
        assessment: aws::judge(found.facts.as_ref().unwrap(), &found),
        ..answer(SERVERLESS, 6380, &[])
    };
    let mut verdict = Verdict {
        finding: Some(Finding::proved(Cause::ClusterUnreachableNodes)),
        ..Verdict::default()
    };
    proof::add(&answer, &mut verdict);
    let fix = verdict.finding.unwrap().fixes.remove(0);
    assert_eq!(fix.kind, "security-group");
    assert!(fix.command.unwrap().contains("--port 6379-6380") && fix.undo.is_some());
}
