//! Tests the step commands on real servers: without TLS, with TLS, and on a cluster.

mod support;

use std::ffi::OsStr;

use support::cluster::Cluster;
use support::ports::free_port;
use support::program::{Home, Program, Running};
use support::redis_server::RedisServer;
use support::tls::Certificate;

/// A home folder, the URL of a Redis server, and the options that this server requires.
struct Client {
    home: Home,
    url: String,
    options: Vec<String>,
}

impl Client {
    fn at(url: &str) -> Self {
        Self {
            home: Home::new(),
            url: url.to_owned(),
            options: Vec::new(),
        }
    }

    /// Returns a command of this client that has not been started yet.
    fn program<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> Program {
        self.home.sessiontut(words).redis(&self.url)
    }

    /// Runs one command, and returns its exit status and standard output.
    fn run(&self, words: &str) -> (Option<i32>, String) {
        let words: Vec<&str> = words
            .split(' ')
            .chain(self.options.iter().map(String::as_str))
            .collect();
        let finished = self.program(words).run();
        (finished.code(), finished.stdout.clone())
    }

    /// Tests login, visits, expiry and logout, which must work on every kind of server.
    fn log_in_expire_and_log_out(&self) {
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
        assert!(answer.starts_with("expired:"), "{answer}");
        let (code, answer) = self.run("visits");
        assert_eq!(code, Some(1));
        assert!(answer.starts_with("not logged in: "), "{answer}");
        assert_eq!(self.run("login ada").0, Some(0));
        assert_eq!(self.run("logout"), (Some(0), "logged out\n".into()));
        assert_eq!(self.run("visits").0, Some(1));
    }
}

#[test]
fn a_session_starts_and_ends_on_a_plain_redis() {
    let server = RedisServer::start();
    Client::at(&server.url()).log_in_expire_and_log_out();
    assert_eq!(server.keys(), Vec::<String>::new());
}

#[test]
fn a_session_starts_and_ends_over_tls() {
    let certificate = Certificate::for_loopback();
    let server = RedisServer::with().tls(&certificate).start();
    let mut client = Client::at(&server.url());
    client.options = vec!["--ca".into(), certificate.authority().display().to_string()];
    client.log_in_expire_and_log_out();
}

#[test]
fn a_session_starts_and_ends_in_a_cluster() {
    let cluster = Cluster::start();
    Client::at(&cluster.url()).log_in_expire_and_log_out();
    assert_eq!(cluster.keys(), Vec::<String>::new());
}

#[test]
fn a_session_starts_and_ends_in_a_cluster_that_requires_client_certificates() {
    let certificate = Certificate::for_loopback();
    let settings = RedisServer::with()
        .tls(&certificate)
        .line("tls-cluster yes")
        .line("tls-auth-clients yes");
    let cluster = Cluster::of(&settings);
    let mut client = Client::at(&cluster.url());
    client.options = [
        ("--ca", certificate.authority()),
        ("--cert", certificate.cert()),
        ("--key", certificate.key()),
    ]
    .into_iter()
    .flat_map(|(option, file)| [option.to_owned(), file.display().to_string()])
    .collect();
    client.log_in_expire_and_log_out();
    assert_eq!(cluster.keys(), Vec::<String>::new());
}

#[test]
fn a_cluster_that_announces_unreachable_addresses_is_reported() {
    let unused = free_port();
    let cluster = Cluster::of(&RedisServer::with().line(&format!("cluster-announce-port {unused}")));
    let client = Client::at(&cluster.url());
    let finished = client.program(["login", "ada"]).run().expect(7);
    let answer = finished.stdout;
    assert!(answer.contains("cluster.unreachable_nodes"), "{answer}");
    assert!(answer.contains(&format!("127.0.0.1:{unused}")), "{answer}");
    assert_eq!(cluster.keys(), Vec::<String>::new());
}

#[test]
fn a_session_always_has_a_ttl_and_showing_it_does_not_reset_the_ttl() {
    let server = RedisServer::start();
    let client = Client::at(&server.url());
    client.run("login ada");
    let keys = server.sessions();
    assert_eq!(keys, server.keys());
    assert_eq!(keys.len(), 1, "{keys:?}");
    server.ask(&["EXPIRE", &keys[0], "100"]);
    client.run("session");
    let left = server.pttl(&keys[0]);
    assert!((1..=100_000).contains(&left), "{left}");
}

#[test]
fn a_new_login_ends_the_old_session_and_generates_a_new_token() {
    let server = RedisServer::start();
    let client = Client::at(&server.url());
    client.run("login ada");
    let old = server.keys();
    client.run("login bob");
    let new = server.keys();
    assert_eq!(new.len(), 1);
    assert_ne!(old, new);
}

#[test]
fn a_visit_with_an_expired_token_leaves_no_key_behind() {
    let server = RedisServer::start();
    let client = Client::at(&server.url());
    client.run("login ada");
    for key in server.keys() {
        server.ask(&["DEL", &key]);
    }
    assert_eq!(client.run("visits").0, Some(1));
    assert_eq!(server.keys(), Vec::<String>::new());
}

#[test]
fn a_signal_during_expire_restores_the_previous_ttl() {
    let server = RedisServer::start();
    let client = Client::at(&server.url());
    client.run("login ada");
    for signal in [Running::interrupt, Running::terminate] {
        let mut running = client.program(["expire", "--ttl", "60"]).start();
        running.wait_for_stderr("the session expires in");
        signal(&running);
        assert_eq!(running.finish().code(), Some(130));
        let left = server.pttl(&server.keys()[0]);
        assert!(left > 60_000, "{left}");
    }
}

