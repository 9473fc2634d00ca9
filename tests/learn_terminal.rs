//! Tests lessons in a real terminal that is controlled by keys.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::time::Duration;

use support::golden::assert_golden;
use support::learner::{Learner, left, left_sanely, shown};
use support::lessons::COUNT;
use support::ports::free_port;
use support::{Home, Lessons, RedisServer, Terminal, wait};

#[test]
fn a_lesson_continues_where_the_learner_left_off() {
    let learner = Learner::new();
    let terminal = learner.sits_down();
    terminal.wait_for("After this you can count");
    terminal.keys(&["Enter"]);
    terminal.wait_for("(integer) -1");
    terminal.keys(&["Enter"]);
    terminal.wait_for("step 2 of 4");
    terminal.line("q");
    left_sanely(&terminal, &learner, 0);

    let again = learner.sits_down();
    let screen = again.wait_for("redis>");
    assert!(
        screen.contains("step 2 of 4") && !screen.contains("step 1 of 4"),
        "{screen}"
    );
    // The data of step 1 must have been set up again.
    assert_eq!(
        learner.server.hash("sessiontut:user:ada"),
        [("visits".to_owned(), "1".to_owned())]
    );
    again.line("EXPIRE sessiontut:user:ada 50");
    again.wait_for(shown::CORRECT);
    again.keys(&["q"]);
    left_sanely(&again, &learner, 0);
}

/// Lines that could be in a shell's history. They contain letters that are keys, numbers that are answers,
/// and words that end a session.
const SHELL_HISTORY: &[&str] = &[
    "curl -s http://127.0.0.1:5000/",
    "q",
    "1",
    "fg",
    "exit",
    "quit",
    "2",
    "ls -l",
    "y",
    "redis-cli -u $REDIS_URL PING",
    "skip",
    "list",
];

