//! The lesson's connection to Redis: RESP2, one command at a time, following a cluster's redirections.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value};
use tokio::runtime::Runtime;

use crate::deadline::{Deadline, if_quick};
use crate::exit::Exit;
use crate::ping::causes::{Fix, FixContext};
use crate::ping::observation::Observations;
use crate::ping::{self, ClimbOptions};
use crate::redis_client::error_replies::{ErrorReply, Scope};
use crate::redis_client::{self, Limits, Stream, error_text};
use crate::redis_url::{Address, Origin, Target, Trust};
use crate::sanitize;
use crate::session::other_keys::OtherKeys;
use crate::signals::{self, Interrupted, Stop};

/// What one command may take: a lesson's commands are answered in milliseconds by any Redis that is well.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What the whole way to Redis may take, name look-up and TLS included.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Redirections that one command follows: a slot on the move needs two.
const MOST_REDIRECTIONS: usize = 5;

/// Hears what is being waited for, and nothing when the wait is over.
pub(crate) type Notice = Box<dyn FnMut(Option<&Target>)>;

/// Returns the target of a new connection; see [`Connection::following`].
pub(crate) type CurrentTarget = Arc<dyn Fn() -> Target + Send + Sync>;

/// A way to Redis, and the connections that were made on it.
pub(crate) struct Connection {
    runtime: Runtime,
    target: Target,
    current_target: Option<CurrentTarget>,
    trust: Trust,
    stop: Stop,
    notice: Notice,
    nodes: HashMap<String, redis_client::Connection<Stream>>,
    /// The node of the last command, which commands without a key go to.
    current: Option<String>,
}

/// Why there is no reply: none of it is the learner's doing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// Redis does not answer.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Ctrl-C.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// Redis does not answer, in the words of `ping`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}")]
pub(crate) struct Unavailable {
    /// What happened.
    pub what: String,
    /// What to do about it, most promising first.
    pub fixes: Vec<String>,
    /// The status that `ping` would exit with.
    pub exit: Exit,
    /// It happened while connecting, so `what` is all that is known. If not, an established connection broke.
    pub while_connecting: bool,
}

impl Connection {
    /// A way to `target`; nothing is connected yet.
    ///
    /// # Errors
    /// The system gives no runtime.
    pub(crate) fn new(target: Target, trust: Trust, stop: Stop) -> io::Result<Self> {
        Ok(Self {
            runtime: signals::runtime()?,
            target,
            current_target: None,
            trust,
            stop,
            notice: Box::new(|_| {}),
            nodes: HashMap::new(),
            current: None,
        })
    }

    /// Has somebody told of waits that are long enough to be noticed.
    #[must_use]
    pub(crate) fn telling(mut self, notice: Notice) -> Self {
        self.notice = notice;
        self
    }

    /// Asks for the target again before every new connection: the process that served the practice Redis may have ended.
    #[must_use]
    pub(crate) fn following(mut self, current_target: CurrentTarget) -> Self {
        self.current_target = Some(current_target);
        self
    }

    fn update_target(&mut self) {
        if let Some(current_target) = self.current_target.as_ref().filter(|_| self.nodes.is_empty()) {
            self.target = current_target();
        }
    }

