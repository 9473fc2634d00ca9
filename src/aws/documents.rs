//! Tables of the AWS objects in the documents, one table per kind of object.

mod add;
mod referenced;

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::error_text::{AwsError, Kind};
use super::facts::Facts;
use super::id::{Account, Id};
use super::objects::{
    CacheCluster, CacheSubnetGroup, Interface, NetworkAcl, Peering, PrefixList, ReplicationGroup, RouteTable,
    SecurityGroup, SecurityGroupRule, ServerlessCache, Subnet, TransitAttachment, TransitGateway,
    TransitRoutes, TransitTable, User, UserGroup,
};
use super::truth::Truth;

/// All objects of one kind in the documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table<T> {
    pub(crate) items: Vec<T>,
    /// Whether the table contains all objects of this kind, that is, whether every document was complete and
    /// readable.
    pub(crate) is_complete: bool,
}

impl<T> Table<T> {
    fn empty() -> Self {
        Self {
            items: Vec::new(),
            is_complete: true,
        }
    }
}

/// A table, or `None` if there is no document of this kind.
pub(crate) type Known<T> = Option<Table<T>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Documents {
    pub(crate) facts: Option<Facts>,
    /// The AWS account that the credentials belong to, or `None` if unknown.
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
    /// The AWS errors that `aws` printed in place of a document.
    pub(crate) errors: Vec<AwsError>,
    /// The number of documents that could not be parsed, for example because the end was missing.
    pub(crate) damaged: usize,
}

impl Documents {
    /// Returns the IAM permissions that are missing, according to the error messages of `aws`.
    pub(crate) fn missing_permissions(&self) -> BTreeSet<String> {
        let refused = self
            .errors
            .iter()
            .filter(|error| error.kind == Kind::NotAuthorized);
        refused.map(AwsError::permission).collect()
    }

    /// Whether a network interface has this address. Returns `None` if no document lists network interfaces.
    pub(crate) fn has_interface_with(&self, address: IpAddr) -> Option<bool> {
        self.interfaces.as_ref()?;
        Some(all(&self.interfaces).any(|interface| interface.has(address) == Truth::Yes))
    }

    /// Whether any VPC is attached to a transit gateway.
    pub(crate) fn has_transit_gateways(&self) -> bool {
        all(&self.transit_attachments).next().is_some()
    }

    /// Returns the ranges in a prefix list, or `None` if they are unknown.
    pub(crate) fn prefix_list(&self, id: &Id) -> Option<Vec<IpNet>> {
        let list = find(&self.prefix_lists, |list| list.id.as_ref() == Some(id))?;
        list.entries.as_ref()?.iter().map(|entry| entry.range).collect()
    }

    pub(crate) fn interface(&self, id: &Id) -> Option<&Interface> {
        find(&self.interfaces, |interface| interface.id.as_ref() == Some(id))
    }

    pub(crate) fn group(&self, id: &Id) -> Option<&SecurityGroup> {
        find(&self.groups, |group| group.id.as_ref() == Some(id))
    }

    pub(crate) fn subnet(&self, id: &Id) -> Option<&Subnet> {
        find(&self.subnets, |subnet| subnet.id.as_ref() == Some(id))
    }
}

pub(crate) fn find<T>(table: &Known<T>, is_it: impl Fn(&T) -> bool) -> Option<&T> {
    table.as_ref()?.items.iter().find(|item| is_it(item))
}

/// Iterates over all elements. If there is no table, there are no elements.
pub(crate) fn all<T>(table: &Known<T>) -> impl Iterator<Item = &T> {
    table.iter().flat_map(|table| &table.items)
}

/// Whether the table exists and contains every object of its kind.
pub(crate) fn is_complete<T>(table: &Known<T>) -> bool {
    table.as_ref().is_some_and(|table| table.is_complete)
}
