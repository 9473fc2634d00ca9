//! Tests visits that race with the end of a session. No visit may recreate a session that has ended, and no key may
//! be left without a TTL.

mod support;

use std::collections::VecDeque;
use std::io::Write;
use std::thread;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value, parse_redis_value};
use sessiontut::deadline::Deadline;
use sessiontut::redis_url::{Target, Trust};
use sessiontut::session::{SessionStore, Token};
use sessiontut::{Clock, RedisConnection};
use support::http::{connect, try_send};
use support::wait::wait_for;
use support::{App, RedisServer};

/// The number of races. It is large enough for both orders to occur.
const ROUNDS: usize = 100;
/// The number of visits that race with the end of a session.
const RACERS: usize = 8;

#[allow(clippy::unwrap_used, reason = "a test's helper")]
async fn connection(server: &RedisServer) -> RedisConnection {
    let target = Target::parse(&server.url()).unwrap();
    let deadline = Deadline::after(Duration::from_secs(5));
    let mut redis = sessiontut::open(&target, &Trust::default(), deadline)
        .await
        .unwrap();
    redis.read_clock().await;
    redis
}

fn store(redis: &RedisConnection) -> SessionStore<RedisConnection> {
    SessionStore {
        redis: redis.clone(),
        ttl: Duration::from_secs(600),
        max_age: Duration::from_secs(3600),
        clock: redis.clock(),
    }
}

