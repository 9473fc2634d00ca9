//! Tests malformed and hostile requests. The practice Redis must return the same error as Redis or close the
//! connection, and must keep serving other clients.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use sessiontut::practice::{Server, ServerLimits, ServerOptions};
use sessiontut::secret::Secret;
use support::{Home, RedisServer, wait};

/// How long to wait for a reply. This is far longer than any reply takes.
const PATIENCE: Duration = Duration::from_secs(20);

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Returns everything that the server sends until it closes the connection.
fn until_closed(mut stream: TcpStream) -> String {
    let mut received = Vec::new();
    // The server may also reset the connection.
    let _ = stream.read_to_end(&mut received);
    String::from_utf8_lossy(&received).into_owned()
}

#[track_caller]
fn still_serves(address: SocketAddr) {
    let mut stream = connect(address);
    stream.write_all(b"PING\r\n").unwrap();
    let mut reply = [0; 7];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+PONG\r\n");
}

fn limited(limits: ServerLimits) -> Server {
    Server::start(ServerOptions {
        limits,
        ..ServerOptions::default()
    })
    .unwrap()
}

#[test]
fn protocol_errors_are_handled_as_in_redis() {
    let ours = Server::start(ServerOptions::default()).unwrap();
    let theirs = RedisServer::start();
    let reference = SocketAddr::from(([127, 0, 0, 1], theirs.port()));
    let nested = b"*1\r\n".repeat(1_000_000);
    let long_line = vec![b'x'; 70_000];
    let long_count = [b"*".as_slice(), &[b'1'; 70_000]].concat();
    let attacks: [&[u8]; 14] = [
        &nested,
        &long_line,
        &long_count,
        b"*x\r\n",
        b"*2147483648\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$x\r\n",
        b"*1\r\n$99999999999\r\n",
        b"*1\r\n:1\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n+v\r\n",
        b"GET \"unbalanced\r\n",
        b"PING\r\n*1\r\n?\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nSET k v\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ];
    for attack in attacks {
        let [expected, got] = [reference, ours.address()].map(|address| {
            let mut stream = connect(address);
            // The server may close the connection before it has read the whole attack.
            let _ = stream.write_all(attack);
            until_closed(stream)
        });
        // If Redis closes the connection before it has read all bytes, its reply may be lost. There is then
        // nothing to compare.
        if !expected.is_empty() || got.is_empty() {
            assert_eq!(
                got,
                expected,
                "{:?}",
                String::from_utf8_lossy(&attack[..attack.len().min(60)])
            );
        }
        still_serves(ours.address());
    }
}

#[test]
fn requests_before_the_login_must_be_small() {
    let options = ServerOptions {
        password: Some(Secret::new("right")),
        ..ServerOptions::default()
    };
    let server = Server::start(options).unwrap();
    for (attack, said) in [
        (
            &b"*11\r\n"[..],
            "-ERR Protocol error: unauthenticated multibulk length\r\n",
        ),
        (
            b"*1\r\n$16385\r\n",
            "-ERR Protocol error: unauthenticated bulk length\r\n",
        ),
    ] {
        let mut stream = connect(server.address());
        stream.write_all(attack).unwrap();
        assert_eq!(until_closed(stream), said);
    }
    let mut stream = connect(server.address());
    stream
        .write_all(b"GET k\r\nAUTH wrong\r\nAUTH right\r\nPING\r\nQUIT\r\n")
        .unwrap();
    assert_eq!(
        until_closed(stream),
        "-NOAUTH Authentication required.\r\n-WRONGPASS invalid username-password pair or user is disabled.\r\n\
         +OK\r\n+PONG\r\n+OK\r\n"
    );
}

#[test]
fn a_request_of_half_a_gigabyte_is_refused_when_it_is_announced() {
    let server = Server::start(ServerOptions::default()).unwrap();
    let mut stream = connect(server.address());
    stream
        .write_all(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n")
        .unwrap();
    assert_eq!(
        until_closed(stream),
        "-ERR Protocol error: invalid bulk length\r\n"
    );
    still_serves(server.address());
}

#[test]
fn a_client_that_never_reads_is_disconnected() {
    let limits = ServerLimits {
        client_memory: 1 << 20,
        ..ServerLimits::default()
    };
    let server = limited(limits);
    let mut greedy = connect(server.address());
    let value = vec![b'v'; 100_000];
    greedy
        .write_all(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", value.len()).as_bytes())
        .unwrap();
    greedy.write_all(&value).unwrap();
    greedy.write_all(b"\r\n").unwrap();
    // The kernel buffers some replies. The server buffers more, until its limit is reached.
    let refused = (0..100_000).any(|_| greedy.write_all(b"GET k\r\n").is_err());
    assert!(refused, "the server buffered ten gigabytes of replies");
    still_serves(server.address());
}

/// Sends requests until the server closes the connection. Returns what the server has sent.
fn until_cut(server: &Server, request: impl Fn(usize) -> Vec<u8>) -> String {
    let mut stream = connect(server.address());
    let mut reader = stream.try_clone().unwrap();
    let received = std::thread::spawn(move || {
        let mut received = Vec::new();
        let _ = reader.read_to_end(&mut received);
        String::from_utf8_lossy(&received).into_owned()
    });
    for number in 0..5000 {
        if stream.write_all(&request(number)).is_err() {
            break;
        }
    }
    let _ = stream.write_all(b"QUIT\r\n");
    received.join().unwrap()
}

#[test]
fn what_the_server_keeps_for_one_client_is_limited() {
    let server = limited(ServerLimits {
        client_memory: 200_000,
        ..ServerLimits::default()
    });
    let long = "x".repeat(4000);
    for command in ["WATCH", "SUBSCRIBE"] {
        let received = until_cut(&server, |number| {
            format!("{command} {long}{number}\r\n").into_bytes()
        });
        assert!(
            received.contains("-ERR this connection takes more memory"),
            "{command}"
        );
        still_serves(server.address());
    }
    // Even the shortest command uses much more memory than its text.
    for (command, most) in [(format!("SET k {long}"), 50), ("PING".to_owned(), 2000)] {
        let received = until_cut(&server, |number| match number {
            0 => b"MULTI\r\n".to_vec(),
            _ => format!("{command}\r\n").into_bytes(),
        });
        let (queued, _) = received
            .split_once("-ERR this connection takes more memory")
            .unwrap();
        assert!(queued.matches("QUEUED").count() < most, "{command:.9}");
    }
    let name = "n".repeat(60_000);
    let received = until_cut(&server, |number| match number {
        0 => format!("CLIENT SETNAME {name}\r\n").into_bytes(),
        1 => format!("CLIENT SETINFO LIB-NAME {name}\r\n").into_bytes(),
        2 => format!("CLIENT SETINFO LIB-VER {name}\r\n").into_bytes(),
        3 => format!("WATCH {name}\r\n").into_bytes(),
        _ => b"PING\r\n".to_vec(),
    });
    assert!(received.contains("-ERR this connection takes more memory"));
    still_serves(server.address());
}

#[test]
fn a_reply_that_is_too_large_is_refused_and_the_client_can_go_on() {
    let server = limited(ServerLimits {
        reply: 200_000,
        ..ServerLimits::default()
    });
    let mut stream = connect(server.address());
    let value = "v".repeat(60_000);
    stream.write_all(format!("SET k {value}\r\n").as_bytes()).unwrap();
    for field in ["a", "b", "c", "d"] {
        stream
            .write_all(format!("HSET h {field} {value}\r\n").as_bytes())
            .unwrap();
    }
    stream.write_all(b"QUIT\r\n").unwrap();
    assert_eq!(until_closed(stream), "+OK\r\n:1\r\n:1\r\n:1\r\n:1\r\n+OK\r\n");
    let many_names = "get ".repeat(2000);
    for request in [
        "MGET k k k k",
        "HGETALL h",
        "HVALS h",
        "HMGET h a b c d",
        "HRANDFIELD h -100 WITHVALUES",
        "HSCAN h 0 COUNT 100",
        &format!("COMMAND INFO {many_names}"),
        "MULTI\r\nGET k\r\nGET k\r\nGET k\r\nGET k\r\nEXEC",
    ] {
        let mut stream = connect(server.address());
        stream
            .write_all(format!("{request}\r\nPING\r\nQUIT\r\n").as_bytes())
            .unwrap();
        let received = until_closed(stream);
        assert!(received.contains("-ERR the reply is larger"), "{request}");
        assert!(received.ends_with("+PONG\r\n+OK\r\n"), "{request}");
        assert!(received.len() < 250_000, "{request}");
    }
}

#[test]
fn if_all_clients_together_take_too_much_memory_the_largest_is_disconnected() {
    let server = limited(ServerLimits {
        clients_memory: 1_000_000,
        ..ServerLimits::default()
    });
    let unfinished = |bytes: usize| {
        let mut stream = connect(server.address());
        let header = format!("*2\r\n$4\r\nECHO\r\n${}\r\n", bytes + 1);
        stream.write_all(header.as_bytes()).unwrap();
        stream.write_all(&vec![b'x'; bytes]).unwrap();
        stream
    };
    let mut small = unfinished(100_000);
    let large = unfinished(850_000);
    let _last = unfinished(60_000);
    assert_eq!(until_closed(large), "");
    small.write_all(b"x\r\n").unwrap();
    let mut reply = [0; 9];
    small.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"$100001\r\n");
}

#[test]
fn large_replies_to_many_clients_at_once_take_little_memory() {
    let mut practice = Home::new()
        .sessiontut(["practice", "--no-save", "--no-password"])
        .start();
    let url = practice.first_line();
    let address = url
        .trim_start_matches("redis://")
        .trim_end_matches("/0")
        .parse()
        .unwrap();
    let value = "v".repeat(1_000_000);
    let mut setter = connect(address);
    setter
        .write_all(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\n{value}\r\n").as_bytes())
        .unwrap();
    setter.read_exact(&mut [0; 5]).unwrap();
    let readers: Vec<TcpStream> = (0..40).map(|_| connect(address)).collect();
    for mut reader in &readers {
        reader.write_all(&b"GET k\r\n".repeat(25)).unwrap();
    }
    wait::wait_for("some clients to be disconnected", || {
        let mut connections = setter.try_clone().unwrap();
        connections.write_all(b"CLIENT LIST\r\n").unwrap();
        let mut list = vec![0; 1 << 16];
        let length = connections.read(&mut list).unwrap();
        let count = String::from_utf8_lossy(&list[..length]).matches(" addr=").count();
        (count < 20).then_some(())
    });
    let status = std::fs::read_to_string(format!("/proc/{}/status", practice.pid())).unwrap();
    let peak = status
        .split("VmHWM:")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap();
    let peak: u64 = peak.parse().unwrap();
    assert!(peak < 180_000, "{peak} kB");
}

#[test]
fn a_request_that_takes_too_long_is_ended() {
    let server = limited(ServerLimits {
        run_time: Duration::from_millis(100),
        ..ServerLimits::default()
    });
    let mut stream = connect(server.address());
    let name = "a".repeat(60_000);
    stream
        .write_all(format!("SET {name} v\r\nQUIT\r\n").as_bytes())
        .unwrap();
    assert_eq!(until_closed(stream), "+OK\r\n+OK\r\n");
    let slow = format!("KEYS *{}b\r\n", "a".repeat(30_000));
    for request in [slow.clone(), format!("MULTI\r\n{}EXEC\r\n", slow.repeat(50))] {
        let mut stream = connect(server.address());
        stream
            .write_all(format!("{request}PING\r\nQUIT\r\n").as_bytes())
            .unwrap();
        let received = until_closed(stream);
        assert!(received.contains("-ERR the request takes longer"));
        assert!(received.ends_with("+PONG\r\n+OK\r\n"));
    }
}

#[test]
fn a_client_that_waits_for_replicas_may_disconnect() {
    let server = limited(ServerLimits {
        clients: 2,
        ..ServerLimits::default()
    });
    for _ in 0..2 {
        let mut stream = connect(server.address());
        stream.write_all(b"CLIENT SETNAME waits\r\nWAIT 1 0\r\n").unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
    }
    wait::wait_for("the clients to be removed", || {
        let mut stream = connect(server.address());
        let mut reply = [0; 5];
        (stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut reply).is_ok() && &reply == b"+PONG")
            .then_some(())
    });
}

fn with_password(limits: ServerLimits) -> Server {
    Server::start(ServerOptions {
        limits,
        password: Some(Secret::new("right")),
        ..ServerOptions::default()
    })
    .unwrap()
}

fn can_log_in(server: &Server) -> bool {
    let mut stream = connect(server.address());
    let mut reply = [0; 5];
    stream.write_all(b"AUTH right\r\n").is_ok()
        && stream.read_exact(&mut reply).is_ok()
        && &reply == b"+OK\r\n"
}

#[test]
fn clients_that_do_not_log_in_leave_room_for_others() {
    let server = with_password(ServerLimits {
        strangers: 4,
        clients: 4,
        ..ServerLimits::default()
    });
    let _strangers: Vec<TcpStream> = (0..4).map(|_| connect(server.address())).collect();
    wait::wait_for("a client that knows the password to log in", || {
        can_log_in(&server).then_some(())
    });
}

#[test]
fn in_a_flood_of_connections_a_client_that_sends_the_password_at_once_gets_in() {
    let server = with_password(ServerLimits::default());
    let mut strangers: Vec<TcpStream> = Vec::new();
    for _ in 0..3 {
        strangers.extend((0..50).map(|_| connect(server.address())));
        // On a busy machine, the password may arrive too late, so try several times.
        assert!((0..5).any(|_| can_log_in(&server)));
    }
}

#[test]
fn clients_that_all_connect_before_they_log_in_are_all_served() {
    let server = with_password(ServerLimits::default());
    let mut clients: Vec<TcpStream> = (0..200).map(|_| connect(server.address())).collect();
    for client in &mut clients {
        client.write_all(b"AUTH right\r\nPING\r\n").unwrap();
    }
    for client in &mut clients {
        let mut replies = [0; 12];
        client.read_exact(&mut replies).unwrap();
        assert_eq!(&replies, b"+OK\r\n+PONG\r\n");
    }
}

#[test]
fn a_client_that_does_not_log_in_in_time_is_disconnected() {
    let server = with_password(ServerLimits {
        login: Duration::from_millis(200),
        ..ServerLimits::default()
    });
    assert_eq!(until_closed(connect(server.address())), "");
    assert!(can_log_in(&server));
}

#[test]
fn before_the_login_few_replies_may_be_left_unread() {
    let server = with_password(ServerLimits::default());
    let mut stranger = connect(server.address());
    // The kernel buffers some megabytes.
    let refused = (0..2000).any(|_| stranger.write_all(&b"HELLO\r\n".repeat(1000)).is_err());
    assert!(refused, "the server kept 400 MB of replies");
    assert!(can_log_in(&server));
}

#[test]
fn a_client_that_reads_nothing_is_disconnected_after_a_timeout() {
    let server = limited(ServerLimits {
        patience: Duration::from_millis(300),
        ..ServerLimits::default()
    });
    let mut slow = connect(server.address());
    let value = "v".repeat(60_000);
    slow.write_all(format!("SET k {value}\r\n").as_bytes()).unwrap();
    // 18 MB of replies are within the limits, but more than the kernel can buffer.
    slow.write_all(&b"GET k\r\n".repeat(300)).unwrap();
    let mut other = connect(server.address());
    wait::wait_for("the slow client to be disconnected", || {
        other.write_all(b"CLIENT LIST\r\n").unwrap();
        let mut reply = [0; 4096];
        let length = other.read(&mut reply).unwrap();
        let reply = String::from_utf8_lossy(&reply[..length]).into_owned();
        (reply.matches(" addr=").count() == 1).then_some(())
    });
}

#[test]
fn data_over_the_limit_is_loaded_completely_and_then_refuses_writes() {
    let folder = tempfile::tempdir().unwrap();
    let start = |data: usize| {
        Server::start(ServerOptions {
            data: Some(folder.path().join("data")),
            limits: ServerLimits {
                data,
                ..ServerLimits::default()
            },
            ..ServerOptions::default()
        })
        .unwrap()
    };
    let server = start(1 << 20);
    let mut stream = connect(server.address());
    for number in 0..1000 {
        stream
            .write_all(format!("SET k{number} v\r\n").as_bytes())
            .unwrap();
    }
    stream.write_all(b"QUIT\r\n").unwrap();
    assert_eq!(until_closed(stream), "+OK\r\n".repeat(1001));
    server.stop().unwrap();
    let server = start(10_000);
    let mut stream = connect(server.address());
    stream
        .write_all(b"DBSIZE\r\nGET k999\r\nSET k v\r\nQUIT\r\n")
        .unwrap();
    assert_eq!(
        until_closed(stream),
        ":1000\r\n$1\r\nv\r\n-OOM command not allowed when used memory > 'maxmemory'.\r\n+OK\r\n"
    );
}

#[test]
fn clients_over_the_limit_are_refused_until_another_disconnects() {
    let server = limited(ServerLimits {
        clients: 8,
        ..ServerLimits::default()
    });
    let mut crowd: Vec<TcpStream> = (0..8).map(|_| connect(server.address())).collect();
    for stream in &mut crowd {
        stream.write_all(b"PING\r\n").unwrap();
        stream.read_exact(&mut [0; 7]).unwrap();
    }
    assert_eq!(
        until_closed(connect(server.address())),
        "-ERR max number of clients reached\r\n"
    );
    crowd.pop();
    wait::wait_for("a connection to be accepted again", || {
        let mut stream = connect(server.address());
        let mut reply = [0; 5];
        (stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut reply).is_ok() && &reply == b"+PONG")
            .then_some(())
    });
}

#[test]
fn a_connection_with_an_incomplete_request_is_closed_after_a_timeout() {
    let server = limited(ServerLimits {
        clients: 4,
        patience: Duration::from_millis(200),
        ..ServerLimits::default()
    });
    let mut slow: Vec<TcpStream> = (0..4).map(|_| connect(server.address())).collect();
    for stream in &mut slow {
        stream.write_all(b"*2\r\n$4\r\nEC").unwrap();
    }
    for stream in slow {
        assert_eq!(until_closed(stream), "");
    }
    still_serves(server.address());
}

#[test]
fn an_idle_connection_is_not_closed() {
    let server = limited(ServerLimits {
        patience: Duration::from_millis(50),
        ..ServerLimits::default()
    });
    let mut idle = connect(server.address());
    let mut incomplete = connect(server.address());
    incomplete.write_all(b"*").unwrap();
    assert_eq!(until_closed(incomplete), "");
    idle.write_all(b"PING\r\n").unwrap();
    let mut reply = [0; 7];
    idle.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+PONG\r\n");
}

#[test]
fn at_the_memory_limit_writes_are_refused_and_reads_work() {
    let server = limited(ServerLimits {
        data: 100_000,
        ..ServerLimits::default()
    });
    let mut stream = connect(server.address());
    let mut script = String::new();
    for number in 0..3 {
        script.push_str(&format!("SET k{number} {}\r\n", "v".repeat(50_000)));
    }
    script.push_str("HSET h f v\r\nSTRLEN k0\r\nDEL k0 k1 k2\r\nHSET h f v\r\nQUIT\r\n");
    stream.write_all(script.as_bytes()).unwrap();
    assert_eq!(
        until_closed(stream),
        "+OK\r\n+OK\r\n-OOM command not allowed when used memory > 'maxmemory'.\r\n\
         -OOM command not allowed when used memory > 'maxmemory'.\r\n:50000\r\n:2\r\n:1\r\n+OK\r\n"
    );
}

#[test]
fn only_loopback_addresses_are_accepted() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let options = ServerOptions {
            listen: address.parse().unwrap(),
            ..ServerOptions::default()
        };
        let fault = Server::start(options).unwrap_err();
        assert!(fault.to_string().contains("not a loopback address"), "{fault}");
    }
}

