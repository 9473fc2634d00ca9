//! Creates the script for CloudShell, for users whose instance has no AWS credentials.
//!
//! The script prints a line `### aws …` before each document. Documents stay indented, because a terminal
//! truncates pasted lines after 4,095 bytes.

use std::net::IpAddr;

use ipnet::IpNet;

use super::cache::{EndpointName, Form};
use super::facts::Facts;
use super::id::{Id, Name};

/// Returns the script, or `None` if the remote address is unknown.
pub(crate) fn script(facts: &Facts) -> Option<String> {
    let to = facts.address?;
    let from = facts.from.filter(|from| from.is_ipv4() == to.is_ipv4());
    let addresses: Vec<IpAddr> = std::iter::once(to).chain(from).collect();
    let interfaces = describe_interfaces(&addresses);
    let mut lines = functions(facts);
    lines.push("cat <<'END'".to_owned());
    lines.extend(serde_json::to_string_pretty(&facts.document()).ok());
    lines.push("END".to_owned());
    lines.push("ask sts get-caller-identity".to_owned());
    lines.push(format!("ask ec2 {interfaces}"));
    lines.extend(cache_lines(facts));
    lines.extend(variables(facts, &interfaces));
    for (operation, filter) in [
        ("describe-security-groups", "group-id,Values=$G"),
        ("describe-network-acls", "association.subnet-id,Values=$S"),
        ("describe-subnets", "vpc-id,Values=$V"),
        ("describe-route-tables", "vpc-id,Values=$V"),
    ] {
        lines.push(format!("ask ec2 {operation} --filters \"Name={filter}\""));
    }
    lines.push("ask ec2 describe-vpc-peering-connections".to_owned());
    lines.push("ask ec2 describe-transit-gateway-vpc-attachments".to_owned());
    lines.push(
        "for P in $(look ec2 describe-security-groups --filters \"Name=group-id,Values=$G\" \
         --query 'SecurityGroups[].[IpPermissions,IpPermissionsEgress][][].PrefixListIds[].PrefixListId'); do \
         ask ec2 get-managed-prefix-list-entries --prefix-list-id \"$P\"; done"
            .to_owned(),
    );
    lines.push("ask ec2 describe-transit-gateways".to_owned());
    lines.push(gateway_routes(&addresses));
    lines.push("echo '### end'".to_owned());
    Some(lines.join("\n") + "\n")
}

/// Returns the shell functions that the rest of the script calls.
fn functions(facts: &Facts) -> Vec<String> {
    vec![
        "# sessiontut: commands for AWS CloudShell. They only read.".to_owned(),
        match &facts.region {
            Some(region) => format!("export AWS_PAGER= AWS_DEFAULT_REGION={region}"),
            None => "export AWS_PAGER=".to_owned(),
        },
        "ask() { echo \"### aws $*\"; aws \"$@\" --output json 2>&1; }".to_owned(),
        r#"look() { aws "$@" --output text 2>/dev/null; }"#.to_owned(),
        r#"list() { printf '%s\n' "$@" | tr -s '[:space:],' '\n' | grep -v -x -e None -e '' | sort -u | paste -sd, -; }"#
            .to_owned(),
    ]
}

/// Returns the name of the filter with which `describe-network-interfaces` finds these addresses.
pub(crate) fn address_filter(addresses: &[IpAddr]) -> &'static str {
    if addresses.iter().all(IpAddr::is_ipv4) {
        "addresses.private-ip-address"
    } else {
        "ipv6-addresses.ipv6-address"
    }
}

fn describe_interfaces(addresses: &[IpAddr]) -> String {
    let filter = address_filter(addresses);
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    format!(
        "describe-network-interfaces --filters Name={filter},Values={}",
        addresses.join(",")
    )
}

/// Returns the lines that set the shell variables `V` (VPCs), `S` (subnets) and `G` (security groups) for
/// both ends.
fn variables(facts: &Facts, interfaces: &str) -> [String; 3] {
    let own = facts.source.clone().unwrap_or_default();
    let list = |query: &str, known: Vec<&Id>, variable: &str| {
        let known: String = known.iter().map(|id| format!(" {id}")).collect();
        format!("$(list \"$(look ec2 {interfaces} --query '{query}')\"{known} \"${variable}\")")
    };
    let groups = own.groups.iter().flatten().collect();
    [
        format!(
            "V={}",
            list("NetworkInterfaces[].VpcId", own.vpc.iter().collect(), "N")
        ),
        format!(
            "S={}",
            list("NetworkInterfaces[].SubnetId", own.subnet.iter().collect(), "B")
        ),
        format!("G={}", list("NetworkInterfaces[].Groups[].GroupId", groups, "C")),
    ]
}

/// Returns the line that looks up `addresses` in the route tables of transit gateways.
fn gateway_routes(addresses: &[IpAddr]) -> String {
    let ranges = addresses.iter().map(|address| IpNet::from(*address).to_string());
    let ranges: Vec<_> = ranges.collect();
    format!(
        "T='describe-transit-gateway-attachments --filters Name=resource-type,Values=vpc'; ask ec2 $T; for P in $(list \"$(look ec2 $T \
         --query 'TransitGatewayAttachments[].Association.TransitGatewayRouteTableId')\" | tr , ' '); do for R in {}; do \
         ask ec2 search-transit-gateway-routes --transit-gateway-route-table-id \"$P\" --filters \
         \"Name=route-search.longest-prefix-match,Values=$R\"; done; done",
        ranges.join(" ")
    )
}

/// Returns the commands that describe the cache, if the URL contains its name. These commands set the shell
/// variables `C` (its security groups) and `N` (its VPC).
fn cache_lines(facts: &Facts) -> Vec<String> {
    let endpoint = facts.endpoint.as_deref().and_then(EndpointName::parse);
    let Some((endpoint, name)) = endpoint
        .as_ref()
        .and_then(|endpoint| Some((endpoint, endpoint.names.last()?)))
    else {
        return Vec::new();
    };
    match endpoint.form {
        Form::Serverless | Form::PublicServerless => vec![
            format!("ask elasticache describe-serverless-caches --serverless-cache-name {name}"),
            format!(
                "C=$(look elasticache describe-serverless-caches --serverless-cache-name {name} \
                 --query 'ServerlessCaches[].SecurityGroupIds[]')"
            ),
        ],
        Form::Nodes => node_lines(name),
    }
}

fn node_lines(name: &Name) -> Vec<String> {
    let group = format!("elasticache describe-replication-groups --replication-group-id {name}");
    let member = "elasticache describe-cache-clusters --show-cache-node-info --cache-cluster-id \"$M\"";
    vec![
        format!("ask {group}"),
        format!("M=$(look {group} --query 'ReplicationGroups[].MemberClusters[0]'); M=${{M:-{name}}}"),
        format!("ask {member}"),
        format!("C=$(look {member} --query 'CacheClusters[].SecurityGroups[].SecurityGroupId')"),
        format!("T=$(look {member} --query 'CacheClusters[].CacheSubnetGroupName')"),
        "ask elasticache describe-cache-subnet-groups --cache-subnet-group-name \"$T\"".to_owned(),
        "N=$(look elasticache describe-cache-subnet-groups --cache-subnet-group-name \"$T\" --query 'CacheSubnetGroups[].VpcId')"
            .to_owned(),
        "B=$(look elasticache describe-cache-subnet-groups --cache-subnet-group-name \"$T\" \
         --query 'CacheSubnetGroups[].Subnets[].SubnetIdentifier')"
            .to_owned(),
    ]
}
