//! Runs the built-in lessons on a real Redis. Every reply must be as expected, and no key may remain.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;
use support::{Home, RedisServer, valkey};
use tempfile::TempDir;

/// Returns the folder that contains the built-in lessons.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("lessons")
}

fn holds_on(server: &RedisServer) {
    let finished = Home::new()
        .sessiontut(["learn", "--yes"])
        .redis(&server.url())
        .run()
        .expect(0);
    assert_eq!(server.keys(), Vec::<String>::new(), "{}", finished.output());
}

#[test]
fn every_lesson_passes_on_redis() {
    holds_on(&RedisServer::start());
}

#[test]
fn every_lesson_passes_on_valkey() {
    if let Some(server) = valkey::start() {
        holds_on(&server);
    }
}

#[test]
fn every_lesson_of_the_folder_is_built_in() {
    let home = Home::new();
    home.run(["learn", "--check", "--lessons", folder().to_str().unwrap()])
        .expect(0);
    let list = home.run(["learn", "--list"]).expect(0).stdout;
    for entry in fs::read_dir(folder()).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let id = file.trim_end_matches(".md").split_once('-').unwrap().1;
        assert!(list.contains(id), "{file} is not in src/learn/shelf.rs:\n{list}");
    }
}

#[test]
fn a_wrong_expected_reply_is_reported_with_its_line() {
    let copy = TempDir::new().unwrap();
    let lesson = fs::read_to_string(folder().join("03-count-visits.md")).unwrap();
    let (before, after) = lesson.split_once("(integer) 2\n").unwrap();
    fs::write(
        copy.path().join("03-count-visits.md"),
        format!("{before}(integer) 7\n{after}"),
    )
    .unwrap();
    let line = before.lines().count() + 1;

    let server = RedisServer::start();
    let folder = copy.path().to_str().unwrap();
    let finished = Home::new()
        .sessiontut(["learn", "--yes", "--lessons", folder])
        .redis(&server.url())
        .run()
        .expect(1);
    let output = finished.output();
    for wanted in [
        &format!("03-count-visits.md:{}", line - 1),
        "HINCRBY",
        "(integer) 7",
        "(integer) 2",
    ] {
        assert!(output.contains(wanted), "{wanted:?} is not in:\n{output}");
    }
    assert_eq!(server.keys(), Vec::<String>::new());
}

#[test]
fn code_that_is_not_that_of_the_example_is_named_with_its_line() {
    let project = TempDir::new().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "flask/common.py",
        "flask/stage2.py",
        "express/common.js",
        "express/stage2.js",
        "axum/common.rs",
        "axum/stage2.rs",
        "sinatra/common.rb",
        "sinatra/stage2.rb",
        "php/common.php",
        "php/stage2.php",
    ] {
        let copy = project.path().join("examples").join(file);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(source.join("examples").join(file), copy).unwrap();
    }
    let lessons = project.path().join("lessons");
    fs::create_dir(&lessons).unwrap();
    let lesson = fs::read_to_string(folder().join("03-count-visits.md")).unwrap();
    let path = lessons.join("03-count-visits.md");
    let check = || Home::new().run(["learn", "--check", "--lessons", lessons.to_str().unwrap()]);
    fs::write(&path, &lesson).unwrap();
    check().expect(0);
    let (before, after) = lesson.split_once("def count_visit(name):").unwrap();
    fs::write(&path, format!("{before}def count_visits(name):{after}")).unwrap();
    let output = check().expect(1).output();
    let line = before.lines().count() + 1;
    for wanted in [
        format!("03-count-visits.md:{line}"),
        "examples/flask/stage2.py#visits".to_owned(),
        "def count_visit(name):".to_owned(),
    ] {
        assert!(output.contains(&wanted), "{wanted} is not in:\n{output}");
    }
}

