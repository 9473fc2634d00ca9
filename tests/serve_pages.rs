//! Tests the contents of the pages, their headers, and the event stream that updates them.

mod support;

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};

use support::golden::assert_golden;
use support::http::{connect, send, try_send, unescaped};
use support::{App, Home, Monitor, RedisServer};

#[test]
fn the_page_shows_the_session_but_only_the_first_characters_of_the_token() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let mut ada = app.logged_in("ada");
    ada.get("/");
    let token = ada.cookie.clone().unwrap();
    let page = ada.get("/");
    assert!(
        !page.body.contains(&token[..7]),
        "more than 6 characters of the token"
    );
    assert!(page.body.contains(&token[..6]));
    let key = server.sessions().remove(0);
    let page = page
        .says(&key)
        .says(&format!("HINCRBY {key} visits 1"))
        .says(&format!("EXPIRE {key} 10"))
        .says("(integer) 2")
        .says("QUEUED")
        .says("sessiontut serve --stage 1");
    assert!(page.body.contains("href=\"/source\""));
    assert!(
        page.body.matches(&format!("HINCRBY {key}")).count() >= 2,
        "the visit before is missing"
    );
    let mut other = app.logged_in("eve");
    other.get("/");
    assert!(!other.get("/").body.contains(&key), "another session's commands");
}

#[test]
fn the_title_of_each_page_is_its_own_and_contains_the_name_of_the_app() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "2");
    let mut titles = HashSet::new();
    for path in ["/", "/login", "/source", "/lesson", "/lesson/redis", "/nowhere"] {
        let page = app.visitor().get(path).body;
        let (_, title) = page.split_once("<title>").unwrap();
        let (title, _) = title.split_once("</title>").unwrap();
        assert!(title.ends_with(" · sessiontut stage 2"), "{path}: {title}");
        assert!(titles.insert(title.to_owned()), "{path}: {title}");
    }
}

#[test]
fn every_response_has_the_security_headers() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let mut ada = app.logged_in("ada");
    for path in [
        "/",
        "/login",
        "/source",
        "/lesson",
        "/lesson/redis",
        "/lesson/none",
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
fn an_unknown_path_is_404_and_a_wrong_method_405() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let mut visitor = app.visitor();
    visitor.get("/nowhere").expect(404);
    visitor.get("/..%2f..%2fetc/passwd").expect(404);
    let answer = visitor.ask("POST", "/", &[], Some(b"")).expect(405);
    assert!(answer.header("allow").unwrap_or_default().contains("GET"));
    visitor.ask("DELETE", "/logout", &[], None).expect(405);
}

#[test]
fn an_unchanged_asset_is_304() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
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
fn the_source_page_shows_the_session_store() {
    let lesson = include_str!("../lessons/05-session-store.md");
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let page = app.visitor().get("/source?lang=rust&stage=4").expect(200).body;
    let page: Vec<String> = unescaped(&page)
        .lines()
        .map(|line| line.trim().to_owned())
        .collect();
    for method in ["create", "visit", "end"] {
        let fence = format!("```rust from=src/session/store.rs#{method}\n");
        let (_, rest) = lesson.split_once(&fence).expect(method);
        let (code, _) = rest.split_once("\n```").expect(method);
        let code: Vec<String> = code.lines().map(|line| line.trim().to_owned()).collect();
        assert!(page.windows(code.len()).any(|part| part == code), "{method}");
    }
}

#[test]
fn the_source_page_has_every_stage_but_no_other_files() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "3");
    let mut visitor = app.visitor();
    visitor.get("/source").expect(200).says("visits");
    for stage in ["1", "2", "3", "4"] {
        let page = visitor
            .get(&format!("/source?lang=rust&stage={stage}"))
            .expect(200);
        assert!(page.body.contains(&format!("data-source-stage=\"{stage}\"")));
    }
    for (language, word) in [
        ("rust", "pub fn generate"),
        ("flask", "pipe.hincrby("),
        ("express", ".hIncrBy(key"),
        ("axum", ".hincr("),
        ("sinatra", "redis.hincrby(key"),
        ("php", "->hIncrBy($key"),
        ("go", "conn.Send(\"HINCRBY\", key"),
    ] {
        let page = visitor
            .get(&format!("/source?lang={language}&stage=4"))
            .expect(200)
            .says(word);
        assert!(
            !page.body.contains("region "),
            "{language} shows the lessons' marks"
        );
    }
    for query in ["stage=5", "stage=x", "lang=../../Cargo.toml", "lang=%3Cb%3E"] {
        visitor.get(&format!("/source?{query}")).expect(404);
    }
}

