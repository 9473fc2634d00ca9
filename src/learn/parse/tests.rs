//! Checks that valid lesson files are parsed, and that errors in invalid files are found.

use super::*;
use std::time::{Duration, Instant};

const WHOLE: &str = r##"# Count visits

> After this you count. *10 minutes*

A word first.

```sh
export REDIS_URL=redis://…
```

## One command

HINCRBY makes the key.

```redis
> HINCRBY sessiontut:user:ada visits 1
(integer) 1
```

Now you.

```redis try
> HINCRBY sessiontut:user:ada visits 1
(integer) 2
```

<details><summary>Hint</summary>

The same once more.

</details>

<details><summary>Hint</summary>Really `the same`.</details>

```redis check
> HGET sessiontut:user:ada visits
"[2-9]"
! (nil): there is no such field
```

## Wait and see

- a list
- of two

| a | b |
| - | - |
| 1 | 2 |

```redis after=1500ms watch=sessiontut:user:ada real
> EXISTS sessiontut:user:ada
(integer) 0
```

```python from=examples/flask/app.py#step2
visits()
```

```javascript
visits();
```

```python
more()
```

```sh run
sessiontut login ada
$ sessiontut visits --times 3
```

```quiz
Why?
- [x] because
- [ ] not
  : it is
```
"##;

#[test]
fn every_part_of_the_format_finds_its_place() {
    let lesson = parse("lessons/03-count-visits.md", WHOLE).unwrap();
    assert_eq!((lesson.number, lesson.id.as_str()), (3, "count-visits"));
    assert_eq!(lesson.title, "Count visits");
    assert_eq!(lesson.goal, "After this you count. 10 minutes");
    assert_eq!(lesson.introduction.len(), 2);
    let titles: Vec<&str> = lesson.steps.iter().map(|step| step.title.as_str()).collect();
    assert_eq!(titles, ["One command", "Wait and see"]);

    let [
        Block::Prose(_),
        Block::Redis(shown),
        Block::Prose(_),
        Block::Try { solution, checks },
    ] = lesson.steps[0].blocks.as_slice()
    else {
        panic!("{:#?}", lesson.steps[0].blocks);
    };
    assert_eq!((shown.fence.line, shown.exchanges[0].line), (15, 16));
    let reply = solution.exchanges[0].reply.as_ref().unwrap();
    assert_eq!(reply.source(), ["(integer) 2"]);
    assert_eq!(checks[0].exchanges[0].wrong[0].why, "there is no such field");
    let hints: Vec<(usize, &str)> = lesson.steps[0]
        .hints
        .iter()
        .map(|hint| (hint.block, hint.text.as_str()))
        .collect();
    assert_eq!(hints, [(3, "The same once more."), (3, "Really `the same`.")]);

    let [
        Block::Prose(prose),
        Block::Redis(waiting),
        Block::Code(tabs),
        Block::Code(_),
        Block::Shell(shell),
        Block::Quiz(quiz),
    ] = lesson.steps[1].blocks.as_slice()
    else {
        panic!("{:#?}", lesson.steps[1].blocks);
    };
    assert!(
        prose.contains(
            "- of two

| a | b |"
        ),
        "{}",
        prose
    );
    assert!(waiting.fence.needs_real_redis);
    assert_eq!(
        waiting.fence.wait.as_ref().unwrap().span,
        Duration::from_millis(1500)
    );
    let languages: Vec<&str> = tabs.iter().map(|tab| tab.language.as_str()).collect();
    assert_eq!(languages, ["python", "javascript"]);
    let commands = [vec!["login", "ada"], vec!["visits", "--times", "3"]];
    assert_eq!(shell.commands, commands);
    assert_eq!(quiz.answers.len(), 2);
}

fn parse(file: &str, source: &str) -> Result<Lesson, Vec<LessonError>> {
    super::parse(file, source, |_| Ok(()))
}

/// Returns invalid lesson files, each with the line of the first error.
fn invalid() -> Vec<(&'static str, String, usize)> {
    let in_a_step = [
        ("```redis chek\n> PING\nPONG\n```\n", 7),
        ("```redis\n> PING\nPONG\n", 7),
        (
            "```redis\n> PING\nPONG\n\nText\n\n```redis\n> PING\nPONG\n```\n",
            7,
        ),
        ("## \n\ntext\n", 7),
        ("# Again\n", 7),
        ("```redis\n> SET other 1\nOK\n```\n", 8),
        ("```redis try\n> PING\n```\n", 8),
        ("```redis\n> SETBIT sessiontut:a 4294967295 1\n...\n```\n", 8),
        (
            "```redis\n> SET sessiontut:a 1\nOK\n> COPY sessiontut:a sessiontut:b DB 5\n...\n```\n",
            10,
        ),
        ("```sh run\nrm -rf /\n```\n", 8),
        ("```quiz\nQ?\n- [ ] a\n  : why\n```\n", 8),
        ("<details><summary>Hint</summary>\n\ntext\n", 7),
        ("- item\n\n  ```redis\n  > PING\n  PONG\n  ```\n", 9),
    ];
    let whole = [
        ("lessons/readable.md", "# T\n## S\n", 1),
        ("lessons/01-t.md", "## S\n", 1),
        ("lessons/01-t.md", "# T\n\ntext\n", 3),
        (
            "lessons/01-t.md",
            "# T\n\n```redis\n> PING\nPONG\n```\n\n## S\n",
            3,
        ),
        ("lessons/01-t.md", "", 1),
    ];
    let step = |(rest, line)| {
        let source = format!("# T\n\n> P\n\n## S\n\n{rest}");
        ("lessons/01-t.md", source, line)
    };
    let whole = whole.map(|(file, source, line)| (file, source.to_owned(), line));
    in_a_step.map(step).into_iter().chain(whole).collect()
}

