//! Tests that every command finds the primary if the URL contains Sentinels.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::unwrap_used)]

mod support;

use support::ports::free_port;
use support::{App, Home, RedisServer, Sentinel, wait};

fn at(sentinel: &Sentinel, login: &str, rest: &str) -> String {
    let place = sentinel.url().replace("redis://", "").replace("/0", "");
    format!("redis+sentinel://{login}{place}/{rest}")
}

fn ping(url: &str, status: i32) -> serde_json::Value {
    Home::new()
        .sessiontut(["ping", "--json", "--timeout", "3", url])
        .run()
        .expect(status)
        .json()
}

#[test]
fn ping_checks_the_primary_that_the_sentinel_names() {
    let primary = RedisServer::with().password("Plover-4417").start();
    let sentinel = Sentinel::watching(&primary);
    let answer = ping(&at(&sentinel, ":Plover-4417@", "primary/2"), 0);
    assert_eq!(answer["target"]["port"], primary.port());
    assert_eq!(answer["target"]["db"], 2);
    // The first Sentinel is down.
    let two = at(&sentinel, ":Plover-4417@", "primary").replace('@', &format!("@127.0.0.1:{},", free_port()));
    assert_eq!(ping(&two, 0)["target"]["port"], primary.port());
}

#[test]
fn a_primary_that_cannot_be_reached_has_the_cause_found_there() {
    let primary = RedisServer::start();
    let sentinel = Sentinel::watching(&primary);
    let port = primary.port();
    drop(primary);
    let answer = ping(&at(&sentinel, "", "primary"), 4);
    assert_eq!(answer["cause"], "tcp.refused");
    assert_eq!(answer["target"]["port"], port);
    let evidence = answer["evidence"].to_string();
    assert!(evidence.contains("Sentinel"), "{evidence}");
}

#[test]
fn an_unknown_name_is_reported_with_the_names_that_the_sentinel_knows() {
    let primary = RedisServer::start();
    let sentinel = Sentinel::watching(&primary);
    let answer = ping(&at(&sentinel, "", "mymaster"), 7);
    assert_eq!(answer["cause"], "role.sentinel");
    let fixes = answer["fixes"].to_string();
    assert!(fixes.contains("primary"), "{fixes}");
}

#[test]
fn the_url_of_a_sentinel_itself_is_reported_and_its_primary_tried() {
    let primary = RedisServer::start();
    let sentinel = Sentinel::watching(&primary);
    let answer = ping(&sentinel.url(), 7);
    assert_eq!(answer["cause"], "role.sentinel");
    let command = answer["fixes"][0]["command"].as_str().unwrap();
    assert!(
        command.contains(&format!("127.0.0.1:{}", primary.port())),
        "{command}"
    );
    // An address that cannot be reached must not be recommended.
    drop(primary);
    let answer = ping(&sentinel.url(), 7);
    assert_eq!(answer["fixes"][0]["command"], serde_json::Value::Null);
}

#[test]
fn only_the_first_64_sentinels_are_asked() {
    let primary = RedisServer::start();
    let sentinel = Sentinel::watching(&primary);
    let after = |count| {
        let down = format!("127.0.0.1:{},", free_port()).repeat(count);
        at(&sentinel, &down, "primary")
    };
    assert_eq!(ping(&after(63), 0)["target"]["port"], primary.port());
    assert_eq!(ping(&after(64), 4)["cause"], "tcp.refused");
}

#[test]
fn the_step_commands_follow_a_sentinel() {
    let primary = RedisServer::start();
    let sentinel = Sentinel::watching(&primary);
    let home = Home::new();
    let url = at(&sentinel, "", "primary");
    home.sessiontut(["login", "ada"]).redis(&url).run().expect(0);
    home.sessiontut(["visits"]).redis(&url).run().expect(0);
    home.sessiontut(["logout"]).redis(&url).run().expect(0);
}

#[test]
fn serve_asks_the_sentinel_again_when_it_loses_the_primary() {
    let (first, second) = (RedisServer::start(), RedisServer::start());
    let sentinel = Sentinel::watching(&first);
    let app = App::start(&at(&sentinel, "", "primary"), &[]);
    let health = || app.visitor().get("/healthz").status;
    assert_eq!(health(), 200);
    let mut control = redis::Client::open(sentinel.url())
        .unwrap()
        .get_connection()
        .unwrap();
    let mut tell = |words: &[&str]| {
        redis::cmd("SENTINEL").arg(words).exec(&mut control).unwrap();
    };
    tell(&["REMOVE", "primary"]);
    let port = second.port().to_string();
    tell(&["MONITOR", "primary", "127.0.0.1", &port, "1"]);
    drop(first);
    wait::wait_for("serve to use the new primary", || (health() == 200).then_some(()));
}
