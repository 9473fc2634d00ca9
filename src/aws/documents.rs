//! The documents that the program `aws` prints, with the members that the checks need.
//!
//! The members are those in botocore's service model, for example
//! <https://docs.aws.amazon.com/cli/latest/reference/ec2/describe-network-interfaces.html>. Every member is
//! optional, because an older version of the program omits members that it does not know.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value};

use super::error_text::{AwsError, Kind};
use super::facts::Facts;
use super::id::{Account, Id, Name, Region};
use super::read::{FromJson, object};
use super::scan::{self, Part};
use super::truth::Truth;

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
    /// Rules of a security group that have the same protocol and range of ports.
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
    /// The route table of a transit gateway that an attachment uses, from
    /// `describe-transit-gateway-attachments`.
    TransitTable {
        attachment: Id = "TransitGatewayAttachmentId",
        association: TransitAssociation = "Association",
    }
    TransitAssociation { table: Id = "TransitGatewayRouteTableId", state: String = "State", }
    TransitGateway { id: Id = "TransitGatewayId", options: TransitOptions = "Options", }
    /// The result of a search in the route table of a transit gateway, with the table's ID and the range that
    /// was searched for.
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
    /// The entries of a prefix list. `aws` prints them without the ID. The script for CloudShell adds it.
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

/// The elements from all documents of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table<T> {
    pub(crate) items: Vec<T>,
    /// Whether every element could be read and no document was incomplete. Only in this case does a missing
    /// element prove something.
    pub(crate) is_complete: bool,
}

/// A table, or `None` if there is no document of its kind.
pub(crate) type Known<T> = Option<Table<T>>;

/// All elements that were found in the documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Documents {
    pub(crate) facts: Option<Facts>,
    /// The AWS account that the credentials belong to.
    pub(crate) account: Option<Account>,
    pub(crate) interfaces: Known<Interface>,
    pub(crate) groups: Known<SecurityGroup>,
    pub(crate) group_rules: Known<SecurityGroupRule>,
    pub(crate) acls: Known<NetworkAcl>,
    pub(crate) subnets: Known<Subnet>,
    pub(crate) route_tables: Known<RouteTable>,
    pub(crate) peerings: Known<Peering>,
    pub(crate) transit_attachments: Known<TransitAttachment>,
    pub(crate) transit_tables: Known<TransitTable>,
    pub(crate) transit_gateways: Known<TransitGateway>,
    pub(crate) transit_routes: Known<TransitRoutes>,
    pub(crate) prefix_lists: Known<PrefixList>,
    pub(crate) replication_groups: Known<ReplicationGroup>,
    pub(crate) cache_clusters: Known<CacheCluster>,
    pub(crate) cache_subnet_groups: Known<CacheSubnetGroup>,
    pub(crate) serverless_caches: Known<ServerlessCache>,
    pub(crate) user_groups: Known<UserGroup>,
    pub(crate) users: Known<User>,
    /// The errors that `aws` printed instead of a document.
    pub(crate) errors: Vec<AwsError>,
    /// The number of documents that could not be read, for example because they were cut off.
    pub(crate) damaged: usize,
}

impl Documents {
    /// Reads the documents in a text. They may be in any order, and everything between them is skipped.
    pub(crate) fn add_text(&mut self, text: &str) {
        let mut command = "";
        let text = scan::plain(text);
        for part in scan::parts(&text) {
            match part {
                Part::Document(value) => self.add(&value, command),
                Part::Command(line) => command = line,
                Part::Noise(line) => self.errors.extend(AwsError::parse(line)),
                Part::Damaged => self.damaged += 1,
            }
        }
    }

