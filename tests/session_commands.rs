//! The step commands on real servers: without TLS, with TLS, and on a cluster.

mod support;

use support::cluster::Cluster;
use support::ports::free_port;
use support::program::{Home, Running};
use support::redis_server::RedisServer;
use support::tls::Certificate;

/// A home folder with the URL and options of a Redis.
struct Desk {
    home: Home,
    url: String,
    options: Vec<String>,
}

impl Desk {
    fn at(url: &str) -> Self {
        Self {
            home: Home::new(),
            url: url.to_owned(),
            options: Vec::new(),
        }
    }

    /// Runs one command, and returns its exit status and standard output.
    fn run(&self, words: &str) -> (Option<i32>, String) {
        let words: Vec<&str> = words
            .split(' ')
            .chain(self.options.iter().map(String::as_str))
            .collect();
        let finished = self.home.sessiontut(words).redis(&self.url).run();
        (finished.code(), finished.stdout.clone())
    }

    /// Tests login, visits, expiry and logout, which must work on every kind of Redis.
    fn live_and_die(&self) {
        let (code, answer) = self.run("login ada");
        assert_eq!(code, Some(0), "{answer}");
        assert!(answer.contains("logged in as ada"), "{answer}");
        assert_eq!(self.run("visits"), (Some(0), "Visits: 1\n".into()));
        assert_eq!(
            self.run("visits --times 2"),
            (Some(0), "Visits: 2\nVisits: 3\n".into())
        );
        let (code, answer) = self.run("expire --ttl 1");
        assert_eq!(code, Some(0), "{answer}");
        assert!(answer.contains("the key is gone"), "{answer}");
        let (code, answer) = self.run("visits");
        assert_eq!(code, Some(1));
        assert!(answer.starts_with("logged out, because"), "{answer}");
        assert_eq!(self.run("login ada").0, Some(0));
        assert_eq!(self.run("logout"), (Some(0), "logged out\n".into()));
        assert_eq!(self.run("visits").0, Some(1));
    }
}

#[test]
fn a_session_lives_and_dies_on_a_plain_redis() {
    let server = RedisServer::start();
    Desk::at(&server.url()).live_and_die();
    assert_eq!(server.keys(), Vec::<String>::new());
}

#[test]
fn a_session_lives_and_dies_over_tls() {
    let certificate = Certificate::for_loopback();
    let server = RedisServer::with().tls(&certificate).start();
    let mut desk = Desk::at(&server.url());
    desk.options = vec!["--ca".into(), certificate.authority().display().to_string()];
    desk.live_and_die();
}

#[test]
fn a_session_lives_and_dies_in_a_cluster() {
    let cluster = Cluster::start();
    Desk::at(&cluster.url()).live_and_die();
    assert_eq!(cluster.keys(), Vec::<String>::new());
}

#[test]
fn a_session_lives_and_dies_in_a_cluster_that_asks_for_client_certificates() {
    let certificate = Certificate::for_loopback();
    let settings = RedisServer::with()
        .tls(&certificate)
        .line("tls-cluster yes")
        .line("tls-auth-clients yes");
    let cluster = Cluster::of(&settings);
    let mut desk = Desk::at(&cluster.url());
    desk.options = [
        ("--ca", certificate.authority()),
        ("--cert", certificate.cert()),
        ("--key", certificate.key()),
    ]
    .into_iter()
    .flat_map(|(option, file)| [option.to_owned(), file.display().to_string()])
    .collect();
    desk.live_and_die();
    assert_eq!(cluster.keys(), Vec::<String>::new());
}

#[test]
fn a_cluster_that_announces_dead_addresses_is_named() {
    let nobody = free_port();
    let cluster = Cluster::of(&RedisServer::with().line(&format!("cluster-announce-port {nobody}")));
    let desk = Desk::at(&cluster.url());
    let finished = desk
        .home
        .sessiontut(["login", "ada"])
        .redis(&desk.url)
        .run()
        .expect(7);
    let answer = finished.stdout;
    assert!(answer.contains("cluster.unreachable_nodes"), "{answer}");
    assert!(answer.contains(&format!("127.0.0.1:{nobody}")), "{answer}");
    assert_eq!(cluster.keys(), Vec::<String>::new());
}

#[test]
fn a_session_never_lacks_a_ttl_and_looking_does_not_refresh_it() {
    let server = RedisServer::start();
    let desk = Desk::at(&server.url());
    desk.run("login ada");
    let keys = server.keys();
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert!(keys[0].starts_with("sessiontut:session:"));
    server.ask(&["EXPIRE", &keys[0], "100"]);
    desk.run("session");
    let left = server.pttl(&keys[0]);
    assert!((1..=100_000).contains(&left), "{left}");
}

#[test]
fn a_new_login_ends_the_old_session_and_never_takes_its_token_over() {
    let server = RedisServer::start();
    let desk = Desk::at(&server.url());
    desk.run("login ada");
    let old = server.keys();
    desk.run("login bob");
    let new = server.keys();
    assert_eq!(new.len(), 1);
    assert_ne!(old, new);
}

#[test]
fn a_visit_with_a_dead_token_leaves_no_key_behind() {
    let server = RedisServer::start();
    let desk = Desk::at(&server.url());
    desk.run("login ada");
    for key in server.keys() {
        server.ask(&["DEL", &key]);
    }
    assert_eq!(desk.run("visits").0, Some(1));
    assert_eq!(server.keys(), Vec::<String>::new());
}

