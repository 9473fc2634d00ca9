//! An example network for tests: an instance, a cache, and a working connection between them. Tests change
//! parts of this network.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::captured::judged;
use crate::aws::{Assessment, Code, Outcome};

const ACCOUNT: &str = "123456789012";
pub(super) const OTHER_ACCOUNT: &str = "210987654321";

/// The facts, and the documents by their top-level member.
#[derive(Clone)]
pub(super) struct Example {
    facts: Value,
    documents: BTreeMap<&'static str, Value>,
}

/// Returns a working network. The instance (10.0.1.10, `sg-app`) and the cache (10.0.3.17, `sg-cache`) are in
/// two subnets of one VPC.
pub(super) fn one_vpc() -> Example {
    example("vpc-a", "10.0.3.0/24", "10.0.3.17")
}

/// Returns two VPCs that are not connected. The cache (10.1.3.17) is in the second VPC, and its group allows
/// the instance.
pub(super) fn two_vpcs() -> Example {
    let mut example = example("vpc-b", "10.1.3.0/24", "10.1.3.17");
    example.push(
        "RouteTables",
        table("rtb-b", "vpc-b", &[("10.1.0.0/16", "GatewayId", "local")]),
    );
    example.ingress(&[tcp(6379, range("10.0.1.0/24"))])
}

/// Returns two VPCs with an active peering connection and routes in both directions.
pub(super) fn peered() -> Example {
    two_vpcs()
        .with(
            "VpcPeeringConnections",
            json!([peering("pcx-ab", "vpc-a", "vpc-b", "active")]),
        )
        .route_there("10.1.0.0/16", "VpcPeeringConnectionId", "pcx-ab")
        .route_back("10.0.0.0/16", "VpcPeeringConnectionId", "pcx-ab")
}

/// Returns two VPCs that are connected by a transit gateway. The gateway's route table is known.
pub(super) fn through_gateway() -> Example {
    let attachment = |id: &str, vpc: &str, subnet: &str| {
        json!({"TransitGatewayAttachmentId": id, "TransitGatewayId": "tgw-1", "VpcId": vpc, "VpcOwnerId": ACCOUNT,
            "State": "available", "SubnetIds": [subnet], "Options": {"SecurityGroupReferencingSupport": "enable"}})
    };
    let used = |id: &str| {
        json!({"TransitGatewayAttachmentId": id, "TransitGatewayId": "tgw-1", "ResourceType": "vpc",
            "Association": {"TransitGatewayRouteTableId": "tgw-rtb-1", "State": "associated"}})
    };
    two_vpcs()
        .with(
            "TransitGatewayVpcAttachments",
            json!([
                attachment("tgw-attach-a", "vpc-a", "subnet-a"),
                attachment("tgw-attach-b", "vpc-b", "subnet-b")
            ]),
        )
        .with(
            "TransitGatewayAttachments",
            json!([used("tgw-attach-a"), used("tgw-attach-b")]),
        )
        .with(
            "TransitGateways",
            json!([{"TransitGatewayId": "tgw-1", "Options": {"SecurityGroupReferencingSupport": "enable"}}]),
        )
        .with(
            "TransitGatewayRoutes",
            json!([{"TransitGatewayRouteTableId": "tgw-rtb-1", "Routes": [
            gateway_route("10.0.0.0/16", "tgw-attach-a"), gateway_route("10.1.0.0/16", "tgw-attach-b")]}]),
        )
        .route_there("10.1.0.0/16", "TransitGatewayId", "tgw-1")
        .route_back("10.0.0.0/16", "TransitGatewayId", "tgw-1")
}

pub(super) fn gateway_route(range: &str, attachment: &str) -> Value {
    json!({"DestinationCidrBlock": range, "State": "active", "Type": "propagated",
        "TransitGatewayAttachments": [{"TransitGatewayAttachmentId": attachment, "ResourceType": "vpc"}]})
}

