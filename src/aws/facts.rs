//! Facts that are available on this host without a request to AWS: the connection that was tried, and the EC2
//! instance.

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
        /// The remote address.
        address: IpAddr = "address",
        port: u16 = "port",
        /// The local address.
        from: IpAddr = "from",
        source: Source = "source",
        /// The first and last port of the kernel's range for outgoing connections.
        ephemeral: Vec<u16> = "ephemeral",
        /// The security groups whose rules were requested. If the documents contain no rules of such a group,
        /// the group has no rules or is not visible.
        asked_groups: Vec<Id> = "asked_groups",
    }
    /// The network interface of the EC2 instance that tried the connection.
    Source {
        interface: Id = "interface",
        addresses: Vec<IpAddr> = "addresses",
        /// Address prefixes that AWS delegates to the interface, for example for pods.
        prefixes: Vec<IpNet> = "prefixes",
        vpc: Id = "vpc",
        subnet: Id = "subnet",
        groups: Vec<Id> = "groups",
        owner: Account = "owner",
        vpc_cidrs: Vec<IpNet> = "vpc_cidrs",
    }
}

impl Facts {
    /// Parses the facts in a document. Returns `None` if the document contains none.
    pub(super) fn read_document(document: &Map<String, Value>) -> Option<Self> {
        let is_facts = ["source", "address", "port"]
            .iter()
            .all(|member| document.contains_key(*member));
        is_facts
            .then(|| Self::read(&Value::Object(document.clone())))
            .flatten()
    }

    /// Converts the facts to a JSON document.
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
        // Leave out the members whose values are unknown.
        if let Some(members) = document.as_object_mut() {
            members.retain(|_, value| !value.is_null());
            if let Some(source) = members.get_mut("source").and_then(Value::as_object_mut) {
                source.retain(|_, value| !value.is_null());
            }
        }
        document
    }

    /// Returns the first and last local port that the connection may have used, or `None` if unknown.
    pub(super) fn ephemeral_ports(&self) -> Option<(u16, u16)> {
        match self.ephemeral.as_deref() {
            Some([first, last]) if first <= last => Some((*first, *last)),
            _ => None,
        }
    }
}
