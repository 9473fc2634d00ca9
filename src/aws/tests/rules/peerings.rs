//! Checks peering connections and transit gateways, and rules that name a group in the other VPC.

use serde_json::{Value, json};

use super::check;
use crate::aws::tests::example::{
    Example, OTHER_ACCOUNT, gateway_route, in_group, one_vpc, peered, peering, range, tcp, through_gateway,
    two_vpcs,
};

fn by_group(example: Example) -> Example {
    example.ingress(&[tcp(6379, in_group("sg-app"))])
}

#[test]
fn states_of_a_peering() {
    let with_state = |state: &str| {
        two_vpcs().with(
            "VpcPeeringConnections",
            json!([peering("pcx-ab", "vpc-a", "vpc-b", state)]),
        )
    };
    let mut waiting = peered().with(
        "VpcPeeringConnections",
        json!([peering("pcx-ab", "vpc-a", "vpc-b", "pending-acceptance")]),
    );
    for path in ["RouteTables/0/Routes/1/State", "RouteTables/1/Routes/1/State"] {
        waiting = waiting.with(path, json!("blackhole"));
    }
    check(&[
        (
            "pending",
            with_state("pending-acceptance"),
            "denied vpc.peering route.there route.back",
        ),
        ("pending, with routes", waiting, "denied vpc.peering"),
        ("deleted", with_state("deleted"), "denied vpc.different"),
        ("rejected", with_state("rejected"), "denied vpc.different"),
        ("expired", with_state("expired"), "denied vpc.different"),
        ("failed", with_state("failed"), "denied vpc.different"),
        (
            "being set up",
            with_state("provisioning"),
            "unknown ? vpc.different",
        ),
        (
            "a state that is not known",
            with_state("paused"),
            "unknown ? vpc.different",
        ),
        (
            "an old one was deleted, a new one is active",
            peered().with(
                "VpcPeeringConnections",
                json!([
                    peering("pcx-0", "vpc-a", "vpc-b", "deleted"),
                    peering("pcx-ab", "vpc-b", "vpc-a", "active")
                ]),
            ),
            "allowed",
        ),
        (
            "active, and requested by the other VPC",
            peered().with(
                "VpcPeeringConnections",
                json!([peering("pcx-ab", "vpc-b", "vpc-a", "active")]),
            ),
            "allowed",
        ),
        (
            "only with third VPCs",
            two_vpcs().with(
                "VpcPeeringConnections",
                json!([
                    peering("pcx-ac", "vpc-a", "vpc-c", "active"),
                    peering("pcx-cb", "vpc-c", "vpc-b", "active")
                ]),
            ),
            "denied vpc.different",
        ),
    ]);
}

#[test]
fn references_across_a_peering() {
    let region =
        |region: Value| by_group(peered()).with("VpcPeeringConnections/0/AccepterVpcInfo/Region", region);
    let pair = |more: Value| {
        let mut pair = json!({"GroupId": "sg-app", "VpcId": "vpc-a", "VpcPeeringConnectionId": "pcx-ab"});
        pair.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        peered().ingress(&[tcp(6379, ("UserIdGroupPairs", json!([pair])))])
    };
    let other_account = by_group(peered())
        .with(
            "VpcPeeringConnections/0/AccepterVpcInfo/OwnerId",
            json!(OTHER_ACCOUNT),
        )
        .with("NetworkInterfaces/1/OwnerId", json!(OTHER_ACCOUNT));
    check(&[
        ("in one region", by_group(peered()), "allowed"),
        ("between accounts", other_account, "allowed"),
        ("between regions", region(json!("eu-west-1")), "denied sg.ingress"),
        (
            "the regions are not shown",
            region(json!(null)),
            "unknown ? sg.ingress",
        ),
        (
            "for outgoing traffic",
            peered().egress(&[tcp(6379, in_group("sg-cache"))]),
            "allowed",
        ),
        (
            "the status is active",
            pair(json!({"PeeringStatus": "active", "UserId": OTHER_ACCOUNT})),
            "allowed",
        ),
        (
            "the peering of the reference was deleted",
            pair(json!({"PeeringStatus": "deleted"})),
            "denied sg.ingress",
        ),
        (
            "no peering, and references in both directions",
            by_group(two_vpcs()).egress(&[tcp(6379, in_group("sg-cache"))]),
            "denied vpc.different sg.egress sg.ingress",
        ),
        (
            "through a VPN",
            by_group(peered()).route_there("10.1.3.0/24", "GatewayId", "vgw-1"),
            "denied sg.ingress ? route.there",
        ),
        // The document is cut off, and the missing part may contain a connection to the cache's VPC.
        (
            "through an unknown peering",
            by_group(through_gateway())
                .route_there("10.1.3.0/24", "VpcPeeringConnectionId", "pcx-ab")
                .without("VpcPeeringConnections"),
            "unknown ? route.there sg.ingress",
        ),
    ]);
}

