//! Commands to publish messages and to subscribe to channels.

use super::arguments::matches;
use crate::practice::command::{CommandResult, Invocation};
use crate::practice::reply::Reply;

pub(super) fn subscribe(call: &mut Invocation<'_>) -> CommandResult {
    let mut replies = Vec::new();
    for channel in &call.words[1..] {
        let mut channels = call.client.channels.borrow_mut();
        channels.insert(channel.clone());
        let subscribers = call.state.channels.entry(channel.clone()).or_default();
        subscribers.insert(call.client.id);
        let name = Reply::text(channel.as_slice());
        replies.push(confirmation("subscribe", name, channels.len()));
    }
    Ok(Reply::Many(replies))
}

pub(super) fn unsubscribe(call: &mut Invocation<'_>) -> CommandResult {
    let named: Vec<Vec<u8>> = match &call.words[1..] {
        [] => call.client.channels.borrow().iter().cloned().collect(),
        named => named.to_vec(),
    };
    if named.is_empty() {
        return Ok(confirmation("unsubscribe", Reply::Nil, 0));
    }
    let mut replies = Vec::new();
    for channel in named {
        let mut channels = call.client.channels.borrow_mut();
        if channels.remove(&channel) {
            call.state.unsubscribe(call.client.id, &channel);
        }
        let left = channels.len();
        replies.push(confirmation("unsubscribe", Reply::Bulk(channel), left));
    }
    Ok(Reply::Many(replies))
}

fn confirmation(what: &str, channel: Reply, count: usize) -> Reply {
    Reply::Push(vec![Reply::text(what), channel, Reply::count(count)])
}

pub(super) fn channels(call: &mut Invocation<'_>) -> CommandResult {
    let pattern = match &call.words[2..] {
        [] => None,
        [pattern] => Some(pattern),
        _ => {
            let text = "ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.";
            return Err(text.into());
        }
    };
    let names = call.state.channels.keys();
    let names = names.filter(|name| pattern.is_none_or(|pattern| matches(pattern, name)));
    Ok(Reply::bulks(names.cloned()))
}