/// Starts a lesson for the learner at `step` of [`COUNT`], counted from 0.
fn at_step(step: usize) -> (Learner, Terminal) {
    let learner = Learner::new();
    fs::create_dir_all(learner.home.state()).unwrap();
    let progress =
        format!(r#"{{"version":1,"current":"count-visits","lessons":{{"count-visits":{{"step":{step}}}}}}}"#);
    fs::write(learner.home.state().join("progress.json"), progress).unwrap();
    let terminal = learner.sits_down();
    (learner, terminal)
}

/// Every kind of prompt: the step, the prompt's text, a key, and the text that appears after this key is
/// pressed. This text shows that the prompt still accepts keys.
const PROMPTS: &[(usize, &str, &str, &str)] = &[
    (0, "Enter run", "?", shown::ALL_KEYS),
    (1, "redis>", "?", shown::ALL_KEYS),
    (3, "1-2 answer", "2", "that would be -2"),
];

#[test]
fn a_paste_of_shell_lines_never_drives_the_lesson() {
    let lines = SHELL_HISTORY.repeat(17).join("\n");
    for (step, prompt, key, effect) in PROMPTS {
        for is_marked in [true, false] {
            let (learner, terminal) = at_step(*step);
            terminal.wait_for(prompt);
            if is_marked {
                terminal.paste(&lines);
            } else {
                terminal.paste_unmarked(&lines);
            }
            let screen = terminal.wait_for(shown::TEXT_IGNORED);
            assert!(!screen.contains("sent:"), "{screen}");
            // This Enter ends the last line of the paste.
            terminal.keys(&["Enter"]);
            terminal.wait_until("the prompt", |screen| {
                let (_, after) = screen.rsplit_once(shown::TEXT_IGNORED).unwrap_or_default();
                let is_explained = *prompt == "redis>" || after.contains(shown::ENTER_IGNORED);
                after.contains(prompt) && is_explained
            });
            terminal.line(key);
            let screen = terminal.wait_for(effect);
            assert!(!screen.contains("is right"), "{screen}");
            terminal.keys(&["C-c"]);
            left_sanely(&terminal, &learner, 130);
        }
    }
}

#[test]
fn a_typed_shell_line_never_drives_the_lesson() {
    for (step, prompt, ..) in PROMPTS.iter().filter(|(_, prompt, ..)| *prompt != "redis>") {
        let (learner, terminal) = at_step(*step);
        terminal.wait_for(prompt);
        for character in "fg; curl 1".chars() {
            terminal.text(&character.to_string());
        }
        terminal.keys(&["Enter"]);
        let screen = terminal.wait_until("the prompt", |screen| {
            let (_, after) = screen.rsplit_once(shown::TEXT_IGNORED).unwrap_or_default();
            after.contains(prompt)
        });
        assert!(
            !screen.contains(shown::ONLY_TASKS) && !screen.contains("is right"),
            "{screen}"
        );
        terminal.keys(&["q"]);
        left_sanely(&terminal, &learner, 0);
    }
}

#[test]
fn esc_asks_before_it_leaves() {
    for (step, prompt, ..) in PROMPTS {
        let (learner, terminal) = at_step(*step);
        terminal.wait_for(prompt);
        for (count, key) in (1..).zip(["n", "Enter"]) {
            terminal.keys(&["Escape"]);
            terminal.wait_for(shown::LEAVE);
            terminal.keys(&[key]);
            terminal.wait_until("the prompt", |screen| {
                let (before, after) = screen.rsplit_once(shown::STAYS).unwrap_or_default();
                let stayed = before.matches(shown::STAYS).count() + 1 == count;
                stayed && after.contains(prompt) && !screen.contains(shown::LEAVE)
            });
        }
        terminal.keys(&["Escape"]);
        terminal.wait_for(shown::LEAVE);
        terminal.keys(&["y"]);
        left_sanely(&terminal, &learner, 0);
    }
}

/// People who press one key to answer a question may also press Enter.
#[test]
fn an_enter_after_the_answer_to_a_question_has_no_effect() {
    let (learner, terminal) = at_step(0);
    terminal.wait_for("Enter run");
    terminal.keys(&["Escape"]);
    terminal.wait_for(shown::LEAVE);
    terminal.text("n\r");
    terminal.wait_for(shown::STAYS);
    let screen = terminal.wait_for("Enter run");
    assert!(!screen.contains("(integer)"), "{screen}");
    terminal.keys(&["q"]);
    left_sanely(&terminal, &learner, 0);
}

#[test]
fn the_words_for_keys_are_never_sent_as_commands() {
    let (learner, terminal) = at_step(1);
    terminal.wait_for("redis>");
    for word in ["y", "yes", "next"] {
        terminal.line(word);
        let screen = terminal.wait_for(&format!("{word} is not available here"));
        assert!(!screen.contains("not sent"), "{screen}");
    }
    terminal.keys(&["C-c"]);
    left_sanely(&terminal, &learner, 130);
}

#[test]
fn a_redis_command_at_a_prompt_for_keys_is_explained() {
    for is_pasted in [true, false] {
        let (learner, terminal) = at_step(0);
        terminal.wait_for("Enter run");
        match is_pasted {
            true => terminal.paste("HGETALL sessiontut:user:ada\n"),
            false => terminal.line("HGETALL sessiontut:user:ada"),
        }
        let screen = terminal.wait_for(shown::COMMAND_IGNORED);
        assert!(!screen.contains(shown::TEXT_IGNORED), "{screen}");
        terminal.keys(&["C-c"]);
        left_sanely(&terminal, &learner, 130);
    }
}

#[test]
fn a_task_or_quiz_is_skipped_with_the_key_that_is_listed() {
    for (step, prompt, next) in [(1, "redis>", "step 3 of 4"), (3, "1-2 answer", "lesson 3 done")] {
        let (learner, terminal) = at_step(step);
        terminal.wait_for(prompt);
        terminal.line("?");
        let screen = terminal.wait_for(shown::ALL_KEYS);
        assert!(screen.contains("      n  skip"), "{screen}");
        terminal.line("n");
        let screen = terminal.wait_for("Enter next");
        assert!(
            screen.lines().any(|line| line.starts_with(shown::SKIPPED)),
            "{screen}"
        );
        terminal.keys(&["Enter"]);
        terminal.wait_for(next);
        terminal.keys(&["C-c"]);
        left_sanely(&terminal, &learner, 130);
    }
}

#[test]
fn a_key_prompt_can_be_suspended_and_is_drawn_again() {
    for (step, prompt, ..) in PROMPTS {
        let (learner, terminal) = at_step(*step);
        terminal.wait_for(prompt);
        terminal.keys(&["C-z"]);
        terminal.wait_until("the shell", |screen| screen.trim_end().ends_with('$'));
        assert!(terminal.is_sane());
        terminal.line("clear; fg");
        terminal.wait_until("the prompt", |screen| {
            screen.contains(prompt) && !screen.contains("Stopped")
        });
        terminal.keys(&["C-c"]);
        left_sanely(&terminal, &learner, 130);
    }
}

#[test]
fn a_smaller_window_shows_the_prompt_only_once() {
    let (learner, terminal) = at_step(0);
    terminal.wait_for("Enter run");
    terminal.resize(40, 12);
    let screen = terminal.wait_for("? more");
    assert_eq!(screen.matches("Enter run").count(), 1, "{screen}");
    terminal.keys(&["q"]);
    left_sanely(&terminal, &learner, 0);
}

#[test]
fn the_fast_lane_shows_the_text_of_a_task_and_can_be_left() {
    let (learner, terminal) = at_step(1);
    terminal.wait_for("redis>");
    terminal.line("f");
    let screen = terminal.wait_until("the task", |screen| {
        let (_, after) = screen.rsplit_once(shown::ONLY_TASKS).unwrap_or_default();
        after.contains("redis>")
    });
    let (_, after) = screen.rsplit_once(shown::ONLY_TASKS).unwrap_or_default();
    assert!(after.contains("Give the key 100 seconds."), "{screen}");
    terminal.line("f");
    terminal.wait_for(shown::ALL_TEXT);
    terminal.wait_until("all keys", |screen| screen.trim_end().ends_with("redis>"));
    terminal.keys(&["C-c"]);
    left_sanely(&terminal, &learner, 130);
}

#[test]
fn a_wrong_try_gets_an_explanation_then_hints_then_the_solution() {
    let learner = Learner::new();
    let terminal = learner.at_the_task();
    terminal.line("h");
    terminal.wait_for("Hint 1 of 2");
    terminal.line("h");
    terminal.wait_for("EXPIRE key seconds");
    terminal.line("HGETALL sessiontut:user:ada");
    terminal.wait_for("2) \"1\"");
    terminal.line("EXPIRE sessiontut:user:eve 100");
    terminal.wait_for("it has no time to live yet");
    let screen = terminal.screen();
    assert!(!screen.contains(shown::SOLUTION), "one try is not two:\n{screen}");
    terminal.line("EXPIER sessiontut:user:ada 100");
    terminal.wait_for("did you mean EXPIRE?");
    // The learner's own misspelt keys are not suggested.
    terminal.line("EXPIRE sessiontut:user:Ada 100");
    terminal.wait_for("you used the key sessiontut:user:Ada");
    terminal.line("EXPIRE user:ada 100");
    terminal.wait_for("did you mean sessiontut:user:ada?");
    terminal.line("EXPIRE 100 sessiontut:user:ada");
    terminal.wait_for("as in EXPIRE sessiontut:user:ada 100");
    let screen = terminal.wait_for(shown::SOLUTION_OFFERED);
    assert!(!screen.contains(shown::SOLUTION), "{screen}");
    terminal.wait_until("an empty prompt", |screen| screen.trim_end().ends_with("redis>"));
    terminal.line("s");
    terminal.wait_for(shown::SOLUTION);
    terminal.wait_until("an empty prompt", |screen| screen.trim_end().ends_with("redis>"));
    terminal.keys(&["Enter"]);
    terminal.wait_for("Enter next");
    assert!(learner.server.pttl("sessiontut:user:ada") > 0);
    terminal.keys(&["q"]);
    left_sanely(&terminal, &learner, 0);
}

/// The task asks for EXPIRE on a hash. These commands also give the key the right TTL, or make it impossible to do the
/// task, but destroy the hash.
#[test]
fn a_command_that_destroys_the_hash_is_not_accepted_and_is_undone() {
    let learner = Learner::new();
    let terminal = learner.at_the_task();
    for (number, line) in [
        "SET sessiontut:user:ada oops EX 50",
        "SETEX sessiontut:user:ada 50 ada",
        "DEL sessiontut:user:ada",
        "HSET sessiontut:user:ada visits 7",
    ]
    .iter()
    .enumerate()
    {
        terminal.line(line);
        terminal.wait_until("the keys are restored", |screen| {
            screen.matches(shown::RESTORED).count() == number + 1
        });
        let screen = terminal.screen();
        assert!(!screen.contains(shown::CORRECT), "{line}\n{screen}");
    }
    terminal.line("EXPIRE sessiontut:user:ada 50");
    terminal.wait_for(shown::CORRECT);
    assert_eq!(
        learner.server.hash("sessiontut:user:ada"),
        [("visits".to_owned(), "1".to_owned())]
    );
    terminal.keys(&["q"]);
    left_sanely(&terminal, &learner, 0);
}

#[test]
fn a_wrong_try_does_not_affect_the_next_one() {
    let (learner, terminal) = in_a_lesson(
        "```redis\n> HSET sessiontut:a username ada visits 2\n(integer) 2\n```\n\n\
         ```redis try\n> HINCRBY sessiontut:a visits 1\n(integer) 3\n```\n\n\
         ```redis check\n> HGET sessiontut:a visits\n\"3\"\n```\n\nText.\n",
    );
    terminal.wait_for("Enter run");
    terminal.keys(&["Enter"]);
    terminal.wait_for("redis>");
    // The message about this error must not suggest a command that would delete the hash.
    terminal.line("INCR sessiontut:a");
    let screen = terminal.wait_until("the reason", |screen| {
        screen.contains("TYPE") && screen.ends_with_prompt()
    });
    assert!(!screen.contains("DEL"), "{screen}");
    for line in [
        "DEL sessiontut:a",
        "HINCRBY sessiontut:a visits 2",
        "HDEL sessiontut:a visits",
    ] {
        terminal.line(line);
        terminal.wait_until("the next prompt", |screen| {
            let (_, after) = screen.rsplit_once(line).unwrap_or_default();
            after.contains(shown::RESTORED) && after.ends_with_prompt()
        });
    }
    terminal.line("HINCRBY sessiontut:a visits 1");
    terminal.wait_for(shown::CORRECT);
    assert_eq!(learner.server.hash("sessiontut:a").len(), 2);
    terminal.keys(&["q"]);
    left_sanely(&terminal, &learner, 0);
}

#[test]
fn a_copied_prompt_is_named() {
    let (_learner, terminal) = in_a_lesson("```redis try\n> PING\nPONG\n```\n");
    for (number, line) in ["$ PING", "> PING", "redis> PING"].iter().enumerate() {
        terminal.wait_until("a prompt", EndsWithPrompt::ends_with_prompt);
        terminal.line(line);
        terminal.wait_until("the reason", |screen| {
            screen.matches("type the command without").count() == number + 1
        });
    }
}

/// Whether the text of a screen ends with an empty prompt for commands.
trait EndsWithPrompt {
    fn ends_with_prompt(&self) -> bool;
}

impl EndsWithPrompt for str {
    fn ends_with_prompt(&self) -> bool {
        self.trim_end().ends_with("redis>")
    }
}

#[test]
fn wording_of_a_lesson() {
    let learner = Learner::new();
    let terminal = learner.at_the_task();
    let lines = [
        "HGET sessiontut:user:ada \"visits",
        "h",
        "EXPIER sessiontut:user:ada 100",
        "EXPIRE user:ada 100",
        "export REDIS_URL=redis://127.0.0.1",
        "KEYS *",
        "MULTI",
        "DISCARD",
        "GET sessiontut:user:ada",
        "PERSIST sessiontut:user:ada",
        "SETEX sessiontut:user:ada 50 oops",
        "DEL sessiontut:user:ada",
        "> HLEN sessiontut:user:ada",
        "s",
    ];
    for line in lines {
        terminal.wait_until("an empty prompt", |screen| screen.trim_end().ends_with("redis>"));
        terminal.line(line);
        terminal.wait_for(&format!("redis> {line}\n"));
    }
    terminal.wait_for(shown::SOLUTION);
    terminal.line("?");
    terminal.wait_for(shown::ALL_KEYS);
    terminal.wait_until("an empty prompt", |screen| screen.trim_end().ends_with("redis>"));
    terminal.keys(&["Enter"]);
    terminal.wait_for("Enter next");
    terminal.keys(&["Enter"]);
    terminal.wait_for("Enter wait and run");
    terminal.keys(&["Enter"]);
    terminal.wait_for("WRONGTYPE");
    terminal.wait_for("Enter next");
    terminal.keys(&["Enter"]);
    terminal.wait_for("1-2 answer");
    terminal.keys(&["2"]);
    terminal.wait_for("2 is");
    terminal.keys(&["1"]);
    terminal.wait_for("1 is");
    terminal.wait_for("Enter next");
    terminal.keys(&["i"]);
    terminal.wait_for("go to");
    terminal.keys(&["Enter"]);
    terminal.wait_for("Enter next");
    terminal.keys(&["Enter"]);
    terminal.wait_for("Enter next lesson");
    terminal.keys(&["q"]);
    left_sanely(&terminal, &learner, 0);
    let text = terminal.history();
    let text = text.split("step 2 of 4").nth(1).unwrap_or_default();
    // The shell may echo the next command before it prints its prompt.
    let text = text.split("echo status").next().unwrap_or_default();
    assert_golden("learn/lesson.txt", text.trim_end_matches(['$', ' ', '\n']));
}

#[test]
fn commands_and_keys_are_completed_and_kept_in_the_history() {
    let learner = Learner::new();
    let terminal = learner.at_the_task();
    terminal.text("hgeta");
    terminal.keys(&["Tab"]);
    terminal.wait_for("redis> HGETALL");
    terminal.text("sess");
    terminal.keys(&["Tab", "Enter"]);
    terminal.wait_for("2) \"1\"");
    terminal.keys(&["Up"]);
    terminal.wait_until("the line before", |screen| {
        screen.trim_end().ends_with("redis> HGETALL sessiontut:user:ada")
    });
    terminal.keys(&["C-c"]);
    left_sanely(&terminal, &learner, 130);
}

#[test]
fn ctrl_c_anywhere_leaves_the_terminal_sane_and_no_key_behind() {
    let learner = Learner::new();
    let at_a_key = learner.sits_down();
    at_a_key.wait_for("Enter run");
    at_a_key.keys(&["C-c"]);
    left_sanely(&at_a_key, &learner, 130);

    let at_a_command = learner.at_the_task();
    at_a_command.text("EXPIRE half");
    at_a_command.keys(&["C-c"]);
    left_sanely(&at_a_command, &learner, 130);

    let waiting = COUNT.replace("after=100ms", "after=90s");
    fs::write(learner.lessons.file("03-count-visits.md"), waiting).unwrap();
    let in_a_wait = learner.sits_down();
    in_a_wait.wait_for("redis>");
    in_a_wait.line("EXPIRE sessiontut:user:ada 100");
    in_a_wait.wait_for("Enter next");
    in_a_wait.keys(&["Enter"]);
    in_a_wait.wait_for("Enter wait and run");
    in_a_wait.keys(&["Enter"]);
    in_a_wait.wait_for(shown::TTL_OF_ADA);
    in_a_wait.keys(&["C-c"]);
    left_sanely(&in_a_wait, &learner, 130);

    let by_a_signal = learner.sits_down();
    by_a_signal.wait_for("Enter wait and run");
    by_a_signal.keys(&["r"]);
    by_a_signal.wait_for("Enter wait and run");
    by_a_signal.keys(&["C-d"]);
    left_sanely(&by_a_signal, &learner, 130);
}

#[test]
fn sigterm_at_a_prompt_or_a_menu_restores_the_terminal() {
    let learner = Learner::new();
    let at_a_command = learner.at_the_task();
    at_a_command.text("EXPIRE half");
    at_a_command.signal("TERM");
    left_sanely(&at_a_command, &learner, 130);

    at_a_command.line("clear; sessiontut; echo status=$?");
    at_a_command.wait_for("> learn");
    at_a_command.signal("TERM");
    at_a_command.wait_for("status=130");
    assert!(at_a_command.is_sane());
}

/// Kills the terminal while the program shows `shown` and waits. Before that, presses Enter whenever one of
/// the texts in `before` appears.
#[track_caller]
fn ends_with_its_terminal(learner: &Learner, arguments: &[&str], before: &[&str], shown: &str) {
    let url = learner.server.url();
    let terminal = Terminal::sized(&learner.home, arguments, 40, 12, &[("REDIS_URL", &url)]);
    for text in before {
        terminal.wait_for(text);
        terminal.keys(&["Enter"]);
    }
    terminal.wait_for(shown);
    let process = terminal.disappear();
    let stat = format!("/proc/{process}/stat");
    let ended = wait::within(Duration::from_secs(10), || {
        // A zombie process has ended, too.
        let state = fs::read_to_string(&stat).unwrap_or_default();
        (state.is_empty() || state.contains(") Z ")).then_some(())
    });
    if ended.is_none() {
        support::terminal::kill("KILL", process);
    }
    assert!(
        ended.is_some(),
        "it still runs after its terminal disappeared at {shown:?}"
    );
    assert!(learner.server.keys().is_empty(), "{:?}", learner.server.keys());
}

#[test]
fn the_program_ends_when_its_terminal_disappears() {
    let learner = Learner::new();
    let folder = learner.lessons.path();
    let lesson = ["learn", "--lessons", &folder, "3"];
    ends_with_its_terminal(&learner, &lesson, &[], "Enter run");
    ends_with_its_terminal(&learner, &lesson, &["Enter run", "Enter next"], "redis>");
    ends_with_its_terminal(&learner, &[], &[], "> learn");
}

#[test]
fn the_prompt_can_be_suspended_cleared_and_pasted_into() {
    let learner = Learner::new();
    let terminal = learner.at_the_task();
    let ends_with = |line: &str| {
        terminal.wait_until(line, |screen| screen.trim_end().ends_with(line));
    };
    terminal.text("EXPIRE half");
    terminal.keys(&["C-z"]);
    ends_with("$");
    assert!(terminal.is_sane());
    terminal.line("fg");
    ends_with("redis> EXPIRE half");
    terminal.keys(&["Escape"]);
    ends_with("redis>");

    // Of several pasted lines, only the first is kept.
    terminal.paste("HGETALL sessiontut:user:ada\nHLEN sessiontut:user:ada\n");
    terminal.wait_for(shown::ONLY_FIRST_LINE);
    ends_with("redis> HGETALL sessiontut:user:ada");
    terminal.keys(&["Enter"]);
    terminal.wait_for("2) \"1\"");
    ends_with("redis>");

    // Ctrl-D ends the input only on an empty line.
    terminal.text("HLEN half");
    terminal.keys(&["C-d"]);
    terminal.text("way");
    ends_with("redis> HLEN halfway");
    terminal.keys(&["C-c"]);
    left_sanely(&terminal, &learner, 130);
}

#[test]
fn a_lesson_fits_a_window_of_40_by_12() {
    let learner = Learner::new();
    let terminal = learner.sits_down_at(40, 12);
    terminal.wait_for("Enter run");
    terminal.keys(&["Enter"]);
    terminal.wait_for("Enter next");
    terminal.keys(&["Enter"]);
    terminal.wait_for("redis>");
    terminal.line("EXPIRE sessiontut:user:ada 100");
    terminal.wait_for(shown::CORRECT);
    terminal.keys(&["?"]);
    terminal.wait_for(shown::ALL_KEYS);
    terminal.keys(&["q"]);
    left_sanely(&terminal, &learner, 0);
    assert!(
        terminal.history().lines().all(|line| line.chars().count() <= 40),
        "{}",
        terminal.history()
    );
}

#[test]
fn a_key_that_is_not_an_answer_leaves_the_screen_clean() {
    let home = Home::new();
    let terminal = Terminal::sized(&home, &["learn", "1"], 40, 90, &[]);
    terminal.wait_for("1-3 answer");
    terminal.keys(&["x"]);
    let screen = terminal.wait_for(shown::NOT_AN_ANSWER);
    assert!(!screen.contains("1-3 answer"), "{screen}");
    terminal.keys(&["1"]);
    let screen = terminal.wait_for("1 is right");
    assert!(!screen.contains(shown::NOT_AN_ANSWER), "{screen}");
}

#[test]
fn visiting_other_steps_keeps_the_current_place() {
    let learner = Learner::new();
    let terminal = learner.at_the_task();
    terminal.line("list");
    terminal.wait_for("go to");
    terminal.line("comes");
    terminal.wait_for("Lesson 4: What comes next (2 of 2)");
    terminal.wait_for("print(1)");
    terminal.keys(&["l"]);
    terminal.wait_for("console.log(1);");
    terminal.keys(&["i"]);
    terminal.wait_until("the list", |screen| screen.trim_end().ends_with("\n>"));
    terminal.line("3");
    terminal.wait_for("at step 2");
    terminal.line("r");
    terminal.wait_for("redis>");
    terminal.line("b");
    terminal.wait_for("Enter run");
    terminal.keys(&["f"]);
    terminal.wait_for(shown::ONLY_TASKS);
    // The earlier prompt is still on the screen, so wait for the prompt that follows after the fast lane is enabled.
    terminal.wait_until("the prompt of step 2", |screen| {
        screen
            .split(shown::ONLY_TASKS)
            .nth(1)
            .is_some_and(|below| below.contains("redis>"))
    });
    terminal.keys(&["C-c"]);
    left_sanely(&terminal, &learner, 130);
}

#[test]
fn a_wrong_answer_explains_itself() {
    let learner = Learner::new();
    fs::create_dir_all(learner.home.state()).unwrap();
    let progress = r#"{"version":1,"current":"count-visits","lessons":{"count-visits":{"step":3}}}"#;
    fs::write(learner.home.state().join("progress.json"), progress).unwrap();
    let terminal = learner.sits_down();
    terminal.wait_for("1-2 answer");
    terminal.keys(&["2"]);
    terminal.wait_for("that would be -2");
    // This key is not an answer, so the question must stay on the screen.
    terminal.keys(&["Enter"]);
    terminal.wait_for(shown::NOT_AN_ANSWER);
    terminal.keys(&["1"]);
    terminal.wait_for("nothing ends it");
    terminal.keys(&["Enter"]);
    terminal.wait_for("lesson 3 done");
    terminal.keys(&["q"]);
    left_sanely(&terminal, &learner, 0);
}

#[test]
fn an_unusable_progress_file_does_not_stop_a_lesson() {
    for (text, is_kept) in [("{", false), ("[1]", false), (r#"{"version":9}"#, true)] {
        let learner = Learner::new();
        fs::create_dir_all(learner.home.state()).unwrap();
        let file = learner.home.state().join("progress.json");
        fs::write(&file, text).unwrap();
        let terminal = learner.sits_down();
        terminal.wait_for("Enter run");
        terminal.keys(&["q"]);
        left_sanely(&terminal, &learner, 0);
        assert_eq!(fs::read_to_string(&file).unwrap() == text, is_kept, "{text}");
        let set_aside = learner.home.state().join("progress.damaged-1");
        assert_eq!(set_aside.exists(), !is_kept, "{text}");
    }
}

#[test]
fn a_lesson_works_without_a_home_folder() {
    let learner = Learner::new();
    for home in ["", "/proc/no-such-home"] {
        let terminal = learner.sits_down_with(80, 24, &[("HOME", home), ("XDG_STATE_HOME", "")]);
        let screen = terminal.wait_for("Enter run");
        assert!(screen.replace('\n', " ").contains(shown::NOT_SAVED), "{screen}");
        terminal.keys(&["q"]);
        left_sanely(&terminal, &learner, 0);
    }
}

#[test]
fn a_long_text_is_shown_page_by_page() {
    let learner = Learner::new();
    let paragraphs: Vec<String> = (1..=20)
        .map(|number| format!("Sentence number {number}."))
        .collect();
    let long = format!("# Long\n\n## Read\n\n{}\n", paragraphs.join("\n\n"));
    fs::write(learner.lessons.file("03-count-visits.md"), long).unwrap();
    let terminal = learner.sits_down_at(40, 12);
    let screen = terminal.wait_for("Enter more");
    assert!(screen.contains("Sentence number 1."), "{screen}");
    terminal.keys(&["Enter"]);
    terminal.wait_until("the next part", |screen| {
        screen.contains("Enter more") && !screen.contains("Sentence number 1.")
    });
    // Neither a number nor another key turns the page.
    let before = terminal.screen();
    terminal.keys(&["1"]);
    let after = terminal.wait_until("a reaction", |screen| screen != before);
    assert_eq!(
        before.matches("Sentence").count(),
        after.matches("Sentence").count()
    );
    // e ends the pauses, but loses no text.
    terminal.keys(&["e"]);
    terminal.wait_for("Sentence number 20.");
    terminal.wait_for("Enter next");
    assert!(terminal.history().contains("Sentence number 10."));
    terminal.keys(&["q"]);
    left_sanely(&terminal, &learner, 0);
}

#[test]
fn the_first_lessons_need_only_the_program() {
    let home = Home::new();
    let terminal = Terminal::shell(&home, 80, 24, &[]);
    terminal.line("clear; sessiontut learn 3");
    terminal.wait_for("built-in practice Redis");
    terminal.wait_for("1-3 answer");
    terminal.keys(&["3"]);
    terminal.wait_for("Enter next");
    terminal.keys(&["Enter"]);
    terminal.wait_for("Enter run");
    terminal.keys(&["Enter"]);
    terminal.wait_for("2) \"ada\"");
    terminal.keys(&["C-c"]);
    left(&terminal, 130);
    home.run(["learn", "--yes", "3"]).expect(0);
}

/// Returns a learner at the start of a lesson with one step.
fn in_a_lesson(body: &str) -> (Learner, Terminal) {
    let learner = Learner {
        home: Home::new(),
        lessons: Lessons::of(&[("01-only.md", &format!("# Only\n\n## Step\n\n{body}"))]),
        server: RedisServer::start(),
    };
    let terminal = learner.sits_down();
    (learner, terminal)
}

#[test]
fn every_key_has_a_ttl_while_the_program_waits_for_the_learner() {
    let (learner, terminal) = in_a_lesson(
        "```redis\n> SET sessiontut:a 1\nOK\n> TTL sessiontut:a\n(integer) -1\n```\n\n\
         ```redis try\n> MULTI\nOK\n> INCR sessiontut:a\nQUEUED\n> EXEC\n1) (integer) 2\n```\n\n\
         ```redis check\n> MGET sessiontut:a\n1) \"2\"\n> TTL sessiontut:a\n(integer) -1\n```\n\nText.\n",
    );
    let has_ttl = || (learner.server.pttl("sessiontut:a") > 0).then_some(());
    terminal.wait_for("Enter run");
    terminal.keys(&["Enter"]);
    terminal.wait_for("redis>");
    wait::wait_for("a TTL after a command", has_ttl);
    for (command, reply) in [("MULTI", "OK"), ("INCR sessiontut:a", "QUEUED")] {
        terminal.line(command);
        terminal.wait_for(&format!("redis> {command}\n{reply}"));
        wait::wait_for("a TTL in a transaction", has_ttl);
    }
    terminal.line("EXEC");
    terminal.wait_for(shown::CORRECT);
    wait::wait_for("a TTL after the transaction", has_ttl);
    terminal.signal("KILL");
    assert_eq!(has_ttl(), Some(()));
}

#[test]
fn a_key_pressed_during_a_countdown_has_no_effect() {
    let (learner, terminal) =
        in_a_lesson("```redis after=3s\n> PING\nPONG\n```\n\nThat was it.\n\n## Second\n\nText.\n");
    terminal.wait_for("Enter wait and run");
    terminal.keys(&["Enter"]);
    terminal.wait_for("waiting 3 s");
    terminal.keys(&["Enter", "x", "Enter"]);
    terminal.wait_for("That was it.");
    let screen = terminal.wait_for("Enter next");
    assert!(
        !screen.contains("waiting") && !screen.contains("step 2 of 2"),
        "{screen}"
    );
    terminal.keys(&["q"]);
    left_sanely(&terminal, &learner, 0);
}

#[test]
fn an_empty_line_separates_a_command_from_the_text_after_it() {
    let (_learner, terminal) = in_a_lesson("```sh run\nsessiontut ping\n```\n\nThat was ping.\n");
    terminal.wait_for("yes, run it");
    terminal.keys(&["Enter"]);
    let screen = terminal.wait_for("That was ping.");
    let lines: Vec<&str> = screen.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| *line == "That was ping.").unwrap();
    assert_eq!(lines[at - 1], "", "{screen}");
}

#[test]
fn a_command_is_repeated_until_it_succeeds() {
    let (learner, terminal) = in_a_lesson("```sh try\nsessiontut visits\n```\n\nThat was a visit.\n");
    terminal.wait_for("yes, run it");
    terminal.keys(&["Enter"]);
    let screen = terminal.wait_for("Enter again");
    assert!(!screen.contains("That was a visit."), "{screen}");
    let login = learner.home.sessiontut(["login", "ada"]);
    login.redis(&learner.server.url()).run().expect(0);
    terminal.keys(&["Enter"]);
    terminal.wait_for("That was a visit.");
    terminal.keys(&["q"]);
    left(&terminal, 0);
}

/// Another program often uses port 5000, so the lesson must be able to use another port. This test occupies
/// the app's port itself.
#[test]
fn the_app_listens_on_another_port_if_its_port_is_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, port) = (taken.local_addr().unwrap(), taken.local_addr().unwrap().port());
    let (learner, terminal) = in_a_lesson(&format!(
        "Text with http://{address}/ before the app.\n\n```sh run\nsessiontut serve --stage 3 --listen {address}\n```\n\nRun `ssh -L {port}:{address} HOST`.\n\n```sh\ncurl http://{address}/login\n```\n\n```redis check\n> EXISTS sessiontut:user:ada\n(integer) 1\n```\n"
    ));
    terminal.wait_for("yes, run it");
    terminal.keys(&["Enter"]);
    terminal.wait_for(shown::APP_MOVED);
    let screen = terminal.wait_for("Enter check");
    let (_, after) = screen.rsplit_once(shown::APP_MOVED).unwrap();
    assert!(!after.contains(&address.to_string()), "{screen}");
    let (_, url) = after.split_once("curl http://").unwrap();
    let (moved, _) = url.split_once('/').unwrap();
    let moved: std::net::SocketAddr = moved.parse().unwrap();
    assert!(
        after.contains(&format!("ssh -L {}:{moved} HOST", moved.port())),
        "{screen}"
    );
    assert!(std::net::TcpStream::connect(moved).is_ok(), "{screen}");
    terminal.keys(&["q"]);
    left_sanely(&terminal, &learner, 0);
}

