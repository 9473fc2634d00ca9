//! Tests common attacks on an HTTP server, and how the server shuts down.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use support::http::{connect, read_answer, send};
use support::process::required;
use support::wait::{wait_for, within};
use support::{App, RedisServer};

fn app(server: &RedisServer) -> App {
    App::start(&server.url(), &[])
}

/// Returns the bytes of a request. `\n` in `head` becomes CRLF, and an empty line follows.
fn raw(head: &str, body: &str) -> Vec<u8> {
    format!("{}\r\n\r\n{body}", head.replace('\n', "\r\n")).into_bytes()
}

/// Checks that the server still answers a normal visitor.
#[track_caller]
fn expect_service(app: &App) {
    app.logged_in("ada").get("/").expect(200).says("Logged in as ada");
}

#[test]
fn requests_that_smuggle_another_one_are_refused() {
    let server = RedisServer::start();
    let app = app(&server);
    let host = format!("Host: 127.0.0.1:{}", app.port);
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let post = |headers: &str, body: &str| raw(&format!("POST /login HTTP/1.1\n{host}\n{headers}"), body);
    let chunked = format!("0\r\n\r\n{smuggled}");
    for request in [
        post("Content-Length: 5\nTransfer-Encoding: chunked", &chunked),
        post("Transfer-Encoding: chunked\nContent-Length: 5", &chunked),
        post("Transfer-Encoding: chunked", &chunked),
        post("Transfer-Encoding: xchunked", &chunked),
        post("Transfer-Encoding: chunked, identity", &chunked),
        post(
            "Transfer-Encoding: identity\nTransfer-Encoding: chunked",
            &chunked,
        ),
        post("Transfer-Encoding : chunked", &chunked),
        post("Content-Length: 0\nContent-Length: 40", smuggled),
        post("Content-Length: +0", smuggled),
        post("Content-Length: -1", smuggled),
        post("Content-Length: 0x10", smuggled),
        post("X: a\n Content-Length: 0", smuggled),
        raw(&format!("GET / HTTP/1.1\n{host}\nHost: other"), smuggled),
        raw("GET / HTTP/1.1\nX: y", smuggled),
        raw("GET / HTTP/1.1\nHost: a b", smuggled),
        raw("GET / HTTP/1.1\nHost: ada@x/y?<z>", smuggled),
        raw(&format!("GET http://other/ HTTP/1.1\n{host}"), smuggled),
        raw(&format!("GET  / HTTP/1.1\n{host}"), smuggled),
        raw(&format!("GET / HTTP/1.1\n{host}\nX: a\u{0}b"), smuggled),
        raw(&format!("GET / HTTP/9.9\n{host}"), smuggled),
        raw(&format!("GET / HTTP/1.1\n{host}\nX\u{7f}: b"), smuggled),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"PING\r\n".to_vec(),
    ] {
        let shown = String::from_utf8_lossy(&request).into_owned();
        let answers = exchange(app.port, &request);
        let statuses: Vec<&str> = answers.matches("HTTP/1.1 ").collect();
        assert!(statuses.len() <= 1, "{shown:?} got two responses: {answers}");
        assert!(
            answers.is_empty() || answers.starts_with("HTTP/1.1 4"),
            "{shown:?}: {answers}"
        );
    }
    expect_service(&app);
}

#[test]
fn a_host_name_in_capitals_is_accepted() {
    let server = RedisServer::start();
    let app = app(&server);
    let port = app.port;
    let head = format!("GET HTTP://LOCALHOST:{port}/ HTTP/1.1\nHost: localhost:{port}");
    send(port, &raw(&head, "")).expect(200);
}

