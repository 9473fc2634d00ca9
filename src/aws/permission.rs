//! The IAM permissions for the checks, and an IAM policy that grants these permissions.

use serde_json::json;

pub(crate) const NETWORK_INTERFACES: &str = "ec2:DescribeNetworkInterfaces";
pub(crate) const SECURITY_GROUPS: &str = "ec2:DescribeSecurityGroups";
pub(crate) const SECURITY_GROUP_RULES: &str = "ec2:DescribeSecurityGroupRules";
pub(crate) const MANAGED_PREFIX_LIST_ENTRIES: &str = "ec2:GetManagedPrefixListEntries";
pub(crate) const NETWORK_ACLS: &str = "ec2:DescribeNetworkAcls";
pub(crate) const SUBNETS: &str = "ec2:DescribeSubnets";
pub(crate) const ROUTE_TABLES: &str = "ec2:DescribeRouteTables";
pub(crate) const VPC_PEERING_CONNECTIONS: &str = "ec2:DescribeVpcPeeringConnections";
pub(crate) const TRANSIT_GATEWAYS: &str = "ec2:DescribeTransitGateways";
pub(crate) const TRANSIT_GATEWAY_VPC_ATTACHMENTS: &str = "ec2:DescribeTransitGatewayVpcAttachments";
pub(crate) const TRANSIT_GATEWAY_ATTACHMENTS: &str = "ec2:DescribeTransitGatewayAttachments";
pub(crate) const TRANSIT_GATEWAY_ROUTES: &str = "ec2:SearchTransitGatewayRoutes";
pub(crate) const REPLICATION_GROUPS: &str = "elasticache:DescribeReplicationGroups";
pub(crate) const CACHE_CLUSTERS: &str = "elasticache:DescribeCacheClusters";
pub(crate) const SERVERLESS_CACHES: &str = "elasticache:DescribeServerlessCaches";
pub(crate) const CACHE_SUBNET_GROUPS: &str = "elasticache:DescribeCacheSubnetGroups";
pub(crate) const USER_GROUPS: &str = "elasticache:DescribeUserGroups";
pub(crate) const USERS: &str = "elasticache:DescribeUsers";

/// All permissions that the checks need. These permissions allow only reading. `ec2:Describe*` actions cannot
/// be restricted to certain resources.
pub(crate) const ALL: [&str; 18] = [
    NETWORK_INTERFACES,
    SECURITY_GROUPS,
    SECURITY_GROUP_RULES,
    MANAGED_PREFIX_LIST_ENTRIES,
    NETWORK_ACLS,
    SUBNETS,
    ROUTE_TABLES,
    VPC_PEERING_CONNECTIONS,
    TRANSIT_GATEWAYS,
    TRANSIT_GATEWAY_VPC_ATTACHMENTS,
    TRANSIT_GATEWAY_ATTACHMENTS,
    TRANSIT_GATEWAY_ROUTES,
    REPLICATION_GROUPS,
    CACHE_CLUSTERS,
    SERVERLESS_CACHES,
    CACHE_SUBNET_GROUPS,
    USER_GROUPS,
    USERS,
];

pub(crate) fn policy() -> serde_json::Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Sid": "SessiontutPing", "Effect": "Allow", "Action": ALL, "Resource": "*"}],
    })
}
