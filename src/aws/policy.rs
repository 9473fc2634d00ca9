//! The permissions that the checks need, and an IAM policy that grants them.

use serde_json::json;

/// All actions that are needed. They only read. `ec2:Describe*` cannot be restricted to certain resources.
pub(crate) const ACTIONS: [&str; 18] = [
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSecurityGroupRules",
    "ec2:GetManagedPrefixListEntries",
    "ec2:DescribeNetworkAcls",
    "ec2:DescribeSubnets",
    "ec2:DescribeRouteTables",
    "ec2:DescribeVpcPeeringConnections",
    "ec2:DescribeTransitGateways",
    "ec2:DescribeTransitGatewayVpcAttachments",
    "ec2:DescribeTransitGatewayAttachments",
    "ec2:SearchTransitGatewayRoutes",
    "elasticache:DescribeReplicationGroups",
    "elasticache:DescribeCacheClusters",
    "elasticache:DescribeServerlessCaches",
    "elasticache:DescribeCacheSubnetGroups",
    "elasticache:DescribeUserGroups",
    "elasticache:DescribeUsers",
];

/// Returns the IAM policy.
pub(crate) fn policy() -> serde_json::Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Sid": "SessiontutPing", "Effect": "Allow", "Action": ACTIONS, "Resource": "*"}],
    })
}
