//! Checks the rules of network ACLs.

use serde_json::{Value, json};

use super::check;
use crate::aws::tests::example::{entry, entry6, ipv6, one_vpc};

const ALL: Option<(u16, u16)> = None;

fn all_out() -> Value {
    entry(100, "out", "allow", "-1", ALL)
}

fn all_in() -> Value {
    entry(100, "in", "allow", "-1", ALL)
}

#[test]
fn requests() {
    check(&[
        (
            "no entry for outgoing requests",
            one_vpc().near_acl(&[all_in()]),
            "denied acl.out",
        ),
        (
            "no entry for incoming requests",
            one_vpc().far_acl(&[all_out()]),
            "denied acl.in",
        ),
        (
            "an entry for the port",
            one_vpc().far_acl(&[all_out(), entry(90, "in", "allow", "6", Some((6379, 6379)))]),
            "allowed",
        ),
        (
            "a lower number denies",
            one_vpc().far_acl(&[
                all_out(),
                all_in(),
                entry(90, "in", "deny", "6", Some((6379, 6379))),
            ]),
            "denied acl.in",
        ),
        (
            "a higher number denies",
            one_vpc().far_acl(&[
                all_out(),
                all_in(),
                entry(110, "in", "deny", "6", Some((6379, 6379))),
            ]),
            "allowed",
        ),
        (
            "a lower number denies UDP",
            one_vpc().far_acl(&[
                all_out(),
                all_in(),
                entry(90, "in", "deny", "17", Some((6379, 6379))),
            ]),
            "allowed",
        ),
        (
            "a lower number denies IPv6",
            one_vpc().far_acl(&[all_out(), all_in(), entry6(90, "in", "deny")]),
            "allowed",
        ),
        (
            "a lower number denies another range",
            one_vpc().far_acl(&[
                all_out(),
                all_in(),
                json!({"RuleNumber": 90, "Egress": false, "RuleAction": "deny",
                "Protocol": "-1", "CidrBlock": "10.0.2.0/24"}),
            ]),
            "allowed",
        ),
        (
            "IPv6 has its own entries",
            ipv6().far_acl(&[all_out(), all_in()]),
            "denied acl.in acl.back-out",
        ),
    ]);
}

#[test]
fn replies_go_to_the_local_port() {
    let far = |ports| one_vpc().far_acl(&[all_in(), entry(100, "out", "allow", "6", Some(ports))]);
    let near = |ports| one_vpc().near_acl(&[all_out(), entry(100, "in", "allow", "6", Some(ports))]);
    check(&[
        ("all unprivileged ports", far((1024, 65535)), "allowed"),
        ("exactly the range of the kernel", far((32768, 60999)), "allowed"),
        ("only Redis's own port", far((6379, 6379)), "denied acl.back-out"),
        (
            "the ports of the IANA",
            far((49152, 65535)),
            "partly acl.back-out",
        ),
        (
            "the ports of the IANA, at the instance",
            near((49152, 65535)),
            "partly acl.back-in",
        ),
        (
            "an entry denies a part",
            one_vpc().near_acl(&[
                all_out(),
                all_in(),
                entry(50, "in", "deny", "6", Some((40000, 41000))),
            ]),
            "partly acl.back-in",
        ),
        (
            "the two ACLs have no port in common",
            near((32768, 40000)).with(
                "NetworkAcls/1/Entries",
                json!([all_in(), entry(100, "out", "allow", "6", Some((40001, 60999)))]),
            ),
            "denied acl.back-out acl.back-in",
        ),
        (
            "the range of the kernel is unknown",
            far((49152, 65535)).fact("ephemeral", json!(null)),
            "unknown ? acl.back-out",
        ),
        (
            "the range of the kernel is unknown, but no entry allows",
            far((6379, 6379)).fact("ephemeral", json!(null)),
            "unknown ? acl.back-out",
        ),
    ]);
}

#[test]
fn where_they_apply() {
    let same_subnet = one_vpc()
        .with("NetworkInterfaces/1/SubnetId", json!("subnet-a"))
        .with("NetworkInterfaces/1/PrivateIpAddress", json!("10.0.1.17"))
        .with("NetworkInterfaces/1/PrivateIpAddresses", json!([]))
        .fact("address", json!("10.0.1.17"));
    let one_acl = one_vpc().with(
        "NetworkAcls",
        json!([{"NetworkAclId": "acl-a", "Associations": [{"SubnetId": "subnet-a"}, {"SubnetId": "subnet-b"}],
            "Entries": [all_in(), entry(100, "out", "allow", "6", Some((6379, 6379)))]}]),
    );
    check(&[
        ("not within a subnet", same_subnet.near_acl(&[]), "allowed"),
        (
            "twice between two subnets with one ACL",
            one_acl,
            "denied acl.back-out",
        ),
        (
            "the ACLs are not among the documents",
            one_vpc().without("NetworkAcls"),
            "unknown ? acl.out acl.in acl.back-out acl.back-in",
        ),
        (
            "the ACL of the cache's subnet is not among the documents",
            one_vpc().with("NetworkAcls/1/Associations", json!([])),
            "unknown ? acl.in acl.back-out",
        ),
        (
            "an entry without its number",
            one_vpc().far_acl(&[
                all_out(),
                json!({"Egress": false, "RuleAction": "allow", "Protocol": "-1", "CidrBlock": "0.0.0.0/0"}),
            ]),
            "unknown ? acl.in",
        ),
    ]);
}
