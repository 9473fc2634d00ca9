//! Tests how a lesson responds to wrong commands, key presses and pasted text.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::fs;

use support::check::{in_project, python_app};
use support::learner::{Learner, left, shown};
use support::ports::free_port;
use support::{Home, Lessons, RedisServer, Terminal};

/// Saves progress, so that `learn` continues at this step of a lesson. Steps are counted from 0.
fn save_progress(home: &Home, lesson: &str, step: usize, more: &str) {
    fs::create_dir_all(home.state()).unwrap();
    let lessons = format!(r#""lessons":{{"{lesson}":{{"step":{step}}}}}"#);
    let progress = format!(r#"{{"version":1,"current":"{lesson}",{lessons}{more}}}"#);
    fs::write(home.state().join("progress.json"), progress).unwrap();
}

/// Whether the screen ends with a prompt, which contains this text.
fn ends_with(screen: &str, prompt: &str) -> bool {
    let last = screen.trim_end().lines().last().unwrap_or_default();
    last.contains(prompt)
}

/// Removes the line breaks that depend on the width of the window.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a built-in lesson's explanation of a wrong reply (`! REPLY: why`) or a wrong command (`!> COMMAND:
/// why`).
fn explanation(lesson: &str, mistake: &str) -> String {
    let text = fs::read_to_string(in_project("lessons").join(lesson)).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(mistake));
    let why = line.unwrap_or_else(|| panic!("{lesson} does not explain {mistake}"));
    in_one_line(why.trim_start_matches(':'))
}

/// A task in a built-in lesson, and wrong commands for it, each with the line of the lesson that explains the
/// mistake.
struct WrongTries {
    file: &'static str,
    lesson: &'static str,
    step: usize,
    tries: &'static [(&'static str, &'static str)],
    right: &'static str,
}

#[test]
fn wrong_commands_in_lessons_3_and_4_are_explained_and_undone() {
    for task in [
        WrongTries {
            file: "03-count-visits.md",
            lesson: "count-visits",
            step: 3,
            tries: &[
                ("HSET sessiontut:user:ada visits 3", "!> HSET [..]"),
                ("HINCRBY sessiontut:user:ada visit 1", "! \"2\""),
                ("HINCRBY sessiontut:user:ada visits 2", "! \"4\""),
                ("HDEL sessiontut:user:ada visits", "! (nil)"),
            ],
            right: "HINCRBY sessiontut:user:ada visits 1",
        },
        WrongTries {
            file: "04-expire.md",
            lesson: "expire",
            step: 5,
            tries: &[
                ("EXPIRE sessiontut:user:ada 50", "! (integer) [1-94]"),
                ("EXPIRE sessiontut:user:ada 1000", "! (integer) [101-9999999]"),
                ("PERSIST sessiontut:user:ada", "! (integer) -1"),
                ("EXPIRE sessiontut:user:ada -1", "! (integer) -2"),
            ],
            right: "EXPIRE sessiontut:user:ada 100",
        },
    ] {
        let (home, server) = (Home::new(), RedisServer::start());
        save_progress(&home, task.lesson, task.step, "");
        let url = server.url();
        let terminal = Terminal::shell(&home, 100, 50, &[("REDIS_URL", &url)]);
        terminal.line("clear; sessiontut learn");
        for (wrong, mistake) in task.tries {
            terminal.wait_until("a prompt", |screen| ends_with(screen, "redis>"));
            terminal.line(wrong);
            let why = explanation(task.file, mistake);
            let screen = terminal.wait_until(&why, |screen| {
                let (_, after) = screen.rsplit_once(wrong).unwrap_or_default();
                in_one_line(after).contains(&why) && after.contains(shown::RESTORED)
            });
            assert!(!screen.contains(shown::CORRECT), "{wrong}\n{screen}");
        }
        let screen = terminal.wait_until("a prompt", |screen| ends_with(screen, "redis>"));
        // The solution is offered after every wrong try except the first.
        let offers = screen.matches(shown::SOLUTION_OFFERED).count();
        assert_eq!(offers, task.tries.len() - 1, "{screen}");
        terminal.line(task.right);
        terminal.wait_for(shown::CORRECT);
        terminal.keys(&["q"]);
        left(&terminal, 0);
    }
}

/// After a failed grading, the first hint is the step of an earlier lesson that teaches what the app lacks.
/// Further hints are those of lesson 9.
/// Returns the steps with a `redis try` in the built-in lessons: the lesson's name, and the index of the step.
fn tasks() -> Vec<(String, usize)> {
    let mut tasks = Vec::new();
    for entry in fs::read_dir(in_project("lessons")).unwrap() {
        let path = entry.unwrap().path();
        let (_, lesson) = path
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .split_once('-')
            .unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let steps = text.split("\n## ").skip(1).enumerate();
        let with_task = steps.filter(|(_, text)| text.contains("\n```redis try"));
        tasks.extend(with_task.map(|(step, _)| (lesson.to_owned(), step)));
    }
    tasks
}

#[test]
fn after_a_skipped_task_every_reply_is_the_expected_one() {
    let server = RedisServer::start();
    let tasks = tasks();
    assert!(tasks.len() > 3, "{tasks:?}");
    for (lesson, step) in tasks {
        let home = Home::new();
        save_progress(&home, &lesson, step, "");
        let url = server.url();
        let terminal = Terminal::sized(&home, &["learn"], 100, 50, &[("REDIS_URL", url.as_str())]);
        let is_prompt = |screen: &str| {
            ["redis>", " answer ", "Enter "]
                .iter()
                .any(|prompt| ends_with(screen, prompt))
        };
        let mut screen = String::new();
        while !screen.contains(" done: ") {
            screen = terminal.wait_until("the next prompt", |now| now != screen && is_prompt(now));
            match ends_with(&screen, "Enter ") {
                true => terminal.keys(&["Enter"]),
                false => terminal.line("n"),
            }
        }
        let history = terminal.history();
        assert!(
            history.lines().any(|line| line.starts_with(shown::SKIPPED)),
            "{history}"
        );
        assert!(!history.contains('✗'), "{lesson}, step {step}: {history}");
    }
}

#[test]
fn the_first_hint_in_lesson_9_repeats_what_the_failed_check_requires() {
    let (home, port) = (Home::new(), free_port().to_string());
    let app = r#","app":"sessiontut serve --stage 1 --listen 127.0.0.1:$PORT""#;
    save_progress(&home, "your-app", 3, app);
    let terminal = Terminal::shell(&home, 100, 80, &[("PORT", &port)]);
    terminal.line("clear; sessiontut learn");
    terminal.wait_for("grade it");
    terminal.keys(&["Enter"]);
    let screen = terminal.wait_for("Enter again");
    assert!(screen.contains("[!!]"), "{screen}");
    terminal.keys(&["h"]);
    // Lesson 3 teaches what the first failed check of stage 2 requires.
    let lesson = fs::read_to_string(in_project("lessons/03-count-visits.md")).unwrap();
    let (_, count) = lesson.split_once("## Count\n").unwrap();
    let first = in_one_line(count.trim().lines().next().unwrap()).replace('`', "");
    terminal.wait_until("the text of lesson 3", |screen| {
        in_one_line(screen).contains(&first) && ends_with(screen, "Enter again")
    });
    terminal.keys(&["h"]);
    terminal.wait_for("Hint 1 of 2");
    terminal.keys(&["q"]);
    left(&terminal, 0);
}

#[test]
fn a_hint_in_lesson_9_does_not_explain_a_check_that_has_passed_since() {
    let (home, port) = (Home::new(), free_port().to_string());
    let mistake = home.path().join("mistake");
    fs::write(&mistake, "not HttpOnly").unwrap();
    let app = python_app("tests/wrong_apps/app.py", &["1"]).join(" ");
    let app = format!(r#","app":"{app} \"$(cat $HOME/mistake)\"""#);
    save_progress(&home, "your-app", 2, &app);
    let terminal = Terminal::shell(&home, 100, 80, &[("PORT", &port)]);
    let offers = |words: &str| terminal.wait_until(words, |screen| ends_with(screen, words));
    terminal.line("clear; sessiontut learn");
    offers("grade it");
    terminal.keys(&["Enter"]);
    offers("Enter again");
    fs::write(&mistake, "").unwrap();
    terminal.keys(&["Enter"]);
    offers("Enter next");
    terminal.keys(&["Enter"]);
    // The next step grades stage 2.
    offers("grade it");
    terminal.keys(&["h"]);
    terminal.wait_for("Hint 1 of 2");
    terminal.keys(&["q"]);
    left(&terminal, 0);
}

fn lesson(steps: &str) -> Learner {
    Learner {
        home: Home::new(),
        lessons: Lessons::of(&[("01-only.md", &format!("# Only\n\n{steps}"))]),
        server: RedisServer::start(),
    }
}

#[test]
fn the_key_l_shows_all_code_of_the_step_in_the_next_language() {
    let code = |name: &str| {
        format!(
            "Text of {name}.\n\n```python\npython_{name}()\n```\n\n```ruby\nruby_{name}\n```\n\n```php\nphp_{name}();\n```\n\n"
        )
    };
    let (zero, one, two) = (code("zero"), code("one"), code("two"));
    for (columns, rows) in [(80, 40), (40, 60)] {
        let learner = lesson(&format!("## Zero\n\n{zero}## Both\n\n{one}{two}"));
        let terminal = learner.sits_down_at(columns, rows);
        terminal.wait_for("python_zero()");
        terminal.wait_for("Enter next");
        terminal.keys(&["Enter"]);
        terminal.wait_for("python_two()");
        for language in ["ruby", "php", "python"] {
            terminal.wait_until("a prompt", |screen| ends_with(screen, "Enter next"));
            terminal.keys(&["l"]);
            // The code in Python has already been shown once.
            let before = usize::from(language == "python");
            let shown = |name: &str| {
                let history = terminal.history();
                history.matches(&format!("{language}_{name}")).count()
            };
            terminal.wait_until(language, |screen| {
                shown("two") == before + 1 && ends_with(screen, "Enter next")
            });
            let screen = terminal.screen();
            assert_eq!(shown("one"), before + 1, "{screen}");
            assert_eq!(shown("zero"), before, "the code of another step\n{screen}");
            assert!(screen.contains(&format!("[{language}]")), "{screen}");
        }
        // Two quick presses are not a paste.
        terminal.keys(&["l", "l"]);
        terminal.wait_until("the language after the next", |screen| {
            let history = terminal.history();
            let has_both = ["ruby_two", "php_two"]
                .iter()
                .all(|code| history.matches(code).count() == 2);
            has_both && ends_with(screen, "Enter next")
        });
        assert_eq!(terminal.broken_lines(), [""; 0]);
        terminal.keys(&["q"]);
        left(&terminal, 0);
    }
}

/// A long text with lines that contain `name` and a number from 1 to 40.
fn long(name: &str, between: &str) -> String {
    let lines: Vec<String> = (1..=40).map(|number| format!("{name}({number})")).collect();
    lines.join(between)
}

#[test]
fn a_key_at_a_pause_in_the_text_has_its_usual_effect() {
    let code = format!(
        "```python\n{}\n```\n\n```ruby\n{}\n```",
        long("python", "\n"),
        long("ruby", "\n")
    );
    let learner = lesson(&format!(
        "## Code\n\n{code}\n\nText after the code.\n\n## Text\n\n{}\n",
        long("text", "\n\n")
    ));
    let terminal = learner.sits_down();
    let pause = |text: &str| {
        terminal.wait_until(text, |screen| {
            screen.contains(text) && ends_with(screen, "Enter more")
        })
    };
    pause("python(10)");
    terminal.keys(&["l"]);
    pause("ruby(10)");
    terminal.keys(&["l"]);
    pause("[python]");
    terminal.keys(&["1"]);
    terminal.wait_until("a message", |screen| ends_with(screen, "unknown key  Enter more"));
    terminal.keys(&["?"]);
    pause("      r  redo");
    terminal.keys(&["e"]);
    terminal.wait_until("the end of the step", |screen| {
        screen.contains("Text after the code.") && ends_with(screen, "Enter next")
    });
    assert!(terminal.screen().contains("python(40)"));
    terminal.keys(&["Enter"]);
    pause("text(5)");
    // Text that has not been shown yet is shown after the list.
    terminal.keys(&["i"]);
    terminal.wait_for("go to lesson");
    terminal.keys(&["Enter"]);
    terminal.wait_until("the text again", |screen| ends_with(screen, "Enter more"));
    terminal.keys(&["b"]);
    pause("step 1 of 2");
    terminal.keys(&["q"]);
    left(&terminal, 0);
}

/// Lines that could be in a shell's history: keys, answers, and words that end a session.
const SHELL_LINES: &str = "curl -s http://127.0.0.1:5000/\nq\ny\nn\n1\nfg\nexit\n2\nskip\nlist\nls -l\n3";

/// A prompt: the steps of a lesson, the keys that lead to the prompt, and the prompt's text.
struct Prompt {
    steps: &'static str,
    keys: &'static [(&'static str, &'static str)],
    prompt: &'static str,
}

/// The text that follows the prompt. It appears only if the lesson continues.
const AFTER: &str = "That was the lesson.";

const PROMPTS: &[Prompt] = &[
    Prompt {
        steps: "## A\n\n```sh run\nsessiontut ping\n```\n\nThat was the lesson.\n",
        keys: &[],
        prompt: "yes, run it",
    },
    Prompt {
        steps: "## A\n\n```redis after=2s\n> PING\nPONG\n```\n\nThat was the lesson.\n",
        keys: &[],
        prompt: "Enter wait and run",
    },
    Prompt {
        steps: "## A\n\nText.\n\n## B\n\nThat was the lesson.\n",
        keys: &[],
        prompt: "Enter next",
    },
    Prompt {
        steps: "## A\n\n- a\n- b\n- c\n- d\n- e\n- f\n- g\n- h\n- i\n- j\n- k\n- l\n- m\n- n\n- o\n- p\n- q\n- r\n- s\n- t\n\nThat was the lesson.\n",
        keys: &[],
        prompt: "Enter more",
    },
    Prompt {
        steps: "## A\n\nText.\n\n## B\n\nThat was the lesson.\n",
        keys: &[("Enter next", "Escape")],
        prompt: "leave the lesson?",
    },
    Prompt {
        steps: "## A\n\n```quiz\nWhich?\n- [x] one\n- [ ] two\n  : no\n- [x] three\n```\n\nThat was the lesson.\n",
        keys: &[],
        prompt: "numbers, for example 1 3>",
    },
    Prompt {
        steps: "## A\n\nText.\n\n## B\n\nThat was the lesson.\n",
        keys: &[("Enter next", "i")],
        prompt: ">",
    },
];

#[test]
fn a_paste_at_any_other_prompt_never_drives_the_lesson() {
    for Prompt { steps, keys, prompt } in PROMPTS {
        for is_marked in [true, false] {
            let learner = lesson(steps);
            let terminal = learner.sits_down();
            for (wanted, key) in *keys {
                terminal.wait_until(wanted, |screen| ends_with(screen, wanted));
                terminal.keys(&[key]);
            }
            terminal.wait_until(prompt, |screen| ends_with(screen, prompt));
            if is_marked {
                terminal.paste(SHELL_LINES);
            } else {
                terminal.paste_unmarked(SHELL_LINES);
            }
            terminal.wait_for(shown::TEXT_IGNORED);
            // This Enter ends the last line of the paste.
            terminal.keys(&["Enter"]);
            let screen = terminal.wait_until("the prompt", |screen| {
                let (_, after) = screen.rsplit_once(shown::TEXT_IGNORED).unwrap_or_default();
                // At the prompt for choosing a lesson, Enter returns to the previous prompt.
                ends_with(after, prompt) || ends_with(after, "Enter next")
            });
            assert!(!screen.contains(AFTER), "{screen}");
            terminal.keys(&["C-c"]);
            left(&terminal, 130);
        }
    }
}

/// The command that starts the app may be pasted, but the app must not start before Enter is pressed.
#[test]
fn the_command_that_starts_the_app_can_be_pasted() {
    for is_marked in [true, false] {
        let (home, port) = (Home::new(), free_port().to_string());
        save_progress(&home, "your-app", 2, "");
        let terminal = Terminal::shell(&home, 100, 60, &[("PORT", &port)]);
        let paste = |text: &str| match is_marked {
            true => terminal.paste(text),
            false => terminal.paste_unmarked(text),
        };
        terminal.line("clear; sessiontut learn");
        terminal.wait_for("grade it");
        terminal.keys(&["Enter"]);
        terminal.wait_for(shown::START_COMMAND);
        paste(SHELL_LINES);
        terminal.wait_for(shown::ONLY_FIRST_LINE);
        terminal.wait_until("the first line", |screen| {
            ends_with(screen, "> curl -s http://127.0.0.1:5000/")
        });
        terminal.keys(&["Escape"]);
        terminal.wait_until("an empty line", |screen| screen.trim_end().ends_with("\n>"));
        paste("cd /tmp && echo no app");
        terminal.wait_until("the command", |screen| {
            ends_with(screen, "> cd /tmp && echo no app")
        });
        terminal.keys(&["Enter"]);
        terminal.wait_for("Enter again");
        terminal.keys(&["q"]);
        left(&terminal, 0);
        let progress = fs::read_to_string(home.state().join("progress.json")).unwrap();
        assert!(progress.contains("cd /tmp && echo no app"), "{progress}");
    }
}
