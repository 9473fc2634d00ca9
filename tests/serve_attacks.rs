//! Tests the app under common attacks on session handling.

mod support;

use std::io::{BufRead, Read, Write};

use support::http::{connect, send};
use support::wait::wait_for;
use support::{App, RedisServer};

fn app(server: &RedisServer) -> App {
    App::start(&server.url(), &[])
}

#[test]
fn a_token_that_the_server_did_not_generate_is_never_accepted() {
    let server = RedisServer::start();
    let app = app(&server);
    let known = app.logged_in("eve").cookie.unwrap();
    let mut chosen = known.clone();
    chosen.replace_range(..4, "AAAA");
    for planted in [known.clone(), chosen, "session".into(), "A".repeat(known.len())] {
        let mut victim = app.visitor().with_cookie(&planted);
        victim.log_in("ada").expect(303);
        assert_ne!(victim.cookie.as_ref(), Some(&planted));
        victim.get("/").says("Logged in as ada");
        app.visitor()
            .with_cookie(&planted)
            .get("/")
            .says("You are not logged in");
    }
}

#[test]
fn guessed_tokens_find_no_session_and_leave_no_key() {
    let server = RedisServer::start();
    let app = app(&server);
    let real = app.logged_in("ada").cookie.unwrap();
    for number in 0..200 {
        let mut guess = real.clone().into_bytes();
        let at = number % guess.len();
        guess[at] = if guess[at] == b'x' { b'y' } else { b'x' };
        let guess = String::from_utf8(guess).unwrap();
        app.visitor()
            .with_cookie(&guess)
            .get("/")
            .says("You are not logged in");
    }
    wait_for("their keys to be deleted", || {
        (server.sessions().len() == 1).then_some(())
    });
}

#[test]
fn a_key_recreated_for_an_expired_token_is_deleted_even_if_the_client_disconnects() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "3600"]);
    let mut visitor = app.logged_in("ada");
    let dead = visitor.cookie.clone().unwrap();
    visitor.get("/logout");
    // While Redis is paused, the client sends a request, and disconnects before a reply can arrive.
    for _ in 0..20 {
        server.pause();
        let mut stream = connect(app.port).unwrap();
        stream
            .write_all(&visitor.with_cookie(&dead).request("GET", "/", &[], None))
            .unwrap();
        // Wait until a later request on another connection has been answered. By then, the server has
        // received this request.
        app.visitor().get("/").expect(200);
        drop(stream);
        app.visitor().get("/").expect(200);
        server.resume();
    }
    wait_for("the key to be deleted", || {
        server.sessions().is_empty().then_some(())
    });
}

#[test]
fn a_name_cannot_inject_headers_or_markup() {
    let server = RedisServer::start();
    for stage in ["1", "2", "3", "4"] {
        let app = App::at_stage(&server, stage);
        for name in [
            "<script>alert(1)</script>",
            "\"><img src=x onerror=alert(1)>",
            "' onmouseover='alert(1)",
            "</code></td><svg/onload=alert(1)>",
            "{{7*7}}",
            "&lt;b&gt;",
            "a; Path=/evil; HttpOnly",
            "../../etc/passwd",
            "\u{202e}evil",
        ] {
            let mut visitor = app.visitor();
            let answer = visitor.log_in(name).expect(303);
            assert_eq!(answer.all("set-cookie").count(), 1, "{name}");
            let cookie = visitor.cookie.clone().unwrap();
            assert!(
                cookie
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b";,\"\\".contains(&byte)),
                "{cookie}"
            );
            visitor.get("/");
            let page = visitor.get("/").expect(200).says(&format!("Logged in as {name}"));
            for tag in ["<script>alert", "<img", "<svg/", "<b>"] {
                assert!(!page.body.contains(tag), "{name}");
            }
            assert!(
                !page.body.contains("' onmouseover='") && !page.body.contains("\"><img"),
                "{name}"
            );
        }
        for name in ["a\r\nSet-Cookie: x=1", "a\0b", "a\nb"] {
            let answer = app.visitor().log_in(name).expect(422);
            assert_eq!(answer.header("set-cookie"), None);
        }
        app.stop().expect(0);
    }
}

