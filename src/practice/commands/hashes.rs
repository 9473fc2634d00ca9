//! Hashes: HSET and its family.

use super::arguments::{Kinds, cursor, is, number, out_of_range, scan};
use super::decimal::Decimal;
use super::pattern::matches;
use super::{Call, NOT_A_FLOAT, Outcome, Refusal, SYNTAX, WRONG_TYPE, wrong_arity};
use crate::practice::reply::Reply;
use crate::practice::request::integer;
use crate::practice::value::{Hash, Value};

/// The most fields that HRANDFIELD repeats at one time.
const MOST_PICKS: i64 = 1_000_000;

impl Call<'_> {
    /// The hash at the command's key.
    fn hash(&self) -> Result<Option<&Hash>, Refusal> {
        match self
            .hub
            .store
            .get(self.db(), self.word(1))
            .map(|entry| &entry.value)
        {
            None => Ok(None),
            Some(Value::Hash(hash)) => Ok(Some(hash)),
            Some(_) => Err(WRONG_TYPE),
        }
    }

    /// Changes the hash at the command's key, which is made where there is none.
    fn edit_hash<R>(&mut self, change: impl FnOnce(&mut Hash) -> R) -> Result<R, Refusal> {
        let is_there = self.hash()?.is_some();
        let (db, words) = (self.db(), self.words);
        let key = &words[1];
        if !is_there {
            self.hub.store.put(db, key, Value::Hash(Hash::default()), None);
        }
        let result = self.hub.store.edit(db, key, |value| match value {
            Value::Hash(hash) => Some(change(hash)),
            _ => None,
        });
        self.hub.store.changed(db, key);
        result.flatten().ok_or(WRONG_TYPE)
    }

    fn field(&self) -> Result<Option<&Vec<u8>>, Refusal> {
        Ok(self.hash()?.and_then(|hash| hash.get(self.word(2))))
    }
}

pub(super) fn hset(call: &mut Call<'_>) -> Outcome {
    set_fields(call).map(Reply::count)
}

pub(super) fn hmset(call: &mut Call<'_>) -> Outcome {
    set_fields(call).map(|_| Reply::Ok)
}

fn set_fields(call: &mut Call<'_>) -> Result<usize, Refusal> {
    let words = call.words;
    if words.len() % 2 == 1 {
        return Err(wrong_arity(call.spec));
    }
    call.edit_hash(|hash| {
        hash.make_room_for(&words[2..]);
        words[2..]
            .chunks_exact(2)
            .filter(|pair| hash.set(&pair[0], pair[1].clone()))
            .count()
    })
}

pub(super) fn hsetnx(call: &mut Call<'_>) -> Outcome {
    if call.field()?.is_some() {
        return Ok(Reply::Int(0));
    }
    let words = call.words;
    call.edit_hash(|hash| hash.set(&words[2], words[3].clone()))?;
    Ok(Reply::Int(1))
}

pub(super) fn hget(call: &mut Call<'_>) -> Outcome {
    let found = call.field()?.cloned();
    call.tally(found.is_some());
    Ok(Reply::maybe(found))
}

pub(super) fn hmget(call: &mut Call<'_>) -> Outcome {
    let hash = call.hash()?;
    let values = call.words[2..]
        .iter()
        .map(|field| Reply::maybe(hash.and_then(|hash| hash.get(field)).cloned()));
    Ok(Reply::Array(values.collect()))
}

pub(super) fn hgetall(call: &mut Call<'_>) -> Outcome {
    let pairs = call.hash()?.map(Hash::pairs).unwrap_or_default();
    Ok(Reply::Map(shown(&pairs)))
}

fn shown(pairs: &[(&Vec<u8>, &Vec<u8>)]) -> Vec<(Reply, Reply)> {
    pairs
        .iter()
        .map(|(field, value)| (Reply::text(field.as_slice()), Reply::text(value.as_slice())))
        .collect()
}

pub(super) fn hkeys(call: &mut Call<'_>) -> Outcome {
    let pairs = call.hash()?.map(Hash::pairs).unwrap_or_default();
    Ok(Reply::bulks(pairs.into_iter().map(|(field, _)| field.clone())))
}

pub(super) fn hvals(call: &mut Call<'_>) -> Outcome {
    let pairs = call.hash()?.map(Hash::pairs).unwrap_or_default();
    Ok(Reply::bulks(pairs.into_iter().map(|(_, value)| value.clone())))
}

