//! Strings: SET and its family.

use super::arguments::{is, number};
use super::decimal::Decimal;
use super::{Call, NOT_A_FLOAT, NOT_AN_INTEGER, Outcome, Refusal, SYNTAX, WRONG_TYPE};
use crate::practice::reply::Reply;
use crate::practice::request::integer;
use crate::practice::store::Moment;
use crate::practice::value::{Text, Value};

/// The longest string that a key may hold (`proto-max-bulk-len`).
const LONGEST: usize = 512 * 1024 * 1024;

impl Call<'_> {
    /// The string at a key.
    fn text(&self, key: &[u8]) -> Result<Option<&Text>, Refusal> {
        match self.hub.store.get(self.db(), key).map(|entry| &entry.value) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(WRONG_TYPE),
        }
    }

    /// The bytes at a key, counted as a hit or a miss.
    fn read(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        let found = self.text(key)?.map(|text| text.bytes.clone());
        self.tally(found.is_some());
        Ok(found)
    }

    pub(super) fn tally(&mut self, is_hit: bool) {
        if is_hit {
            self.hub.counts.hits += 1;
        } else {
            self.hub.counts.misses += 1;
        }
    }

    fn put_text(&mut self, key: &[u8], bytes: Vec<u8>, expires: Option<Moment>) {
        let db = self.db();
        self.hub
            .store
            .put(db, key, Value::Text(Text::new(bytes)), expires);
    }

    fn expiry_of(&self, key: &[u8]) -> Option<Moment> {
        self.hub.store.get(self.db(), key).and_then(|entry| entry.expires)
    }

    /// The moment that `EX 10` and the like mean.
    fn moment(&self, word: &[u8], unit: Unit) -> Result<Moment, Refusal> {
        let invalid = || Refusal::new(format!("ERR invalid expire time in '{}' command", self.spec.name));
        let amount = number(word)?;
        if amount <= 0 {
            return Err(invalid());
        }
        let (scale, base) = match unit {
            Unit::Seconds => (1000, self.now()),
            Unit::Milliseconds => (1, self.now()),
            Unit::SecondsAt => (1000, 0),
            Unit::MillisecondsAt => (1, 0),
        };
        let moment = amount.checked_mul(scale).and_then(|span| span.checked_add(base));
        moment.ok_or_else(invalid)
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Seconds,
    Milliseconds,
    SecondsAt,
    MillisecondsAt,
}

fn unit(option: &[u8]) -> Option<Unit> {
    [
        ("ex", Unit::Seconds),
        ("px", Unit::Milliseconds),
        ("exat", Unit::SecondsAt),
        ("pxat", Unit::MillisecondsAt),
    ]
    .into_iter()
    .find(|(name, _)| is(option, name))
    .map(|(_, unit)| unit)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Always,
    IfMissing,
    IfThere,
}

/// What becomes of a key's end.
enum Ending<'a> {
    Dropped,
    Kept,
    At(&'a [u8], Unit),
}

pub(super) fn set(call: &mut Call<'_>) -> Outcome {
    let mut condition = Condition::Always;
    let mut ending = Ending::Dropped;
    let mut wants_old = false;
    let words = call.words;
    let mut options = words[3..].iter();
    while let Some(option) = options.next() {
        let is_free = matches!(ending, Ending::Dropped);
        if is(option, "nx") && condition != Condition::IfThere {
            condition = Condition::IfMissing;
        } else if is(option, "xx") && condition != Condition::IfMissing {
            condition = Condition::IfThere;
        } else if is(option, "get") {
            wants_old = true;
        } else if is(option, "keepttl") && !matches!(ending, Ending::At(..)) {
            ending = Ending::Kept;
        } else if let (Some(unit), true, Some(amount)) = (unit(option), is_free, options.next()) {
            ending = Ending::At(amount, unit);
        } else {
            return Err(SYNTAX);
        }
    }
    let key = &words[1];
    let expires = match ending {
        Ending::Dropped => None,
        Ending::Kept => call.expiry_of(key),
        Ending::At(amount, unit) => Some(call.moment(amount, unit)?),
    };
    let old = if wants_old {
        Some(Reply::maybe(call.read(key)?))
    } else {
        None
    };
    let is_there = call.hub.store.get(call.db(), key).is_some();
    let holds = match condition {
        Condition::Always => true,
        Condition::IfMissing => !is_there,
        Condition::IfThere => is_there,
    };
    if !holds {
        return Ok(old.unwrap_or(Reply::Nil));
    }
    call.put_text(key, words[2].clone(), expires);
    Ok(old.unwrap_or(Reply::Ok))
}

pub(super) fn setex(call: &mut Call<'_>) -> Outcome {
    set_with(call, Unit::Seconds)
}

pub(super) fn psetex(call: &mut Call<'_>) -> Outcome {
    set_with(call, Unit::Milliseconds)
}