#[test]
fn markup_that_others_write_into_the_hash_is_escaped() {
    let server = RedisServer::start();
    let app = app(&server);
    let mut ada = app.logged_in("ada");
    let key = server.sessions().remove(0);
    let huge = "x".repeat(300_000);
    for (field, value) in [
        ("<script>f", "<script>v"),
        ("big", &huge),
        ("\u{1b}[31m", "\u{7}"),
    ] {
        server.ask(&["HSET", &key, field, value]);
    }
    let page = ada
        .get("/")
        .expect(200)
        .says("<script>f")
        .says("Logged in as ada");
    assert!(!page.body.contains("<script>f") && !page.body.contains("<script>v"));
    assert!(page.body.len() < 100_000, "{} bytes", page.body.len());
}

#[test]
fn a_form_from_another_site_does_not_log_in() {
    let server = RedisServer::start();
    let app = app(&server);
    let own = format!("http://127.0.0.1:{}", app.port);
    for (headers, status) in [
        (vec![], 303),
        (vec![("Sec-Fetch-Site", "same-origin")], 303),
        (vec![("Sec-Fetch-Site", "none")], 303),
        (vec![("Sec-Fetch-Site", "same-site")], 403),
        (
            vec![("Sec-Fetch-Site", "cross-site"), ("Origin", own.as_str())],
            403,
        ),
        (vec![("Origin", own.as_str())], 303),
        (vec![("Origin", "null")], 403),
        (vec![("Origin", "http://127.0.0.1:1")], 403),
        (vec![("Origin", "https://evil.example")], 403),
    ] {
        let mut visitor = app.visitor();
        let answer = visitor.post_login(&headers, b"username=ada");
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(visitor.cookie.is_some(), status == 303, "{headers:?}");
    }
}

#[test]
fn a_cross_site_form_is_refused_before_it_is_read() {
    let server = RedisServer::start();
    let app = app(&server);
    let mut ada = app.logged_in("ada");
    let cookie = ada.cookie.clone();
    let headers = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Origin", "https://evil.example"),
    ];
    let answer = ada.post_login(&headers, b"username=eve").expect(403);
    assert_eq!(answer.header("set-cookie"), None);
    assert_eq!(ada.cookie, cookie);
    ada.get("/").says("Logged in as ada");
    assert!(answer.header("access-control-allow-origin").is_none());
}

#[test]
fn the_access_log_is_json_and_contains_no_token() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--log", "json"]);
    let mut ada = app.logged_in("ada");
    let token = ada.cookie.clone().unwrap();
    ada.get("/?session=x&token=y").expect(200);
    ada.get("/\u{1b}[31m\"nowhere");
    let finished = app.stop().expect(0);
    assert!(!finished.stderr.contains(&token[..8]) && !finished.stderr.contains("token=y"));
    let entries: Vec<serde_json::Value> = finished
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let home = entries.iter().find(|entry| entry["path"] == "/").unwrap();
    assert_eq!((&home["method"], &home["status"]), (&"GET".into(), &200.into()));
    assert!(home["us"].is_u64() && home["bytes"].is_u64() && home["peer"].is_string());
    assert!(
        entries
            .iter()
            .any(|entry| entry["path"] == "/login" && entry["status"] == 303)
    );
}

#[test]
fn a_form_of_another_content_type_is_refused_with_the_expected_type() {
    let server = RedisServer::start();
    let app = app(&server);
    let parts = "--x\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nada\r\n--x--\r\n";
    for (kind, body) in [
        ("multipart/form-data; boundary=x", parts),
        ("application/json", "{\"username\":\"ada\"}"),
    ] {
        let headers = [("Content-Type", kind)];
        let answer = app
            .visitor()
            .ask("POST", "/login", &headers, Some(body.as_bytes()));
        answer.expect(422).says("application/x-www-form-urlencoded");
    }
}

#[test]
fn a_cookie_that_is_not_utf8_is_ignored_and_removed_at_logout() {
    let server = RedisServer::start();
    for stage in ["1", "4"] {
        let app = App::at_stage(&server, stage);
        let head = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: session=");
        let ask = |path: &str| send(app.port, &[head(path).as_bytes(), b"\xff\xfe\r\n\r\n"].concat());
        ask("/").expect(200).says("You are not logged in");
        let answer = ask("/logout").expect(303);
        assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"));
    }
}

