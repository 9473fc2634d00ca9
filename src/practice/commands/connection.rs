use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;

use super::arguments::{is, out_of_range, shown};
use super::server::VERSION;
use crate::practice::client::{ConnectedClient, ConnectionState, Kept};
use crate::practice::command::{CommandError, CommandResult, Invocation, SYNTAX, wrong_arity};
use crate::practice::reply::{Protocol, Reply};
use crate::practice::state::ServerState;
use crate::practice::store::DATABASES;
use crate::practice::words::integer;

pub(super) fn ping(call: &mut Invocation<'_>) -> CommandResult {
    if call.words.len() > 2 {
        return Err(wrong_arity(call.command));
    }
    let message = call.words.get(1);
    if call.client.is_subscriber() && call.client.protocol.get() == Protocol::Resp2 {
        let message = message.cloned().unwrap_or_default();
        return Ok(Reply::Array(vec![Reply::text("pong"), Reply::Bulk(message)]));
    }
    Ok(match message {
        Some(message) => Reply::text(message.as_slice()),
        None => Reply::Status("PONG".into()),
    })
}

pub(super) fn select(call: &mut Invocation<'_>) -> CommandResult {
    let index = call.number(1)?;
    if i32::try_from(index).is_err() {
        return Err(out_of_range(i32::MIN.into(), i32::MAX.into()));
    }
    match usize::try_from(index) {
        Ok(index) if index < DATABASES => {
            call.client.db.set(index);
            Ok(Reply::Ok)
        }
        _ => Err("ERR DB index is out of range".into()),
    }
}

/// Runs CLUSTER INFO and READONLY, which always fail because the practice Redis is not a cluster node.
pub(super) fn no_cluster(_call: &mut Invocation<'_>) -> CommandResult {
    Err("ERR This instance has cluster support disabled".into())
}

pub(super) fn quit(call: &mut Invocation<'_>) -> CommandResult {
    call.client.end(ConnectionState::Closing);
    Ok(Reply::Ok)
}

pub(super) fn reset(call: &mut Invocation<'_>) -> CommandResult {
    let client = call.client;
    client.take_transaction();
    call.state.unwatch(client);
    call.state.unsubscribe_all(client);
    call.state.monitors.remove(&client.id);
    client.db.set(0);
    client.protocol.set(Protocol::Resp2);
    client.name.borrow_mut().clear();
    call.state.set_logged_in(client, call.state.password.is_none());
    Ok(Reply::Status("RESET".into()))
}

pub(super) fn auth(call: &mut Invocation<'_>) -> CommandResult {
    match &call.words[1..] {
        [_] if call.state.password.is_none() => Err(
            "ERR AUTH <password> called without any password configured for the default user. \
             Are you sure your configuration is correct?"
                .into(),
        ),
        [password] => log_in(call, b"default", password),
        [user, password] => log_in(call, user, password),
        _ => Err(SYNTAX),
    }
    .map(|()| Reply::Ok)
}

fn log_in(call: &mut Invocation<'_>, user: &[u8], password: &[u8]) -> Result<(), CommandError> {
    let is_right = match &call.state.password {
        None => true,
        Some(expected) => is_same(expected.reveal().as_bytes(), password),
    };
    if user != b"default" || !is_right {
        return Err("WRONGPASS invalid username-password pair or user is disabled.".into());
    }
    if !call.client.is_logged_in() {
        if call.state.clients.len() - call.state.strangers.len() >= call.state.limits.clients {
            call.client.end(ConnectionState::Closing);
            return Err("ERR max number of clients reached".into());
        }
        call.state.set_logged_in(call.client, true);
    }
    Ok(())
}

/// Compares two passwords by their hashes, so that the duration of the comparison does not reveal where they
/// differ.
fn is_same(expected: &[u8], given: &[u8]) -> bool {
    let digest = |bytes| ring::digest::digest(&ring::digest::SHA256, bytes);
    digest(expected).as_ref() == digest(given).as_ref()
}

pub(super) fn hello(call: &mut Invocation<'_>) -> CommandResult {
    let words = call.words;
    let protocol = match words.get(1).map(|word| integer(word)) {
        None => None,
        Some(Some(2)) => Some(Protocol::Resp2),
        Some(Some(3)) => Some(Protocol::Resp3),
        Some(Some(_)) => return Err("NOPROTO unsupported protocol version".into()),
        Some(None) => {
            return Err("ERR Protocol version is not an integer or out of range".into());
        }
    };
    let mut login = None;
    let mut name = None;
    let mut at = 2;
    while let Some(option) = words.get(at) {
        match &words[at + 1..] {
            [user, password, ..] if is(option, "auth") => {
                login = Some((user, password));
                at += 3;
            }
            [given, ..] if is(option, "setname") => {
                check_name(given)?;
                name = Some(given);
                at += 2;
            }
            _ => {
                let option = shown(option);
                return Err(format!("ERR Syntax error in HELLO option '{option}'").into());
            }
        }
    }
    if let Some((user, password)) = login {
        log_in(call, user, password)?;
    }
    if !call.client.is_logged_in() {
        return Err("NOAUTH HELLO must be called with the client already authenticated, otherwise the \
             HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time".into());
    }
    if let Some(name) = name {
        set_name(call.client, name)?;
    }
    if let Some(protocol) = protocol {
        call.client.protocol.set(protocol);
    }
    let facts = [
        ("server", Reply::text("redis")),
        ("version", Reply::text(VERSION)),
        ("proto", Reply::Int(call.client.protocol.get().number())),
        ("id", client_id(call.client)),
        ("mode", Reply::text("standalone")),
        ("role", Reply::text("master")),
        ("modules", Reply::Array(Vec::new())),
    ];
    Ok(Reply::Map(
        facts.map(|(name, fact)| (Reply::text(name), fact)).into(),
    ))
}

