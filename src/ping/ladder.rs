//! The climb: a rung a layer, up to the first that fails, with the experiments that tell look-alikes apart.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use redis::{Cmd, cmd};

use super::beside::{Answered, PATIENCE, beside, with_company};
use super::experiment;
use super::observation::{Experiment, Observations, PingSubstitute, TlsResult};
use super::response::Response;
use super::rungs::{auth, dns, role, tcp, tls};
use super::{ClimbEvent, ClimbOptions, Rung, WriteCheck, nodes, resolver, this_host};
use crate::deadline::Deadline;
use crate::os;
use crate::redis_client::{Connection, Stream};
use crate::redis_url::provider;
use crate::redis_url::{Address, Target, Trust};

/// When a connection attempt that is still open has met silence; long before its first retransmission.
const NOT_AT_ONCE: Duration = Duration::from_millis(50);
/// Round trips that are always measured.
const ROUND_TRIPS: usize = 5;
/// Round trips more where the first ones look uneven: one slow answer may be chance.
const MORE_ROUND_TRIPS: usize = 10;
/// Round trips that the rest of the climb may take: ROLE and INFO, a cluster's state, the rehearsal.
const RESERVED_ROUND_TRIPS: u32 = 8;

/// Climbs as far as it goes. The connection is returned where Redis answered on it.
pub(super) async fn climb(
    target: &Target,
    trust: &Trust,
    options: &ClimbOptions,
    deadline: Deadline,
    tell: &mut (dyn FnMut(ClimbEvent<'_>) + Send),
) -> (Observations, Option<Connection<Stream>>) {
    let mut ladder = Ladder {
        target,
        trust,
        options,
        deadline,
        tell,
        seen: Observations::default(),
        serving: None,
    };
    let connection = ladder.climb().await;
    (ladder.seen, connection)
}

struct Ladder<'a> {
    target: &'a Target,
    trust: &'a Trust,
    options: &'a ClimbOptions,
    deadline: Deadline,
    tell: &'a mut (dyn FnMut(ClimbEvent<'_>) + Send),
    seen: Observations,
    serving: Option<SocketAddr>,
}

