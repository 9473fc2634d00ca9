//! Checks that the longest prefix applies, and that routes to the other VPC must use the connection between
//! the VPCs.

use serde_json::json;

use super::check;
use crate::aws::tests::example::{
    Example, in_group, ipv6, one_vpc, peered, peering, range, route, tcp, two_vpcs,
};

fn blackhole(range: &str, member: &str, target: &str) -> serde_json::Value {
    let mut route = route(range, member, target);
    route["State"] = "blackhole".into();
    route
}

/// Removes all routes of a table except the local route.
fn without_last_route(example: Example, table: &'static str) -> Example {
    let local = if table.contains('0') {
        "10.0.0.0/16"
    } else {
        "10.1.0.0/16"
    };
    example.with(table, json!([route(local, "GatewayId", "local")]))
}

const THERE: &str = "RouteTables/0/Routes";
const BACK: &str = "RouteTables/1/Routes";

#[test]
fn routes_within_a_vpc() {
    let by_range = || one_vpc().ingress(&[tcp(6379, range("10.0.1.0/24"))]);
    let propagated = json!({"DestinationCidrBlock": "10.0.3.0/24", "GatewayId": "vgw-1", "State": "active", "Origin": "EnableVgwRoutePropagation"});
    check(&[
        ("the local route", one_vpc(), "allowed"),
        (
            "a default route to the internet",
            one_vpc().route_there("0.0.0.0/0", "GatewayId", "igw-1"),
            "allowed",
        ),
        (
            "an appliance for the cache's subnet",
            by_range().route_there("10.0.3.0/24", "NetworkInterfaceId", "eni-9"),
            "unknown ? route.there",
        ),
        (
            "an appliance for both subnets",
            by_range()
                .route_there("10.0.3.0/24", "NetworkInterfaceId", "eni-9")
                .route_there("10.0.1.0/24", "NetworkInterfaceId", "eni-9"),
            "unknown ? route.there route.back",
        ),
        // A rule cannot name a group whose packets arrive through an appliance.
        (
            "an appliance, and a rule by group",
            one_vpc().route_there("10.0.3.0/24", "NetworkInterfaceId", "eni-9"),
            "denied sg.ingress ? route.there",
        ),
        (
            "an appliance that does not exist any more",
            by_range().adding(THERE, blackhole("10.0.3.0/24", "NetworkInterfaceId", "eni-9")),
            "denied route.there",
        ),
        (
            "a firewall endpoint",
            by_range().route_there("10.0.3.0/24", "GatewayId", "vpce-1"),
            "unknown ? route.there",
        ),
        (
            "a private NAT gateway",
            by_range().route_there("10.0.3.0/24", "NatGatewayId", "nat-1"),
            "unknown ? route.there",
        ),
        (
            "a more specific peering",
            by_range().route_there("10.0.3.16/28", "VpcPeeringConnectionId", "pcx-9"),
            "denied route.there",
        ),
        // The local route takes precedence over propagated routes, even over more specific ones.
        (
            "a more specific propagated route",
            one_vpc().adding(THERE, propagated),
            "allowed",
        ),
        (
            "the routes are not among the documents",
            by_range().without("RouteTables"),
            "unknown ? route.there route.back",
        ),
        ("IPv6 has its own local route", ipv6(), "allowed"),
        (
            "IPv6, and the instance's metadata names only the IPv4 range",
            ipv6().source("vpc_cidrs", json!(["10.0.0.0/16"])),
            "allowed",
        ),
    ]);
}

#[test]
fn routes_between_vpcs() {
    check(&[
        ("both directions", peered(), "allowed"),
        (
            "no route there",
            without_last_route(peered(), THERE),
            "denied route.there",
        ),
        (
            "no route back",
            without_last_route(peered(), BACK),
            "denied route.back",
        ),
        (
            "no routes",
            without_last_route(without_last_route(peered(), THERE), BACK),
            "denied route.there route.back",
        ),
        (
            "a blackhole",
            without_last_route(peered(), THERE)
                .adding(THERE, blackhole("10.1.0.0/16", "VpcPeeringConnectionId", "pcx-0")),
            "denied route.there",
        ),
        (
            "a more specific blackhole",
            peered().adding(THERE, blackhole("10.1.3.0/24", "NetworkInterfaceId", "eni-9")),
            "denied route.there",
        ),
        (
            "a less specific blackhole",
            peered().adding(THERE, blackhole("10.0.0.0/8", "NetworkInterfaceId", "eni-9")),
            "allowed",
        ),
        // Peering connections are not transitive.
        (
            "through the peering with a third VPC",
            without_last_route(peered(), THERE)
                .route_there("10.1.0.0/16", "VpcPeeringConnectionId", "pcx-ac")
                .adding(
                    "VpcPeeringConnections",
                    peering("pcx-ac", "vpc-a", "vpc-c", "active"),
                ),
            "denied route.there",
        ),
        (
            "a more specific route through another peering",
            peered().route_there("10.1.3.0/24", "VpcPeeringConnectionId", "pcx-ac"),
            "denied route.there",
        ),
        (
            "the default route to the internet",
            without_last_route(peered(), THERE).route_there("0.0.0.0/0", "GatewayId", "igw-1"),
            "denied route.there",
        ),
        (
            "the default route to a NAT gateway",
            without_last_route(peered(), THERE).route_there("0.0.0.0/0", "NatGatewayId", "nat-1"),
            "denied route.there",
        ),
        (
            "a VPN for the range",
            peered().route_there("10.1.3.0/24", "GatewayId", "vgw-1"),
            "unknown ? route.there",
        ),
        (
            "a core network for the range",
            peered().route_there(
                "10.1.3.0/24",
                "CoreNetworkArn",
                "arn:aws:networkmanager::1:core-network/core-network-1",
            ),
            "unknown ? route.there",
        ),
        (
            "a kind of target that is not known",
            peered().route_there("10.1.3.0/24", "NewTargetId", "new-1"),
            "unknown ? route.there",
        ),
        (
            "a route without its state",
            without_last_route(peered(), THERE).adding(
                THERE,
                json!({"DestinationCidrBlock": "10.1.0.0/16", "VpcPeeringConnectionId": "pcx-ab"}),
            ),
            "unknown ? route.there",
        ),
        (
            "a static route, and an equal propagated one",
            peered().adding(
                THERE,
                json!({"DestinationCidrBlock": "10.1.0.0/16",
            "GatewayId": "vgw-1", "State": "active", "Origin": "EnableVgwRoutePropagation"}),
            ),
            "allowed",
        ),
    ]);
}

