//! Describes findings that are not part of any check.

use super::other_account;
use crate::aws::id::Id;
use crate::aws::network::Network;
use crate::aws::place;

impl Network<'_> {
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let interface = self.destination.interface.as_ref();
        let interface = interface.and_then(|id| self.documents.interface(id));
        if let Some(interface) = interface.filter(|interface| interface.is_elasticache()) {
            let description = interface.description.as_deref().unwrap_or_default();
            notes.push(format!(
                "the interface with this address belongs to ElastiCache (description: {description})"
            ));
        }
        let named = self.cache.and_then(|cache| Some((cache, cache.groups.as_ref()?)));
        if let (Some((cache, named)), Some(own)) =
            (named.filter(|_| interface.is_some()), &self.destination.groups)
        {
            let mut sorted = [named.clone(), own.clone()];
            sorted.iter_mut().for_each(|groups| groups.sort());
            if sorted[0] != sorted[1] {
                notes.push(format!(
                    "ElastiCache reports that {} has the security groups {}, but the interface with this address \
                     has {}: perhaps the name leads to an old address, or a change is in progress",
                    cache.name,
                    list(named),
                    list(own),
                ));
            }
        }
        let account = self.documents.account.as_ref();
        if let (Some(account), Some(owner)) = (account, other_account(self.facts, self.documents)) {
            notes.push(format!(
                "the credentials belong to account {account}, but this instance belongs to account {owner}: \
                 perhaps the credentials have no access to its network"
            ));
        }
        if place::is_translated(self.facts) {
            notes.push(
                "this process probably runs in a container, so `ping` uses the address of the instance instead of \
                 the container's address"
                    .to_owned(),
            );
        }
        notes
    }
}

fn list(ids: &[Id]) -> String {
    ids.iter().map(Id::as_str).collect::<Vec<_>>().join(", ")
}