#[test]
fn random_bytes_do_not_crash_the_server() {
    let server = Server::start(ServerOptions::default()).unwrap();
    let mut seed = 0x5e55_1007_u64;
    for _ in 0..300 {
        let mut stream = connect(server.address());
        let mut bytes = Vec::new();
        for _ in 0..200 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let tokens: [&[u8]; 12] = [
                b"*2\r\n",
                b"$3\r\n",
                b"GET",
                b"\r\n",
                b"\"",
                b" ",
                b"SET k v",
                b"\x00",
                b"MULTI\r\n",
                b"EXEC\r\n",
                b"*-1\r\n",
                b"$0\r\n",
            ];
            bytes.extend_from_slice(tokens[(seed >> 33) as usize % tokens.len()]);
        }
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        until_closed(stream);
    }
    still_serves(server.address());
}

#[test]
fn the_memory_that_is_reported_is_the_memory_that_is_used() {
    let mut practice = Home::new().sessiontut(["practice", "--no-save"]).start();
    let client = redis::Client::open(practice.first_line()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut memory = || {
        let info: redis::InfoDict = redis::cmd("INFO").query(&mut connection).unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", practice.pid())).unwrap();
        let resident = status.split("VmRSS:").nth(1).unwrap();
        let resident: u64 = resident.split_whitespace().next().unwrap().parse().unwrap();
        (info.get::<u64>("used_memory").unwrap(), 1024 * resident)
    };
    let (used_before, resident_before) = memory();
    let mut writer = client.get_connection().unwrap();
    for batch in 0..40 {
        let mut commands = redis::pipe();
        for number in 0..1000 {
            let key = format!("sessiontut:session:{batch}-{number}");
            commands.hset(&key, "visits", number).ignore();
            commands.expire(&key, 600).ignore();
        }
        let () = commands.query(&mut writer).unwrap();
    }
    let (used, resident) = memory();
    let (used, resident) = (used - used_before, resident - resident_before);
    assert!(used > 4_000_000, "{used}");
    assert!(
        resident < used * 16 / 10,
        "{resident} bytes used, {used} reported"
    );
}
