//! Tests the test support itself: the servers must work, and must stop when dropped.

mod support;

use std::net::TcpStream;

use redis::Value;
use support::{Authority, Cluster, Home, Monitor, RedisServer, Sentinel, Stunnel, Terminal, valkey};

#[test]
fn a_server_replies_and_stops_when_dropped() {
    let server = RedisServer::start();
    assert_eq!(server.ask(&["SET", "key", "value"]), Value::Okay);
    assert_eq!(server.keys(), ["key"]);
    let port = server.port();
    drop(server);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_server_starts_again_on_its_port() {
    let mut server = RedisServer::with().password("secret").start();
    server.kill();
    server.restart();
    assert_eq!(server.ask(&["PING"]), Value::SimpleString("PONG".into()));
}

#[test]
fn commands_of_clients_are_recorded_and_those_of_tests_are_not() {
    let server = RedisServer::start();
    let monitor: Monitor = server.monitor();
    server.ask(&["SET", "ours", "1"]);
    let mut client = redis::Client::open(server.url())
        .unwrap()
        .get_connection()
        .unwrap();
    redis::cmd("SET")
        .arg("theirs")
        .arg("1")
        .exec(&mut client)
        .unwrap();
    let commands = monitor.commands(&server);
    assert_eq!(commands.last().unwrap(), &["SET", "theirs", "1"]);
    assert!(!commands.iter().any(|words| words.contains(&"ours".to_owned())));
}

#[test]
fn a_tls_server_a_tunnel_and_a_sentinel_come_up() {
    let certificate = Authority::new().issue(&["localhost", "127.0.0.1"]);
    let server = RedisServer::with().tls(&certificate).start();
    assert!(server.url().starts_with("rediss://"));
    assert_eq!(server.ask(&["PING"]), Value::SimpleString("PONG".into()));
    let plain = RedisServer::start();
    let tunnel = Stunnel::in_front_of(plain.port(), &certificate);
    assert!(TcpStream::connect(("127.0.0.1", tunnel.port())).is_ok());
    let sentinel = Sentinel::watching(&plain);
    let mut client = redis::Client::open(sentinel.url())
        .unwrap()
        .get_connection()
        .unwrap();
    let primary: Vec<String> = redis::cmd("SENTINEL")
        .arg("get-master-addr-by-name")
        .arg("primary")
        .query(&mut client)
        .unwrap();
    assert_eq!(primary, ["127.0.0.1".to_owned(), plain.port().to_string()]);
}

#[test]
fn a_cluster_of_three_agrees() {
    let cluster = Cluster::start();
    assert_eq!(cluster.nodes.len(), 3);
    assert!(cluster.keys().is_empty());
}

#[test]
fn valkey_is_recognised() {
    if let Some(server) = valkey::start() {
        let Value::BulkString(info) = server.ask(&["INFO", "server"]) else {
            panic!("no text")
        };
        assert!(String::from_utf8_lossy(&info).contains("valkey_version"));
    }
}

#[test]
fn the_binary_runs_in_a_home_of_its_own() {
    let finished = Home::new().run(["--version"]).expect(0);
    assert_eq!(
        finished.stdout,
        format!("sessiontut {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn a_terminal_shows_what_is_typed() {
    let home = Home::new();
    let terminal = Terminal::shell(&home, 80, 24, &[]);
    terminal.line("sessiontut --version");
    terminal.wait_for(concat!("sessiontut ", env!("CARGO_PKG_VERSION")));
    assert!(terminal.is_sane());
    terminal.line("stty -echo; exit 7");
    assert_eq!(terminal.exit_status(), 7);
}
