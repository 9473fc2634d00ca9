//! Implements the commands on strings.

use super::arguments::{float, float_text, is};
use super::keys::{TimeUnit, expire_at, invalid_expire_time};
use crate::practice::command::{
    CommandError, CommandResult, Invocation, NOT_A_FLOAT, NOT_AN_INTEGER, OVERFLOW, SYNTAX, wrong_arity,
};
use crate::practice::reply::Reply;
use crate::practice::store::Moment;
use crate::practice::value::Value;
use crate::practice::words::integer;

impl Invocation<'_> {
    /// Reads a string, and counts the lookup as a hit or a miss. Returns `None` if the key does not exist.
    fn read(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, CommandError> {
        let found = self.text(key)?.cloned();
        self.count_lookup(found.is_some());
        Ok(found)
    }

    fn put_text(&mut self, key: &[u8], text: &[u8], expires: Option<Moment>) {
        self.put(key, Value::Text(text.to_vec()), expires);
    }

    /// Converts the number in an option such as `EX 10` to an expiry time.
    fn expiry(&self, word: &[u8], unit: TimeUnit) -> Result<Moment, CommandError> {
        let amount = integer(word).ok_or(NOT_AN_INTEGER)?;
        let moment = (amount > 0).then(|| unit.moment(amount, self.now())).flatten();
        moment.ok_or_else(|| invalid_expire_time(self))
    }
}

fn time_unit(option: &[u8]) -> Option<TimeUnit> {
    [
        ("ex", TimeUnit::Seconds),
        ("px", TimeUnit::Milliseconds),
        ("exat", TimeUnit::UnixSeconds),
        ("pxat", TimeUnit::UnixMilliseconds),
    ]
    .into_iter()
    .find(|(name, _)| is(option, name))
    .map(|(_, unit)| unit)
}

/// How SET or GETEX changes a key's expiry time.
enum ExpiryOption<'a> {
    Remove,
    Keep,
    Set(&'a [u8], TimeUnit),
}

pub(super) fn set(call: &mut Invocation<'_>) -> CommandResult {
    let mut expiry = ExpiryOption::Remove;
    let (mut if_missing, mut if_exists, mut returns_old) = (false, false, false);
    let mut options = call.words[3..].iter();
    while let Some(option) = options.next() {
        let is_unset = matches!(expiry, ExpiryOption::Remove);
        if is(option, "nx") && !if_exists {
            if_missing = true;
        } else if is(option, "xx") && !if_missing {
            if_exists = true;
        } else if is(option, "get") {
            returns_old = true;
        } else if is(option, "keepttl") && !matches!(expiry, ExpiryOption::Set(..)) {
            expiry = ExpiryOption::Keep;
        } else if let (Some(unit), true, Some(amount)) = (time_unit(option), is_unset, options.next()) {
            expiry = ExpiryOption::Set(amount, unit);
        } else {
            return Err(SYNTAX);
        }
    }
    let key = call.word(1);
    let expires = match expiry {
        ExpiryOption::Remove => None,
        ExpiryOption::Keep => call.expiry_of(key),
        ExpiryOption::Set(amount, unit) => Some(call.expiry(amount, unit)?),
    };
    let old = if returns_old {
        Some(Reply::maybe(call.read(key)?))
    } else {
        None
    };
    let exists = call.entry(key).is_some();
    if (if_missing && exists) || (if_exists && !exists) {
        return Ok(old.unwrap_or(Reply::Nil));
    }
    call.put_text(key, call.word(2), expires);
    Ok(old.unwrap_or(Reply::Ok))
}

pub(super) fn setex(call: &mut Invocation<'_>, unit: TimeUnit) -> CommandResult {
    let expires = call.expiry(call.word(2), unit)?;
    call.put_text(call.word(1), call.word(3), Some(expires));
    Ok(Reply::Ok)
}

pub(super) fn setnx(call: &mut Invocation<'_>) -> CommandResult {
    let is_missing = call.entry(call.word(1)).is_none();
    if is_missing {
        call.put_text(call.word(1), call.word(2), None);
    }
    Ok(Reply::truth(is_missing))
}

pub(super) fn get(call: &mut Invocation<'_>) -> CommandResult {
    call.read(call.word(1)).map(Reply::maybe)
}