fn check_name(name: &[u8]) -> Result<(), CommandError> {
    if is_printable(name) {
        Ok(())
    } else {
        Err("ERR Client names cannot contain spaces, newlines or special characters.".into())
    }
}

fn set_name(client: &ConnectedClient, name: &[u8]) -> Result<(), CommandError> {
    client.keep(Kept::Names, name.len())?;
    let old = std::mem::replace(&mut *client.name.borrow_mut(), name.to_vec());
    client.gives_up(Kept::Names, old.len());
    Ok(())
}

/// Whether a word contains only visible ASCII characters, so that it can be a value in CLIENT LIST.
fn is_printable(word: &[u8]) -> bool {
    word.iter().all(u8::is_ascii_graphic)
}

pub(super) fn client_id(client: &ConnectedClient) -> Reply {
    Reply::Int(i64::try_from(client.id).unwrap_or(i64::MAX))
}

pub(super) fn client_info(call: &mut Invocation<'_>) -> CommandResult {
    Ok(Reply::Verbatim(format!(
        "{}\n",
        description(call.state, call.client)
    )))
}

pub(super) fn client_setname(call: &mut Invocation<'_>) -> CommandResult {
    let name = call.word(2);
    check_name(name)?;
    set_name(call.client, name)?;
    Ok(Reply::Ok)
}

pub(super) fn client_getname(call: &mut Invocation<'_>) -> CommandResult {
    let name = call.client.name.borrow();
    Ok(Reply::maybe((!name.is_empty()).then(|| name.clone())))
}

pub(super) fn client_setinfo(call: &mut Invocation<'_>) -> CommandResult {
    let (option, value) = (call.word(2), call.word(3));
    let shown = shown(option);
    let index = match shown.to_ascii_lowercase().as_str() {
        "lib-name" => 0,
        "lib-ver" => 1,
        _ => return Err(format!("ERR Unrecognized option '{shown}'").into()),
    };
    if !is_printable(value) {
        return Err(format!("ERR {shown} cannot contain spaces, newlines or special characters.").into());
    }
    call.client.keep(Kept::Names, value.len())?;
    let old = std::mem::replace(&mut call.client.library.borrow_mut()[index], value.to_vec());
    call.client.gives_up(Kept::Names, old.len());
    Ok(Reply::Ok)
}

/// Runs CLIENT NO-EVICT and CLIENT NO-TOUCH, which have no effect in the practice Redis.
pub(super) fn client_on_or_off(call: &mut Invocation<'_>) -> CommandResult {
    let word = call.word(2);
    let is_valid = is(word, "on") || is(word, "off");
    is_valid.then_some(Reply::Ok).ok_or(SYNTAX)
}

pub(super) fn client_list(call: &mut Invocation<'_>) -> CommandResult {
    let mut clients: Vec<&Rc<ConnectedClient>> = call.state.clients.values().collect();
    match &call.words[2..] {
        [] => {}
        [option, name] if is(option, "type") => match name.to_ascii_lowercase().as_slice() {
            b"normal" => clients.retain(|client| !client.is_subscriber()),
            b"pubsub" => clients.retain(|client| client.is_subscriber()),
            b"master" | b"replica" | b"slave" => clients.clear(),
            _ => {
                let name = shown(name);
                return Err(format!("ERR Unknown client type '{name}'").into());
            }
        },
        [option, ids @ ..] if is(option, "id") && !ids.is_empty() => {
            let ids: Option<BTreeSet<i64>> = ids.iter().map(|id| integer(id)).collect();
            let ids = ids.ok_or("ERR Invalid client ID")?;
            clients.retain(|client| i64::try_from(client.id).is_ok_and(|id| ids.contains(&id)));
        }
        _ => return Err(SYNTAX),
    }
    let lines = clients
        .iter()
        .map(|client| description(call.state, client) + "\n");
    Ok(Reply::Verbatim(call.collect(lines)?.concat()))
}

/// Runs `CLIENT KILL ip:port`. The filters of CLIENT KILL, such as ID, are not supported.
pub(super) fn client_kill(call: &mut Invocation<'_>) -> CommandResult {
    let [address] = &call.words[2..] else {
        return Err(SYNTAX);
    };
    let address: Option<SocketAddr> = std::str::from_utf8(address)
        .ok()
        .and_then(|text| text.parse().ok());
    let mut clients = call.state.clients.values();
    let Some(found) = clients.find(|client| Some(client.peer) == address) else {
        return Err("ERR No such client".into());
    };
    // A client that closes its own connection still gets the reply.
    found.end(if found.id == call.client.id {
        ConnectionState::Closing
    } else {
        ConnectionState::Dead
    });
    Ok(Reply::Ok)
}

/// Formats a client as CLIENT LIST does. Numbers that the practice Redis does not measure are 0.
fn description(state: &ServerState, client: &ConnectedClient) -> String {
    let flags = match client {
        _ if state.monitors.contains(&client.id) => "O",
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
         qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem={} tot-mem={} events=r cmd={} \
         user=default redir=-1 resp={} lib-name={} lib-ver={}",
        client.id,
        client.peer,
        client.local,
        String::from_utf8_lossy(&client.name.borrow()),
        client.since.elapsed().as_secs(),
        client.last_seen.get().elapsed().as_secs(),
        client.db.get(),
        client.channels.borrow().len(),
        client.unsent(),
        client.memory(),
        client.last_command.get(),
        client.protocol.get().number(),
        String::from_utf8_lossy(&library[0]),
        String::from_utf8_lossy(&library[1]),
    )
}
