//! Finds out why the first request gets no reply.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use super::inside_tls::client_hello;
use super::{Banner, Decisive, Reconnect};
use crate::deadline::Deadline;
use crate::ping::observation::{Experiment, PacketSizes, Repeat};
use crate::ping::response::Response;

/// The delay between the repeated PING and the ClientHello. The delay makes sure that a load balancer sends
/// the PING to the next server in its list.
const LEAD: Duration = Duration::from_millis(50);

/// The results of experiments on additional connections, after the first connection ended or got no reply.
#[derive(Debug, Default)]
pub(in crate::ping) struct Explanation {
    pub(in crate::ping) experiment: Option<Experiment>,
    pub(in crate::ping) repeat: Option<Repeat>,
    pub(in crate::ping) expects_proxy_header: bool,
    pub(in crate::ping) packet_sizes: Option<PacketSizes>,
}

impl Decisive for Explanation {
    fn is_decisive(&self) -> bool {
        self.experiment.as_ref().is_some_and(Decisive::is_decisive) || self.expects_proxy_header
    }
}

impl Reconnect<'_> {
    /// Finds out why the first request got no reply, or why the connection ended. Tries a second connection,
    /// TLS, and a PROXY header.
    ///
    /// If `path_mtu` is set, the request was large, and packets of different sizes are tried too. `path_mtu`
    /// is the size of the packets that were lost.
    pub(in crate::ping) async fn explain(
        &self,
        banner: Banner,
        path_mtu: Option<u16>,
        deadline: Deadline,
    ) -> Explanation {
        let mut found = Explanation::default();
        let mut running: FuturesUnordered<BoxFuture<'_, Explanation>> = FuturesUnordered::new();
        running.push(Box::pin(async move {
            let repeat = Some(self.repeat(None, banner, deadline).await);
            Explanation {
                repeat,
                ..Explanation::default()
            }
        }));
        if let Some(path_mtu) = path_mtu {
            running.push(Box::pin(async move {
                Explanation {
                    packet_sizes: self.sizes_without_login(path_mtu, deadline).await,
                    ..Explanation::default()
                }
            }));
        }
        if let Some(address) = self.address.filter(|_| !self.target.tls) {
            let lead = LEAD.max(self.connecting * 4);
            running.push(Box::pin(async move {
                deadline.sleep(lead).await;
                let experiment = Some(client_hello(address, self.host(), deadline).await);
                Explanation {
                    experiment,
                    ..Explanation::default()
                }
            }));
            running.push(Box::pin(async move {
                deadline.sleep(lead).await;
                Explanation {
                    expects_proxy_header: self.answers_after_proxy_header(address, deadline).await,
                    ..Explanation::default()
                }
            }));
        }
        while let Some(one) = running.next().await {
            found.experiment = found.experiment.or(one.experiment);
            found.repeat = found.repeat.or(one.repeat);
            found.expects_proxy_header |= one.expects_proxy_header;
            found.packet_sizes = found.packet_sizes.or(one.packet_sizes);
            let last = found.repeat.as_ref().and_then(|repeat| repeat.exchanges.last());
            let is_repeated = last.is_some_and(|exchange| {
                matches!(exchange.response, Response::Reply(_) | Response::NotResp(_))
            });
            if is_repeated || found.is_decisive() {
                break;
            }
        }
        found
    }
}
