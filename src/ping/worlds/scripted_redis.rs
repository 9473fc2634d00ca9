//! Redis's replies to the commands that `ping` sends. The checks before each command are in the same order as
//! in `processCommand` in Redis 7.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use super::world::{Acl, CutAt, CutBy, CutOn, Db, Extra, Lacks, Login, Proxy, Role, Speed, State, World};
use super::{PASSWORD, USER};
use crate::ping::observation::SLOTS;

/// The delay of a slow reply.
const DELAY: Duration = Duration::from_millis(30);
const LONG_DELAY: Duration = Duration::from_millis(90);
/// A delay that is longer than `ping` waits before its experiments.
const LATE: Duration = Duration::from_millis(350);

/// What happens after a request.
pub(super) enum Next {
    Reply(String),
    /// Only the first part of the reply is sent.
    HalfReply,
    Silence,
    Close,
    Reset,
}

/// A client connection.
pub(super) struct Session {
    world: World,
    address: SocketAddr,
    /// The number of the connection, counted from 0.
    number: usize,
    is_logged_in: bool,
    is_in_transaction: bool,
    /// The most recent error since MULTI.
    refused: Option<String>,
    queued: usize,
    pings: usize,
    has_replied: bool,
}

impl Session {
    pub(super) fn new(world: World, address: SocketAddr, number: usize) -> Self {
        Self {
            world,
            address,
            number,
            is_logged_in: !world.requires_login(),
            is_in_transaction: false,
            refused: None,
            queued: 0,
            pings: 0,
            has_replied: false,
        }
    }