/// Returns one VPC in which both ends have IPv6 addresses. The cache's group allows the subnet of the
/// instance.
pub(super) fn ipv6() -> Example {
    let mut example = one_vpc()
        .fact("address", json!("2001:db8:0:3::17"))
        .fact("from", json!("2001:db8:0:1::10"));
    example.facts["source"]["addresses"] = json!(["10.0.1.10", "2001:db8:0:1::10"]);
    example
        .with(
            "NetworkInterfaces/0/Ipv6Addresses",
            json!([{"Ipv6Address": "2001:0db8:0000:0001::10"}]),
        )
        .with(
            "NetworkInterfaces/1/Ipv6Addresses",
            json!([{"Ipv6Address": "2001:0db8:0:3:0::17"}]),
        )
        .with(
            "Subnets/0/Ipv6CidrBlockAssociationSet",
            json!([{"Ipv6CidrBlock": "2001:db8:0:1::/64"}]),
        )
        .with(
            "Subnets/1/Ipv6CidrBlockAssociationSet",
            json!([{"Ipv6CidrBlock": "2001:db8:0:3::/64"}]),
        )
        .adding(
            "RouteTables/0/Routes",
            json!({"DestinationIpv6CidrBlock": "2001:db8::/56", "GatewayId": "local", "State": "active"}),
        )
        .adding("NetworkAcls/0/Entries", entry6(110, "out", "allow"))
        .adding("NetworkAcls/0/Entries", entry6(110, "in", "allow"))
        .adding("NetworkAcls/1/Entries", entry6(110, "out", "allow"))
        .adding("NetworkAcls/1/Entries", entry6(110, "in", "allow"))
        .egress(&[all_protocols(range6("::/0"))])
        .ingress(&[tcp(6379, range6("2001:db8:0:1::/64"))])
}

fn example(far_vpc: &str, far_range: &str, address: &str) -> Example {
    let interface = |id: &str, vpc: &str, subnet: &str, address: &str, group: &str| {
        json!({"NetworkInterfaceId": id, "VpcId": vpc, "SubnetId": subnet, "OwnerId": ACCOUNT, "PrivateIpAddress": address,
            "PrivateIpAddresses": [{"PrivateIpAddress": address}], "Ipv6Addresses": [], "Groups": [{"GroupId": group, "GroupName": group}]})
    };
    let subnet = |id: &str, vpc: &str, range: &str, zone: &str| json!({"SubnetId": id, "VpcId": vpc, "CidrBlock": range, "OwnerId": ACCOUNT, "AvailabilityZone": zone, "Ipv6CidrBlockAssociationSet": []});
    let group = |id: &str, ingress: Value| {
        json!({"GroupId": id, "GroupName": id, "OwnerId": ACCOUNT, "IpPermissions": ingress,
            "IpPermissionsEgress": [all_protocols(range("0.0.0.0/0"))]})
    };
    let documents = [
        (
            "NetworkInterfaces",
            json!([
                interface("eni-a", "vpc-a", "subnet-a", "10.0.1.10", "sg-app"),
                interface("eni-b", far_vpc, "subnet-b", address, "sg-cache")
            ]),
        ),
        (
            "SecurityGroups",
            json!([
                group("sg-app", json!([])),
                group("sg-cache", json!([tcp(6379, in_group("sg-app"))]))
            ]),
        ),
        (
            "NetworkAcls",
            json!([acl("acl-a", "subnet-a"), acl("acl-b", "subnet-b")]),
        ),
        (
            "Subnets",
            json!([
                subnet("subnet-a", "vpc-a", "10.0.1.0/24", "eu-central-1a"),
                subnet("subnet-b", far_vpc, far_range, "eu-central-1b")
            ]),
        ),
        (
            "RouteTables",
            json!([table("rtb-a", "vpc-a", &[("10.0.0.0/16", "GatewayId", "local")])]),
        ),
        ("VpcPeeringConnections", json!([])),
        ("TransitGatewayVpcAttachments", json!([])),
    ];
    Example {
        facts: json!({"region": "eu-central-1", "port": 6379, "address": address, "from": "10.0.1.10", "ephemeral": [32768, 60999],
            "source": {"interface": "eni-a", "addresses": ["10.0.1.10"], "vpc": "vpc-a", "subnet": "subnet-a",
            "groups": ["sg-app"], "owner": ACCOUNT, "vpc_cidrs": ["10.0.0.0/16"]}}),
        documents: documents.into(),
    }
}

fn acl(id: &str, subnet: &str) -> Value {
    json!({"NetworkAclId": id, "Associations": [{"SubnetId": subnet}], "Entries": [
        entry(100, "out", "allow", "-1", None), entry(100, "in", "allow", "-1", None),
        entry(32767, "out", "deny", "-1", None), entry(32767, "in", "deny", "-1", None)]})
}

/// Returns an ACL entry that matches all IPv4 addresses.
pub(super) fn entry(
    number: i64,
    way: &str,
    action: &str,
    protocol: &str,
    ports: Option<(u16, u16)>,
) -> Value {
    let mut entry = json!({"RuleNumber": number, "Egress": way == "out", "RuleAction": action, "Protocol": protocol, "CidrBlock": "0.0.0.0/0"});
    if let Some((from, to)) = ports {
        entry["PortRange"] = json!({"From": from, "To": to});
    }
    entry
}

