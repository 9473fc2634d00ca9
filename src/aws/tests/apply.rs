//! Applies fixes to documents, as AWS would.

use serde_json::{Value, json};

struct Command(Vec<String>);

impl Command {
    fn value(&self, option: &str) -> Option<&str> {
        let at = self.0.iter().position(|word| word == option)?;
        self.0.get(at + 1).map(String::as_str)
    }

    fn has(&self, word: &str) -> bool {
        self.0.iter().any(|other| other == word)
    }
}

/// Applies a command to the documents. Ignores text that is not a command, such as a description of undo
/// steps.
pub(super) fn apply(line: &str, documents: &mut [Value]) {
    let line = line.strip_prefix("P=$(").unwrap_or(line);
    for command in line.split(" && ") {
        let command = command.split("   #").next().unwrap().trim_end_matches(')');
        let command = Command(shell_words::split(&command.replace("$P", "pcx-new")).unwrap());
        match command.0.get(2).map(String::as_str).unwrap_or_default() {
            "authorize-security-group-ingress" => change_group(&command, "IpPermissions", true, documents),
            "authorize-security-group-egress" => {
                change_group(&command, "IpPermissionsEgress", true, documents);
            }
            "revoke-security-group-ingress" => change_group(&command, "IpPermissions", false, documents),
            "revoke-security-group-egress" => {
                change_group(&command, "IpPermissionsEgress", false, documents);
            }
            "create-network-acl-entry" => change_acl(&command, true, documents),
            "delete-network-acl-entry" => change_acl(&command, false, documents),
            "create-route" | "replace-route" | "delete-route" => change_route(&command, documents),
            "create-vpc-peering-connection" => add_peering(&command, documents),
            "accept-vpc-peering-connection" => accept_peering(&command, documents),
            "delete-vpc-peering-connection" => items(documents, "VpcPeeringConnections").clear(),
            _ => {}
        }
    }
}

fn items<'a>(documents: &'a mut [Value], member: &str) -> &'a mut Vec<Value> {
    let mut lists = documents
        .iter_mut()
        .filter_map(|document| document.get_mut(member));
    lists.next().unwrap().as_array_mut().unwrap()
}

fn item<'a>(documents: &'a mut [Value], member: &str, id: &str, value: &str) -> &'a mut Value {
    let mut all = items(documents, member).iter_mut();
    all.find(|item| item[id] == value).unwrap()
}

fn change_group(command: &Command, member: &str, adds: bool, documents: &mut [Value]) {
    let group = item(
        documents,
        "SecurityGroups",
        "GroupId",
        command.value("--group-id").unwrap(),
    );
    let mut rule = json!({"IpProtocol": "tcp", "IpRanges": [], "Ipv6Ranges": [], "UserIdGroupPairs": [], "PrefixListIds": []});
    let ports = match command.value("--ip-permissions") {
        Some(text) => {
            let of = |name: &str| {
                let (_, rest) = text.split_once(name).unwrap();
                rest.split([',', '}']).next().unwrap().to_owned()
            };
            rule["Ipv6Ranges"] = json!([{"CidrIpv6": of("CidrIpv6=")}]);
            format!("{}-{}", of("FromPort="), of("ToPort="))
        }
        None => command.value("--port").unwrap().to_owned(),
    };
    let (first, last) = ports.split_once('-').unwrap_or((&ports, &ports));
    rule["FromPort"] = first.parse::<u16>().unwrap().into();
    rule["ToPort"] = last.parse::<u16>().unwrap().into();
    if let Some(id) = command.value("--source-group") {
        let owner = command.value("--group-owner").unwrap_or("123456789012");
        rule["UserIdGroupPairs"] = json!([{"GroupId": id, "UserId": owner}]);
    }
    if let Some(range) = command.value("--cidr") {
        rule["IpRanges"] = json!([{"CidrIp": range}]);
    }
    let rules = group[member].as_array_mut().unwrap();
    if adds {
        rules.push(rule);
    } else {
        let at = rules.iter().rposition(|other| *other == rule).unwrap();
        rules.remove(at);
    }
}

