//! Decides who may connect to the proxy. Other users of this host must not use the login of the real Redis.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Proxy, Shared};
use crate::ping::this_host::{Opener, opener};

/// The error reply to a program of another user.
pub(super) const REFUSAL: &[u8] =
    b"-NOPERM only programs of the user who runs sessiontut check may use this proxy\r\n";
/// While other connections open and close, the kernel's list of connections may lack one, so it is read several
/// times.
const ATTEMPTS: u32 = 3;
/// The pause before the next attempt.
const PAUSE: Duration = Duration::from_millis(10);

impl Proxy {
    /// The ID of another user, whose connection was refused.
    pub(crate) fn refused_user(&self) -> Option<u32> {
        self.shared.state().refused
    }
}

impl Shared {
    /// Whether the program at this address may use the proxy: it belongs to this user or to root, or its user is
    /// unknown, because this system is not Linux.
    pub(super) async fn admits(&self, peer: SocketAddr, own: SocketAddr) -> bool {
        for _ in 0..ATTEMPTS {
            match opener(peer, own) {
                Opener::Unknown => return true,
                Opener::User(user) => {
                    let is_admitted = is_own_user(user);
                    if !is_admitted {
                        self.state().refused = Some(user);
                    }
                    return is_admitted;
                }
                Opener::Gone => tokio::time::sleep(PAUSE).await,
            }
        }
        false
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
