//! Implements the commands on hashes and sets.

use super::arguments::{ScanOptions, cursor, float, float_text, is, out_of_range};
use crate::practice::command::{
    CommandError, CommandResult, Invocation, NOT_A_FLOAT, OVERFLOW, SYNTAX, wrong_arity,
};
use crate::practice::reply::Reply;
use crate::practice::value::{Collection, Pair, Value};
use crate::practice::words::integer;
use crate::random;

/// The maximum number of fields that HRANDFIELD returns if it can return a field repeatedly.
const MOST_REPEATED: i64 = 1_000_000;

impl Invocation<'_> {
    /// Sets fields of the hash at the command's key. Creates the hash if it does not exist. Returns the
    /// number of new fields.
    fn set_fields(&mut self, fields: &[Pair<'_>]) -> Result<usize, CommandError> {
        if self.hash()?.is_none() {
            self.put(self.word(1), Value::empty_hash(), None);
        }
        let mut added = 0;
        self.edit(|value| {
            if let Value::Hash(hash) = value {
                added = hash.set_fields(fields);
            }
            fields.len()
        });
        Ok(added)
    }

    fn field(&self) -> Result<Option<&[u8]>, CommandError> {
        Ok(self.hash()?.and_then(|hash| hash.get(self.word(2))))
    }

    fn pairs(&self) -> Result<Vec<Pair<'_>>, CommandError> {
        Ok(self.hash()?.map(Collection::pairs).unwrap_or_default())
    }
}

pub(super) fn hset(call: &mut Invocation<'_>) -> Result<usize, CommandError> {
    if call.words.len() % 2 == 1 {
        return Err(wrong_arity(call.command));
    }
    let pairs = call.words[2..].chunks_exact(2);
    let fields: Vec<Pair<'_>> = pairs.map(|pair| (&*pair[0], &*pair[1])).collect();
    call.set_fields(&fields)
}

pub(super) fn hsetnx(call: &mut Invocation<'_>) -> CommandResult {
    let is_missing = call.field()?.is_none();
    if is_missing {
        call.set_fields(&[(call.word(2), call.word(3))])?;
    }
    Ok(Reply::truth(is_missing))
}

pub(super) fn hget(call: &mut Invocation<'_>) -> CommandResult {
    let found = call.field()?.map(<[u8]>::to_vec);
    call.count_lookup(found.is_some());
    Ok(Reply::maybe(found))
}

pub(super) fn hmget(call: &mut Invocation<'_>) -> CommandResult {
    let hash = call.hash()?;
    let values = call.words[2..]
        .iter()
        .map(|field| Reply::maybe(hash.and_then(|hash| hash.get(field)).map(<[u8]>::to_vec)));
    call.collect(values).map(Reply::Array)
}

pub(super) fn hgetall(call: &mut Invocation<'_>) -> CommandResult {
    call.collect(call.pairs()?.into_iter().map(shown)).map(Reply::Map)
}

fn shown((field, value): Pair<'_>) -> (Reply, Reply) {
    (Reply::text(field), Reply::text(value))
}

pub(super) fn hkeys(call: &mut Invocation<'_>) -> CommandResult {
    let pairs = call.pairs()?.into_iter();
    call.bulks(pairs.map(|(field, _)| field.to_vec()))
}

pub(super) fn hvals(call: &mut Invocation<'_>) -> CommandResult {
    let pairs = call.pairs()?.into_iter();
    call.bulks(pairs.map(|(_, value)| value.to_vec()))
}

pub(super) fn hdel(call: &mut Invocation<'_>) -> CommandResult {
    call.hash()?;
    Ok(remove(call))
}

pub(super) fn srem(call: &mut Invocation<'_>) -> CommandResult {
    call.set()?;
    Ok(remove(call))
}

fn remove(call: &mut Invocation<'_>) -> Reply {
    let names = &call.words[2..];
    Reply::count(call.edit(|value| match value {
        Value::Hash(elements) | Value::Set(elements) => {
            names.iter().filter(|name| elements.remove(name)).count()
        }
        Value::Text(_) => 0,
    }))
}

pub(super) fn hexists(call: &mut Invocation<'_>) -> CommandResult {
    Ok(Reply::truth(call.field()?.is_some()))
}

pub(super) fn hlen(call: &mut Invocation<'_>) -> CommandResult {
    Ok(Reply::count(call.hash()?.map_or(0, Collection::len)))
}

pub(super) fn hstrlen(call: &mut Invocation<'_>) -> CommandResult {
    Ok(Reply::count(call.field()?.map_or(0, <[u8]>::len)))
}

pub(super) fn hincrby(call: &mut Invocation<'_>) -> CommandResult {
    let amount = call.number(3)?;
    let old = match call.field()? {
        None => 0,
        Some(value) => integer(value).ok_or("ERR hash value is not an integer")?,
    };
    let sum = old.checked_add(amount).ok_or(OVERFLOW)?;
    call.set_fields(&[(call.word(2), sum.to_string().as_bytes())])?;
    Ok(Reply::Int(sum))
}

