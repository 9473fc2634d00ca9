//! Experiments on further connections, which distinguish causes that look alike on the first.
//!
//! An experiment runs concurrently with the rung it explains. It never replaces the rung, and never outlives it.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, join, join_all};
use futures_util::stream::FuturesUnordered;
use redis::cmd;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::observation::{Exchange, Experiment, PacketSizes, Repeat, TlsResult, WiderOffer};
use super::response::{Response, ask, items, receive, text};
use super::rungs::ping::{self, Requests};
use super::rungs::tcp::SegmentSize;
use super::rungs::{tcp, tls};
use crate::deadline::Deadline;
use crate::redis_client::{ProbeConnection, Stream};
use crate::redis_url::{Address, Target, Trust};

/// How long to listen for a banner before we send anything.
const BANNER: Duration = Duration::from_millis(120);
/// How long to wait for a reply inside TLS, once the handshake has shown that TLS is spoken.
const INSIDE_TLS: Duration = Duration::from_millis(700);
/// The lead of the repeated PING over the ClientHello. A balancer then gives the PING to the next server in its list.
const LEAD: Duration = Duration::from_millis(50);
/// The shortest wait for the reply to one packet size, however fast the connection is.
const SHORTEST_WAIT: Duration = Duration::from_millis(150);

/// How long a rung waits for a reply before experiments start: a quarter of the time.
pub(super) fn patience(deadline: Deadline) -> Duration {
    deadline.span() / 4
}

/// Runs both futures concurrently until `work` is done. `side` is cancelled if it has not finished by then.
pub(super) async fn with_side_task<T, S>(
    work: impl Future<Output = T>,
    side: impl Future<Output = S>,
) -> (T, Option<S>) {
    tokio::pin!(work);
    tokio::select! {
        biased;
        done = &mut work => (done, None),
        result = side => (work.await, Some(result)),
    }
}

/// Waits for `rung`. After [`patience`], `experiment` starts and runs concurrently.
///
/// If the rung ends first, the experiment is cancelled. A decisive experiment cancels the rung: its result is `None`.
pub(super) async fn with_experiment<T, E: Decisive>(
    rung: impl Future<Output = T>,
    experiment: impl Future<Output = E>,
    deadline: Deadline,
) -> (Option<T>, Option<E>) {
    tokio::pin!(rung);
    if let Ok(done) = deadline.within(patience(deadline)).bound(&mut rung).await {
        return (Some(done), None);
    }
    tokio::pin!(experiment);
    tokio::select! {
        biased;
        done = &mut rung => (Some(done), None),
        result = &mut experiment => {
            if result.is_decisive() { (None, Some(result)) } else { (Some(rung.await), Some(result)) }
        }
    }
}

/// The result of an experiment that may make it unnecessary to wait for the first connection.
pub(super) trait Decisive {
    /// Whether this proves what the port speaks.
    fn is_decisive(&self) -> bool;
}

/// What further connections showed while the first one got no reply, or after it ended.
#[derive(Debug, Default)]
pub(super) struct Explanation {
    pub(super) experiment: Option<Experiment>,
    pub(super) repeat: Option<Repeat>,
    pub(super) expects_proxy_header: bool,
}

impl Decisive for Explanation {
    fn is_decisive(&self) -> bool {
        self.experiment.as_ref().is_some_and(Decisive::is_decisive) || self.expects_proxy_header
    }
}

/// Handshakes beside one that gets no reply.
#[derive(Debug)]
pub(super) struct MoreHandshakes {
    /// In packets of the usual size.
    pub(super) usual: Option<TlsResult>,
    pub(super) small: Option<TlsResult>,
    pub(super) sizes: Option<PacketSizes>,
}

/// What to send on a second connection.
#[derive(Clone, Copy)]
pub(super) enum Again<'a> {
    /// AUTH, if the URL has a password, and PING.
    Ping,
    /// The same, and the requests after it.
    Requests(&'a Requests),
}

/// Whether to listen for a banner first: a server may send an error and close, and data that we send would discard it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Banner {
    Listen,
    Skip,
}