/// The page of the first app may still be open in the learner's browser, so the next app must use the same
/// port, even if the port in the lesson is free by then.
#[test]
fn the_next_app_listens_on_the_port_of_the_last_one() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let run = format!("```sh run\nsessiontut serve --stage 3 --listen {address}\n```\n");
    let look = format!("```sh\ncurl http://{address}/login\n```\n");
    let (learner, terminal) = in_a_lesson(&format!("{run}\n{look}\n## Again\n\n{run}\nOnce more.\n\n{look}"));
    terminal.wait_for("yes, run it");
    terminal.keys(&["Enter"]);
    let first = terminal.wait_for("Enter next");
    let (_, moved) = first.rsplit_once("curl http://").unwrap();
    let (moved, _) = moved.split_once('/').unwrap();
    assert_ne!(moved, address.to_string(), "{first}");
    drop(taken);

    terminal.keys(&["Enter"]);
    terminal.wait_for("yes, run it");
    terminal.keys(&["Enter"]);
    let screen = terminal.wait_until("the address of the second app", |screen| {
        let (_, second) = screen.split_once("Once more.").unwrap_or_default();
        second.contains("curl http://")
    });
    let (_, second) = screen.split_once("Once more.").unwrap();
    assert!(second.contains(&format!("curl http://{moved}/login")), "{screen}");
    terminal.keys(&["q"]);
    left_sanely(&terminal, &learner, 0);
}

