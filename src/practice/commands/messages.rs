//! Implements the commands that publish messages and subscribe to channels.

use crate::practice::client::Kept;
use crate::practice::command::{CommandError, CommandResult, Invocation};
use crate::practice::reply::Reply;

/// The memory in bytes that a subscription uses, excluding the two copies of the channel's name.
const CHANNEL_COST: usize = 200;

pub(super) fn subscribe(call: &mut Invocation<'_>) -> CommandResult {
    afford_confirmations(call, &call.words[1..])?;
    let mut replies = Vec::new();
    for channel in &call.words[1..] {
        let mut channels = call.client.channels.borrow_mut();
        if !channels.contains(channel) {
            call.client
                .keep(Kept::Channels, CHANNEL_COST + 2 * channel.len())?;
            channels.insert(channel.clone());
        }
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
    afford_confirmations(call, &named)?;
    let mut replies = Vec::new();
    for channel in named {
        let mut channels = call.client.channels.borrow_mut();
        if channels.remove(&channel) {
            call.state.unsubscribe(call.client.id, &channel);
        }
        let left = channels.len();
        replies.push(confirmation("unsubscribe", Reply::Bulk(channel), left));
    }
    if call.client.channels.borrow().is_empty() {
        call.client.keeps(Kept::Channels, 0);
    }
    Ok(Reply::Many(replies))
}

/// Returns an error if the replies that confirm `channels` would be too large. Call this function before you
/// add or remove a subscription.
fn afford_confirmations(call: &Invocation<'_>, channels: &[Vec<u8>]) -> Result<(), CommandError> {
    let each = confirmation("unsubscribe", Reply::Nil, 0).size();
    call.afford(channels.iter().map(|channel| each + channel.len()).sum())
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
    let names = names.filter(|name| pattern.is_none_or(|pattern| call.matches(pattern, name)));
    call.bulks(names.cloned())
}
