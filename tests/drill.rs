//! Tests every drill. Each is also a test of `ping`, which must report the endpoint's fault.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::Path;

use sessiontut::drill::{self, DrillFault, FAULTS};
use support::{Home, Terminal};

/// Runs `ping`, and returns its exit status and the codes of its cause and warnings.
fn named(home: &Home, url: &str, ca: Option<&Path>, fault: &DrillFault) -> (Option<i32>, Vec<String>) {
    let mut arguments = vec!["ping", "--json", "--timeout", "4"];
    // `ping` reports a replica as an error only if the client has to write.
    if fault.name == "replica" {
        arguments.push("--write-check");
    }
    let ca = ca.map(|path| path.to_string_lossy().into_owned());
    if let Some(ca) = &ca {
        arguments.extend(["--ca", ca]);
    }
    let finished = home.sessiontut(arguments).redis(url).run();
    let report = finished.json();
    let warnings = report["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["code"].clone());
    let codes = std::iter::once(report["cause"].clone()).chain(warnings);
    let codes = codes
        .filter_map(|code| code.as_str().map(str::to_owned))
        .collect();
    (finished.code(), codes)
}

#[test]
fn ping_names_the_fault_of_every_drill() {
    let home = Home::new();
    let mut wrong = Vec::new();
    for fault in FAULTS {
        let drill = drill::start(fault).unwrap();
        let (_, codes) = named(&home, drill.url(), drill.ca(), fault);
        let is_beside = matches!(fault.name, "cluster" | "slow");
        let holds = if is_beside {
            codes.iter().any(|code| code == fault.cause.code())
        } else {
            codes.first().is_some_and(|code| code == fault.cause.code())
        };
        if !holds {
            wrong.push(format!(
                "{}: {codes:?}, and not {}",
                fault.name,
                fault.cause.code()
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_endpoint_can_run_without_asking_and_ends_cleanly() {
    let home = Home::new();
    let mut running = home.sessiontut(["drill", "--serve", "wrong-name"]).start();
    let said = running.wait_for_stdout(".pem\n");
    let lines: Vec<&str> = said.lines().collect();
    let fault = drill::find("wrong-name").unwrap();
    let (code, codes) = named(&home, lines[0], Some(Path::new(lines[1])), fault);
    assert_eq!((code, codes), (Some(5), vec!["tls.name_mismatch".to_owned()]));
    running.interrupt();
    running.finish().expect(0);
    assert!(!Path::new(lines[1]).exists(), "the CA file was not removed");
}

#[test]
fn drill_without_a_terminal_is_a_usage_error() {
    let home = Home::new();
    assert_eq!(home.run(["drill", "refused"]).expect(2).stderr.lines().count(), 1);
    assert_eq!(
        home.run(["drill", "nonsense"]).expect(2).stderr.lines().count(),
        1
    );
    assert_eq!(
        home.run(["drill", "--list"]).expect(0).stdout.lines().count(),
        FAULTS.len()
    );
}

#[test]
fn a_right_answer_counts_even_if_the_score_file_is_damaged() {
    let home = Home::new();
    fs::create_dir_all(home.state()).unwrap();
    fs::write(home.state().join("drill.json"), "{").unwrap();
    let terminal = Terminal::start(&home, &["drill", "refused"]);
    terminal.wait_for(&format!("> 1 {}", drill::find("refused").unwrap().title));
    terminal.keys(&["Enter"]);
    terminal.wait_for("[ok]");
    terminal.wait_for(&format!("1 of {}", FAULTS.len()));
    let list = home.run(["drill", "--list"]).expect(0).stdout;
    assert!(list.contains("[x] refused"), "{list}");
    let aside = fs::read_dir(home.state()).unwrap().filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("drill.damaged-")
    });
    assert_eq!(aside.count(), 1);
}

#[test]
fn a_wrong_answer_shows_the_contradiction_and_may_be_corrected() {
    let home = Home::new();
    let loading = drill::find("loading").unwrap();
    let silent = drill::find("silent").unwrap();
    let terminal = Terminal::sized(&home, &["drill", "loading"], 160, 40, &[]);
    let screen = terminal.wait_until("the possible causes", |screen| {
        [loading, silent].iter().all(|fault| screen.contains(fault.title))
    });
    let number_of = |fault: &DrillFault| {
        let line = screen.lines().find(|line| line.contains(fault.title)).unwrap();
        line.trim_start_matches(['>', ' '])[..1].to_owned()
    };
    terminal.keys(&[&number_of(silent)]);
    let shows = |screen: &str, text: &str| {
        let words: Vec<&str> = screen.split_whitespace().collect();
        words.join(" ").contains(text)
    };
    let screen = terminal.wait_until("the contradiction", |screen| {
        shows(screen, silent.symptom) && shows(screen, loading.contradiction_to(silent).unwrap())
    });
    // The evidence contradicts the answer, but does not reveal the fault.
    assert!(
        !screen.contains("server.loading") && !screen.contains("LOADING"),
        "{screen}"
    );
    // Pressing Enter after the number must not count as another answer.
    terminal.keys(&["Enter", "Down"]);
    let screen = terminal.wait_for("> 1 ");
    assert_eq!(screen.matches("[!!]").count(), 1, "{screen}");
    terminal.keys(&["h"]);
    terminal.wait_for("server layer");
    terminal.keys(&["?"]);
    terminal.wait_for("score is saved");
    terminal.keys(&[&number_of(loading)]);
    terminal.wait_for("server.loading");
    terminal.wait_for("another drill");
    terminal.keys(&["q"]);
    assert_eq!(terminal.exit_status(), 1);
    let list = home.run(["drill", "--list"]).expect(0).stdout;
    assert!(
        list.contains("[ ] loading") && list.contains("silent 1"),
        "{list}"
    );
}

#[test]
fn another_drill_follows_and_the_solution_can_be_shown() {
    let home = Home::new();
    let terminal = Terminal::sized(&home, &["drill", "refused"], 160, 60, &[]);
    terminal.wait_for("> 1 ");
    terminal.keys(&["s"]);
    terminal.wait_for("tcp.refused");
    terminal.wait_for("another drill");
    terminal.keys(&["Enter"]);
    terminal.wait_until("the next task", |screen| {
        screen.matches("redis://").count() + screen.matches("rediss://").count() >= 2
            && screen.contains("> 1 ")
    });
    terminal.keys(&["q"]);
    assert_eq!(terminal.exit_status(), 1);
}

#[test]
fn esc_asks_before_it_leaves_a_drill() {
    let home = Home::new();
    let terminal = Terminal::sized(&home, &["drill", "refused"], 160, 60, &[]);
    terminal.wait_for("> 1 ");
    for answer in ["n", "Escape"] {
        terminal.keys(&["Escape"]);
        terminal.wait_for("> n stay");
        terminal.keys(&[answer]);
        terminal.wait_for("> 1 ");
    }
    terminal.keys(&["s"]);
    terminal.wait_for("> another drill");
    terminal.keys(&["Down"]);
    terminal.wait_for("> quit");
    terminal.keys(&["Enter"]);
    assert_eq!(terminal.exit_status(), 1);
}

#[test]
fn a_drill_splits_no_word_at_the_edge_of_the_window() {
    let home = Home::new();
    let terminal = Terminal::shell(&home, 60, 24, &[]);
    terminal.line("clear; sessiontut drill silent");
    terminal.wait_for("> 1 ");
    terminal.keys(&["s"]);
    let screen = terminal.wait_for(&format!("of {}", FAULTS.len()));
    let read = screen.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let (_, evidence) = drill::find("silent").unwrap().evidence.split_at(1);
    assert!(read.contains(evidence), "{screen}");
}
