//! MULTI, EXEC and WATCH.

use super::{Call, Outcome, Refusal};
use crate::practice::client::Transaction;
use crate::practice::reply::Reply;

pub(super) fn multi(call: &mut Call<'_>) -> Outcome {
    let mut transaction = call.client.transaction.borrow_mut();
    if transaction.is_some() {
        return Err(Refusal::new("ERR MULTI calls can not be nested"));
    }
    *transaction = Some(Transaction::default());
    Ok(Reply::Ok)
}

pub(super) fn exec(call: &mut Call<'_>) -> Outcome {
    let Some(transaction) = call.client.transaction.borrow_mut().take() else {
        return Err(Refusal::new("ERR EXEC without MULTI"));
    };
    let is_disturbed = call.client.is_disturbed.get();
    call.hub.unwatch(call.client);
    if transaction.is_spoiled {
        return Err(Refusal::new(
            "EXECABORT Transaction discarded because of previous errors.",
        ));
    }
    if is_disturbed {
        return Ok(Reply::NilArray);
    }
    let mut replies = Vec::with_capacity(transaction.queued.len());
    for (spec, words) in &transaction.queued {
        // The clock stands still within a transaction, but a key can be given an end that has passed.
        call.hub.store.advance(call.hub.store.now());
        replies.push(super::perform(call.hub, call.client, spec, words, true));
    }
    Ok(Reply::Array(replies))
}

pub(super) fn discard(call: &mut Call<'_>) -> Outcome {
    if call.client.transaction.borrow_mut().take().is_none() {
        return Err(Refusal::new("ERR DISCARD without MULTI"));
    }
    call.hub.unwatch(call.client);
    Ok(Reply::Ok)
}

pub(super) fn watch(call: &mut Call<'_>) -> Outcome {
    if call.client.transaction.borrow().is_some() {
        return Err(Refusal::new("ERR WATCH inside MULTI is not allowed"));
    }
    // A transaction that is lost already watches nothing more.
    if !call.client.is_disturbed.get() {
        for key in &call.words[1..] {
            call.hub
                .store
                .watch(call.client.db.get(), key, &call.client.is_disturbed);
        }
        call.client.is_watching.set(true);
    }
    Ok(Reply::Ok)
}

pub(super) fn unwatch(call: &mut Call<'_>) -> Outcome {
    call.hub.unwatch(call.client);
    Ok(Reply::Ok)
}
