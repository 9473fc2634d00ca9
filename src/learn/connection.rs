//! The lessons' connection to Redis. Sends one command at a time. Ctrl-C ends every wait.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, RedisResult, Value};
use tokio::runtime::Runtime;

use crate::deadline::{DEFAULT_TIMEOUT, Deadline, if_quick};
use crate::exit::Exit;
use crate::ping::causes::{Cause, ErrorReply, Fix, FixContext, Scope};
use crate::ping::observation::Observations;
use crate::practice;
use crate::redis_client::error_text;
use crate::redis_client::fault::RedisFault;
use crate::redis_client::{RedisConnection, connect};
use crate::redis_url::{Origin, Target, Trust};
use crate::sanitize;
use crate::session::other_keys::count_other_keys;
use crate::signals::{self, Interrupted, Stop};

/// A callback for long waits for Redis. Receives the target when a wait becomes long, and `None` when the
/// wait ends.
pub(crate) type WaitNotice = Box<dyn FnMut(Option<&Target>) + Send>;

/// A function that returns the target for a new connection. The target changes if a different process takes
/// over the practice Redis.
pub(crate) type CurrentTarget = Arc<dyn Fn() -> Target + Send + Sync>;

/// A connection that is opened by the first command and, after a failure, by the next command.
pub(crate) struct LessonConnection {
    runtime: Runtime,
    current_target: CurrentTarget,
    stop: Stop,
    notice: WaitNotice,
    link: Link,
}

/// The connection itself, and what is needed to open it again.
struct Link {
    target: Target,
    trust: Trust,
    redis: Option<Connected>,
    /// Whether a transaction or a WATCH is active, which a broken connection would end.
    keeps_state: bool,
    /// Whether the server has identified itself as a practice Redis.
    is_named_practice: bool,
    was_open: bool,
}

struct Connected {
    redis: RedisConnection,
    used: Instant,
}

/// The idle time after which a connection is tested before use, because many servers close idle connections.
const IDLE: Duration = Duration::from_secs(1);

/// Why a command got no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl SendError {
    /// Returns why Redis is unavailable.
    pub(crate) fn unavailable(self) -> Result<Unavailable, Interrupted> {
        match self {
            Self::Unavailable(unavailable) => Ok(unavailable),
            Self::Interrupted(interrupted) => Err(interrupted),
        }
    }
}

/// Redis does not reply, or reports that it is unavailable.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Unavailable {
    pub what: String,
    /// Suggested fixes, the most promising first.
    pub fixes: Vec<String>,
    /// The exit status that `ping` would return for this problem.
    pub exit: Exit,
    /// Whether an established connection broke. If so, a new connection may work, or reveal the cause.
    pub was_connected: bool,
}

impl Unavailable {
    fn of(fault: RedisFault) -> Self {
        let advice = |fix: Fix| match fix.command {
            Some(command) => format!("{}: {command}", fix.text),
            None => fix.text,
        };
        Self {
            what: fault.summary,
            fixes: fault.fixes.into_iter().map(advice).collect(),
            exit: fault.exit,
            was_connected: false,
        }
    }
}

impl LessonConnection {
    /// Creates a connection that the first command opens.
    pub(crate) fn new(
        target: Target,
        current_target: CurrentTarget,
        trust: Trust,
        stop: Stop,
    ) -> io::Result<Self> {
        Ok(Self {
            runtime: signals::runtime()?,
            current_target,
            stop,
            notice: Box::new(|_| {}),
            link: Link {
                target,
                trust,
                redis: None,
                keeps_state: false,
                is_named_practice: false,
                was_open: false,
            },
        })
    }

    /// Sets the callback for waits of more than a second.
    pub(crate) fn with_notice(mut self, notice: WaitNotice) -> Self {
        self.notice = notice;
        self
    }

    fn update_target(&mut self) {
        if self.link.redis.is_none() {
            self.link.target = (self.current_target)();
        }
    }

    /// Returns a second connection to the same Redis server.
    pub(crate) fn another(&self) -> io::Result<Self> {
        let Link { target, trust, .. } = &self.link;
        let (current, stop) = (self.current_target.clone(), self.stop.clone());
        Self::new(target.clone(), current, trust.clone(), stop)
    }

    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    pub(crate) fn is_practice(&self) -> bool {
        self.link.target.origin == Origin::Practice || self.link.is_named_practice
    }

