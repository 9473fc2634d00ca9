//! Tests lessons without a person: loading them, `learn --yes`, the progress, and the keys that remain in
//! Redis.

mod support;

use std::fs;
use std::time::Duration;

use support::golden::assert_golden;
use support::lessons::{COUNT, learn};
use support::wait::wait_for;
use support::{Cluster, Home, Lessons, RedisServer, Terminal};

#[test]
fn a_lesson_runs_unattended_and_leaves_nothing_behind() {
    let lessons = Lessons::of(&[("03-count-visits.md", COUNT)]);
    let server = RedisServer::start();
    server.ask(&["SET", "other", "theirs"]);
    let monitor = server.monitor();
    let home = Home::new();
    let finished = home
        .sessiontut(learn(&lessons))
        .args(["--yes"])
        .redis(&server.url())
        .run()
        .expect(0);
    assert!(finished.stdout.contains("5 of 5 replies"), "{}", finished.stdout);
    assert_eq!(server.keys(), ["other"]);
    for command in monitor.commands(&server) {
        let key = command.get(1).map(String::as_str).unwrap_or_default();
        let is_plain = matches!(
            command[0].to_uppercase().as_str(),
            "PING" | "ECHO" | "DBSIZE" | "CLIENT" | "HELLO" | "SELECT" | "INFO" | "ROLE" | "CLUSTER"
        );
        let counts_ours = command[0].eq_ignore_ascii_case("SCAN") && command[3].starts_with("sessiontut:");
        assert!(
            is_plain || counts_ours || key.starts_with("sessiontut:"),
            "{command:?}"
        );
    }
    assert!(
        !home.state().join("progress.json").exists(),
        "--yes neither reads nor writes progress"
    );
}

#[test]
fn a_changed_reply_is_reported_with_its_line_its_command_and_both_replies() {
    let changed = COUNT.replacen("(integer) 1\n> TTL", "(integer) 7\n> TTL", 1);
    let lessons = Lessons::of(&[("03-count-visits.md", &changed)]);
    let server = RedisServer::start();
    let finished = lessons.run_on(&server.url()).expect(1);
    let place = format!("{}:10", lessons.file("03-count-visits.md").display());
    let lines: Vec<&str> = finished.stdout.lines().collect();
    let at = lines
        .iter()
        .position(|line| *line == place)
        .unwrap_or_else(|| panic!("{}", finished.stdout));
    assert!(
        lines[at + 1].ends_with("HINCRBY sessiontut:user:ada visits 1"),
        "{}",
        finished.stdout
    );
    assert!(
        lines[at + 2].contains("expected") && lines[at + 2].ends_with("(integer) 7"),
        "{}",
        finished.stdout
    );
    assert!(
        lines[at + 3].contains("got") && lines[at + 3].ends_with("(integer) 1"),
        "{}",
        finished.stdout
    );
    assert!(server.keys().is_empty());
}

#[test]
fn wording_of_an_unattended_run() {
    let changed = COUNT
        .replacen("(integer) 1\n> TTL", "(integer) 7\n> TTL", 1)
        .replacen(
            "EXPIRE sessiontut:user:ada 100\n",
            "PERSIST sessiontut:user:ada\n",
            1,
        );
    let real = "# Real\n\n## S\n\n```redis real\n> PING\nPONG\n```\n\n```sh run\nsessiontut visits\n```\n";
    let lessons = Lessons::of(&[
        ("03-count-visits.md", &changed),
        ("04-real.md", real),
        ("05-broken.md", "# Broken\n"),
    ]);
    let finished = Home::new()
        .sessiontut(learn(&lessons))
        .args(["--yes"])
        .run()
        .expect(1);
    let text = format!("{}\n--- standard error\n{}", finished.stdout, finished.stderr);
    assert_golden("learn/unattended.txt", &text.replace(&lessons.path(), "lessons"));
}