/// Sends a request, and returns everything that the server sends until it closes the connection.
fn exchange(port: u16, request: &[u8]) -> String {
    let mut stream = connect(port).unwrap();
    stream.write_all(request).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn oversized_requests_are_refused_with_the_right_status() {
    let server = RedisServer::start();
    let app = app(&server);
    let mut visitor = app.visitor();
    let big = format!("username={}", "x".repeat(16 * 1024));
    visitor.post_login(&[], big.as_bytes()).expect(413);
    visitor.post_login(&[], &vec![b'x'; 900_000]).expect(413);
    visitor
        .post_login(&[("Expect", "100-continue")], &vec![b'x'; 100_000])
        .expect(413);
    // The body is announced but never sent.
    let head = format!(
        "POST /login HTTP/1.1\nHost: 127.0.0.1:{}\nContent-Length: 99999999",
        app.port
    );
    send(app.port, &raw(&head, "username=ada")).expect(413);
    let fits = format!("username=ada&rest={}", "x".repeat(16 * 1024 - 18));
    assert_eq!(fits.len(), 16 * 1024);
    visitor.post_login(&[], fits.as_bytes()).expect(303);

    let long = "x".repeat(40_000);
    let path = format!("/{long}");
    assert!([414, 431].contains(&visitor.get(&path).status));
    visitor.ask("GET", "/", &[("X-Long", &long)], None).expect(431);
    visitor.ask("GET", "/", &[("Cookie", &long)], None).expect(431);
    let many: Vec<(String, String)> = (0..200)
        .map(|number| (format!("X-{number}"), "y".into()))
        .collect();
    let many: Vec<(&str, &str)> = many
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    visitor.ask("GET", "/", &many, None).expect(431);
    let method = "M".repeat(5000);
    assert!((400..500).contains(&visitor.ask(&method, "/", &[], None).status));
    expect_service(&app);
}

#[test]
fn a_chunked_form_is_refused_with_411_or_413() {
    let server = RedisServer::start();
    let app = app(&server);
    let head = format!(
        "POST /login HTTP/1.1\nHost: 127.0.0.1:{}\nTransfer-Encoding: chunked",
        app.port
    );
    send(app.port, &raw(&head, "c\r\nusername=ada\r\n0\r\n\r\n")).expect(411);
    let chunk = format!("5000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x5000));
    send(app.port, &raw(&head, &chunk)).expect(413);
}

#[test]
fn a_chunked_form_with_expect_gets_the_same_status() {
    let server = RedisServer::start();
    let app = app(&server);
    let expecting = |chunk: &str| {
        let head = format!(
            "POST /login HTTP/1.1\nHost: 127.0.0.1:{}\nTransfer-Encoding: chunked\nExpect: 100-continue",
            app.port
        );
        // Keep the connection open in both directions, because the server would treat the end of the input as
        // a disconnect.
        let mut stream = connect_and_send(app.port, &raw(&head, chunk));
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let short = expecting("c\r\nusername=ada\r\n0\r\n\r\n");
    assert!(short.contains("HTTP/1.1 411 "), "{short}");
    let long = expecting(&format!("5000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x5000)));
    assert!(long.contains("HTTP/1.1 413 "), "{long}");
}

#[test]
fn incomplete_and_slow_requests_time_out_and_block_no_visitor() {
    let server = RedisServer::start();
    let app = app(&server);
    let half_head = connect_and_send(app.port, b"GET / HTTP/1.1\r\nHost: localhost\r\n");
    let half_body = connect_and_send(
        app.port,
        &raw(
            "POST /login HTTP/1.1\nHost: localhost\nContent-Length: 12",
            "user",
        ),
    );
    let mut slow = connect(app.port).unwrap();
    expect_service(&app);
    let mut drips = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ".iter().cycle();
    let closed = within(Duration::from_secs(30), || {
        let byte = *drips.next().unwrap();
        let is_gone = slow.write_all(&[byte]).is_err() || is_closed(&mut slow);
        is_gone.then_some(())
    });
    assert!(closed.is_some(), "a byte at a time kept the connection open");
    for mut stream in [half_head, half_body] {
        wait_for("the incomplete request to time out", || {
            is_closed(&mut stream).then_some(())
        });
    }
    expect_service(&app);
}

fn connect_and_send(port: u16, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(port).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// Whether the server has closed the connection. Data that it sent before is ignored.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                use std::io::ErrorKind::{TimedOut, WouldBlock};
                return !matches!(error.kind(), TimedOut | WouldBlock);
            }
        }
    }
}

#[test]
fn thousands_of_idle_connections_block_no_visitor_and_use_bounded_memory() {
    let server = RedisServer::start();
    let app = app(&server);
    expect_service(&app);
    let mut idle: Vec<TcpStream> = Vec::new();
    let mut opened = 0;
    let mut memory_at_cap = 0;
    while opened < 10_000 {
        // This test process also has a limit of file descriptors, so it closes its oldest connections. The
        // server closes connections independently of this.
        if idle.len() == 800 {
            idle.drain(..200);
        }
        let mut stream = connect(app.port).unwrap();
        if opened % 2 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
        }
        idle.push(stream);
        opened += 1;
        if opened == 2000 {
            expect_service(&app);
            memory_at_cap = memory_of(app.running.pid());
        }
    }
    expect_service(&app);
    let memory = memory_of(app.running.pid());
    assert!(
        memory < memory_at_cap + 8 * 1024,
        "{memory_at_cap} KiB grew to {memory} KiB"
    );
}

/// Returns the resident memory of a process in KiB.
fn memory_of(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_client_that_pipelines_but_never_reads_is_stopped() {
    let server = RedisServer::start();
    let app = app(&server);
    let mut client = connect(app.port).unwrap();
    client.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let request = raw("GET /style.css HTTP/1.1\nHost: localhost", "");
    let mut sent = 0_usize;
    while sent < 64 * 1024 * 1024 && client.write_all(&request).is_ok() {
        sent += request.len();
    }
    assert!(
        sent < 64 * 1024 * 1024,
        "the server kept reading requests although the client read no responses"
    );
    assert!(memory_of(app.running.pid()) < 64 * 1024);
    expect_service(&app);
}

#[test]
fn shutdown_ends_event_streams_at_once_and_completes_a_request() {
    let server = RedisServer::start();
    let app = app(&server);
    let mut ada = app.logged_in("ada");
    ada.get("/");
    let mut stream = connect(app.port).unwrap();
    stream
        .write_all(&ada.request("GET", "/events", &[], None))
        .unwrap();
    let mut first = [0; 64];
    assert!(stream.read(&mut first).unwrap() > 0);
    let body = b"username=bob";
    let mut slow = connect(app.port).unwrap();
    let head = format!(
        "POST /login HTTP/1.1\nHost: localhost\nContent-Length: {}",
        body.len()
    );
    slow.write_all(&raw(&head, "user")).unwrap();
    // Wait until a later request has been answered. By then, the server has read the head of this request.
    app.visitor().get("/").expect(200);

    app.running.terminate();
    wait_for("the stream to end", || is_closed(&mut stream).then_some(()));
    wait_for("the port to be closed", || {
        TcpStream::connect(("127.0.0.1", app.port)).err()
    });
    slow.write_all(&body[4..]).unwrap();
    let answer = read_answer(&mut slow, Instant::now()).unwrap();
    assert_eq!(answer.status, 303);
    assert_eq!(app.running.finish().code(), Some(0));
}

#[test]
fn shutdown_does_not_wait_forever_for_an_incomplete_request() {
    let server = RedisServer::start();
    let app = app(&server);
    let _half = connect_and_send(
        app.port,
        &raw(
            "POST /login HTTP/1.1\nHost: localhost\nContent-Length: 12",
            "user",
        ),
    );
    app.visitor().get("/").expect(200);
    app.running.interrupt();
    let stopping = Instant::now();
    assert_eq!(app.running.finish().code(), Some(0));
    assert!(stopping.elapsed() < Duration::from_secs(15));
}

#[test]
fn invalid_http_gets_an_empty_error_response_and_the_connection_is_closed() {
    let server = RedisServer::start();
    let app = app(&server);
    for (request, status) in [
        (raw("GET / HTTP/1.1\nno colon", ""), "400"),
        (b"GET / HTTP/9.9\r\n\r\n".to_vec(), "400"),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
            "400",
        ),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec(), "400"),
        (
            raw(&format!("GET / HTTP/1.1\nX: {}", "x".repeat(20_000)), ""),
            "431",
        ),
    ] {
        // hyper sends these responses without the app's security headers, so they must not contain anything that
        // needs protection.
        let answer = exchange(app.port, &request);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(head.contains("connection: close"), "{answer}");
        assert_eq!(body, "", "{answer}");
    }
    expect_service(&app);
}

#[test]
fn idle_connections_leave_descriptors_for_redis() {
    const IDLE: usize = 1010;
    /// The maximum number of open file descriptors. A process can usually have 1,024, and the rest must stay
    /// free for Redis.
    const MOST: usize = 1000;
    // This test process holds the other ends of the connections, so its own limit must be raised.
    let raised = Command::new(required("prlimit", "util-linux"))
        .args(["--pid", &std::process::id().to_string(), "--nofile=4096"])
        .status();
    assert!(raised.unwrap().success());
    let server = RedisServer::start();
    let app = App::start(&server.url(), &[]);
    let _idle: Vec<TcpStream> = (0..IDLE).map(|_| connect(app.port).unwrap()).collect();
    expect_service(&app);
    // The server closes some connections at once to make room, and all others after they have been idle for
    // ten seconds.
    let few = within(Duration::from_secs(5), || {
        let open = std::fs::read_dir(format!("/proc/{}/fd", app.running.pid()));
        (open.unwrap().count() < MOST).then_some(())
    });
    assert!(few.is_some(), "at least {MOST} descriptors stay open");
}
