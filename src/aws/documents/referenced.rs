//! Finds the AWS objects that the documents mention, so that further documents about them can be requested.

use std::collections::BTreeSet;

use super::{Documents, all};
use crate::aws::id::{Id, Name};

impl Documents {
    /// Returns the cache clusters that belong to replication groups.
    pub(crate) fn cache_members(&self) -> Vec<Name> {
        all(&self.replication_groups)
            .flat_map(|group| group.members.iter().flatten().cloned())
            .collect()
    }

    /// Returns the subnet group of each cache cluster.
    pub(crate) fn cache_subnet_group_names(&self) -> BTreeSet<String> {
        all(&self.cache_clusters)
            .filter_map(|cluster| cluster.subnet_group.clone())
            .filter(|name| !name.starts_with('-'))
            .collect()
    }

    pub(crate) fn user_group_names(&self) -> BTreeSet<Name> {
        let of_groups = all(&self.replication_groups).flat_map(|group| group.user_groups.iter().flatten());
        let of_serverless = all(&self.serverless_caches).filter_map(|cache| cache.user_group.as_ref());
        of_groups.chain(of_serverless).cloned().collect()
    }

    /// Returns the prefix lists in security group rules and routes.
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

    /// Returns the route tables of all transit gateway attachments.
    pub(crate) fn transit_route_tables(&self) -> BTreeSet<Id> {
        let used = all(&self.transit_tables).filter_map(|table| table.association.as_ref()?.table.clone());
        used.collect()
    }
}