#[test]
fn a_wrong_state_is_explained_in_the_words_of_the_lesson() {
    let changed = COUNT.replacen(
        "```redis try\n> EXPIRE sessiontut:user:ada 100",
        "```redis try\n> PERSIST sessiontut:user:ada",
        1,
    );
    let lessons = Lessons::of(&[("03-count-visits.md", &changed)]);
    let server = RedisServer::start();
    let finished = lessons.run_on(&server.url()).expect(1);
    assert!(
        finished.stdout.contains("it has no time to live yet"),
        "{}",
        finished.stdout
    );
}

#[test]
fn lessons_need_a_terminal_or_yes_and_say_so_in_one_line() {
    let lessons = Lessons::of(&[("03-count-visits.md", COUNT)]);
    let finished = Home::new().run(learn(&lessons)).expect(2);
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("--yes"), "{}", finished.stderr);
    assert_eq!(finished.stdout, "");
}

#[test]
fn an_invalid_file_does_not_affect_the_others() {
    let bad = COUNT.replace("redis check", "redis chek");
    let lessons = Lessons::of(&[
        ("03-count-visits.md", COUNT),
        ("04-broken.md", &bad),
        ("note.md", "# Note\n"),
        ("README.md", "# About\n"),
    ]);
    let home = Home::new();
    let line = format!("{}:33: ", lessons.file("04-broken.md").display());
    let checked = home.sessiontut(learn(&lessons)).args(["--check"]).run().expect(1);
    assert!(checked.stdout.contains(&line), "{}", checked.stdout);
    assert!(checked.stdout.contains("note.md:1: "), "{}", checked.stdout);
    assert!(!checked.output().contains("README"), "{}", checked.stdout);

    let server = RedisServer::start();
    let ran = home
        .sessiontut(learn(&lessons))
        .args(["--yes"])
        .redis(&server.url())
        .run()
        .expect(1);
    assert!(ran.stdout.contains("5 of 5 replies"), "{}", ran.stdout);
    assert!(ran.stderr.contains(&line), "{}", ran.stderr);
    home.sessiontut(learn(&lessons))
        .args(["--yes", "count"])
        .redis(&server.url())
        .run()
        .expect(0);
}

#[test]
fn check_compares_regions_of_example_files() {
    let lesson = "# T\n\n## S\n\n```python from=app.py#two\nb()\n```\n\n```python from=app.py#none\nx\n```\n\n```rust from=gone.rs#a\nx\n```\n";
    let lessons = Lessons::of(&[
        ("01-t.md", lesson),
        ("app.py", "a()\n# region two\nc()\n# endregion two\n"),
    ]);
    let checked = Home::new()
        .sessiontut(learn(&lessons))
        .args(["--check"])
        .run()
        .expect(1);
    for part in ["01-t.md:6: ", "01-t.md:9: ", "01-t.md:13: "] {
        assert!(checked.stdout.contains(part), "{}", checked.stdout);
    }
    fs::write(
        lessons.file("01-t.md"),
        "# T\n\n## S\n\n```python from=app.py#two\nc()\n```\n",
    )
    .unwrap();
    Home::new()
        .sessiontut(learn(&lessons))
        .args(["--check"])
        .run()
        .expect(0);
}

#[test]
fn a_command_on_a_foreign_key_is_refused_before_anything_is_sent() {
    let lesson = COUNT.replacen("> TTL sessiontut:user:ada", "> DEL other", 1);
    let lessons = Lessons::of(&[("03-count-visits.md", &lesson)]);
    let server = RedisServer::start();
    server.ask(&["SET", "other", "theirs"]);
    let finished = lessons.run_on(&server.url()).expect(1);
    assert!(
        finished.output().contains("03-count-visits.md:12: "),
        "{}",
        finished.output()
    );
    assert_eq!(server.keys(), ["other"]);
}