/// Returns an ACL entry that matches all IPv6 addresses and all protocols.
pub(super) fn entry6(number: i64, way: &str, action: &str) -> Value {
    json!({"RuleNumber": number, "Egress": way == "out", "RuleAction": action, "Protocol": "-1", "Ipv6CidrBlock": "::/0"})
}

fn table(id: &str, vpc: &str, routes: &[(&str, &str, &str)]) -> Value {
    let routes: Vec<_> = routes
        .iter()
        .map(|(range, member, target)| route(range, member, target))
        .collect();
    json!({"RouteTableId": id, "VpcId": vpc, "Associations": [{"Main": true}], "Routes": routes})
}

pub(super) fn route(range: &str, member: &str, target: &str) -> Value {
    json!({"DestinationCidrBlock": range, member: target, "State": "active", "Origin": "CreateRoute"})
}

pub(super) fn peering(id: &str, one: &str, other: &str, state: &str) -> Value {
    let end = |vpc: &str| json!({"VpcId": vpc, "OwnerId": ACCOUNT, "Region": "eu-central-1"});
    json!({"VpcPeeringConnectionId": id, "Status": {"Code": state}, "RequesterVpcInfo": end(one), "AccepterVpcInfo": end(other)})
}

/// The source or destination in a rule, as the name and value of a JSON member.
pub(super) type Peer = (&'static str, Value);

pub(super) fn range(range: &str) -> Peer {
    ("IpRanges", json!([{"CidrIp": range}]))
}

pub(super) fn range6(range: &str) -> Peer {
    ("Ipv6Ranges", json!([{"CidrIpv6": range}]))
}

pub(super) fn in_group(id: &str) -> Peer {
    ("UserIdGroupPairs", json!([{"GroupId": id, "UserId": ACCOUNT}]))
}

pub(super) fn prefix_list(id: &str) -> Peer {
    ("PrefixListIds", json!([{"PrefixListId": id}]))
}

pub(super) fn rule(protocol: &str, ports: Option<(i64, i64)>, (member, list): Peer) -> Value {
    let mut rule = json!({"IpProtocol": protocol, "IpRanges": [], "Ipv6Ranges": [], "UserIdGroupPairs": [], "PrefixListIds": []});
    if let Some((from, to)) = ports {
        rule["FromPort"] = from.into();
        rule["ToPort"] = to.into();
    }
    rule[member] = list;
    rule
}

pub(super) fn tcp(port: i64, peer: Peer) -> Value {
    rule("tcp", Some((port, port)), peer)
}

pub(super) fn all_protocols(peer: Peer) -> Value {
    rule("-1", None, peer)
}

impl Example {
    pub(super) fn fact(mut self, name: &str, value: Value) -> Self {
        self.facts[name] = value;
        self
    }

    pub(super) fn source(mut self, name: &str, value: Value) -> Self {
        self.facts["source"][name] = value;
        self
    }

    /// Replaces the value at a path such as `SecurityGroups/1/IpPermissions`, or a whole document.
    pub(super) fn with(mut self, path: &'static str, value: Value) -> Self {
        match path.split_once('/') {
            None => {
                self.documents.insert(path, value);
            }
            Some((document, rest)) => {
                let (parent, last) = rest.rsplit_once('/').unwrap();
                let parent = format!("/{parent}");
                self.documents
                    .get_mut(document)
                    .unwrap()
                    .pointer_mut(&parent)
                    .unwrap()[last] = value;
            }
        }
        self
    }

    pub(super) fn without(mut self, document: &str) -> Self {
        self.documents.remove(document).unwrap();
        self
    }

    pub(super) fn has(&self, document: &str) -> bool {
        self.documents.contains_key(document)
    }

    fn push(&mut self, path: &str, value: Value) {
        let (document, rest) = path
            .split_once('/')
            .map_or((path, String::new()), |(document, rest)| {
                (document, format!("/{rest}"))
            });
        let list = self
            .documents
            .get_mut(document)
            .unwrap()
            .pointer_mut(&rest)
            .unwrap();
        list.as_array_mut().unwrap().push(value);
    }

    /// Appends an element to the list at a path.
    pub(super) fn adding(mut self, path: &str, value: Value) -> Self {
        self.push(path, value);
        self
    }

    /// Replaces the incoming rules of the cache's security group.
    pub(super) fn ingress(self, rules: &[Value]) -> Self {
        self.with("SecurityGroups/1/IpPermissions", json!(rules))
    }

    /// Replaces the outgoing rules of the instance's security group.
    pub(super) fn egress(self, rules: &[Value]) -> Self {
        self.with("SecurityGroups/0/IpPermissionsEgress", json!(rules))
    }

    pub(super) fn route_there(self, range: &str, member: &str, target: &str) -> Self {
        self.adding("RouteTables/0/Routes", route(range, member, target))
    }

    pub(super) fn route_back(self, range: &str, member: &str, target: &str) -> Self {
        self.adding("RouteTables/1/Routes", route(range, member, target))
    }

    /// Replaces the ACL entries of the instance's subnet.
    pub(super) fn near_acl(self, entries: &[Value]) -> Self {
        self.with("NetworkAcls/0/Entries", json!(entries))
    }

    /// Replaces the ACL entries of the cache's subnet.
    pub(super) fn far_acl(self, entries: &[Value]) -> Self {
        self.with("NetworkAcls/1/Entries", json!(entries))
    }

    /// Adds documents that describe the cache as the primary of the replication group `shop` in this VPC.
    pub(super) fn named(self, vpc: &str) -> Self {
        let endpoint = |host: &str| json!({"Address": host, "Port": 6379});
        self.fact("endpoint", json!("master.shop.x1y2z3.euc1.cache.amazonaws.com"))
            .with("ReplicationGroups", json!([{"ReplicationGroupId": "shop", "Status": "available", "Engine": "valkey",
                "MemberClusters": ["shop-001"], "TransitEncryptionEnabled": true, "ClusterEnabled": false, "NodeGroups": [{
                "PrimaryEndpoint": endpoint("master.shop.x1y2z3.euc1.cache.amazonaws.com"),
                "ReaderEndpoint": endpoint("replica.shop.x1y2z3.euc1.cache.amazonaws.com"), "NodeGroupMembers": []}]}]))
            .with("CacheClusters", json!([{"CacheClusterId": "shop-001", "CacheClusterStatus": "available", "Engine": "valkey",
                "ReplicationGroupId": "shop", "CacheSubnetGroupName": "shop", "SecurityGroups": [{"SecurityGroupId": "sg-cache"}]}]))
            .with("CacheSubnetGroups", json!([{"CacheSubnetGroupName": "shop", "VpcId": vpc, "Subnets": [{"SubnetIdentifier": "subnet-b"}]}]))
    }

    /// Adds documents that describe the cache as the serverless cache `shop`.
    pub(super) fn serverless(self, host: &str) -> Self {
        self.fact("endpoint", json!(host)).with(
            "ServerlessCaches",
            json!([{"ServerlessCacheName": "shop", "Status": "available",
            "Engine": "valkey", "SecurityGroupIds": ["sg-cache"], "SubnetIds": ["subnet-b"],
            "Endpoint": {"Address": host, "Port": 6379}, "ReaderEndpoint": {"Address": host, "Port": 6380}}]),
        )
    }

    /// Returns the facts and documents as JSON.
    pub(super) fn documents(&self) -> Vec<Value> {
        let documents = self.documents.iter().map(|(member, list)| json!({*member: list}));
        std::iter::once(self.facts.clone()).chain(documents).collect()
    }

    pub(super) fn judge(&self) -> Assessment {
        judged(self.documents().iter().map(Value::to_string))
    }
}

/// Returns the result as one line, such as `denied sg.ingress acl.in ? route.there`. The codes after the
/// question mark belong to checks with an unknown outcome.
pub(super) fn result(assessment: &Assessment) -> String {
    let codes = |outcomes: &[Outcome]| -> String {
        let checks = assessment
            .checks
            .iter()
            .filter(|check| outcomes.contains(&check.outcome));
        checks.map(|check| format!(" {}", check.code.name())).collect()
    };
    let first = assessment.first.map(Code::name).unwrap_or_default();
    let (denied, unknown) = (
        codes(&[Outcome::Denied, Outcome::Partly]),
        codes(&[Outcome::Unknown]),
    );
    let all = format!("{denied}{unknown}");
    assert!(
        all.split_whitespace().any(|code| code == first) || first.is_empty(),
        "{first}: {all}"
    );
    let mark = if unknown.is_empty() { "" } else { " ?" };
    format!("{}{denied}{mark}{unknown}", assessment.outcome.name())
}