/// If the app does not start, the parts of the lesson that need it are neither checked nor marked wrong.
#[test]
fn a_lesson_whose_app_cannot_start_offers_another_try_and_checks_nothing() {
    let (learner, terminal) = in_a_lesson(
        "```sh run\nsessiontut serve --cookie-name __Host-a\n```\n\n```redis check\n> GET sessiontut:a\n\"1\"\n```\n\n## Look\n\n```redis\n> GET sessiontut:a\n\"1\"\n```\n\nThe end.\n",
    );
    terminal.wait_for("yes, run it");
    terminal.keys(&["Enter"]);
    terminal.wait_for("Enter again");
    terminal.keys(&["n"]);
    terminal.wait_for(shown::NOT_CHECKED);
    terminal.wait_for("Enter next");
    terminal.keys(&["Enter"]);
    terminal.wait_for(shown::APP_MISSING);
    let screen = terminal.wait_for("The end.");
    assert!(!screen.contains('✗'), "{screen}");
    terminal.keys(&["q"]);
    left_sanely(&terminal, &learner, 0);
}

/// The learner enters the command that starts the app of the final project. The command is saved for the next
/// run.
#[test]
fn the_final_project_grades_the_learners_app_and_can_be_resumed() {
    let home = Home::new();
    let port = free_port().to_string();
    let start = || {
        let terminal = Terminal::shell(&home, 100, 80, &[("PORT", &port)]);
        terminal.line("clear; sessiontut learn 9");
        terminal
    };
    let terminal = start();
    terminal.wait_for("1-3 answer");
    terminal.keys(&["3"]);
    terminal.wait_for("Enter next");
    terminal.keys(&["Enter"]);
    terminal.wait_until("the next step", |screen| {
        screen.contains("What to build") && screen.contains("Enter next")
    });
    terminal.keys(&["Enter"]);
    terminal.wait_for("grade it");
    terminal.keys(&["Enter"]);
    terminal.wait_for(shown::START_COMMAND);
    terminal.line("echo no app");
    terminal.wait_for("no app");
    terminal.wait_for("Enter again");
    terminal.keys(&["a"]);
    terminal.wait_until("the question again", |screen| {
        screen.matches(shown::START_COMMAND).count() == 2
    });
    terminal.line("sessiontut serve --stage 1 --listen 127.0.0.1:$PORT");
    terminal.wait_for("[ok]");
    // Keys that are pressed too early must not start the next stage, because the learner has not written the
    // app for it yet.
    terminal.keys(&["Enter", "Enter"]);
    terminal.wait_for("stage 1 passed");
    let screen = terminal.wait_for("Enter next");
    assert!(!screen.contains("Stage 2"), "{screen}");
    terminal.keys(&["Enter"]);
    terminal.wait_for("Stage 2");
    terminal.wait_for("grade it");
    terminal.keys(&["q"]);
    left(&terminal, 0);

    let terminal = start();
    terminal.wait_for("grade it");
    terminal.keys(&["Enter"]);
    // The app is still the one of stage 1.
    let screen = terminal.wait_for("Enter again");
    assert!(!screen.contains(shown::START_COMMAND), "{screen}");
    assert!(!screen.contains("stage 2 passed"), "{screen}");
    terminal.keys(&["q"]);
    left(&terminal, 0);
}

