//! Decides which clients may connect, and how much time they have to log in.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::client::{ConnectedClient, ConnectionState};
use super::connection;
use super::state::{ServerState, SharedState};

/// The minimum time that a client has to log in before a new client may replace it.
const LEAST_TIME: Duration = Duration::from_secs(2);
/// How long a client has to log in if too many other clients are not logged in.
const AT_ONCE: Duration = Duration::from_millis(15);
/// The hard limit on clients that are not logged in, as a multiple of the normal limit. Clients above the
/// normal limit must log in within [`AT_ONCE`].
const HURRIED: usize = 4;
/// The pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections and starts a task for each of them, until the returned future is dropped.
pub(super) async fn accept(listener: &TcpListener, state: &SharedState) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(stream, peer, state),
            // Either no file descriptors are left, or the client has already disconnected.
            Err(_) if drop_oldest_stranger(&mut state.borrow_mut(), AT_ONCE) => {
                tokio::task::yield_now().await;
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn admit(stream: TcpStream, peer: SocketAddr, state: &SharedState) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    // Without this option, the system might delay small replies.
    let _ = stream.set_nodelay(true);
    let mut server = state.borrow_mut();
    server.statistics.connections += 1;
    let time_to_log_in = match server.password {
        Some(_) => time_to_log_in(&mut server),
        None => (server.clients.len() < server.limits.clients).then_some(server.limits.login),
    };
    let Some(time_to_log_in) = time_to_log_in else {
        server.statistics.rejected += 1;
        // The send buffer of a new connection is empty, so this line fits into it.
        let _ = stream.try_write(b"-ERR max number of clients reached\r\n");
        return;
    };
    let client = ConnectedClient::enter(&mut server, peer, local);
    client.time_to_log_in.set(time_to_log_in);
    tokio::task::spawn_local(connection::serve(stream, client, Rc::clone(state)));
}

/// Returns how long a new client may take to log in, or `None` if the client must be rejected.
///
/// If too many clients are not logged in, the new client replaces the one that has waited longest. But if that
/// client connected less than [`LEAST_TIME`] ago, it stays: the new client is then admitted as well, but must
/// log in within [`AT_ONCE`]. The new client is rejected if [`HURRIED`] times the normal number of clients are
/// not logged in.
///
/// Clients that know the password can therefore connect even during a flood of connections.
fn time_to_log_in(server: &mut ServerState) -> Option<Duration> {
    let limits = server.limits;
    if server.strangers.len() < limits.strangers || drop_oldest_stranger(server, LEAST_TIME) {
        Some(limits.login)
    } else {
        (server.strangers.len() < limits.strangers * HURRIED).then_some(AT_ONCE)
    }
}

/// Disconnects the client that has waited longest without logging in. Returns false if there is no such
/// client, or if it has not waited for longer than `least_time`.
fn drop_oldest_stranger(server: &mut ServerState, least_time: Duration) -> bool {
    let oldest = server.strangers.first();
    let oldest = oldest.filter(|(since, _)| since.elapsed() > least_time);
    let Some(oldest) = oldest.and_then(|(_, id)| server.clients.get(id)).map(Rc::clone) else {
        return false;
    };
    oldest.end(ConnectionState::Dead);
    server.remove_client(&oldest);
    true
}

/// Raises this process's limit on open files to the maximum, so that more clients can connect.
pub(crate) fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        // If this fails, clients over the limit have to wait until other clients disconnect.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}
