//! Messages: SUBSCRIBE and PUBLISH.

use super::pattern::matches;
use super::{Call, Outcome};
use crate::practice::reply::Reply;

pub(super) fn subscribe(call: &mut Call<'_>) -> Outcome {
    let mut notes = Vec::new();
    for channel in &call.words[1..] {
        let mut channels = call.client.channels.borrow_mut();
        channels.insert(channel.clone());
        call.hub
            .channels
            .entry(channel.clone())
            .or_default()
            .insert(call.client.id);
        notes.push(note("subscribe", Reply::text(channel.as_slice()), channels.len()));
    }
    Ok(Reply::Many(notes))
}

pub(super) fn unsubscribe(call: &mut Call<'_>) -> Outcome {
    let named: Vec<Vec<u8>> = match &call.words[1..] {
        [] => call.client.channels.borrow().iter().cloned().collect(),
        named => named.to_vec(),
    };
    if named.is_empty() {
        return Ok(note("unsubscribe", Reply::Nil, 0));
    }
    let mut notes = Vec::new();
    for channel in named {
        let mut channels = call.client.channels.borrow_mut();
        if channels.remove(&channel) {
            call.hub.silence(call.client.id, &channel);
        }
        notes.push(note("unsubscribe", Reply::Bulk(channel), channels.len()));
    }
    Ok(Reply::Many(notes))
}

fn note(what: &str, channel: Reply, left: usize) -> Reply {
    Reply::Push(vec![Reply::text(what), channel, Reply::count(left)])
}

pub(super) fn publish(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(call.hub.publish(call.word(1), call.word(2))))
}

pub(super) fn channels(call: &mut Call<'_>) -> Outcome {
    let pattern = match &call.words[2..] {
        [] => None,
        [pattern] => Some(pattern),
        _ => {
            let text = "ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP.";
            return Err(super::Refusal::new(text));
        }
    };
    let names = call
        .hub
        .channels
        .keys()
        .filter(|name| pattern.is_none_or(|pattern| matches(pattern, name)));
    Ok(Reply::bulks(names.cloned()))
}
