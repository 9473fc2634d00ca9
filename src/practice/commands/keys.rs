//! Implements the commands on keys of any type.

use super::arguments::{ScanOptions, cursor, is, shown};
use crate::practice::command::{CommandError, CommandResult, Invocation, SYNTAX};
use crate::practice::reply::Reply;
use crate::practice::store::{DATABASES, Moment};

pub(super) fn del(call: &mut Invocation<'_>) -> CommandResult {
    let db = call.db();
    let removed = call.words[1..]
        .iter()
        .filter(|key| call.state.store.remove(db, key).is_some());
    Ok(Reply::count(removed.count()))
}

pub(super) fn exists(call: &mut Invocation<'_>) -> CommandResult {
    let existing = call.words[1..].iter().filter(|key| call.entry(key).is_some());
    Ok(Reply::count(existing.count()))
}

pub(super) fn type_name(call: &mut Invocation<'_>) -> CommandResult {
    let entry = call.entry(call.word(1));
    Ok(Reply::Status(
        entry.map_or("none", |entry| entry.value.type_name()).into(),
    ))
}

pub(super) fn encoding(call: &mut Invocation<'_>) -> CommandResult {
    let entry = call.entry(call.word(2));
    Ok(entry.map_or(Reply::Nil, |entry| Reply::text(entry.value.encoding())))
}

/// The unit of an expiry time. The `Unix` variants are absolute times.
#[derive(Clone, Copy)]
pub(super) enum TimeUnit {
    Seconds,
    Milliseconds,
    UnixSeconds,
    UnixMilliseconds,
}

impl TimeUnit {
    /// Converts `amount` to a point in time. Returns `None` on overflow.
    pub(super) fn moment(self, amount: i64, now: Moment) -> Option<Moment> {
        let (scale, base) = match self {
            Self::Seconds => (1000, now),
            Self::Milliseconds => (1, now),
            Self::UnixSeconds => (1000, 0),
            Self::UnixMilliseconds => (1, 0),
        };
        amount.checked_mul(scale)?.checked_add(base)
    }
}

pub(super) fn invalid_expire_time(call: &Invocation<'_>) -> CommandError {
    let name = call.command.name;
    format!("ERR invalid expire time in '{name}' command").into()
}

/// The conditions NX, XX, GT and LT of EXPIRE.
#[derive(Default)]
struct ExpireConditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl ExpireConditions {
    fn read(options: &[Vec<u8>]) -> Result<Self, CommandError> {
        let mut conditions = Self::default();
        for option in options {
            let flag = match option {
                nx if is(nx, "nx") => &mut conditions.nx,
                xx if is(xx, "xx") => &mut conditions.xx,
                gt if is(gt, "gt") => &mut conditions.gt,
                lt if is(lt, "lt") => &mut conditions.lt,
                other => {
                    let other = shown(other);
                    return Err(format!("ERR Unsupported option {other}").into());
                }
            };
            *flag = true;
        }
        if conditions.nx && (conditions.xx || conditions.gt || conditions.lt) {
            return Err("ERR NX and XX, GT or LT options at the same time are not compatible".into());
        }
        if conditions.gt && conditions.lt {
            return Err("ERR GT and LT options at the same time are not compatible".into());
        }
        Ok(conditions)
    }

    /// Whether the conditions allow the expiry time to change from `current` to `moment`. A key without an
    /// expiry time counts as expiring last.
    fn allow(&self, current: Option<Moment>, moment: Moment) -> bool {
        !(self.nx && current.is_some()
            || self.xx && current.is_none()
            || self.gt && current.is_none_or(|current| moment <= current)
            || self.lt && current.is_some_and(|current| moment >= current))
    }
}

pub(super) fn expire(call: &mut Invocation<'_>, unit: TimeUnit) -> CommandResult {
    let conditions = ExpireConditions::read(&call.words[3..])?;
    let amount = call.number(2)?;
    let moment = unit.moment(amount, call.now());
    let moment = moment.ok_or_else(|| invalid_expire_time(call))?;
    let key = call.word(1);
    let is_allowed = |current| conditions.allow(current, moment);
    if !call.entry(key).is_some_and(|entry| is_allowed(entry.expires)) {
        return Ok(Reply::Int(0));
    }
    expire_at(call, key, moment);
    Ok(Reply::Int(1))
}

/// Sets when a key expires. Removes the key if `moment` is not in the future.
pub(super) fn expire_at(call: &mut Invocation<'_>, key: &[u8], moment: Moment) {
    let db = call.db();
    if moment <= call.now() {
        call.state.store.remove(db, key);
    } else {
        call.state.store.set_expiry(db, key, Some(moment));
    }
}

/// Runs TTL and similar commands. The reply is -2 if the key does not exist, and -1 if it never expires.
/// Otherwise, `show` computes the reply from the expiry time and the current time.
pub(super) fn time_left(call: &mut Invocation<'_>, show: fn(Moment, Moment) -> i64) -> CommandResult {
    let entry = call.entry(call.word(1));
    Ok(Reply::Int(match entry.map(|entry| entry.expires) {
        None => -2,
        Some(None) => -1,
        Some(Some(moment)) => show(moment, call.now()),
    }))
}

pub(super) fn persist(call: &mut Invocation<'_>) -> CommandResult {
    let (db, key) = (call.db(), call.word(1));
    let expires = call.expiry_of(key).is_some();
    if expires {
        call.state.store.set_expiry(db, key, None);
    }
    Ok(Reply::truth(expires))
}

pub(super) fn rename(call: &mut Invocation<'_>) -> CommandResult {
    let (db, from, to) = (call.db(), call.word(1), call.word(2));
    if call.entry(from).is_none() {
        return Err("ERR no such key".into());
    }
    if from != to
        && let Some(entry) = call.state.store.remove(db, from)
    {
        call.put(to, entry.value, entry.expires);
    }
    Ok(Reply::Ok)
}

pub(super) fn scan(call: &mut Invocation<'_>) -> CommandResult {
    let from = cursor(call.word(1))?;
    let options = ScanOptions::read(&call.words[2..], true)?;
    let (next, found) = call.state.store.scan(call.db(), from, options.count);
    let names = found.into_iter().filter(|(name, entry)| {
        let type_name = entry.value.type_name();
        options.accepts(call, name) && options.type_name.is_none_or(|wanted| is(wanted, type_name))
    });
    let names = call.bulks(names.map(|(name, _)| name.to_vec()))?;
    Ok(Reply::Array(vec![Reply::text(next.to_string()), names]))
}

pub(super) fn keys(call: &mut Invocation<'_>) -> CommandResult {
    let names = call.state.store.iter(call.db());
    let names = names.filter(|(name, _)| call.matches(call.word(1), name));
    call.bulks(names.map(|(name, _)| name.to_vec()))
}

pub(super) fn dbsize(call: &mut Invocation<'_>) -> CommandResult {
    Ok(Reply::count(call.state.store.len(call.db())))
}

pub(super) fn flushdb(call: &mut Invocation<'_>) -> CommandResult {
    check_flush_option(call)?;
    call.state.store.clear(call.db());
    Ok(Reply::Ok)
}

pub(super) fn flushall(call: &mut Invocation<'_>) -> CommandResult {
    check_flush_option(call)?;
    (0..DATABASES).for_each(|db| call.state.store.clear(db));
    Ok(Reply::Ok)
}

fn check_flush_option(call: &Invocation<'_>) -> Result<(), CommandError> {
    match &call.words[1..] {
        [] => Ok(()),
        [option] if is(option, "sync") || is(option, "async") => Ok(()),
        _ => Err(SYNTAX),
    }
}