#[test]
fn transit_gateways() {
    let in_zone = |zone: &str| through_gateway().with("Subnets/0/AvailabilityZone", json!(zone));
    let routes = |routes: Value| through_gateway().with("TransitGatewayRoutes/0/Routes", routes);
    let mut dead = gateway_route("10.1.0.0/16", "tgw-attach-b");
    dead["State"] = "blackhole".into();
    let near = || gateway_route("10.0.0.0/16", "tgw-attach-a");
    // The attachment's subnet and the instance's subnet are in different Availability Zones.
    let other_zone = in_zone("eu-central-1c").with("TransitGatewayVpcAttachments/0/SubnetIds", json!(["subnet-c"])).adding("Subnets",
        json!({"SubnetId": "subnet-c", "VpcId": "vpc-a", "CidrBlock": "10.0.9.0/24", "AvailabilityZone": "eu-central-1a"}));
    check(&[
        ("everything is known", through_gateway(), "allowed"),
        (
            "the attachment has no subnet in the zone",
            other_zone,
            "denied route.there",
        ),
        (
            "the gateway has no route to the cache's VPC",
            routes(json!([near()])),
            "denied route.there",
        ),
        (
            "the gateway has no route to the instance's VPC",
            routes(json!([gateway_route("10.1.0.0/16", "tgw-attach-b")])),
            "denied route.back",
        ),
        (
            "the gateway's route is a blackhole",
            routes(json!([near(), dead])),
            "denied route.there",
        ),
        (
            "the gateway's route leads to a third VPC",
            routes(json!([near(), gateway_route("10.1.0.0/16", "tgw-attach-c")])),
            "denied route.there",
        ),
        (
            "a more specific route leads to a third VPC",
            routes(json!([
                near(),
                gateway_route("10.1.0.0/16", "tgw-attach-b"),
                gateway_route("10.1.3.0/24", "tgw-attach-c")
            ])),
            "denied route.there",
        ),
        (
            "the gateway's routes are unknown",
            through_gateway().without("TransitGatewayRoutes"),
            "unknown ? route.there route.back",
        ),
        (
            "the table of the attachment is unknown",
            through_gateway().without("TransitGatewayAttachments"),
            "unknown ? route.there route.back",
        ),
        (
            "the attachment uses another table",
            through_gateway().with(
                "TransitGatewayAttachments/0/Association",
                json!({"TransitGatewayRouteTableId": "tgw-rtb-2", "State": "associated"}),
            ),
            "unknown ? route.there",
        ),
        (
            "no route back in the VPC",
            through_gateway().with(
                "RouteTables/1/Routes",
                json!([
            {"DestinationCidrBlock": "10.1.0.0/16", "GatewayId": "local", "State": "active"}]),
            ),
            "denied route.back",
        ),
        (
            "the attachment waits to be accepted",
            through_gateway().with("TransitGatewayVpcAttachments/1/State", json!("pendingAcceptance")),
            "unknown ? vpc.different",
        ),
    ]);
}

#[test]
fn references_across_a_transit_gateway() {
    let setting =
        |path| by_group(through_gateway()).with(path, json!({"SecurityGroupReferencingSupport": "disable"}));
    check(&[
        ("enabled everywhere", by_group(through_gateway()), "allowed"),
        (
            "disabled for the gateway",
            setting("TransitGateways/0/Options"),
            "denied sg.ingress",
        ),
        (
            "disabled for one attachment",
            setting("TransitGatewayVpcAttachments/1/Options"),
            "denied sg.ingress",
        ),
        (
            "the gateway is not among the documents",
            by_group(through_gateway()).without("TransitGateways"),
            "unknown ? sg.ingress",
        ),
        (
            "never for outgoing traffic",
            through_gateway().egress(&[tcp(6379, in_group("sg-cache"))]),
            "denied sg.egress",
        ),
    ]);
}

#[test]
fn which_vpc_has_the_address() {
    let elsewhere = |vpc: &str| json!({"NetworkInterfaceId": "eni-z", "VpcId": vpc, "SubnetId": "subnet-z", "PrivateIpAddress": "10.1.3.17", "Groups": [{"GroupId": "sg-z"}]});
    let overlapping = one_vpc().with("NetworkInterfaces/1/VpcId", json!("vpc-b"));
    check(&[
        ("two VPCs, and one is connected", peered().adding("NetworkInterfaces", elsewhere("vpc-z")), "allowed"),
        ("two VPCs, and neither is connected", two_vpcs().adding("NetworkInterfaces", elsewhere("vpc-z")), "unknown ? vpc sg.ingress acl.in acl.back-out"),
        ("two VPCs, and ElastiCache names one", two_vpcs().adding("NetworkInterfaces", elsewhere("vpc-z")).named("vpc-b"), "denied vpc.different"),
        ("only another VPC, with overlapping ranges", overlapping.clone(), "denied vpc.overlap ? sg.ingress acl.in acl.back-out"),
        ("a third VPC has the address, too, but the own VPC counts", one_vpc().adding("NetworkInterfaces", json!({
            "NetworkInterfaceId": "eni-z", "VpcId": "vpc-z", "SubnetId": "subnet-z", "PrivateIpAddress": "10.0.3.17", "Groups": [{"GroupId": "sg-z"}]})), "allowed"),
        ("a secondary address", one_vpc().with("NetworkInterfaces/1/PrivateIpAddress", json!("10.0.3.16")), "allowed"),
        // In a shared VPC, an account cannot see the interfaces of other accounts.
        ("no interface in a shared VPC", one_vpc().with("NetworkInterfaces", json!([])).with("Subnets/0/OwnerId", json!(OTHER_ACCOUNT)), "unknown ? sg.ingress"),
        ("overlapping ranges in a shared VPC", overlapping.with("Subnets/0/OwnerId", json!(OTHER_ACCOUNT)), "unknown ? sg.ingress"),
        ("an address that no document contains", one_vpc().fact("address", json!("10.7.0.1")), "unknown ? vpc sg.ingress acl.in acl.back-out"),
        ("rules by range do not need the peer's groups", peered().ingress(&[tcp(6379, range("10.0.1.10/32"))]), "allowed"),
    ]);
}