    /// Adds a document. `command` is the command that printed it, or empty if the command is unknown.
    pub(crate) fn add(&mut self, document: &Value, command: &str) {
        let Some(document) = document.as_object() else {
            return;
        };
        // A report of `ping --aws` contains the documents.
        let reported = document
            .get("aws")
            .and_then(|aws| aws.get("documents")?.as_array());
        for part in reported.into_iter().flatten() {
            let command = part.get("command").and_then(Value::as_str).unwrap_or_default();
            if let Some(document) = part.get("document") {
                self.add(document, command);
            }
            let error = part.get("error").and_then(Value::as_str).unwrap_or_default();
            self.errors.extend(error.lines().filter_map(AwsError::parse));
        }
        let is_part = ["NextToken", "Marker"]
            .iter()
            .any(|member| document.get(*member).is_some_and(|value| !value.is_null()))
            || document.get("AdditionalRoutesAvailable") == Some(&Value::Bool(true));
        let mut add = Adding { document, is_part };
        add.to("NetworkInterfaces", &mut self.interfaces);
        add.to("SecurityGroups", &mut self.groups);
        add.to("SecurityGroupRules", &mut self.group_rules);
        add.to("NetworkAcls", &mut self.acls);
        add.to("Subnets", &mut self.subnets);
        add.to("RouteTables", &mut self.route_tables);
        add.to("VpcPeeringConnections", &mut self.peerings);
        add.to("TransitGatewayVpcAttachments", &mut self.transit_attachments);
        add.to("TransitGatewayAttachments", &mut self.transit_tables);
        add.to("TransitGateways", &mut self.transit_gateways);
        add.to("TransitGatewayRoutes", &mut self.transit_routes);
        add.to("PrefixListEntries", &mut self.prefix_lists);
        add.to("ReplicationGroups", &mut self.replication_groups);
        add.to("CacheClusters", &mut self.cache_clusters);
        add.to("CacheSubnetGroups", &mut self.cache_subnet_groups);
        add.to("ServerlessCaches", &mut self.serverless_caches);
        add.to("UserGroups", &mut self.user_groups);
        add.to("Users", &mut self.users);
        if let Some(id) = id_in(command, "pl") {
            add.unnamed("Entries", [("PrefixListId", id.as_str())], &mut self.prefix_lists);
        }
        if let Some(id) = id_in(command, "tgw-rtb") {
            let searched = words_of(command).find(|word| word.parse::<IpNet>().is_ok());
            let members = [
                ("TransitGatewayRouteTableId", id.as_str()),
                ("Searched", searched.unwrap_or_default()),
            ];
            add.unnamed("Routes", members, &mut self.transit_routes);
        }
        let account = document.get("Account").and_then(Account::read);
        self.account = self.account.take().or(account);
        let facts = Facts::read_document(document);
        self.facts = self.facts.take().or(facts);
    }

    /// Returns the permissions that are missing according to the errors of `aws`.
    pub(crate) fn missing_permissions(&self) -> BTreeSet<String> {
        let refused = self
            .errors
            .iter()
            .filter(|error| error.kind == Kind::NotAuthorized);
        refused.map(AwsError::permission).collect()
    }

    /// Returns the members of all replication groups.
    pub(crate) fn cache_members(&self) -> Vec<Name> {
        all(&self.replication_groups)
            .flat_map(|group| group.members.iter().flatten().cloned())
            .collect()
    }

    /// Returns the subnet groups of all cache clusters.
    pub(crate) fn cache_subnet_group_names(&self) -> BTreeSet<String> {
        all(&self.cache_clusters)
            .filter_map(|cluster| cluster.subnet_group.clone())
            .filter(|name| !name.starts_with('-'))
            .collect()
    }

    /// Returns the user groups of all caches.
    pub(crate) fn user_group_names(&self) -> BTreeSet<Name> {
        let of_groups = all(&self.replication_groups).flat_map(|group| group.user_groups.iter().flatten());
        let of_serverless = all(&self.serverless_caches).filter_map(|cache| cache.user_group.as_ref());
        of_groups.chain(of_serverless).cloned().collect()
    }

    /// Returns the prefix lists that are referred to in rules and routes.
    pub(crate) fn referenced_prefix_lists(&self) -> BTreeSet<Id> {
        let of_groups = all(&self.groups).flat_map(|group| {
            let permissions = group.ingress.iter().chain(&group.egress).flatten();
            permissions.flat_map(|permission| {
                permission
                    .prefix_lists
                    .iter()
                    .flatten()
                    .filter_map(|list| list.id.as_ref())
            })
        });
        let of_rules = all(&self.group_rules).filter_map(|rule| rule.prefix_list.as_ref());
        let of_routes = all(&self.route_tables)
            .flat_map(|table| table.routes.iter().flatten())
            .filter(|route| {
                !route
                    .gateway
                    .as_deref()
                    .is_some_and(|gateway| gateway.starts_with("vpce-"))
            })
            .filter_map(|route| route.prefix_list.as_ref());
        of_groups.chain(of_rules).chain(of_routes).cloned().collect()
    }

