//! Collects facts that may explain a failed connection: about this host, `/etc/hosts`, and the provider's TLS
//! port. The facts are collected while the connection attempts wait for a reply.

use std::net::SocketAddr;

use super::observation::{Dial, DialResult, HostsEntry, NameServer, Observations};
use super::rungs::dns;
use super::rungs::tcp::{self, SegmentSize};
use super::this_host::{self, ThisHost};
use crate::deadline::Deadline;
use crate::os;
use crate::redis_url::hosting::Hosting;

/// Facts that may explain a failed connection.
pub(super) struct Surroundings {
    this_host: ThisHost,
    hosts_file: Option<(HostsEntry, Vec<NameServer>)>,
    other_port: Option<Dial>,
}

impl Surroundings {
    pub(super) async fn observe(host: &str, addresses: &[SocketAddr], deadline: Deadline) -> Self {
        let until = deadline.within(deadline.left().mul_f64(0.8));
        let (this_host, hosts_file, other_port) = tokio::join!(
            this_host::observe(addresses, deadline),
            dns::hosts_file(host, until),
            dial_other_port(host, addresses, until),
        );
        Self {
            this_host,
            hosts_file,
            other_port,
        }
    }

    pub(super) fn record(self, seen: &mut Observations) {
        let with_result = |result| seen.tcp.dials.iter().find(|dial| dial.result == result);
        if with_result(DialResult::TooManyFiles).is_some() {
            seen.open_file_limit = os::open_file_limit();
        }
        let without_port = with_result(DialResult::NoLocalPort).and_then(|dial| dial.to.ip());
        seen.this_host = ThisHost {
            local_ports: without_port.and_then(this_host::local_ports),
            ..self.this_host
        };
        seen.tcp.other_port = self.other_port;
        if let (Some(lookup), Some((entry, servers))) = (&mut seen.dns, self.hosts_file) {
            lookup.hosts_file = Some(entry);
            lookup.servers = servers;
        }
    }
}

/// Tries to connect to the provider's TLS port. Returns `None` if the URL already has this port, or if no
/// such port is known.
async fn dial_other_port(host: &str, addresses: &[SocketAddr], deadline: Deadline) -> Option<Dial> {
    let mut address = *addresses.first()?;
    let port = Hosting::of(host)?
        .tls_port
        .filter(|port| *port != address.port())?;
    address.set_port(port);
    Some(tcp::dial(address, SegmentSize::Default, deadline).await.1)
}
