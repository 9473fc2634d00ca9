//! What the pages say, what is sent with them, and the live view behind them.

mod support;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use support::http::{connect, try_send};
use support::{App, Monitor, RedisServer};

fn app(server: &RedisServer, step: &str) -> App {
    App::start(&server.url(), &["--step", step])
}

#[test]
fn the_page_shows_what_is_behind_it_and_of_the_token_only_its_start() {
    let server = RedisServer::start();
    let app = app(&server, "4");
    let mut ada = app.logged_in("ada");
    ada.get("/");
    let token = ada.cookie.clone().unwrap();
    let page = ada.get("/");
    assert!(
        !page.body.contains(&token[..7]),
        "more than 6 characters of the token"
    );
    assert!(page.body.contains(&token[..6]));
    let mut keys = server.keys().into_iter();
    let key = keys.find(|key| key.starts_with("sessiontut:session:")).unwrap();
    let page = page
        .says(&key)
        .says(&format!("HINCRBY {key} visits 1"))
        .says(&format!("EXPIRE {key} 10"))
        .says("(integer) 2")
        .says("QUEUED")
        .says("sessiontut serve --step 1");
    assert!(page.body.contains("href=\"/source\""));
    assert!(
        page.body.matches(&format!("HINCRBY {key}")).count() >= 2,
        "the visit before is missing"
    );
    let mut stranger = app.logged_in("eve");
    stranger.get("/");
    assert!(
        !stranger.get("/").body.contains(&key),
        "another session's commands"
    );
}

#[test]
fn every_answer_carries_the_security_headers() {
    let server = RedisServer::start();
    let app = app(&server, "4");
    let mut ada = app.logged_in("ada");
    for path in [
        "/",
        "/login",
        "/source",
        "/style.css",
        "/live.js",
        "/icon.svg",
        "/healthz",
        "/nowhere",
        "/logout",
    ] {
        let answer = ada.get(path);
        let csp = answer.header("content-security-policy").unwrap_or_default();
        assert!(
            csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"),
            "{path}: {csp}"
        );
        assert!(!csp.contains("unsafe"), "{path}: {csp}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"), "{path}");
        let is_asset = [".css", ".js", ".svg"].iter().any(|end| path.ends_with(end));
        let expected = if is_asset { "no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), Some(expected), "{path}");
    }
}

#[test]
fn what_is_not_there_is_404_and_what_is_not_allowed_405() {
    let server = RedisServer::start();
    let app = app(&server, "4");
    let mut visitor = app.visitor();
    visitor.get("/nowhere").expect(404);
    visitor.get("/..%2f..%2fetc/passwd").expect(404);
    let answer = visitor.ask("POST", "/", &[], Some(b"")).expect(405);
    assert!(answer.header("allow").unwrap_or_default().contains("GET"));
    visitor.ask("DELETE", "/logout", &[], None).expect(405);
}

#[test]
fn assets_are_sent_once() {
    let server = RedisServer::start();
    let app = app(&server, "4");
    let mut visitor = app.visitor();
    let css = visitor.get("/style.css").expect(200);
    assert_eq!(css.header("content-type"), Some("text/css; charset=utf-8"));
    let tag = css.header("etag").unwrap().to_owned();
    let again = visitor.ask("GET", "/style.css", &[("If-None-Match", &tag)], None);
    assert_eq!((again.expect(304).body.len(), css.body.is_empty()), (0, false));
    let page = visitor.get("/").body;
    assert!(!page.contains("<style") && !page.contains("style=") && !page.contains("onclick"));
}

