//! What holds of a session whatever races with it: a logout ends it, nothing revives it, nothing outlives its time.

mod support;

use std::io::Write;
use std::thread;
use std::time::Duration;

use sessiontut::deadline::Deadline;
use sessiontut::redis_url::{Target, Trust};
use sessiontut::session::{SessionStore, Token};
use support::http::{connect, try_send};
use support::wait::wait_for;
use support::{App, RedisServer};

/// Races enough that both orders happen.
const ROUNDS: usize = 100;
/// Visits that race with one end of the session.
const RACERS: usize = 8;

#[allow(clippy::unwrap_used, reason = "a test's helper")]
async fn store(server: &RedisServer) -> SessionStore {
    let target = Target::parse(&server.url()).unwrap();
    let client = sessiontut::open(
        &target,
        &Trust::default(),
        Deadline::after(Duration::from_secs(5)),
    )
    .await
    .unwrap();
    SessionStore {
        client,
        ttl: Duration::from_secs(600),
        max_age: Duration::from_secs(3600),
    }
}

/// Visits the session on connections of their own while `end` ends it; in the end there must be no key.
#[allow(clippy::unwrap_used, reason = "a test's helper")]
async fn nothing_survives(server: &RedisServer, end: impl AsyncFn(&Token)) {
    let visitors = [store(server).await, store(server).await];
    for _ in 0..ROUNDS {
        let (token, _) = visitors[0].login("ada", None).await.unwrap();
        let key = token.key();
        let visit = async |number: usize| {
            visitors[number % visitors.len()].visit(&key).await.unwrap();
        };
        tokio::join!(
            async {
                for number in 0..RACERS / 2 {
                    visit(number).await;
                }
            },
            end(&token),
            async {
                for number in RACERS / 2..RACERS {
                    visit(number + 1).await;
                }
            },
        );
    }
    wait_for("what the visits stirred up to be deleted", || {
        server.keys().is_empty().then_some(())
    });
}

#[tokio::test]
async fn a_visit_that_races_with_the_logout_does_not_revive_the_session() {
    let server = RedisServer::start();
    let desk = store(&server).await;
    nothing_survives(&server, async |token| {
        desk.logout(token).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_visit_that_races_with_the_expiry_does_not_revive_the_session() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    let connection = std::sync::Mutex::new(&mut connection);
    nothing_survives(&server, async |token| {
        // A time in the past: the key goes as one does whose time has come.
        redis::cmd("PEXPIREAT")
            .arg(token.key())
            .arg(1)
            .exec(*connection.lock().unwrap())
            .unwrap();
    })
    .await;
}

#[test]
fn a_server_killed_at_any_moment_leaves_no_key_without_a_ttl() {
    let server = RedisServer::start();
    for round in 0..5 {
        let mut app = App::start(&server.url(), &[]);
        let ada = app.logged_in("ada");
        let visit = ada.request("GET", "/", &[], None);
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let login = app
            .visitor()
            .request("POST", "/login", &form, Some(b"username=grace"));
        let before = server.keys().len();
        thread::scope(|scope| {
            for request in [&visit, &login, &visit, &login] {
                let port = app.port;
                // Ends with the server: then no answer comes.
                scope.spawn(move || while try_send(port, request).is_ok() {});
            }
            // Each time at another moment of what is under way.
            wait_for("logins", || (server.keys().len() > before + round).then_some(()));
            app.running.kill();
        });
        for key in server.keys() {
            assert!(server.pttl(&key) != -1, "{key} has no TTL");
        }
    }
}

#[test]
fn a_hash_of_step_two_is_taken_back_though_its_visitor_hung_up() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--step", "2"]);
    app.logged_in("bob").get("/").expect(200);
    let ada = app.logged_in("ada");
    // While Redis stands still the visit is on its way; whoever asked for it leaves before it is counted.
    server.pause();
    let mut stream = connect(app.port).unwrap();
    stream.write_all(&ada.request("GET", "/", &[], None)).unwrap();
    // It has been read when later ones on other connections are answered.
    app.visitor().get("/").expect(200);
    drop(stream);
    app.visitor().get("/").expect(200);
    server.resume();
    wait_for("the visit to be counted", || {
        let key = "sessiontut:user:ada".to_owned();
        server.keys().contains(&key).then_some(())
    });
    let finished = app.stop().expect(0);
    assert!(
        finished.stderr.contains("deleted the 2 hashes"),
        "{}",
        finished.stderr
    );
    assert_eq!(server.keys(), Vec::<String>::new());
}