#[test]
fn a_page_view_is_one_round_trip_and_one_transaction() {
    let server = RedisServer::start();
    for (stage, wanted) in [
        ("3", "MULTI HINCRBY EXPIRE HGETALL EXEC"),
        ("4", "MULTI HINCRBY EXPIRE HGETALL EXEC"),
    ] {
        let app = App::at_stage(&server, stage);
        let mut ada = app.logged_in("ada");
        let monitor = server.monitor();
        ada.get("/").expect(200);
        let sent = names(&monitor, &server);
        assert!(sent.contains(wanted), "stage {stage}: {sent}");
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
fn events_do_not_refresh_the_session_and_end_with_it() {
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
    let names: Vec<&str> = events
        .lines()
        .filter_map(|line| line.strip_prefix("event: "))
        .collect();
    assert_eq!(names[names.len() - 2..], ["gone", "end"], "{events}");
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
fn every_link_leads_to_an_existing_part_of_a_page() {
    let server = RedisServer::start();
    for stage in ["1", "2", "3", "4"] {
        let app = App::start(&server.url(), &["--stage", stage, "--ttl", "600"]);
        // An error page, and the home page of a visitor who is not logged in, contain links that other pages
        // do not have.
        let mut links = vec![("/nowhere".to_owned(), "/".to_owned())];
        links.extend(links_of("/", &app.visitor().get("/").body));
        links.extend(links_of("/", &app.visitor().with_cookie("x").get("/").body));
        let mut ada = app.logged_in("ada");
        let mut pages = HashMap::new();
        while let Some((from, link)) = links.pop() {
            let (path, fragment) = link.split_once('#').unwrap_or((&link, ""));
            if !pages.contains_key(path) {
                let answer = ada.get(path);
                assert_eq!(answer.status, 200, "{from} links to {link}");
                links.extend(links_of(path, &answer.body));
                pages.insert(path.to_owned(), answer.body);
            }
            let id = format!("id=\"{fragment}\"");
            assert!(
                fragment.is_empty() || pages[path].contains(&id),
                "{from} links to {link}"
            );
        }
        for path in [
            "/login",
            "/source",
            "/lesson",
            "/lesson/redis",
            "/lesson/troubleshooting",
        ] {
            assert!(pages.contains_key(path), "no page links to {path}");
        }
        assert!(pages["/"].matches("class=\"explained\"").count() >= 3);
    }
}

/// Returns the path of the page, and each path that it links to on this server.
fn links_of(page: &str, body: &str) -> Vec<(String, String)> {
    let links = body.split(" href=\"").skip(1);
    let links = links.filter_map(|rest| rest.split('"').next()).map(unescaped);
    let links = links.filter(|link| !link.starts_with("http"));
    let absolute = |link: String| match link.starts_with('#') {
        true => format!("{page}{link}"),
        false => link,
    };
    links.map(|link| (page.to_owned(), absolute(link))).collect()
}

#[test]
fn lessons_are_pages_and_others_are_not_found() {
    let app = App::start("redis://127.0.0.1:1", &["--stage", "1"]);
    let mut visitor = app.visitor();
    assert!(
        visitor
            .get("/lesson")
            .expect(200)
            .body
            .contains("/lesson/session-store")
    );
    let page = visitor.get("/lesson/session-store").expect(200);
    assert!(page.body.contains("id=\"a-page-view-in-one-round-trip\""));
    assert_eq!(visitor.get("/lesson/5").expect(200).body, page.body);
    for path in [
        "/lesson/50",
        "/lesson/",
        "/lesson/..%2fredis",
        "/lesson/%ff",
        "/lesson/redis/x",
    ] {
        let page = visitor.get(path).expect(404);
        assert!(page.body.contains("<main"), "{path}");
    }
}

#[test]
fn the_diagram_shows_each_round_trip_as_two_arrows() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let dead = "A".repeat(43);
    for (mut visitor, round_trips) in [
        (app.visitor(), 0),
        (app.visitor().with_cookie("x"), 0),
        (app.logged_in("ada"), 1),
        // The second round trip deletes the key that HINCRBY has created.
        (app.visitor().with_cookie(&dead), 2),
    ] {
        let page = visitor.get("/").expect(200).body;
        let arrows = page.matches("class=\"sent ").count();
        assert_eq!(arrows, 2 + 2 * round_trips, "{page}");
        assert!(page.matches("scope=\"rowgroup\"").count() >= round_trips);
    }
}

#[test]
fn the_creation_time_is_shown_as_an_age() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "600"]);
    let mut ada = app.logged_in("ada");
    let key = server.sessions().remove(0);
    let fields = server.hash(&key);
    let (_, created) = fields.iter().find(|(field, _)| field == "created").unwrap();
    let created = created.parse::<u64>().unwrap() - 300;
    server.ask(&["HSET", &key, "created", &created.to_string()]);
    ada.get("/").says(&format!("{created} (5 minutes ago)"));
}

