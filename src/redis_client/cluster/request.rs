//! Sends requests to a cluster, and finds the nodes to which they are redirected.

use redis::aio::ConnectionLike;
use redis::{Arg, Cmd, Pipeline, RedisResult, Value, pipe};

use super::node::Node;
use super::slot_map::slot_of;
use crate::redis_client::single::SingleConnection;
use crate::redis_client::{error_replies, error_text};

/// A command, or several commands for the same key.
#[derive(Clone)]
pub(in crate::redis_client) enum Request {
    One(Cmd),
    /// The pipeline, the index of the first reply to return, and the number of replies to return.
    Several(Pipeline, usize, usize),
}

/// A reply that redirects a request to another cluster node. The node that sent it did not execute the
/// request.
pub(super) enum Redirection {
    /// From now on, this node serves the slot.
    Moved(Node),
    /// The slot is being moved to this node, which already has the key.
    Ask(Node),
}

impl Request {
    /// Returns the slot of the first argument, or `None` if there is no argument. The first argument is
    /// usually the key. If it is not, the node redirects the request.
    pub(super) fn slot(&self) -> Option<u16> {
        let first = match self {
            Self::One(command) => Some(command),
            Self::Several(pipeline, ..) => pipeline.cmd_iter().next(),
        };
        match first?.args_iter().nth(1)? {
            Arg::Simple(key) => Some(slot_of(key)),
            _ => None,
        }
    }

    pub(super) async fn send(
        &self,
        single: &mut SingleConnection,
        is_asking: bool,
    ) -> RedisResult<Vec<Value>> {
        match self {
            Self::One(command) if !is_asking => Ok(vec![single.req_packed_command(command).await?]),
            Self::Several(pipeline, first, count) if !is_asking => {
                single.req_packed_commands(pipeline, *first, *count).await
            }
            // ASKING applies only to the next command. If this is MULTI, ASKING applies to the whole
            // transaction.
            Self::One(command) => {
                let mut asking = pipe();
                asking.cmd("ASKING").add_command(command.clone());
                single.req_packed_commands(&asking, 1, 1).await
            }
            Self::Several(pipeline, ..) if pipeline.is_transaction() => {
                let mut asking = pipe();
                asking.cmd("ASKING").cmd("MULTI");
                for command in pipeline.cmd_iter() {
                    asking.add_command(command.clone());
                }
                asking.cmd("EXEC");
                let skipped = pipeline.cmd_iter().count() + 2;
                single.req_packed_commands(&asking, skipped, 1).await
            }
            Self::Several(pipeline, ..) => {
                let mut asking = pipe();
                for command in pipeline.cmd_iter() {
                    asking.cmd("ASKING").add_command(command.clone());
                }
                let count = pipeline.cmd_iter().count();
                let replies = single.req_packed_commands(&asking, 0, 2 * count).await?;
                Ok(replies.into_iter().skip(1).step_by(2).collect())
            }
        }
    }
}

/// Returns the node to which a request is redirected. Returns `None` if it is not redirected, or if any part
/// of it might have been executed.
pub(super) fn redirection(replies: &RedisResult<Vec<Value>>, asked: &Node) -> Option<Redirection> {
    let mut found = None;
    for reply in errors_in(replies) {
        let mut words = reply.split(' ');
        let (code, _slot, address) = (words.next()?, words.next(), words.next());
        // This is the reply to EXEC. The reason is in the reply to an earlier command of the transaction.
        if code == "EXECABORT" {
            continue;
        }
        let (host, port) = address?.rsplit_once(':')?;
        let host = if host.is_empty() { &asked.0 } else { host };
        let node = Node::new((host.to_owned(), port.parse().ok()?));
        found = Some(match code {
            "MOVED" => Redirection::Moved(node),
            "ASK" => Redirection::Ask(node),
            _ => return None,
        });
    }
    let is_executed = |reply: &Value| !matches!(reply, Value::ServerError(_));
    match replies {
        Ok(replies) if replies.iter().any(is_executed) => None,
        _ => found,
    }
}

/// Returns the texts of all error replies in `replies`.
pub(super) fn errors_in(replies: &RedisResult<Vec<Value>>) -> Vec<String> {
    let text = |reply: &Value| match reply {
        Value::ServerError(error) => Some(error_text(error)),
        _ => None,
    };
    match replies {
        Ok(replies) => replies.iter().filter_map(text).collect(),
        Err(error) => error_replies(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_values::{node, reply};
    use super::*;

    #[test]
    fn only_a_request_that_was_not_executed_is_redirected() {
        let asked = node("a", 1);
        let moved = reply("-MOVED 7 b:2\r\n");
        let is_redirected = |replies: Vec<Value>| redirection(&Ok(replies), &asked).is_some();
        assert!(is_redirected(vec![moved.clone()]));
        assert!(is_redirected(vec![moved.clone(), reply("-ASK 7 b:2\r\n")]));
        assert!(is_redirected(vec![reply("-MOVED 7 :2\r\n")]));
        for replies in [
            vec![],
            vec![Value::Int(1)],
            vec![Value::Int(1), moved.clone()],
            vec![moved.clone(), reply("-ERR other\r\n")],
            vec![reply("-CLUSTERDOWN Hash slot not served\r\n")],
            vec![reply("-MOVED 7\r\n")],
        ] {
            assert!(!is_redirected(replies.clone()), "{replies:?}");
        }
    }
}