fn set_with(call: &mut Call<'_>, unit: Unit) -> Outcome {
    let expires = call.moment(call.word(2), unit)?;
    let words = call.words;
    call.put_text(&words[1], words[3].clone(), Some(expires));
    Ok(Reply::Ok)
}

pub(super) fn setnx(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    if call.hub.store.get(call.db(), &words[1]).is_some() {
        return Ok(Reply::Int(0));
    }
    call.put_text(&words[1], words[2].clone(), None);
    Ok(Reply::Int(1))
}

pub(super) fn get(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    Ok(Reply::maybe(call.read(&words[1])?))
}

pub(super) fn getex(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    let ending = match &words[2..] {
        [] => Ending::Kept,
        [option] if is(option, "persist") => Ending::Dropped,
        [option, amount] => Ending::At(amount, unit(option).ok_or(SYNTAX)?),
        _ => return Err(SYNTAX),
    };
    let key = &words[1];
    // As in Redis, a missing key hides a wrong number, and a wrong type comes first.
    let Some(found) = call.read(key)? else {
        return Ok(Reply::Nil);
    };
    let db = call.db();
    match ending {
        Ending::Kept => {}
        Ending::Dropped if call.expiry_of(key).is_some() => call.hub.store.set_expiry(db, key, None),
        Ending::Dropped => {}
        Ending::At(amount, unit) => {
            let moment = call.moment(amount, unit)?;
            if moment <= call.now() {
                call.hub.store.remove(db, key);
            } else {
                call.hub.store.set_expiry(db, key, Some(moment));
            }
        }
    }
    Ok(Reply::Bulk(found))
}

pub(super) fn getdel(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    let found = call.read(&words[1])?;
    if found.is_some() {
        call.hub.store.remove(call.db(), &words[1]);
    }
    Ok(Reply::maybe(found))
}

pub(super) fn getset(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    let found = call.read(&words[1])?;
    call.put_text(&words[1], words[2].clone(), None);
    Ok(Reply::maybe(found))
}

pub(super) fn mget(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    let values = words[1..]
        .iter()
        .map(|key| Reply::maybe(call.read(key).unwrap_or(None)));
    Ok(Reply::Array(values.collect()))
}

pub(super) fn mset(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    if words.len().is_multiple_of(2) {
        return Err(super::wrong_arity(call.spec));
    }
    for pair in words[1..].chunks_exact(2) {
        call.put_text(&pair[0], pair[1].clone(), None);
    }
    Ok(Reply::Ok)
}

pub(super) fn incr(call: &mut Call<'_>) -> Outcome {
    add(call, 1)
}

pub(super) fn decr(call: &mut Call<'_>) -> Outcome {
    add(call, -1)
}

pub(super) fn incrby(call: &mut Call<'_>) -> Outcome {
    let amount = number(call.word(2))?;
    add(call, amount)
}

pub(super) fn decrby(call: &mut Call<'_>) -> Outcome {
    let amount = number(call.word(2))?;
    let amount = amount
        .checked_neg()
        .ok_or(Refusal::new("ERR decrement would overflow"))?;
    add(call, amount)
}

fn add(call: &mut Call<'_>, amount: i64) -> Outcome {
    let words = call.words;
    let key = &words[1];
    let old = match call.text(key)? {
        None => 0,
        Some(text) => integer(&text.bytes).ok_or(NOT_AN_INTEGER)?,
    };
    let sum = old
        .checked_add(amount)
        .ok_or(Refusal::new("ERR increment or decrement would overflow"))?;
    let expires = call.expiry_of(key);
    call.put_text(key, sum.to_string().into_bytes(), expires);
    Ok(Reply::Int(sum))
}

pub(super) fn incrbyfloat(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    let key = &words[1];
    let old = match call.text(key)? {
        None => Decimal::ZERO,
        Some(text) => Decimal::parse(&text.bytes).ok_or(NOT_A_FLOAT)?,
    };
    let amount = Decimal::parse(&words[2]).ok_or(NOT_A_FLOAT)?;
    let sum = old
        .plus(amount)
        .ok_or(Refusal::new("ERR increment would produce NaN or Infinity"))?;
    let (db, expires) = (call.db(), call.expiry_of(key));
    let text = Text::computed(sum.clone().into_bytes());
    call.hub.store.put(db, key, Value::Text(text), expires);
    Ok(Reply::text(sum))
}

pub(super) fn append(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    let (key, more) = (&words[1], &words[2]);
    let Some(length) = call.text(key)?.map(|text| text.bytes.len()) else {
        call.put_text(key, more.clone(), None);
        return Ok(Reply::count(more.len()));
    };
    if length + more.len() > LONGEST {
        return Err(Refusal::new(
            "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
        ));
    }
    let db = call.db();
    call.hub.store.edit(db, key, |value| {
        if let Value::Text(text) = value {
            text.append(more);
        }
    });
    call.hub.store.changed(db, key);
    Ok(Reply::count(length + more.len()))
}

pub(super) fn strlen(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(
        call.text(call.word(1))?.map_or(0, |text| text.bytes.len()),
    ))
}
