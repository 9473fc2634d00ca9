//! Tests `serve` on a cluster in which nodes fail and slots move.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::wait::wait_for;
use support::{App, Certificate, Cluster, RedisServer, Settings, valkey};

/// The number of visitors. It is large enough for each node to have some sessions.
const VISITORS: usize = 12;

fn slot_of(node: &RedisServer, key: &str) -> String {
    let slot: u16 = redis::cmd("CLUSTER")
        .arg("KEYSLOT")
        .arg(key)
        .query(&mut node.connection())
        .unwrap();
    slot.to_string()
}

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
        let key = from.sessions().pop();
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
    // The first node now replies with ASK.
    visit();
    visit();
    for node in [to, from, &cluster.nodes[2]] {
        node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &id_of(to)]);
    }
    // The first node now replies with MOVED.
    visit();
    visit();
    ada.get("/logout").expect(303);
    ada.get("/").says("You are not logged in");
}

/// Requests pages for several sessions while `work` runs, and checks each page. `work` receives a function that waits
/// until every session has been served once more.
#[track_caller]
fn under_load(app: &App, work: impl FnOnce(&dyn Fn())) {
    let is_over = AtomicBool::new(false);
    let served: Vec<AtomicU64> = (0..VISITORS).map(|_| AtomicU64::new(0)).collect();
    let all_are_served = || {
        let before: Vec<u64> = served.iter().map(|pages| pages.load(Ordering::SeqCst)).collect();
        let began = Instant::now();
        wait_for("all sessions to be served", || {
            let mut all = served.iter().zip(&before);
            all.all(|(pages, before)| pages.load(Ordering::SeqCst) > *before)
                .then_some(())
        });
        assert!(began.elapsed() < Duration::from_secs(10));
    };
    thread::scope(|scope| {
        for (number, served) in served.iter().enumerate() {
            let (name, is_over) = (format!("visitor-{number}"), &is_over);
            scope.spawn(move || {
                let mut visitor = app.logged_in(&name);
                let mut requests = 0;
                while !is_over.load(Ordering::SeqCst) {
                    requests += 1;
                    let answer = visitor.get("/");
                    assert!(answer.took < Duration::from_millis(2500), "{:?}", answer.took);
                    if answer.status == 503 {
                        continue;
                    }
                    let answer = answer.expect(200).says(&format!("Logged in as {name}"));
                    // The number may be lower, if a primary failed before it had replicated a visit.
                    assert!(answer.visits().unwrap() <= requests, "a visit was counted twice");
                    served.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let worked = panic::catch_unwind(AssertUnwindSafe(|| work(&all_are_served)));
        is_over.store(true, Ordering::SeqCst);
        if let Err(failure) = worked {
            panic::resume_unwind(failure);
        }
    });
}

/// Kills one primary after another. The primary in the URL is killed last.
#[track_caller]
fn sessions_survive_failing_primaries(settings: &Settings, login: &str, options: &[&str]) {
    let mut cluster = Cluster::of(settings);
    let url = cluster.url().replace("://", &format!("://{login}"));
    let failing = [1, 2, 0].map(|number| (number, cluster.replica_of(number)));
    let app = App::start(&url, &[&["--ttl", "600"], options].concat());
    under_load(&app, |all_are_served| {
        for (number, replica) in failing {
            all_are_served();
            // Wait until the new replica is connected to its primary, because a replica without this
            // connection is not promoted.
            wait_for("the replica to be in step", || {
                let info: String = redis::cmd("INFO").query(&mut replica.connection()).unwrap();
                info.contains("master_link_status:up").then_some(())
            });
            let dead = format!("127.0.0.1:{}", cluster.nodes[number].port());
            cluster.nodes[number].kill();
            let health = app.visitor().get("/healthz").expect(503).body;
            let health: serde_json::Value = serde_json::from_str(&health).unwrap();
            assert_eq!(health["shard"], dead.as_str(), "{health}");
            wait_for("the promotion", || {
                let role = redis::cmd("ROLE").query::<redis::Value>(&mut replica.connection());
                format!("{role:?}").contains("master").then_some(())
            });
            all_are_served();
            wait_for("/healthz to be healthy", || {
                (app.visitor().get("/healthz").status == 200).then_some(())
            });
            cluster.nodes[number] = replica;
        }
    });
    // These logins use the new primaries.
    for number in 0..VISITORS {
        app.logged_in(&format!("new-{number}")).get("/").says("Visits: 1");
    }
    app.stop().expect(0);
}

#[test]
fn sessions_survive_one_failing_primary_after_another() {
    sessions_survive_failing_primaries(&RedisServer::with(), "", &[]);
}

#[test]
fn sessions_survive_failing_primaries_over_tls_with_few_permissions() {
    let certificate = Certificate::for_loopback();
    let ca = certificate.authority().display().to_string();
    let settings = RedisServer::with()
        .tls(&certificate)
        .line("tls-cluster yes")
        .line("tls-replication yes")
        .line("masteruser operator")
        .line("masterauth operator-password")
        .line("user default off")
        .line(
            "user app on >secret ~sessiontut:* +hset +hincrby +hgetall +expire +del +multi +exec +cluster|slots",
        );
    sessions_survive_failing_primaries(&settings, "app:secret@", &["--ca", &ca]);
}

#[test]
fn a_database_other_than_0_is_used_or_refused() {
    let cluster = Cluster::start();
    let app = App::start(&format!("{}/1", cluster.url().trim_end_matches("/0")), &[]);
    // In a cluster, Redis has only database 0.
    app.visitor().log_in("ada").expect(503);
    assert_eq!(cluster.keys(), Vec::<String>::new());

    let Some(valkey) = valkey::program() else {
        return;
    };
    let cluster = Cluster::of(&RedisServer::with().program(valkey).line("cluster-databases 4"));
    let app = App::start(&format!("{}/1", cluster.url().trim_end_matches("/0")), &[]);
    app.logged_in("ada").get("/").says("Visits: 1");
    // `keys` lists only the keys in database 0.
    assert_eq!(cluster.keys(), Vec::<String>::new());
}

#[test]
fn a_session_over_1_mb_fails_only_its_own_request_on_a_cluster_too() {
    let cluster = Cluster::start();
    let app = App::start(&cluster.url(), &["--ttl", "600"]);
    let mut eve = app.logged_in("eve");
    let (node, key) = cluster
        .nodes
        .iter()
        .find_map(|node| Some((node, node.sessions().pop()?)))
        .unwrap();
    let mut ada = app.logged_in("ada");
    node.ask(&["HSET", &key, "big", &"x".repeat(1_100_000)]);
    for _ in 0..3 {
        assert!(eve.get("/").expect(503).body.contains(&key));
        ada.get("/").says("Logged in as ada");
    }
}
