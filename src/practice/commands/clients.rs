//! CLIENT and its subcommands.

use std::borrow::Cow;
use std::rc::Rc;

use super::arguments::is;
use super::{Call, Outcome, Refusal, SYNTAX};
use crate::practice::client::{Client, Course};
use crate::practice::reply::Reply;
use crate::practice::request::integer;

pub(super) const BAD_NAME: Refusal = Refusal(Cow::Borrowed(
    "ERR Client names cannot contain spaces, newlines or special characters.",
));

/// Whether a name can stand in a line of CLIENT LIST.
pub(super) fn is_name(name: &[u8]) -> bool {
    name.iter().all(u8::is_ascii_graphic)
}

pub(super) fn id(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Int(i64::try_from(call.client.id).unwrap_or(i64::MAX)))
}

pub(super) fn info(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Verbatim(format!("{}\n", line(call.client))))
}

pub(super) fn setname(call: &mut Call<'_>) -> Outcome {
    let name = call.word(2);
    if !is_name(name) {
        return Err(BAD_NAME);
    }
    *call.client.name.borrow_mut() = name.to_vec();
    Ok(Reply::Ok)
}

pub(super) fn getname(call: &mut Call<'_>) -> Outcome {
    let name = call.client.name.borrow();
    Ok(Reply::maybe((!name.is_empty()).then(|| name.clone())))
}

pub(super) fn setinfo(call: &mut Call<'_>) -> Outcome {
    let (option, value) = (call.word(2), call.word(3));
    let index = if is(option, "lib-name") {
        0
    } else if is(option, "lib-ver") {
        1
    } else {
        let option = super::shown(option, usize::MAX);
        return Err(Refusal::new(format!("ERR Unrecognized option '{option}'")));
    };
    if !is_name(value) {
        let option = super::shown(option, usize::MAX);
        return Err(Refusal::new(format!(
            "ERR {option} cannot contain spaces, newlines or special characters."
        )));
    }
    call.client.library.borrow_mut()[index] = value.to_vec();
    Ok(Reply::Ok)
}

pub(super) fn no_evict(call: &mut Call<'_>) -> Outcome {
    on_or_off(call)
}

pub(super) fn no_touch(call: &mut Call<'_>) -> Outcome {
    on_or_off(call)
}

/// Nothing is ever evicted here, and no clock of last use is kept: both settings hold at all times.
fn on_or_off(call: &Call<'_>) -> Outcome {
    let word = call.word(2);
    if is(word, "on") || is(word, "off") {
        Ok(Reply::Ok)
    } else {
        Err(SYNTAX)
    }
}

pub(super) fn list(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    let mut chosen: Vec<Rc<Client>> = call.hub.clients.values().cloned().collect();
    match &words[2..] {
        [] => {}
        [option, kind] if is(option, "type") => {
            let kind = Kind::read(kind)?;
            chosen.retain(|client| kind.is_of(client));
        }
        [option, ids @ ..] if is(option, "id") && !ids.is_empty() => {
            let mut wanted = Vec::new();
            for id in ids {
                wanted.push(integer(id).ok_or(Refusal::new("ERR Invalid client ID"))?);
            }
            chosen.retain(|client| wanted.iter().any(|id| u64::try_from(*id) == Ok(client.id)));
        }
        _ => return Err(SYNTAX),
    }
    let lines: String = chosen.iter().map(|client| line(client) + "\n").collect();
    Ok(Reply::Verbatim(lines))
}

/// The kinds of clients that CLIENT LIST and CLIENT KILL tell apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Subscriber,
    /// Primaries and replicas: there are none here.
    Other,
}

impl Kind {
    fn read(word: &[u8]) -> Result<Self, Refusal> {
        if is(word, "normal") {
            Ok(Self::Normal)
        } else if is(word, "pubsub") {
            Ok(Self::Subscriber)
        } else if is(word, "master") || is(word, "replica") || is(word, "slave") {
            Ok(Self::Other)
        } else {
            let word = super::shown(word, usize::MAX);
            Err(Refusal::new(format!("ERR Unknown client type '{word}'")))
        }
    }

    fn is_of(self, client: &Client) -> bool {
        let kind = if client.is_subscriber() {
            Self::Subscriber
        } else {
            Self::Normal
        };
        kind == self
    }
}

