//! Builds the replies of the scripted Redis server to the commands that `ping` sends.

use super::parts::{Db, Extra, Lacks, Role, State};
use super::scripted_redis::Session;
use crate::clock::unix_now;
use crate::redis_client::SLOTS;

impl Session {
    pub(super) fn run(&mut self, name: &str, arguments: &[&str]) -> Result<String, String> {
        let world = self.world;
        Ok(match (name, arguments) {
            ("PING", _) => "+PONG".into(),
            ("ECHO", [value]) => bulk(value),
            ("SELECT", [_]) if world.is_cluster() => {
                return Err("ERR SELECT is not allowed in cluster mode".into());
            }
            ("SELECT", _) if world.db == Db::DbTooHigh => return Err("ERR DB index is out of range".into()),
            ("SELECT", _) => "+OK".into(),
            ("HGETALL", _) => "*0".into(),
            ("HELLO", _) => self.hello(),
            ("ROLE", _) => self.role(),
            ("INFO", _) => bulk(&self.info()),
            ("CONFIG", [_, pattern]) => self.settings(pattern),
            ("CLUSTER", _) if !world.is_cluster() => {
                return Err("ERR This instance has cluster support disabled".into());
            }
            ("CLUSTER", ["INFO"]) => bulk(&self.cluster_info()),
            ("CLUSTER", ["MYID"]) => bulk("node1"),
            ("CLUSTER", _) => self.cluster_slots(),
            ("SENTINEL", _) => sentinel_masters(),
            ("TIME", _) => {
                let now = unix_now();
                array(&[bulk(&now.to_string()), bulk("0")])
            }
            ("MULTI", _) => {
                self.is_in_transaction = true;
                (self.queued, self.refused) = (0, None);
                "+OK".into()
            }
            ("EXEC" | "DISCARD", _) if !self.is_in_transaction => {
                return Err(format!("ERR {name} without MULTI"));
            }
            ("DISCARD", _) => {
                self.is_in_transaction = false;
                "+OK".into()
            }
            ("EXEC", _) => {
                self.is_in_transaction = false;
                if self.refused.take().is_some() {
                    return Err("EXECABORT Transaction discarded because of previous errors.".into());
                }
                array(&vec![":1".to_owned(); self.queued])
            }
            ("HSET" | "HINCRBY" | "EXPIRE" | "DEL", _) => {
                return Err("ERR value is not an integer or out of range".into());
            }
            _ => {
                return Err(format!(
                    "ERR unknown command '{name}', with args beginning with: "
                ));
            }
        })
    }

    fn hello(&self) -> String {
        array(&[
            bulk("server"),
            bulk("redis"),
            bulk("version"),
            bulk(self.version()),
            bulk("proto"),
            ":2".into(),
            bulk("mode"),
            bulk(self.mode()),
            bulk("role"),
            bulk(if self.world.is_replica() {
                "replica"
            } else {
                "master"
            }),
        ])
    }

    /// Returns the reply to CONFIG GET with this pattern.
    fn settings(&self, pattern: &str) -> String {
        let (name, is_set, value) = match pattern {
            "timeout" => (pattern, self.world.extra == Extra::IdleLimit, "300"),
            _ => (
                "min-replicas-to-write",
                self.world.state == State::NoReplicas,
                "1",
            ),
        };
        array(&[bulk(name), bulk(if is_set { value } else { "0" })])
    }

