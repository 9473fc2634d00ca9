//! Implements MULTI, EXEC, DISCARD, WATCH and UNWATCH.

use crate::practice::client::{ConnectedClient, Kept, QueuedTransaction};
use crate::practice::command::{CommandError, CommandResult, Invocation};
use crate::practice::reply::Reply;
use crate::practice::state::ServerState;
use crate::practice::store::WatchedKey;

/// The memory in bytes that a watched key uses, excluding its name.
const WATCH_COST: usize = 200;

pub(super) fn multi(call: &mut Invocation<'_>) -> CommandResult {
    let mut transaction = call.client.transaction.borrow_mut();
    if transaction.is_some() {
        return Err("ERR MULTI calls can not be nested".into());
    }
    *transaction = Some(QueuedTransaction::default());
    Ok(Reply::Ok)
}

pub(super) fn exec(call: &mut Invocation<'_>) -> CommandResult {
    let Some(transaction) = call.client.take_transaction() else {
        return Err("ERR EXEC without MULTI".into());
    };
    for (db, key) in &*call.client.watched.borrow() {
        call.state.store.remove_if_expired(*db, key);
    }
    let watched_key_changed = call.client.watched_key_changed.get();
    call.state.unwatch(call.client);
    if transaction.has_error {
        return Err("EXECABORT Transaction discarded because of previous errors.".into());
    }
    if watched_key_changed {
        return Ok(Reply::NilArray);
    }
    let mut replies = Vec::with_capacity(transaction.queued.len());
    for (command, words) in &transaction.queued {
        // The clock does not advance during a transaction, but a previous command might have set an expiry
        // time in the past.
        call.state.store.advance(call.state.store.now);
        let reply = match call.check_time() {
            Ok(()) => super::execute(call.state, call.client, command, words, true),
            Err(error) => error.into(),
        };
        replies.push(reply);
    }
    Ok(Reply::Array(replies))
}

/// Discards the client's transaction. Returns EXEC's error reply, which quotes `error`.
pub(super) fn abort(state: &mut ServerState, client: &ConnectedClient, error: &CommandError) -> CommandError {
    client.take_transaction();
    state.unwatch(client);
    let why = error.0.strip_prefix("ERR ").unwrap_or(&error.0);
    format!("EXECABORT Transaction discarded because of: {why}").into()
}

pub(super) fn discard(call: &mut Invocation<'_>) -> CommandResult {
    if call.client.take_transaction().is_none() {
        return Err("ERR DISCARD without MULTI".into());
    }
    call.state.unwatch(call.client);
    Ok(Reply::Ok)
}

pub(super) fn watch(call: &mut Invocation<'_>) -> CommandResult {
    let client = call.client;
    if client.transaction.borrow().is_some() {
        return Err("ERR WATCH inside MULTI is not allowed".into());
    }
    // If a watched key has already changed, the transaction will fail anyway, so more keys need not be
    // watched.
    if !client.watched_key_changed.get() {
        for key in &call.words[1..] {
            let key: WatchedKey = (client.db.get(), key.as_slice().into());
            let mut watched = client.watched.borrow_mut();
            if !watched.contains(&key) {
                client.keep(Kept::WatchedKeys, WATCH_COST + key.1.len())?;
                call.state.store.watch(key.clone(), &client.watched_key_changed);
                watched.insert(key);
            }
        }
    }
    Ok(Reply::Ok)
}

pub(super) fn unwatch(call: &mut Invocation<'_>) -> CommandResult {
    call.state.unwatch(call.client);
    Ok(Reply::Ok)
}