/// The headers of a browser's request.
type Headers<'a> = &'a [(&'a str, &'a str)];

#[test]
fn on_loopback_only_its_own_host_names_are_answered() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--host", "app.example"]);
    let status = |host: &str| {
        let login = app.visitor().ask("GET", "/login", &[("Host", host)], None);
        let form: Headers<'_> = &[("Host", host), ("Sec-Fetch-Site", "same-origin")];
        let posted = app.visitor().post_login(form, b"username=ada");
        assert_eq!(
            posted.header("set-cookie").is_some(),
            posted.status == 303,
            "{host}"
        );
        (login.status, posted.status)
    };
    let port = app.port;
    for host in [
        "127.0.0.1",
        "localhost:1234",
        "[::1]:80",
        "LOCALHOST",
        "App.example:8443",
    ] {
        assert_eq!(status(host), (200, 303), "{host}");
    }
    for host in [
        &format!("evil.example:{port}"),
        &format!("127.0.0.1.evil.example:{port}"),
        "localhost.evil.example",
        "10.1.2.3",
        "app.example.evil.example",
    ] {
        assert_eq!(status(host), (421, 421), "{host}");
    }
    // A socket that listens on all addresses can also be reached over loopback.
    let app = App::start(&server.url(), &["--listen", "0.0.0.0:0"]);
    let foreign = app
        .visitor()
        .ask("GET", "/healthz", &[("Host", "evil.example")], None);
    assert_eq!(foreign.status, 421);
}

#[test]
fn only_the_visitors_own_request_logs_out_or_counts_a_visit() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "600"]);
    let navigation = [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")];
    let with = |more: Headers<'static>| [&navigation[..], more].concat();
    for headers in [
        with(&[("Sec-Fetch-Site", "cross-site")]),
        with(&[("Sec-Fetch-Site", "same-site")]),
        with(&[
            ("Sec-Purpose", "prefetch;prerender"),
            ("Sec-Fetch-Site", "same-origin"),
        ]),
        vec![("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image")],
        vec![("Sec-Fetch-Dest", "iframe"), ("Sec-Fetch-Site", "same-origin")],
    ] {
        let mut visitor = app.logged_in("ada");
        visitor.ask("GET", "/logout", &headers, None).expect(403);
        visitor.get("/").says("Logged in as ada");
        let foreign_form = visitor.ask("POST", "/logout", &headers, Some(b""));
        assert_eq!(
            foreign_form.status == 403,
            headers.contains(&("Sec-Fetch-Site", "cross-site"))
                || headers.contains(&("Sec-Fetch-Site", "same-site")),
            "{headers:?}"
        );
    }
    for (method, headers) in [
        ("GET", with(&[("Sec-Fetch-Site", "none")])),
        ("GET", with(&[("Sec-Fetch-Site", "same-origin")])),
        ("GET", vec![]),
        ("POST", with(&[("Sec-Fetch-Site", "same-origin")])),
        ("POST", vec![]),
    ] {
        let mut visitor = app.logged_in("ada");
        let body = (method == "POST").then_some(&b""[..]);
        visitor.ask(method, "/logout", &headers, body).expect(303);
        assert_eq!(visitor.cookie, None);
    }
    let mut visitor = app.logged_in("ada");
    for headers in [
        with(&[("Sec-Purpose", "prefetch")]),
        vec![("Purpose", "prefetch")],
        vec![("Sec-Fetch-Dest", "iframe")],
        vec![("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")],
    ] {
        visitor.ask("GET", "/", &headers, None).expect(403);
    }
    // If a visitor follows a link on another site, this counts as the visitor's own visit.
    let link = with(&[("Sec-Fetch-Site", "cross-site")]);
    assert_eq!(visitor.ask("GET", "/", &link, None).visits(), Some(1));
}

