//! Checks the commands that fix a denial, and the commands that undo the fix.

use serde_json::json;

use crate::aws::tests::example::{
    Example, OTHER_ACCOUNT, entry, in_group, ipv6, one_vpc, peered, peering, route, rule, tcp,
    through_gateway, two_vpcs,
};

const SERVERLESS: &str = "shop-x1y2z3.serverless.euc1.cache.amazonaws.com";

/// Compares the fix and undo commands with the expected commands, without the parts that all commands share.
/// The text `-` means a fix without a command.
fn check(what: &str, example: &Example, expected: &[&str]) {
    let assessment = example.judge();
    let short = |line: &str| line.replace("aws ec2 ", "").replace(" --region eu-central-1", "");
    let lines: Vec<_> = assessment
        .fixes
        .iter()
        .map(|fix| match (&fix.command, &fix.undo) {
            (Some(command), Some(undo)) => format!("{} | {}", short(command), short(undo)),
            _ => "-".to_owned(),
        })
        .collect();
    assert_eq!(lines, expected, "{what}");
}

#[test]
fn rules_of_groups() {
    check(
        "by group",
        &one_vpc().ingress(&[]),
        &[
            "authorize-security-group-ingress --group-id sg-cache --protocol tcp --port 6379 --source-group sg-app | \
         revoke-security-group-ingress --group-id sg-cache --protocol tcp --port 6379 --source-group sg-app",
        ],
    );
    check(
        "outgoing",
        &one_vpc().egress(&[]),
        &[
            "authorize-security-group-egress --group-id sg-app --protocol tcp --port 6379 --source-group sg-cache | \
         revoke-security-group-egress --group-id sg-app --protocol tcp --port 6379 --source-group sg-cache",
        ],
    );
    check(
        "both ports of a serverless cache",
        &one_vpc().serverless(SERVERLESS).ingress(&[]),
        &[
            "authorize-security-group-ingress --group-id sg-cache --protocol tcp --port 6379-6380 --source-group sg-app | \
         revoke-security-group-ingress --group-id sg-cache --protocol tcp --port 6379-6380 --source-group sg-app",
        ],
    );
    let other_account = peered()
        .ingress(&[])
        .with("NetworkInterfaces/1/OwnerId", json!(OTHER_ACCOUNT))
        .with(
            "VpcPeeringConnections/0/AccepterVpcInfo/OwnerId",
            json!(OTHER_ACCOUNT),
        );
    check(
        "the account of the other group",
        &other_account,
        &[
            "authorize-security-group-ingress --group-id sg-cache --protocol tcp --port 6379 --source-group sg-app --group-owner 123456789012 | \
         revoke-security-group-ingress --group-id sg-cache --protocol tcp --port 6379 --source-group sg-app --group-owner 123456789012",
        ],
    );
    let regions = peered().ingress(&[]).with(
        "VpcPeeringConnections/0/AccepterVpcInfo/Region",
        json!("eu-west-1"),
    );
    check(
        "by address, where references do not count",
        &regions,
        &[
            "authorize-security-group-ingress --group-id sg-cache --protocol tcp --port 6379 --cidr 10.0.1.10/32 | \
         revoke-security-group-ingress --group-id sg-cache --protocol tcp --port 6379 --cidr 10.0.1.10/32",
        ],
    );
    let appliance = ipv6().ingress(&[]).adding("RouteTables/0/Routes",
        json!({"DestinationIpv6CidrBlock": "2001:db8:0:3::/64", "NetworkInterfaceId": "eni-9", "State": "active"}));
    check(
        "by IPv6 address",
        &appliance,
        &[
            "authorize-security-group-ingress --group-id sg-cache --ip-permissions \
         'IpProtocol=tcp,FromPort=6379,ToPort=6379,Ipv6Ranges=[{CidrIpv6=2001:db8:0:1::10/128}]' | \
         revoke-security-group-ingress --group-id sg-cache --ip-permissions \
         'IpProtocol=tcp,FromPort=6379,ToPort=6379,Ipv6Ranges=[{CidrIpv6=2001:db8:0:1::10/128}]'",
        ],
    );
    // The first group is the default group, which allows itself. The third group already has a rule for the
    // port.
    let several = one_vpc()
        .ingress(&[])
        .egress(&[])
        .with("NetworkInterfaces/0/Groups", json!([{"GroupId": "sg-default"}, {"GroupId": "sg-app"}]))
        .with("NetworkInterfaces/1/Groups", json!([{"GroupId": "sg-default2"}, {"GroupId": "sg-cache"}, {"GroupId": "sg-redis"}]))
        .adding("SecurityGroups", json!({"GroupId": "sg-default", "GroupName": "default", "IpPermissions": [], "IpPermissionsEgress": []}))
        .adding("SecurityGroups", json!({"GroupId": "sg-default2", "GroupName": "default",
            "IpPermissions": [rule("-1", None, in_group("sg-default2"))], "IpPermissionsEgress": []}))
        .adding("SecurityGroups", json!({"GroupId": "sg-redis", "GroupName": "redis",
            "IpPermissions": [tcp(6379, in_group("sg-web"))], "IpPermissionsEgress": []}));
    check(
        "the group that is about Redis",
        &several,
        &[
            "authorize-security-group-egress --group-id sg-app --protocol tcp --port 6379 --source-group sg-redis | \
         revoke-security-group-egress --group-id sg-app --protocol tcp --port 6379 --source-group sg-redis",
            "authorize-security-group-ingress --group-id sg-redis --protocol tcp --port 6379 --source-group sg-app | \
         revoke-security-group-ingress --group-id sg-redis --protocol tcp --port 6379 --source-group sg-app",
        ],
    );
}