#[test]
fn which_table_applies() {
    let own_table = |routes: serde_json::Value| {
        peered().adding(
            "RouteTables",
            json!({"RouteTableId": "rtb-own", "VpcId": "vpc-a",
            "Associations": [{"SubnetId": "subnet-a", "Main": false}], "Routes": routes}),
        )
    };
    let local = || route("10.0.0.0/16", "GatewayId", "local");
    check(&[
        (
            "the subnet's own table, without the route",
            own_table(json!([local()])),
            "denied route.there",
        ),
        (
            "the subnet's own table, with the route",
            own_table(json!([
                local(),
                route("10.1.0.0/16", "VpcPeeringConnectionId", "pcx-ab")
            ])),
            "allowed",
        ),
        (
            "the table of another subnet",
            own_table(json!([local()])).with("RouteTables/2/Associations", json!([{"SubnetId": "subnet-z"}])),
            "allowed",
        ),
        (
            "the main table, and an answer that was cut off",
            peered().with("RouteTables/0/Associations", json!([])),
            "unknown ? route.there",
        ),
    ]);
}

#[test]
fn prefix_lists_in_routes() {
    let listed = |entries: serde_json::Value| {
        without_last_route(peered(), THERE)
            .adding(THERE, json!({"DestinationPrefixListId": "pl-1", "VpcPeeringConnectionId": "pcx-ab", "State": "active"}))
            .with("PrefixListEntries", json!([{"PrefixListId": "pl-1", "Entries": entries}]))
    };
    check(&[
        (
            "an entry contains the address",
            listed(json!([{"Cidr": "10.1.0.0/16"}])),
            "allowed",
        ),
        (
            "no entry contains the address",
            listed(json!([{"Cidr": "10.2.0.0/16"}])),
            "denied route.there",
        ),
        (
            "the entries are unknown",
            listed(json!([])).without("PrefixListEntries"),
            "unknown ? route.there",
        ),
        // A route to a range takes precedence over a route to a prefix list.
        (
            "an equal route to a range",
            listed(json!([{"Cidr": "10.1.0.0/16"}]))
                .adding(THERE, blackhole("10.1.0.0/16", "NetworkInterfaceId", "eni-9")),
            "denied route.there",
        ),
        (
            "the prefix list of S3",
            peered().adding(
                THERE,
                json!({"DestinationPrefixListId": "pl-s3", "GatewayId": "vpce-1", "State": "active"}),
            ),
            "allowed",
        ),
    ]);
}

#[test]
fn what_may_connect_two_vpcs() {
    check(&[
        ("nothing", two_vpcs(), "denied vpc.different"),
        (
            "nothing, and a rule by group",
            two_vpcs().ingress(&[tcp(6379, in_group("sg-app"))]),
            "denied vpc.different sg.ingress",
        ),
        (
            "a VPN that leads to the range",
            two_vpcs().route_there("10.1.0.0/16", "GatewayId", "vgw-1"),
            "unknown ? vpc.different",
        ),
        (
            "a VPN that leads to another range",
            two_vpcs().route_there("10.9.0.0/16", "GatewayId", "vgw-1"),
            "denied vpc.different",
        ),
        (
            "a VPN that does not exist any more",
            two_vpcs().adding(THERE, blackhole("10.1.0.0/16", "GatewayId", "vgw-1")),
            "denied vpc.different",
        ),
        (
            "an appliance",
            two_vpcs().route_there("10.1.0.0/16", "NetworkInterfaceId", "eni-9"),
            "unknown ? vpc.different",
        ),
        (
            "a transit gateway without a visible attachment",
            two_vpcs().route_there("10.0.0.0/8", "TransitGatewayId", "tgw-1"),
            "unknown ? vpc.different",
        ),
        (
            "the internet",
            two_vpcs().route_there("0.0.0.0/0", "GatewayId", "igw-1"),
            "denied vpc.different",
        ),
        (
            "the peerings are not among the documents",
            two_vpcs().without("VpcPeeringConnections"),
            "unknown ? vpc.different",
        ),
        (
            "the attachments are not among the documents",
            two_vpcs().without("TransitGatewayVpcAttachments"),
            "unknown ? vpc.different",
        ),
    ]);
}
