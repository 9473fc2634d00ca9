//! Runs the code of the lessons as a learner would: copied from the lessons, in a file that otherwise contains
//! only what the lessons describe in words (`tests/taught/`).

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use regex_lite::Regex;
use support::check::in_project;
use support::drive::drive;
use support::ports::free_port;
use support::process::{Process, port_in, required};
use support::{RedisServer, tools};
use tempfile::TempDir;

/// A code block of a lesson.
struct Snippet {
    lesson: u32,
    language: String,
    /// The name of the region in `examples/` that the block quotes.
    region: String,
    code: String,
}

/// Returns the text of each lesson, with its number.
fn lessons() -> Vec<(u32, String)> {
    let mut lessons: Vec<(u32, String)> = fs::read_dir(in_project("lessons"))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            (name[..2].parse().unwrap(), fs::read_to_string(&path).unwrap())
        })
        .collect();
    lessons.sort();
    lessons
}

/// Returns the code blocks of a lesson.
fn snippets(lesson: u32, text: &str) -> Vec<Snippet> {
    let fence = Regex::new(r"(?s)\n```(\w+) from=\S+#(\w+)\n(.*?)\n```").unwrap();
    fence
        .captures_iter(text)
        .map(|found| Snippet {
            lesson,
            language: found[1].to_owned(),
            region: found[2].to_owned(),
            code: found[3].to_owned(),
        })
        .collect()
}

/// A language whose lesson code is run. Rust is not included, because compiling it takes too long.
struct Taught {
    language: &'static str,
    /// The folder of the language in `examples/`.
    example: &'static str,
    extension: &'static str,
    /// A regular expression for definitions and imports in a file. One of its groups contains the name, or a
    /// list of names.
    definitions: &'static str,
}

const PYTHON: Taught = Taught {
    language: "python",
    example: "flask",
    extension: "py",
    definitions: r"(?m)^(?:def|class) (\w+)|^(\w+) = |^import (\w+)|^from \S+ import (.*)",
};
const JAVASCRIPT: Taught = Taught {
    language: "javascript",
    example: "express",
    extension: "js",
    definitions: r"(?m)^(?:export )?(?:async )?(?:function|class|const) (\w+)|^(?:import|const) (?:\w+, )?\{([^}]*)\}|^import (\w+)",
};
const RUBY: Taught = Taught {
    language: "ruby",
    example: "sinatra",
    extension: "rb",
    definitions: r"(?m)^(?:def|class) (\w+)|^([A-Z_]+) = ",
};
const PHP: Taught = Taught {
    language: "php",
    example: "php",
    extension: "php",
    definitions: r"(?m)^(?:function|class|const) (\w+)",
};
const GO: Taught = Taught {
    language: "go",
    example: "go",
    extension: "go",
    definitions: r#"(?m)^(?:func(?: \([^)]*\))?|type|var|const) (\w+)|^\t"(?:[\w./]+/)?(\w+)"$"#,
};

impl Taught {
    /// Returns the names that the code defines or imports for the whole file.
    fn names(&self, code: &str) -> BTreeSet<String> {
        let pattern = Regex::new(self.definitions).unwrap();
        let lists = pattern.captures_iter(code).flat_map(|found| {
            let groups = found.iter().skip(1).flatten();
            groups.map(|group| group.as_str().to_owned()).collect::<Vec<_>>()
        });
        let items = lists.flat_map(|list| list.split(',').map(str::to_owned).collect::<Vec<_>>());
        // `name as other`, `name = default`
        let name = |item: String| {
            let item = item.split(" = ").next().unwrap_or_default().trim();
            item.rsplit(' ').next().unwrap_or_default().to_owned()
        };
        items.map(name).filter(|name| !name.is_empty()).collect()
    }

    /// Returns a complete app: the files in `tests/taught/`, in which each line such as `# lessons: 1
    /// session, 3 visits` is replaced with the code of the regions that it lists.
    fn app(&self, stage: u8) -> String {
        let taught: Vec<Snippet> = lessons()
            .iter()
            .flat_map(|(number, text)| snippets(*number, text))
            .filter(|snippet| snippet.language == self.language)
            .collect();
        let named = |name: &str| {
            let (lesson, region) = name.split_once(' ').unwrap();
            let lesson: u32 = lesson.parse().unwrap();
            let mut those = taught
                .iter()
                .filter(|snippet| snippet.lesson == lesson && snippet.region == region);
            let found = those
                .next()
                .unwrap_or_else(|| panic!("lesson {lesson} has no {region}"));
            found.code.clone()
        };
        let file = |name: &str| {
            let path = in_project(&format!("tests/taught/{name}.{}", self.extension));
            fs::read_to_string(path).unwrap()
        };
        let text = file("shared") + &file(&format!("stage{stage}"));
        let place = Regex::new(r"^( *)(?:#|//) lessons: (.*)$").unwrap();
        let mut app = String::new();
        for line in text.lines() {
            match place.captures(line) {
                None => app.push_str(line),
                Some(found) => {
                    let codes: Vec<String> = found[2].split(", ").map(named).collect();
                    for line in latest_definitions(&codes).lines() {
                        let indent = if line.is_empty() { "" } else { &found[1] };
                        app.push_str(&format!("{indent}{line}\n"));
                    }
                }
            }
            app.push('\n');
        }
        app
    }