#[test]
fn entries_of_acls() {
    let all_out = || entry(100, "out", "allow", "-1", None);
    let all_in = || entry(100, "in", "allow", "-1", None);
    let deny = |number| entry(number, "in", "deny", "6", Some((6379, 6379)));
    let created = |number: i64| {
        format!(
            "create-network-acl-entry --network-acl-id acl-b --ingress --rule-number {number} --protocol tcp --port-range From=6379,To=6379 \
             --cidr-block 10.0.1.0/24 --rule-action allow | delete-network-acl-entry --network-acl-id acl-b --ingress --rule-number {number}"
        )
    };
    for (what, entries, number) in [
        (
            "after the last entry",
            vec![entry(100, "in", "allow", "6", Some((443, 443)))],
            110,
        ),
        ("the first entry", vec![], 10),
        ("below the entry that denies", vec![deny(95), all_in()], 90),
        (
            "between two entries",
            vec![
                entry(91, "in", "allow", "6", Some((443, 443))),
                deny(95),
                all_in(),
            ],
            94,
        ),
        (
            "the next free number below",
            vec![entry(9, "in", "allow", "6", Some((443, 443))), deny(10), all_in()],
            8,
        ),
    ] {
        let mut all = vec![all_out()];
        all.extend(entries);
        check(what, &one_vpc().far_acl(&all), &[&created(number)]);
    }
    check(
        "no number is free",
        &one_vpc().far_acl(&[all_out(), deny(1), all_in()]),
        &["-"],
    );
    let replies = one_vpc().far_acl(&[all_in()]);
    check(
        "the ports of the replies",
        &replies,
        &[
            "create-network-acl-entry --network-acl-id acl-b --egress --rule-number 10 --protocol tcp --port-range From=32768,To=60999 \
         --cidr-block 10.0.1.0/24 --rule-action allow | delete-network-acl-entry --network-acl-id acl-b --egress --rule-number 10",
        ],
    );
    let v6 = ipv6().far_acl(&[
        entry(32768, "in", "deny", "-1", None),
        json!({"RuleNumber": 110, "Egress": true, "RuleAction": "allow",
        "Protocol": "-1", "Ipv6CidrBlock": "::/0"}),
    ]);
    check(
        "an IPv6 range",
        &v6,
        &[
            "create-network-acl-entry --network-acl-id acl-b --ingress --rule-number 10 --protocol tcp --port-range From=6379,To=6379 \
         --ipv6-cidr-block 2001:db8:0:1::/64 --rule-action allow | delete-network-acl-entry --network-acl-id acl-b --ingress --rule-number 10",
        ],
    );
}

