//! Tests that all commands use only keys that start with `sessiontut:`, and leave no key without a TTL.

mod support;

use support::program::Home;
use support::{App, Monitor, RedisServer};

/// A key that sessiontut did not create, and must neither read nor change.
const FOREIGN: &str = "orders:4711";

/// Commands that sessiontut never sends.
const FORBIDDEN: [&str; 6] = ["FLUSHALL", "FLUSHDB", "KEYS", "RANDOMKEY", "SHUTDOWN", "SWAPDB"];

fn redis_with_another_key() -> RedisServer {
    let server = RedisServer::start();
    server.ask(&["SET", FOREIGN, "two books"]);
    server
}

/// Checks the commands that Redis received, and the keys that remain. Returns how many keys the commands
/// used.
#[track_caller]
fn assert_only_our_keys(server: &RedisServer, monitor: &Monitor, arguments: &[&str]) -> usize {
    let mut touched = 0;
    for words in monitor.commands(server) {
        let name = words[0].to_uppercase();
        assert!(
            !FORBIDDEN.contains(&name.as_str()),
            "{arguments:?} sent {words:?}"
        );
        assert!(
            name != "CONFIG" || !words[1].eq_ignore_ascii_case("SET"),
            "{arguments:?} sent {words:?}"
        );
        assert!(
            name != "SCAN" || words.iter().any(|word| word.starts_with("sessiontut:")),
            "{arguments:?} sent {words:?}"
        );
        for key in keys_of(server, &words) {
            assert!(key.starts_with("sessiontut:"), "{arguments:?} sent {words:?}");
            touched += 1;
        }
    }
    for key in server.keys() {
        let has_ttl = server.pttl(&key) != -1;
        assert!(
            key == FOREIGN || (key.starts_with("sessiontut:") && has_ttl),
            "{arguments:?} left {key}"
        );
    }
    assert!(
        server.keys().contains(&FOREIGN.to_owned()),
        "{arguments:?} deleted the other key"
    );
    touched
}

/// Returns the keys of a command, as the server reports them.
fn keys_of(server: &RedisServer, words: &[String]) -> Vec<String> {
    let mut command = redis::cmd("COMMAND");
    command.arg("GETKEYS").arg(words);
    // The server returns an error for most commands without keys, such as PING.
    command.query(&mut server.connection()).unwrap_or_default()
}

#[test]
fn serve_uses_only_keys_with_the_prefix() {
    let server = redis_with_another_key();
    // In stage 2, keys have no TTL, but the app deletes its keys when it stops.
    for stage in ["1", "2", "3", "4"] {
        let monitor = server.monitor();
        let app = App::start(&server.url(), &["--stage", stage]);
        let mut ada = app.logged_in("ada");
        ada.get("/").expect(200);
        ada.get("/").expect(200);
        app.logged_in("grace").get("/").expect(200);
        ada.get("/logout").expect(303);
        app.stop().expect(0);
        let touched = assert_only_our_keys(&server, &monitor, &["serve", "--stage", stage]);
        assert!(
            touched > 0 || stage == "1",
            "stage {stage} sent no command with a key"
        );
    }
}

#[test]
fn the_stage_commands_and_ping_use_only_keys_with_the_prefix() {
    let server = redis_with_another_key();
    let home = Home::new();
    for words in [
        "ping",
        "ping --write-check",
        "ping --count 3 --interval 0.01",
        "login ada",
        "visits --times 2",
        "session",
        "expire --ttl 1",
        "visits",
        "login ada",
        "login grace",
        "logout",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let monitor = server.monitor();
        home.sessiontut(&words).redis(&server.url()).run();
        let touched = assert_only_our_keys(&server, &monitor, &words);
        assert!(
            touched > 0 || words[0] == "ping" || words == ["visits"],
            "{words:?} sent no command with a key"
        );
    }
    assert_eq!(server.keys(), [FOREIGN]);
}