pub(super) fn kill(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    if let [address] = &words[2..] {
        let found = call
            .hub
            .clients
            .values()
            .find(|client| client.peer.to_string().as_bytes() == address.as_slice());
        let Some(found) = found else {
            return Err(Refusal::new("ERR No such client"));
        };
        end(found, call.client);
        return Ok(Reply::Ok);
    }
    let filter = Filter::read(&words[2..])?;
    let mut killed = 0;
    for client in call.hub.clients.values().filter(|client| filter.is_for(client)) {
        if client.id == call.client.id && filter.skips_me {
            continue;
        }
        end(client, call.client);
        killed += 1;
    }
    Ok(Reply::count(killed))
}

/// Who asks for its own end still gets the answer.
fn end(client: &Client, asking: &Client) {
    client.end(if client.id == asking.id {
        Course::Closing
    } else {
        Course::Dead
    });
}

struct Filter {
    id: Option<u64>,
    peer: Option<Vec<u8>>,
    local: Option<Vec<u8>>,
    kind: Option<Kind>,
    skips_me: bool,
}

impl Filter {
    fn read(options: &[Vec<u8>]) -> Result<Self, Refusal> {
        let mut filter = Self {
            id: None,
            peer: None,
            local: None,
            kind: None,
            skips_me: true,
        };
        for pair in options.chunks(2) {
            let [option, value] = pair else {
                return Err(SYNTAX);
            };
            if is(option, "id") {
                let id = integer(value)
                    .filter(|id| *id >= 1)
                    .and_then(|id| u64::try_from(id).ok());
                filter.id = Some(id.ok_or(Refusal::new("ERR client-id should be greater than 0"))?);
            } else if is(option, "addr") {
                filter.peer = Some(value.clone());
            } else if is(option, "laddr") {
                filter.local = Some(value.clone());
            } else if is(option, "type") {
                filter.kind = Some(Kind::read(value)?);
            } else if is(option, "user") {
                if value != b"default" {
                    let user = super::shown(value, usize::MAX);
                    return Err(Refusal::new(format!("ERR No such user '{user}'")));
                }
            } else if is(option, "skipme") && (is(value, "yes") || is(value, "no")) {
                filter.skips_me = is(value, "yes");
            } else {
                return Err(SYNTAX);
            }
        }
        Ok(filter)
    }

    fn is_for(&self, client: &Client) -> bool {
        let is_at = |wanted: &Option<Vec<u8>>, address: std::net::SocketAddr| {
            wanted
                .as_ref()
                .is_none_or(|wanted| address.to_string().as_bytes() == wanted.as_slice())
        };
        self.id.is_none_or(|id| id == client.id)
            && is_at(&self.peer, client.peer)
            && is_at(&self.local, client.local)
            && self.kind.is_none_or(|kind| kind.is_of(client))
    }
}

/// One client as CLIENT LIST has it. What nobody measures here is 0.
fn line(client: &Client) -> String {
    let flags = match client {
        _ if client.is_monitor.get() => "O",
        _ if client.is_subscriber() => "P",
        _ if client.transaction.borrow().is_some() => "x",
        _ => "N",
    };
    let queued = client
        .transaction
        .borrow()
        .as_ref()
        .map_or(-1, |open| i64::try_from(open.queued.len()).unwrap_or(i64::MAX));
    let library = client.library.borrow();
    format!(
        "id={} addr={} laddr={} fd=0 name={} age={} idle={} flags={flags} db={} sub={} psub=0 ssub=0 multi={queued} \
         qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem={} tot-mem=0 events=r cmd={} \
         user=default redir=-1 resp={} lib-name={} lib-ver={}",
        client.id,
        client.peer,
        client.local,
        String::from_utf8_lossy(&client.name.borrow()),
        client.since.elapsed().as_secs(),
        client.last_seen.get().elapsed().as_secs(),
        client.db.get(),
        client.channels.borrow().len(),
        client.outbox.waiting(),
        client.last_command.get(),
        client.protocol.get().number(),
        String::from_utf8_lossy(&library[0]),
        String::from_utf8_lossy(&library[1]),
    )
}