#[test]
fn the_first_valid_one_of_several_cookies_counts() {
    let server = RedisServer::start();
    for stage in ["1", "2", "3", "4"] {
        let app = App::start(&server.url(), &["--stage", stage, "--ttl", "600"]);
        let mut gone = app.logged_in("eve");
        let ended = gone.cookie.clone().unwrap();
        gone.get("/logout");
        let own = app.logged_in("ada").cookie.unwrap();
        for other in ["x", "a.b.c", &"A".repeat(43), ended.as_str()] {
            // In stages 1 to 3, a cookie remains valid after a logout.
            if other == ended && stage != "4" {
                continue;
            }
            let both = format!("{other}; session={own}");
            let page = app.visitor().with_cookie(&both).get("/").says("Logged in as ada");
            assert!(page.body.contains("id=\"cookies\""), "{stage} {other}");
        }
        let alone = app.visitor().with_cookie(&own).get("/");
        assert!(!alone.body.contains("id=\"cookies\""));
    }
}

#[test]
fn a_signed_cookie_is_valid_for_its_own_stage_and_until_the_maximum_age() {
    let server = RedisServer::start();
    let start = |stage: &str, arguments: &[&str]| {
        let arguments = [&["--stage", stage], arguments].concat();
        App::start_in(
            support::Home::new(),
            Some(&server.url()),
            &arguments,
            &[("SECRET_KEY", "a key of sixteen bytes or more")],
        )
    };
    let apps = ["1", "2", "3"].map(|stage| start(stage, &[]));
    for (number, app) in apps.iter().enumerate() {
        let visitor = app.logged_in("ada");
        for (other, elsewhere) in apps.iter().enumerate() {
            let page = visitor.moved_to(elsewhere.port).get("/");
            let is_valid = page.body.contains("Logged in as ada");
            assert_eq!(is_valid, number == other, "{number} {other}");
        }
    }
    for stage in ["1", "3"] {
        let app = start(stage, &["--max-age", "1s"]);
        let mut visitor = app.logged_in("ada");
        wait_for("the cookie to expire", || {
            visitor.get("/").body.contains("not logged in").then_some(())
        });
    }
}

#[test]
fn secure_cookies_have_a_prefix_and_are_refused_over_http() {
    let server = RedisServer::start();
    for (name, cookie) in [("session", "__Host-session"), ("__Secure-x", "__Secure-x")] {
        let app = App::start(&server.url(), &["--secure-cookies", "--cookie-name", name]);
        let mut visitor = app.visitor();
        let login = |visitor: &mut support::http::Visitor, origin: &str| {
            let host = origin.split("//").nth(1).unwrap();
            let host = if host == "localhost" { host } else { "127.0.0.1" };
            visitor.post_login(
                &[
                    ("Host", host),
                    ("Origin", origin),
                    ("Sec-Fetch-Site", "same-origin"),
                ],
                b"username=ada",
            )
        };
        for origin in [
            "http://app.example",
            "http://10.0.0.1:5000",
            "http://localhost.example",
        ] {
            let refused = login(&mut visitor, origin).expect(403);
            assert_eq!(refused.header("set-cookie"), None, "{origin}");
        }
        for origin in ["https://app.example", "http://localhost", "http://127.0.0.1:5000"] {
            login(&mut visitor, origin).expect(303);
            assert_eq!(visitor.cookie_name, cookie);
        }
        visitor.get("/").says("Logged in as ada");
    }
}

#[test]
fn a_fifth_stream_of_a_session_closes_the_first() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "600"]);
    let eve = app.logged_in("eve");
    let mut streams: Vec<_> = (0..5).map(|_| watch(&app, &eve)).collect();
    read_until(&mut streams[0], "event: end");
    for stream in &mut streams[1..] {
        read_until(stream, "event: look");
    }
    watch(&app, &app.logged_in("ada"));
}

#[test]
fn a_visitor_gets_a_stream_even_if_all_are_in_use() {
    const MOST_STREAMS: usize = 256;
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "600"]);
    // A session can have at most four streams.
    let mut eves: Vec<_> = (0..MOST_STREAMS / 4)
        .map(|number| app.logged_in(&format!("eve-{number}")))
        .flat_map(|eve| [(); 4].map(|()| watch(&app, &eve)))
        .collect();
    let mut ada = watch(&app, &app.logged_in("ada"));
    read_until(&mut eves[0], "event: end");
    // The streams of later visitors must not replace Ada's stream.
    for number in 0..8 {
        watch(&app, &app.logged_in(&format!("bob-{number}")));
    }
    read_until(&mut ada, "event: look");
}

