//! Imitates a Redis server with the faults of a world. Checks commands in the same order as `processCommand`
//! in Redis 7.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use super::parts::{Acl, CutAt, CutBy, CutOn, Lacks, Login, Proxy, Role, Speed, State};
use super::scripted_replies::{OTHER_NODE, bulk, slot};
use super::world::World;
use super::{PASSWORD, USER};

/// The delay of a slow reply.
const DELAY: Duration = Duration::from_millis(30);
const LONG_DELAY: Duration = Duration::from_millis(90);
/// A delay after which `ping` already runs experiments.
const LATE: Duration = Duration::from_millis(350);

/// What the server does after a request.
pub(super) enum Next {
    Reply(String),
    /// Sends only the first part of the reply.
    HalfReply,
    Silence,
    Close,
    Reset,
}

pub(super) struct Session {
    pub(super) world: World,
    pub(super) address: SocketAddr,
    /// The number of the connection, counted from 0.
    number: usize,
    is_logged_in: bool,
    pub(super) is_in_transaction: bool,
    /// The most recent error reply since MULTI, if there was one.
    pub(super) refused: Option<String>,
    pub(super) queued: usize,
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

    /// Returns what a proxy does with a command that it does not forward. Returns `None` if the command
    /// reaches Redis.
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
        if let Some(refusal) = self.refusal(name) {
            return Err(refusal.into());
        }
        if let Some(key) = arguments.first().filter(|_| is_write(name) || name == "HGETALL")
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

    /// Returns the error reply to a command that the server's state or role does not allow. Returns `None` if
    /// the command is allowed.
    fn refusal(&self, name: &str) -> Option<&'static str> {
        let world = self.world;
        let is_write = is_write(name);
        let is_served = match name {
            // These commands are always allowed.
            "HELLO" | "MULTI" | "EXEC" | "DISCARD" => true,
            "ECHO" | "SELECT" | "ROLE" | "INFO" | "CONFIG" => world.state != State::Busy,
            _ => false,
        };
        Some(match world.state {
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
            _ => return None,
        })
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
}

fn is_write(name: &str) -> bool {
    matches!(name, "HSET" | "HINCRBY" | "EXPIRE" | "DEL")
}

/// Returns the error reply to a command that the user has no permission to run. Returns `None` if the command
/// is permitted.
fn forbidden(acl: Acl, name: &str) -> Option<String> {
    let is_write = is_write(name);
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
