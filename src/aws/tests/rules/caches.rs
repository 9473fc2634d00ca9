//! Checks ElastiCache's host names and documents.

use serde_json::json;

use super::check;
use crate::aws::tests::example::{OTHER_ACCOUNT, in_group, one_vpc, rule, tcp, two_vpcs};

const SERVERLESS: &str = "shop-x1y2z3.serverless.euc1.cache.amazonaws.com";
const PUBLIC: &str = "shop-x1y2z3.public.serverless.euc1.cache.amazonaws.com";
const BOTH_PORTS: Option<(i64, i64)> = Some((6379, 6380));

#[test]
fn status_and_region() {
    let status = |status: &str| {
        one_vpc()
            .named("vpc-a")
            .with("ReplicationGroups/0/Status", json!(status))
    };
    let endpoint = |host: &str| one_vpc().fact("endpoint", json!(host));
    check(&[
        ("available", status("available"), "allowed"),
        ("in capitals", status("AVAILABLE"), "allowed"),
        ("modifying", status("modifying"), "allowed"),
        ("snapshotting", status("snapshotting"), "allowed"),
        ("creating", status("creating"), "denied cache.status"),
        ("deleting", status("deleting"), "denied cache.status"),
        ("create-failed", status("create-failed"), "denied cache.status"),
        (
            "incompatible-network",
            status("incompatible-network"),
            "denied cache.status",
        ),
        (
            "the status is not shown",
            one_vpc()
                .named("vpc-a")
                .with("ReplicationGroups/0/Status", json!(null)),
            "unknown ? cache.status",
        ),
        (
            "ElastiCache was not asked",
            endpoint("master.shop.x1y2z3.euc1.cache.amazonaws.com"),
            "unknown ? cache.status",
        ),
        (
            "ElastiCache has no such cache",
            endpoint("master.shop.x1y2z3.euc1.cache.amazonaws.com")
                .with("ReplicationGroups", json!([]))
                .with("CacheClusters", json!([])),
            "unknown ? cache.status",
        ),
        (
            "the name of another region",
            one_vpc().named("vpc-a").fact("region", json!("eu-west-1")),
            "denied region.different",
        ),
        (
            "the name of a MemoryDB cluster in another region",
            endpoint("clustercfg.shop.x1y2z3.memorydb.us-east-1.amazonaws.com"),
            "denied region.different",
        ),
        (
            "the name of a MemoryDB cluster here",
            endpoint("clustercfg.shop.x1y2z3.memorydb.eu-central-1.amazonaws.com"),
            "allowed",
        ),
        (
            "a name that is not ElastiCache's",
            endpoint("redis.example"),
            "allowed",
        ),
    ]);
}

#[test]
fn ports_and_engines() {
    let serverless = |port: u16| one_vpc().serverless(SERVERLESS).fact("port", json!(port));
    let both = [rule("tcp", BOTH_PORTS, in_group("sg-app"))];
    check(&[
        (
            "another port than that of the cache",
            one_vpc().named("vpc-a").fact("port", json!(6380)),
            "denied cache.port sg.ingress",
        ),
        ("a serverless cache", serverless(6379).ingress(&both), "allowed"),
        (
            "the reader of a serverless cache",
            serverless(6380).ingress(&both),
            "allowed",
        ),
        (
            "the reader of a serverless cache, and a rule for one port",
            serverless(6380),
            "denied sg.ingress",
        ),
        (
            "another port of a serverless cache",
            serverless(6381).ingress(&both),
            "denied cache.port sg.ingress",
        ),
        (
            "a Memcached cluster",
            one_vpc()
                .named("vpc-a")
                .without("ReplicationGroups")
                .with("CacheClusters/0/CacheClusterId", json!("shop"))
                .with("CacheClusters/0/Engine", json!("memcached")),
            "denied cache.engine",
        ),
        // A public endpoint has no VPC and no security groups.
        (
            "a public endpoint",
            two_vpcs().serverless(PUBLIC).ingress(&[]),
            "allowed",
        ),
        (
            "a public endpoint that is being created",
            two_vpcs()
                .serverless(PUBLIC)
                .with("ServerlessCaches/0/Status", json!("creating")),
            "denied cache.status",
        ),
        (
            "a public endpoint, and ElastiCache was not asked",
            two_vpcs().fact("endpoint", json!(PUBLIC)),
            "unknown ? cache.status",
        ),
    ]);
}

#[test]
fn the_address_of_a_cache() {
    let no_interface = || json!([one_vpc().documents()[2]["NetworkInterfaces"][0].clone()]);
    let without_interface = |vpc| one_vpc().named(vpc).with("NetworkInterfaces", no_interface());
    let blind = |vpc| one_vpc().named(vpc).without("NetworkInterfaces");
    check(&[
        ("an interface has it", one_vpc().named("vpc-a"), "allowed"),
        (
            "no interface has it any more",
            without_interface("vpc-a"),
            "denied address.gone",
        ),
        (
            "no interface has it, but the VPC belongs to another account",
            without_interface("vpc-a").with("Subnets/0/OwnerId", json!(OTHER_ACCOUNT)),
            "allowed",
        ),
        ("no permission to see interfaces", blind("vpc-a"), "allowed"),
        (
            "no permission to see interfaces, and no rule",
            blind("vpc-a").ingress(&[]),
            "denied sg.ingress",
        ),
        // The address is in the range of the instance's own VPC, so packets do not leave this VPC.
        (
            "the cache is in another VPC with the same range",
            blind("vpc-b"),
            "denied vpc.overlap ? sg.ingress acl.in acl.back-out",
        ),
        (
            "the cache is in another VPC",
            two_vpcs().named("vpc-b").without("NetworkInterfaces"),
            "denied vpc.different",
        ),
        (
            "a cluster with nodes in several subnets: the node's own subnet counts",
            one_vpc()
                .named("vpc-a")
                .with(
                    "CacheSubnetGroups/0/Subnets",
                    json!([{"SubnetIdentifier": "subnet-a"}, {"SubnetIdentifier": "subnet-b"}]),
                )
                .far_acl(&[]),
            "denied acl.in acl.back-out",
        ),
    ]);
}

#[test]
fn an_interface_with_other_groups_than_the_cache_is_reported() {
    let differs = one_vpc().named("vpc-a").with(
        "CacheClusters/0/SecurityGroups",
        json!([{"SecurityGroupId": "sg-old"}]),
    );
    let same = one_vpc().named("vpc-a");
    let notes = |example: &crate::aws::tests::example::Example| example.judge().notes.len();
    assert_eq!(notes(&differs), notes(&same) + 1);
    assert_eq!(
        differs.judge().destination.groups,
        same.judge().destination.groups
    );
}

#[test]
fn certainty_is_that_of_the_weakest_fact() {
    use crate::aws::Certainty::{Likely, Proved};
    let denied = || one_vpc().ingress(&[]);
    for (what, example, certainty) in [
        ("everything is known", denied(), Proved),
        (
            "the cache is known by name only",
            denied().named("vpc-a").without("NetworkInterfaces"),
            Likely,
        ),
        ("a container", denied().fact("from", json!("172.17.0.2")), Likely),
        (
            "a pod with a delegated address",
            denied()
                .fact("from", json!("10.0.1.33"))
                .source("prefixes", json!(["10.0.1.32/28"])),
            Proved,
        ),
        (
            "an allowed rule by a range, in a container",
            one_vpc()
                .ingress(&[tcp(6379, in_group("sg-app"))])
                .fact("from", json!("172.17.0.2")),
            Likely,
        ),
    ] {
        assert_eq!(example.judge().certainty, certainty, "{what}");
    }
}
