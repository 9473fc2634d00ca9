//! Tests each stage of the app: routes, logins and logouts, cookies, and the data in Redis afterwards.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use support::wait::wait_for;
use support::{App, Home, RedisServer, Visitor};

const SECRET: &[(&str, &str)] = &[("SECRET_KEY", "correct horse battery staple")];

/// Returns all keys except those that instances use to announce themselves.
fn session_keys(server: &RedisServer) -> Vec<String> {
    let mut keys = server.keys();
    // A server also creates keys of its own, to announce itself and to check Redis when it starts.
    keys.retain(|key| !key.starts_with("sessiontut:instance") && !key.starts_with("sessiontut:health"));
    keys
}

#[test]
fn every_stage_logs_a_visitor_in_and_out() {
    let server = RedisServer::start();
    for stage in ["1", "2", "3", "4"] {
        let app = App::at_stage(&server, stage);
        let mut visitor = app.visitor();
        visitor.get("/").expect(200).says("You are not logged in");
        let form = visitor.get("/login").expect(200);
        assert!(form.body.contains("name=\"username\""));
        assert!(form.body.contains("method=\"post\""));

        let answer = visitor.log_in("ada").expect(303);
        assert_eq!(answer.header("location"), Some("/"));
        for visit in 1..=3 {
            let page = visitor.get("/").expect(200).says("Logged in as ada");
            assert!(!page.text().contains("You are not logged in"));
            assert_eq!(page.visits(), (stage != "1").then_some(visit), "stage {stage}");
        }
        visitor.get("/login").expect(200);
        let answer = visitor.get("/logout").expect(303);
        assert_eq!(answer.header("location"), Some("/"));
        assert_eq!(visitor.cookie, None);
        visitor.get("/").expect(200).says("You are not logged in");
        visitor.get("/logout").expect(303);
        app.stop().expect(0);
    }
}

#[test]
fn the_default_is_stage_four_and_the_first_line_contains_the_url() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &[]);
    assert!(app.visitor().get("/").body.contains("data-stage=\"4\""));
    let address = format!("http://127.0.0.1:{}/", app.port);
    let finished = app.stop().expect(0);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(&address), "{lines:?}");
}

#[test]
fn the_cookie_has_the_same_attributes_when_it_is_set_and_deleted() {
    let server = RedisServer::start();
    for stage in ["1", "2", "3", "4"] {
        for (option, secure) in [("--ttl=10", false), ("--secure-cookies", true)] {
            let app = App::start(&server.url(), &["--stage", stage, option]);
            let mut visitor = app.visitor();
            let login = visitor.log_in("ada");
            let logout = visitor.get("/logout");
            for answer in [login, logout] {
                let cookies: Vec<&str> = answer.all("set-cookie").collect();
                assert_eq!(cookies.len(), 1);
                let attributes: Vec<&str> = cookies[0].split("; ").skip(1).collect();
                for wanted in ["HttpOnly", "SameSite=Lax", "Path=/"] {
                    assert!(attributes.contains(&wanted), "{cookies:?}");
                }
                assert_eq!(attributes.contains(&"Secure"), secure, "{cookies:?}");
            }
        }
    }
}

#[test]
fn the_cookie_has_the_chosen_name_at_every_stage() {
    let server = RedisServer::start();
    for stage in ["1", "2", "3", "4"] {
        let app = App::start(&server.url(), &["--stage", stage, "--cookie-name", "shop.2"]);
        let mut visitor = app.visitor();
        let login = visitor.log_in("ada").expect(303);
        visitor.get("/").expect(200).says("Logged in as ada");
        let mut other = visitor.clone();
        other.cookie_name = "session".to_owned();
        let page = other.get("/").expect(200).says("You are not logged in");
        page.says("Your browser sent no cookie named shop.2");
        let logout = visitor.get("/logout").expect(303);
        for answer in [login, logout] {
            let cookies: Vec<&str> = answer.all("set-cookie").collect();
            assert_eq!(cookies.len(), 1, "stage {stage}");
            assert!(cookies[0].starts_with("shop.2="), "stage {stage}: {cookies:?}");
        }
        assert_eq!(visitor.cookie, None, "stage {stage}");
    }
}

