//! Observations of what the server reports about itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;

use super::{Dial, NamedPrimary};
use crate::ping::response::{Response, is_unknown_command, items, text};
use crate::sanitize;

/// The number of hash slots in a cluster.
pub(crate) const SLOTS: u16 = 16384;

/// What the server reports about itself. If an ACL forbids a command, the reply to that command is missing.
#[derive(Clone, Debug, Default)]
pub struct ServerInfo {
    /// The reply to ROLE.
    pub role: Option<Value>,
    /// The response to HELLO.
    pub hello: Option<Response>,
    /// The error reply to INFO.
    pub info_error: Option<String>,
    /// The commands that got an error reply.
    pub refused: Vec<&'static str>,
    /// The fields in the reply to INFO. They are shared, because observations are cloned after each rung.
    pub fields: Arc<BTreeMap<String, String>>,
    /// The response to MULTI. MULTI is sent only if the server does not support another Redis command.
    pub multi: Option<Response>,
    /// The fields in the reply to CLUSTER INFO.
    pub cluster: BTreeMap<String, String>,
    /// The settings that CONFIG GET has returned.
    pub settings: BTreeMap<String, String>,
    /// The response to a read request on a cluster node.
    pub cluster_read: Option<Response>,
    /// The first primary that a Sentinel reports.
    pub sentinel_primary: Option<NamedPrimary>,
    /// The attempts to connect to that primary.
    pub sentinel_primary_dials: Vec<Dial>,
    /// The connection attempts to the nodes that a cluster announces.
    pub announced: Vec<Dial>,
}

impl ServerInfo {
    /// Returns the field of INFO with this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// Returns the field of INFO with this name, or `None` if it is absent, negative or not a whole number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }

    /// Returns the commands that `ping` has sent, and that Redis supports but this server does not.
    pub fn unsupported(&self) -> Vec<&'static str> {
        let role = self.role.clone().map(Response::Reply);
        let responses = [
            ("HELLO", self.hello.as_ref()),
            ("ROLE", role.as_ref()),
            ("MULTI", self.multi.as_ref()),
        ];
        let info = self.info_error.as_deref().is_some_and(is_unknown_command);
        let is_unknown = |response: Option<&Response>| response.is_some_and(Response::is_unknown_command);
        let others = responses
            .into_iter()
            .filter(|(_, response)| is_unknown(*response));
        info.then_some("INFO")
            .into_iter()
            .chain(others.map(|(name, _)| name))
            .collect()
    }

    /// Whether this may be a service with a limited set of commands: it does not support some Redis commands,
    /// although it is not an old version. HELLO was added in Redis 6.
    pub fn may_be_limited(&self) -> bool {
        !self.is_before(6) && !self.unsupported().is_empty()
    }

    /// Returns the idle time after which the server itself closes a connection, or zero if it does not close
    /// any.
    pub fn idle_limit(&self) -> Option<Duration> {
        self.setting("timeout")?.parse().ok().map(Duration::from_secs)
    }

    /// Returns the setting with this name in CONFIG GET.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// Whether this is Redis with a lower major version than `major`. False for other servers.
    pub fn is_before(&self, major: u64) -> bool {
        let version = self
            .field("redis_version")
            .and_then(|version| version.split('.').next());
        self.field("server_name").is_none()
            && version
                .and_then(|version| version.parse().ok())
                .is_some_and(|version: u64| version < major)
    }

    /// Returns `cluster_state` from CLUSTER INFO, which is `ok` or `fail`.
    pub fn cluster_state(&self) -> Option<&str> {
        self.cluster.get("cluster_state").map(String::as_str)
    }

    /// Returns the number of slots that have no node, or whose node does not reply.
    pub fn failing_slots(&self) -> Option<u64> {
        let count = |name: &str| self.cluster.get(name)?.parse::<u64>().ok();
        let failing = count("cluster_slots_fail")?.saturating_add(count("cluster_slots_pfail")?);
        Some(
            u64::from(SLOTS)
                .saturating_sub(count("cluster_slots_assigned")?)
                .saturating_add(failing),
        )
    }

    /// Returns `master`, `slave` or `sentinel`.
    pub fn role_name(&self) -> Option<String> {
        items(self.role.as_ref())
            .first()
            .and_then(text)
            .or_else(|| self.field("role").map(str::to_owned))
    }

    /// Returns the role under the name that messages use.
    pub fn role_text(&self) -> Option<String> {
        self.role_name().map(|name| role_text(&name))
    }

    /// Whether this is a Sentinel.
    pub fn is_sentinel(&self) -> bool {
        self.field("redis_mode") == Some("sentinel") || self.role_name().as_deref() == Some("sentinel")
    }

    /// Whether this is a Sentinel that does not watch any primary.
    pub fn watches_no_primary(&self) -> bool {
        self.is_sentinel() && self.number("sentinel_masters") == Some(0)
    }

    /// Whether this is a cluster node.
    pub fn is_cluster(&self) -> bool {
        let read = self.cluster_read.as_ref().and_then(Response::error);
        self.field("cluster_enabled") == Some("1")
            || self.field("redis_mode") == Some("cluster")
            || self.cluster_state().is_some()
            || read.is_some_and(|error| error.starts_with("MOVED") || error.starts_with("CLUSTERDOWN"))
    }

    /// Whether this is a replica.
    pub fn is_replica(&self) -> bool {
        self.role_name().as_deref() == Some("slave")
    }

    /// Returns the host and port of a replica's primary, as the replica sees them.
    pub fn primary(&self) -> Option<(String, u16)> {
        if let [_, host, Value::Int(port), ..] = items(self.role.as_ref())
            && self.is_replica()
        {
            return Some((text(host)?, u16::try_from(*port).ok()?));
        }
        let port = self.field("master_port")?.parse().ok()?;
        Some((self.field("master_host")?.to_owned(), port))
    }

    /// Whether this is a replica that is not connected to its primary.
    pub fn has_lost_its_primary(&self) -> bool {
        let link = items(self.role.as_ref()).get(3).and_then(text);
        self.is_replica()
            && (self.field("master_link_status") == Some("down")
                || link.is_some_and(|link| {
                    matches!(link.as_str(), "connect" | "connecting" | "handshake" | "none")
                }))
    }
}
/// Converts a role in a Redis reply to the name that messages use: `master` to `primary`, and `slave` to
/// `replica`.
pub(crate) fn role_text(name: &str) -> String {
    match name {
        "master" => "primary".into(),
        "slave" => "replica".into(),
        other => sanitize::line(other).into_owned(),
    }
}
