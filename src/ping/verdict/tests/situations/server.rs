//! Lists examples with server states and limits, proxies, and connections without a proper reply.

use super::*;

fn read(reply_text: &str) -> Observations {
    pong().with(|seen| seen.requests.read = Some(reply(reply_text)))
}

/// Returns observations of a connection on which a command after `PONG` got no reply. A second connection
/// replied to `answered`, and then failed at `then`.
fn stopped(
    command: &'static str,
    response: Response,
    answered: &[&'static str],
    then: &'static str,
) -> Observations {
    let exchange = |command, response| Exchange { command, response };
    let mut exchanges: Vec<_> = answered
        .iter()
        .map(|command| exchange(*command, reply("+PONG")))
        .collect();
    exchanges.push(exchange(then, response.clone()));
    pong().with(|seen| {
        seen.requests.stopped_at = Some(exchange(command, response));
        seen.requests.took = Duration::from_secs(2);
        seen.experiments.repeat = Some(Repeat { exchanges });
    })
}

fn packets(unacknowledged: u32, out_of_order: u32, mut seen: Observations) -> Observations {
    seen.packets = Some(PacketCounts {
        unacknowledged,
        out_of_order,
        ..PacketCounts::default()
    });
    seen
}

pub(super) fn proto_not_redis() -> Vec<Situation> {
    vec![
        seen("SSH", IP, ping(Response::NotResp(b"SSH-2.0-x".to_vec()))),
        seen("unknown", IP, ping(Response::NotResp(b"hello".to_vec()))),
        seen("POP3", IP, error("+OK POP3 server ready")),
        seen(
            "neither TLS nor RESP",
            TLS,
            handshake(TlsResult::NotTls, Some(Response::Timeout(vec![])), None),
        ),
    ]
}

pub(super) fn proto_unexpected() -> Vec<Situation> {
    let mut one_late = pong();
    one_late.requests.echo = Some(Echo::InReplyTo("ROLE"));
    let mut other_value = pong();
    other_value.requests.echo = Some(Echo::Other(reply("+PONG")));
    let mut greeting = error("+OK welcome");
    greeting.ping.surplus_reply = Some(reply("+PONG"));
    vec![
        seen("one request late", IP, one_late),
        seen("another value", IP, other_value),
        seen("a reply too many", IP, greeting),
        seen("a transaction", IP, error("+QUEUED")),
        seen("subscribe mode", IP, error("*2\r\n$4\r\npong\r\n$0\r\n")),
        seen("a number", IP, error(":1")),
    ]
}

pub(super) fn proxy_no_backend() -> Vec<Situation> {
    let mut login_required = read("-NOAUTH Authentication required.");
    login_required.auth.response = Some(reply("+OK"));
    let silent = stopped("HGETALL", Response::Timeout(vec![]), &["PING"], "HGETALL");
    let mut no_password = login("-ERR Client sent AUTH, but no password is set");
    no_password.auth.read_without_login = Some(reply("-NOAUTH Authentication required."));
    vec![
        seen("upstream failure", IP, read("-upstream failure")),
        seen("a proxy that accepts the password", IP_WITH_LOGIN, login_required),
        seen("no reply to a read", IP, silent),
        seen(
            "a proxy that does not log in",
            IP,
            read("-NOAUTH Authentication required."),
        ),
        seen("Twemproxy", IP, read("-ERR Invalid argument")),
        seen("a proxy without a password", IP_WITH_LOGIN, no_password),
    ]
}

pub(super) fn proxy_header() -> Vec<Situation> {
    let mut expected = ping(Response::Closed(vec![]));
    expected.experiments.expects_proxy_header = true;
    let rejected = "-ERR unknown command 'PROXY', with args beginning with: 'TCP4' '10.0.3.9'";
    vec![
        seen("an expected header", IP, expected),
        seen("a header before AUTH", IP_WITH_LOGIN, login(rejected)),
        seen("a header before PING", IP, error(rejected)),
    ]
}

pub(super) fn proxy_limited() -> Vec<Situation> {
    let mut unsupported = pong();
    unsupported.server.hello = Some(reply("-ERR unsupported command 'HELLO'"));
    unsupported.server.info_error = Some("ERR unsupported command 'INFO'".into());
    vec![
        seen(
            "ECHO ends the connection",
            IP,
            stopped("HGETALL", Response::Closed(vec![]), &["PING", "HGETALL"], "ECHO"),
        ),
        seen("INFO is not supported", IP, unsupported),
    ]
}

pub(super) fn path_idle() -> Vec<Situation> {
    let idle = |trials: &[(u64, bool, IdleEnd)], timeout: Option<&str>| {
        let mut seen = pong();
        let settings = timeout.map(|limit| ("timeout".to_owned(), limit.to_owned()));
        seen.server.settings = settings.into_iter().collect();
        let trials = trials.iter().map(|(idle, keepalive, end)| IdleTrial {
            idle: Duration::from_secs(*idle),
            keepalive: keepalive.then_some(Duration::from_secs(1)),
            end: *end,
        });
        seen.idle = Some(IdleTest {
            trials: trials.collect(),
            is_restarted: false,
        });
        seen
    };
    let (survived, closed) = (IdleEnd::Survived, IdleEnd::Closed);
    let trials = |end| [(3, false, survived), (4, false, end), (8, true, survived)];
    let mut restarted = idle(&[(4, false, closed)], None);
    restarted.idle.as_mut().unwrap().is_restarted = true;
    vec![
        seen(
            "the server",
            IP,
            idle(&[(2, false, closed), (2, true, closed)], Some("2")),
        ),
        seen("a proxy", IP, idle(&[(5, false, closed)], Some("0"))),
        seen("unknown", IP, idle(&[(5, false, closed)], None)),
        seen("reset", IP, idle(&trials(IdleEnd::Reset), Some("0"))),
        seen("RST on use", IP, idle(&trials(IdleEnd::ResetOnUse), Some("0"))),
        seen("no reply", IP, idle(&trials(IdleEnd::Silent), Some("0"))),
        seen("a restart", IP, restarted),
    ]
}

pub(super) fn path_mtu() -> Vec<Situation> {
    let lost = |unacknowledged, out_of_order| {
        packets(
            unacknowledged,
            out_of_order,
            stopped("ECHO", Response::Timeout(vec![]), &["PING", "HGETALL"], "ECHO"),
        )
        .with(|seen| {
            seen.experiments.packet_sizes = Some(PacketSizes {
                passed: 1396,
                lost: 1404,
            });
        })
    };
    let lost_login = packets(
        2,
        0,
        connected().with(|seen| seen.auth.response = Some(Response::Timeout(vec![]))),
    )
    .with(|seen| {
        seen.experiments.packet_sizes = Some(PacketSizes {
            passed: 1396,
            lost: 1404,
        });
    });
    vec![
        seen("lost requests", IP, lost(3, 0)),
        seen("lost replies", IP, lost(0, 1)),
        seen("a lost login", IP_WITH_LOGIN, lost_login),
    ]
}

pub(super) fn proto_closed() -> Vec<Situation> {
    let mut large = stopped("ECHO", Response::Reset(vec![]), &["PING", "HGETALL"], "ECHO");
    large.experiments.is_only_short_echo_answered = true;
    vec![
        seen(
            "SELECT ends the connection",
            "redis://10.0.3.17/3",
            stopped("SELECT", Response::Closed(vec![]), &["PING"], "SELECT"),
        ),
        seen("closed", IP, ping(Response::Closed(vec![]))),
        seen("large requests end the connection", IP, large),
        seen(
            "MULTI ends the connection",
            IP,
            pong().with(|seen| {
                seen.write_test = Some(WriteTest {
                    queued: vec![("MULTI", Response::Closed(vec![]))],
                    executed: Response::Closed(vec![]),
                });
            }),
        ),
        seen(
            "an SSH tunnel",
            IP,
            listened_here(
                vec![listener("ssh", "0.0.0.0", 0)],
                ping(Response::Closed(vec![])),
            ),
        ),
        seen(
            "reset in a reply",
            IP,
            ping(Response::Reset(b"$5\r\nhe".to_vec())),
        ),
        seen(
            "no time for TLS",
            IP,
            second_connection(TlsResult::TimedOut, ping(Response::Reset(vec![]))),
        ),
        seen(
            "in the handshake",
            TLS,
            handshake(TlsResult::Closed, Some(Response::Closed(vec![])), None),
        ),
        seen(
            "the port of a cluster's bus",
            "redis://10.0.3.17:16379",
            ping(Response::Closed(vec![])),
        ),
    ]
}

pub(super) fn server_silent() -> Vec<Situation> {
    let mut far = tls_timeout(Response::Timeout(vec![]));
    far.tcp.took = Duration::from_millis(1200);
    let mut one_backend = stopped("HGETALL", Response::Timeout(vec![]), &["PING"], "HGETALL");
    one_backend.experiments.repeat.as_mut().unwrap().exchanges.pop();
    let far_after_ping =
        packets(2, 0, stopped("HGETALL", Response::Timeout(vec![]), &[], "PING")).with(|seen| {
            seen.ping.round_trips = vec![Duration::from_millis(1400)];
            seen.requests.took = Duration::from_millis(200);
        });
    let after_ping = pong().with(|seen| {
        seen.write_test = Some(WriteTest {
            queued: vec![],
            executed: Response::Timeout(vec![]),
        });
        seen.ping.round_trips = vec![Duration::from_millis(300); 3];
    });
    let held_back = after_ping.clone().with(|seen| {
        let pong = Exchange {
            command: "PING",
            response: reply("+PONG"),
        };
        seen.experiments.repeat = Some(Repeat {
            exchanges: vec![pong],
        });
    });
    let failover = held_back.clone().with(|seen| {
        let state = ("master_failover_state".into(), "waiting-for-sync".into());
        seen.server.fields = Arc::new([state].into());
    });
    let unsent = packets(0, 0, ping(Response::Timeout(vec![])))
        .with(|seen| seen.packets.as_mut().unwrap().unsent_bytes = 14);
    let mut lost = packets(1, 0, ping(Response::Timeout(vec![])));
    lost.experiments.repeat.clone_from(&held_back.experiments.repeat);
    vec![
        seen(
            "no reply",
            IP,
            packets(
                0,
                0,
                second_connection(TlsResult::TimedOut, ping(Response::Timeout(vec![]))),
            ),
        ),
        seen("part of a reply", IP, ping(Response::Timeout(b"+PO".to_vec()))),
        seen(
            "lost requests",
            IP,
            packets(2, 0, ping(Response::Timeout(vec![]))),
        ),
        seen("a lost reply", IP, packets(0, 1, ping(Response::Timeout(vec![])))),
        seen("data that cannot be sent", IP, unsent),
        seen("TLS", TLS, tls_timeout(Response::Timeout(vec![]))),
        seen("far away", TLS, far),
        seen("far away, after PING", IP, far_after_ping),
        seen("after PING", IP, after_ping),
        seen("writes are held back", IP, held_back),
        seen(
            "on both connections after PING",
            IP,
            stopped("HGETALL", Response::Timeout(vec![]), &[], "PING"),
        ),
        seen("on one of two connections", IP, one_backend),
        seen("ended before PING", IP, connected()),
        seen("a failover that does not end", IP, failover),
        seen("lost packets on the first connection", IP, lost),
    ]
}

pub(super) fn server_refused() -> Vec<Situation> {
    vec![
        seen("an unknown reply", IP, error("-ERR no such service")),
        seen(
            "a Redis server in the URL of a Sentinel",
            SENTINEL,
            asked(
                SentinelAnswer::Other(reply("-ERR unknown command 'SENTINEL'")),
                pong(),
            ),
        ),
        seen(
            "a quota",
            IP,
            error("-ERR max daily request limit exceeded. Limit: 10000, Usage: 10000."),
        ),
        seen(
            "an address",
            IP,
            error("-DENIED client address 203.0.113.9 is not on the allow list"),
        ),
        seen(
            "an endpoint",
            "rediss://eu1-shop-1.upstash.io",
            error("-ERR unknown database: check the endpoint"),
        ),
        seen(
            "a renamed command",
            IP,
            write_refused("-ERR unknown command 'HSET'"),
        ),
        seen(
            "SELECT is renamed",
            "redis://10.0.3.17/3",
            pong().with(|seen| seen.requests.select = Some(reply("-ERR unknown command 'SELECT'"))),
        ),
    ]
}

pub(super) fn server_near_max_clients() -> Vec<Situation> {
    let near = || info(&[("connected_clients", "57"), ("maxclients", "60")]);
    vec![
        seen("57 of 60", IP, near()),
        seen(
            "57 of 60 at a provider",
            "redis://shop.x1y2z3.ng.0001.use1.cache.amazonaws.com",
            near(),
        ),
    ]
}

pub(super) fn server_old() -> Vec<Situation> {
    let mut without_hello = info(&[("redis_version", "7.0.15")]);
    without_hello.server.hello = Some(reply("-ERR unknown command 'HELLO'"));
    vec![
        seen("Redis 5", IP, info(&[("redis_version", "5.0.6")])),
        seen("without HELLO", IP, without_hello),
    ]
}

pub(super) fn server_timeout() -> Vec<Situation> {
    let mut limited = pong();
    limited.server.settings = [("timeout".into(), "300".into())].into();
    vec![seen("300 seconds", IP, limited)]
}

pub(super) fn server_max_clients() -> Vec<Situation> {
    let rejected = || error("-ERR max number of clients reached");
    vec![
        seen("PING", IP_WITH_LOGIN, rejected()),
        seen(
            "PING at a provider",
            "redis://shop.x1y2z3.ng.0001.use1.cache.amazonaws.com",
            rejected(),
        ),
    ]
}

pub(super) fn server_protected_mode() -> Vec<Situation> {
    let denied = "-DENIED Redis is running in protected mode";
    vec![
        seen("PING", IP, error(denied)),
        seen("a Sentinel", SENTINEL, asked(SentinelAnswer::None, error(denied))),
    ]
}

pub(super) fn server_loading() -> Vec<Situation> {
    let mut half = error("-LOADING Redis is loading the dataset in memory");
    let one_of_several = half.clone().with(|seen| {
        let replies = [("PING", "+PONG"), ("HGETALL", "*0")];
        seen.experiments.second_look = Some(second_look("10.0.3.17:6379", &replies));
    });
    let mapped = half
        .clone()
        .with(|seen| seen.dns = Some(by_hosts_file("10.0.3.17", "10.0.3.18")));
    half.server.fields = fields(&[("loading_loaded_perc", "45.12"), ("loading_eta_seconds", "90")]);
    vec![
        seen(
            "PING",
            IP_WITH_LOGIN,
            error("-LOADING Redis is loading the dataset in memory"),
        ),
        seen("with INFO", IP, half),
        seen("a server in /etc/hosts", NAME, mapped),
        seen("one of several servers", IP, one_of_several),
    ]
}

pub(super) fn server_busy() -> Vec<Situation> {
    vec![
        seen("a script", SOCKET, error("-BUSY Redis is busy running a script")),
        seen(
            "a function",
            IP,
            error(
                "-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.",
            ),
        ),
        seen(
            "a module",
            IP,
            error("-BUSY Redis is busy running a module command"),
        ),
    ]
}

pub(super) fn server_out_of_memory() -> Vec<Situation> {
    let mut full = write_refused("-OOM command not allowed when used memory > 'maxmemory'.");
    full.server.fields = fields(&[
        ("maxmemory", "1000000"),
        ("used_memory", "1010000"),
        ("maxmemory_policy", "noeviction"),
    ]);
    vec![seen("HSET", IP, full)]
}

pub(super) fn server_misconf() -> Vec<Situation> {
    let mut failed = error("-MISCONF Redis is configured to save RDB snapshots");
    failed.server.fields = fields(&[("rdb_last_bgsave_status", "err"), ("aof_last_write_status", "ok")]);
    vec![seen("PING", IP, failed)]
}

pub(super) fn server_no_replicas() -> Vec<Situation> {
    let mut warned = info(&[("min_slaves_good_slaves", "1")]);
    warned.server.settings = [("min-replicas-to-write".into(), "2".into())].into();
    vec![
        seen(
            "HSET",
            IP,
            write_refused("-NOREPLICAS Not enough good replicas to write."),
        ),
        seen("a warning", IP, warned),
    ]
}

pub(super) fn server_eviction() -> Vec<Situation> {
    let policy = |policy, used| {
        info(&[
            ("maxmemory", "1000000"),
            ("used_memory", used),
            ("maxmemory_policy", policy),
        ])
    };
    vec![
        seen("allkeys-lru", IP, policy("allkeys-lru", "1000")),
        seen("noeviction", IP, policy("noeviction", "950000")),
        seen("over the limit", IP, policy("noeviction", "3030000")),
        seen("volatile-lru", IP, policy("volatile-lru", "950000")),
    ]
}
