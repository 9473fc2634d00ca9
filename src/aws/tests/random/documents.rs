//! Converts a model of a network to documents in the format of `aws`.

use serde_json::{Value, json};

use super::network::{EPHEMERAL, End, Entry, Network, PORT, Peer, Route, Rule, Target};

impl Network {
    pub(super) fn documents(&self) -> Vec<Value> {
        let interface = |id: &str, end: &End| {
            json!({"NetworkInterfaceId": id, "VpcId": end.vpc, "SubnetId": end.subnet, "OwnerId": "123456789012",
                "PrivateIpAddress": end.address, "Groups": end.groups.iter().map(|id| json!({"GroupId": id})).collect::<Vec<_>>()})
        };
        let permissions = |rules: &[(&str, Rule)], group: &str| -> Vec<Value> {
            rules
                .iter()
                .filter(|(of, _)| *of == group)
                .map(|(_, rule)| permission(rule))
                .collect()
        };
        let group = |id: &str| {
            json!({"GroupId": id, "GroupName": id, "IpPermissions": permissions(&self.ingress, id),
                "IpPermissionsEgress": permissions(&self.egress, id)})
        };
        let mut acls = vec![acl("acl-a", self.near.subnet, &self.near_acl)];
        let mut tables = vec![table("rtb-a", "vpc-a", self.near.subnet, &self.near_routes)];
        let mut subnets = vec![subnet("subnet-a", "vpc-a", "10.0.1.0/24")];
        if self.near.subnet != self.far.subnet {
            acls.push(acl("acl-b", self.far.subnet, &self.far_acl));
            tables.push(table("rtb-b", self.far.vpc, self.far.subnet, &self.far_routes));
            let range = if self.far.vpc == "vpc-a" {
                "10.0.3.0/24"
            } else {
                "10.1.3.0/24"
            };
            subnets.push(subnet("subnet-b", self.far.vpc, range));
        }
        let peerings: Vec<_> = self.peering.iter().map(|state| peering("pcx-1", state)).collect();
        let entries: Vec<_> = self
            .prefix_list
            .iter()
            .map(|(base, length)| json!({"Cidr": format!("{base}/{length}")}))
            .collect();
        vec![
            json!({"region": "eu-central-1", "port": PORT, "address": self.far.address, "from": self.near.address,
                "ephemeral": [EPHEMERAL.0, EPHEMERAL.1], "source": {"interface": "eni-a", "addresses": [self.near.address],
                "vpc": "vpc-a", "subnet": "subnet-a", "groups": self.near.groups, "owner": "123456789012",
                "vpc_cidrs": ["10.0.0.0/16"]}}),
            json!({"NetworkInterfaces": [interface("eni-a", &self.near), interface("eni-b", &self.far)]}),
            json!({"SecurityGroups": [group("sg-a"), group("sg-b"), group("sg-c")]}),
            json!({"NetworkAcls": acls}),
            json!({"RouteTables": tables}),
            json!({"Subnets": subnets}),
            json!({"VpcPeeringConnections": peerings}),
            json!({"TransitGatewayVpcAttachments": []}),
            json!({"PrefixListEntries": [{"PrefixListId": "pl-a", "Entries": entries}]}),
        ]
    }
}

pub(super) fn subnet(id: &str, vpc: &str, range: &str) -> Value {
    json!({"SubnetId": id, "VpcId": vpc, "CidrBlock": range, "OwnerId": "123456789012", "AvailabilityZone": "eu-central-1a"})
}

pub(super) fn peering(id: &str, state: &str) -> Value {
    let end = |vpc: &str, range: &str| json!({"VpcId": vpc, "CidrBlock": range, "OwnerId": "123456789012", "Region": "eu-central-1"});
    json!({"VpcPeeringConnectionId": id, "Status": {"Code": state}, "AccepterVpcInfo": end("vpc-b", "10.1.0.0/16"),
        "RequesterVpcInfo": end("vpc-a", "10.0.0.0/16")})
}

pub(super) fn permission(rule: &Rule) -> Value {
    let mut permission = json!({"IpProtocol": rule.protocol, "IpRanges": [], "Ipv6Ranges": [], "UserIdGroupPairs": [], "PrefixListIds": []});
    if rule.protocol != "-1" {
        permission["FromPort"] = rule.ports.0.into();
        permission["ToPort"] = rule.ports.1.into();
    }
    match rule.peer {
        Peer::Range(base, length) => permission["IpRanges"] = json!([{"CidrIp": format!("{base}/{length}")}]),
        Peer::Group(id) => {
            permission["UserIdGroupPairs"] = json!([{"GroupId": id, "UserId": "123456789012"}]);
        }
        Peer::PrefixList => permission["PrefixListIds"] = json!([{"PrefixListId": "pl-a"}]),
    }
    permission
}

pub(super) fn acl(id: &str, subnet: &str, entries: &[Entry]) -> Value {
    let entries = entries.iter().map(|entry| {
        let mut one = json!({"RuleNumber": entry.number, "Egress": entry.is_egress, "Protocol": entry.protocol,
            "RuleAction": if entry.is_allow { "allow" } else { "deny" },
            "CidrBlock": format!("{}/{}", entry.range.0, entry.range.1)});
        if entry.protocol != "-1" {
            one["PortRange"] = json!({"From": entry.ports.0, "To": entry.ports.1});
        }
        one
    });
    let default = [true, false].map(|egress| {
        json!({"RuleNumber": 32767, "Egress": egress, "Protocol": "-1", "RuleAction": "deny", "CidrBlock": "0.0.0.0/0"})
    });
    json!({"NetworkAclId": id, "Associations": [{"SubnetId": subnet}], "Entries": entries.chain(default).collect::<Vec<_>>()})
}

pub(super) fn table(id: &str, vpc: &str, subnet: &str, routes: &[Route]) -> Value {
    let routes = routes.iter().map(|route| {
        let mut one = json!({"DestinationCidrBlock": format!("{}/{}", route.range.0, route.range.1), "Origin": "CreateRoute",
            "State": if route.is_blackhole { "blackhole" } else { "active" }});
        match route.target {
            Target::Local => one["GatewayId"] = "local".into(),
            Target::Peering(id) => one["VpcPeeringConnectionId"] = id.into(),
            Target::Internet => one["GatewayId"] = "igw-1".into(),
        }
        one
    });
    json!({"RouteTableId": id, "VpcId": vpc, "Associations": [{"SubnetId": subnet, "Main": false}], "Routes": routes.collect::<Vec<_>>()})
}