    /// Whether an interface has the address, or `None` if no document shows interfaces.
    pub(crate) fn has_interface_with(&self, address: IpAddr) -> Option<bool> {
        self.interfaces.as_ref()?;
        Some(all(&self.interfaces).any(|interface| interface.has(address) == Truth::Yes))
    }

    /// The route tables that attachments of transit gateways use.
    pub(crate) fn transit_route_tables(&self) -> BTreeSet<Id> {
        let used = all(&self.transit_tables).filter_map(|table| table.association.as_ref()?.table.clone());
        used.collect()
    }

    /// Whether a VPC is attached to a transit gateway.
    pub(crate) fn has_transit_gateways(&self) -> bool {
        all(&self.transit_attachments).next().is_some()
    }

    /// Returns the entries of a prefix list, if they are known.
    pub(crate) fn prefix_list(&self, id: &Id) -> Option<Vec<IpNet>> {
        let list = find(&self.prefix_lists, |list| list.id.as_ref() == Some(id))?;
        list.entries.as_ref()?.iter().map(|entry| entry.range).collect()
    }

    /// Returns the subnet with this ID.
    pub(crate) fn subnet(&self, id: &Id) -> Option<&Subnet> {
        find(&self.subnets, |subnet| subnet.id.as_ref() == Some(id))
    }
}

/// Returns the first element for which `is_it` returns true.
pub(crate) fn find<T>(table: &Known<T>, is_it: impl Fn(&T) -> bool) -> Option<&T> {
    table.as_ref()?.items.iter().find(|item| is_it(item))
}

/// Returns all elements, or none if there is no document of this kind.
pub(crate) fn all<T>(table: &Known<T>) -> impl Iterator<Item = &T> {
    table.iter().flat_map(|table| &table.items)
}

/// Whether all elements are known. If so, it proves something that an element is missing.
pub(crate) fn is_complete<T>(table: &Known<T>) -> bool {
    table.as_ref().is_some_and(|table| table.is_complete)
}

/// A document that is being added.
struct Adding<'a> {
    document: &'a Map<String, Value>,
    is_part: bool,
}

impl Adding<'_> {
    fn to<T: FromJson + PartialEq>(&mut self, member: &str, table: &mut Known<T>) {
        let Some(elements) = self.document.get(member).and_then(Value::as_array) else {
            return;
        };
        let is_complete = !self.is_part;
        let table = table.get_or_insert_with(|| Table {
            items: Vec::new(),
            is_complete: true,
        });
        table.is_complete &= is_complete;
        for element in elements {
            match T::read(element) {
                Some(item) => table.items.push(item),
                None => table.is_complete = false,
            }
        }
    }

    /// Adds a document that does not contain the ID of the object it describes. The ID comes from the
    /// command, as one of `members`.
    fn unnamed<'a, T: FromJson>(
        &mut self,
        member: &str,
        members: impl IntoIterator<Item = (&'a str, &'a str)>,
        table: &mut Known<T>,
    ) {
        let Some(list) = self.document.get(member).filter(|list| list.is_array()) else {
            return;
        };
        if self.is_part {
            return;
        }
        let mut named: Map<String, Value> = members
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        named.insert(member.to_owned(), list.clone());
        let item = T::read(&Value::Object(named));
        let table = table.get_or_insert_with(|| Table {
            items: Vec::new(),
            is_complete: true,
        });
        table.items.extend(item);
    }
}

/// Splits a command into words, and removes the quotes.
fn words_of(command: &str) -> impl Iterator<Item = &str> {
    command.split(|character: char| character.is_whitespace() || "'\"=,".contains(character))
}

/// Returns the ID with this prefix in a command.
fn id_in(command: &str, prefix: &str) -> Option<Id> {
    let words = words_of(command);
    let starts = |word: &&str| {
        word.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with('-'))
    };
    words.filter(starts).find_map(Id::parse)
}