#[test]
fn a_countdown_ends_when_a_visit_resets_the_ttl() {
    let server = RedisServer::start();
    let client = Client::at(&server.url());
    client.run("login ada");
    let mut running = client.program(["expire", "--ttl", "60"]).start();
    running.wait_for_stderr("the session expires in");
    assert_eq!(client.run("visits").0, Some(0));
    let finished = running.finish();
    assert_eq!(finished.code(), Some(1));
    assert!(
        finished.stderr.contains("another visit reset its TTL"),
        "{}",
        finished.stderr
    );
}

#[test]
fn only_the_first_characters_of_the_token_are_shown_without_show_token() {
    let server = RedisServer::start();
    let client = Client::at(&server.url());
    client.run("login ada");
    let cookie = |words: &str| {
        client
            .run(words)
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
fn a_name_that_the_login_form_would_refuse_is_a_usage_error() {
    let server = RedisServer::start();
    let client = Client::at(&server.url());
    let long = "x".repeat(65);
    for name in ["", "   ", "a\u{7}b", long.as_str()] {
        let finished = client.program(["login", name]).run();
        assert_eq!(finished.code(), Some(2), "{name:?}");
        assert!(finished.stderr.contains("name"), "{}", finished.stderr);
    }
    assert_eq!(server.keys(), Vec::<String>::new());
}

#[test]
fn other_keys_in_redis_are_reported_once() {
    let server = RedisServer::start();
    server.ask(&["SET", "orders:4711", "1"]);
    let client = Client::at(&server.url());
    let is_reported = |words: &str| {
        let words: Vec<_> = words.split(' ').collect();
        client.program(words).run().stderr.contains("did not create")
    };
    assert!(is_reported("login ada -q"));
    assert!(!is_reported("login ada -q"));
}

#[test]
fn keys_of_sessiontut_are_not_reported_as_other_keys() {
    let server = RedisServer::start();
    Client::at(&server.url()).run("login ada");
    let other = Client::at(&server.url());
    let finished = other.program(["login", "grace"]).run();
    assert!(!finished.stderr.contains("did not create"), "{}", finished.stderr);
}

#[test]
fn a_user_with_only_the_permissions_of_the_app_can_log_in() {
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
    let client = Client::at(&format!("redis://app:Plover-4417@127.0.0.1:{}", server.port()));
    let finished = client.program(["login", "ada"]).run().expect(0);
    assert!(
        finished
            .stderr
            .contains("perhaps contains keys that sessiontut did not create"),
        "{}",
        finished.stderr
    );
    assert_eq!(client.run("visits").0, Some(0));
}

#[test]
fn a_hash_without_username_is_not_a_session() {
    let server = RedisServer::start();
    let client = Client::at(&server.url());
    client.run("login ada");
    let key = server.keys().remove(0);
    server.ask(&["HDEL", &key, "username"]);
    let (code, answer) = client.run("session");
    assert_eq!(code, Some(1), "{answer}");
    assert!(answer.starts_with("not logged in: "), "{answer}");
}

#[test]
fn a_long_wait_reports_what_it_is_waiting_for() {
    let server = RedisServer::start();
    let client = Client::at(&server.url());
    client.run("login ada");
    server.pause();
    let finished = client.program(["visits"]).run();
    server.resume();
    assert_eq!(finished.code(), Some(7));
    assert!(
        finished.stderr.contains("waiting for redis://127.0.0.1"),
        "{}",
        finished.stderr
    );
}

#[test]
fn an_unreachable_redis_is_reported_with_pings_cause() {
    let server = RedisServer::with().password("Plover-4417").start();
    let client = Client::at(&format!("redis://127.0.0.1:{}", server.port()));
    let (code, answer) = client.run("login ada");
    assert_eq!(code, Some(6));
    assert!(answer.contains("auth.required"), "{answer}");
}

#[test]
fn a_refused_command_is_reported_with_pings_cause_and_exit_status() {
    let server = RedisServer::start();
    let client = Client::at(&server.url());
    client.run("login ada");
    server.ask(&["REPLICAOF", "127.0.0.1", &free_port().to_string()]);
    let status_and_output = |words: &[&str]| {
        let finished = client.program(words).run();
        (finished.code(), finished.output())
    };
    for words in [&["visits"][..], &["logout"], &["login", "bob"]] {
        let (status, output) = status_and_output(words);
        assert_eq!(status, Some(7), "{words:?}: {output}");
        assert!(output.contains("role.replica"), "{words:?}: {output}");
    }
}

#[test]
fn without_a_session_a_command_that_redis_lacks_is_the_reason() {
    let server = RedisServer::with().line("rename-command MULTI \"\"").start();
    let client = Client::at(&server.url());
    for line in ["login ada", "visits", "expire --ttl 1", "session", "logout"] {
        let (code, answer) = client.run(line);
        assert_eq!(code, Some(7), "{line}: {answer}");
    }
    let server = RedisServer::start();
    let (code, _) = Client::at(&server.url()).run("visits");
    assert_eq!(code, Some(1));
}

#[test]
fn each_fact_about_a_missing_permission_has_its_own_line() {
    let server = RedisServer::start();
    let rules = "on >ada-secret ~sessiontut:* +hset +hincrby +hgetall +expire +del +multi +exec";
    let words: Vec<&str> = ["ACL", "SETUSER", "ada"]
        .into_iter()
        .chain(rules.split(' '))
        .collect();
    server.ask(&words);
    let client = Client::at(&server.url().replace("redis://", "redis://ada:ada-secret@"));
    let finished = client.program(["login", "ada"]).run().expect(6);
    assert!(!finished.stderr.contains("\\n"), "{}", finished.stderr);
    let (_, report) = finished.stderr.split_once("auth.no_permission").unwrap();
    let facts = report.lines().skip(1).filter(|line| line.starts_with("  "));
    assert!(facts.count() > 1, "{}", finished.stderr);
}