#[test]
fn ctrl_c_ends_an_unattended_run_with_130_and_removes_the_keys() {
    let lesson = COUNT.replace("after=100ms", "after=90s");
    let lessons = Lessons::of(&[("03-count-visits.md", &lesson)]);
    let server = RedisServer::start();
    let mut running = Home::new()
        .sessiontut(learn(&lessons))
        .args(["--yes"])
        .redis(&server.url())
        .start();
    running.wait_for_stdout("90 s");
    assert!(!server.keys().is_empty());
    running.interrupt();
    running.finish().expect(130);
    assert!(server.keys().is_empty(), "{:?}", server.keys());
}

#[test]
fn ctrl_c_while_an_app_is_graded_ends_an_unattended_run_with_130() {
    let server = RedisServer::start();
    let home = Home::new();
    let program = home.sessiontut(["learn", "--yes", "9"]);
    let mut running = program.redis(&server.url()).start();
    running.wait_for_stdout("stage 1");
    running.interrupt();
    running.finish().expect(130);
    assert!(server.keys().is_empty(), "{:?}", server.keys());
}

#[test]
fn a_killed_run_leaves_no_key_without_a_ttl() {
    let lessons = lesson_with(
        "```redis\n> HSET sessiontut:user:ada visits 1\n(integer) 1\n```\n\n\
         ```redis after=1s\n> TTL sessiontut:user:ada\n(integer) -1\n```\n\n\
         ```redis after=90s\n> PING\nPONG\n```\n",
    );
    let server = RedisServer::start();
    let mut running = Home::new()
        .sessiontut(learn(&lessons))
        .args(["--yes"])
        .redis(&server.url())
        .start();
    running.wait_for_stdout("90 s");
    wait_for("a TTL", || (server.pttl("sessiontut:user:ada") > 0).then_some(()));
    running.kill();
    assert!(!running.finish().output().contains("expected"));
    assert!(server.pttl("sessiontut:user:ada") > 0);
}

#[test]
fn the_app_runs_beside_a_lesson_that_checks_what_the_browser_did() {
    let lesson = "# Browser\n\n## Serve\n\n```sh run\nsessiontut serve --step 3 --ttl 30\n```\n\n```redis check\n> HGET sessiontut:user:ada \
                  visits\n\"3\"\n> TTL sessiontut:user:ada\n(integer) [1-30]\n```\n";
    let lessons = Lessons::of(&[("06-browser.md", lesson)]);
    let server = RedisServer::start();
    let finished = Home::new()
        .sessiontut(learn(&lessons))
        .args(["--yes"])
        .redis(&server.url())
        .run();
    assert_eq!(finished.code(), Some(0), "{}", finished.output());
    assert!(server.keys().is_empty(), "{:?}", server.keys());
}

/// Returns a lesson with a single step that contains this fence.
fn lesson_with(fence: &str) -> Lessons {
    Lessons::of(&[("01-own.md", &format!("# Own\n\n> Promise.\n\n## S\n\n{fence}"))])
}

#[test]
fn a_command_that_a_strangers_lesson_may_not_run_is_refused_when_it_is_loaded() {
    let server = RedisServer::start();
    for command in [
        "ping --report REPORT",
        "ping redis://127.0.0.1:1",
        "ping --hold 86400",
        "learn --yes",
        "drill",
        "check -- touch REPORT",
        "check --stage 1 -- $APP",
    ] {
        let home = Home::new();
        let report = home.path().join("report");
        let command = command.replace("REPORT", report.to_str().unwrap());
        let lessons = lesson_with(&format!(
            "```redis\n> PING\nPONG\n```\n\n```sh run\nsessiontut {command}\n```\n\n```sh try\nsessiontut {command}\n```\n"
        ));
        let line = format!("{}:13: ", lessons.file("01-own.md").display());
        let line_of_try = format!("{}:17: ", lessons.file("01-own.md").display());
        for arguments in ["--check", "--yes"] {
            let finished = home
                .sessiontut(learn(&lessons))
                .args([arguments])
                .redis(&server.url())
                .run()
                .expect(1);
            assert!(
                finished.output().contains(&line) && finished.output().contains(&line_of_try),
                "{command}: {}",
                finished.output()
            );
        }
        assert!(!report.exists(), "{command}");
    }
}