#[test]
fn routes_and_peerings() {
    let local = |range: &str| route(range, "GatewayId", "local");
    let one_sided = peered().with("RouteTables/1/Routes", json!([local("10.1.0.0/16")]));
    check(
        "a missing route",
        &one_sided,
        &[
            "create-route --route-table-id rtb-b --destination-cidr-block 10.0.1.0/24 --vpc-peering-connection-id pcx-ab | \
         delete-route --route-table-id rtb-b --destination-cidr-block 10.0.1.0/24",
        ],
    );
    let wrong = peered()
        .route_there("10.1.3.0/24", "NatGatewayId", "nat-1")
        .route_there("10.1.3.16/28", "VpcPeeringConnectionId", "pcx-ac");
    check(
        "a wrong route",
        &wrong,
        &[
            "replace-route --route-table-id rtb-a --destination-cidr-block 10.1.3.16/28 --vpc-peering-connection-id pcx-ab | \
         replace-route --route-table-id rtb-a --destination-cidr-block 10.1.3.16/28 --vpc-peering-connection-id pcx-ac",
        ],
    );
    let gateway = through_gateway().with("RouteTables/0/Routes", json!([local("10.0.0.0/16")]));
    check(
        "a route to a transit gateway",
        &gateway,
        &[
            "create-route --route-table-id rtb-a --destination-cidr-block 10.1.3.0/24 --transit-gateway-id tgw-1 | \
         delete-route --route-table-id rtb-a --destination-cidr-block 10.1.3.0/24",
        ],
    );
    let mut dead = route("10.0.3.0/24", "NetworkInterfaceId", "eni-9");
    dead["State"] = "blackhole".into();
    let within = one_vpc()
        .ingress(&[tcp(6379, crate::aws::tests::example::range("10.0.1.0/24"))])
        .adding("RouteTables/0/Routes", dead);
    check(
        "a route that is in the way",
        &within,
        &[
            "delete-route --route-table-id rtb-a --destination-cidr-block 10.0.3.0/24 | \
         create-route --route-table-id rtb-a --destination-cidr-block 10.0.3.0/24 --network-interface-id eni-9",
        ],
    );
    let pending = peered().with(
        "VpcPeeringConnections",
        json!([peering("pcx-ab", "vpc-a", "vpc-b", "pending-acceptance")]),
    );
    check(
        "a pending peering",
        &pending,
        &[
            "accept-vpc-peering-connection --vpc-peering-connection-id pcx-ab | delete-vpc-peering-connection --vpc-peering-connection-id \
         pcx-ab   # an accepted peering cannot become pending again",
        ],
    );
    let apart = two_vpcs().judge();
    assert_eq!(
        apart.fixes.iter().map(|fix| fix.kind).collect::<Vec<_>>(),
        ["outside-vpc", "peering"]
    );
    let other_account = two_vpcs()
        .with("NetworkInterfaces/1/OwnerId", json!(OTHER_ACCOUNT))
        .judge();
    assert_eq!(
        other_account.fixes.iter().map(|fix| fix.kind).collect::<Vec<_>>(),
        ["outside-vpc"]
    );
}

#[test]
fn each_denial_of_a_cache_has_its_kind_of_fix() {
    for (example, kind) in [
        (
            one_vpc().named("vpc-a").fact("region", json!("eu-west-1")),
            "region",
        ),
        (
            one_vpc()
                .named("vpc-a")
                .with("ReplicationGroups/0/Status", json!("creating")),
            "wait",
        ),
        (one_vpc().named("vpc-a").fact("port", json!(6380)), "port"),
        (
            one_vpc()
                .named("vpc-a")
                .without("ReplicationGroups")
                .with("CacheClusters/0/CacheClusterId", json!("shop"))
                .with("CacheClusters/0/Engine", json!("memcached")),
            "endpoint",
        ),
        (
            one_vpc().named("vpc-b").without("NetworkInterfaces"),
            "outside-vpc",
        ),
    ] {
        assert_eq!(example.judge().fixes.first().map(|fix| fix.kind), Some(kind));
    }
}
