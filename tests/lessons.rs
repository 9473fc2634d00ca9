//! Runs the built-in lessons on a real Redis. Every reply must be as expected, and no key may remain.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

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
        assert!(
            list.contains(id),
            "{file} is not in src/learn/lesson_files.rs:\n{list}"
        );
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
        "go/common.go",
        "go/stage2.go",
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
        // The program wraps quizzes and explanations of wrong replies, so their lines may be long.
        if words.starts_with("quiz") || words.starts_with("redis") {
            continue;
        }
        for line in body.replace('\t', "    ").lines() {
            assert!(line.chars().count() <= ROOM_FOR_CODE, "{file}: {words}: {line}");
        }
    }
}
