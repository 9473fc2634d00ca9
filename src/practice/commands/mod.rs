//! Runs requests: finds the command, performs the same checks as Redis, and then queues or runs the command.

mod arguments;
mod collections;
pub(crate) mod command_table;
mod connection;
mod keys;
mod messages;
mod server;
mod strings;
mod transactions;

pub(crate) use server::NAME as SERVER_NAME;

use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Instant;

use self::arguments::{shown, shown_up_to};
use self::command_table::{PRACTICE, find, is_container};
use super::client::{ConnectedClient, ConnectionState, Kept};
use super::command::{CommandError, CommandResult, Invocation, OUT_OF_MEMORY, SYNTAX, wrong_arity};
use super::command_info::CommandInfo;
use super::reply::{Protocol, Reply};
use super::state::ServerState;
use super::store::wall_clock;
use super::words::{Words, memory_of_word};

/// The memory in bytes that a queued command uses, excluding its words. The queue grows by doubling, so each
/// entry counts twice. The 32 bytes are for the memory block that contains the list of words.
const QUEUED_COST: usize = 2 * size_of::<(&CommandInfo, Words)>() + 32;

/// Runs one request of a client, or queues it if MULTI is active. Queues the reply to be sent.
pub(super) fn run(state: &mut ServerState, client: &Rc<ConnectedClient>, words: Words, now: Instant) {
    client.last_seen.set(now);
    client.late_from.set(now + client.limits.run_time);
    if is_http(&words[0]) {
        client.end(ConnectionState::Dead);
        return;
    }
    state.store.advance(wall_clock());
    state.statistics.commands += 1;
    client.reply_budget.set(client.limits.reply);
    if client.is_logged_in()
        && let Some(command) = find(&[PRACTICE], &words)
        && let Some(reply) = state.fault.reply(command, &words, state.port)
    {
        client.send(&reply);
        return;
    }
    match check(state, client, &words) {
        Err(error) => {
            if let Some(transaction) = client.transaction.borrow_mut().as_mut() {
                transaction.has_error = true;
            }
            let error = if words[0].eq_ignore_ascii_case(b"exec") {
                transactions::abort(state, client, &error)
            } else {
                error
            };
            client.send(&error.into());
        }
        Ok(command) if is_queued(client, command) => queue(client, command, words),
        Ok(command) => {
            let reply = execute(state, client, command, &words, false);
            client.send(&reply);
        }
    }
}

/// Whether a command name shows that the client sends HTTP. As in Redis, the server then closes the
/// connection, because any web page can make a browser send HTTP to a loopback address.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// Runs a command that [`check`] has allowed, and shows the command to the clients that use MONITOR.
fn execute(
    state: &mut ServerState,
    client: &Rc<ConnectedClient>,
    command: &'static CommandInfo,
    words: &[Vec<u8>],
    in_transaction: bool,
) -> Reply {
    client.last_command.set(command.name);
    let mut call = Invocation {
        state,
        client,
        words,
        command,
        in_transaction,
    };
    // Only commands with subcommands have no function. A request without a subcommand has already been
    // rejected.
    let run = command.run.unwrap_or(|_| Err(SYNTAX));
    let reply = run(&mut call).and_then(|reply| spend(&call, reply));
    let reply = reply.unwrap_or_else(Reply::from);
    state.show_to_monitors(client, command, words);
    reply
}

/// Subtracts the memory that a reply uses from the memory that the current request may still use. Returns an
/// error if the reply uses too much. EXEC's reply is not subtracted, because the replies in it have already
/// been subtracted.
fn spend(call: &Invocation<'_>, reply: Reply) -> CommandResult {
    if call.command.name != "exec" {
        let size = reply.size();
        call.afford(size)?;
        let budget = &call.client.reply_budget;
        budget.set(budget.get() - size);
    }
    Ok(reply)
}

/// Finds the command of a request, and checks whether the client may run it now. The order of the checks is
/// the same as in Redis.
fn check(
    state: &ServerState,
    client: &ConnectedClient,
    words: &[Vec<u8>],
) -> Result<&'static CommandInfo, CommandError> {
    let command = look_up(words)?;
    if !command.accepts(words.len()) {
        return Err(wrong_arity(command));
    }
    if !client.is_logged_in() && !command.has_flag("no_auth") {
        return Err("NOAUTH Authentication required.".into());
    }
    if state.store.used > state.limits.data {
        let in_transaction = client.transaction.borrow().is_some();
        let ends_transaction = matches!(command.name, "exec" | "discard" | "multi" | "quit" | "reset");
        if command.has_flag("denyoom") || (in_transaction && !ends_transaction) {
            return Err(OUT_OF_MEMORY);
        }
    }
    let is_limited = client.is_subscriber() && client.protocol.get() == Protocol::Resp2;
    let is_for_subscribers = |name| matches!(name, "ping" | "subscribe" | "unsubscribe" | "quit" | "reset");
    if is_limited && !is_for_subscribers(command.name) {
        return Err(format!(
            "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
             allowed in this context",
            command.name
        )
        .into());
    }
    Ok(command)
}

fn look_up(words: &[Vec<u8>]) -> Result<&'static CommandInfo, CommandError> {
    let command = find(&[PRACTICE], words).ok_or_else(|| unknown_command(words))?;
    match words.get(1) {
        Some(subcommand) if is_container(command) => Err(format!(
            "ERR unknown subcommand '{}'. Try {} HELP.",
            shown(subcommand),
            command.name.to_uppercase()
        )
        .into()),
        _ => Ok(command),
    }
}

fn unknown_command(words: &[Vec<u8>]) -> CommandError {
    let mut arguments = String::new();
    for word in &words[1..] {
        if arguments.len() >= 128 {
            break;
        }
        let room = 128 - arguments.len();
        // Writing to a String cannot fail.
        let _ = write!(arguments, "'{}' ", shown_up_to(word, room));
    }
    let name = shown(&words[0]);
    format!("ERR unknown command '{name}', with args beginning with: {arguments}").into()
}

fn is_queued(client: &ConnectedClient, command: &CommandInfo) -> bool {
    let runs_at_once = matches!(
        command.name,
        "exec" | "discard" | "multi" | "watch" | "quit" | "reset"
    );
    client.transaction.borrow().is_some() && !runs_at_once
}

fn queue(client: &ConnectedClient, command: &'static CommandInfo, words: Words) {
    let words_take: usize = words.iter().map(|word| memory_of_word(word.len())).sum();
    let room = client.keep(Kept::Transaction, QUEUED_COST + words_take);
    let mut transaction = client.transaction.borrow_mut();
    let Some(open) = transaction.as_mut() else {
        return;
    };
    let reply = match room {
        Ok(()) => {
            open.queued.push((command, words));
            Reply::Status("QUEUED".into())
        }
        Err(error) => {
            open.has_error = true;
            open.queued.clear();
            client.keeps(Kept::Transaction, 0);
            error.into()
        }
    };
    drop(transaction);
    client.send(&reply);
}