#[test]
fn complete_files_are_shown_and_left_without_leaving_the_lesson() {
    let home = Home::new();
    let terminal = Terminal::shell(&home, 80, 24, &[]);
    terminal.line("clear; sessiontut learn 1 --lang rust");
    let press = |wanted: &str, key: &str| {
        terminal.wait_for(wanted);
        terminal.keys(&[key]);
    };
    press("Enter more", "Enter");
    press("1-3 answer", "1");
    press("Enter next", "Enter");
    press("1-3 answer", "3");
    press("Enter next", "Enter");
    press("Enter more", "Enter");
    press("Enter next", "c");
    press("examples/axum/stage1.rs", "x");
    let screen = terminal.wait_for("examples/axum/common.rs");
    assert!(screen.contains("/source?lang=axum&stage=1"), "{screen}");
    press("Enter next", "q");
    left(&terminal, 0);
}

#[test]
fn client_list_is_shown_line_by_line() {
    let (_learner, terminal) = in_a_lesson("```redis\n> CLIENT LIST\n...\n```\n\nThose were all.\n");
    terminal.wait_for("Enter run");
    terminal.keys(&["Enter"]);
    let screen = terminal.wait_for("Those were all.");
    assert!(screen.contains("\nid=") && !screen.contains("\\n"), "{screen}");
}