    /// Where it leads.
    #[must_use]
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Opens another connection to the same Redis.
    pub(crate) fn another(&self) -> impl FnOnce() -> io::Result<Self> + Send + 'static {
        let (target, trust, stop) = (self.target.clone(), self.trust.clone(), self.stop.clone());
        let current_target = self.current_target.clone();
        move || {
            let connection = Self::new(target, trust, stop)?;
            Ok(match current_target {
                Some(current_target) => connection.following(current_target),
                None => connection,
            })
        }
    }

    /// What ends its waits.
    #[must_use]
    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Whether it leads to the practice Redis.
    #[must_use]
    pub(crate) fn is_practice(&self) -> bool {
        self.target.origin == Origin::Practice
    }

    /// Drops every connection; the next command makes new ones.
    pub(crate) fn close(&mut self) {
        self.nodes.clear();
        self.current = None;
    }

    /// Sends one command and returns its reply; an error reply is a reply.
    ///
    /// # Errors
    /// [`SendError`]; the connections are forgotten then, since a late reply would answer the wrong command.
    pub(crate) fn ask(&mut self, words: &[Vec<u8>]) -> Result<Value, SendError> {
        let mut command = Cmd::new();
        for word in words {
            command.arg(word.as_slice());
        }
        self.send(&command)
    }

    fn send(&mut self, command: &Cmd) -> Result<Value, SendError> {
        self.stop.check()?;
        self.update_target();
        let Self {
            runtime,
            target,
            trust,
            stop,
            notice,
            nodes,
            current,
            ..
        } = self;
        let mut route = Route {
            target,
            trust,
            nodes,
            current,
        };
        let answer = runtime.block_on(async {
            let work = route.ask(command);
            tokio::select! {
                answer = noticed(work, target, notice) => answer.map_err(SendError::from),
                () = stop.asked() => Err(Interrupted.into()),
            }
        });
        if matches!(answer, Err(SendError::Interrupted(_))) {
            (self.notice)(None);
        }
        let answer = answer.and_then(|reply| match unavailable(&reply, &self.target) {
            None => Ok(reply),
            Some(refused) => Err(refused.into()),
        });
        if answer.is_err() {
            // A late reply would answer the wrong command. After a failover, the host name leads to another node.
            self.close();
        }
        answer
    }

    /// The same, with words that are text.
    ///
    /// # Errors
    /// [`SendError`].
    pub(crate) fn ask_text(&mut self, words: &[&str]) -> Result<Value, SendError> {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        self.ask(&words)
    }

    /// How many keys there are that this program has not made; none where this user may not ask.
    ///
    /// # Errors
    /// [`SendError`].
    pub(crate) fn other_keys(&mut self) -> Result<Option<u64>, SendError> {
        let mut others = OtherKeys::default();
        while let Some(command) = others.command() {
            let reply = self.send(&command)?;
            if matches!(reply, Value::ServerError(_)) {
                return Ok(None);
            }
            // In a cluster, these are the keys of the current node.
            others.read(&reply, false);
        }
        Ok(Some(others.count()))
    }

    /// Tidies up after Ctrl-C: the same command, without heeding the signal, within `deadline`.
    pub(crate) fn ask_at_the_end<W: AsRef<[u8]>>(
        &mut self,
        words: &[W],
        deadline: Deadline,
    ) -> Option<Value> {
        self.update_target();
        let mut command = Cmd::new();
        for word in words {
            command.arg(word.as_ref());
        }
        let Self {
            runtime,
            target,
            trust,
            notice,
            nodes,
            current,
            ..
        } = self;
        let mut route = Route {
            target,
            trust,
            nodes,
            current,
        };
        let answer = runtime.block_on(async {
            let work = route.ask(&command);
            deadline.bound(noticed(work, target, notice)).await.ok()?.ok()
        });
        if answer.is_none() {
            (self.notice)(None);
        }
        answer
    }

    /// Sleeps for `span`.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub(crate) fn sleep(&self, span: Duration) -> Result<(), Interrupted> {
        self.runtime.block_on(self.stop.sleep(span))
    }
}

/// Waits for `work`; after one second, `notice` reports what for.
async fn noticed<T>(work: impl Future<Output = T>, target: &Target, notice: &mut Notice) -> T {
    let mut work = pin!(work);
    if let Some(done) = if_quick(work.as_mut()).await {
        return done;
    }
    notice(Some(target));
    let done = work.await;
    notice(None);
    done
}

/// The parts of a [`Connection`] that sending needs.
struct Route<'a> {
    target: &'a Target,
    trust: &'a Trust,
    nodes: &'a mut HashMap<String, redis_client::Connection<Stream>>,
    current: &'a mut Option<String>,
}

