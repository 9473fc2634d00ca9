//! Tests the output in windows of 80 and 40 columns. Words must not be split at the edge, and commands to
//! paste must stay on one line.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::unwrap_used)]

mod support;

use support::{Home, RedisServer, Terminal};

/// An address where no process is listening.
const CLOSED: &str = "redis://127.0.0.1:1";

/// Returns a terminal in which these command lines have been run, one after another.
#[track_caller]
fn after(home: &Home, columns: u16, lines: &[&str], variables: &[(&str, &str)]) -> Terminal {
    let terminal = Terminal::shell(home, columns, 100, variables);
    for (number, line) in lines.iter().enumerate() {
        // The line is put into a script, so that the typed command fits into the window.
        std::fs::write(home.path().join("go"), line).unwrap();
        terminal.line(&format!(". ./go; echo end {number}"));
        terminal.wait_for(&format!("\nend {number}"));
    }
    terminal
}

/// Returns the text on the screen as a single line.
fn read(terminal: &Terminal) -> String {
    let screen = terminal.screen();
    screen.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn nothing_is_broken(terminal: &Terminal) {
    assert_eq!(
        terminal.broken_lines(),
        Vec::<String>::new(),
        "{}",
        terminal.screen()
    );
}

#[test]
fn notes_of_serve_are_wrapped_between_words_except_in_commands() {
    for columns in [80, 40] {
        let home = Home::new();
        let arguments = ["serve", "--listen", "0.0.0.0:0", "--redis", CLOSED];
        let terminal = Terminal::sized(&home, &arguments, columns, 40, &[]);
        terminal.wait_for("`ss -ltnp`");
        terminal.keys(&["C-c"]);
        assert_eq!(terminal.exit_status(), 0);
        // The program does not wrap commands, so that users can copy them.
        let broken = terminal.broken_lines();
        assert!(broken.iter().all(|line| line.contains("`ps -o")), "{broken:#?}");
        let said = without_digits(&read(&terminal));
        for line in without_digits(&serve_outside_a_terminal()).lines() {
            if line.contains("`ps -o") {
                continue;
            }
            assert!(
                said.contains(line.trim()),
                "{line:?} is not on {}",
                terminal.screen()
            );
        }
        let screen = terminal.screen();
        assert!(screen.contains("`ss -ltnp`"), "{screen}");
    }
}

/// Removes digits, because ports differ between runs.
fn without_digits(text: &str) -> String {
    text.replace(|character: char| character.is_ascii_digit(), "")
}

/// Returns the notes that `serve` writes to a pipe.
fn serve_outside_a_terminal() -> String {
    let home = Home::new();
    let mut running = home
        .sessiontut(["serve", "--listen", "0.0.0.0:0", "--redis", CLOSED])
        .env("COLUMNS", "40")
        .start();
    running.wait_for_stderr("`ss -ltnp`");
    running.interrupt();
    running.finish().expect(0).stderr
}

#[test]
fn a_note_of_serve_is_one_line_outside_a_terminal() {
    let notes = serve_outside_a_terminal();
    let command = notes.lines().find(|line| line.contains("`ps -o")).unwrap();
    assert!(command.len() > 80, "{notes}");
}

#[test]
fn no_command_splits_a_word_at_the_edge_of_the_window() {
    for columns in [80, 40] {
        let server = RedisServer::start();
        let (home, url) = (Home::new(), server.url());
        let terminal = after(
            &home,
            columns,
            &[
                "sessiontut ping $URL",
                "sessiontut ping redis://127.0.0.1:1",
                "sessiontut ping $URL?db=3",
                "sessiontut ping http://127.0.0.1",
                "sessiontut ping --ca /no/such/file rediss://127.0.0.1",
                "sessiontut ping --quiet",
                "sessiontut ping --timeout x",
                "sessiontut serve --max-age x",
                "sessiontut serve --listen x",
                "sessiontut login -q ada; sessiontut visits -q; sessiontut expire -q --ttl 1; sessiontut visits -q",
                "sessiontut login ''; sessiontut logout -q; sessiontut session -q; sessiontut visits --redis foo",
                "sessiontut login ada --redis redis://127.0.0.1:1",
                "sessiontut drill --list",
                "sessiontut drill no-such-fault",
                "sessiontut learn --list; sessiontut learn --yes 1; sessiontut learn no-such-lesson",
                "sessiontut practice --listen 0.0.0.0:0",
            ],
            &[("URL", &url)],
        );
        let broken = terminal.broken_lines();
        let pasted: Vec<&String> = broken
            .iter()
            .filter(|line| {
                // The URL in the first row is not wrapped either.
                !["export REDIS_URL=", "ps -o ", "[ok] url", "[! ] url"]
                    .iter()
                    .any(|start| line.trim().starts_with(start))
            })
            .collect();
        assert!(pasted.is_empty(), "{pasted:#?}");
    }
}

#[test]
fn redis_commands_are_not_wrapped_in_a_narrow_window() {
    let home = Home::new();
    let terminal = after(&home, 40, &["sessiontut login ada"], &[]);
    let whole = terminal.history();
    let command = whole.lines().find(|line| line.starts_with("> HSET ")).unwrap();
    assert!(command.contains(" username ada visits 0 created "), "{whole}");
    let mut notes = whole.lines().filter(|line| !line.starts_with("> "));
    assert!(notes.all(|line| line.chars().count() <= 40), "{whole}");
}

#[test]
fn practice_the_menu_and_a_drill_fit_a_narrow_window() {
    for (arguments, last) in [
        (&["practice", "--no-password"][..], "Ctrl-C"),
        (&[][..], "help"),
        (&["drill", "silent"][..], "  4 "),
    ] {
        let home = Home::new();
        let terminal = Terminal::sized(&home, arguments, 40, 24, &[]);
        terminal.wait_for(last);
        nothing_is_broken(&terminal);
    }
}

#[test]
fn the_answers_of_a_drill_are_shown_whole_and_redrawn_in_place() {
    let home = Home::new();
    let terminal = Terminal::sized(&home, &["drill", "tls-only"], 40, 24, &[]);
    terminal.wait_for("> 1 ");
    terminal.keys(&["Down"]);
    let screen = terminal.wait_for("> 2 ");
    let title = |name: &str| sessiontut::drill::find(name).unwrap().title;
    let said = read(&terminal);
    assert_eq!(said.matches(title("closed")).count(), 1, "{screen}");
    assert!(said.contains(title("plain-only")), "{screen}");
}

#[test]
fn a_wait_in_a_narrow_window_shows_how_long_it_takes_at_most() {
    let server = RedisServer::start();
    server.pause();
    let home = Home::new();
    let arguments = ["visits", "--redis", &server.url()];
    let terminal = Terminal::sized(&home, &arguments, 40, 12, &[]);
    terminal.wait_for("s more");
    nothing_is_broken(&terminal);
    server.resume();
}

#[test]
fn a_note_about_unsaved_progress_is_wrapped_between_words() {
    for columns in [80, 40] {
        let home = Home::new();
        let nowhere = [("XDG_STATE_HOME", "/proc/none")];
        let terminal = Terminal::sized(&home, &["learn"], columns, 60, &nowhere);
        terminal.wait_for("q quit");
        // The program indents code but does not wrap it, so that users can copy it.
        let broken = terminal.broken_lines();
        assert!(broken.iter().all(|line| line.starts_with("  ")), "{broken:#?}");
        let screen = read(&terminal);
        assert!(screen.contains("/proc/none/sessiontut"), "{screen}");
    }
}