    fn version(&self) -> &'static str {
        if self.world.lacks == Lacks::IsRedis5 {
            "5.0.7"
        } else {
            "7.0.15"
        }
    }

    fn mode(&self) -> &'static str {
        match self.world.role {
            Role::Sentinel => "sentinel",
            _ if self.world.is_cluster() => "cluster",
            _ => "standalone",
        }
    }

    fn is_linked(&self) -> bool {
        self.world.role != Role::StaleReplica && self.world.state != State::MasterDown
    }

    fn role(&self) -> String {
        if self.world.role == Role::Sentinel {
            return array(&[bulk("sentinel"), array(&[bulk("mymaster")])]);
        }
        if self.world.is_replica() {
            let link = if self.is_linked() { "connected" } else { "connect" };
            return array(&[
                bulk("slave"),
                bulk("10.0.3.5"),
                ":6379".into(),
                bulk(link),
                ":-1".into(),
            ]);
        }
        array(&[bulk("master"), ":0".into(), "*0".into()])
    }

    fn info(&self) -> String {
        let world = self.world;
        let yes_no = |yes: bool| if yes { "1" } else { "0" };
        let (used, policy) = match world.extra {
            Extra::EvictsAllKeys => ("50", "allkeys-lru"),
            Extra::NearlyFull => ("95", "noeviction"),
            _ => ("50", "noeviction"),
        };
        let clients = if world.extra == Extra::NearlyAllClients {
            "97"
        } else {
            "3"
        };
        let last_save = if world.state == State::Misconf {
            "err"
        } else {
            "ok"
        };
        let mut fields = vec![
            ("redis_version", self.version()),
            ("redis_mode", self.mode()),
            ("maxclients", "100"),
            ("connected_clients", clients),
            ("used_memory", used),
            ("maxmemory", "100"),
            ("maxmemory_policy", policy),
            ("loading", yes_no(world.state == State::Loading)),
            ("rdb_last_bgsave_status", last_save),
            ("cluster_enabled", yes_no(world.is_cluster())),
        ];
        if world.state == State::NoReplicas {
            fields.push(("min_slaves_good_slaves", "0"));
        }
        if world.is_replica() {
            fields.push(("role", "slave"));
            fields.push(("master_host", "10.0.3.5"));
            fields.push(("master_port", "6379"));
            fields.push(("master_link_status", if self.is_linked() { "up" } else { "down" }));
        } else if world.role != Role::Sentinel {
            fields.push(("role", "master"));
        }
        fields
            .iter()
            .map(|(name, value)| format!("{name}:{value}\r\n"))
            .collect()
    }

    fn cluster_info(&self) -> String {
        let (state, missing) = match self.world.role {
            Role::ClusterDown => ("fail", 5461),
            Role::ClusterWithHoles => ("ok", 5461),
            _ => ("ok", 0),
        };
        format!(
            "cluster_state:{state}\r\ncluster_slots_assigned:16384\r\ncluster_slots_ok:{}\r\n\
             cluster_slots_pfail:0\r\ncluster_slots_fail:{missing}\r\n",
            16384 - missing
        )
    }

    /// Returns the port that is announced for the second cluster node: this node's own port or, if the second
    /// node must be unreachable, a port on which no process listens.
    pub(super) fn other_port(&self) -> u16 {
        match self.world.role {
            Role::ClusterNodeMissing | Role::ClusterUnreachable => 1,
            _ => self.address.port(),
        }
    }

    /// Returns the reply to CLUSTER SLOTS, in which this node serves half of the slots.
    fn cluster_slots(&self) -> String {
        let node = |port: u16, id: &str| array(&[bulk("127.0.0.1"), format!(":{port}"), bulk(id)]);
        let own = match self.world.role {
            Role::ClusterUnreachable => 1,
            _ => self.address.port(),
        };
        let last = OTHER_NODE - 1;
        array(&[
            array(&[":0".into(), format!(":{last}"), node(own, "node1")]),
            array(&[
                format!(":{OTHER_NODE}"),
                ":16383".into(),
                node(self.other_port(), "node2"),
            ]),
        ])
    }
}

fn sentinel_masters() -> String {
    array(&[array(&[
        bulk("name"),
        bulk("mymaster"),
        bulk("ip"),
        bulk("10.0.3.5"),
        bulk("port"),
        bulk("6379"),
    ])])
}

/// The first slot of the second cluster node. The key of the read request is in one of the second node's
/// slots.
pub(super) const OTHER_NODE: u16 = 8192;

pub(super) fn slot(key: &str) -> u16 {
    crc16::State::<crc16::XMODEM>::calculate(key.as_bytes()) % SLOTS
}

pub(super) fn bulk(text: &str) -> String {
    format!("${}\r\n{text}", text.len())
}

/// Returns an array reply. Neither the reply nor the items end with a line ending.
fn array(items: &[String]) -> String {
    let mut reply = format!("*{}", items.len());
    for item in items {
        reply.push_str("\r\n");
        reply.push_str(item);
    }
    reply
}