#[test]
fn an_invalid_cookie_is_ignored() {
    let server = RedisServer::start();
    for stage in ["1", "2", "3", "4"] {
        let app = App::at_stage(&server, stage);
        let cookie = app.logged_in("ada").cookie.unwrap();
        let mut changed: Vec<String> = (0..cookie.len())
            .map(|at| {
                let mut bytes = cookie.clone().into_bytes();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                String::from_utf8(bytes).unwrap()
            })
            .collect();
        changed.extend(
            [
                &cookie[..cookie.len() - 1],
                &cookie[1..],
                "x",
                "ada",
                "a.b",
                "..",
                "%00",
            ]
            .map(str::to_owned),
        );
        changed.push(format!("{cookie}A"));
        changed.push("x".repeat(4000));
        let before = session_keys(&server);
        for cookie in changed {
            let page = app.visitor().with_cookie(&cookie).get("/").expect(200);
            page.says("You are not logged in");
        }
        wait_for("their keys to be deleted", || {
            (session_keys(&server) == before).then_some(())
        });
        app.visitor()
            .with_cookie(&cookie)
            .get("/")
            .says("Logged in as ada");
    }
}

#[test]
fn other_cookies_of_the_host_are_ignored() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let cookie = app.logged_in("ada").cookie.unwrap();
    let line = format!("theme=d\u{e9}; xsession=1; session={cookie}; last=\"a;b\"");
    let page = app.visitor().ask("GET", "/", &[("Cookie", &line)], None);
    page.says("Logged in as ada");
}

#[test]
fn stage_one_does_not_use_redis() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "1");
    app.logged_in("ada").get("/").expect(200).says("Logged in as ada");
    assert_eq!(server.keys(), Vec::<String>::new());
    drop(server);
    app.logged_in("bob").get("/").expect(200).says("Logged in as bob");
    app.visitor().get("/healthz").expect(200);
}

#[test]
fn stage_two_counts_in_hashes_without_a_ttl_and_deletes_those_that_it_created() {
    let server = RedisServer::start();
    server.ask(&["HSET", "sessiontut:user:before", "visits", "7"]);
    let app = App::at_stage(&server, "2");
    let mut ada = app.logged_in("ada");
    assert_eq!(ada.get("/").visits(), Some(1));
    assert_eq!(ada.get("/").visits(), Some(2));
    assert_eq!(app.logged_in("before").get("/").visits(), Some(8));
    assert_eq!(
        server.hash("sessiontut:user:ada"),
        [("visits".into(), "2".into())]
    );
    assert_eq!(server.pttl("sessiontut:user:ada"), -1);
    app.stop().expect(0);
    assert_eq!(server.keys(), ["sessiontut:user:before"]);
}

#[test]
fn stage_three_resets_the_ttl_of_the_hash_at_every_visit() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--stage", "3", "--ttl", "1"]);
    let mut ada = app.logged_in("ada");
    assert_eq!(ada.get("/").visits(), Some(1));
    assert_eq!(ada.get("/").visits(), Some(2));
    let left = server.pttl("sessiontut:user:ada");
    assert!((1..=1000).contains(&left), "{left}");
    wait_for("the hash to expire", || {
        session_keys(&server).is_empty().then_some(())
    });
    assert_eq!(ada.get("/").visits(), Some(1));
}

#[test]
fn stage_four_stores_the_session_but_not_the_token_in_redis() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let mut ada = app.logged_in("Ada L.");
    ada.get("/");
    let cookie = ada.cookie.clone().unwrap();
    let keys = session_keys(&server);
    assert_eq!(keys.len(), 1);
    assert!(keys[0].starts_with("sessiontut:session:"), "{keys:?}");
    assert!(!keys[0].contains(&cookie[..8]));
    let mut fields = server.hash(&keys[0]);
    fields.sort();
    let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["created", "username", "visits"]);
    assert_eq!(fields[1].1, "Ada L.");
    assert_eq!(fields[2].1, "1");
    let left = server.pttl(&keys[0]);
    assert!((1..=10_000).contains(&left), "{left}");
}

#[test]
fn a_session_of_stage_four_expires_and_is_not_recreated() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "1"]);
    let mut ada = app.logged_in("ada");
    assert_eq!(ada.get("/").visits(), Some(1));
    wait_for("the session to expire", || {
        session_keys(&server).is_empty().then_some(())
    });
    ada.get("/").expect(200).says("You are not logged in");
    wait_for("the recreated key to be deleted", || {
        session_keys(&server).is_empty().then_some(())
    });
    ada.get("/").expect(200).says("You are not logged in");
}

#[test]
fn a_login_generates_a_new_token_and_ends_the_old_session() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let mut visitor = app.logged_in("ada");
    let old = visitor.cookie.clone().unwrap();
    visitor.log_in("bob").expect(303);
    assert_ne!(visitor.cookie.as_ref(), Some(&old));
    visitor.get("/").says("Logged in as bob");
    visitor.with_cookie(&old).get("/").says("You are not logged in");
    wait_for("one session to remain", || {
        (session_keys(&server).len() == 1).then_some(())
    });
}

