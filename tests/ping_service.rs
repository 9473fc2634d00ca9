//! Tests servers that reply to PING but cannot be used, with scripted servers and proxies.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use serde_json::Value;
use support::{Home, RedisServer, listener};

fn ping(url: &str) -> Value {
    let finished = Home::new()
        .sessiontut(["ping", "--json", "--timeout", "3", url])
        .run();
    finished.json()
}

fn codes(answer: &Value, field: &str) -> Vec<String> {
    let items = answer[field].as_array().unwrap();
    items
        .iter()
        .map(|item| {
            item[if field == "warnings" { "code" } else { "kind" }]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

/// How a scripted server responds to a command.
enum Then {
    Reply(String),
    Silence,
    Close,
}

fn reply(text: &str) -> Then {
    Then::Reply(format!("{text}\r\n"))
}

/// Starts a server that responds to each command with `answer(command, connection)`. Connections are numbered
/// from 0. Returns the server's port.
fn server(answer: fn(&[String], usize) -> Then) -> u16 {
    listener::serve(move |stream, number| converse(&stream, |words| answer(words, number)))
}

fn converse(mut stream: &TcpStream, answer: impl Fn(&[String]) -> Then) {
    let mut requests = BufReader::new(stream.try_clone().unwrap());
    while let Some(words) = next_request(&mut requests) {
        match answer(&words) {
            Then::Reply(text) if stream.write_all(text.as_bytes()).is_err() => return,
            Then::Reply(_) | Then::Silence => {}
            Then::Close => return,
        }
    }
}

/// Reads a request, which is an array of bulk strings or a line of words.
fn next_request(requests: &mut impl BufRead) -> Option<Vec<String>> {
    let mut line = String::new();
    requests.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let Some(count) = line.strip_prefix('*') else {
        return Some(line.split_whitespace().map(str::to_owned).collect());
    };
    let word = |_| {
        let mut length = String::new();
        requests.read_line(&mut length).ok()?;
        let mut word = vec![0; length.trim().strip_prefix('$')?.parse::<usize>().ok()? + 2];
        requests.read_exact(&mut word).ok()?;
        Some(String::from_utf8_lossy(&word[..word.len() - 2]).into_owned())
    };
    (0..count.trim().parse().ok()?).map(word).collect()
}

/// Responds like a Redis server without any data.
fn redis(words: &[String]) -> Then {
    match words[0].as_str() {
        "PING" => reply("+PONG"),
        "AUTH" | "SELECT" => reply("+OK"),
        "ECHO" => reply(&format!("${}\r\n{}", words[1].len(), words[1])),
        "HGETALL" | "HELLO" | "CONFIG" => reply("*0"),
        "ROLE" => reply("*3\r\n$6\r\nmaster\r\n:0\r\n*0"),
        "INFO" => reply("$19\r\nredis_version:7.0.0"),
        _ => reply("-ERR unknown command"),
    }
}

/// Returns the reply that a proxy may send to AUTH or PING without asking its Redis server.
fn greeting(words: &[String]) -> Option<Then> {
    (is(words, "AUTH") || is(words, "PING")).then(|| redis(words))
}

fn is(words: &[String], command: &str) -> bool {
    words.first().is_some_and(|word| word == command)
}

#[test]
fn a_server_that_serves_every_request_is_ok() {
    let port = server(|words, _| redis(words));
    let answer = ping(&format!("redis://127.0.0.1:{port}"));
    assert_eq!(answer["ok"], true, "{answer:#}");
    assert_eq!(codes(&answer, "warnings"), [""; 0], "{answer:#}");
}

#[test]
fn pong_from_a_proxy_without_its_backend_is_not_ok() {
    let answers: [fn(&[String], usize) -> Then; 4] = [
        |words, _| greeting(words).unwrap_or_else(|| reply("-upstream failure")),
        |words, _| greeting(words).unwrap_or_else(|| reply("-NOAUTH Authentication required.")),
        |words, _| greeting(words).unwrap_or(Then::Close),
        |words, _| greeting(words).unwrap_or(Then::Silence),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let port = server(answer);
        let answer = ping(&format!("redis://:secret@127.0.0.1:{port}"));
        assert_eq!(answer["cause"], "proxy.no_backend", "{number}: {answer:#}");
    }
}

#[test]
fn a_proxy_that_ends_the_connection_at_a_command_is_limited_but_ok() {
    let without_info = server(|words, _| {
        if is(words, "INFO") {
            Then::Close
        } else {
            redis(words)
        }
    });
    let without_echo = server(|words, _| {
        if is(words, "ECHO") {
            Then::Close
        } else {
            redis(words)
        }
    });
    for port in [without_info, without_echo] {
        let answer = ping(&format!("redis://127.0.0.1:{port}"));
        assert_eq!(answer["ok"], true, "{answer:#}");
        assert!(
            codes(&answer, "warnings").contains(&"proxy.limited".to_owned()),
            "{answer:#}"
        );
    }
}

#[test]
fn a_fault_of_the_first_connection_is_not_blamed_on_the_server() {
    let silent = server(|words, number| if number == 0 { Then::Silence } else { redis(words) });
    let closing = server(|words, number| if number == 0 { Then::Close } else { redis(words) });
    let closing_at_the_read = server(|words, number| match number {
        0 if is(words, "HGETALL") => Then::Close,
        _ => redis(words),
    });
    for (port, cause) in [
        (silent, "server.silent"),
        (closing, "proto.closed"),
        (closing_at_the_read, "proto.closed"),
    ] {
        let answer = ping(&format!("redis://127.0.0.1:{port}"));
        assert_eq!(answer["cause"], cause, "{answer:#}");
        assert_eq!(answer["certainty"], "likely", "{answer:#}");
        assert_eq!(codes(&answer, "fixes")[0], "backend", "{answer:#}");
    }
}

#[test]
fn replies_that_belong_to_other_requests_are_noticed() {
    let one_reply_too_many = server(|words, _| match words[0].as_str() {
        "PING" => reply("+PONG\r\n+PONG"),
        _ => redis(words),
    });
    let another_value = server(|words, _| {
        if is(words, "ECHO") {
            reply("$2\r\nno")
        } else {
            redis(words)
        }
    });
    for port in [one_reply_too_many, another_value] {
        let answer = ping(&format!("redis://127.0.0.1:{port}"));
        assert_eq!(answer["cause"], "proto.unexpected", "{answer:#}");
        assert_eq!(answer["certainty"], "proved", "{answer:#}");
    }
}

#[test]
fn a_port_for_proxies_answers_after_a_header() {
    // This port closes every connection whose first line is not a PROXY header.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut header = [0; 15];
                if (&stream).read_exact(&mut header).is_ok() && header.starts_with(b"PROXY UNKNOWN\r\n") {
                    converse(&stream, redis);
                }
            });
        }
    });
    let answer = ping(&format!("redis://127.0.0.1:{port}"));
    assert_eq!(answer["cause"], "proxy.header", "{answer:#}");
    assert_eq!(answer["certainty"], "proved", "{answer:#}");
}

#[test]
fn a_header_that_redis_rejects_is_found_with_and_without_a_password() {
    let redis = RedisServer::with().password("secret").start();
    let backend = redis.port();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, backend)).unwrap();
            server
                .write_all(b"PROXY TCP4 127.0.0.1 127.0.0.1 50000 6379\r\n")
                .unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            let mut client = client;
            thread::spawn(move || std::io::copy(&mut server, &mut client));
        }
    });
    for login in ["", ":secret@"] {
        let answer = ping(&format!("redis://{login}127.0.0.1:{port}"));
        assert_eq!(answer["cause"], "proxy.header", "{answer:#}");
    }
}

#[test]
fn writes_without_a_reply_are_distinguished_from_a_silent_server() {
    let redis = RedisServer::start();
    redis.ask(&["CLIENT", "PAUSE", "60000", "WRITE"]);
    let url = redis.url();
    let answer = Home::new()
        .sessiontut(["ping", "--json", "--timeout", "3", "--write-check", &url])
        .run()
        .json();
    assert_eq!(answer["cause"], "server.silent", "{answer:#}");
    assert_eq!(answer["certainty"], "likely", "{answer:#}");
}