    pub(super) async fn reply(&mut self, request: &[Cow<'_, str>]) -> Next {
        let Some(name) = request.first().map(|name| name.to_uppercase()) else {
            return Next::Reply(String::new());
        };
        if let Some(cut) = self.cut(&name) {
            return cut;
        }
        self.pings += usize::from(name == "PING");
        match self.world.speed {
            Speed::Slow => tokio::time::sleep(DELAY).await,
            Speed::OneLate if self.pings == 3 => tokio::time::sleep(LONG_DELAY).await,
            Speed::SlowStart if !self.has_replied => tokio::time::sleep(LATE).await,
            Speed::Crawling => tokio::time::sleep(LONG_DELAY).await,
            _ => {}
        }
        self.has_replied = true;
        let arguments: Vec<&str> = request[1..].iter().map(AsRef::as_ref).collect();
        if let Some(next) = self.proxy(&name, &arguments) {
            return next;
        }
        if name == "EXEC" && self.world.state == State::WritesPaused && self.queued > 0 {
            return Next::Silence;
        }
        Next::Reply(match self.redis(&name, &arguments) {
            Ok(reply) => format!("{reply}\r\n"),
            Err(error) => {
                if self.is_in_transaction {
                    self.refused = Some(error.clone());
                }
                format!("-{error}\r\n")
            }
        })
    }

    fn cut(&self, name: &str) -> Option<Next> {
        let at = match name {
            "AUTH" => CutAt::AtAuth,
            "PING" => CutAt::AtPing,
            "SELECT" => CutAt::AtSelect,
            "HGETALL" => CutAt::AtRead,
            "ECHO" => CutAt::AtEcho,
            "HELLO" => CutAt::AtHello,
            "ROLE" => CutAt::AtRole,
            "INFO" => CutAt::AtInfo,
            _ => return None,
        };
        let is_spared = self.world.cut_on == CutOn::FirstConnection && self.number > 0;
        (self.world.cut_at == at && !is_spared).then_some(match self.world.cut_by {
            CutBy::Silence => Next::Silence,
            CutBy::Close => Next::Close,
            CutBy::Reset => Next::Reset,
            CutBy::HalfReply => Next::HalfReply,
        })
    }

    /// Returns what a proxy does with the command instead of Redis.
    fn proxy(&self, name: &str, arguments: &[&str]) -> Option<Next> {
        let is_answered_here = matches!(name, "PING" | "AUTH");
        match self.world.proxy {
            Proxy::NoBackendError if !is_answered_here => Some(Next::Reply("-no upstream host\r\n".into())),
            Proxy::NoBackendCloses if !is_answered_here => Some(Next::Close),
            Proxy::NoBackendSilent if !is_answered_here => Some(Next::Silence),
            Proxy::NoBackendHttp if !is_answered_here => Some(Next::Reply(
                "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".into(),
            )),
            Proxy::NoBackendLogin if !is_answered_here && self.is_logged_in => {
                Some(Next::Reply("-NOAUTH Authentication required.\r\n".into()))
            }
            Proxy::NoBackendLoginAtPing if name != "AUTH" && self.is_logged_in => {
                Some(Next::Reply("-NOAUTH Authentication required.\r\n".into()))
            }
            Proxy::OtherReply if name == "ECHO" => {
                let other = "x".repeat(arguments.concat().len());
                Some(Next::Reply(bulk(&other) + "\r\n"))
            }
            _ => None,
        }
    }

    fn redis(&mut self, name: &str, arguments: &[&str]) -> Result<String, String> {
        let world = self.world;
        if !self.supports(name) {
            return Err(format!(
                "ERR unknown command '{name}', with args beginning with: "
            ));
        }
        if name == "AUTH" {
            return self.log_in(arguments);
        }
        if !self.is_logged_in && name != "HELLO" {
            return Err("NOAUTH Authentication required.".into());
        }
        if let Some(error) = forbidden(world.acl, name) {
            return Err(error);
        }
        let is_write = matches!(name, "HSET" | "HINCRBY" | "EXPIRE" | "DEL");
        let is_served = match name {
            // These commands may be sent at any time.
            "HELLO" | "MULTI" | "EXEC" | "DISCARD" => true,
            "ECHO" | "SELECT" | "ROLE" | "INFO" | "CONFIG" => world.state != State::Busy,
            _ => false,
        };
        let refusal = match world.state {
            State::Misconf if is_write || name == "PING" => {
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
                 Commands that may modify the data set are disabled."
            }
            State::NoReplicas if is_write => "NOREPLICAS Not enough good replicas to write.",
            State::OutOfMemory if is_write && name != "DEL" && name != "EXPIRE" => {
                "OOM command not allowed when used memory > 'maxmemory'."
            }
            State::MasterDown if !is_served => {
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
            }
            State::Loading if !is_served => "LOADING Redis is loading the dataset in memory",
            State::Busy if !is_served => {
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
            }
            State::QuotaUsedUp if !is_served => {
                "ERR max daily request limit exceeded. Limit: 10000, Usage: 10000."
            }
            State::ReadsRefused if name == "HGETALL" => "ERR this database is suspended: see your plan",
            _ if is_write && world.is_replica() => "READONLY You can't write against a read only replica.",
            _ if world.role == Role::ClusterDown && (is_write || name == "HGETALL") => {
                "CLUSTERDOWN The cluster is down"
            }
            _ => "",
        };
        if !refusal.is_empty() {
            return Err(refusal.into());
        }
        if let Some(key) = arguments.first().filter(|_| is_write || name == "HGETALL")
            && world.is_cluster()
            && let slot = slot(key)
            && slot >= OTHER_NODE
        {
            return Err(format!("MOVED {slot} 127.0.0.1:{}", self.other_port()));
        }
        if self.is_in_transaction && !matches!(name, "EXEC" | "DISCARD") {
            self.queued += 1;
            return Ok("+QUEUED".into());
        }
        self.run(name, arguments)
    }

    fn supports(&self, name: &str) -> bool {
        let is_lacking = match self.world.lacks {
            Lacks::Nothing => false,
            Lacks::LacksPing => name == "PING",
            Lacks::LacksHello | Lacks::IsRedis5 => name == "HELLO",
            Lacks::LacksInfo => name == "INFO",
            Lacks::LacksInfoAndHello => matches!(name, "INFO" | "HELLO"),
            Lacks::LacksRead => name == "HGETALL",
            Lacks::LacksEcho => name == "ECHO",
            Lacks::LacksConfig => name == "CONFIG",
            Lacks::LacksMulti => name == "MULTI",
        };
        let is_known = if self.world.role == Role::Sentinel {
            matches!(name, "AUTH" | "HELLO" | "PING" | "ROLE" | "INFO" | "SENTINEL")
        } else {
            const OTHERS: [&str; 14] = [
                "SELECT", "HGETALL", "ECHO", "CONFIG", "CLUSTER", "TIME", "MULTI", "EXEC", "DISCARD", "HSET",
                "HINCRBY", "EXPIRE", "DEL", "AUTH",
            ];
            OTHERS.contains(&name) || matches!(name, "HELLO" | "PING" | "ROLE" | "INFO")
        };
        is_known && !is_lacking
    }

    fn log_in(&mut self, arguments: &[&str]) -> Result<String, String> {
        let (user, password) = match arguments {
            [password] => ("default", *password),
            [_, _] if self.world.lacks == Lacks::IsRedis5 => {
                return Err("ERR wrong number of arguments for 'auth' command".into());
            }
            [user, password] => (*user, *password),
            _ => return Err("ERR syntax error".into()),
        };
        let has_password = self.world.requires_login();
        if !has_password && arguments.len() == 1 {
            return Err(if self.world.lacks == Lacks::IsRedis5 {
                "ERR Client sent AUTH, but no password is set".into()
            } else {
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                 configuration is correct?"
                    .into()
            });
        }
        let is_known = match self.world.login {
            Login::UserAndPassword => user == USER,
            _ => user == "default",
        };
        if is_known && has_password && password == PASSWORD {
            self.is_logged_in = true;
            Ok("+OK".into())
        } else if self.world.lacks == Lacks::IsRedis5 {
            Err("ERR invalid password".into())
        } else {
            Err("WRONGPASS invalid username-password pair or user is disabled.".into())
        }
    }

    fn run(&mut self, name: &str, arguments: &[&str]) -> Result<String, String> {
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
            ("HELLO", _) => array(&[
                bulk("server"),
                bulk("redis"),
                bulk("version"),
                bulk(self.version()),
                bulk("proto"),
                ":2".into(),
                bulk("mode"),
                bulk(self.mode()),
                bulk("role"),
                bulk(if world.is_replica() { "replica" } else { "master" }),
            ]),
            ("ROLE", _) => self.role(),
            ("INFO", _) => bulk(&self.info()),
            ("CONFIG", [_, "timeout"]) => {
                let limit = if world.extra == Extra::IdleLimit {
                    "300"
                } else {
                    "0"
                };
                array(&[bulk("timeout"), bulk(limit)])
            }
            ("CONFIG", [_, "min-*-to-write"]) => {
                let replicas = if world.state == State::NoReplicas {
                    "1"
                } else {
                    "0"
                };
                array(&[bulk("min-replicas-to-write"), bulk(replicas)])
            }
            ("CLUSTER", _) if !world.is_cluster() => {
                return Err("ERR This instance has cluster support disabled".into());
            }
            ("CLUSTER", ["INFO"]) => bulk(&self.cluster_info()),
            ("CLUSTER", ["MYID"]) => bulk("node1"),
            ("CLUSTER", _) => self.cluster_slots(),
            ("SENTINEL", _) => array(&[array(&[
                bulk("name"),
                bulk("mymaster"),
                bulk("ip"),
                bulk("10.0.3.5"),
                bulk("port"),
                bulk("6379"),
            ])]),
            ("TIME", _) => {
                let now = crate::ping::rungs::tls::clock();
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
        let mut fields = vec![
            ("redis_version", self.version()),
            ("redis_mode", self.mode()),
            ("maxclients", "100"),
            ("used_memory", used),
            ("maxmemory", "100"),
            ("maxmemory_policy", policy),
            ("loading", yes_no(world.state == State::Loading)),
            ("cluster_enabled", yes_no(world.is_cluster())),
        ];
        fields.push((
            "connected_clients",
            if world.extra == Extra::NearlyAllClients {
                "97"
            } else {
                "3"
            },
        ));
        fields.push((
            "rdb_last_bgsave_status",
            if world.state == State::Misconf {
                "err"
            } else {
                "ok"
            },
        ));
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

    /// Returns the port of the other node. It is either a port without a listener, or the same port again.
    fn other_port(&self) -> u16 {
        match self.world.role {
            Role::ClusterNodeMissing | Role::ClusterUnreachable => 1,
            _ => self.address.port(),
        }
    }

    /// Returns the reply to CLUSTER SLOTS. This node serves half of the slots.
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

/// Returns the error reply to a command that the user is not allowed to run.
fn forbidden(acl: Acl, name: &str) -> Option<String> {
    let is_write = matches!(name, "HSET" | "HINCRBY" | "EXPIRE" | "DEL");
    let is_forbidden = match acl {
        Acl::AllAllowed => false,
        Acl::PingForbidden => name == "PING",
        Acl::ReadForbidden => name == "HGETALL",
        Acl::OtherKeysOnly if is_write || name == "HGETALL" => {
            return Some("NOPERM No permissions to access a key".into());
        }
        Acl::OtherKeysOnly => false,
        Acl::EchoForbidden => name == "ECHO",
        Acl::HsetForbidden => name == "HSET",
        Acl::HincrbyForbidden => name == "HINCRBY",
        Acl::ExpireForbidden => name == "EXPIRE",
        Acl::DelForbidden => name == "DEL",
        Acl::MultiForbidden => name == "MULTI",
        Acl::ExecForbidden => name == "EXEC",
        Acl::InfoForbidden => matches!(name, "INFO" | "ROLE" | "CONFIG" | "CLUSTER"),
        Acl::TutorialOnly => !is_write && !matches!(name, "HGETALL" | "MULTI" | "EXEC"),
        Acl::WritesForbidden => is_write,
        Acl::SelectForbidden => name == "SELECT",
        Acl::AllForbidden => true,
    };
    (is_forbidden && name != "HELLO").then(|| {
        let name = name.to_lowercase();
        format!("NOPERM User {USER} has no permissions to run the '{name}' command")
    })
}

/// The first slot of the other node of a cluster. The key of the read request is in a higher slot.
const OTHER_NODE: u16 = 8192;

fn slot(key: &str) -> u16 {
    crc16::State::<crc16::XMODEM>::calculate(key.as_bytes()) % SLOTS
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}", text.len())
}

/// Returns an array reply. The items are passed without their last line end.
fn array(items: &[String]) -> String {
    let mut reply = format!("*{}", items.len());
    for item in items {
        reply.push_str("\r\n");
        reply.push_str(item);
    }
    reply
}
