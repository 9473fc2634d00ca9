//! Checks that the connection is allowed if any rule of any security group allows it.

use serde_json::json;

use super::check;
use crate::aws::tests::example::{all_protocols, in_group, one_vpc, prefix_list, range, range6, rule, tcp};

const ALL_OUT: &str = "0.0.0.0/0";

#[test]
fn rules_for_incoming_traffic() {
    let with = |rules: &[serde_json::Value]| one_vpc().ingress(rules);
    check(&[
        ("the group of the instance", with(&[tcp(6379, in_group("sg-app"))]), "allowed"),
        ("the address of the instance", with(&[tcp(6379, range("10.0.1.10/32"))]), "allowed"),
        ("the range of the VPC", with(&[tcp(6379, range("10.0.0.0/16"))]), "allowed"),
        ("a range with host bits", with(&[tcp(6379, range("10.0.1.77/24"))]), "allowed"),
        ("all IPv4 addresses", with(&[tcp(6379, range("0.0.0.0/0"))]), "allowed"),
        ("a range of ports", with(&[rule("tcp", Some((6000, 7000)), range("10.0.1.0/24"))]), "allowed"),
        ("TCP by its number", with(&[rule("6", Some((6379, 6379)), range("10.0.1.0/24"))]), "allowed"),
        ("all protocols", with(&[all_protocols(range("10.0.1.0/24"))]), "allowed"),
        ("all protocols, with ports", with(&[rule("-1", Some((-1, -1)), range("10.0.1.0/24"))]), "allowed"),
        ("all ports of TCP", with(&[rule("tcp", Some((0, 65535)), range("10.0.1.0/24"))]), "allowed"),
        ("no rule", with(&[]), "denied sg.ingress"),
        ("another port", with(&[tcp(6380, in_group("sg-app"))]), "denied sg.ingress"),
        ("a range that ends below the port", with(&[rule("tcp", Some((6000, 6378)), in_group("sg-app"))]), "denied sg.ingress"),
        ("UDP", with(&[rule("udp", Some((6379, 6379)), in_group("sg-app"))]), "denied sg.ingress"),
        ("ICMP", with(&[rule("icmp", Some((-1, -1)), in_group("sg-app"))]), "denied sg.ingress"),
        ("another range", with(&[tcp(6379, range("10.0.2.0/24"))]), "denied sg.ingress"),
        ("IPv6 only", with(&[tcp(6379, range6("::/0"))]), "denied sg.ingress"),
        ("another group", with(&[tcp(6379, in_group("sg-other"))]), "denied sg.ingress"),
        ("a group that was deleted", with(&[tcp(6379, in_group("sg-deleted"))]), "denied sg.ingress"),
        ("only the cache's own group", with(&[all_protocols(in_group("sg-cache"))]), "denied sg.ingress"),
        (
            "the cache's own group, and the instance is in it",
            with(&[all_protocols(in_group("sg-cache"))])
                .with("NetworkInterfaces/0/Groups", json!([{"GroupId": "sg-app"}, {"GroupId": "sg-cache"}])),
            "allowed",
        ),
        (
            "the second group of the cache",
            with(&[])
                .with("NetworkInterfaces/1/Groups", json!([{"GroupId": "sg-cache"}, {"GroupId": "sg-two"}]))
                .adding("SecurityGroups", json!({"GroupId": "sg-two", "IpPermissions": [tcp(6379, in_group("sg-app"))], "IpPermissionsEgress": []})),
            "allowed",
        ),
        (
            "the second group of the instance",
            with(&[tcp(6379, in_group("sg-two"))])
                .with("NetworkInterfaces/0/Groups", json!([{"GroupId": "sg-app"}, {"GroupId": "sg-two"}]))
                .adding("SecurityGroups", json!({"GroupId": "sg-two", "IpPermissions": [], "IpPermissionsEgress": []})),
            "allowed",
        ),
        (
            "the group that another interface of the instance has",
            with(&[tcp(6379, in_group("sg-two"))])
                .adding("NetworkInterfaces", json!({"NetworkInterfaceId": "eni-c", "VpcId": "vpc-a", "SubnetId": "subnet-a",
                    "PrivateIpAddress": "10.0.1.11", "Groups": [{"GroupId": "sg-two"}]})),
            "denied sg.ingress",
        ),
        (
            "the public address of the instance",
            with(&[tcp(6379, range("203.0.113.7/32"))]).with("NetworkInterfaces/0/Association", json!({"PublicIp": "203.0.113.7"})),
            "denied sg.ingress",
        ),
    ]);
}