#[test]
fn the_source_of_each_step_can_be_read_and_nothing_else() {
    let server = RedisServer::start();
    let app = app(&server, "3");
    let mut visitor = app.visitor();
    visitor
        .get("/source")
        .expect(200)
        .says("Step 3: a time to live")
        .says("HINCRBY");
    for step in ["1", "2", "3", "4"] {
        let page = visitor.get(&format!("/source?lang=rust&step={step}")).expect(200);
        page.says(&format!("Step {step}: "));
    }
    for (language, word) in [
        ("rust", "pub fn generate"),
        ("flask", "pipe.hincrby("),
        ("express", ".hIncrBy(key"),
        ("axum", ".hincr("),
    ] {
        let page = visitor
            .get(&format!("/source?lang={language}&step=4"))
            .expect(200)
            .says(word);
        assert!(
            !page.body.contains("region "),
            "{language} shows the lessons' marks"
        );
    }
    for query in ["step=5", "step=x", "lang=../../Cargo.toml", "lang=%3Cb%3E"] {
        visitor.get(&format!("/source?{query}")).expect(404);
    }
}

#[test]
fn a_page_view_is_one_round_trip_and_one_transaction() {
    let server = RedisServer::start();
    for (step, wanted) in [
        ("3", "MULTI HINCRBY EXPIRE HGETALL EXEC"),
        ("4", "MULTI HINCRBY EXPIRE HGETALL EXEC"),
    ] {
        let app = app(&server, step);
        let mut ada = app.logged_in("ada");
        let monitor = server.monitor();
        ada.get("/").expect(200);
        let asked = names(&monitor, &server);
        assert!(asked.contains(wanted), "step {step}: {asked}");
    }
}

fn names(monitor: &Monitor, server: &RedisServer) -> String {
    let commands = monitor.commands(server);
    let names = commands
        .iter()
        .filter(|words| !words.iter().any(|word| word.starts_with("sessiontut:instance")));
    let names: Vec<String> = names
        .filter_map(|words| words.first())
        .map(|name| name.to_uppercase())
        .collect();
    names.join(" ")
}

#[test]
fn events_only_look_and_end_with_the_session() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "2"]);
    let mut ada = app.logged_in("ada");
    ada.get("/");
    let monitor = server.monitor();
    let mut stream = connect(app.port).unwrap();
    stream
        .write_all(&ada.request("GET", "/events", &[], None))
        .unwrap();
    let mut events = String::new();
    stream.read_to_string(&mut events).unwrap();
    assert!(
        events.to_lowercase().contains("content-type: text/event-stream"),
        "{events}"
    );
    assert!(events.contains("event: look"), "{events}");
    assert!(events.contains("event: gone"), "{events}");
    assert!(!events.contains(&ada.cookie.clone().unwrap()[..8]));
    let writes = ["HINCRBY", "HSET", "EXPIRE", "PEXPIRE", "GETEX", "DEL", "PERSIST"];
    for words in monitor.commands(&server) {
        let is_ours = words.iter().any(|word| word.starts_with("sessiontut:session:"));
        assert!(
            !is_ours || !writes.contains(&words[0].to_uppercase().as_str()),
            "{words:?}"
        );
    }
    assert!(
        try_send(app.port, &app.visitor().request("GET", "/events", &[], None))
            .unwrap()
            .status
            == 204
    );
}

#[test]
fn too_many_watchers_are_told_to_come_again() {
    const MOST_STREAMS: usize = 256;
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "600"]);
    let ada = app.logged_in("ada");
    let watch = || {
        let mut stream = connect(app.port).unwrap();
        let request = ada.request("GET", "/events", &[], None);
        stream.write_all(&request).unwrap();
        let mut start = Vec::new();
        while !start.ends_with(b"event: look") {
            let mut byte = [0];
            if stream.read(&mut byte).unwrap() == 0 {
                break;
            }
            start.push(byte[0]);
        }
        (stream, String::from_utf8(start).unwrap())
    };
    let mut watched: Vec<_> = (0..MOST_STREAMS).map(|_| watch()).collect();
    assert!(watched.iter().all(|(_, start)| start.ends_with("event: look")));
    // Not a 503: a browser never opens a stream again that was refused.
    let (_, refused) = watch();
    assert!(refused.starts_with("HTTP/1.1 200"), "{refused}");
    assert!(refused.contains("retry: 10000\nevent: fault\n"), "{refused}");
    watched.clear();
    let end = Instant::now() + Duration::from_secs(30);
    while !watch().1.ends_with("event: look") {
        assert!(Instant::now() < end, "no stream is free again");
    }
}
