//! Repeats the requests of the first connection on a second connection.

use super::Reconnect;
use super::packet_sizes::{Large, Sizes};
use super::plain_ping::{Banner, listen};
use crate::deadline::Deadline;
use crate::ping::observation::{Exchange, PacketSizes, Repeat};
use crate::ping::response::Response;
use crate::ping::rungs::ping::{self, Requests};
use crate::ping::rungs::tcp::SegmentSize;

impl Reconnect<'_> {
    /// Repeats the login, PING and `requests` on a second connection, one at a time. Stops at the first
    /// request without a reply.
    pub(in crate::ping) async fn repeat(
        &self,
        requests: Option<&Requests>,
        banner: Banner,
        deadline: Deadline,
    ) -> Repeat {
        let exchanges = self.exchanges(requests, banner, deadline).await;
        let password = self.target.password.as_ref();
        let mask = |exchange: Exchange| exchange.without(password);
        Repeat {
            exchanges: exchanges.into_iter().map(mask).collect(),
        }
    }

    async fn exchanges(
        &self,
        requests: Option<&Requests>,
        banner: Banner,
        deadline: Deadline,
    ) -> Vec<Exchange> {
        let Some(mut connection) = self.connect(SegmentSize::Default, deadline).await else {
            return Vec::new();
        };
        let exchange = |command, response| Exchange { command, response };
        if banner == Banner::Listen
            && let Some(response) = listen(&mut connection, deadline).await
        {
            let has_login = self.target.password.is_some();
            return vec![exchange(if has_login { "AUTH" } else { "PING" }, response)];
        }
        let mut exchanges = Vec::new();
        if let Some(response) = ping::log_in_to(self.target, &mut connection, deadline).await {
            let is_ok = response.is_ok();
            exchanges.push(exchange("AUTH", response));
            if !is_ok {
                return exchanges;
            }
        }
        let response = ping::observe(&mut connection, deadline).await;
        let is_answered = matches!(response, Response::Reply(_));
        exchanges.push(exchange("PING", response));
        if let (Some(requests), true) = (requests, is_answered) {
            // Leave enough time to search for the packet size limit.
            let patience = deadline.left() / 4;
            exchanges.extend(requests.one_at_a_time(&mut connection, patience, deadline).await);
        }
        exchanges
    }

    /// Repeats all requests. If the large request gets no reply, also searches for the packet size limit.
    /// `path_mtu` is the largest packet size that this host uses for the server.
    pub(in crate::ping) async fn repeat_requests(
        &self,
        requests: &Requests,
        path_mtu: Option<u16>,
        deadline: Deadline,
    ) -> (Repeat, Option<PacketSizes>) {
        let repeat = self.repeat(Some(requests), Banner::Skip, deadline).await;
        let is_echo_lost = repeat.stopped_at().is_some_and(|exchange| {
            exchange.command == "ECHO" && matches!(exchange.response, Response::Timeout(_))
        });
        if let (true, Some(largest)) = (is_echo_lost, path_mtu)
            && let Sizes::Limited(sizes) = self.packet_sizes(Large::Echo(requests), largest, deadline).await
        {
            return (repeat, Some(sizes));
        }
        (repeat, None)
    }
}