#[test]
fn after_the_last_lesson_the_program_suggests_a_drill() {
    let (learner, terminal) = in_a_lesson("Text.\n");
    terminal.wait_for("Enter next");
    terminal.keys(&["Enter"]);
    terminal.wait_for("sessiontut drill");
    terminal.line("echo status=$?");
    terminal.wait_for("status=0");
    assert!(terminal.is_sane() && learner.server.keys().is_empty());
}

#[test]
fn an_expected_range_is_shown_in_words() {
    let (_learner, terminal) = in_a_lesson(
        "```redis try\n> SET sessiontut:a 1 EX 50\nOK\n```\n\n```redis check\n> TTL sessiontut:a\n(integer) [1-100]\n```\n",
    );
    terminal.wait_for("redis>");
    terminal.line("SET sessiontut:a 1");
    let screen = terminal.wait_for(shown::EXPECTED);
    assert!(screen.contains("(integer) a number from 1 to 100"), "{screen}");
}

#[test]
fn keys_is_refused_and_scan_is_suggested() {
    let (_learner, terminal) = in_a_lesson("```redis try\n> PING\nPONG\n```\n");
    terminal.wait_for("redis>");
    terminal.line("KEYS *");
    let screen = terminal.wait_for("SCAN 0 MATCH");
    assert!(!screen.contains("did you mean"), "{screen}");
}

