//! Tests the app while Redis fails. Every request that needs Redis must get a 503 within two seconds, and
//! requests must succeed again as soon as Redis works.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::fs;
use std::thread;
use std::time::Duration;

use support::crowd::visit_exactly_during;
use support::ports::free_port;
use support::wait::wait_for;
use support::{Answer, App, Certificate, Proxy, RedisServer, Replies, Stunnel, Visitor, valkey};

/// The maximum time that a visitor may have to wait, plus half a second for a busy machine.
const LONGEST_WAIT: Duration = Duration::from_millis(2500);

fn app(server: &RedisServer) -> App {
    App::start(&server.url(), &["--ttl", "600"])
}

/// Checks that everything that needs Redis quickly returns a 503 with the cause, and that everything else
/// works.
#[track_caller]
fn expect_outage(visitor: &Visitor, cause: &str) -> Answer {
    let page = expect_503(visitor.clone().get("/"));
    expect_503(visitor.clone().log_in("eve"));
    expect_503(visitor.clone().get("/logout"));
    let health = visitor.clone().get("/healthz");
    let health = expect_503(health);
    let health: serde_json::Value = serde_json::from_str(&health.body).unwrap();
    assert_eq!(health["ok"], false);
    assert_eq!(health["cause"], cause, "{health}");
    expect_pages_without_redis(visitor);
    page.says(cause)
}

#[track_caller]
fn expect_503(answer: Answer) -> Answer {
    let answer = answer.expect(503);
    assert!(answer.took < LONGEST_WAIT, "{:?}", answer.took);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("set-cookie"), None);
    answer
}

#[track_caller]
fn expect_pages_without_redis(visitor: &Visitor) {
    let mut newcomer = visitor.clone();
    newcomer.cookie = None;
    newcomer.get("/").expect(200).says("You are not logged in");
    newcomer.get("/login").expect(200).says("Log in");
    newcomer.get("/logout").expect(303);
}

#[test]
fn a_stopped_server_gives_503_and_the_first_request_after_its_restart_succeeds() {
    let mut server = RedisServer::with().durable().start();
    let app = app(&server);
    let mut ada = app.logged_in("ada");
    assert_eq!(ada.get("/").visits(), Some(1));
    server.kill();
    expect_outage(&ada, "tcp.refused");
    server.restart();
    assert_eq!(ada.get("/").expect(200).visits(), Some(2));
    app.visitor().get("/healthz").expect(200);
}

#[test]
fn a_closed_connection_is_replaced_before_a_command_is_sent() {
    let mut server = RedisServer::with().durable().start();
    let app = app(&server);
    let mut ada = app.logged_in("ada");
    for round in 1..=5 {
        assert_eq!(ada.get("/").expect(200).visits(), Some(round));
        server.restart();
    }
}

#[test]
fn a_paused_server_gives_503_and_works_again_when_it_resumes() {
    let server = RedisServer::start();
    let app = app(&server);
    let mut ada = app.logged_in("ada");
    ada.get("/").expect(200);
    server.pause();
    expect_outage(&ada, "server.silent");
    server.resume();
    let page = wait_for("the page to load again", || {
        Some(ada.get("/")).filter(|page| page.status == 200)
    });
    // The command without a reply may have been executed, but must not have been sent again.
    let visits = page.visits().unwrap();
    assert!((2..=3).contains(&visits), "{visits}");
}

#[test]
fn a_server_that_is_down_at_the_start_is_reported_and_used_once_it_is_up() {
    let mut server = RedisServer::start();
    server.kill();
    let mut app = app(&server);
    app.running.wait_for_stderr("tcp.refused");
    app.running.wait_for_stderr(&server.port().to_string());
    let mut ada = app.visitor();
    expect_503(ada.log_in("ada"));
    expect_pages_without_redis(&ada);
    server.restart();
    ada.log_in("ada").expect(303);
    ada.get("/").expect(200).says("Logged in as ada");
}

