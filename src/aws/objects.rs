//! The AWS objects in documents, with the members that the checks need.
//!
//! The member names come from botocore's service model, for example
//! <https://docs.aws.amazon.com/cli/latest/reference/ec2/describe-network-interfaces.html>. Every member is
//! optional, because older versions of `aws` omit newer members.

use std::net::IpAddr;

use ipnet::IpNet;

use super::id::{Account, Id, Name, Region};
use super::read::object;

object! {
    /// A network interface.
    Interface {
        id: Id = "NetworkInterfaceId",
        vpc: Id = "VpcId",
        subnet: Id = "SubnetId",
        owner: Account = "OwnerId",
        requester: String = "RequesterId",
        description: String = "Description",
        kind: String = "InterfaceType",
        groups: Vec<GroupName> = "Groups",
        address: IpAddr = "PrivateIpAddress",
        addresses: Vec<PrivateAddress> = "PrivateIpAddresses",
        ipv6_addresses: Vec<Ipv6Address> = "Ipv6Addresses",
        attachment: Attachment = "Attachment",
        association: PublicAddress = "Association",
    }
    GroupName { id: Id = "GroupId", name: String = "GroupName", }
    PrivateAddress { address: IpAddr = "PrivateIpAddress", }
    Ipv6Address { address: IpAddr = "Ipv6Address", }
    PublicAddress { address: IpAddr = "PublicIp", }
    Attachment { instance_owner: String = "InstanceOwnerId", }
    /// A security group with its rules.
    SecurityGroup {
        id: Id = "GroupId",
        name: String = "GroupName",
        owner: Account = "OwnerId",
        ingress: Vec<Permission> = "IpPermissions",
        egress: Vec<Permission> = "IpPermissionsEgress",
    }
    /// Rules of one security group that share a protocol and a range of ports.
    Permission {
        protocol: String = "IpProtocol",
        from: i64 = "FromPort",
        to: i64 = "ToPort",
        ranges: Vec<Ipv4Range> = "IpRanges",
        ipv6_ranges: Vec<Ipv6Range> = "Ipv6Ranges",
        groups: Vec<GroupPair> = "UserIdGroupPairs",
        prefix_lists: Vec<PrefixListId> = "PrefixListIds",
    }
    Ipv4Range { range: IpNet = "CidrIp", }
    Ipv6Range { range: IpNet = "CidrIpv6", }
    GroupPair { group: Id = "GroupId", peering_status: String = "PeeringStatus", }
    PrefixListId { id: Id = "PrefixListId", }
    /// A single rule of a security group.
    SecurityGroupRule {
        group: Id = "GroupId",
        is_egress: bool = "IsEgress",
        protocol: String = "IpProtocol",
        from: i64 = "FromPort",
        to: i64 = "ToPort",
        range: IpNet = "CidrIpv4",
        ipv6_range: IpNet = "CidrIpv6",
        prefix_list: Id = "PrefixListId",
        referenced: GroupPair = "ReferencedGroupInfo",
    }
    /// A network ACL with its entries.
    NetworkAcl {
        id: Id = "NetworkAclId",
        associations: Vec<AclAssociation> = "Associations",
        entries: Vec<AclEntry> = "Entries",
    }
    AclAssociation { subnet: Id = "SubnetId", }
    AclEntry {
        number: i64 = "RuleNumber",
        protocol: String = "Protocol",
        action: String = "RuleAction",
        is_egress: bool = "Egress",
        range: IpNet = "CidrBlock",
        ipv6_range: IpNet = "Ipv6CidrBlock",
        ports: PortRange = "PortRange",
    }
    PortRange { from: i64 = "From", to: i64 = "To", }
    Subnet {
        id: Id = "SubnetId",
        vpc: Id = "VpcId",
        owner: Account = "OwnerId",
        zone: String = "AvailabilityZone",
        range: IpNet = "CidrBlock",
        ipv6_ranges: Vec<SubnetIpv6Range> = "Ipv6CidrBlockAssociationSet",
    }
    SubnetIpv6Range { range: IpNet = "Ipv6CidrBlock", }
    RouteTable {
        id: Id = "RouteTableId",
        vpc: Id = "VpcId",
        associations: Vec<RouteTableAssociation> = "Associations",
        routes: Vec<Route> = "Routes",
    }
    RouteTableAssociation { is_main: bool = "Main", subnet: Id = "SubnetId", }
    Route {
        range: IpNet = "DestinationCidrBlock",
        ipv6_range: IpNet = "DestinationIpv6CidrBlock",
        prefix_list: Id = "DestinationPrefixListId",
        state: String = "State",
        origin: String = "Origin",
        gateway: String = "GatewayId",
        nat_gateway: Id = "NatGatewayId",
        transit_gateway: Id = "TransitGatewayId",
        peering: Id = "VpcPeeringConnectionId",
        interface: Id = "NetworkInterfaceId",
        instance: Id = "InstanceId",
        local_gateway: Id = "LocalGatewayId",
        carrier_gateway: Id = "CarrierGatewayId",
        egress_only_gateway: Id = "EgressOnlyInternetGatewayId",
        core_network: String = "CoreNetworkArn",
    }
    Peering {
        id: Id = "VpcPeeringConnectionId",
        accepter: PeeredVpc = "AccepterVpcInfo",
        requester: PeeredVpc = "RequesterVpcInfo",
        status: PeeringStatus = "Status",
    }
    PeeredVpc {
        vpc: Id = "VpcId",
        owner: Account = "OwnerId",
        region: Region = "Region",
        range: IpNet = "CidrBlock",
    }
    PeeringStatus { code: String = "Code", }
    TransitAttachment {
        id: Id = "TransitGatewayAttachmentId",
        gateway: Id = "TransitGatewayId",
        vpc: Id = "VpcId",
        state: String = "State",
        subnets: Vec<Id> = "SubnetIds",
        options: TransitOptions = "Options",
    }
    TransitOptions {
        references: String = "SecurityGroupReferencingSupport",
        default_table: Id = "AssociationDefaultRouteTableId",
    }
    /// The route table that a transit gateway uses for an attachment, from
    /// `describe-transit-gateway-attachments`.
    TransitTable {
        attachment: Id = "TransitGatewayAttachmentId",
        association: TransitAssociation = "Association",
    }
    TransitAssociation { table: Id = "TransitGatewayRouteTableId", state: String = "State", }
    TransitGateway { id: Id = "TransitGatewayId", options: TransitOptions = "Options", }
    /// The result of `search-transit-gateway-routes`, with the ID of the route table and the range that was
    /// searched for.
    TransitRoutes {
        table: Id = "TransitGatewayRouteTableId",
        searched: IpNet = "Searched",
        routes: Vec<TransitRoute> = "Routes",
    }
    TransitRoute {
        range: IpNet = "DestinationCidrBlock",
        state: String = "State",
        attachments: Vec<TransitTarget> = "TransitGatewayAttachments",
    }
    TransitTarget { id: Id = "TransitGatewayAttachmentId", }
    /// The entries of a prefix list. `aws` does not print the ID of the list, so the ID comes from the
    /// command.
    PrefixList { id: Id = "PrefixListId", entries: Vec<PrefixListEntry> = "Entries", }
    PrefixListEntry { range: IpNet = "Cidr", }
    ReplicationGroup {
        name: Name = "ReplicationGroupId",
        status: String = "Status",
        engine: String = "Engine",
        members: Vec<Name> = "MemberClusters",
        node_groups: Vec<NodeGroup> = "NodeGroups",
        configuration: CacheEndpoint = "ConfigurationEndpoint",
        is_cluster: bool = "ClusterEnabled",
        cluster_mode: String = "ClusterMode",
        has_token: bool = "AuthTokenEnabled",
        has_tls: bool = "TransitEncryptionEnabled",
        tls_mode: String = "TransitEncryptionMode",
        user_groups: Vec<Name> = "UserGroupIds",
    }
    NodeGroup {
        primary: CacheEndpoint = "PrimaryEndpoint",
        reader: CacheEndpoint = "ReaderEndpoint",
        members: Vec<NodeGroupMember> = "NodeGroupMembers",
    }
    NodeGroupMember {
        cluster: Name = "CacheClusterId",
        endpoint: CacheEndpoint = "ReadEndpoint",
        role: String = "CurrentRole",
    }
    CacheEndpoint { host: String = "Address", port: u16 = "Port", }
    CacheCluster {
        name: Name = "CacheClusterId",
        status: String = "CacheClusterStatus",
        engine: String = "Engine",
        replication_group: Name = "ReplicationGroupId",
        subnet_group: String = "CacheSubnetGroupName",
        groups: Vec<CacheSecurityGroup> = "SecurityGroups",
        nodes: Vec<CacheNode> = "CacheNodes",
        configuration: CacheEndpoint = "ConfigurationEndpoint",
        has_token: bool = "AuthTokenEnabled",
        has_tls: bool = "TransitEncryptionEnabled",
        tls_mode: String = "TransitEncryptionMode",
    }
    CacheSecurityGroup { group: Id = "SecurityGroupId", }
    CacheNode { endpoint: CacheEndpoint = "Endpoint", }
    CacheSubnetGroup {
        name: String = "CacheSubnetGroupName",
        vpc: Id = "VpcId",
        subnets: Vec<CacheSubnet> = "Subnets",
    }
    CacheSubnet { subnet: Id = "SubnetIdentifier", }
    ServerlessCache {
        name: Name = "ServerlessCacheName",
        status: String = "Status",
        engine: String = "Engine",
        groups: Vec<Id> = "SecurityGroupIds",
        subnets: Vec<Id> = "SubnetIds",
        endpoint: CacheEndpoint = "Endpoint",
        reader: CacheEndpoint = "ReaderEndpoint",
        user_group: Name = "UserGroupId",
    }
    UserGroup { id: Name = "UserGroupId", users: Vec<Name> = "UserIds", }
    User {
        id: Name = "UserId",
        name: String = "UserName",
        groups: Vec<Name> = "UserGroupIds",
        authentication: Authentication = "Authentication",
    }
    Authentication { kind: String = "Type", }
}
