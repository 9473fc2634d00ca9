//! Common attacks on an app with sessions.

mod support;

use std::io::Write;

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
        let sessions = server
            .keys()
            .into_iter()
            .filter(|key| key.starts_with("sessiontut:session:"));
        (sessions.count() == 1).then_some(())
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
        // When a later request on another connection is answered, this request has arrived.
        app.visitor().get("/").expect(200);
        drop(stream);
        app.visitor().get("/").expect(200);
        server.resume();
    }
    wait_for("the key to be deleted", || {
        let mut keys = server.keys();
        keys.retain(|key| key.starts_with("sessiontut:session:"));
        keys.is_empty().then_some(())
    });
}

#[test]
fn a_name_cannot_inject_headers_or_markup() {
    let server = RedisServer::start();
    for step in ["1", "2", "3", "4"] {
        let app = App::start(&server.url(), &["--step", step]);
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
    let key = server
        .keys()
        .into_iter()
        .find(|key| key.contains(":session:"))
        .unwrap();
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
    for step in ["1", "4"] {
        let app = App::start(&server.url(), &["--step", step]);
        let head = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nCookie: session=");
        let ask = |path: &str| send(app.port, &[head(path).as_bytes(), b"\xff\xfe\r\n\r\n"].concat());
        ask("/").expect(200).says("You are not logged in");
        let answer = ask("/logout").expect(303);
        assert!(answer.header("set-cookie").unwrap().contains("Max-Age=0"));
    }
}