#[test]
fn a_signal_gives_the_session_back_the_time_that_it_had() {
    let server = RedisServer::start();
    let desk = Desk::at(&server.url());
    desk.run("login ada");
    for signal in [Running::interrupt, Running::terminate] {
        let mut running = desk
            .home
            .sessiontut(["expire", "--ttl", "60"])
            .redis(&desk.url)
            .start();
        running.wait_for_stderr("the session lives for");
        signal(&running);
        assert_eq!(running.finish().code(), Some(130));
        let left = server.pttl(&server.keys()[0]);
        assert!(left > 60_000, "{left}");
    }
}

#[test]
fn a_countdown_ends_when_a_visit_gives_the_session_its_time_again() {
    let server = RedisServer::start();
    let desk = Desk::at(&server.url());
    desk.run("login ada");
    let mut running = desk
        .home
        .sessiontut(["expire", "--ttl", "60"])
        .redis(&desk.url)
        .start();
    running.wait_for_stderr("the session lives for");
    assert_eq!(desk.run("visits").0, Some(0));
    let finished = running.finish();
    assert_eq!(finished.code(), Some(1));
    assert!(
        finished.stderr.contains("another visit reset its TTL"),
        "{}",
        finished.stderr
    );
}

#[test]
fn the_token_is_shown_by_its_first_characters_unless_asked_for() {
    let server = RedisServer::start();
    let desk = Desk::at(&server.url());
    desk.run("login ada");
    let cookie = |words: &str| {
        desk.run(words)
            .1
            .lines()
            .find(|line| line.starts_with("cookie:"))
            .unwrap()
            .to_owned()
    };
    let short = cookie("session");
    let whole = cookie("session --show-token");
    assert!(short.ends_with('…') && whole.len() > 40, "{short} {whole}");
    assert!(whole.starts_with(short.trim_end_matches('…')));
}

#[test]
fn a_name_that_no_form_would_take_is_wrong_usage() {
    let server = RedisServer::start();
    let desk = Desk::at(&server.url());
    let long = "x".repeat(65);
    for name in ["", "   ", "a\u{7}b", long.as_str()] {
        let finished = desk.home.sessiontut(["login", name]).redis(&desk.url).run();
        assert_eq!(finished.code(), Some(2), "{name:?}");
        assert!(finished.stderr.contains("name"), "{}", finished.stderr);
    }
    assert_eq!(server.keys(), Vec::<String>::new());
}

#[test]
fn a_redis_that_holds_other_keys_is_named_once() {
    let server = RedisServer::start();
    server.ask(&["SET", "somebody:else", "1"]);
    let desk = Desk::at(&server.url());
    let told = |words: &str| {
        let words: Vec<_> = words.split(' ').collect();
        desk.home
            .sessiontut(words)
            .redis(&desk.url)
            .run()
            .stderr
            .contains("did not create")
    };
    assert!(told("login ada -q"));
    assert!(!told("login ada -q"));
}

#[test]
fn a_redis_that_holds_our_keys_alone_is_not_called_somebody_elses() {
    let server = RedisServer::start();
    Desk::at(&server.url()).run("login ada");
    let stranger = Desk::at(&server.url());
    let finished = stranger
        .home
        .sessiontut(["login", "grace"])
        .redis(&stranger.url)
        .run();
    assert!(!finished.stderr.contains("did not create"), "{}", finished.stderr);
}

#[test]
fn a_user_who_may_do_no_more_than_the_app_needs_can_log_in() {
    let server = RedisServer::start();
    server.ask(&[
        "ACL",
        "SETUSER",
        "app",
        "on",
        ">Plover-4417",
        "~sessiontut:*",
        "-@all",
        "+ping",
        "+multi",
        "+exec",
        "+hset",
        "+hincrby",
        "+hgetall",
        "+hexists",
        "+expire",
        "+pttl",
        "+del",
        "+exists",
    ]);
    let desk = Desk::at(&format!("redis://app:Plover-4417@127.0.0.1:{}", server.port()));
    let finished = desk
        .home
        .sessiontut(["login", "ada"])
        .redis(&desk.url)
        .run()
        .expect(0);
    assert!(
        finished
            .stderr
            .contains("may hold keys that sessiontut did not create"),
        "{}",
        finished.stderr
    );
    assert_eq!(desk.run("visits").0, Some(0));
}

#[test]
fn a_hash_that_is_no_session_is_not_shown_as_one() {
    let server = RedisServer::start();
    let desk = Desk::at(&server.url());
    desk.run("login ada");
    let key = server.keys().remove(0);
    server.ask(&["HDEL", &key, "username"]);
    let (code, answer) = desk.run("session");
    assert_eq!(code, Some(1), "{answer}");
    assert!(answer.starts_with("logged out, because"), "{answer}");
}

#[test]
fn a_long_wait_says_what_it_waits_for() {
    let server = RedisServer::start();
    let desk = Desk::at(&server.url());
    desk.run("login ada");
    server.pause();
    let finished = desk.home.sessiontut(["visits"]).redis(&desk.url).run();
    server.resume();
    assert_eq!(finished.code(), Some(7));
    assert!(
        finished.stderr.contains("waiting for redis://127.0.0.1"),
        "{}",
        finished.stderr
    );
}

#[test]
fn a_redis_that_cannot_be_reached_is_named_in_the_words_of_ping() {
    let server = RedisServer::with().password("Plover-4417").start();
    let desk = Desk::at(&format!("redis://127.0.0.1:{}", server.port()));
    let (code, answer) = desk.run("login ada");
    assert_eq!(code, Some(6));
    assert!(answer.contains("auth.required"), "{answer}");
}