/// A learner may read for longer than the TTL of any key. In this test, all keys are deleted whenever the
/// lesson waits for the learner.
#[test]
fn no_reply_is_marked_wrong_because_the_learner_reads_slowly() {
    let learner = Learner::new();
    let lessons = [3, 4, 5].map(|number| format!("{number}"));
    for lesson in lessons {
        let url = learner.server.url();
        let terminal = Terminal::shell(&learner.home, 100, 40, &[("REDIS_URL", &url)]);
        terminal.line(&format!("clear; sessiontut learn {lesson}"));
        let mut answer = 0;
        loop {
            let screen = terminal.wait_until("a prompt", |screen| {
                let last = screen.trim_end().lines().last().unwrap_or_default();
                let is_key =
                    last.contains("q quit") || last.starts_with("Enter ") || last.contains(" answer ");
                is_key || last == "redis>"
            });
            let last = screen.trim_end().lines().last().unwrap_or_default().to_owned();
            for key in learner.server.keys() {
                if !key.starts_with("sessiontut:lesson:") {
                    learner.server.ask(&["DEL", &key]);
                }
            }
            if last.starts_with("Enter next lesson") || last.starts_with("Enter next unfinished lesson") {
                break;
            }
            if last == "redis>" {
                terminal.line("s");
                terminal.wait_until("the solution", |screen| {
                    let (_, after) = screen.rsplit_once(shown::SOLUTION).unwrap_or_default();
                    after.trim_end().ends_with("redis>")
                });
                terminal.keys(&["Enter"]);
                terminal.wait_until("the next prompt", |screen| !screen.trim_end().ends_with("redis>"));
            } else if last.contains(" answer ") {
                answer = answer % 3 + 1;
                terminal.keys(&[&answer.to_string()]);
            } else {
                terminal.keys(&["Enter"]);
            }
            terminal.wait_until("a reaction", |now| now != screen);
        }
        let history = terminal.history();
        let wrong: Vec<&str> = history
            .lines()
            .filter(|line| line.contains('✗') && !line.contains(" is wrong"))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}\n{history}");
        terminal.keys(&["q"]);
        left(&terminal, 0);
    }
}