/// Makes further connections to the server of the climb.
#[derive(Clone, Copy)]
pub(super) struct Reconnect<'a> {
    pub(super) target: &'a Target,
    pub(super) trust: &'a Trust,
    /// The address that the first connection uses; `None` for a unix socket.
    pub(super) address: Option<SocketAddr>,
    /// How long the first connection attempt took.
    pub(super) connecting: Duration,
}

impl Reconnect<'_> {
    fn host(&self) -> &str {
        self.target.host().unwrap_or_default()
    }

    /// Connects again, with TLS if the URL asks for it.
    async fn connect(&self, segments: SegmentSize, deadline: Deadline) -> Option<ProbeConnection<Stream>> {
        let stream = match (&self.target.address, self.address) {
            (Address::Unix(path), _) => tcp::observe_unix(path, deadline).await.0?,
            (Address::Tcp { .. }, Some(address)) => {
                let stream = tcp::dial(address, segments, deadline).await.0?;
                if self.target.tls {
                    tls::observe(stream, self.host(), self.trust, deadline).await.0?
                } else {
                    Stream::Tcp(stream)
                }
            }
            (Address::Tcp { .. }, None) => return None,
        };
        Some(ProbeConnection::new(stream))
    }

    /// Connects again and logs in, if the URL has a password.
    pub(super) async fn logged_in(
        &self,
        segments: SegmentSize,
        deadline: Deadline,
    ) -> Option<ProbeConnection<Stream>> {
        let mut connection = self.connect(segments, deadline).await?;
        if let Some(password) = &self.target.password {
            let user = self.target.user.as_deref();
            let login = ping::log_in(&mut connection, user, password, deadline).await;
            login.is_ok().then_some(connection)
        } else {
            Some(connection)
        }
    }

    /// Repeats the requests on a second connection, one at a time, up to the first without a reply.
    pub(super) async fn repeat(&self, again: Again<'_>, banner: Banner, deadline: Deadline) -> Repeat {
        let exchanges = self.exchanges(again, banner, deadline).await;
        let password = self.target.password.as_ref();
        let mask = |exchange: Exchange| exchange.without(password);
        Repeat {
            exchanges: exchanges.into_iter().map(mask).collect(),
        }
    }

    async fn exchanges(&self, again: Again<'_>, banner: Banner, deadline: Deadline) -> Vec<Exchange> {
        let mut exchanges = Vec::new();
        let Some(mut connection) = self.connect(SegmentSize::Default, deadline).await else {
            return exchanges;
        };
        let first = if self.target.password.is_some() {
            "AUTH"
        } else {
            "PING"
        };
        if banner == Banner::Listen
            && let Some(response) = listen(&mut connection, deadline).await
        {
            exchanges.push(Exchange {
                command: first,
                response,
            });
            return exchanges;
        }
        if let Some(password) = &self.target.password {
            let user = self.target.user.as_deref();
            let response = ping::log_in(&mut connection, user, password, deadline).await;
            let is_ok = response.is_ok();
            exchanges.push(Exchange {
                command: "AUTH",
                response,
            });
            if !is_ok {
                return exchanges;
            }
        }
        let response = ping::observe(&mut connection, deadline).await;
        let is_answered = matches!(response, Response::Reply(_));
        exchanges.push(Exchange {
            command: "PING",
            response,
        });
        if let (Again::Requests(requests), true) = (again, is_answered) {
            // Keep time to find the packet sizes that get through.
            let patience = deadline.left() / 4;
            exchanges.extend(requests.one_at_a_time(&mut connection, patience, deadline).await);
        }
        exchanges
    }

    /// Repeats all requests. If the large one gets no reply, finds which packet sizes get through; `path_mtu` is the size
    /// of the packets that this host sends.
    pub(super) async fn repeat_requests(
        &self,
        requests: &Requests,
        path_mtu: Option<u16>,
        deadline: Deadline,
    ) -> (Repeat, Option<PacketSizes>) {
        let repeat = self
            .repeat(Again::Requests(requests), Banner::Skip, deadline)
            .await;
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

    /// Explains why the first request gets no reply, or why the connection ends: another server behind the same address may
    /// reply, the port may speak TLS, or it may expect a PROXY header.
    pub(super) async fn explain(&self, banner: Banner, deadline: Deadline) -> Explanation {
        let mut found = Explanation::default();
        let mut running: FuturesUnordered<BoxFuture<'_, Explanation>> = FuturesUnordered::new();
        running.push(Box::pin(async move {
            let repeat = Some(self.repeat(Again::Ping, banner, deadline).await);
            Explanation {
                repeat,
                ..Explanation::default()
            }
        }));
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

    /// Connects and sends a PROXY protocol header, as a proxy would: the port may accept connections only from proxies.
    ///
    /// Spec: <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, 2.1.
    async fn with_proxy_header(&self, address: SocketAddr, deadline: Deadline) -> Option<TcpStream> {
        let mut stream = tcp::dial(address, SegmentSize::Default, deadline).await.0?;
        deadline
            .bound(stream.write_all(b"PROXY UNKNOWN\r\n"))
            .await
            .ok()?
            .ok()?;
        Some(stream)
    }

    /// Whether PING or the login gets a reply after a PROXY header. Without such a proxy, Redis replies that it does not
    /// know the command PROXY.
    async fn answers_after_proxy_header(&self, address: SocketAddr, deadline: Deadline) -> bool {
        let Some(stream) = self.with_proxy_header(address, deadline).await else {
            return false;
        };
        let mut connection = ProbeConnection::new(Stream::Tcp(stream));
        // A reply now would be to the header, or to the connection as such.
        let round_trips = BANNER.max(self.connecting * 4);
        if !matches!(receive(&mut connection, deadline.within(round_trips)).await, Response::Timeout(received) if received.is_empty())
        {
            return false;
        }
        if let Some(password) = &self.target.password {
            let user = self.target.user.as_deref();
            let login = ping::log_in(&mut connection, user, password, deadline).await;
            if !login.is_ok() {
                return is_the_only_reply(&login, &mut connection, deadline).await;
            }
        }
        let response = ping::observe(&mut connection, deadline).await;
        is_the_only_reply(&response, &mut connection, deadline).await
    }

    /// Whether a ClientHello gets a TLS reply after a PROXY header.
    pub(super) async fn speaks_tls_after_proxy_header(
        &self,
        address: SocketAddr,
        deadline: Deadline,
    ) -> bool {
        match self.with_proxy_header(address, deadline).await {
            Some(stream) => tls::handshake_unverified(stream, self.host(), deadline)
                .await
                .1
                .is_tls(),
            None => false,
        }
    }

    /// Tries the same handshake again.
    pub(super) async fn handshake(&self, segments: SegmentSize, deadline: Deadline) -> Option<TlsResult> {
        let (stream, _) = tcp::dial(self.address?, segments, deadline).await;
        let (_, handshake) = tls::observe(stream?, self.host(), self.trust, deadline).await;
        Some(handshake.result)
    }

    /// Waits for `delay`, then tries another handshake, and one in small packets: if only that one gets a reply, the path
    /// drops large packets. Then finds which sizes get through; `path_mtu` is the size of the packets that this host sends.
    pub(super) async fn small_packets(
        &self,
        path_mtu: Option<u16>,
        delay: Duration,
        deadline: Deadline,
    ) -> MoreHandshakes {
        deadline.sleep(delay).await;
        let half = deadline.within(deadline.left() / 2);
        let (mut usual, small) = join(
            self.handshake(SegmentSize::Default, half),
            self.handshake(SegmentSize::Small, deadline),
        )
        .await;
        let only_small =
            small.as_ref().is_some_and(TlsResult::is_tls) && !usual.as_ref().is_some_and(TlsResult::is_tls);
        let mut sizes = None;
        if let (true, Some(largest)) = (only_small, path_mtu) {
            match self.packet_sizes(Large::Handshake, largest, deadline).await {
                Sizes::Limited(found) => sizes = Some(found),
                Sizes::Unlimited => usual.clone_from(&small),
                Sizes::Unknown => {}
            }
        }
        MoreHandshakes { usual, small, sizes }
    }

    /// Finds which packet sizes get through: tries several at once, then sizes between the largest that got through and
    /// the next.
    ///
    /// `largest` is the size of the packets that were lost.
    async fn packet_sizes(&self, large: Large<'_>, largest: u16, deadline: Deadline) -> Sizes {
        let Some(address) = self.address else {
            return Sizes::Unknown;
        };
        // The headers of IP and TCP are not part of a segment.
        let headers = if address.is_ipv6() { 60 } else { 40 };
        let (mut passed, mut lost) = (SMALLEST_PACKET, largest);
        let mut sizes = vec![SMALLEST_PACKET];
        let mut has_passed = false;
        let shortest = SHORTEST_WAIT.max(self.connecting * 8);
        while lost.saturating_sub(passed) > PRECISION && deadline.left() > shortest {
            let step = (lost - passed) / (SIZES_AT_ONCE + 1);
            sizes.extend((1..=SIZES_AT_ONCE).map(|number| passed + number * step));
            let until = deadline.within(shortest.max(deadline.left() / 3));
            let tries = sizes
                .iter()
                .map(|size| self.gets_through(large, SegmentSize::AtMost(size - headers), until));
            let results = join_all(tries).await;
            let count = results.iter().take_while(|got_through| **got_through).count();
            if results[count..].contains(&true) {
                return Sizes::Unlimited;
            }
            has_passed |= count > 0;
            if !has_passed {
                return Sizes::Unknown;
            }
            passed = count.checked_sub(1).map_or(passed, |last| sizes[last]);
            lost = sizes.get(count).copied().unwrap_or(lost);
            sizes.clear();
        }
        if has_passed {
            Sizes::Limited(PacketSizes { passed, lost })
        } else {
            Sizes::Unknown
        }
    }

    async fn gets_through(&self, large: Large<'_>, segments: SegmentSize, deadline: Deadline) -> bool {
        match large {
            Large::Echo(requests) => match self.logged_in(segments, deadline).await {
                Some(mut connection) => requests.is_echoed(&mut connection, deadline).await,
                None => false,
            },
            Large::Handshake => {
                let result = self.handshake(segments, deadline).await;
                result.as_ref().is_some_and(TlsResult::is_tls)
            }
        }
    }
}

/// Whether this is the reply to AUTH or PING, and not to the PROXY header, which would be the first of two.
async fn is_the_only_reply(
    response: &Response,
    connection: &mut ProbeConnection<Stream>,
    deadline: Deadline,
) -> bool {
    response.is_pong() || response.error().is_some() && surplus_reply(connection, deadline).await.is_none()
}

/// Which packet sizes get through.
enum Sizes {
    /// Those up to a limit.
    Limited(PacketSizes),
    /// Some sizes get through although a smaller one does not: the size is not the reason.
    Unlimited,
    /// None, or there was no time to find out.
    Unknown,
}

/// What to send in packets of each size.
#[derive(Clone, Copy)]
enum Large<'a> {
    /// The large ECHO.
    Echo(&'a Requests),
    /// A TLS handshake, of which the server's certificate is the largest part.
    Handshake,
}

/// The smallest packet that is tried: every host must accept it (RFC 9293, 3.7.1).
const SMALLEST_PACKET: u16 = 576;
/// The search ends when the sizes that pass and that are lost differ by no more than this.
const PRECISION: u16 = 8;
/// How many sizes are tried at the same time, each on its own connection.
const SIZES_AT_ONCE: u16 = 4;

/// Sends a plain PING to a port where the URL expects TLS, after listening for a banner.
pub(super) async fn plain_ping(address: SocketAddr, deadline: Deadline) -> Experiment {
    let (Some(stream), _) = tcp::dial(address, SegmentSize::Default, deadline).await else {
        return Experiment::NotConnected;
    };
    let mut connection = ProbeConnection::new(Stream::Tcp(stream));
    Experiment::PlainPing(match listen(&mut connection, deadline).await {
        Some(banner) => banner,
        None => ask(&mut connection, &cmd("PING"), deadline).await,
    })
}

/// Listens for a banner. Returns `None` if the server sends nothing.
async fn listen(connection: &mut ProbeConnection<Stream>, deadline: Deadline) -> Option<Response> {
    match receive(connection, deadline.within(BANNER)).await {
        Response::Timeout(received) if received.is_empty() => None,
        // The banner has begun, so wait for the rest.
        Response::Timeout(_) => Some(receive(connection, deadline).await),
        banner => Some(banner),
    }
}

/// Waits briefly for a reply that no request asks for.
pub(super) async fn surplus_reply(
    connection: &mut ProbeConnection<Stream>,
    deadline: Deadline,
) -> Option<Response> {
    let response = receive(connection, deadline.within(BANNER)).await;
    matches!(response, Response::Reply(_)).then_some(response)
}

/// Sends a ClientHello to a port where the URL expects plain RESP and, if the handshake completes, a PING inside TLS.
///
/// Uses small packets, so that the result does not depend on the path's MTU.
pub(super) async fn client_hello(address: SocketAddr, host: &str, deadline: Deadline) -> Experiment {
    let (Some(stream), _) = tcp::dial(address, SegmentSize::Small, deadline).await else {
        return Experiment::NotConnected;
    };
    let (stream, result) = tls::handshake_unverified(stream, host, deadline).await;
    let inside = match stream {
        Some(stream) => {
            let mut connection = ProbeConnection::new(stream);
            Some(ask(&mut connection, &cmd("PING"), deadline.within(INSIDE_TLS)).await)
        }
        None => None,
    };
    Experiment::ClientHello { result, inside }
}

/// Offers more than the first ClientHello did, to find out what the server requires.
pub(super) async fn wider_offer(
    address: SocketAddr,
    name: &str,
    clock: i64,
    deadline: Deadline,
) -> Option<WiderOffer> {
    let mut offer = tls::wider_offer(address, name, clock, deadline).await?;
    if offer.certificate.is_none() {
        // In TLS 1.3 the certificate is encrypted, so it takes a handshake to see it.
        let (stream, _) = tcp::dial(address, SegmentSize::Default, deadline).await;
        if let Some(stream) = stream {
            let chain = tls::unverified_chain(stream, name, deadline).await;
            offer.certificate = chain.into_iter().next();
        }
    }
    Some(offer)
}

/// Asks Redis for its clock, on a connection whose certificate is not verified: seconds ahead of this host's.
pub(super) async fn server_clock_ahead(address: SocketAddr, name: &str, deadline: Deadline) -> Option<i64> {
    let (stream, _) = tcp::dial(address, SegmentSize::Default, deadline).await;
    let (stream, _) = tls::handshake_unverified(stream?, name, deadline).await;
    let mut connection = ProbeConnection::new(stream?);
    let Response::Reply(reply) = ask(&mut connection, &cmd("TIME"), deadline.within(INSIDE_TLS)).await else {
        return None;
    };
    let seconds: i64 = items(Some(&reply)).first().and_then(text)?.parse().ok()?;
    Some(seconds.saturating_sub(tls::clock()))
}

/// Whether the bytes begin like a TLS alert or handshake record (RFC 8446, 5.1).
pub(super) fn looks_like_tls(received: &[u8]) -> bool {
    matches!(received, [0x15 | 0x16, 0x03, ..])
}

impl Decisive for Experiment {
    fn is_decisive(&self) -> bool {
        match self {
            Self::PlainPing(Response::Reply(_)) => true,
            // A TLS server may send an alert in reply to plain text, but the handshake may still complete.
            Self::PlainPing(Response::NotResp(received)) => !looks_like_tls(received),
            Self::ClientHello { result, .. } => result.is_tls(),
            _ => false,
        }
    }
}

impl TlsResult {
    /// Whether the peer sent TLS, successful or not.
    pub(super) fn is_tls(&self) -> bool {
        !matches!(
            self,
            Self::NotTls | Self::Closed | Self::TimedOut | Self::Unusable(_) | Self::BadName(_)
        )
    }
}
