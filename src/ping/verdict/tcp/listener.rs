//! Describes the process that listens on the port, if the server is on this host.

use std::net::SocketAddr;

use crate::ping::observation::{Dial, DialResult, Endpoint, Observations};
use crate::ping::this_host::LocalListener;

/// Describes the process on this host that accepted the connection. The process may be a tunnel or a proxy.
pub(in crate::ping::verdict) fn describe_listener(seen: &Observations) -> Option<String> {
    let listener = seen.listener_of_the_connection()?;
    let port = seen.tcp.connected()?.to.ip()?.port();
    let Some(name) = listener.process.as_deref() else {
        return Some(
            "the connection leads to this host itself; `sudo ss -ltnp` shows which process is listening on the port"
                .into(),
        );
    };
    Some(match listener.forwarder() {
        Some(forwarder) => format!(
            "the process {name} on this host is listening on port {port} ({forwarder}), so the fault may be behind \
             this process"
        ),
        None => format!("the process {name} on this host is listening on port {port}"),
    })
}

/// Describes the listening process after a connection to this host failed.
pub(super) fn local_listener(seen: &Observations, dial: &Dial) -> Option<String> {
    let listeners = seen.this_host.listeners.as_ref()?;
    let Endpoint::Ip(to) = &dial.to else { return None };
    if seen.is_loopback_down() {
        return None;
    }
    let listener = listeners.iter().find(|listener| listener.covers(to.ip()));
    let is_timeout = matches!(dial.result, DialResult::Timeout { .. });
    Some(match listener {
        None if is_timeout => {
            "no process is listening on the port, but no TCP reset was received, so this host's firewall is dropping \
             the packets".into()
        }
        None => return None,
        Some(LocalListener { waiting: 0, .. }) if is_timeout => {
            "a server is listening, and its accept queue is empty, so this host's firewall is dropping the packets".into()
        }
        Some(listener) if is_timeout => {
            let count = listener.waiting;
            format!("the server's accept queue is full ({count} connections are waiting)")
        }
        Some(listener) => {
            let name = process_name(listener);
            let conclusion = match dial.result {
                DialResult::Refused => ", so either this process has only just started, or this host's firewall \
                                        sent the RST",
                _ => "",
            };
            format!("{name} is listening on {}{conclusion}", dial.to)
        }
    })
}

/// Describes why a connection was refused. The reason is known only if the server is on this host.
pub(super) fn refusal(seen: &Observations, to: &Endpoint) -> String {
    let Endpoint::Ip(address) = to else {
        return format!("no process is listening on the socket {to}");
    };
    let (ip, port) = (address.ip(), address.port());
    match seen.this_host.listeners.as_deref() {
        Some([]) => {
            format!("no process on this host is listening on port {port} ({ip} is an address of this host)")
        }
        Some(all) if !all.iter().any(|listener| listener.covers(ip)) => {
            let others: Vec<_> = all
                .iter()
                .map(|other| {
                    let at = SocketAddr::new(other.address, port);
                    format!("{} is listening on {at}", process_name(other))
                })
                .collect();
            format!("no process is listening on {to}, but {}", others.join(" and "))
        }
        _ => format!("{to} refuses connections: the port is closed, or a firewall rejects them"),
    }
}

fn process_name(listener: &LocalListener) -> &str {
    listener.process.as_deref().unwrap_or("a process")
}