#[test]
fn two_browsers_of_one_user_have_two_sessions() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let (mut one, mut other) = (app.logged_in("ada"), app.logged_in("ada"));
    assert_eq!((one.get("/").visits(), one.get("/").visits()), (Some(1), Some(2)));
    assert_eq!(other.get("/").visits(), Some(1));
    other.get("/logout");
    assert_eq!(one.get("/").visits(), Some(3));
}

#[test]
fn a_logout_ends_the_session_on_the_server() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let mut ada = app.logged_in("ada");
    let cookie = ada.cookie.clone().unwrap();
    ada.get("/logout").expect(303);
    assert_eq!(session_keys(&server), Vec::<String>::new());
    ada.with_cookie(&cookie).get("/").says("You are not logged in");
}

#[test]
fn a_session_ends_after_its_maximum_age_despite_visits() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--max-age", "2s"]);
    let mut ada = app.logged_in("ada");
    let cookie = ada.cookie.clone().unwrap();
    let mut visits = 0;
    wait_for("the session to be too old", || {
        let page = ada.get("/").expect(200);
        visits += u32::from(page.visits().is_some());
        page.text().contains("You are not logged in").then_some(())
    });
    assert!(visits > 1);
    wait_for("its key to be deleted", || {
        session_keys(&server).is_empty().then_some(())
    });
    ada.with_cookie(&cookie).get("/").says("You are not logged in");
}

#[test]
fn an_invalid_name_is_refused_and_the_session_stays_valid() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let mut ada = app.logged_in("ada");
    let long = format!("username={}", "x".repeat(65));
    for body in [
        "",
        "user=eve",
        "username=",
        "username=+%20",
        "username=eve&username=eve",
        "username=%ff",
        "username=a%0ab",
        &long,
    ] {
        let cookie = ada.cookie.clone();
        let answer = ada.post_login(&[], body.as_bytes()).expect(422);
        assert_eq!(answer.header("set-cookie"), None, "{body}");
        assert!(answer.body.contains("role=\"alert\""), "{body}");
        assert!(answer.body.contains("name=\"username\""), "{body}");
        assert_eq!(ada.cookie, cookie);
        ada.get("/").says("Logged in as ada");
    }
    let name = "\u{1f980}".repeat(64);
    ada.log_in(&format!("  {name} ")).expect(303);
    ada.get("/").says(&format!("Logged in as {name}"));
}

#[test]
fn a_head_request_counts_no_visit_and_ends_no_session() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "4");
    let mut ada = app.logged_in("ada");
    let answer = ada.ask("HEAD", "/", &[], None);
    assert_eq!((answer.status, answer.header("set-cookie")), (200, None));
    ada.ask("HEAD", "/logout", &[], None);
    assert_eq!(ada.get("/").visits(), Some(1));
}

#[test]
fn a_missing_or_short_secret_key_causes_a_one_line_warning() {
    let server = RedisServer::start();
    for variables in [&[][..], &[("SECRET_KEY", "")], &[("SECRET_KEY", "short")]] {
        let app = App::start_in(Home::new(), Some(&server.url()), &["--stage", "1"], variables);
        let finished = app.stop().expect(0);
        let lines: Vec<&str> = finished.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("SECRET_KEY"), "{lines:?}");
    }
    let app = App::start_in(Home::new(), Some(&server.url()), &["--stage", "1"], SECRET);
    assert_eq!(app.stop().expect(0).stderr, "");
}

#[test]
fn a_port_in_use_is_a_one_line_error_and_exit_status_2() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "1");
    let home = Home::new();
    let taken = home
        .run(["serve", "--listen", &format!("127.0.0.1:{}", app.port)])
        .expect(2);
    assert_eq!(taken.stderr.lines().count(), 1, "{}", taken.stderr);
    let next = format!("--listen 127.0.0.1:{}", app.port + 1);
    assert!(taken.stderr.contains(&next), "{}", taken.stderr);
    for address in ["5000", "nowhere", "127.0.0.1:99999", ""] {
        let unreadable = home.run(["serve", "--listen", address]).expect(2);
        assert_eq!(unreadable.stderr.lines().count(), 1, "{}", unreadable.stderr);
    }
}

#[test]
fn concurrent_visits_of_one_session_are_all_counted() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &[]);
    let ada = app.logged_in("ada");
    let visitors: Vec<Visitor> = (0..30).map(|_| ada.clone()).collect();
    let mut visits: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = visitors
            .into_iter()
            .map(|mut visitor| scope.spawn(move || visitor.get("/").visits().unwrap()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    visits.sort_unstable();
    assert_eq!(visits, (1..=30).collect::<Vec<u64>>());
    assert_eq!(app.stop().code(), Some(0));
}
