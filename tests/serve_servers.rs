//! Tests the app on different servers: with a password, with TLS, and on a cluster.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use support::crowd::visit_exactly_during;
use support::{App, Certificate, Cluster, Home, RedisServer};

/// Tests the routes and texts of every stage for several users, whose keys are on different nodes of a cluster.
#[track_caller]
fn serves_every_stage(redis: &str, arguments: &[&str]) {
    for stage in ["1", "2", "3", "4"] {
        let arguments = [&["--stage", stage, "--ttl", "600"], arguments].concat();
        let app = App::start(redis, &arguments);
        for name in ["ada", "bob", "eve", "joe", "zoe"] {
            let name = format!("{name}{stage}");
            let mut visitor = app.logged_in(&name);
            for visit in 1..=2 {
                let page = visitor.get("/").expect(200).says(&format!("Logged in as {name}"));
                assert_eq!(page.visits(), (stage != "1").then_some(visit));
            }
            visitor.get("/logout").expect(303);
            visitor.get("/").expect(200).says("You are not logged in");
        }
        app.visitor().get("/healthz").expect(200);
        app.stop().expect(0);
    }
}

#[test]
fn every_stage_works_on_a_cluster_and_leaves_no_key_without_a_ttl() {
    let cluster = Cluster::start();
    serves_every_stage(&cluster.url(), &[]);
    for node in &cluster.nodes {
        for key in node.keys() {
            assert!(node.pttl(&key) > 0, "{key} has no TTL");
        }
    }
}

#[test]
fn a_stopped_cluster_node_gives_503_in_time_only_for_its_own_sessions() {
    let mut cluster = Cluster::of(&RedisServer::with().line("cluster-require-full-coverage no"));
    let app = App::start(&cluster.url(), &["--ttl", "600"]);
    let sessions: Vec<_> = (0..12)
        .map(|number| app.logged_in(&format!("user{number}")))
        .collect();
    cluster.nodes[2].kill();
    let answers: Vec<_> = sessions.into_iter().map(|mut session| session.get("/")).collect();
    for answer in &answers {
        assert!([200, 503].contains(&answer.status), "{}", answer.status);
        assert!(answer.took.as_millis() < 2500, "{:?}", answer.took);
    }
    assert!(answers.iter().any(|answer| answer.status == 503));
    assert!(answers.iter().any(|answer| answer.status == 200));
}

/// Moves a key's slot to another node, as `redis-cli --cluster reshard` does. Calls `pause` before and after
/// moving the key, so that requests find the slot in both states.
#[track_caller]
fn move_slot_of(key: &str, from: &RedisServer, to: &RedisServer, pause: impl Fn()) {
    let text = |value: redis::Value| redis::from_redis_value::<String>(value).unwrap();
    let slot = redis::from_redis_value::<u16>(from.ask(&["CLUSTER", "KEYSLOT", key])).unwrap();
    let slot = slot.to_string();
    let ids = [from, to].map(|node| text(node.ask(&["CLUSTER", "MYID"])));
    to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]]);
    from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]]);
    pause();
    let port = to.port().to_string();
    assert_eq!(
        text(from.ask(&["MIGRATE", "127.0.0.1", &port, key, "0", "2000"])),
        "OK"
    );
    pause();
    for node in [to, from] {
        node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &ids[1]]);
    }
}

#[test]
fn a_slot_migration_under_load_loses_no_visit() {
    let cluster = Cluster::start();
    let app = App::start(&cluster.url(), &["--ttl", "600"]);
    let ada = app.logged_in("ada");
    let has_session = |node: &&RedisServer| !node.sessions().is_empty();
    let from = cluster.nodes.iter().find(has_session).unwrap();
    let to = cluster.nodes.iter().find(|node| !has_session(node)).unwrap();
    let key = from.sessions().remove(0);
    visit_exactly_during(&ada, "cluster.down", |ten_more_requests| {
        move_slot_of(&key, from, to, ten_more_requests);
    });
    assert!(has_session(&to) && !has_session(&from));
    assert!(to.pttl(&key) > 0);
}

#[test]
fn every_stage_works_over_tls() {
    let certificate = Certificate::for_loopback();
    let server = RedisServer::with().tls(&certificate).start();
    let authority = certificate.authority();
    serves_every_stage(&server.url(), &["--ca", authority.to_str().unwrap()]);
}

#[test]
fn every_stage_works_with_a_password_which_is_never_shown() {
    let server = RedisServer::with().password("Plover-4417").start();
    serves_every_stage(&server.url(), &[]);
    let wrong = server.url().replace("Plover-4417", "Heron-5518");
    let app = App::start_in(Home::new(), Some(&wrong), &["--log", "json"], &[]);
    let page = app.visitor().log_in("ada").expect(503);
    let finished = app.stop().expect(0);
    for text in [&page.body, &finished.stderr, &finished.stdout] {
        assert!(
            !text.contains("Heron-5518") && !text.contains("Plover-4417"),
            "{text}"
        );
    }
    assert!(finished.stderr.contains("auth.failed"), "{}", finished.stderr);
}
