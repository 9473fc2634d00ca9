//! Sets: SADD and its family.

use super::arguments::{Kinds, cursor, scan};
use super::pattern::matches;
use super::{Call, Outcome, Refusal, WRONG_TYPE};
use crate::practice::reply::Reply;
use crate::practice::value::{Set, Value};

impl Call<'_> {
    /// The set at the command's key.
    fn set(&self) -> Result<Option<&Set>, Refusal> {
        match self
            .hub
            .store
            .get(self.db(), self.word(1))
            .map(|entry| &entry.value)
        {
            None => Ok(None),
            Some(Value::Set(set)) => Ok(Some(set)),
            Some(_) => Err(WRONG_TYPE),
        }
    }
}

pub(super) fn sadd(call: &mut Call<'_>) -> Outcome {
    let is_there = call.set()?.is_some();
    let (db, words) = (call.db(), call.words);
    if !is_there {
        call.hub
            .store
            .put(db, &words[1], Value::Set(Set::default()), None);
    }
    let added = call.hub.store.edit(db, &words[1], |value| match value {
        Value::Set(set) => words[2..].iter().filter(|member| set.add(member)).count(),
        _ => 0,
    });
    let added = added.unwrap_or(0);
    if added > 0 {
        call.hub.store.changed(db, &words[1]);
    }
    Ok(Reply::count(added))
}

pub(super) fn srem(call: &mut Call<'_>) -> Outcome {
    if call.set()?.is_none() {
        return Ok(Reply::Int(0));
    }
    let (db, words) = (call.db(), call.words);
    let removed = call.hub.store.edit(db, &words[1], |value| match value {
        Value::Set(set) => words[2..].iter().filter(|member| set.remove(member)).count(),
        _ => 0,
    });
    let removed = removed.unwrap_or(0);
    if removed > 0 {
        call.hub.store.changed(db, &words[1]);
    }
    Ok(Reply::count(removed))
}

pub(super) fn smembers(call: &mut Call<'_>) -> Outcome {
    let members = call.set()?.map(Set::members).unwrap_or_default();
    Ok(Reply::Set(members.into_iter().map(Reply::Bulk).collect()))
}

pub(super) fn scard(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(call.set()?.map_or(0, Set::len)))
}

pub(super) fn sismember(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::truth(
        call.set()?.is_some_and(|set| set.contains(call.word(2))),
    ))
}

pub(super) fn smismember(call: &mut Call<'_>) -> Outcome {
    let set = call.set()?;
    let truths = call.words[2..]
        .iter()
        .map(|member| Reply::truth(set.is_some_and(|set| set.contains(member))));
    Ok(Reply::Array(truths.collect()))
}

pub(super) fn sscan(call: &mut Call<'_>) -> Outcome {
    let from = cursor(call.word(2))?;
    let Some(set) = call.set()? else {
        return Ok(Reply::Array(vec![Reply::text("0"), Reply::Array(Vec::new())]));
    };
    let scan = scan(from, &call.words[3..], Kinds::Any)?;
    let (next, found) = set.walk(scan.cursor, scan.count);
    let members = found
        .into_iter()
        .filter(|member| scan.pattern.is_none_or(|pattern| matches(pattern, member)));
    Ok(Reply::Array(vec![
        Reply::text(next.to_string()),
        Reply::bulks(members),
    ]))
}
