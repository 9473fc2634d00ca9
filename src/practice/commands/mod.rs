//! What a request does: looks its command up, checks what Redis checks, runs or queues it, and answers.

mod arguments;
mod catalogue;
mod clients;
mod connection;
mod decimal;
mod hashes;
mod keys;
mod pattern;
mod pubsub;
mod server;
mod sets;
mod strings;
mod table;
mod transactions;

use std::borrow::Cow;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Instant;

use super::client::{Client, Course};
use super::hub::Hub;
use super::reply::{Protocol, Reply};
use super::request::Words;
use super::store::{Moment, wall_clock};

/// One command of the table.
#[derive(Debug)]
pub(super) struct Spec {
    /// In lower case; `CONTAINER|NAME` for a subcommand.
    name: &'static str,
    /// Words with the name; negative: at least so many.
    arity: i64,
    /// Redis's own words for what it does, apart by spaces.
    flags: &'static str,
    /// The first word that is a key, the last (negative: from the end), and the step between.
    keys: (i64, i64, i64),
    /// The ACL categories, apart by spaces.
    categories: &'static str,
    /// The Redis that had it first.
    since: &'static str,
    /// The chapter of Redis's documentation.
    group: &'static str,
    run: fn(&mut Call<'_>) -> Outcome,
}

impl Spec {
    fn has(&self, flag: &str) -> bool {
        self.flags.split(' ').any(|known| known == flag)
    }

    fn fits(&self, words: usize) -> bool {
        let words = i64::try_from(words).unwrap_or(i64::MAX);
        if self.arity < 0 {
            words >= -self.arity
        } else {
            words == self.arity
        }
    }
}

/// A reply, or why there is none.
type Outcome = Result<Reply, Refusal>;

/// An error reply: its code and text.
#[derive(Debug, PartialEq, Eq)]
struct Refusal(Cow<'static, str>);

impl Refusal {
    fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self::Error(refusal.0)
    }
}

const SYNTAX: Refusal = Refusal(Cow::Borrowed("ERR syntax error"));
const WRONG_TYPE: Refusal = Refusal(Cow::Borrowed(
    "WRONGTYPE Operation against a key holding the wrong kind of value",
));
const NOT_AN_INTEGER: Refusal = Refusal(Cow::Borrowed("ERR value is not an integer or out of range"));
const NOT_A_FLOAT: Refusal = Refusal(Cow::Borrowed("ERR value is not a valid float"));
const OUT_OF_MEMORY: Refusal = Refusal(Cow::Borrowed(
    "OOM command not allowed when used memory > 'maxmemory'.",
));

/// A command at work.
struct Call<'a> {
    hub: &'a mut Hub,
    client: &'a Rc<Client>,
    words: &'a [Vec<u8>],
    spec: &'static Spec,
    /// Whether EXEC runs it: then it may not block.
    in_transaction: bool,
}

impl Call<'_> {
    fn db(&self) -> usize {
        self.client.db.get()
    }

    fn now(&self) -> Moment {
        self.hub.store.now()
    }

    /// The word at `index`, which the command's arity promises.
    fn word(&self, index: usize) -> &[u8] {
        self.words.get(index).map_or(&[], Vec::as_slice)
    }
}

/// Answers one request.
pub(super) fn run(hub: &mut Hub, client: &Rc<Client>, words: Words) {
    client.last_seen.set(Instant::now());
    if is_a_web_page(&words[0]) {
        client.end(Course::Dead);
        return;
    }
    hub.store.advance(wall_clock());
    hub.counts.commands += 1;
    if client.is_known.get()
        && let Some(reply) = hub.manner.answer(&words, hub.port)
    {
        client.send(&reply);
        return;
    }
    match admit(hub, client, &words) {
        Err(refusal) => {
            if let Some(transaction) = client.transaction.borrow_mut().as_mut() {
                transaction.is_spoiled = true;
            }
            client.send(&answer_to_refused(hub, client, &words, refusal).into());
        }
        Ok(spec) if is_queued(client, spec) => queue(hub, client, spec, words),
        Ok(spec) => {
            let reply = perform(hub, client, spec, &words, false);
            client.send(&reply);
        }
    }
}

/// A refused EXEC ends its transaction, and says so.
fn answer_to_refused(hub: &mut Hub, client: &Client, words: &[Vec<u8>], refusal: Refusal) -> Refusal {
    if !words[0].eq_ignore_ascii_case(b"exec") {
        return refusal;
    }
    client.transaction.borrow_mut().take();
    hub.unwatch(client);
    let why = refusal.0.strip_prefix("ERR ").unwrap_or(&refusal.0);
    Refusal::new(format!("EXECABORT Transaction discarded because of: {why}"))
}

/// What a command is, for who answers in its place.
pub(super) struct Traits {
    pub(super) name: &'static str,
    pub(super) writes: bool,
    pub(super) has_keys: bool,
    pub(super) runs_while_loading: bool,
    pub(super) is_for_strangers: bool,
}

/// What the command of this request is; none where it is not known.
pub(super) fn traits(words: &[Vec<u8>]) -> Option<Traits> {
    let spec = table::find(&lower(&words[0]))?;
    Some(Traits {
        name: spec.name,
        writes: spec.has("write"),
        has_keys: spec.keys.0 > 0,
        runs_while_loading: spec.has("loading"),
        is_for_strangers: spec.has("no_auth"),
    })
}

