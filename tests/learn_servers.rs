//! Tests lessons on different servers: a cluster, with TLS or a password, stopped or paused, and shared with
//! other learners.

mod support;

use std::time::Duration;

use support::learner::{Learner, left, left_sanely, shown};
use support::lessons::{COUNT, learn};
use support::{Authority, Cluster, Home, Lessons, RedisServer, valkey};

#[test]
fn all_built_in_lessons_pass_on_the_practice_redis_on_redis_and_on_valkey() {
    let home = Home::new();
    home.run(["learn", "--check"]).expect(0);
    let servers: Vec<RedisServer> = [Some(RedisServer::start()), valkey::start()]
        .into_iter()
        .flatten()
        .collect();
    let running: Vec<_> = servers
        .iter()
        .map(|server| {
            let program = home.sessiontut(["learn", "--yes"]).redis(&server.url());
            program.limit(Duration::from_secs(180)).start()
        })
        .collect();
    let practice = home.sessiontut(["learn", "--yes"]).run().expect(0);
    assert!(practice.stdout.contains("  skipped   "), "{}", practice.stdout);
    for (running, server) in running.into_iter().zip(&servers) {
        let finished = running.finish().expect(0);
        assert!(!finished.stdout.contains("skipped"), "{}", finished.stdout);
        assert!(server.keys().is_empty(), "{:?}", server.keys());
    }
}

#[test]
fn a_lesson_passes_on_valkey_too() {
    let Some(server) = valkey::start() else {
        return;
    };
    let lessons = Lessons::of(&[("03-count-visits.md", COUNT)]);
    lessons.run_on(&server.url()).expect(0);
    assert!(server.keys().is_empty());
}

#[test]
fn a_lesson_follows_a_cluster_wherever_its_keys_are() {
    let cluster = Cluster::start();
    let more = "# More\n\n## Keys\n\n```redis\n> SET sessiontut:a 1\nOK\n> SET sessiontut:b 2\nOK\n> SET sessiontut:c 3\nOK\n> \
                MULTI\nOK\n> PING\nQUEUED\n> INCR sessiontut:b\nQUEUED\n> EXEC\n1) PONG\n2) (integer) 3\n```\n";
    let lessons = Lessons::of(&[("03-count-visits.md", COUNT), ("04-more.md", more)]);
    let home = Home::new();
    home.sessiontut(learn(&lessons))
        .args(["--yes"])
        .redis(&cluster.url())
        .run()
        .expect(0);
    assert!(cluster.keys().is_empty(), "{:?}", cluster.keys());
}

#[test]
fn a_lesson_runs_over_tls_and_says_when_the_certificate_is_not_trusted() {
    let authority = Authority::new();
    let server = RedisServer::with().tls(&authority.issue(&["127.0.0.1"])).start();
    let lessons = Lessons::of(&[("03-count-visits.md", COUNT)]);
    let ca = authority.ca().display().to_string();
    let home = Home::new();
    let run = |more: &[&str]| {
        let program = home.sessiontut(learn(&lessons)).args(["--yes"]).args(more);
        program.redis(&server.url()).run()
    };
    run(&["--ca", &ca]).expect(0);
    let refused = run(&[]);
    assert_ne!(refused.code(), Some(0));
    assert!(!refused.output().contains("expected"), "{}", refused.output());
}

#[test]
fn a_password_is_used_and_never_shown_and_a_wrong_one_is_no_wrong_answer() {
    let lessons = Lessons::of(&[("03-count-visits.md", COUNT)]);
    let server = RedisServer::with().password("open-sesame").start();
    let home = Home::new();
    let ran = home
        .sessiontut(learn(&lessons))
        .args(["--yes"])
        .redis(&server.url())
        .run()
        .expect(0);
    assert!(!ran.output().contains("sesame"), "{}", ran.output());
    let wrong = server.url().replace("open-sesame", "open-barley");
    let refused = home
        .sessiontut(learn(&lessons))
        .args(["--yes"])
        .redis(&wrong)
        .run()
        .expect(6);
    assert!(!refused.output().contains("barley"), "{}", refused.output());
    assert!(!refused.output().contains("expected"), "{}", refused.output());
}

#[test]
fn a_url_that_cannot_be_used_is_exit_status_2_in_the_words_of_ping() {
    let lessons = Lessons::of(&[("03-count-visits.md", COUNT)]);
    let finished = lessons.run_on("http://127.0.0.1:6379").expect(2);
    assert!(finished.output().contains("url."), "{}", finished.output());
}

#[test]
fn an_unreachable_redis_is_no_wrong_answer() {
    let lessons = Lessons::of(&[("03-count-visits.md", COUNT)]);
    let closed = format!("redis://127.0.0.1:{}", support::ports::free_port());
    let finished = lessons.run_on(&closed).expect(4);
    assert!(!finished.output().contains("expected"), "{}", finished.output());
}

#[test]
fn a_dead_redis_is_not_the_learners_mistake_and_the_lesson_goes_on_when_it_is_back() {
    let mut learner = Learner::new();
    let terminal = learner.at_the_task();
    learner.server.kill();
    terminal.line("EXPIRE sessiontut:user:ada 100");
    let screen = terminal.wait_for(shown::UNAVAILABLE);
    assert!(
        screen.contains("p ping") && !screen.contains(shown::NOT_YET),
        "{screen}"
    );
    terminal.keys(&["Enter"]);
    terminal.wait_until("the second refusal", |screen| {
        screen.matches(shown::UNAVAILABLE).count() == 2
    });
    learner.server.restart();
    terminal.keys(&["Enter"]);
    terminal.wait_for(shown::CORRECT);
    assert_eq!(
        learner.server.hash("sessiontut:user:ada"),
        [("visits".to_owned(), "1".to_owned())]
    );
    terminal.keys(&["q"]);
    left_sanely(&terminal, &learner, 0);
}