pub(super) fn hincrbyfloat(call: &mut Invocation<'_>) -> CommandResult {
    let amount = float(call.word(3)).ok_or(NOT_A_FLOAT)?;
    if amount.is_infinite() {
        return Err("ERR value is NaN or Infinity".into());
    }
    let old = match call.field()? {
        None => 0.0,
        Some(value) => float(value).ok_or("ERR hash value is not a float")?,
    };
    let sum = float_text(old + amount)?;
    call.set_fields(&[(call.word(2), sum.as_bytes())])?;
    Ok(Reply::text(sum))
}

pub(super) fn hscan(call: &mut Invocation<'_>) -> CommandResult {
    let from = cursor(call.word(2))?;
    scan(call, from, call.hash()?, |(field, value)| {
        vec![field.to_vec(), value.to_vec()]
    })
}

pub(super) fn sscan(call: &mut Invocation<'_>) -> CommandResult {
    let from = cursor(call.word(2))?;
    scan(call, from, call.set()?, |(member, _)| vec![member.to_vec()])
}

/// Runs HSCAN and SSCAN. `show` returns the items of the reply that represent one element.
fn scan(
    call: &Invocation<'_>,
    from: u64,
    collection: Option<&Collection>,
    show: fn(Pair<'_>) -> Vec<Vec<u8>>,
) -> CommandResult {
    let Some(collection) = collection else {
        return Ok(Reply::Array(vec![Reply::text("0"), Reply::Array(Vec::new())]));
    };
    let options = ScanOptions::read(&call.words[3..], false)?;
    let (next, found) = collection.scan(from, options.count);
    let found = found.into_iter().filter(|(name, _)| options.accepts(call, name));
    let items = call.bulks(found.flat_map(show))?;
    Ok(Reply::Array(vec![Reply::text(next.to_string()), items]))
}

pub(super) fn hrandfield(call: &mut Invocation<'_>) -> CommandResult {
    if call.words.len() == 2 {
        let field = call.hash()?.and_then(Collection::random_pair);
        return Ok(Reply::maybe(field.map(|(field, _)| field.to_vec())));
    }
    let count = call.number(2)?;
    if count == i64::MIN {
        return Err(out_of_range(-i64::MAX, i64::MAX));
    }
    let with_values = match &call.words[3..] {
        [] => false,
        [option] if is(option, "withvalues") => true,
        _ => return Err(SYNTAX),
    };
    if count < -MOST_REPEATED {
        return Err("ERR value is out of range".into());
    }
    let Some(hash) = call.hash()? else {
        return Ok(Reply::Array(Vec::new()));
    };
    let pairs = hash.pairs();
    let picked: Box<dyn Iterator<Item = Pair<'_>>> = if count < 0 {
        // If `count` is negative, a field can be returned more than once.
        Box::new((0..count.unsigned_abs()).filter_map(|_| pairs.get(random::below(pairs.len())).copied()))
    } else {
        Box::new(random_order(
            pairs.clone(),
            usize::try_from(count).unwrap_or(usize::MAX),
        ))
    };
    if with_values {
        return call.collect(picked.map(shown)).map(Reply::Pairs);
    }
    call.bulks(picked.map(|(field, _)| field.to_vec()))
}

/// Returns `wanted` different pairs in random order. If there are fewer pairs, returns all of them in their
/// existing order.
fn random_order(mut pairs: Vec<Pair<'_>>, wanted: usize) -> impl Iterator<Item = Pair<'_>> {
    if wanted < pairs.len() {
        // These are the first steps of a Fisher-Yates shuffle.
        for index in 0..wanted {
            let other = index + random::below(pairs.len() - index);
            pairs.swap(index, other);
        }
        pairs.truncate(wanted);
    }
    pairs.into_iter()
}

pub(super) fn sadd(call: &mut Invocation<'_>) -> CommandResult {
    if call.set()?.is_none() {
        call.put(call.word(1), Value::empty_set(), None);
    }
    let members = &call.words[2..];
    let added = call.edit(|value| match value {
        Value::Set(set) => members.iter().filter(|member| set.add_member(member)).count(),
        _ => 0,
    });
    Ok(Reply::count(added))
}

pub(super) fn smembers(call: &mut Invocation<'_>) -> CommandResult {
    let members = call.set()?.map(Collection::pairs).unwrap_or_default();
    let members = members.into_iter().map(|(member, _)| Reply::text(member));
    call.collect(members).map(Reply::Set)
}

pub(super) fn scard(call: &mut Invocation<'_>) -> CommandResult {
    Ok(Reply::count(call.set()?.map_or(0, Collection::len)))
}

pub(super) fn sismember(call: &mut Invocation<'_>) -> CommandResult {
    let member = call.word(2);
    Ok(Reply::truth(
        call.set()?.is_some_and(|set| set.get(member).is_some()),
    ))
}

pub(super) fn smismember(call: &mut Invocation<'_>) -> CommandResult {
    let set = call.set()?;
    let contained = call.words[2..]
        .iter()
        .map(|member| Reply::truth(set.is_some_and(|set| set.get(member).is_some())));
    call.collect(contained).map(Reply::Array)
}