/// Returns the visible text of a page, with one line per block and table row. Parts that differ between runs
/// are replaced.
fn visible(page: &str, variable: &[(&str, &str)]) -> String {
    let (_, body) = page.split_once("<body").unwrap_or_default();
    let mut lines = Vec::new();
    // Leave out the titles of lesson sections, because they belong to the wording of the lessons.
    for line in body.lines().filter(|line| !line.contains("class=\"explained\"")) {
        let line = line
            .replace("</dt><dd>", ": ")
            .replace("</th><t", " | </th><t")
            .replace("</td><t", " | </td><t");
        let mut text = String::new();
        for part in line.split('<') {
            text.push_str(part.split_once('>').map_or(part, |(_, after)| after));
        }
        let mut text = unescaped(&text);
        for (value, name) in variable {
            text = text.replace(value, name);
        }
        if !text.trim().is_empty() {
            lines.push(without_times(text.trim()));
        }
    }
    lines.join("\n")
}

/// Replaces durations, and times in seconds since 1970.
fn without_times(line: &str) -> String {
    let line = line.replace(" second ago", " seconds ago");
    let words: Vec<&str> = line.split(' ').collect();
    let replaced = words.iter().enumerate().map(|(index, word)| {
        let unit = words.get(index + 1).copied().unwrap_or_default();
        let is_span = word.parse::<f64>().is_ok() && (unit.starts_with("µs") || unit.starts_with("ms"));
        let plain = word.trim_matches('"');
        match plain.parse::<u64>() {
            _ if is_span => "N".to_owned(),
            _ if word.starts_with("ms") => word.replacen("ms", "µs", 1),
            _ if unit == "seconds" => "(N".to_owned(),
            Ok(1_000_000_000..) => word.replace(plain, "SECONDS"),
            _ => (*word).to_owned(),
        }
    });
    replaced.collect::<Vec<_>>().join(" ")
}

#[test]
fn home_pages_wording() {
    let server = RedisServer::start();
    for stage in ["1", "2", "3", "4"] {
        let app = App::start_in(
            Home::new(),
            Some(&server.url()),
            &["--stage", stage],
            &[("SECRET_KEY", "correct horse battery staple")],
        );
        let logged_out = app.visitor().get("/").body;
        assert_golden(
            &format!("pages/home-stage{stage}-logged-out.txt"),
            &visible(&logged_out, &[]),
        );
        let mut ada = app.logged_in("ada");
        ada.get("/");
        let page = ada.get("/").body;
        let mut variable = Vec::new();
        let sessions = server.sessions();
        let session = sessions.first();
        let token = ada.cookie.clone().unwrap();
        if let Some(key) = session {
            variable.extend([(key.as_str(), "KEY"), (&token[..6], "TOKEN")]);
        } else if let Some((_, signature)) = token.rsplit_once('.') {
            // The signature differs between runs, because it also covers the time.
            variable.push((&signature[..6], "SIGNATURE"));
        }
        assert_golden(
            &format!("pages/home-stage{stage}.txt"),
            &visible(&page, &variable),
        );
        app.stop().expect(0);
    }
}