#[test]
fn a_replica_is_not_the_learners_mistake_and_the_lesson_goes_on_when_it_is_a_primary_again() {
    let learner = Learner::new();
    let terminal = learner.at_the_task();
    learner.server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    terminal.line("EXPIRE sessiontut:user:ada 100");
    let screen = terminal.wait_for(shown::UNAVAILABLE);
    assert!(
        screen.contains("READONLY") && !screen.contains(shown::NOT_YET) && !screen.contains(shown::SOLUTION),
        "{screen}"
    );
    terminal.keys(&["Enter"]);
    terminal.wait_until("the second refusal", |screen| {
        screen.matches(shown::UNAVAILABLE).count() == 2
    });
    learner.server.ask(&["REPLICAOF", "NO", "ONE"]);
    terminal.keys(&["Enter"]);
    terminal.wait_for(shown::CORRECT);
    terminal.keys(&["q"]);
    left_sanely(&terminal, &learner, 0);
}

#[test]
fn a_long_wait_for_redis_says_what_it_waits_for_and_can_be_left() {
    let learner = Learner::new();
    let terminal = learner.at_the_task();
    learner.server.pause();
    terminal.line("EXPIRE sessiontut:user:ada 100");
    terminal.wait_for(shown::WAITING_FOR_REDIS);
    learner.server.resume();
    let screen = terminal.wait_for(shown::CORRECT);
    assert!(!screen.contains(shown::WAITING_FOR_REDIS), "{screen}");
    terminal.keys(&["Enter"]);
    terminal.wait_for("wait and run");
    learner.server.pause();
    terminal.keys(&["Enter"]);
    terminal.wait_for(shown::WAITING_FOR_REDIS);
    terminal.keys(&["C-c"]);
    learner.server.resume();
    left_sanely(&terminal, &learner, 130);
}

#[test]
fn a_second_learner_runs_under_another_name_and_affects_no_other() {
    let lessons = Lessons::of(&[("03-count-visits.md", COUNT)]);
    let server = RedisServer::start();
    server.ask(&["SET", "sessiontut:lesson:ada", "another-learner", "EX", "60"]);
    server.ask(&["HSET", "sessiontut:user:ada", "visits", "41"]);
    let finished = lessons.run_on(&server.url()).expect(0);
    assert!(
        finished.stderr.contains(shown::NAME_IN_USE),
        "{}",
        finished.stderr
    );
    assert_eq!(
        server.hash("sessiontut:user:ada"),
        [("visits".to_owned(), "41".to_owned())]
    );
    assert_eq!(server.keys(), ["sessiontut:lesson:ada", "sessiontut:user:ada"]);
}

#[test]
fn a_second_learner_is_told_and_chooses_a_name() {
    let learner = Learner::new();
    learner
        .server
        .ask(&["SET", "sessiontut:lesson:ada", "another", "EX", "60"]);
    learner.server.ask(&["SET", "orders:1", "theirs"]);
    let terminal = learner.sits_down();
    // The other learner's key also starts with `sessiontut:`.
    terminal.wait_for(shown::OTHER_KEYS);
    terminal.keys(&["Enter"]);
    terminal.wait_for(shown::NAME_IN_USE);
    terminal.line("Not A Name");
    terminal.wait_for(shown::NAME_RULE);
    terminal.line("grace");
    terminal.wait_for("HINCRBY sessiontut:user:grace visits 1");
    terminal.keys(&["Enter"]);
    terminal.wait_for("Enter next");
    assert!(learner.server.hash("sessiontut:user:ada").is_empty());
    assert_eq!(learner.server.hash("sessiontut:user:grace").len(), 1);
    terminal.keys(&["q"]);
    left(&terminal, 0);
    let mut keys = learner.server.keys();
    keys.sort();
    assert_eq!(keys, ["orders:1", "sessiontut:lesson:ada"]);
}

#[test]
fn keys_of_this_program_cause_no_message() {
    let learner = Learner::new();
    learner
        .server
        .ask(&["SET", "sessiontut:session:old", "ours", "EX", "60"]);
    let terminal = learner.sits_down();
    let screen = terminal.wait_for("Enter run");
    assert!(!screen.contains(shown::OTHER_KEYS), "{screen}");
    terminal.keys(&["q"]);
    left(&terminal, 0);
}

#[test]
fn ctrl_c_in_a_ping_within_a_lesson_ends_the_ping_and_not_the_lesson() {
    let learner = Learner::new();
    let terminal = learner.at_the_task();
    learner.server.pause();
    terminal.line("EXPIRE sessiontut:user:ada 100");
    terminal.wait_for("Enter try again");
    terminal.keys(&["p"]);
    terminal.wait_for("waiting for PONG");
    terminal.keys(&["C-c"]);
    let screen = terminal.wait_for("Enter try again");
    assert!(!screen.contains("waiting for PONG"), "{screen}");
    learner.server.resume();
    terminal.keys(&["Enter"]);
    terminal.wait_for(shown::CORRECT);
    terminal.keys(&["C-c"]);
    left_sanely(&terminal, &learner, 130);
}

#[test]
fn a_learner_who_leaves_while_redis_is_silent_is_told_the_reason_and_that_keys_remain() {
    let learner = Learner::new();
    let terminal = learner.at_the_task();
    learner.server.pause();
    terminal.keys(&["C-c"]);
    terminal.wait_for(shown::WAITING_FOR_REDIS);
    left(&terminal, 130);
    let screen = terminal.screen();
    assert!(
        screen.contains(shown::NOT_REMOVED) && !screen.contains(shown::WAITING_FOR_REDIS),
        "{screen}"
    );
    learner.server.resume();
}