#[test]
fn an_unattended_run_repeats_a_command_that_must_succeed_only_once() {
    let server = RedisServer::start();
    let lessons = lesson_with("```sh try\nsessiontut visits\n```\n");
    let output = lessons.run_on(&server.url()).expect(1).output();
    assert_eq!(output.matches("01-own.md:7").count(), 2, "{output}");
}

#[test]
fn the_built_in_lessons_may_start_a_drill_from_a_copy_too() {
    let lesson = fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("lessons/08-troubleshooting.md"),
    )
    .unwrap();
    let check = |text: &str| {
        let lessons = Lessons::of(&[("08-troubleshooting.md", text)]);
        Home::new()
            .sessiontut(learn(&lessons))
            .args(["--check"])
            .run()
            .code()
    };
    assert_eq!(check(&lesson), Some(0));
    assert_eq!(check(&format!("{lesson}\nMore.\n")), Some(1));
}

#[test]
fn the_list_says_what_is_done_now_and_open() {
    let lessons = Lessons::of(&[
        ("01-first.md", COUNT),
        ("02-second.md", COUNT),
        ("03-third.md", COUNT),
    ]);
    let home = Home::new();
    fs::create_dir_all(home.state()).unwrap();
    let progress =
        r#"{"version":1,"current":"second","lessons":{"first":{"done":true},"second":{"step":2}}}"#;
    fs::write(home.state().join("progress.json"), progress).unwrap();
    let listed = home.sessiontut(learn(&lessons)).args(["--list"]).run().expect(0);
    let lines: Vec<String> = listed
        .stdout
        .lines()
        .map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(lines.len(), 3);
    for (line, start) in lines
        .iter()
        .zip(["done 1 first", "now 2 second", "to do 3 third"])
    {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn reset_forgets_one_lesson_or_all_and_removes_their_keys() {
    let lessons = Lessons::of(&[("01-first.md", COUNT), ("02-second.md", COUNT)]);
    let home = Home::new();
    let server = RedisServer::start();
    fs::create_dir_all(home.state()).unwrap();
    let file = home.state().join("progress.json");
    let progress = r#"{"version":1,"current":"second","lessons":{"first":{"done":true},"second":{"step":2},"gone":{"done":true}},"keys":["sessiontut:typed","sessiontut:user:ada"]}"#;
    fs::write(&file, progress).unwrap();
    server.ask(&["SET", "sessiontut:typed", "1"]);
    server.ask(&["HSET", "sessiontut:user:ada", "visits", "1"]);
    home.sessiontut(learn(&lessons))
        .args(["--reset", "second"])
        .redis(&server.url())
        .run()
        .expect(0);
    assert!(server.keys().is_empty(), "{:?}", server.keys());
    let kept = fs::read_to_string(&file).unwrap();
    assert!(kept.contains("first") && !kept.contains("\"second\""), "{kept}");
    home.sessiontut(learn(&lessons))
        .args(["--reset", "all"])
        .redis(&server.url())
        .run()
        .expect(0);
    let kept = fs::read_to_string(&file).unwrap();
    assert!(
        !kept.contains("first") && kept.contains("gone"),
        "ids that are not in these lessons stay: {kept}"
    );
    let wrong = home
        .sessiontut(learn(&lessons))
        .args(["--reset", "no-such"])
        .redis(&server.url())
        .run()
        .expect(2);
    assert!(wrong.stderr.contains("--list"), "{}", wrong.stderr);
}

#[test]
fn lessons_need_neither_a_redis_nor_a_home() {
    let lessons = Lessons::of(&[("03-count-visits.md", COUNT)]);
    for home in ["", "/proc/no-such-home"] {
        Home::new()
            .sessiontut(learn(&lessons))
            .args(["--yes"])
            .env("HOME", home)
            .env("XDG_STATE_HOME", "")
            .run()
            .expect(0);
    }
}

#[test]
fn a_file_that_cannot_be_a_lesson_is_refused_with_its_line() {
    let lessons = Lessons::of(&[("03-count-visits.md", COUNT)]);
    fs::write(lessons.file("04-latin.md"), b"# T\n\n## S\n\nna\xefve\n").unwrap();
    fs::write(lessons.file("05-huge.md"), "# T\n\n## S\n\n".repeat(200_000)).unwrap();
    fs::create_dir(lessons.file("06-folder.md")).unwrap();
    let checked = Home::new()
        .sessiontut(learn(&lessons))
        .args(["--check"])
        .run()
        .expect(1);
    for wanted in [
        "04-latin.md:5: ",
        "05-huge.md:1: ",
        "06-folder.md:1: ",
        "1 lesson, ",
    ] {
        assert!(checked.stdout.contains(wanted), "{wanted}: {}", checked.stdout);
    }
}

#[test]
fn a_lesson_leaves_the_keys_of_a_colleague_alone() {
    let server = RedisServer::start();
    server.ask(&["HSET", "sessiontut:user:ada", "visits", "7"]);
    let lessons = Lessons::of(&[("03-count-visits.md", COUNT)]);
    lessons.run_on(&server.url()).expect(0);
    assert_eq!(
        server.hash("sessiontut:user:ada"),
        [("visits".to_owned(), "7".to_owned())]
    );
    assert_eq!(server.keys(), ["sessiontut:user:ada"]);
}

#[test]
fn reset_leaves_the_keys_of_a_learner_who_is_in_a_lesson() {
    let server = RedisServer::start();
    let home = Home::new();
    let lessons = Lessons::of(&[("01-first.md", COUNT)]);
    fs::create_dir_all(home.state()).unwrap();
    let progress = r#"{"version":1,"lessons":{},"keys":["sessiontut:user:ada"]}"#;
    fs::write(home.state().join("progress.json"), progress).unwrap();
    server.ask(&["SET", "sessiontut:lesson:ada", "another", "EX", "60"]);
    server.ask(&["HSET", "sessiontut:user:ada", "visits", "7"]);
    server.ask(&["HSET", "sessiontut:user:grace", "visits", "7"]);
    let reset = || {
        let program = home.sessiontut(learn(&lessons)).args(["--reset", "all"]);
        program.redis(&server.url()).run().expect(0);
    };
    reset();
    assert_eq!(server.keys().len(), 3, "{:?}", server.keys());
    server.ask(&["DEL", "sessiontut:lesson:ada"]);
    reset();
    assert_eq!(server.keys(), ["sessiontut:user:grace"]);
}

#[test]
fn a_lesson_stays_in_its_database() {
    let server = RedisServer::start();
    let lessons = lesson_with(
        "```redis\n> SET sessiontut:a x\nOK\n> COPY sessiontut:a sessiontut:b DB 5\n(integer) 1\n```\n",
    );
    let finished = lessons.run_on(&server.url()).expect(1);
    assert!(
        finished.output().contains("01-own.md:10: "),
        "{}",
        finished.output()
    );
    let keyspace = format!("{:?}", server.ask(&["INFO", "keyspace"]));
    assert!(!keyspace.contains("db"), "{keyspace}");
}

#[test]
fn a_practice_redis_is_recognised_by_its_url() {
    let home = Home::new();
    let mut practice = home.sessiontut(["practice", "--no-save"]).start();
    let url = practice.first_line();
    let lessons = lesson_with("```redis\n> PING\nPONG\n```\n\n```redis real\n> PING\nnot this\n```\n");
    let on_practice = lessons.run_on(&url).expect(0);
    assert!(on_practice.stdout.contains("skipped"), "{}", on_practice.stdout);
    lessons.run_on(&RedisServer::start().url()).expect(1);
}

#[test]
fn a_wait_may_be_longer_than_the_servers_idle_timeout() {
    let server = RedisServer::start();
    server.ask(&["CONFIG", "SET", "timeout", "1"]);
    let lessons = lesson_with(
        "```redis\n> SET sessiontut:a x\nOK\n```\n\n```redis after=4s\n> GET sessiontut:a\n\"x\"\n```\n",
    );
    let finished = lessons.run_on(&server.url()).expect(0);
    assert!(
        finished.stdout.contains("2 of 2 replies"),
        "{}",
        finished.output()
    );
}

#[test]
fn a_transaction_outlives_the_servers_idle_timeout() {
    let lessons = lesson_with(
        "```redis\n> MULTI\nOK\n> INCR sessiontut:a\nQUEUED\n```\n\n\
         ```redis after=4s\n> INCR sessiontut:a\nQUEUED\n> EXEC\n1) (integer) 1\n2) (integer) 2\n```\n",
    );
    let server = RedisServer::start();
    server.ask(&["CONFIG", "SET", "timeout", "1"]);
    lessons.run_on(&server.url()).expect(0);
    let cluster = Cluster::start();
    for node in &cluster.nodes {
        node.ask(&["CONFIG", "SET", "timeout", "1"]);
    }
    lessons.run_on(&cluster.url()).expect(0);
}

#[test]
fn unattended_lessons_end_after_three_minutes() {
    // This library makes the program's clock run twenty times faster.
    let libraries = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let mut libraries = libraries.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    let library = libraries
        .find(|library| library.exists())
        .expect("apt-get install faketime");
    let lessons = lesson_with("```redis after=150s\n> PING\nPONG\n> PING\nPONG\n```\n");
    let run = |lessons: &Lessons| {
        Home::new()
            .sessiontut(learn(lessons))
            .args(["--yes"])
            .env("LD_PRELOAD", &library)
            .env("FAKETIME", "+0 x20")
            .limit(Duration::from_secs(40))
            .run()
    };
    run(&lessons).expect(0);
    let endless = "```redis after=150s\n> PING\nPONG\n```\n\n".repeat(2);
    let finished = run(&lesson_with(&endless)).expect(1);
    assert!(finished.stderr.contains("180 s"), "{}", finished.output());
}

#[test]
fn a_file_of_a_megabyte_is_read_in_seconds() {
    let lessons = lesson_with(&"word\n\n".repeat(170_000));
    let finished = Home::new().sessiontut(learn(&lessons)).args(["--check"]).run();
    assert!(finished.took < Duration::from_secs(10), "{:?}", finished.took);
}

#[test]
fn the_cheat_sheet_is_markdown_only_outside_of_a_terminal() {
    let home = Home::new();
    let printed = home.sessiontut(["learn", "--cheat-sheet"]).run().expect(0);
    assert_eq!(printed.stdout, include_str!("../docs/cheat-sheet.md"));
    let terminal = Terminal::sized(&home, &["learn", "--cheat-sheet"], 100, 120, &[]);
    let screen = terminal.wait_for("sessiontut ping");
    assert_eq!(terminal.broken_lines(), [""; 0], "{screen}");
    assert!(!screen.contains("| ---") && !screen.contains("**"), "{screen}");
}

#[test]
fn an_acl_that_is_too_weak_is_reported_with_its_cause() {
    let server = RedisServer::start();
    server.ask(&[
        "ACL",
        "SETUSER",
        "ada",
        "on",
        ">ada-secret",
        "~sessiontut:*",
        "+@all",
        "-hincrby",
    ]);
    let url = server.url().replace("redis://", "redis://ada:ada-secret@");
    let lessons = Lessons::of(&[("03-count-visits.md", COUNT)]);
    let finished = lessons.run_on(&url).expect(6);
    assert!(!finished.output().contains("expected  "), "{}", finished.output());
    assert!(server.keys().is_empty(), "{:?}", server.keys());

    server.ask(&["ACL", "SETUSER", "ada", "+hincrby", "-del"]);
    lessons.run_on(&url).expect(6);
}