pub(super) fn hdel(call: &mut Call<'_>) -> Outcome {
    if call.hash()?.is_none() {
        return Ok(Reply::Int(0));
    }
    let (db, words) = (call.db(), call.words);
    let removed = call.hub.store.edit(db, &words[1], |value| match value {
        Value::Hash(hash) => words[2..].iter().filter(|field| hash.remove(field)).count(),
        _ => 0,
    });
    let removed = removed.unwrap_or(0);
    if removed > 0 {
        call.hub.store.changed(db, &words[1]);
    }
    Ok(Reply::count(removed))
}

pub(super) fn hexists(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::truth(call.field()?.is_some()))
}

pub(super) fn hlen(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(call.hash()?.map_or(0, Hash::len)))
}

pub(super) fn hstrlen(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(call.field()?.map_or(0, Vec::len)))
}

pub(super) fn hincrby(call: &mut Call<'_>) -> Outcome {
    let amount = number(call.word(3))?;
    let old = match call.field()? {
        None => 0,
        Some(value) => integer(value).ok_or(Refusal::new("ERR hash value is not an integer"))?,
    };
    let sum = old
        .checked_add(amount)
        .ok_or(Refusal::new("ERR increment or decrement would overflow"))?;
    let words = call.words;
    call.edit_hash(|hash| hash.set(&words[2], sum.to_string().into_bytes()))?;
    Ok(Reply::Int(sum))
}

pub(super) fn hincrbyfloat(call: &mut Call<'_>) -> Outcome {
    let amount = Decimal::parse(call.word(3)).ok_or(NOT_A_FLOAT)?;
    if amount.is_infinite() {
        return Err(Refusal::new("ERR value is NaN or Infinity"));
    }
    let old = match call.field()? {
        None => Decimal::ZERO,
        Some(value) => Decimal::parse(value).ok_or(Refusal::new("ERR hash value is not a float"))?,
    };
    let sum = old
        .plus(amount)
        .ok_or(Refusal::new("ERR increment would produce NaN or Infinity"))?;
    let words = call.words;
    call.edit_hash(|hash| hash.set(&words[2], sum.clone().into_bytes()))?;
    Ok(Reply::text(sum))
}

pub(super) fn hscan(call: &mut Call<'_>) -> Outcome {
    let from = cursor(call.word(2))?;
    let Some(hash) = call.hash()? else {
        return Ok(Reply::Array(vec![Reply::text("0"), Reply::Array(Vec::new())]));
    };
    let scan = scan(from, &call.words[3..], Kinds::Any)?;
    let (next, found) = hash.walk(scan.cursor, scan.count);
    let mut items = Vec::new();
    for (field, value) in found {
        if scan.pattern.is_none_or(|pattern| matches(pattern, field)) {
            items.extend([Reply::text(field.as_slice()), Reply::text(value.as_slice())]);
        }
    }
    Ok(Reply::Array(vec![
        Reply::text(next.to_string()),
        Reply::Array(items),
    ]))
}

pub(super) fn hrandfield(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    if words.len() == 2 {
        let picked = call.hash()?.and_then(Hash::pick);
        return Ok(Reply::maybe(picked.map(|(field, _)| field.clone())));
    }
    let count = number(&words[2])?;
    if count == i64::MIN {
        return Err(out_of_range(-i64::MAX, i64::MAX));
    }
    let wants_values = match &words[3..] {
        [] => false,
        [option] if is(option, "withvalues") => true,
        _ => return Err(SYNTAX),
    };
    if count < -MOST_PICKS {
        return Err(Refusal::new("ERR value is out of range"));
    }
    let Some(hash) = call.hash()? else {
        return Ok(Reply::Array(Vec::new()));
    };
    let picked = picks(hash, count);
    if wants_values {
        return Ok(Reply::Pairs(shown(&picked)));
    }
    Ok(Reply::bulks(picked.into_iter().map(|(field, _)| field.clone())))
}

/// So many fields, each once; a negative count lets fields come more than once.
fn picks(hash: &Hash, count: i64) -> Vec<(&Vec<u8>, &Vec<u8>)> {
    if count < 0 {
        return (0..count.unsigned_abs()).filter_map(|_| hash.pick()).collect();
    }
    let mut pairs = hash.pairs();
    let wanted = usize::try_from(count).unwrap_or(usize::MAX);
    if wanted >= pairs.len() {
        return pairs;
    }
    // The first steps of a shuffle.
    for index in 0..wanted {
        let left = (pairs.len() - index) as u64;
        let other = index + usize::try_from(crate::practice::random::number() % left).unwrap_or(0);
        pairs.swap(index, other);
    }
    pairs.truncate(wanted);
    pairs
}