/// Returns every fence in the lessons: its file, the words on its first line, and its body.
fn fences() -> Vec<(String, String, String)> {
    let mut fences = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        // Splitting the text at ``` gives text and fences alternately.
        for fence in text.split("\n```").skip(1).step_by(2) {
            let (words, body) = fence.split_once('\n').unwrap_or((fence, ""));
            fences.push((name.clone(), words.to_owned(), body.to_owned()));
        }
    }
    fences
}

/// Returns the names that a JavaScript file or snippet imports or defines for the whole file.
fn names_in_javascript(source: &str) -> BTreeSet<String> {
    let definition = r"(?m)^(?:export )?(?:async )?(?:function|class|const) (\w+)";
    let list = r"(?m)^(?:import|const) (?:\w+, )?\{([^}]*)\}";
    let single = r"(?m)^import (\w+)";
    let mut names = BTreeSet::new();
    for pattern in [definition, single] {
        let pattern = Regex::new(pattern).unwrap();
        names.extend(pattern.captures_iter(source).map(|found| found[1].to_owned()));
    }
    for found in Regex::new(list).unwrap().captures_iter(source) {
        let items = found[1].split(',').map(str::trim).filter(|item| !item.is_empty());
        // `name as other` and `name = default`.
        let name = |item: &str| {
            let item = item.split(" = ").next().unwrap_or_default();
            item.rsplit(' ').next().unwrap_or_default().to_owned()
        };
        names.extend(items.map(name));
    }
    names
}

#[test]
fn every_helper_in_javascript_is_defined_or_explained_before_its_use() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/express");
    let mut helpers = BTreeSet::new();
    for entry in fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "js") {
            helpers.extend(names_in_javascript(&fs::read_to_string(path).unwrap()));
        }
    }
    let mut lessons: Vec<PathBuf> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    lessons.sort();
    let (mut taught, mut missing) = (BTreeSet::new(), Vec::new());
    for lesson in lessons {
        let text = fs::read_to_string(&lesson).unwrap();
        // Splitting at ``` yields text and fences alternately.
        let parts: Vec<&str> = text.split("\n```").collect();
        let snippets = || parts.iter().filter(|part| part.starts_with("javascript"));
        let quoted = Regex::new(r"`(\w+)(?:\(\))?`").unwrap();
        for part in parts.iter().step_by(2) {
            taught.extend(quoted.captures_iter(part).map(|found| found[1].to_owned()));
        }
        for snippet in snippets() {
            taught.extend(names_in_javascript(snippet));
        }
        for snippet in snippets() {
            for helper in helpers.difference(&taught) {
                let used = Regex::new(&format!(r"(?m)(?:^|[^.\w'/]){helper}\b[^:']")).unwrap();
                if used.is_match(snippet) {
                    let file = lesson.file_name().unwrap().to_string_lossy();
                    missing.push(format!("{file}: {helper}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_right_answer_is_not_always_the_first() {
    let quizzes: Vec<String> = fences()
        .into_iter()
        .filter(|(_, words, _)| words == "quiz")
        .map(|(_, _, body)| body)
        .collect();
    let place = |body: &String| {
        body.lines()
            .filter(|line| line.starts_with("- ["))
            .position(|line| line.starts_with("- [x]"))
    };
    for wanted in 0..3 {
        let there = quizzes.iter().filter(|body| place(body) == Some(wanted)).count();
        assert!(
            there * 2 < quizzes.len() && there * 5 > quizzes.len(),
            "{there} of {} right answers are at place {}",
            quizzes.len(),
            wanted + 1
        );
    }
}

#[test]
fn code_fits_a_window_of_80_columns() {
    const ROOM_FOR_CODE: usize = 78;
    for (file, words, body) in fences() {
        // Text and the explanations of wrong replies are wrapped, so their lines may be long.
        if words.starts_with("quiz") || words.starts_with("redis") {
            continue;
        }
        for line in body.lines() {
            assert!(line.chars().count() <= ROOM_FOR_CODE, "{file}: {words}: {line}");
        }
    }
}
