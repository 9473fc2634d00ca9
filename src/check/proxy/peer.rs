//! Decides which users may connect to the proxy, because other users of this host must not use the proxy's
//! login at Redis.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Proxy, Shared};
use crate::ping::this_host::users_connected_to;
use crate::redis_url::{Address, Target, Trust};

/// The error reply to another user's program.
pub(super) const REFUSAL: &[u8] =
    b"-NOPERM only programs of the user who runs sessiontut check may use this proxy\r\n";
/// The number of attempts to find a connection in the kernel's list. A single attempt may fail, because the
/// list may be incomplete while other connections open or close.
const ATTEMPTS: u32 = 3;
/// The pause between two attempts to find a connection in the kernel's list.
const PAUSE: Duration = Duration::from_millis(10);

/// The users that have opened connections to the proxy. `of_peers` is `None` if the users cannot be
/// determined.
pub(super) struct Users {
    read: Instant,
    of_peers: Option<HashMap<SocketAddr, u32>>,
}

impl Proxy {
    /// Returns the ID of the last user whose connection was refused, or `None` if none was refused.
    pub(crate) fn refused_user(&self) -> Option<u32> {
        self.shared.state().refused
    }
}

/// Whether access to this Redis is limited to certain users of this host.
pub(super) fn is_protected(target: &Target, trust: &Trust) -> bool {
    let is_tcp = matches!(target.address, Address::Tcp { .. });
    target.password.is_some() || trust.cert.is_some() || !is_tcp
}

impl Shared {
    /// Whether the program at this address may use the proxy. If Redis is protected, only programs of this
    /// user and of root may use the proxy. If the user is unknown, as on systems other than Linux, every
    /// program may use it.
    pub(super) async fn admits(&self, peer: SocketAddr, own: SocketAddr) -> bool {
        if !self.is_protected {
            return true;
        }
        for _ in 0..ATTEMPTS {
            match self.user_of(peer, own).await {
                None => return true,
                Some(Some(user)) => {
                    let is_admitted = is_own_user(user);
                    if !is_admitted {
                        self.state().refused = Some(user);
                    }
                    return is_admitted;
                }
                // The connection is not in the list, perhaps because its other end is already closed.
                Some(None) => tokio::time::sleep(PAUSE).await,
            }
        }
        false
    }

    /// Returns the user of an open connection. `None` means that users cannot be determined. `Some(None)`
    /// means that the connection is not in the kernel's list.
    ///
    /// Simultaneous callers share one copy of the list, because reading the list takes long on a host with
    /// many connections.
    async fn user_of(&self, peer: SocketAddr, own: SocketAddr) -> Option<Option<u32>> {
        let opened = Instant::now();
        let mut users = self.users.lock().await;
        if users.as_ref().is_none_or(|users| users.read < opened) {
            let read = Instant::now();
            let of_peers = tokio::task::spawn_blocking(move || users_connected_to(own)).await;
            let of_peers = of_peers.ok().flatten();
            *users = Some(Users { read, of_peers });
        }
        let of_peers = users.as_ref()?.of_peers.as_ref()?;
        Some(of_peers.get(&peer).copied())
    }
}

#[cfg(unix)]
fn is_own_user(user: u32) -> bool {
    [0, rustix::process::geteuid().as_raw()].contains(&user)
}

#[cfg(not(unix))]
fn is_own_user(_: u32) -> bool {
    true
}