pub(super) fn getex(call: &mut Invocation<'_>) -> CommandResult {
    let expiry = match &call.words[2..] {
        [] => ExpiryOption::Keep,
        [option] if is(option, "persist") => ExpiryOption::Remove,
        [option, amount] => ExpiryOption::Set(amount, time_unit(option).ok_or(SYNTAX)?),
        _ => return Err(SYNTAX),
    };
    let (db, key) = (call.db(), call.word(1));
    // As in Redis, look up the key first. If the key is missing or has the wrong type, an invalid number is
    // not reported.
    let Some(found) = call.read(key)? else {
        return Ok(Reply::Nil);
    };
    match expiry {
        ExpiryOption::Remove if call.expiry_of(key).is_some() => {
            call.state.store.set_expiry(db, key, None);
        }
        ExpiryOption::Keep | ExpiryOption::Remove => {}
        ExpiryOption::Set(amount, unit) => {
            let moment = call.expiry(amount, unit)?;
            expire_at(call, key, moment);
        }
    }
    Ok(Reply::Bulk(found))
}

pub(super) fn getdel(call: &mut Invocation<'_>) -> CommandResult {
    let (db, key) = (call.db(), call.word(1));
    let found = call.read(key)?;
    if found.is_some() {
        call.state.store.remove(db, key);
    }
    Ok(Reply::maybe(found))
}

pub(super) fn getset(call: &mut Invocation<'_>) -> CommandResult {
    let found = call.read(call.word(1))?;
    call.put_text(call.word(1), call.word(2), None);
    Ok(Reply::maybe(found))
}

pub(super) fn mget(call: &mut Invocation<'_>) -> CommandResult {
    let keys = call.words[1..].iter();
    let values = call.collect(keys.map(|key| Reply::maybe(call.text(key).ok().flatten().cloned())))?;
    for value in &values {
        call.count_lookup(*value != Reply::Nil);
    }
    Ok(Reply::Array(values))
}

pub(super) fn mset(call: &mut Invocation<'_>) -> CommandResult {
    if call.words.len().is_multiple_of(2) {
        return Err(wrong_arity(call.command));
    }
    for pair in call.words[1..].chunks_exact(2) {
        call.put_text(&pair[0], &pair[1], None);
    }
    Ok(Reply::Ok)
}

pub(super) fn decrby(call: &mut Invocation<'_>) -> CommandResult {
    let amount = call.number(2)?.checked_neg();
    add(call, amount.ok_or("ERR decrement would overflow")?)
}

pub(super) fn add(call: &mut Invocation<'_>, amount: i64) -> CommandResult {
    let key = call.word(1);
    let old = match call.text(key)? {
        None => 0,
        Some(text) => integer(text).ok_or(NOT_AN_INTEGER)?,
    };
    let sum = old.checked_add(amount).ok_or(OVERFLOW)?;
    let expires = call.expiry_of(key);
    call.put_text(key, sum.to_string().as_bytes(), expires);
    Ok(Reply::Int(sum))
}

pub(super) fn incrbyfloat(call: &mut Invocation<'_>) -> CommandResult {
    let key = call.word(1);
    let old = match call.text(key)? {
        None => 0.0,
        Some(text) => float(text).ok_or(NOT_A_FLOAT)?,
    };
    let amount = float(call.word(2)).ok_or(NOT_A_FLOAT)?;
    let sum = float_text(old + amount)?;
    let expires = call.expiry_of(key);
    call.put_text(key, sum.as_bytes(), expires);
    Ok(Reply::text(sum))
}

pub(super) fn append(call: &mut Invocation<'_>) -> CommandResult {
    let (key, more) = (call.word(1), call.word(2));
    let Some(length) = call.text(key)?.map(Vec::len) else {
        call.put_text(key, more, None);
        return Ok(Reply::count(more.len()));
    };
    if length + more.len() > call.state.limits.request {
        return Err("ERR string exceeds maximum allowed size (proto-max-bulk-len)".into());
    }
    call.edit(|value| {
        if let Value::Text(text) = value {
            text.extend_from_slice(more);
        }
        1
    });
    Ok(Reply::count(length + more.len()))
}

pub(super) fn strlen(call: &mut Invocation<'_>) -> CommandResult {
    let text = call.text(call.word(1))?;
    Ok(Reply::count(text.map_or(0, Vec::len)))
}