#[test]
fn refused_cookies_wording() {
    let server = RedisServer::start();
    for (stage, cookie, name) in [
        ("1", "x", "signature"),
        ("4", "x", "no-token"),
        ("4", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "no-session"),
    ] {
        let app = App::at_stage(&server, stage);
        let page = app.visitor().with_cookie(cookie).get("/").body;
        let (_, section) = page.split_once("<h2 id=\"cookie\"").unwrap_or_default();
        let (section, _) = section.split_once("</section>").unwrap_or_default();
        let section = format!("<body>\n<h2{section}");
        assert_golden(&format!("pages/cookie-{name}.txt"), &visible(&section, &[]));
    }
}

#[test]
fn login_and_error_pages_wording() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let mut visitor = app.visitor();
    let login = visitor.get("/login").expect(200);
    assert_golden("pages/login.txt", &visible(&login.body, &[]));
    let long = format!("username={}", "x".repeat(65));
    let messages: Vec<String> = [
        "user=eve",
        "username=",
        "username=eve&username=eve",
        "username=%ff",
        "username=a%0ab",
        &long,
    ]
    .iter()
    .map(|form| {
        let page = visitor.post_login(&[], form.as_bytes()).expect(422);
        let message = page.body.lines().find(|line| line.contains("role=\"alert\""));
        visible(&format!("<body>\n{}", message.unwrap_or_default()), &[])
    })
    .collect();
    assert_golden("pages/login-messages.txt", &messages.join("\n"));

    let head = |lines: &str| format!("{lines}\r\n\r\n").into_bytes();
    let large = vec![b'x'; 20_000];
    for (name, answer) in [
        ("not-found", visitor.get("/nowhere").expect(404)),
        ("source-not-found", visitor.get("/source?stage=5").expect(404)),
        (
            "method-not-allowed",
            visitor.ask("DELETE", "/", &[], None).expect(405),
        ),
        (
            "cross-site",
            visitor
                .post_login(&[("Sec-Fetch-Site", "cross-site")], b"")
                .expect(403),
        ),
        ("too-large", visitor.post_login(&[], &large).expect(413)),
        (
            "chunked",
            send(
                app.port,
                b"POST /login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            )
            .expect(411),
        ),
        (
            "two-hosts",
            send(
                app.port,
                &head("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost"),
            ),
        ),
        ("no-host", send(app.port, &head("GET / HTTP/1.1"))),
        (
            "invalid-host",
            send(app.port, &head("GET / HTTP/1.1\r\nHost: a b")),
        ),
        (
            "other-host",
            send(app.port, &head("GET http://y/ HTTP/1.1\r\nHost: localhost")),
        ),
    ] {
        let (_, main) = answer.body.split_once("<main").unwrap_or_default();
        let (main, _) = main.split_once("</main>").unwrap_or_default();
        let main = format!("<body>\n<main{main}");
        assert_golden(&format!("pages/error-{name}.txt"), &visible(&main, &[]));
    }
}

#[test]
fn redis_is_unavailable_wording() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let mut ada = app.logged_in("ada");
    let port = server.port().to_string();
    drop(server);
    let page = ada.get("/").expect(503).body;
    assert_golden("pages/redis-unavailable.txt", &visible(&page, &[(&port, "PORT")]));
}

#[test]
fn source_page_wording() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let page = app.visitor().get("/source?lang=flask&stage=2").expect(200).body;
    let (page, _) = page.split_once("<pre").unwrap_or_default();
    assert_golden("pages/source.txt", &visible(page, &[]));
}
