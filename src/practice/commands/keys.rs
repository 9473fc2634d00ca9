//! Keys as such: their lives, names and kinds.

use super::arguments::{Kinds, cursor, is, number, scan};
use super::pattern::matches;
use super::{Call, Outcome, Refusal, SYNTAX};
use crate::practice::reply::Reply;
use crate::practice::store::DATABASES;

pub(super) fn del(call: &mut Call<'_>) -> Outcome {
    let (db, words) = (call.db(), call.words);
    let removed = words[1..]
        .iter()
        .filter(|key| call.hub.store.remove(db, key).is_some());
    Ok(Reply::count(removed.count()))
}

pub(super) fn unlink(call: &mut Call<'_>) -> Outcome {
    del(call)
}

pub(super) fn exists(call: &mut Call<'_>) -> Outcome {
    let there = call.words[1..]
        .iter()
        .filter(|key| call.hub.store.get(call.db(), key).is_some());
    Ok(Reply::count(there.count()))
}

pub(super) fn touch(call: &mut Call<'_>) -> Outcome {
    exists(call)
}

pub(super) fn kind(call: &mut Call<'_>) -> Outcome {
    let entry = call.hub.store.get(call.db(), call.word(1));
    Ok(Reply::Simple(entry.map_or("none", |entry| entry.value.kind())))
}

/// What a number in an EXPIRE means.
#[derive(Clone, Copy)]
struct Clock {
    scale: i64,
    base: i64,
}

pub(super) fn expire(call: &mut Call<'_>) -> Outcome {
    let base = call.now();
    set_end(call, Clock { scale: 1000, base })
}

pub(super) fn pexpire(call: &mut Call<'_>) -> Outcome {
    let base = call.now();
    set_end(call, Clock { scale: 1, base })
}

pub(super) fn expireat(call: &mut Call<'_>) -> Outcome {
    set_end(call, Clock { scale: 1000, base: 0 })
}

pub(super) fn pexpireat(call: &mut Call<'_>) -> Outcome {
    set_end(call, Clock { scale: 1, base: 0 })
}

