//! `serve` on a cluster whose nodes fail and whose slots move.

mod support;

use std::time::{Duration, Instant};

use support::http::Visitor;
use support::wait::wait_for;
use support::{App, Cluster, RedisServer};

/// Sessions: enough for each node to have some.
const VISITORS: usize = 12;

fn visitors(app: &App) -> Vec<Visitor> {
    (0..VISITORS)
        .map(|number| app.logged_in(&format!("visitor-{number}")))
        .collect()
}

#[allow(clippy::unwrap_used, reason = "a test's helper")]
fn slot_of(node: &RedisServer, key: &str) -> String {
    let slot: u16 = redis::cmd("CLUSTER")
        .arg("KEYSLOT")
        .arg(key)
        .query(&mut node.connection())
        .unwrap();
    slot.to_string()
}

#[allow(clippy::unwrap_used, reason = "a test's helper")]
fn id_of(node: &RedisServer) -> String {
    redis::cmd("CLUSTER")
        .arg("MYID")
        .query(&mut node.connection())
        .unwrap()
}

#[test]
fn a_session_is_served_while_its_slot_moves_and_afterwards() {
    let cluster = Cluster::start();
    let app = App::start(&cluster.url(), &["--ttl", "600"]);
    let mut ada = app.logged_in("ada");
    let (from, to) = (&cluster.nodes[0], &cluster.nodes[1]);
    // Log in until the session is on the first node.
    let key = loop {
        let key = from.keys().into_iter().find(|key| key.contains(":session:"));
        if let Some(key) = key {
            break key;
        }
        ada.log_in("ada").expect(303);
    };
    let slot = slot_of(from, &key);
    let mut visits = 0;
    let mut visit = || {
        visits += 1;
        assert_eq!(ada.get("/").expect(200).visits(), Some(visits));
    };
    visit();
    to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id_of(from)]);
    from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id_of(to)]);
    visit();
    let port = to.port().to_string();
    from.ask(&["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"]);
    // Now the first node replies ASK.
    visit();
    visit();
    for node in [to, from, &cluster.nodes[2]] {
        node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &id_of(to)]);
    }
    // And now MOVED.
    visit();
    visit();
    ada.get("/logout").expect(303);
    ada.get("/").says("You are not logged in");
}

#[test]
fn after_the_node_in_the_url_has_died_its_replica_serves_its_sessions() {
    let mut cluster = Cluster::start();
    let replica = cluster.replica_of(0);
    let app = App::start(&cluster.url(), &["--ttl", "600"]);
    let mut visitors = visitors(&app);
    let served = |visitors: &mut [Visitor]| {
        let answers = visitors.iter_mut().map(|visitor| visitor.get("/").status);
        answers.filter(|status| *status == 200).count()
    };
    assert_eq!(served(&mut visitors), VISITORS);
    wait_for("the replica to be in step", || {
        let key = cluster.nodes[0].keys();
        (replica.keys() == key).then_some(())
    });
    let dead = format!("127.0.0.1:{}", cluster.nodes[0].port());
    cluster.nodes[0].kill();
    let health = app.visitor().get("/healthz").expect(503).body;
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["shard"], dead.as_str(), "{health}");
    wait_for("the promotion", || {
        let role = redis::cmd("ROLE").query::<redis::Value>(&mut replica.connection());
        format!("{role:?}").contains("master").then_some(())
    });
    let promoted = Instant::now();
    while served(&mut visitors) < VISITORS {
        assert!(
            promoted.elapsed() < Duration::from_secs(10),
            "not all sessions are served"
        );
    }
    app.visitor().get("/healthz").expect(200);
    // A login on the new primary.
    for number in 0..VISITORS {
        app.logged_in(&format!("new-{number}")).get("/").says("Visits: 1");
    }
}

#[test]
fn a_database_other_than_0_is_used_or_refused() {
    let cluster = Cluster::start();
    let app = App::start(&format!("{}/1", cluster.url().trim_end_matches("/0")), &[]);
    // This Redis has only database 0 in a cluster.
    app.visitor().log_in("ada").expect(503);
    assert_eq!(cluster.keys(), Vec::<String>::new());
}

#[test]
fn a_session_over_1_mb_fails_only_its_own_request_on_a_cluster_too() {
    let cluster = Cluster::start();
    let app = App::start(&cluster.url(), &["--ttl", "600"]);
    let mut eve = app.logged_in("eve");
    let keys = |node: &RedisServer| node.keys().into_iter().find(|key| key.contains(":session:"));
    let (node, key) = cluster
        .nodes
        .iter()
        .find_map(|node| Some((node, keys(node)?)))
        .unwrap();
    let mut ada = app.logged_in("ada");
    node.ask(&["HSET", &key, "big", &"x".repeat(1_100_000)]);
    for _ in 0..3 {
        assert!(eve.get("/").expect(503).body.contains(&key));
        ada.get("/").says("Logged in as ada");
    }
}
