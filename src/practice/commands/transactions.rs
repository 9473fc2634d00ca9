//! MULTI, EXEC and WATCH.

use crate::practice::client::{ConnectedClient, QueuedTransaction};
use crate::practice::command::{CommandError, CommandResult, Invocation};
use crate::practice::reply::Reply;
use crate::practice::state::ServerState;

pub(super) fn multi(call: &mut Invocation<'_>) -> CommandResult {
    let mut transaction = call.client.transaction.borrow_mut();
    if transaction.is_some() {
        return Err("ERR MULTI calls can not be nested".into());
    }
    *transaction = Some(QueuedTransaction::default());
    Ok(Reply::Ok)
}

pub(super) fn exec(call: &mut Invocation<'_>) -> CommandResult {
    let Some(transaction) = call.client.transaction.borrow_mut().take() else {
        return Err("ERR EXEC without MULTI".into());
    };
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
        // The clock does not advance during a transaction, but a command may have set an expiry in the past.
        call.state.store.advance(call.state.store.now);
        replies.push(super::execute(call.state, call.client, command, words, true));
    }
    Ok(Reply::Array(replies))
}

/// Discards the transaction when EXEC is refused. Returns the error of EXEC.
pub(super) fn abort(state: &mut ServerState, client: &ConnectedClient, error: &CommandError) -> CommandError {
    client.transaction.borrow_mut().take();
    state.unwatch(client);
    let why = error.0.strip_prefix("ERR ").unwrap_or(&error.0);
    format!("EXECABORT Transaction discarded because of: {why}").into()
}

pub(super) fn discard(call: &mut Invocation<'_>) -> CommandResult {
    if call.client.transaction.borrow_mut().take().is_none() {
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
    // If a watched key has already changed, the transaction will fail anyway.
    if !client.watched_key_changed.get() {
        for key in &call.words[1..] {
            let db = client.db.get();
            call.state.store.watch(db, key, &client.watched_key_changed);
        }
        client.is_watching.set(true);
    }
    Ok(Reply::Ok)
}

pub(super) fn unwatch(call: &mut Invocation<'_>) -> CommandResult {
    call.state.unwatch(call.client);
    Ok(Reply::Ok)
}
