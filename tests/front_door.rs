//! Tests the command line: help, version, typos, pipes and the menu.

mod support;

use std::process::{Command, Stdio};

use clap::CommandFactory;
use sessiontut::Cli;
use support::golden::assert_golden;
use support::program::SESSIONTUT;
use support::{Home, RedisServer, Terminal};

/// Returns the names of all subcommands that the help shows.
fn subcommands() -> Vec<String> {
    Cli::command()
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(|command| command.get_name().to_owned())
        .collect()
}

#[test]
fn the_command_line_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_version_is_that_of_the_crate() {
    let finished = Home::new().run(["--version"]).expect(0);
    assert_eq!(
        finished.stdout,
        format!("sessiontut {}\n", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(finished.stderr, "");
}

#[test]
fn a_bug_report_names_the_version_the_build_and_the_state_folder() {
    let home = Home::new();
    let listed = home.run(["--version", "--verbose"]).expect(0).stdout;
    for expected in [
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        home.path().to_str().unwrap(),
    ] {
        assert!(listed.contains(expected), "{listed}");
    }
}

#[test]
fn every_subcommand_has_a_man_page() {
    let home = Home::new();
    home.run(["man", "pages"]).expect(0);
    for name in subcommands() {
        let page = home.path().join(format!("pages/sessiontut-{name}.1"));
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(text.contains(".SH OPTIONS"), "{text}");
    }
    assert!(!home.path().join("pages/sessiontut-man.1").exists());
    std::fs::write(home.path().join("file"), "").unwrap();
    home.run(["man", "file/pages"]).expect(1);
}

#[test]
fn explain_prints_the_page_of_a_cause_and_suggests_a_code() {
    let home = Home::new();
    let page = home.run(["explain", "tls.required"]).expect(0).stdout;
    assert!(
        page.starts_with("tls.required\n") && page.contains("$ sessiontut ping"),
        "{page}"
    );
    assert!(
        home.run(["explain", "tls.require"])
            .expect(2)
            .stderr
            .contains("tls.required")
    );
    assert!(
        home.run(["explain", "nonsense"])
            .expect(2)
            .stderr
            .contains("--codes")
    );
}

#[test]
fn completions_know_the_codes_lessons_and_faults() {
    let script = Home::new().run(["completions", "bash"]).expect(0).stdout;
    for word in ["tcp.timeout", "session-store", "wrong-password"] {
        assert!(script.contains(word), "{word}");
    }
}

#[test]
fn every_subcommand_has_help_within_100_columns() {
    let home = Home::new();
    let help = home.run(["--help"]).expect(0).stdout;
    let cli = Cli::command();
    for command in cli.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name();
        assert!(
            help.contains(&format!("\n  {name}")),
            "--help does not list {name}:\n{help}"
        );
        let details = home.run([name, "--help"]).expect(0).stdout;
        for line in details.lines().chain(help.lines()) {
            assert!(line.chars().count() <= 100, "too wide: {line:?}");
        }
        for option in command.get_arguments().filter_map(|argument| argument.get_long()) {
            assert!(
                details.contains(&format!("--{option}")),
                "{name} --help lacks --{option}"
            );
        }
    }
}

#[test]
fn the_wording_of_the_help() {
    let home = Home::new();
    assert_golden("help/sessiontut.txt", &home.run(["--help"]).expect(0).stdout);
    for name in subcommands() {
        assert_golden(
            &format!("help/{name}.txt"),
            &home.run([&name, "--help"]).expect(0).stdout,
        );
    }
}

#[test]
fn a_typo_on_the_command_line_is_one_error_and_exit_status_2() {
    let home = Home::new();
    let mut typos = vec![vec!["pong".to_owned()], vec!["--no-such-option".to_owned()]];
    typos.extend(
        subcommands()
            .into_iter()
            .map(|name| vec![name, "--no-such-option".to_owned()]),
    );
    for typo in typos {
        let finished = home.run(&typo).expect(2);
        assert_eq!(finished.stdout, "", "{typo:?}");
        assert_eq!(
            finished.stderr.matches("error:").count(),
            1,
            "{}",
            finished.stderr
        );
        assert!(
            finished.stderr.contains(typo.last().unwrap()),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn a_closed_pipe_causes_no_panic() {
    let home = Home::new();
    for arguments in [vec!["--help"], vec!["completions", "bash"]] {
        let mut child = Command::new(SESSIONTUT)
            .args(&arguments)
            .env_clear()
            .envs(home.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The pipe is closed before anything is written to it.
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
    }
}

#[test]
fn without_a_subcommand_a_terminal_shows_the_menu() {
    let server = RedisServer::start();
    let home = Home::new();
    let url = server.url();
    let terminal = Terminal::shell(&home, 80, 24, &[("REDIS_URL", url.as_str())]);
    terminal.line("clear; sessiontut; echo it ended with $?");
    let menu = terminal.wait_for("> learn");
    assert!(menu.contains(&format!("{url} (REDIS_URL)")), "{menu}");
    terminal.keys(&["x", "Down"]);
    terminal.wait_for("> ping");
    for key in ["Enter", "p"] {
        terminal.keys(&[key]);
        terminal.wait_for("it ended with 0");
        assert!(terminal.screen().contains("ok: "), "{}", terminal.screen());
        terminal.line("clear; sessiontut; echo it ended with $?");
        terminal.wait_for("> learn");
    }
    terminal.keys(&["q"]);
    terminal.wait_for("it ended with 0");
    for (key, status) in [("q", 0), ("Escape", 0), ("C-c", 130)] {
        terminal.line("clear; sessiontut; echo it ended with $?");
        terminal.wait_for("> learn");
        terminal.keys(&[key]);
        terminal.wait_for(&format!("it ended with {status}"));
        assert!(terminal.is_sane());
    }
}

#[test]
fn the_help_of_the_menu_starts_at_its_top_and_returns_to_the_menu() {
    let home = Home::new();
    let terminal = Terminal::start(&home, &[]);
    terminal.wait_for("> learn");
    terminal.keys(&["h"]);
    terminal.wait_for("Enter more");
    terminal.wait_for("Usage:");
    while !terminal.screen().contains("> learn") {
        let screen = terminal.screen();
        terminal.keys(&["Enter"]);
        terminal.wait_until("more", |now| now != screen);
    }
    terminal.keys(&["q"]);
    assert_eq!(terminal.exit_status(), 0);
}

/// The terminal prints `^C` on the current line.
#[test]
fn the_output_after_ctrl_c_starts_on_a_new_line() {
    let server = RedisServer::start();
    let home = Home::new();
    let url = server.url();
    home.sessiontut(["login", "ada"]).redis(&url).run().expect(0);
    for (command, running) in [
        ("serve --listen 127.0.0.1:0", "http://"),
        ("practice --listen 127.0.0.1:0 --no-save", "Ctrl-C"),
        ("drill --serve loading", "Ctrl-C"),
        ("ping --watch", "ok"),
        ("ping --hold 60", "ok"),
        ("expire --ttl 60", "EXPIRE"),
        ("check --url http://127.0.0.1:9 --ttl 2 -- sleep 60", "waiting"),
    ] {
        let terminal = Terminal::shell(&home, 100, 40, &[("REDIS_URL", url.as_str())]);
        terminal.line(&format!("clear; sessiontut {command}; echo it ended"));
        terminal.wait_for(running);
        terminal.keys(&["C-c"]);
        terminal.wait_until("the end on its own line", |screen| {
            screen.lines().any(|line| line == "it ended")
        });
    }
}

#[test]
fn a_number_without_its_option_is_suggested_as_the_ttl() {
    let finished = Home::new().run(["expire", "5"]).expect(2);
    assert!(finished.stderr.contains("--ttl 5"), "{}", finished.stderr);
}

#[test]
fn without_a_subcommand_and_a_terminal_the_help_is_printed() {
    let finished = Home::new().run([] as [&str; 0]).expect(2);
    assert!(
        finished.stdout.contains("Usage: sessiontut"),
        "{}",
        finished.stdout
    );
}
