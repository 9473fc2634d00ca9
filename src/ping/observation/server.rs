//! Defines the observations of what the server reports about itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;

use super::{Dial, NamedPrimary};
use crate::ping::response::{Response, is_unknown_command};
use crate::redis_client::{SLOTS, items, text};
use crate::sanitize;

/// The codes of error replies that only a cluster node sends.
pub(crate) const CLUSTER_ERRORS: [&str; 4] = ["MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"];

/// What the server reports about itself. If an ACL forbids a command, the reply to that command is missing.
#[derive(Clone, Debug, Default)]
pub struct ServerInfo {
    pub role: Option<Value>,
    pub hello: Option<Response>,
    pub info_error: Option<String>,
    /// The commands that got an error reply.
    pub refused: Vec<&'static str>,
    /// The fields in the reply to INFO. The map is shared, because observations are cloned after each check.
    pub fields: Arc<BTreeMap<String, String>>,
    /// The response to MULTI, which is sent only if the server seems not to support all of Redis's commands.
    pub multi: Option<Response>,
    /// The fields in the reply to CLUSTER INFO.
    pub cluster: BTreeMap<String, String>,
    /// The settings in the reply to CONFIG GET.
    pub settings: BTreeMap<String, String>,
    /// The response to a read request on a cluster node.
    pub cluster_read: Option<Response>,
    /// The first primary that a Sentinel lists.
    pub sentinel_primary: Option<NamedPrimary>,
    /// The attempts to connect to `sentinel_primary`.
    pub sentinel_primary_dials: Vec<Dial>,
    /// Whether an ACL forbids the command with which cluster clients find the nodes.
    pub is_topology_forbidden: bool,
    /// The attempts to connect to the addresses that the cluster nodes announce.
    pub announced: Vec<Dial>,
}

impl ServerInfo {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// Returns a number from INFO, or `None` if the field is missing, negative or not a whole number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }

    /// Returns those of HELLO, ROLE, MULTI and INFO that this server does not support.
    pub fn unsupported(&self) -> Vec<&'static str> {
        let is_unknown =
            |response: &Option<Response>| response.as_ref().is_some_and(Response::is_unknown_command);
        let commands = [
            ("INFO", self.info_error.as_deref().is_some_and(is_unknown_command)),
            ("HELLO", is_unknown(&self.hello)),
            ("ROLE", is_unknown(&self.role.clone().map(Response::Reply))),
            ("MULTI", is_unknown(&self.multi)),
        ];
        let unknown = commands.into_iter().filter(|(_, is_unknown)| *is_unknown);
        unknown.map(|(name, _)| name).collect()
    }

    /// Whether the server may support only some of Redis's commands. A Redis version before 6 does not count,
    /// although it lacks some commands.
    pub fn may_be_limited(&self) -> bool {
        !self.is_before(6) && !self.unsupported().is_empty()
    }

    /// Returns the idle time after which the server closes a connection, if it is known. Zero means that the
    /// server never closes idle connections.
    pub fn idle_limit(&self) -> Option<Duration> {
        self.setting("timeout")?.parse().ok().map(Duration::from_secs)
    }

    /// Returns the state of a FAILOVER command that is running, such as `waiting-for-sync`.
    pub fn failover(&self) -> Option<&str> {
        self.field("master_failover_state")
            .filter(|state| *state != "no-failover")
    }

    /// Returns a setting in the reply to CONFIG GET, if the reply contains it.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// Whether the server is Redis with a lower major version than `major`. False for servers other than
    /// Redis.
    pub fn is_before(&self, major: u64) -> bool {
        let version = self.field("redis_version").unwrap_or_default();
        let own = version.split('.').next().and_then(|own| own.parse::<u64>().ok());
        self.field("server_name").is_none() && own.is_some_and(|own| own < major)
    }

    /// Returns `cluster_state` from CLUSTER INFO: `ok` or `fail`. Returns `None` if the server did not report
    /// it.
    pub fn cluster_state(&self) -> Option<&str> {
        self.cluster.get("cluster_state").map(String::as_str)
    }

    /// Returns the number of slots without a node, or with a node that does not respond. Returns `None` if the
    /// server did not report it.
    pub fn failing_slots(&self) -> Option<u64> {
        Some(self.unassigned_slots()?.saturating_add(self.unanswered_slots()?))
    }

    /// Returns the number of slots that are assigned to no node, or `None` if the server did not report it.
    pub fn unassigned_slots(&self) -> Option<u64> {
        Some(u64::from(SLOTS).saturating_sub(self.slots("cluster_slots_assigned")?))
    }

    /// Returns the number of slots whose nodes do not respond, or `None` if the server did not report it.
    pub fn unanswered_slots(&self) -> Option<u64> {
        Some(
            self.slots("cluster_slots_fail")?
                .saturating_add(self.slots("cluster_slots_pfail")?),
        )
    }

    fn slots(&self, name: &str) -> Option<u64> {
        self.cluster.get(name)?.parse().ok()
    }

    /// Returns the role in Redis's words, such as `master`, `slave` or `sentinel`. Returns `None` if the role
    /// is unknown.
    pub fn role_name(&self) -> Option<String> {
        let name = items(self.role.as_ref()).first().and_then(text);
        name.or_else(|| self.field("role").map(str::to_owned))
    }

    /// Returns the role as it appears in messages, such as `primary`. Returns `None` if the role is unknown.
    pub fn role_text(&self) -> Option<String> {
        self.role_name().map(|name| role_text(&name))
    }

    pub fn is_sentinel(&self) -> bool {
        self.field("redis_mode") == Some("sentinel") || self.role_name().as_deref() == Some("sentinel")
    }

    /// Whether the server is a Sentinel that monitors no primary.
    pub fn watches_no_primary(&self) -> bool {
        self.is_sentinel() && self.number("sentinel_masters") == Some(0)
    }

    pub fn is_cluster(&self) -> bool {
        let read = self.cluster_read.as_ref().and_then(Response::error);
        self.field("cluster_enabled") == Some("1")
            || self.field("redis_mode") == Some("cluster")
            || self.cluster_state().is_some()
            || read.is_some_and(|error| CLUSTER_ERRORS.iter().any(|code| error.starts_with(code)))
    }

    pub fn is_replica(&self) -> bool {
        self.role_name().as_deref() == Some("slave")
    }

    /// Returns the host and port of the primary that a replica reports. Returns `None` if the server reports
    /// no primary.
    pub fn primary(&self) -> Option<(String, u16)> {
        if let [_, host, Value::Int(port), ..] = items(self.role.as_ref())
            && self.is_replica()
        {
            return Some((text(host)?, u16::try_from(*port).ok()?));
        }
        let port = self.field("master_port")?.parse().ok()?;
        Some((self.field("master_host")?.to_owned(), port))
    }

    /// Whether the server is a replica without a connection to its primary.
    pub fn has_lost_its_primary(&self) -> bool {
        let link = items(self.role.as_ref()).get(3).and_then(text);
        let is_down = matches!(
            link.as_deref(),
            Some("connect" | "connecting" | "handshake" | "none")
        );
        self.is_replica() && (is_down || self.field("master_link_status") == Some("down"))
    }
}

/// Converts a role in a Redis reply to the word for messages: `master` to `primary`, and `slave` to
/// `replica`.
pub(crate) fn role_text(name: &str) -> String {
    match name {
        "master" => "primary".into(),
        "slave" => "replica".into(),
        other => sanitize::line(other).into_owned(),
    }
}