#[test]
fn errors_name_the_line() {
    for (file, source, line) in invalid() {
        let errors = parse(file, &source).unwrap_err();
        assert_eq!(errors[0].line, line, "{source}\n{errors:?}");
    }
}

#[test]
fn wording_of_errors() {
    let messages: String = invalid()
        .iter()
        .map(|(file, source, _)| format!("{}\n", parse(file, source).unwrap_err()[0]))
        .collect();
    crate::golden::assert_golden("learn/parse-errors.txt", &messages);
}

#[test]
fn all_errors_in_a_file_are_reported_at_once() {
    let source = "# T\n\n## \n\n```redis chek\n> PING\nPONG\n```\n\n```sh runs\nx\n```\n";
    let lines: Vec<usize> = parse("01-t.md", source)
        .unwrap_err()
        .iter()
        .map(|error| error.line)
        .collect();
    assert_eq!(lines, [3, 5, 10]);
}

#[test]
fn windows_line_ends_and_tildes_are_read_the_same() {
    let source = "\u{feff}# T\r\n\r\n## S\r\n\r\n~~~redis\r\n> PING\r\nPONG\r\n~~~\r\n";
    let lesson = parse("01-t.md", source).unwrap();
    assert!(
        matches!(&lesson.steps[0].blocks[..], [Block::Redis(transcript)] if transcript.exchanges.len() == 1)
    );
}

#[test]
fn a_large_file_is_read_in_time_proportional_to_its_size() {
    const SIZE: usize = 500_000;
    let languages: String = (0..SIZE / 16).map(|n| format!("```l{n}\nx\n```\n")).collect();
    for (name, repeated) in [
        ("paragraphs", "a\n\n"),
        ("lines", "a\n"),
        ("steps", "## S\n"),
        ("empty titles", "##\n"),
        ("second titles", "# T\n"),
        ("commands", "```redis\n> PING\nPONG\n```\n"),
        ("unknown fences", "```redis chek\n```\n"),
        ("foreign keys", "```redis\n> GET a\n```\n"),
        ("tasks", "```redis try\n> PING\nPONG\n```\n"),
        ("checks", "```redis check\n> PING\nPONG\n```\n"),
        ("hints", "<details><summary>H</summary>x</details>\n\n"),
        ("open hints", "<details>\n\n"),
        ("code and hints", "```a\n```\n\n<details>x</details>\n\n"),
        ("languages", &languages),
        ("quotes", "> "),
        ("lists", "- "),
        ("nested fences", "- a\n\n  ```redis\n  ```\n"),
        ("brackets", "["),
        ("links", "[a]("),
        ("emphasis", "*a _"),
        ("backquotes", "` `` "),
        ("tables", "|a|\n|-|\n"),
        ("rules", "---\n\n"),
        ("entities", "&#27;"),
        ("html", "<a "),
        ("comments", "<!-- "),
        ("quizzes", "```quiz\nQ?\n- [x] a\n```\n"),
        ("own commands", "```sh run\nsessiontut ping\n```\n"),
    ] {
        let body = repeated.repeat(SIZE / repeated.len());
        let source = format!("# T\n\n> P\n\n## S\n\n{body}");
        let started = Instant::now();
        let _ = parse("lessons/01-t.md", &source);
        let took = started.elapsed();
        assert!(took < Duration::from_secs(3), "{name}: {took:?}");
    }
}

#[test]
fn a_lesson_that_fills_redis_in_small_steps_is_rejected() {
    let lesson = |command: &str, times: usize| {
        let body = format!("> {command}\n...\n").repeat(times);
        parse("01-t.md", &format!("# T\n\n## S\n\n```redis\n{body}```\n"))
    };
    for command in [
        "SETRANGE sessiontut:a 65000 x",
        "SETBIT sessiontut:a 500000 1",
        "COPY sessiontut:a sessiontut:b",
        &format!("APPEND sessiontut:a {}", "x".repeat(60_000)),
    ] {
        assert!(lesson(command, 2).is_ok(), "{command:.40}");
        assert!(lesson(command, 20).is_err(), "{command:.40}");
    }
    assert!(lesson("HINCRBY sessiontut:a visits 1", 1000).is_ok());
}

mod any_text {
    use super::*;
    use proptest::prelude::*;

    /// Generates a line of a valid lesson, or an invalid line.
    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            "[#>!`~:\\-\\[\\] x.()]{0,12}",
            proptest::sample::select(vec![
                "# T",
                "## S",
                "> P",
                "```redis",
                "```redis try",
                "```redis check",
                "```quiz",
                "```sh run",
                "```",
                "~~~",
                "````",
                "> PING",
                "PONG",
                "! (nil): why",
                "- [x] a",
                "- [ ] b",
                ": why",
                "<details>",
                "</details>",
                "",
                "<details><summary>Hint</summary>",
                "> SET sessiontut:a \"",
                "- a",
                "  ```redis",
                "```python from=a#b",
            ])
            .prop_map(str::to_owned),
            ".{0,20}",
        ]
    }

    proptest! {
        #[test]
        fn is_a_lesson_or_is_rejected_on_one_of_its_lines(lines in proptest::collection::vec(line(), 0..40)) {
            let source = lines.join("\n");
            if let Err(errors) = parse("lessons/01-t.md", &source) {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!((1..=source.lines().count() + 1).contains(&error.line), "{error}");
                }
            }
        }
    }
}