impl Route<'_> {
    async fn ask(&mut self, command: &Cmd) -> Result<Value, Unavailable> {
        let mut node = self.current.clone().unwrap_or_default();
        let mut asking = false;
        for _ in 0..MOST_REDIRECTIONS {
            let reply = self.ask_node(&node, command, asking).await?;
            let Some((moved, to)) = redirection(&reply) else {
                *self.current = Some(node);
                return Ok(reply);
            };
            asking = !moved;
            node = to;
        }
        Err(Unavailable {
            what: "the cluster sends us in circles: it may be moving slots just now".into(),
            fixes: Vec::new(),
            exit: Exit::Server,
            while_connecting: false,
        })
    }

    /// Asks one node: the empty name is the target itself.
    async fn ask_node(&mut self, node: &str, command: &Cmd, asking: bool) -> Result<Value, Unavailable> {
        let address = self.address_of(node);
        let connection = match self.nodes.entry(node.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(dial(&address, self.trust).await?),
        };
        let commands: Vec<Cmd> = asking
            .then(|| redis::cmd("ASKING"))
            .into_iter()
            .chain([command.clone()])
            .collect();
        let answer = connection
            .ask(&commands, Limits::LARGE, Deadline::after(ANSWER_WITHIN))
            .await;
        match answer {
            Ok(mut replies) => Ok(replies.pop().unwrap_or(Value::Nil)),
            Err(fault) => Err(Unavailable {
                what: fault.to_string(),
                fixes: Vec::new(),
                exit: Exit::Server,
                while_connecting: false,
            }),
        }
    }

    fn address_of(&self, node: &str) -> Target {
        let mut target = self.target.clone();
        if let Some((host, port)) = node.rsplit_once(':')
            && let Ok(port) = port.parse()
        {
            // A node that does not know its own name leaves the host empty: it is where we asked.
            let host = match (&self.target.address, host) {
                (Address::Tcp { host, .. }, "") => host.clone(),
                (_, host) => host.trim_matches(['[', ']']).to_owned(),
            };
            target.address = Address::Tcp { host, port };
        }
        target
    }
}

/// `MOVED 3999 127.0.0.1:6381` or `ASK …`: whether for good, and where to.
fn redirection(reply: &Value) -> Option<(bool, String)> {
    let Value::ServerError(error) = reply else {
        return None;
    };
    let text = error_text(error);
    let mut words = text.split(' ');
    let moved = match words.next()? {
        "MOVED" => true,
        "ASK" => false,
        _ => return None,
    };
    Some((moved, words.nth(1)?.to_owned()))
}

/// Climbs as `ping` does, and goes on with the very connection that answered.
async fn dial(target: &Target, trust: &Trust) -> Result<redis_client::Connection<Stream>, Unavailable> {
    let deadline = Deadline::after(CONNECT_WITHIN);
    let climb = ping::climb(target, trust, &ClimbOptions::default(), deadline, &mut |_| {}).await;
    let verdict = ping::judge(target, &climb.observations);
    let exit = verdict.exit();
    match (climb.connection, verdict.finding) {
        (Some(connection), None) => Ok(connection),
        (_, Some(finding)) => Err(Unavailable {
            what: finding.summary,
            fixes: finding.fixes.iter().map(advice).collect(),
            exit,
            while_connecting: true,
        }),
        (None, None) => Err(Unavailable {
            what: format!("{target} does not answer"),
            fixes: Vec::new(),
            exit: Exit::Server,
            while_connecting: true,
        }),
    }
}

fn advice(fix: &Fix) -> String {
    match &fix.command {
        Some(command) => format!("{}: {command}", fix.text),
        None => fix.text.clone(),
    }
}

/// What an error reply says about the Redis itself, rather than about the command.
fn unavailable(reply: &Value, target: &Target) -> Option<Unavailable> {
    let Value::ServerError(error) = reply else {
        return None;
    };
    let text = error_text(error);
    let known = ErrorReply::of(&text).filter(|known| known.scope == Scope::Server)?;
    let fixes = known
        .cause
        .fixes(&FixContext::of(target, &Observations::default()));
    Some(Unavailable {
        what: format!("{}: {}", known.summary(), sanitize::line(&text)),
        fixes: fixes.iter().map(advice).collect(),
        exit: known.cause.exit(),
        while_connecting: true,
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
        assert!(found("NOPERM this user has no permissions").is_none());
    }
}
