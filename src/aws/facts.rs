//! Facts that are available without asking AWS: about the connection that was tried, and about the instance
//! that tried it.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::id::{Account, Id, Region};
use super::read::{FromJson, object};

object! {
    /// The connection that was tried.
    Facts {
        region: Region = "region",
        /// The host name in the URL.
        endpoint: String = "endpoint",
        /// The address that was dialled.
        address: IpAddr = "address",
        port: u16 = "port",
        /// The local address that the connection used.
        from: IpAddr = "from",
        source: Source = "source",
        /// The first and the last of the local ports that the kernel uses for connections.
        ephemeral: Vec<u16> = "ephemeral",
        /// The security groups whose rules were requested. If the documents contain no rules of such a group,
        /// the group has no rules.
        asked_groups: Vec<Id> = "asked_groups",
    }
    /// The network interface of the instance that tried the connection.
    Source {
        interface: Id = "interface",
        addresses: Vec<IpAddr> = "addresses",
        /// The prefixes that are delegated to the interface, for example for pods.
        prefixes: Vec<IpNet> = "prefixes",
        vpc: Id = "vpc",
        subnet: Id = "subnet",
        groups: Vec<Id> = "groups",
        owner: Account = "owner",
        vpc_cidrs: Vec<IpNet> = "vpc_cidrs",
    }
}

impl Facts {
    /// Reads the facts from a document, if it contains them.
    pub(super) fn read_document(document: &Map<String, Value>) -> Option<Self> {
        let is_facts = ["source", "address", "port"]
            .iter()
            .all(|member| document.contains_key(*member));
        is_facts
            .then(|| Self::read(&Value::Object(document.clone())))
            .flatten()
    }

    /// Returns the facts as a document.
    pub(crate) fn document(&self) -> Value {
        let source = self.source.clone().unwrap_or_default();
        let texts = |ids: &Option<Vec<Id>>| {
            ids.as_ref()
                .map(|ids| ids.iter().map(Id::as_str).map(str::to_owned).collect::<Vec<_>>())
        };
        let mut document = json!({
            "region": self.region.as_ref().map(Region::as_str),
            "endpoint": self.endpoint,
            "address": self.address,
            "port": self.port,
            "from": self.from,
            "ephemeral": self.ephemeral,
            "asked_groups": texts(&self.asked_groups),
            "source": {
                "interface": source.interface.as_ref().map(Id::as_str),
                "addresses": source.addresses,
                "prefixes": source.prefixes.map(|ranges| ranges.iter().map(ToString::to_string).collect::<Vec<_>>()),
                "vpc": source.vpc.as_ref().map(Id::as_str),
                "subnet": source.subnet.as_ref().map(Id::as_str),
                "groups": texts(&source.groups),
                "owner": source.owner.as_ref().map(Account::as_str),
                "vpc_cidrs": source.vpc_cidrs.map(|ranges| ranges.iter().map(ToString::to_string).collect::<Vec<_>>()),
            },
        });
        // If a fact is unknown, its member is left out.
        if let Some(members) = document.as_object_mut() {
            members.retain(|_, value| !value.is_null());
            if let Some(source) = members.get_mut("source").and_then(Value::as_object_mut) {
                source.retain(|_, value| !value.is_null());
            }
        }
        document
    }

    /// Returns the range of local ports that the connection may have used, or `None` if it is not known.
    pub(super) fn ephemeral_ports(&self) -> Option<(u16, u16)> {
        match self.ephemeral.as_deref() {
            Some([first, last]) if first <= last => Some((*first, *last)),
            _ => None,
        }
    }
}