fn change_acl(command: &Command, adds: bool, documents: &mut [Value]) {
    let id = command.value("--network-acl-id").unwrap();
    let number: i64 = command.value("--rule-number").unwrap().parse().unwrap();
    let egress = command.has("--egress");
    let acl = item(documents, "NetworkAcls", "NetworkAclId", id);
    let entries = acl["Entries"].as_array_mut().unwrap();
    let is_it = |entry: &Value| entry["RuleNumber"] == number && entry["Egress"] == egress;
    if !adds {
        return entries.retain(|entry| !is_it(entry));
    }
    assert!(!entries.iter().any(is_it), "the number {number} is used");
    let ports = command.value("--port-range").unwrap().split(',');
    let ports: Vec<u16> = ports
        .map(|part| part.split_once('=').unwrap().1.parse().unwrap())
        .collect();
    let mut entry = json!({"RuleNumber": number, "Egress": egress, "Protocol": "6", "RuleAction": "allow",
        "PortRange": {"From": ports[0], "To": ports[1]}});
    for (option, member) in [
        ("--cidr-block", "CidrBlock"),
        ("--ipv6-cidr-block", "Ipv6CidrBlock"),
    ] {
        if let Some(range) = command.value(option) {
            entry[member] = range.into();
        }
    }
    entries.push(entry);
}

fn change_route(command: &Command, documents: &mut [Value]) {
    const DESTINATIONS: [(&str, &str); 3] = [
        ("--destination-cidr-block", "DestinationCidrBlock"),
        ("--destination-ipv6-cidr-block", "DestinationIpv6CidrBlock"),
        ("--destination-prefix-list-id", "DestinationPrefixListId"),
    ];
    let (destination, member) = DESTINATIONS
        .iter()
        .find_map(|(option, member)| Some((command.value(option)?, *member)))
        .unwrap();
    let table = command.value("--route-table-id").unwrap();
    let routes = item(documents, "RouteTables", "RouteTableId", table)["Routes"]
        .as_array_mut()
        .unwrap();
    let exists = routes.iter().any(|route| route[member] == destination);
    assert_eq!(exists, command.0[2] != "create-route", "{destination}");
    routes.retain(|route| route[member] != destination);
    if command.0[2] == "delete-route" {
        return;
    }
    let mut route = json!({member: destination, "State": "active", "Origin": "CreateRoute"});
    for (option, member) in [
        ("--vpc-peering-connection-id", "VpcPeeringConnectionId"),
        ("--transit-gateway-id", "TransitGatewayId"),
        ("--network-interface-id", "NetworkInterfaceId"),
        ("--nat-gateway-id", "NatGatewayId"),
        ("--gateway-id", "GatewayId"),
    ] {
        if let Some(id) = command.value(option) {
            route[member] = id.into();
        }
    }
    routes.push(route);
}

fn add_peering(command: &Command, documents: &mut [Value]) {
    let end = |option: &str| json!({"VpcId": command.value(option), "OwnerId": "123456789012", "Region": command.value("--region")});
    let peering = json!({"VpcPeeringConnectionId": "pcx-new", "Status": {"Code": "pending-acceptance"},
        "AccepterVpcInfo": end("--peer-vpc-id"), "RequesterVpcInfo": end("--vpc-id")});
    items(documents, "VpcPeeringConnections").push(peering);
}

/// Accepts the peering connection, so that its routes change from blackhole to active.
fn accept_peering(command: &Command, documents: &mut [Value]) {
    let id = command.value("--vpc-peering-connection-id").unwrap();
    item(documents, "VpcPeeringConnections", "VpcPeeringConnectionId", id)["Status"]["Code"] =
        "active".into();
    let routes = items(documents, "RouteTables").iter_mut();
    for route in routes.flat_map(|table| table["Routes"].as_array_mut().unwrap()) {
        if route["VpcPeeringConnectionId"] == id {
            route["State"] = "active".into();
        }
    }
}