/// Visits the session on two connections while `end` ends the session. After that, no key may exist.
#[allow(clippy::unwrap_used, reason = "a test's helper")]
async fn nothing_survives(server: &RedisServer, end: impl AsyncFn(&Token)) {
    let connections = [connection(server).await, connection(server).await];
    for _ in 0..ROUNDS {
        let token = store(&connections[0]).create("ada").await.unwrap();
        let visit = async |number: usize| {
            let mut store = store(&connections[number % connections.len()]);
            store.visit(&token).await.unwrap();
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
    assert_eq!(server.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn the_maximum_age_is_measured_with_the_clock_of_redis() {
    let server = RedisServer::start();
    let redis = connection(&server).await;
    let time: (i64, i64) = redis::cmd("TIME").query(&mut server.connection()).unwrap();
    assert!(redis.clock().now().abs_diff(time.0.unsigned_abs()) <= 1);
    // The clock of another instance differs from that of Redis by nine hours, but the instance takes this
    // difference into account.
    let token = store(&redis).create("ada").await.unwrap();
    let mut ahead = store(&redis);
    ahead.clock = Clock::of_redis(time.0 + 9 * 3600);
    let late = ahead.create("ada").await.unwrap();
    assert!(store(&redis).visit(&token).await.unwrap().is_some());
    assert!(ahead.visit(&token).await.unwrap().is_none());
    assert!(store(&redis).visit(&late).await.unwrap().is_some());
}

#[tokio::test]
async fn a_visit_that_races_with_the_logout_does_not_revive_the_session() {
    let server = RedisServer::start();
    let redis = connection(&server).await;
    nothing_survives(&server, async |token| {
        store(&redis).end(token).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_visit_that_races_with_the_expiry_does_not_revive_the_session() {
    let server = RedisServer::start();
    let mut connection = server.connection();
    let connection = std::sync::Mutex::new(&mut connection);
    nothing_survives(&server, async |token| {
        // If the time is in the past, the key expires at once.
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
                // This loop ends after the server has been killed, because there is then no response.
                scope.spawn(move || while try_send(port, request).is_ok() {});
            }
            // In each round, the server is killed at a different moment.
            wait_for("logins", || (server.keys().len() > before + round).then_some(()));
            app.running.kill();
        });
        for key in server.keys() {
            assert!(server.pttl(&key) != -1, "{key} has no TTL");
        }
    }
}

#[test]
fn a_hash_of_stage_2_is_deleted_even_if_its_visitor_disconnected() {
    let server = RedisServer::start();
    let app = App::at_stage(&server, "2");
    app.logged_in("bob").get("/").expect(200);
    let ada = app.logged_in("ada");
    // While Redis is paused, the visit has to wait for it. The visitor disconnects before the visit is
    // counted.
    server.pause();
    let mut stream = connect(app.port).unwrap();
    stream.write_all(&ada.request("GET", "/", &[], None)).unwrap();
    // Wait until a later request on another connection has been answered. By then, the server has read this
    // request.
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

/// Tests that large replies do not disturb other requests on a shared connection.
mod large_replies {
    use super::*;

    /// The size of a reply that exceeds the limit.
    const LARGE: usize = 1_100_000;

    #[tokio::test]
    #[allow(clippy::unwrap_used, reason = "a test")]
    async fn a_session_over_1_mb_fails_only_its_own_request() {
        let server = RedisServer::start();
        let redis = connection(&server).await;
        let (ada, bob) = (
            store(&redis).create("ada").await.unwrap(),
            store(&redis).create("bob").await.unwrap(),
        );
        server.ask(&["HSET", ada.key(), "large", &"x".repeat(LARGE)]);
        for round in 1..=20 {
            let (mut first, mut second, mut third) = (store(&redis), store(&redis), store(&redis));
            let (before, large, after) =
                tokio::join!(first.visit(&bob), second.visit(&ada), third.visit(&bob));
            assert!(large.is_err());
            let visits = [before, after].map(|visit| visit.unwrap().unwrap().visits);
            assert_eq!(visits, [2 * round - 1, 2 * round]);
        }
    }

    #[tokio::test]
    #[allow(clippy::unwrap_used, reason = "a test")]
    async fn a_field_that_is_not_utf8_is_not_an_error() {
        let server = RedisServer::start();
        let redis = connection(&server).await;
        let ada = store(&redis).create("ada").await.unwrap();
        redis::cmd("HSET")
            .arg(ada.key())
            .arg(b"\xff\xfe")
            .arg(b"\xff")
            .exec(&mut server.connection())
            .unwrap();
        let session = store(&redis).visit(&ada).await.unwrap().unwrap();
        assert_eq!((session.username.as_str(), session.visits), ("ada", 1));
    }
}

/// A connection that returns these replies to EXEC, and counts commands outside transactions.
struct Scripted {
    replies: VecDeque<&'static str>,
    single_commands: usize,
}

#[allow(clippy::unwrap_used, reason = "a test's helper")]
impl ConnectionLike for Scripted {
    fn req_packed_command<'a>(&'a mut self, _: &'a Cmd) -> RedisFuture<'a, Value> {
        self.single_commands += 1;
        Box::pin(async { Ok(Value::Int(1)) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        _: &'a Pipeline,
        _: usize,
        _: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let reply = self.replies.pop_front().unwrap();
        Box::pin(async { Ok(vec![parse_redis_value(reply.as_bytes()).unwrap()]) })
    }

    fn get_db(&self) -> i64 {
        0
    }
}

#[tokio::test]
async fn a_malformed_reply_to_exec_is_an_error_and_deletes_nothing() {
    let malformed = [
        "*-1\r\n",
        "*0\r\n",
        "+OK\r\n",
        "*2\r\n:1\r\n:1\r\n",
        "*3\r\n:1\r\n:1\r\n*0\r\n",
        "*3\r\n:1\r\n:1\r\n*1\r\n$1\r\na\r\n",
        "*3\r\n:5\r\n:1\r\n*2\r\n$6\r\nvisits\r\n$1\r\n4\r\n",
        "*3\r\n$1\r\nx\r\n:1\r\n*2\r\n$6\r\nvisits\r\n$1\r\n1\r\n",
    ];
    let mut store = SessionStore {
        redis: Scripted {
            replies: malformed.into(),
            single_commands: 0,
        },
        ttl: Duration::from_secs(10),
        max_age: Duration::from_secs(3600),
        clock: Clock::default(),
    };
    for reply in malformed {
        assert!(store.visit(&Token::generate()).await.is_err(), "{reply:?}");
    }
    assert_eq!(store.redis.single_commands, 0);
    // HINCRBY creates the key of a session that has ended. The store must delete this key.
    store.redis.replies = ["*3\r\n:1\r\n:1\r\n*2\r\n$6\r\nvisits\r\n$1\r\n1\r\n"].into();
    assert!(store.visit(&Token::generate()).await.unwrap().is_none());
    assert_eq!(store.redis.single_commands, 1);
}