/// Opens the visitor's event stream, and reads it up to the first TTL.
#[allow(clippy::unwrap_used, reason = "a test's helper")]
fn watch(app: &App, visitor: &support::http::Visitor) -> std::net::TcpStream {
    let mut stream = connect(app.port).unwrap();
    stream
        .write_all(&visitor.request("GET", "/events", &[], None))
        .unwrap();
    read_until(&mut stream, "event: look");
    stream
}

#[allow(clippy::unwrap_used, reason = "a test's helper")]
fn read_until(stream: &mut std::net::TcpStream, wanted: &str) {
    let mut read = Vec::new();
    while !read.ends_with(wanted.as_bytes()) {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "no {wanted}");
        read.push(byte[0]);
    }
}

#[test]
fn a_reader_of_the_log_who_stops_reading_stops_no_visitor() {
    let server = RedisServer::start();
    let (reader, writer) = std::io::pipe().unwrap();
    let home = support::Home::new();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sessiontut"));
    let mut served = command
        .args(["serve", "--listen", "127.0.0.1:0", "--log", "json"])
        .env_clear()
        .envs(home.environment())
        .env("REDIS_URL", server.url())
        .stdout(std::process::Stdio::piped())
        .stderr(writer)
        .spawn()
        .unwrap();
    drop(command);
    let mut stdout = std::io::BufReader::new(served.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let port = line
        .split("http://127.0.0.1:")
        .nth(1)
        .unwrap()
        .split('/')
        .next()
        .unwrap();
    let mut visitor = support::http::Visitor::at(port.parse().unwrap());
    let path = format!("/{}\u{9b}\u{202e}", "x".repeat(180));
    // These log lines are more than the pipe (64 kB) and the queue can hold.
    for _ in 0..2000 {
        visitor.get(&path).expect(404);
    }
    support::process::signal(served.id(), "TERM");
    let mut log = String::new();
    let mut reader = std::io::BufReader::new(reader);
    reader.read_to_string(&mut log).unwrap();
    assert!(served.wait().unwrap().success());
    assert!(log.is_ascii());
    let entries: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let dropped: u64 = entries.iter().filter_map(|entry| entry["dropped"].as_u64()).sum();
    let requests = entries.iter().filter(|entry| entry["event"] == "request").count() as u64;
    assert!(dropped > 0);
    assert_eq!(requests + dropped, 2000);
}

#[test]
fn stage_two_deletes_only_what_it_created() {
    let server = RedisServer::start();
    server.ask(&["HSET", "sessiontut:user:ada", "email", "ada@example.org"]);
    let app = App::at_stage(&server, "2");
    for name in ["ada", "eve", "mallory"] {
        app.logged_in(name).get("/").says("Visits: 1");
    }
    server.ask(&["HSET", "sessiontut:user:mallory", "plan", "gold"]);
    app.stop().expect(0);
    assert_eq!(server.keys(), ["sessiontut:user:ada", "sessiontut:user:mallory"]);
    let mallory = server.hash("sessiontut:user:mallory");
    assert_eq!(mallory, [("plan".to_owned(), "gold".to_owned())]);
}

#[test]
fn a_hash_that_others_changed_is_named_on_its_visitors_page() {
    let server = RedisServer::start();
    for stage in ["2", "3", "4"] {
        let app = App::start(&server.url(), &["--stage", stage, "--ttl", "600"]);
        let mut eve = app.logged_in("eve");
        eve.get("/").expect(200);
        let keys = server.keys();
        let key = keys
            .iter()
            .find(|key| key.contains(":user:") || key.contains(":session:"))
            .unwrap();
        let mut ada = app.logged_in("ada");
        server.ask(&["HSET", key, "visits", "many"]);
        assert!(eve.get("/").expect(503).body.contains(key.as_str()), "{stage}");
        server.ask(&["DEL", key]);
        server.ask(&["SET", key, "text"]);
        assert!(eve.get("/").expect(503).body.contains(key.as_str()), "{stage}");
        ada.get("/").says("Logged in as ada");
        server.ask(&["FLUSHALL"]);
    }
}
