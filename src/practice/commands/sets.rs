//! Commands on sets.

use super::arguments::{ScanOptions, cursor};
use crate::practice::command::{CommandResult, Invocation};
use crate::practice::reply::Reply;
use crate::practice::value::{SetValue, Value};

pub(super) fn sadd(call: &mut Invocation<'_>) -> CommandResult {
    if call.set()?.is_none() {
        call.put(call.word(1), Value::Set(SetValue::default()), None);
    }
    let members = &call.words[2..];
    let added = call.edit(|value| match value {
        Value::Set(set) => members.iter().filter(|member| set.add(member)).count(),
        _ => 0,
    });
    Ok(Reply::count(added))
}

pub(super) fn srem(call: &mut Invocation<'_>) -> CommandResult {
    call.set()?;
    let members = &call.words[2..];
    let removed = call.edit(|value| match value {
        Value::Set(set) => members.iter().filter(|member| set.remove(member)).count(),
        _ => 0,
    });
    Ok(Reply::count(removed))
}

pub(super) fn smembers(call: &mut Invocation<'_>) -> CommandResult {
    let members = call.set()?.map(SetValue::members).unwrap_or_default();
    Ok(Reply::Set(members.into_iter().map(Reply::Bulk).collect()))
}

pub(super) fn scard(call: &mut Invocation<'_>) -> CommandResult {
    Ok(Reply::count(call.set()?.map_or(0, SetValue::len)))
}

pub(super) fn sismember(call: &mut Invocation<'_>) -> CommandResult {
    let member = call.word(2);
    Ok(Reply::truth(call.set()?.is_some_and(|set| set.contains(member))))
}

pub(super) fn smismember(call: &mut Invocation<'_>) -> CommandResult {
    let set = call.set()?;
    let contained = call.words[2..]
        .iter()
        .map(|member| Reply::truth(set.is_some_and(|set| set.contains(member))));
    Ok(Reply::Array(contained.collect()))
}

pub(super) fn sscan(call: &mut Invocation<'_>) -> CommandResult {
    let from = cursor(call.word(2))?;
    let Some(set) = call.set()? else {
        return Ok(Reply::Array(vec![Reply::text("0"), Reply::Array(Vec::new())]));
    };
    let options = ScanOptions::read(&call.words[3..], false)?;
    let (next, found) = set.scan(from, options.count);
    let members = found.into_iter().filter(|member| options.accepts(member));
    Ok(Reply::Array(vec![
        Reply::text(next.to_string()),
        Reply::bulks(members),
    ]))
}