#[test]
fn a_primary_that_becomes_a_replica_gives_503_until_it_is_promoted() {
    let server = RedisServer::start();
    let app = app(&server);
    let mut ada = app.logged_in("ada");
    server.ask(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    expect_outage(&ada, "role.replica");
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    ada.get("/").expect(200).says("Logged in as ada");
}

#[test]
fn a_server_out_of_memory_is_reported_and_keeps_the_session() {
    let server = RedisServer::start();
    let app = app(&server);
    let mut ada = app.logged_in("ada");
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    expect_503(ada.get("/"))
        .says("server.out_of_memory")
        .says("maxmemory");
    let health = expect_503(ada.get("/healthz"));
    assert!(health.body.contains("server.out_of_memory"), "{}", health.body);
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    ada.get("/").expect(200).says("Logged in as ada");
}

#[test]
fn a_server_at_maxclients_is_reported() {
    let server = RedisServer::start();
    let others: Vec<_> = (0..4).map(|_| server.connection()).collect();
    server.ask(&["CONFIG", "SET", "maxclients", "4"]);
    let mut app = app(&server);
    let mut ada = app.visitor();
    expect_503(ada.log_in("ada")).says("server.max_clients");
    let health = expect_503(ada.get("/healthz"));
    assert!(health.body.contains("server.max_clients"), "{}", health.body);
    app.running.wait_for_stderr("server.max_clients");
    drop(others);
    wait_for("a free connection", || {
        (app.visitor().log_in("ada").status == 303).then_some(())
    });
}

#[test]
fn a_slow_server_gives_503_in_time() {
    let server = RedisServer::start();
    let slow = Proxy::before(server.port());
    let app = App::start(&format!("redis://127.0.0.1:{}", slow.port), &["--ttl", "600"]);
    let mut ada = app.logged_in("ada");
    slow.replies(Replies::After(Duration::from_secs(2)));
    expect_503(ada.get("/"));
    expect_503(ada.get("/"));
    slow.replies(Replies::Pass);
    let page = wait_for("the page to load again", || {
        Some(ada.get("/")).filter(|page| page.status == 200)
    });
    page.says("Logged in as ada");
}

#[test]
fn the_hashes_of_many_users_are_deleted_over_a_slow_connection() {
    let server = RedisServer::start();
    let slow = Proxy::before(server.port());
    let app = App::start(&format!("redis://127.0.0.1:{}", slow.port), &["--stage", "2"]);
    for user in 0..40 {
        app.logged_in(&format!("user{user}")).get("/").expect(200);
    }
    slow.replies(Replies::After(Duration::from_millis(100)));
    let finished = app.stop().expect(0);
    assert!(
        finished.stderr.contains("deleted the 40 hashes"),
        "{}",
        finished.stderr
    );
    assert_eq!(server.keys(), Vec::<String>::new());
}

#[test]
fn a_login_that_cannot_delete_the_old_session_starts_no_new_one() {
    let server = RedisServer::start();
    let app = app(&server);
    let mut ada = app.logged_in("ada");
    let before = ada.cookie.clone();
    server.ask(&["ACL", "SETUSER", "default", "-del", "-unlink"]);
    expect_503(ada.log_in("eve"));
    assert_eq!(ada.cookie, before);
    ada.get("/").expect(200).says("Logged in as ada");
    assert_eq!(server.sessions().len(), 1);
}

#[test]
fn a_command_that_may_have_been_executed_is_never_repeated() {
    let server = RedisServer::start();
    let proxy = Proxy::before(server.port());
    let app = App::start(&format!("redis://127.0.0.1:{}", proxy.port), &["--ttl", "600"]);
    expect_each_visit_once(&app, &proxy, &server);
}

/// Checks that a visit whose reply is lost is executed only once, and that the next visit works.
#[track_caller]
fn expect_each_visit_once(app: &App, proxy: &Proxy, server: &RedisServer) {
    let mut ada = app.logged_in("ada");
    for (replies, cause) in [
        (Replies::Cut, "proto.closed"),
        (Replies::HalfThenCut, "proto.closed"),
        (Replies::HalfThenSilence, "server.silent"),
    ] {
        // The lost reply may belong to one of the announcements that the app sends regularly, so try again.
        let (page, visits) = wait_for("a visit whose reply is interrupted", || {
            let before = visits_in(server);
            proxy.replies(replies);
            let page = ada.get("/");
            let visits = visits_in(server);
            assert!(
                visits <= before + 1,
                "{replies:?}: {before} visits, then {visits}"
            );
            (page.status != 200 && visits > before).then_some((page, visits))
        });
        expect_503(page).says(cause);
        assert_eq!(ada.get("/").expect(200).visits(), Some(visits + 1), "{replies:?}");
    }
}

/// Returns the visit counter of the only session in Redis.
fn visits_in(server: &RedisServer) -> u64 {
    let fields = server.hash(&server.sessions()[0]);
    let visits = fields.iter().find(|(name, _)| name == "visits");
    visits.map_or(0, |(_, count)| count.parse().unwrap())
}

#[test]
fn a_server_that_cannot_save_to_disk_is_reported_and_keeps_the_session() {
    let server = RedisServer::with().line("save 3600 1000000").start();
    let app = app(&server);
    let mut ada = app.logged_in("ada");
    assert_eq!(ada.get("/").visits(), Some(1));
    // A folder with the file's name makes saving fail as on a full disk, even if root runs the test.
    let obstacle = server.socket().with_file_name("dump.rdb");
    fs::create_dir(&obstacle).unwrap();
    server.save("err");
    expect_outage(&ada, "server.misconf").says(&format!(
        "redis-cli -h 127.0.0.1 -p {} CONFIG GET dir",
        server.port()
    ));
    fs::remove_dir(&obstacle).unwrap();
    server.save("ok");
    assert_eq!(ada.get("/").expect(200).visits(), Some(2));
}

#[test]
fn a_suggested_command_contains_the_address_and_the_user_of_this_server() {
    let server = RedisServer::with()
        .line("user ada on >Plover-4417 ~sessiontut:* +@all")
        .start();
    let port = server.port();
    let app = App::start(&format!("redis://ada:Plover-4417@127.0.0.1:{port}"), &[]);
    let mut ada = app.logged_in("ada");
    server.ask(&["ACL", "SETUSER", "ada", "-hincrby"]);
    let page = expect_503(ada.get("/")).says(&format!("redis-cli -h 127.0.0.1 -p {port} ACL SETUSER ada "));
    assert!(!page.body.contains("Plover"), "{}", page.body);
}

fn over_tls(port: u16, certificate: &Certificate) -> App {
    let authority = certificate.authority();
    let arguments = ["--ttl", "600", "--ca", authority.to_str().unwrap()];
    App::start(&format!("rediss://127.0.0.1:{port}"), &arguments)
}

#[test]
fn a_tls_connection_that_breaks_during_a_reply_gives_503_and_no_visit_is_counted_twice() {
    let certificate = Certificate::for_loopback();
    let server = RedisServer::with().tls(&certificate).start();
    let proxy = Proxy::before(server.port());
    let app = over_tls(proxy.port, &certificate);
    expect_each_visit_once(&app, &proxy, &server);
}

#[test]
fn a_stopped_or_paused_tls_tunnel_gives_503_and_the_next_request_after_it_succeeds() {
    let certificate = Certificate::for_loopback();
    let server = RedisServer::start();
    let mut tunnel = Stunnel::in_front_of(server.port(), &certificate);
    let app = over_tls(tunnel.port(), &certificate);
    let mut ada = app.logged_in("ada");
    assert_eq!(ada.get("/").visits(), Some(1));
    tunnel.kill();
    expect_outage(&ada, "tcp.refused");
    tunnel.restart();
    assert_eq!(ada.get("/").expect(200).visits(), Some(2));
    tunnel.pause();
    expect_outage(&ada, "server.silent");
    tunnel.resume();
    // The command without a reply may have been executed, but must not have been sent again.
    let visits = ada.get("/").expect(200).visits().unwrap();
    assert!((3..=4).contains(&visits), "{visits}");
}

#[test]
fn a_tls_tunnel_that_is_killed_under_load_loses_no_visit() {
    let certificate = Certificate::for_loopback();
    let server = RedisServer::start();
    let mut tunnel = Stunnel::in_front_of(server.port(), &certificate);
    let app = over_tls(tunnel.port(), &certificate);
    let ada = app.logged_in("ada");
    visit_exactly_during(&ada, "Redis is unavailable", |ten_more_requests| {
        for _ in 0..3 {
            ten_more_requests();
            tunnel.kill();
            ten_more_requests();
            tunnel.restart();
        }
        ten_more_requests();
    });
}

#[test]
fn many_requests_of_one_session_count_exactly() {
    let server = RedisServer::start();
    for stage in ["2", "3", "4"] {
        let app = App::start(&server.url(), &["--stage", stage, "--ttl", "600"]);
        let ada = app.logged_in(&format!("ada{stage}"));
        counts_exactly(&[ada]);
    }
}

/// Eight visitors share one session, and each loads the page twenty-five times. Every number from 1 to 200
/// must appear exactly once.
#[track_caller]
fn counts_exactly(visitors: &[Visitor]) {
    let mut visits: Vec<u64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let mut visitor = visitors[number % visitors.len()].clone();
                scope.spawn(move || -> Vec<u64> {
                    (0..25).map(|_| visitor.get("/").visits().unwrap()).collect()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    visits.sort_unstable();
    assert_eq!(visits, (1..=200).collect::<Vec<u64>>());
}

#[test]
fn two_instances_serve_one_session_and_killing_one_loses_nothing() {
    let server = RedisServer::start();
    let (one, mut other) = (app(&server), app(&server));
    let ada = one.logged_in("ada");
    counts_exactly(&[ada.clone(), ada.moved_to(other.port)]);
    other.running.kill();
    assert_eq!(ada.clone().get("/").visits(), Some(201));
}

#[test]
fn two_logins_at_once_start_two_valid_sessions() {
    let server = RedisServer::start();
    let app = app(&server);
    let before = app.logged_in("ada");
    let cookies: Vec<Visitor> = thread::scope(|scope| {
        let threads: Vec<_> = ["eve", "bob"]
            .map(|name| {
                let mut visitor = before.clone();
                scope.spawn(move || {
                    visitor.log_in(name).expect(303);
                    visitor
                })
            })
            .into_iter()
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (mut visitor, name) in cookies.into_iter().zip(["eve", "bob"]) {
        visitor.get("/").says(&format!("Logged in as {name}"));
    }
    before.clone().get("/").says("You are not logged in");
}

#[test]
fn every_stage_works_on_valkey() {
    let Some(server) = valkey::start() else {
        return;
    };
    for stage in ["1", "2", "3", "4"] {
        let app = App::at_stage(&server, stage);
        let mut ada = app.logged_in(&format!("ada{stage}"));
        let page = ada.get("/").expect(200);
        assert_eq!(page.visits(), (stage != "1").then_some(1));
        ada.get("/logout").expect(303);
        ada.get("/").says("You are not logged in");
    }
}

#[test]
fn a_command_that_redis_lacks_is_named_and_healthz_reports_it() {
    for command in ["EXPIRE", "HGETALL", "HINCRBY", "HSET", "MULTI"] {
        let server = RedisServer::with()
            .line(&format!("rename-command {command} \"\""))
            .start();
        let app = App::start(&server.url(), &["--ttl", "600"]);
        let mut visitor = app.visitor();
        let login = visitor.log_in("ada");
        let page = match login.status {
            303 => visitor.get("/").expect(503),
            _ => login.expect(503),
        };
        assert!(page.body.contains("server.refused"), "{command}");
        assert!(
            page.text().matches(command).count() >= 2,
            "{command}: {}",
            page.text()
        );
        let health = app.visitor().get("/healthz").expect(503).body;
        assert!(health.contains(command), "{command}: {health}");
    }
}

#[test]
fn a_command_that_the_acl_forbids_is_named_and_healthz_reports_it() {
    let all = [
        "HSET", "HINCRBY", "HGETALL", "EXPIRE", "DEL", "MULTI", "EXEC", "PING",
    ];
    for forbidden in ["EXPIRE", "HGETALL", "MULTI"] {
        let server = RedisServer::start();
        let mut rules = vec!["ACL", "SETUSER", "app", "on", ">pw", "~sessiontut:*"];
        let granted: Vec<String> = all
            .iter()
            .filter(|command| **command != forbidden)
            .map(|command| format!("+{command}"))
            .collect();
        rules.extend(granted.iter().map(String::as_str));
        server.ask(&rules);
        let app = App::start(&server.url().replace("redis://", "redis://app:pw@"), &[]);
        let health = app.visitor().get("/healthz").expect(503).body;
        assert!(health.contains(forbidden), "{forbidden}: {health}");
    }
}

#[test]
fn without_multi_and_expire_no_key_is_created() {
    let server = RedisServer::with()
        .line("rename-command MULTI \"\"")
        .line("rename-command EXPIRE \"\"")
        .start();
    let app = App::start(&server.url(), &["--ttl", "600"]);
    app.visitor().log_in("ada").expect(503).says("MULTI");
    app.visitor().with_cookie(&"A".repeat(43)).get("/").expect(503);
    app.visitor().get("/healthz").expect(503);
    assert_eq!(server.keys(), Vec::<String>::new());
}

#[test]
fn the_live_view_of_stage_1_asks_redis_nothing() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "1");
    let mut ada = app.logged_in("ada");
    ada.get("/events").expect(204);
    assert_eq!(server.keys(), Vec::<String>::new());
}