/// Browsers let any page post to loopback: as in Redis, a request that looks like HTTP ends the connection.
fn is_a_web_page(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// Runs a command that has been let through, and shows it to those who MONITOR.
fn perform(
    hub: &mut Hub,
    client: &Rc<Client>,
    spec: &'static Spec,
    words: &[Vec<u8>],
    in_transaction: bool,
) -> Reply {
    client.last_command.set(spec.name);
    let mut call = Call {
        hub,
        client,
        words,
        spec,
        in_transaction,
    };
    let reply = (spec.run)(&mut call).unwrap_or_else(Reply::from);
    if !spec.has("admin") {
        hub.show(client, words);
    }
    reply
}

/// The checks before a command, in Redis's order.
fn admit(hub: &Hub, client: &Client, words: &[Vec<u8>]) -> Result<&'static Spec, Refusal> {
    let spec = look_up(words)?;
    if !spec.fits(words.len()) {
        return Err(wrong_arity(spec));
    }
    if !client.is_known.get() && !spec.has("no_auth") {
        return Err(Refusal::new("NOAUTH Authentication required."));
    }
    let is_in_transaction = client.transaction.borrow().is_some();
    let ends_transaction = matches!(spec.name, "exec" | "discard" | "multi" | "quit" | "reset");
    let grows = spec.has("denyoom") || (is_in_transaction && !ends_transaction);
    if grows && hub.store.used() > hub.limits.data {
        return Err(OUT_OF_MEMORY);
    }
    let may_speak = matches!(spec.name, "ping" | "subscribe" | "unsubscribe" | "quit" | "reset");
    if client.protocol.get() == Protocol::Resp2 && client.is_subscriber() && !may_speak {
        return Err(Refusal::new(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            spec.name
        )));
    }
    Ok(spec)
}

fn wrong_arity(spec: &Spec) -> Refusal {
    Refusal::new(format!(
        "ERR wrong number of arguments for '{}' command",
        spec.name
    ))
}

fn look_up(words: &[Vec<u8>]) -> Result<&'static Spec, Refusal> {
    let name = lower(&words[0]);
    let Some(spec) = table::find(&name) else {
        return Err(unknown_command(words));
    };
    let Some(subcommand) = words.get(1).filter(|_| catalogue::is_container(spec)) else {
        return Ok(spec);
    };
    table::find(&format!("{name}|{}", lower(subcommand))).ok_or_else(|| {
        let (shown, container) = (shown(subcommand, 128), name.to_uppercase());
        Refusal::new(format!("ERR unknown subcommand '{shown}'. Try {container} HELP."))
    })
}

fn lower(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_ascii_lowercase()
}

fn unknown_command(words: &[Vec<u8>]) -> Refusal {
    let mut arguments = String::new();
    for word in &words[1..] {
        if arguments.len() >= 128 {
            break;
        }
        let room = 128 - arguments.len();
        // Writing to a String cannot fail.
        let _ = write!(arguments, "'{}' ", shown(word, room));
    }
    let name = shown(&words[0], 128);
    Refusal::new(format!(
        "ERR unknown command '{name}', with args beginning with: {arguments}"
    ))
}

/// At most so many bytes of a word, and none after a zero byte: what C prints of it.
fn shown(word: &[u8], most: usize) -> String {
    let end = word.iter().position(|byte| *byte == 0).unwrap_or(word.len());
    String::from_utf8_lossy(&word[..end.min(most)]).into_owned()
}

fn is_queued(client: &Client, spec: &Spec) -> bool {
    let runs_at_once = matches!(
        spec.name,
        "exec" | "discard" | "multi" | "watch" | "quit" | "reset"
    );
    client.transaction.borrow().is_some() && !runs_at_once
}

fn queue(hub: &Hub, client: &Client, spec: &'static Spec, words: Words) {
    let mut transaction = client.transaction.borrow_mut();
    let Some(open) = transaction.as_mut() else {
        return;
    };
    open.bytes += words
        .iter()
        .map(|word| word.len() + QUEUED_WORD_COST)
        .sum::<usize>();
    if open.bytes > hub.limits.request {
        open.is_spoiled = true;
        open.queued.clear();
        client.send(&OUT_OF_MEMORY.into());
        return;
    }
    open.queued.push((spec, words));
    client.send(&Reply::Simple("QUEUED"));
}

/// What a word in a transaction's queue costs beside its bytes.
const QUEUED_WORD_COST: usize = 48;

/// A command as MONITOR shows it: `1700000000.123456 [0 127.0.0.1:4242] "get" "k"`.
pub(super) fn monitor_line(now: Moment, client: &Client, words: &[Vec<u8>]) -> String {
    let (seconds, micros) = (now / 1000, now % 1000 * 1000);
    let mut line = format!("{seconds}.{micros:06} [{} {}]", client.db.get(), client.peer);
    let is_secret = words
        .first()
        .is_some_and(|name| name.eq_ignore_ascii_case(b"auth") || name.eq_ignore_ascii_case(b"hello"));
    for (index, word) in words.iter().enumerate() {
        line.push_str(" \"");
        let word: &[u8] = if is_secret && index > 0 {
            b"(redacted)"
        } else {
            word
        };
        for &byte in word {
            match byte {
                b'"' => line.push_str("\\\""),
                b'\\' => line.push_str("\\\\"),
                b'\n' => line.push_str("\\n"),
                b'\r' => line.push_str("\\r"),
                b'\t' => line.push_str("\\t"),
                0x07 => line.push_str("\\a"),
                0x08 => line.push_str("\\b"),
                b' '..=b'~' => line.push(char::from(byte)),
                _ => line.push_str(&format!("\\x{byte:02x}")),
            }
        }
        line.push('"');
    }
    line
}