#[test]
fn rules_for_outgoing_traffic() {
    check(&[
        (
            "to the group of the cache",
            one_vpc().egress(&[tcp(6379, in_group("sg-cache"))]),
            "allowed",
        ),
        (
            "to the subnet of the cache",
            one_vpc().egress(&[tcp(6379, range("10.0.3.0/24"))]),
            "allowed",
        ),
        (
            "all rules were removed",
            one_vpc().egress(&[]),
            "denied sg.egress",
        ),
        (
            "HTTPS only",
            one_vpc().egress(&[tcp(443, range(ALL_OUT))]),
            "denied sg.egress",
        ),
        (
            "to IPv6 only",
            one_vpc().egress(&[all_protocols(range6("::/0"))]),
            "denied sg.egress",
        ),
        (
            "nothing in either direction",
            one_vpc().egress(&[]).ingress(&[]),
            "denied sg.egress sg.ingress",
        ),
        // Replies need no rule, because security groups are stateful.
        (
            "the cache sends nothing",
            one_vpc().with("SecurityGroups/1/IpPermissionsEgress", json!([])),
            "allowed",
        ),
    ]);
}

#[test]
fn prefix_lists() {
    let with = |entries: &[&str]| {
        let entries: Vec<_> = entries.iter().map(|range| json!({"Cidr": range})).collect();
        one_vpc().ingress(&[tcp(6379, prefix_list("pl-1"))]).with(
            "PrefixListEntries",
            json!([{"PrefixListId": "pl-1", "Entries": entries}]),
        )
    };
    check(&[
        (
            "an entry contains the address",
            with(&["192.168.0.0/16", "10.0.1.0/24"]),
            "allowed",
        ),
        (
            "no entry contains the address",
            with(&["192.168.0.0/16"]),
            "denied sg.ingress",
        ),
        ("the list is empty", with(&[]), "denied sg.ingress"),
        (
            "the entries are not among the documents",
            with(&[]).without("PrefixListEntries"),
            "unknown ? sg.ingress",
        ),
        (
            "the entries are unknown, but another rule allows",
            with(&[])
                .without("PrefixListEntries")
                .adding("SecurityGroups/1/IpPermissions", tcp(6379, in_group("sg-app"))),
            "allowed",
        ),
        (
            "the entries are unknown, and the port is another one",
            with(&[])
                .without("PrefixListEntries")
                .ingress(&[tcp(443, prefix_list("pl-1"))]),
            "denied sg.ingress",
        ),
    ]);
}

#[test]
fn what_the_documents_do_not_show() {
    let rule_of = |group: &str, is_egress: bool, peer: serde_json::Value| {
        let mut rule = json!({"GroupId": group, "IsEgress": is_egress, "IpProtocol": "tcp", "FromPort": 6379, "ToPort": 6379});
        rule.as_object_mut()
            .unwrap()
            .extend(peer.as_object().unwrap().clone());
        rule
    };
    let by_rules = |rules: serde_json::Value| {
        one_vpc()
            .without("SecurityGroups")
            .with("SecurityGroupRules", rules)
    };
    let out = rule_of("sg-app", true, json!({"CidrIpv4": "0.0.0.0/0"}));
    check(&[
        (
            "no document about groups",
            one_vpc().without("SecurityGroups"),
            "unknown ? sg.egress sg.ingress",
        ),
        (
            "the group of the cache is missing in the answer",
            one_vpc().with("SecurityGroups/1/GroupId", json!("sg-other")),
            "unknown ? sg.ingress",
        ),
        (
            "an old version of aws omits the list of groups",
            one_vpc()
                .ingress(&[json!({"IpProtocol": "tcp", "FromPort": 6379, "ToPort": 6379, "IpRanges": []})]),
            "unknown ? sg.ingress",
        ),
        (
            "the groups of the cache's interface are not shown",
            one_vpc().with("NetworkInterfaces/1/Groups", json!(null)),
            "unknown ? sg.ingress",
        ),
        (
            "only the rules, and one allows",
            by_rules(json!([
                out,
                rule_of(
                    "sg-cache",
                    false,
                    json!({"ReferencedGroupInfo": {"GroupId": "sg-app"}})
                )
            ])),
            "allowed",
        ),
        (
            "only the rules, and none is of the cache's group: it may be invisible",
            by_rules(json!([out])),
            "unknown ? sg.ingress",
        ),
        (
            "only the rules, and the group was asked for: it has no rules",
            by_rules(json!([out])).fact("asked_groups", json!(["sg-app", "sg-cache"])),
            "denied sg.ingress",
        ),
    ]);
}
