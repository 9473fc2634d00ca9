//! The connection itself: who speaks, in which protocol, to which database.

use super::arguments::{is, number, out_of_range};
use super::{Call, Outcome, Refusal, SYNTAX, wrong_arity};
use crate::practice::client::Course;
use crate::practice::reply::{Protocol, Reply};
use crate::practice::request::integer;
use crate::practice::store::DATABASES;

/// The Redis whose commands and words this server has.
pub(super) const VERSION: &str = "7.0.15";

pub(super) fn ping(call: &mut Call<'_>) -> Outcome {
    if call.words.len() > 2 {
        return Err(wrong_arity(call.spec));
    }
    let message = call.words.get(1);
    if call.client.is_subscriber() && call.client.protocol.get() == Protocol::Resp2 {
        let message = message.cloned().unwrap_or_default();
        return Ok(Reply::Array(vec![Reply::text("pong"), Reply::Bulk(message)]));
    }
    Ok(message.map_or(Reply::Simple("PONG"), |message| Reply::text(message.as_slice())))
}

pub(super) fn echo(call: &mut Call<'_>) -> Outcome {
    Ok(Reply::text(call.word(1)))
}

pub(super) fn select(call: &mut Call<'_>) -> Outcome {
    let index = number(call.word(1))?;
    if i32::try_from(index).is_err() {
        return Err(out_of_range(i32::MIN.into(), i32::MAX.into()));
    }
    match usize::try_from(index) {
        Ok(index) if index < DATABASES => {
            call.client.db.set(index);
            Ok(Reply::Ok)
        }
        _ => Err(Refusal::new("ERR DB index is out of range")),
    }
}

pub(super) fn quit(call: &mut Call<'_>) -> Outcome {
    call.client.end(Course::Closing);
    Ok(Reply::Ok)
}

pub(super) fn reset(call: &mut Call<'_>) -> Outcome {
    let client = call.client;
    client.transaction.borrow_mut().take();
    call.hub.unwatch(client);
    for channel in std::mem::take(&mut *client.channels.borrow_mut()) {
        call.hub.silence(client.id, &channel);
    }
    client.is_monitor.set(false);
    client.db.set(0);
    client.protocol.set(Protocol::Resp2);
    client.name.borrow_mut().clear();
    client.is_known.set(call.hub.password.is_none());
    Ok(Reply::Simple("RESET"))
}

pub(super) fn auth(call: &mut Call<'_>) -> Outcome {
    match &call.words[1..] {
        [_] if call.hub.password.is_none() => Err(Refusal::new(
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        )),
        [password] => log_in(call, b"default", password),
        [user, password] => log_in(call, user, password),
        _ => Err(SYNTAX),
    }
    .map(|()| Reply::Ok)
}

fn log_in(call: &Call<'_>, user: &[u8], password: &[u8]) -> Result<(), Refusal> {
    let is_right = match &call.hub.password {
        None => true,
        Some(expected) => is_same(expected.reveal().as_bytes(), password),
    };
    if user != b"default" || !is_right {
        return Err(Refusal::new(
            "WRONGPASS invalid username-password pair or user is disabled.",
        ));
    }
    call.client.is_known.set(true);
    Ok(())
}

/// Compares in a time that tells nothing about where two passwords differ.
fn is_same(expected: &[u8], given: &[u8]) -> bool {
    let digest = |bytes| ring::digest::digest(&ring::digest::SHA256, bytes);
    digest(expected).as_ref() == digest(given).as_ref()
}

pub(super) fn hello(call: &mut Call<'_>) -> Outcome {
    let words = call.words;
    let protocol = match words.get(1) {
        None => None,
        Some(word) => Some(match integer(word) {
            None => {
                return Err(Refusal::new(
                    "ERR Protocol version is not an integer or out of range",
                ));
            }
            Some(2) => Protocol::Resp2,
            Some(3) => Protocol::Resp3,
            Some(_) => return Err(Refusal::new("NOPROTO unsupported protocol version")),
        }),
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
                if !super::clients::is_name(given) {
                    return Err(super::clients::BAD_NAME);
                }
                name = Some(given);
                at += 2;
            }
            _ => {
                let option = super::shown(option, usize::MAX);
                return Err(Refusal::new(format!(
                    "ERR Syntax error in HELLO option '{option}'"
                )));
            }
        }
    }
    if let Some((user, password)) = login {
        log_in(call, user, password)?;
    }
    if !call.client.is_known.get() {
        return Err(Refusal::new(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    if let Some(name) = name {
        name.clone_into(&mut call.client.name.borrow_mut());
    }
    if let Some(protocol) = protocol {
        call.client.protocol.set(protocol);
    }
    let id = i64::try_from(call.client.id).unwrap_or(i64::MAX);
    let facts = [
        ("server", Reply::text("redis")),
        ("version", Reply::text(VERSION)),
        ("proto", Reply::Int(call.client.protocol.get().number())),
        ("id", Reply::Int(id)),
        ("mode", Reply::text("standalone")),
        ("role", Reply::text("master")),
        ("modules", Reply::Array(Vec::new())),
    ];
    Ok(Reply::Map(
        facts.map(|(name, fact)| (Reply::text(name), fact)).into(),
    ))
}