    /// Whether the lesson uses a Redis cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        let connected = self.link.redis.as_ref();
        connected.is_some_and(|connected| connected.redis.is_cluster())
    }

    /// Whether the connection is closed. In a cluster, checks the connection to the node that holds `key`.
    pub(crate) fn is_lost(&self, key: Option<&[u8]>) -> bool {
        let connected = self.link.redis.as_ref();
        connected.is_none_or(|connected| !connected.redis.is_connected(key.unwrap_or_default()))
    }

    pub(crate) fn close(&mut self) {
        self.link.redis = None;
        self.link.keeps_state = false;
    }

    /// Sets whether a transaction or a WATCH is active. While one is active, the connection is not
    /// replaced before a command, because a new connection would lose the transaction or the WATCH.
    pub(crate) fn keep_state(&mut self, keeps_state: bool) {
        self.link.keeps_state = keeps_state;
    }

    /// Sends a command and returns its reply, which may be an error reply. Returns [`SendError`] if there is
    /// no reply. The connection is then closed.
    pub(crate) fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<Value, SendError> {
        let command = command(words);
        self.run(async |redis| redis.reply(&command).await)
    }

    /// Sends a command to the cluster node that holds `key`. Returns [`SendError`] if there is no reply. The
    /// connection is then closed.
    pub(crate) fn ask_node_of(&mut self, key: &[u8], words: &[Vec<u8>]) -> Result<Value, SendError> {
        let command = command(words);
        self.run(async |redis| redis.reply_from(&command, key).await)
    }

    fn run(
        &mut self,
        work: impl AsyncFnOnce(&mut RedisConnection) -> RedisResult<Value>,
    ) -> Result<Value, SendError> {
        let reply = self.run_any(work).and_then(|reply| {
            let unavailable = unavailable(&reply, &self.link.target);
            unavailable.map_or(Ok(reply), |unavailable| Err(unavailable.into()))
        });
        if reply.is_err() {
            // Close the connection, because a late reply would be mistaken for the reply to the next command.
            // After a failover, the host name may also resolve to a different node.
            self.close();
        }
        reply
    }

    fn run_any<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut RedisConnection) -> RedisResult<T>,
    ) -> Result<T, SendError> {
        self.stop.check()?;
        self.update_target();
        let target = self.link.target.clone();
        let work = async {
            tokio::select! {
                done = self.link.send(work) => done.map_err(SendError::from),
                () = self.stop.asked() => Err(Interrupted.into()),
            }
        };
        self.runtime.block_on(reported(work, &target, &mut self.notice))
    }

    /// Returns the number of keys that sessiontut did not create, or `None` if Redis does not allow counting
    /// the keys.
    pub(crate) fn other_keys(&mut self) -> Result<Option<u64>, SendError> {
        self.run_any(count_other_keys)
    }

    /// Sends a cleanup command, even after Ctrl-C. Returns `None` if no reply arrives before the deadline.
    pub(crate) fn ask_at_the_end<W: AsRef<[u8]>>(
        &mut self,
        words: &[W],
        deadline: Deadline,
    ) -> Option<Value> {
        self.update_target();
        self.link.keeps_state = false;
        let (command, target) = (command(words), self.link.target.clone());
        let sent = self.link.send(async |redis| redis.reply(&command).await);
        let sent = reported(deadline.bound(sent), &target, &mut self.notice);
        self.runtime.block_on(sent).ok()?.ok()
    }

    pub(crate) fn sleep(&self, span: Duration) -> Result<(), Interrupted> {
        self.runtime.block_on(self.stop.sleep(span))
    }
}

fn command<W: AsRef<[u8]>>(words: &[W]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(word.as_ref());
    }
    command
}

/// Waits for `work`, and calls `notice` if the wait is long.
async fn reported<T>(work: impl Future<Output = T>, target: &Target, notice: &mut WaitNotice) -> T {
    let mut work = pin!(work);
    if let Some(done) = if_quick(work.as_mut()).await {
        return done;
    }
    notice(Some(target));
    let done = work.await;
    notice(None);
    done
}

