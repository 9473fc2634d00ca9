//! COMMAND: what the server tells of its own commands.

use super::table::{TABLE, find};
use super::{Call, Outcome, SYNTAX, Spec};
use crate::practice::reply::Reply;

/// Whether a command runs by its subcommands. COMMAND alone does both.
pub(super) fn is_container(spec: &Spec) -> bool {
    subcommands(spec).next().is_some()
}

fn subcommands(spec: &Spec) -> impl Iterator<Item = &'static Spec> {
    let lead = format!("{}|", spec.name);
    TABLE.iter().filter(move |other| other.name.starts_with(&lead))
}

fn commands() -> impl Iterator<Item = &'static Spec> {
    TABLE.iter().filter(|spec| !spec.name.contains('|'))
}

pub(super) fn all(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::Array(commands().map(description).collect()))
}

pub(super) fn count(_: &mut Call<'_>) -> Outcome {
    Ok(Reply::count(commands().count()))
}

pub(super) fn list(call: &mut Call<'_>) -> Outcome {
    if call.words.len() > 2 {
        return Err(SYNTAX);
    }
    Ok(Reply::Array(
        commands().map(|spec| Reply::text(spec.name)).collect(),
    ))
}

pub(super) fn info(call: &mut Call<'_>) -> Outcome {
    if call.words.len() == 2 {
        return all(call);
    }
    let wanted = call.words[2..]
        .iter()
        .map(|name| find(&super::lower(name)).map_or(Reply::Nil, description));
    Ok(Reply::Array(wanted.collect()))
}

pub(super) fn docs(call: &mut Call<'_>) -> Outcome {
    let pages = if call.words.len() == 2 {
        commands().map(page).collect()
    } else {
        call.words[2..]
            .iter()
            .filter_map(|name| find(&super::lower(name)))
            .map(page)
            .collect()
    };
    Ok(Reply::Map(pages))
}

fn words(words: &'static str, lead: &str) -> Reply {
    let words = words.split(' ').filter(|word| !word.is_empty());
    Reply::Set(words.map(|word| Reply::Status(format!("{lead}{word}"))).collect())
}

fn description(spec: &'static Spec) -> Reply {
    let (first, last, step) = spec.keys;
    Reply::Array(vec![
        Reply::text(spec.name),
        Reply::Int(spec.arity),
        words(spec.flags, ""),
        Reply::Int(first),
        Reply::Int(last),
        Reply::Int(step),
        words(spec.categories, "@"),
        Reply::Set(Vec::new()),
        Reply::Set(Vec::new()),
        Reply::Array(subcommands(spec).map(description).collect()),
    ])
}

fn page(spec: &'static Spec) -> (Reply, Reply) {
    let address = format!("https://redis.io/commands/{}", spec.name.replace('|', "-"));
    let mut facts = vec![
        (Reply::text("summary"), Reply::text(address)),
        (Reply::text("since"), Reply::text(spec.since)),
        (Reply::text("group"), Reply::text(spec.group)),
    ];
    let below: Vec<_> = subcommands(spec).map(page).collect();
    if !below.is_empty() {
        facts.push((Reply::text("subcommands"), Reply::Map(below)));
    }
    (Reply::text(spec.name), Reply::Map(facts))
}