#[test]
fn the_course_ends_with_a_score_and_a_recap() {
    let quiz = "# Ask\n\n## Ask\n\n```quiz\nWhat?\n- [ ] no\n  : because\n- [x] yes\n  : because\n```\n";
    let lessons = Lessons::of(&[
        ("01-ask.md", quiz),
        ("02-again.md", &quiz.replace("# Ask", "# Again")),
    ]);
    let home = Home::new();
    let terminal = Terminal::shell(&home, 100, 40, &[("LESSONS", &lessons.path())]);
    terminal.line("clear; sessiontut learn --lessons $LESSONS");
    for answers in [&["1", "2"][..], &["2"]] {
        for answer in answers {
            terminal.wait_for("1-2 answer");
            terminal.keys(&[answer]);
            terminal.wait_for(&format!("{answer} is "));
        }
        terminal.wait_for("Enter next");
        terminal.keys(&["Enter"]);
        terminal.wait_until("the end", |screen| {
            screen.contains("next lesson") || screen.contains("all lessons")
        });
        terminal.keys(&["Enter"]);
    }
    let screen = terminal.wait_for("--cheat-sheet");
    assert!(screen.contains("1 of 2 quizzes"), "{screen}");

    // A finished course does not start again by itself.
    terminal.line("clear; sessiontut learn --lessons $LESSONS; echo status=$?");
    let screen = terminal.wait_for("status=0");
    assert_eq!(screen.matches("✓ done").count(), 2, "{screen}");
    assert!(!screen.contains("1-2 answer"), "{screen}");
    // A completed lesson that was opened again is still marked as done.
    terminal.line("clear; sessiontut learn --lessons $LESSONS 2");
    terminal.wait_for("1-2 answer");
    terminal.keys(&["i"]);
    let screen = terminal.wait_for("go to");
    assert_eq!(screen.matches("✓ done").count(), 2, "{screen}");
}