impl Link {
    /// Connects if necessary, then runs `work`.
    async fn send<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut RedisConnection) -> RedisResult<T>,
    ) -> Result<T, Unavailable> {
        if let Some(connected) = &mut self.redis
            && !self.keeps_state
            && connected.used.elapsed() > IDLE
            && !matches!(answer(&mut connected.redis, &["PING"]).await, Some(Ok(_)))
        {
            self.redis = None;
        }
        let connected = match self.redis {
            Some(ref mut connected) => connected,
            None => {
                let redis = self.connect().await?;
                let used = Instant::now();
                self.redis.insert(Connected { redis, used })
            }
        };
        let done = Deadline::after(DEFAULT_TIMEOUT)
            .bound(work(&mut connected.redis))
            .await;
        connected.used = Instant::now();
        let what = match done {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(error)) => format!("the connection failed: {error}"),
            Err(_) => format!("no reply within {} s", DEFAULT_TIMEOUT.as_secs()),
        };
        Err(Unavailable {
            what,
            fixes: Vec::new(),
            exit: Exit::Server,
            was_connected: true,
        })
    }

    /// Opens a connection. If Redis was reachable before but TCP now fails, Redis has probably been stopped, so
    /// the first suggested fix is to start Redis again.
    async fn connect(&mut self) -> Result<RedisConnection, Unavailable> {
        let opened = connect::open(&self.target, &self.trust, Deadline::after(DEFAULT_TIMEOUT)).await;
        let mut redis = opened.map_err(|unreachable| {
            let fault = RedisFault::of_verdict(&unreachable.verdict);
            let may_be_stopped = self.was_open && fault.code.starts_with("tcp.");
            let mut unavailable = Unavailable::of(fault);
            if may_be_stopped {
                let fix =
                    "check whether Redis, which was available before, is still running. If not, start it again";
                unavailable.fixes.insert(0, fix.to_owned());
            }
            unavailable
        })?;
        self.was_open = true;
        let info = answer(&mut redis, &["INFO", "server"]).await;
        self.is_named_practice = matches!(info, Some(Ok(info)) if names_practice(&info));
        Ok(redis)
    }
}

/// Sends a command that is not part of the lesson. Returns `None` after a timeout.
async fn answer(redis: &mut RedisConnection, words: &[&str]) -> Option<RedisResult<Value>> {
    let command = command(words);
    let reply = Deadline::after(DEFAULT_TIMEOUT).bound(redis.reply(&command));
    reply.await.ok()
}

/// Whether this reply to INFO comes from a practice Redis.
fn names_practice(info: &Value) -> bool {
    let text = match info {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes),
        Value::VerbatimString { text, .. } => text.into(),
        _ => return false,
    };
    let mut lines = text.lines();
    lines.any(|line| line.strip_prefix("server_name:") == Some(practice::SERVER_NAME))
}

/// Returns the problem if an error reply is about the Redis server or missing permissions. Returns `None` for
/// all other replies.
fn unavailable(reply: &Value, target: &Target) -> Option<Unavailable> {
    let Value::ServerError(error) = reply else {
        return None;
    };
    let text = error_text(error);
    // If an ACL forbids one of the lesson's commands, the lesson cannot be completed.
    let ends_the_lesson =
        |known: &&ErrorReply| known.scope == Scope::Server || known.cause == Cause::AuthNoPermission;
    ErrorReply::of(&text).filter(ends_the_lesson)?;
    let seen = Observations::default();
    let context = FixContext::of(target, &seen);
    let fault = RedisFault::of_error(&error.clone().into(), &context);
    Some(Unavailable {
        what: format!("{}: {}", fault.summary, sanitize::line(&text)),
        ..Unavailable::of(fault)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reply_about_redis_itself_is_not_a_reply_to_the_command() {
        let target = Target::parse("redis://10.0.0.7:6380").unwrap();
        let found = |line: &str| {
            let reply = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
            unavailable(&reply, &target)
        };
        let replica = found("READONLY You can't write against a read only replica.").unwrap();
        assert_eq!(replica.exit, Exit::Server);
        assert!(!replica.fixes.is_empty());
        let fixes = found("MISCONF Redis is configured to save RDB snapshots, and cannot")
            .unwrap()
            .fixes;
        assert!(fixes.join("\n").contains("-h 10.0.0.7 -p 6380"), "{fixes:?}");
        assert!(found("LOADING Redis is loading the dataset in memory").is_some());
        assert!(found("WRONGTYPE Operation against a key").is_none());
        let forbidden = found("NOPERM this user has no permissions to run the 'hset' command").unwrap();
        assert_eq!(forbidden.exit, Exit::Auth);
        assert!(!forbidden.fixes.is_empty());
    }
}