    /// Runs the scenario of `examples/` with an app that is copied from the lessons.
    fn works_as_taught(&self, stage: u8, program: &dyn Fn(&Path, &str) -> Command) {
        let folder = TempDir::new().unwrap();
        let file = format!("app.{}", self.extension);
        fs::write(folder.path().join(&file), self.app(stage)).unwrap();
        let mut redis = RedisServer::start();
        let mut command = program(folder.path(), &file);
        command
            .current_dir(folder.path())
            .env("PORT", "0")
            .env("SECRET_KEY", "a key for the tests")
            .env("REDIS_URL", redis.url())
            .env_remove("HOST");
        let log = folder.path().join("log");
        let _running = Process::start(command, &log, || port_in(&log).is_some()).unwrap();
        drive(stage, port_in(&log).unwrap(), &mut redis);
    }
}

/// Joins pieces of code. If two of them define the same function or route, only the later definition is kept, as in the
/// file of a learner who replaces the function.
fn latest_definitions(codes: &[String]) -> String {
    let start =
        Regex::new(r#"(?m)^(?:[^ \n].*\W)?(?:(?:def|function|func) (\([^)]*\) )?(\w+)|(get|post)\W+(/\w*))"#)
            .unwrap();
    let mut parts: Vec<(String, String)> = Vec::new();
    for part in codes.iter().flat_map(|code| split_definitions(code)) {
        let name = start.captures(&part).map_or_else(
            || part.clone(),
            |found| {
                found
                    .iter()
                    .skip(1)
                    .flatten()
                    .map(|group| group.as_str())
                    .collect()
            },
        );
        parts.retain(|(other, _)| *other != name);
        parts.push((name, part));
    }
    let texts: Vec<String> = parts.into_iter().map(|(_, text)| text).collect();
    texts.join("\n\n")
}

/// Splits code at the empty lines that precede a line without indentation.
fn split_definitions(code: &str) -> Vec<String> {
    let mut parts: Vec<String> = vec![String::new()];
    let mut is_after_gap = false;
    for line in code.lines() {
        if is_after_gap && !line.starts_with([' ', '\t']) && !line.is_empty() {
            parts.push(String::new());
        }
        is_after_gap = line.is_empty();
        let part = parts.last_mut().unwrap();
        part.push_str(line);
        part.push('\n');
    }
    parts.iter().map(|part| part.trim_end().to_owned()).collect()
}

#[test]
fn the_python_code_works_as_taught() {
    for stage in [3, 4] {
        PYTHON.works_as_taught(stage, &|_, file| {
            let mut command = Command::new(tools::python());
            command.args(["-B", file]);
            command
        });
    }
}

#[test]
fn the_javascript_code_works_as_taught() {
    let node = required("node", "nodejs");
    for stage in [3, 4] {
        JAVASCRIPT.works_as_taught(stage, &|folder, file| {
            symlink(tools::node_modules("express"), folder.join("node_modules")).unwrap();
            fs::write(folder.join("package.json"), r#"{"type": "module"}"#).unwrap();
            let mut command = Command::new(&node);
            command.arg(file);
            command
        });
    }
}

#[test]
fn the_ruby_code_works_as_taught() {
    for stage in [3, 4] {
        RUBY.works_as_taught(stage, &|_, file| {
            let mut command = Command::new(required("ruby", "ruby"));
            command.arg(file);
            command
        });
    }
}

#[test]
fn the_php_code_works_as_taught() {
    for stage in [3, 4] {
        PHP.works_as_taught(stage, &|_, file| {
            let mut command = Command::new(required("php", "php-cli"));
            command.args(["-S", &format!("127.0.0.1:{}", free_port()), file]);
            command
        });
    }
}

#[test]
fn the_go_code_works_as_taught() {
    for stage in [3, 4] {
        GO.works_as_taught(stage, &|folder, file| {
            let (source, program) = (folder.join(file), folder.join("app"));
            let code = fs::read_to_string(&source).unwrap();
            fs::write(&source, without_unused_imports(&code)).unwrap();
            let built = tools::go_build(&source, &program).output().unwrap();
            assert!(
                built.status.success(),
                "{}",
                String::from_utf8_lossy(&built.stderr)
            );
            Command::new(program)
        });
    }
}

/// Removes unused imports, which are errors in Go. Editors do this, too.
fn without_unused_imports(code: &str) -> String {
    let import = Regex::new(r#"^\t"(?:\S+/)?(\w+)"$"#).unwrap();
    let is_used = |line: &&str| {
        let found = import.captures(line);
        found.is_none_or(|found| code.contains(&format!("{}.", &found[1])))
    };
    code.lines().filter(is_used).collect::<Vec<_>>().join("\n")
}

/// A lesson may use a name only if the same lesson or an earlier one defines it, imports it or mentions it in
/// the text.
#[test]
fn every_name_is_defined_or_explained_before_its_use() {
    let mut missing = BTreeSet::new();
    for taught in [PYTHON, JAVASCRIPT, RUBY, PHP, GO] {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(in_project("examples").join(taught.example)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|kind| kind == taught.extension) {
                names.extend(taught.names(&fs::read_to_string(path).unwrap()));
            }
        }
        let quoted = Regex::new(r"`(?:[\w.]+/)*(\w+)(?:\(\))?`").unwrap();
        let mut known = BTreeSet::new();
        for (number, text) in lessons() {
            // Splitting at ``` yields text and fences alternately.
            for part in text.split("\n```").step_by(2) {
                known.extend(quoted.captures_iter(part).map(|found| found[1].to_owned()));
            }
            let mut snippets = snippets(number, &text);
            snippets.retain(|snippet| snippet.language == taught.language);
            for snippet in &snippets {
                known.extend(taught.names(&snippet.code));
            }
            for snippet in &snippets {
                for name in names.difference(&known) {
                    let used = Regex::new(&format!(r"(?m)(?:^|[^.\w'/\-]){name}\b[^:']")).unwrap();
                    if used.is_match(&snippet.code) {
                        missing.insert(format!("{} in lesson {number}: {name}", taught.language));
                    }
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}