impl Ladder<'_> {
    async fn climb(&mut self) -> Option<Connection<Stream>> {
        if let Some(hint) = self.target.host().and_then(provider::endpoint_hint) {
            for mismatch in hint.mismatches(self.target.tls, self.target.port()) {
                (self.tell)(ClimbEvent::Hint(&mismatch));
            }
        }
        let stream = self.connect().await?;
        let stream = self.secure(stream).await?;
        let mut connection = Connection::new(stream);
        self.log_in(&mut connection).await?;
        self.ping(&mut connection).await?;
        self.look_around(&mut connection).await;
        Some(connection)
    }

    async fn connect(&mut self) -> Option<Stream> {
        let (host, port) = match &self.target.address {
            Address::Unix(path) => {
                self.reach(Rung::Tcp);
                let (stream, dial) = tcp::observe_unix(path, self.deadline).await;
                self.seen.tcp_took = dial.took;
                self.seen.dials = vec![dial];
                self.leave(Rung::Tcp);
                return stream;
            }
            Address::Tcp { host, port } => (host.clone(), *port),
        };
        let addresses = self.resolve(&host, port).await?;
        self.reach(Rung::Tcp);
        let started = Instant::now();
        // The kernel counts retransmissions that it could not send: only a firewall of this host explains those. The
        // first comes after a second; whoever connects at once needs no count.
        let refused_before = OnceLock::new();
        // Once silence has lasted, where we stand is looked at beside it: afterwards there would be no time left.
        let silence = self.deadline.span() / PATIENCE;
        let place = async {
            self.deadline.sleep(NOT_AT_ONCE.min(silence)).await;
            refused_before.get_or_init(os::blocked_retransmissions);
            self.deadline
                .sleep(silence.saturating_sub(started.elapsed()))
                .await;
            this_host::observe(&addresses, self.deadline).await
        };
        let dialled = tcp::observe(&addresses, self.deadline);
        let ((serving, dials), place) = with_company(dialled, place).await;
        self.seen.tcp_took = started.elapsed();
        self.seen.dials = dials;
        if serving.is_none() {
            if let Some(lookup) = &mut self.seen.dns {
                lookup.hosts_file = resolver::in_hosts_file(&host);
            }
            let refused = os::blocked_retransmissions().zip(refused_before.into_inner().flatten());
            self.seen.blocked_retransmissions =
                refused.map_or(0, |(after, before)| after.saturating_sub(before));
            self.seen.this_host = match place {
                None => Some(this_host::observe(&addresses, self.deadline).await),
                seen => seen,
            };
        }
        self.leave(Rung::Tcp);
        let (stream, address) = serving?;
        self.serving = Some(address);
        Some(stream)
    }

    async fn resolve(&mut self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let found = if let Some(address) = nodes::literal(host, port) {
            vec![address]
        } else {
            self.reach(Rung::Dns);
            let lookup = dns::observe(host, self.deadline).await;
            let found = lookup
                .addresses
                .iter()
                .map(|address| SocketAddr::new(*address, port))
                .collect();
            self.seen.dns = Some(lookup);
            self.leave(Rung::Dns);
            found
        };
        let wanted: Vec<_> = found
            .into_iter()
            .filter(|address| self.options.family.allows(address.ip()))
            .collect();
        (!wanted.is_empty()).then_some(wanted)
    }

    async fn secure(&mut self, stream: Stream) -> Option<Stream> {
        if !self.target.tls {
            return Some(stream);
        }
        // Only TCP targets ask for TLS; a unix socket's URL has no scheme for it.
        let Stream::Tcp(plain) = stream else {
            return Some(stream);
        };
        self.reach(Rung::Tls);
        let host = self.target.host().unwrap_or_default();
        let address = self.serving?;
        let handshake = tls::observe(plain, host, self.trust, self.deadline);
        let experiment = experiment::plain_ping(address, self.before_the_end());
        let silence = self.deadline.span() / PATIENCE;
        let small = experiment::small_packet_handshake(address, host, silence, self.before_the_end());
        let both = beside(handshake, experiment, self.deadline);
        let ((shaken, mut experiment), small) = with_company(both, small).await;
        self.seen.small_packet_handshake = small.flatten();
        let stream = match shaken {
            Some((stream, handshake)) => {
                let says_little = matches!(handshake.result, TlsResult::NotTls | TlsResult::Closed);
                self.seen.tls = Some(handshake);
                if says_little && experiment.is_none() {
                    experiment = Some(experiment::plain_ping(address, self.deadline).await);
                }
                stream
            }
            None => None,
        };
        self.seen.experiment = experiment;
        self.leave(Rung::Tls);
        stream
    }

    /// `None` where the climb ends here.
    async fn log_in(&mut self, connection: &mut Connection<Stream>) -> Option<()> {
        if self.target.password.is_none() {
            return Some(());
        }
        self.reach(Rung::Auth);
        let started = Instant::now();
        let (target, deadline) = (self.target, self.deadline);
        let heard = self
            .with_hello(auth::observe(connection, target, deadline))
            .await
            .flatten();
        self.seen.login_took = started.elapsed();
        self.note_flow(connection, heard.as_ref());
        let is_in = heard.as_ref().is_some_and(Response::is_ok);
        self.seen.login = heard;
        self.leave(Rung::Auth);
        is_in.then_some(())
    }

    /// `None` where the climb ends here.
    async fn ping(&mut self, connection: &mut Connection<Stream>) -> Option<()> {
        self.reach(Rung::Ping);
        let started = Instant::now();
        let deadline = self.deadline;
        let heard = self
            .with_hello(async { auth::ask(connection, &cmd("PING"), deadline).await })
            .await;
        self.seen.ping_took = started.elapsed();
        self.note_flow(connection, heard.as_ref());
        self.seen.ping = heard;
        let wants_login = self.ping_error().is_some_and(|error| error.starts_with("NOAUTH"));
        if wants_login && self.target.user.is_some() && self.target.password.is_none() {
            self.log_in_without_password(connection).await;
        }
        if self.ping_error().is_some_and(|error| error.starts_with("NOAUTH")) {
            self.leave(Rung::Auth);
        }
        let served = if self.seen.ping.as_ref().is_some_and(Response::is_pong) {
            self.seen.round_trips.push(self.seen.ping_took);
            Some(cmd("PING"))
        } else if self.ping_error().is_some_and(|error| forbids_or_lacks(&error)) {
            self.ask_in_its_place(connection).await
        } else {
            None
        };
        if let Some(question) = &served {
            if self.target.db > 0 {
                let select = auth::ask(connection, cmd("SELECT").arg(self.target.db), deadline).await;
                self.seen.select = Some(select);
            }
            self.measure(connection, question, ROUND_TRIPS).await;
        }
        self.leave(Rung::Ping);
        served.map(drop)
    }

    fn ping_error(&self) -> Option<String> {
        self.seen.ping.as_ref().and_then(Response::error)
    }

    /// `redis://ada@host` logs in where that user has no password (`nopass`), and many clients do it.
    async fn log_in_without_password(&mut self, connection: &mut Connection<Stream>) {
        let login = cmd("AUTH").arg(&self.target.user).arg("").clone();
        if auth::ask(connection, &login, self.deadline).await.is_ok() {
            self.seen.ping = Some(auth::ask(connection, &cmd("PING"), self.deadline).await);
        }
    }

    /// Another harmless command, where PING is forbidden or renamed: the first that is served, or refused for a reason
    /// of its own.
    async fn ask_in_its_place(&mut self, connection: &mut Connection<Stream>) -> Option<Cmd> {
        let questions = [
            ("ECHO", cmd("ECHO").arg("sessiontut").clone()),
            // What the tutorial needs, and a user of few rights has.
            ("HGETALL", cmd("HGETALL").arg("sessiontut:ping").clone()),
        ];
        for (name, question) in questions {
            let started = Instant::now();
            let heard = auth::ask(connection, &question, self.deadline).await;
            let is_refused_too = heard.error().is_some_and(|error| forbids_or_lacks(&error));
            let ping_substitute = self.seen.ping_substitute.insert(PingSubstitute {
                name,
                response: heard,
            });
            if ping_substitute.is_served() {
                self.seen.round_trips.push(started.elapsed());
                return Some(question);
            }
            if !is_refused_too {
                break;
            }
        }
        None
    }

    async fn measure(&mut self, connection: &mut Connection<Stream>, question: &Cmd, wanted: usize) {
        while self.seen.round_trips.len() < wanted && self.has_time_for_more() {
            let started = Instant::now();
            if !matches!(
                auth::ask(connection, question, self.deadline).await,
                Response::Reply(_)
            ) {
                return;
            }
            self.seen.round_trips.push(started.elapsed());
        }
        if wanted == ROUND_TRIPS && super::verdict::is_uneven(&self.seen.round_trips) {
            Box::pin(self.measure(connection, question, ROUND_TRIPS + MORE_ROUND_TRIPS)).await;
        }
    }

    /// On a slow wire, what the server is and whether it takes writes is worth more than another sample.
    fn has_time_for_more(&self) -> bool {
        let last = self.seen.round_trips.last().copied().unwrap_or_default();
        self.deadline.left() > last.saturating_mul(RESERVED_ROUND_TRIPS)
    }

    async fn look_around(&mut self, connection: &mut Connection<Stream>) {
        self.reach(Rung::Role);
        self.seen.server = role::observe(connection, self.deadline).await;
        if self.seen.server.role.is_none() {
            self.seen.packets = connection
                .stream()
                .tcp()
                .and_then(|tcp| os::packet_counts(&tcp.into()));
        }
        if self.seen.server.is_cluster() {
            let announced = role::announced(connection, self.deadline).await;
            self.seen.announced = nodes::dial(announced, self.serving, self.deadline).await;
        }
        if self.options.write_check == WriteCheck::Run && !self.seen.server.is_sentinel() {
            self.seen.write_test = Some(role::rehearse(connection, &self.seen.server, self.deadline).await);
        }
        self.leave(Rung::Role);
    }

    /// Runs the first question of a plain connection; where it stays unanswered, a TLS hello beside it.
    async fn with_hello<T: Answered>(&mut self, question: impl Future<Output = T>) -> Option<T> {
        let Some(address) = self.serving else {
            return Some(question.await);
        };
        let host = self.target.host().unwrap_or_default();
        if self.target.tls {
            let answer = question.await;
            if answer.was_cut_short() {
                // What a server says and closes may be lost in the proxy that speaks TLS for it: listen before speaking.
                let listened = experiment::ping_inside(address, host, self.trust, self.deadline).await;
                self.seen.experiment = listened.or(self.seen.experiment.take());
            }
            return Some(answer);
        }
        let hello = experiment::tls_hello(address, host, self.before_the_end());
        let (answer, mut experiment) = beside(question, hello, self.deadline).await;
        if experiment.is_none() && answer.as_ref().is_some_and(Answered::may_be_tls) {
            experiment = Some(experiment::tls_hello(address, host, self.deadline).await);
        }
        if answer.as_ref().is_some_and(Answered::was_cut_short)
            && !experiment.as_ref().is_some_and(Experiment::is_decisive)
        {
            // A reset may have eaten what the server had to say: listen once before speaking.
            let listened = experiment::plain_ping(address, self.deadline).await;
            experiment = if listened.is_decisive() {
                Some(listened)
            } else {
                experiment.or(Some(listened))
            };
        }
        self.seen.experiment = self.seen.experiment.take().or(experiment);
        answer
    }

    /// An experiment must have ended when its rung does: its silence is a result, too.
    fn before_the_end(&self) -> Deadline {
        self.deadline.within(self.deadline.left().mul_f64(0.95))
    }

    /// What has become of the packets, where an answer did not come in time.
    fn note_flow(&mut self, connection: &Connection<Stream>, heard: Option<&Response>) {
        if matches!(heard, Some(Response::Timeout(_))) {
            self.seen.packets = connection
                .stream()
                .tcp()
                .and_then(|tcp| os::packet_counts(&tcp.into()));
        }
    }

    fn reach(&mut self, rung: Rung) {
        (self.tell)(ClimbEvent::Started(rung, self.deadline));
    }

    fn leave(&mut self, rung: Rung) {
        (self.tell)(ClimbEvent::Finished(rung, &self.seen));
    }
}

fn forbids_or_lacks(error: &str) -> bool {
    // "unknown command", "unsupported command": an ERR that speaks of something else is the answer.
    error.starts_with("NOPERM") || (error.starts_with("ERR") && error.to_lowercase().contains("command"))
}