/// The conditions NX, XX, GT and LT.
#[derive(Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn read(options: &[Vec<u8>]) -> Result<Self, Refusal> {
        let mut conditions = Self::default();
        for option in options {
            let flag = match option {
                nx if is(nx, "nx") => &mut conditions.nx,
                xx if is(xx, "xx") => &mut conditions.xx,
                gt if is(gt, "gt") => &mut conditions.gt,
                lt if is(lt, "lt") => &mut conditions.lt,
                other => {
                    let other = super::shown(other, usize::MAX);
                    return Err(Refusal::new(format!("ERR Unsupported option {other}")));
                }
            };
            *flag = true;
        }
        if conditions.nx && (conditions.xx || conditions.gt || conditions.lt) {
            return Err(Refusal::new(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if conditions.gt && conditions.lt {
            return Err(Refusal::new(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(conditions)
    }

    /// Whether a key that ends at `current` may end at `moment` instead.
    fn hold(&self, current: Option<i64>, moment: i64) -> bool {
        // A key without an end ends later than any other.
        let current_end = current.unwrap_or(i64::MAX);
        !(self.nx && current.is_some()
            || self.xx && current.is_none()
            || self.gt && (current.is_none() || moment <= current_end)
            || self.lt && current.is_some() && moment >= current_end)
    }
}

fn set_end(call: &mut Call<'_>, clock: Clock) -> Outcome {
    let words = call.words;
    let conditions = Conditions::read(&words[3..])?;
    let amount = number(&words[2])?;
    let moment = amount
        .checked_mul(clock.scale)
        .and_then(|span| span.checked_add(clock.base));
    let Some(moment) = moment else {
        return Err(Refusal::new(format!(
            "ERR invalid expire time in '{}' command",
            call.spec.name
        )));
    };
    let (db, key) = (call.db(), &words[1]);
    let Some(entry) = call.hub.store.get(db, key) else {
        return Ok(Reply::Int(0));
    };
    if !conditions.hold(entry.expires, moment) {
        return Ok(Reply::Int(0));
    }
    if moment <= call.now() {
        call.hub.store.remove(db, key);
    } else {
        call.hub.store.set_expiry(db, key, Some(moment));
    }
    Ok(Reply::Int(1))
}

pub(super) fn ttl(call: &mut Call<'_>) -> Outcome {
    left(call, |moment, now| (moment - now + 500) / 1000)
}

pub(super) fn pttl(call: &mut Call<'_>) -> Outcome {
    left(call, |moment, now| moment - now)
}

pub(super) fn expiretime(call: &mut Call<'_>) -> Outcome {
    left(call, |moment, _| (moment + 500) / 1000)
}

pub(super) fn pexpiretime(call: &mut Call<'_>) -> Outcome {
    left(call, |moment, _| moment)
}

/// -2 without a key, -1 without an end.
fn left(call: &mut Call<'_>, tell: fn(i64, i64) -> i64) -> Outcome {
    let entry = call.hub.store.get(call.db(), call.word(1));
    Ok(Reply::Int(match entry.map(|entry| entry.expires) {
        None => -2,
        Some(None) => -1,
        Some(Some(moment)) => tell(moment, call.now()),
    }))
}

pub(super) fn persist(call: &mut Call<'_>) -> Outcome {
    let (db, words) = (call.db(), call.words);
    let has_end = call
        .hub
        .store
        .get(db, &words[1])
        .is_some_and(|entry| entry.expires.is_some());
    if has_end {
        call.hub.store.set_expiry(db, &words[1], None);
    }
    Ok(Reply::truth(has_end))
}

pub(super) fn rename(call: &mut Call<'_>) -> Outcome {
    let (db, words) = (call.db(), call.words);
    let (from, to) = (&words[1], &words[2]);
    if call.hub.store.get(db, from).is_none() {
        return Err(Refusal::new("ERR no such key"));
    }
    if from != to
        && let Some(entry) = call.hub.store.remove(db, from)
    {
        call.hub.store.put(db, to, entry.value, entry.expires);
    }
    Ok(Reply::Ok)
}

pub(super) fn scan_keys(call: &mut Call<'_>) -> Outcome {
    let from = cursor(call.word(1))?;
    let scan = scan(from, &call.words[2..], Kinds::Chosen)?;
    let (next, found) = call.hub.store.database(call.db()).walk(scan.cursor, scan.count);
    let names = found.into_iter().filter(|(name, entry)| {
        scan.pattern.is_none_or(|pattern| matches(pattern, name))
            && scan.kind.is_none_or(|kind| is(kind, entry.value.kind()))
    });
    let names = Reply::bulks(names.map(|(name, _)| name.clone()));
    Ok(Reply::Array(vec![Reply::text(next.to_string()), names]))
}

pub(super) fn keys(call: &mut Call<'_>) -> Outcome {
    let names = call.hub.store.database(call.db()).iter().map(|(name, _)| name);
    let names = names.filter(|name| matches(call.word(1), name));
    Ok(Reply::bulks(names.cloned()))
}

pub(super) fn dbsize(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(call.hub.store.database(call.db()).len()))
}

pub(super) fn flushdb(call: &mut Call<'_>) -> Outcome {
    check_flush(call)?;
    call.hub.store.clear(call.db());
    Ok(Reply::Ok)
}

pub(super) fn flushall(call: &mut Call<'_>) -> Outcome {
    check_flush(call)?;
    (0..DATABASES).for_each(|db| call.hub.store.clear(db));
    Ok(Reply::Ok)
}

fn check_flush(call: &Call<'_>) -> Result<(), Refusal> {
    match &call.words[1..] {
        [] => Ok(()),
        [option] if is(option, "sync") || is(option, "async") => Ok(()),
        _ => Err(SYNTAX),
    }
}

pub(super) fn encoding(call: &mut Call<'_>) -> Outcome {
    let entry = call.hub.store.get(call.db(), call.word(2));
    Ok(entry.map_or(Reply::Nil, |entry| Reply::text(entry.value.encoding())))
}
