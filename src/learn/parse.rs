//! A lesson file's Markdown, read into a [`Lesson`]; or every reason why it is not one.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use super::fence::{Fence, Kind};
use super::lesson::{Block, Expected, Hint, Lesson, Markdown, Refusal, Run, Shell, Step, Tab, Transcript};
use super::transcript::{Replies, Wrong};
use super::{quiz, transcript};

/// The Markdown that lessons are written in: what the parser and whoever renders a lesson agree on.
pub const MARKDOWN: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_STRIKETHROUGH);

/// Reads a lesson. `file` is what messages call it; its last part must be `NN-id.md`.
///
/// # Errors
/// Everything that is wrong with it, in the order of its lines.
pub fn parse(file: &str, source: &str) -> Result<Lesson, Vec<Refusal>> {
    let mut reading = Reading::new(file, source);
    let name = match number_and_id(file) {
        Some(name) => name,
        None => {
            reading.refuse(
                1,
                "the file's name is no lesson's: write NN-id.md, such as 03-count-visits.md",
            );
            Default::default()
        }
    };
    for piece in pieces(source) {
        reading.take(&piece);
    }
    reading.finish(name)
}

/// `lessons/03-count-visits.md` → 3 and `count-visits`.
pub(super) fn number_and_id(file: &str) -> Option<(u32, String)> {
    let stem = file.rsplit('/').next()?.strip_suffix(".md")?;
    let (number, id) = stem.split_once('-')?;
    let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    let digits_only = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    if !digits_only || id.is_empty() || !id.chars().all(is_plain) {
        return None;
    }
    Some((number.parse().ok()?, id.to_owned()))
}

/// A top-level piece of the document.
struct Piece {
    range: Range<usize>,
    what: What,
}

enum What {
    Heading(HeadingLevel, String),
    Quote(String),
    Fence {
        info: String,
        body: String,
    },
    /// `<details>` … `</details>`, possibly over several pieces; `is_closed` tells whether the end was found.
    Details {
        is_closed: bool,
    },
    /// Anything else; the languages and offsets of fences inside lists and quotes go with it.
    Prose {
        nested: Vec<(usize, String)>,
    },
}

/// Cuts the document into its top-level pieces.
fn pieces(source: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut depth = 0_usize;
    let mut text = String::new();
    let mut nested = Vec::new();
    let mut info: Option<String> = None;
    for (event, range) in Parser::new_ext(source, MARKDOWN).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                if depth == 0 {
                    text.clear();
                    nested.clear();
                    info = None;
                }
                if let Tag::CodeBlock(CodeBlockKind::Fenced(words)) = &tag {
                    if depth == 0 {
                        info = Some(words.to_string());
                    } else {
                        nested.push((range.start, words.to_string()));
                    }
                }
                depth += 1;
            }
            Event::End(tag) => {
                depth -= 1;
                if depth > 0 {
                    continue;
                }
                let what = match (tag, info.take()) {
                    (TagEnd::Heading(level), _) => What::Heading(level, text.trim().to_owned()),
                    (TagEnd::BlockQuote(_), _) if nested.is_empty() => What::Quote(text.trim().to_owned()),
                    (TagEnd::CodeBlock, Some(info)) => What::Fence {
                        info,
                        body: text.clone(),
                    },
                    (TagEnd::HtmlBlock, _) if is_details_start(&source[range.clone()]) => What::Details {
                        is_closed: source[range.clone()].contains("</details>"),
                    },
                    _ => What::Prose {
                        nested: std::mem::take(&mut nested),
                    },
                };
                add(&mut pieces, Piece { range, what }, source);
            }
            Event::Text(more) | Event::Code(more) => text.push_str(&more),
            Event::SoftBreak | Event::HardBreak => text.push(' '),
            // A rule, outside of everything.
            _ if depth == 0 => add(
                &mut pieces,
                Piece {
                    range,
                    what: What::Prose { nested: Vec::new() },
                },
                source,
            ),
            _ => {}
        }
    }
    pieces
}

fn is_details_start(html: &str) -> bool {
    html.trim_start().starts_with("<details")
}

/// Adds a piece, or makes it part of the `<details>` that is still open.
fn add(pieces: &mut Vec<Piece>, piece: Piece, source: &str) {
    match pieces.last_mut() {
        Some(Piece {
            range,
            what: What::Details { is_closed },
        }) if !*is_closed => {
            let is_html = matches!(piece.what, What::Prose { .. })
                && source[piece.range.clone()].trim_start().starts_with('<');
            if matches!(piece.what, What::Heading(HeadingLevel::H1 | HeadingLevel::H2, _)) {
                pieces.push(piece);
                return;
            }
            *is_closed = is_html && source[piece.range.clone()].contains("</details>");
            range.end = piece.range.end;
        }
        _ => pieces.push(piece),
    }
}

/// The lesson so far.
struct Reading<'a> {
    file: &'a str,
    source: &'a str,
    title: Option<String>,
    promise: Option<String>,
    introduction: Vec<Block>,
    steps: Vec<Step>,
    /// Hints that stand before the first block they could help with.
    early_hints: Vec<Markdown>,
    /// Whether the piece before was a fence of code that a tab can join.
    after_code: bool,
    refusals: Vec<Refusal>,
}

impl<'a> Reading<'a> {
    fn new(file: &'a str, source: &'a str) -> Self {
        Self {
            file,
            source,
            title: None,
            promise: None,
            introduction: Vec::new(),
            steps: Vec::new(),
            early_hints: Vec::new(),
            after_code: false,
            refusals: Vec::new(),
        }
    }

    fn take(&mut self, piece: &Piece) {
        let line = self.line_of(piece.range.start);
        let was_code = std::mem::take(&mut self.after_code);
        match &piece.what {
            What::Heading(HeadingLevel::H1, text) => self.take_title(text, line),
            What::Heading(HeadingLevel::H2, text) => self.take_step(text, line),
            What::Quote(text) if self.title.is_some() && self.promise.is_none() && self.steps.is_empty() => {
                self.promise = Some(text.clone());
            }
            What::Fence { info, body } => self.take_fence(info, body, piece, line, was_code),
            What::Details { is_closed: true } => self.take_hint(piece, line),
            What::Details { is_closed: false } => {
                self.refuse(
                    line,
                    "`<details>` never closes: write `</details>` on a line of its own",
                );
            }
            What::Heading(..) | What::Quote(_) => self.take_prose(piece, line),
            What::Prose { nested } => {
                for (offset, info) in nested {
                    if matches!(info.split_whitespace().next(), Some("redis" | "quiz")) {
                        let at = self.line_of(*offset);
                        self.refuse(
                            at,
                            "a fence inside a list or a quote would not be run: begin it at the margin",
                        );
                    }
                }
                self.take_prose(piece, line);
            }
        }
    }

    fn take_title(&mut self, text: &str, line: usize) {
        if text.is_empty() {
            self.refuse(line, "the lesson has no title: write `# Title`");
        } else if self.title.is_some() {
            self.refuse(
                line,
                "a second `# Title`: a lesson has one, its steps begin with `## Title`",
            );
        } else if !self.steps.is_empty() {
            self.refuse(line, "the `# Title` stands at the top of the lesson");
        } else {
            self.title = Some(text.to_owned());
        }
    }

    fn take_step(&mut self, text: &str, line: usize) {
        if text.is_empty() {
            self.refuse(line, "a step without a title: write `## Title`");
        }
        self.settle_early_hints();
        self.steps.push(Step {
            title: text.to_owned(),
            line,
            blocks: Vec::new(),
            hints: Vec::new(),
        });
    }

    fn take_prose(&mut self, piece: &Piece, line: usize) {
        let text = self.source[piece.range.clone()].trim_end();
        let is_comment = text.trim_start().starts_with("<!--") && text.ends_with("-->");
        if text.trim().is_empty() || is_comment {
            return;
        }
        let before = self.blocks().last_mut();
        if let Some(Block::Prose(prose)) = before {
            prose.text.push_str("\n\n");
            prose.text.push_str(text);
        } else {
            let text = text.to_owned();
            self.blocks().push(Block::Prose(Markdown { line, text }));
        }
    }

    fn take_hint(&mut self, piece: &Piece, line: usize) {
        let text = Markdown {
            line,
            text: hint_text(&self.source[piece.range.clone()]),
        };
        match self.steps.last_mut() {
            None => self.refuse(line, "a hint before the first step: a `## Title` starts one"),
            Some(step) => match step.blocks.iter().rposition(is_task) {
                Some(block) => step.hints.push(Hint { text, block }),
                None => self.early_hints.push(text),
            },
        }
    }

    /// Hints that stood before a step's first task belong to that task; in a step without one they are prose.
    fn settle_early_hints(&mut self) {
        let early = std::mem::take(&mut self.early_hints);
        let Some(step) = self.steps.last_mut() else {
            return;
        };
        match step.blocks.iter().position(is_task) {
            Some(block) => {
                let early = early.into_iter().map(|text| Hint { text, block });
                step.hints.splice(0..0, early);
            }
            None => step.blocks.extend(early.into_iter().map(Block::Prose)),
        }
    }

    fn take_fence(&mut self, info: &str, body: &str, piece: &Piece, line: usize, was_code: bool) {
        if let Some(what) = never_closes(&self.source[piece.range.clone()], line) {
            return self.refuse(line, &what);
        }
        let (fence, fails) = match Fence::read(info) {
            Ok(read) => read,
            Err(what) => return self.refuse(line, &what),
        };
        if self.steps.is_empty() && !matches!(fence.kind, Kind::Code(_) | Kind::Shell) {
            return self.refuse(
                line,
                "a fence that is run before the first step: a `## Title` starts one",
            );
        }
        let expected = if fails { Expected::Error } else { Expected::Replies };
        let block = match fence.kind {
            Kind::Redis => self
                .transcript(body, line, expected, Replies::Written, fence)
                .map(Block::Redis),
            Kind::RedisTry => self
                .transcript(body, line, expected, Replies::Optional, fence)
                .map(|solution| Block::Try {
                    solution,
                    checks: Vec::new(),
                }),
            Kind::RedisCheck => {
                if let Some(check) = self.transcript(body, line, expected, Replies::Written, fence) {
                    self.add_check(check);
                }
                return;
            }
            Kind::Shell | Kind::ShellRun => self.shell(body, line, fence),
            Kind::Quiz => match quiz::read(body, line) {
                Ok(quiz) => Some(Block::Quiz(quiz)),
                Err(wrongs) => {
                    self.refuse_body(line, wrongs);
                    None
                }
            },
            Kind::Code(language) => {
                self.after_code = true;
                let tab = Tab {
                    line,
                    language,
                    text: body.trim_end().to_owned(),
                    from: fence.from,
                };
                match self.blocks().last_mut() {
                    Some(Block::Code(tabs))
                        if was_code && tabs.iter().all(|other| other.language != tab.language) =>
                    {
                        tabs.push(tab);
                        return;
                    }
                    _ => Some(Block::Code(vec![tab])),
                }
            }
        };
        if let Some(block) = block {
            self.blocks().push(block);
        }
    }

    fn transcript(
        &mut self,
        body: &str,
        line: usize,
        expected: Expected,
        replies: Replies,
        fence: Fence,
    ) -> Option<Transcript> {
        match transcript::read(body, line, expected, replies, fence.wait, fence.needs) {
            Ok(transcript) => Some(transcript),
            Err(wrongs) => {
                self.refuse_body(line, wrongs);
                None
            }
        }
    }

    /// A check belongs to the `try` before it; prose may stand between the two.
    fn add_check(&mut self, check: Transcript) {
        let last = self
            .blocks()
            .iter_mut()
            .rev()
            .find(|block| !matches!(block, Block::Prose(_)));
        match last {
            Some(Block::Try { checks, .. }) => checks.push(check),
            _ => self.blocks().push(Block::Check(check)),
        }
    }

    fn shell(&mut self, body: &str, line: usize, fence: Fence) -> Option<Block> {
        let run = if fence.kind == Kind::ShellRun {
            match own_commands(body) {
                Ok(commands) => Run::InProcess(commands),
                Err(wrongs) => {
                    self.refuse_body(line, wrongs);
                    return None;
                }
            }
        } else {
            Run::ShownOnly
        };
        let text = body.trim_end().to_owned();
        Some(Block::Shell(Shell {
            line,
            text,
            run,
            wait: fence.wait,
            needs: fence.needs,
        }))
    }

    fn blocks(&mut self) -> &mut Vec<Block> {
        match self.steps.last_mut() {
            Some(step) => &mut step.blocks,
            None => &mut self.introduction,
        }
    }

    fn finish(mut self, (number, id): (u32, String)) -> Result<Lesson, Vec<Refusal>> {
        self.settle_early_hints();
        if self.title.is_none()
            && !self
                .refusals
                .iter()
                .any(|refusal| refusal.what.contains("# Title"))
        {
            self.refuse(1, "the lesson has no title: write `# Title`");
        }
        if self.steps.is_empty() {
            let last = self.source.lines().count().max(1);
            self.refuse(last, "the lesson has no step: a `## Title` starts one");
        }
        for step in &self.steps {
            let unsolved = step.blocks.iter().find_map(|block| match block {
                Block::Try { solution, checks } if checks.is_empty() => unjudged(solution),
                _ => None,
            });
            if let Some(line) = unsolved {
                let what = "nothing judges this `try`: write its reply, or a `redis check` behind it";
                self.refusals.push(Refusal {
                    file: self.file.to_owned(),
                    line,
                    what: what.into(),
                });
            }
        }
        if self.refusals.is_empty() {
            Ok(Lesson {
                id,
                number,
                file: self.file.to_owned(),
                title: self.title.unwrap_or_default(),
                promise: self.promise.unwrap_or_default(),
                introduction: self.introduction,
                steps: self.steps,
            })
        } else {
            self.refusals.sort_by_key(|refusal| refusal.line);
            Err(self.refusals)
        }
    }

    fn refuse(&mut self, line: usize, what: &str) {
        self.refusals.push(Refusal {
            file: self.file.to_owned(),
            line,
            what: what.to_owned(),
        });
    }

    /// Lines of a body count from the line after its fence.
    fn refuse_body(&mut self, line: usize, wrongs: Vec<Wrong>) {
        for (row, what) in wrongs {
            self.refuse(line + 1 + row, &what);
        }
    }

    fn line_of(&self, offset: usize) -> usize {
        self.source[..offset].matches('\n').count() + 1
    }
}

/// Whether a learner has something to do there, so that a hint can help.
fn is_task(block: &Block) -> bool {
    !matches!(block, Block::Prose(_) | Block::Code(_))
}

/// The line of a solution whose last reply is left open.
fn unjudged(solution: &Transcript) -> Option<usize> {
    let last = solution.exchanges.last()?;
    (last.reply.is_none() && solution.expected == Expected::Replies).then_some(last.line)
}

/// Why a fence does not end where its author meant it to.
fn never_closes(fence: &str, line: usize) -> Option<String> {
    let unindented = fence.trim_start();
    let sign = unindented.chars().next()?;
    let length = unindented
        .chars()
        .take_while(|character| *character == sign)
        .count();
    let ticks = sign.to_string().repeat(length);
    let rows = fence.lines().enumerate().skip(1);
    let swallowed = rows.clone().find(|(_, row)| {
        let rest = row
            .strip_prefix(ticks.as_str())
            .map(|rest| rest.trim_start_matches(sign));
        rest.is_some_and(|rest| !rest.trim().is_empty() && !rest.contains(sign))
    });
    let advice = format!("this fence never closes: write `{ticks}` on a line of its own behind it");
    if let Some((row, _)) = swallowed {
        return Some(format!(
            "{advice} (line {} begins another one inside it)",
            line + row
        ));
    }
    let is_end = |row: &str| {
        let row = row.trim();
        row.len() >= ticks.len() && row.chars().all(|character| character == sign)
    };
    let closed = rows.last().is_some_and(|(_, row)| is_end(row));
    (!closed).then_some(advice)
}

/// What `<details><summary>Hint</summary>` … `</details>` hides.
fn hint_text(details: &str) -> String {
    let inside = details.find('>').map_or("", |end| &details[end + 1..]);
    let inside = inside.rfind("</details>").map_or(inside, |end| &inside[..end]);
    let inside = match inside.find("</summary>") {
        Some(end) => &inside[end + "</summary>".len()..],
        None => inside,
    };
    inside.trim().to_owned()
}

/// The commands of a `sh run` fence, each one of ours.
fn own_commands(body: &str) -> Result<Vec<Vec<String>>, Vec<Wrong>> {
    let mut commands = Vec::new();
    let mut wrongs = Vec::new();
    for (row, text) in body.lines().enumerate() {
        let text = text.trim().strip_prefix("$ ").unwrap_or(text.trim());
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let words: Option<Vec<String>> = transcript::words(text).map(|words| {
            words
                .into_iter()
                .map(|word| String::from_utf8_lossy(&word).into_owned())
                .collect()
        });
        match words.as_deref() {
            Some([name, arguments @ ..]) if name == "sessiontut" => commands.push(arguments.to_vec()),
            _ => wrongs.push((
                row,
                "`sh run` runs commands of ours alone: write `sessiontut …`, or `sh` to show it".into(),
            )),
        }
    }
    if commands.is_empty() && wrongs.is_empty() {
        wrongs.push((0, "nothing to run: write `sessiontut …`".into()));
    }
    if wrongs.is_empty() {
        Ok(commands)
    } else {
        Err(wrongs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{Needs, Pattern};
    use std::time::Duration;

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
        assert_eq!(lesson.promise, "After this you count. 10 minutes");
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
        assert_eq!((shown.line, shown.exchanges[0].line), (15, 16));
        assert_eq!(solution.exchanges[0].reply, Some(Pattern::new(&["(integer) 2"])));
        assert_eq!(checks[0].exchanges[0].wrong[0].why, "there is no such field");
        let hints: Vec<(usize, &str)> = lesson.steps[0]
            .hints
            .iter()
            .map(|hint| (hint.block, hint.text.text.as_str()))
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
            prose.text.contains(
                "- of two

| a | b |"
            ),
            "{}",
            prose.text
        );
        assert_eq!(waiting.needs, Needs::RealRedis);
        assert_eq!(waiting.wait.as_ref().unwrap().span, Duration::from_millis(1500));
        let languages: Vec<&str> = tabs.iter().map(|tab| tab.language.0.as_str()).collect();
        assert_eq!(languages, ["python", "javascript"]);
        let commands = vec![vec!["login", "ada"], vec!["visits", "--times", "3"]];
        let commands = commands
            .into_iter()
            .map(|words| words.into_iter().map(String::from).collect())
            .collect();
        assert_eq!(shell.run, Run::InProcess(commands));
        assert_eq!(quiz.answers.len(), 2);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_what_would_be_right() {
        let good = "# T\n\n> P\n\n## S\n\n";
        for (rest, line, part) in [
            (
                "```redis chek\n> PING\nPONG\n```\n",
                7,
                "unknown word `chek` after `redis`",
            ),
            ("```redis\n> PING\nPONG\n", 7, "never closes"),
            (
                "```redis\n> PING\nPONG\n\nText\n\n```redis\n> PING\nPONG\n```\n",
                7,
                "line 13 begins another",
            ),
            ("## \n\ntext\n", 7, "a step without a title"),
            ("# Again\n", 7, "a second `# Title`"),
            ("```redis\n> SET other 1\nOK\n```\n", 8, "outside sessiontut:"),
            ("```redis try\n> PING\n```\n", 8, "nothing judges this `try`"),
            (
                "```sh run\nrm -rf /\n```\n",
                8,
                "`sh run` runs commands of ours alone",
            ),
            ("```quiz\nQ?\n- [ ] a\n  : why\n```\n", 8, "no answer is right"),
            ("<details><summary>Hint</summary>\n\ntext\n", 7, "never closes"),
            (
                "- item\n\n  ```redis\n  > PING\n  PONG\n  ```\n",
                9,
                "begin it at the margin",
            ),
        ] {
            let refusals = parse("lessons/01-t.md", &format!("{good}{rest}")).unwrap_err();
            assert_eq!(refusals[0].line, line, "{rest}\n{refusals:?}");
            assert!(refusals[0].what.contains(part), "{rest}\n{refusals:?}");
        }
        for (file, source, line, part) in [
            ("lessons/readable.md", "# T\n## S\n", 1, "NN-id.md"),
            ("lessons/01-t.md", "## S\n", 1, "no title"),
            ("lessons/01-t.md", "# T\n\ntext\n", 3, "no step"),
            (
                "lessons/01-t.md",
                "# T\n\n```redis\n> PING\nPONG\n```\n\n## S\n",
                3,
                "before the first step",
            ),
            ("lessons/01-t.md", "", 1, "no title"),
        ] {
            let refusals = parse(file, source).unwrap_err();
            assert_eq!(refusals[0].line, line, "{source}\n{refusals:?}");
            assert!(refusals[0].what.contains(part), "{source}\n{refusals:?}");
        }
    }

    #[test]
    fn every_mistake_of_a_file_is_told_at_once() {
        let source = "# T\n\n## \n\n```redis chek\n> PING\nPONG\n```\n\n```sh runs\nx\n```\n";
        let lines: Vec<usize> = parse("01-t.md", source)
            .unwrap_err()
            .iter()
            .map(|refusal| refusal.line)
            .collect();
        assert_eq!(lines, [3, 5, 10]);
    }

    #[test]
    fn windows_line_ends_and_tildes_are_read_the_same() {
        let source = "# T\r\n\r\n## S\r\n\r\n~~~redis\r\n> PING\r\nPONG\r\n~~~\r\n";
        let lesson = parse("01-t.md", source).unwrap();
        assert!(
            matches!(&lesson.steps[0].blocks[..], [Block::Redis(transcript)] if transcript.exchanges.len() == 1)
        );
    }

    mod any_text {
        use super::*;
        use proptest::prelude::*;

        /// Lines as lessons have them, and some that no lesson should have.
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
            fn is_a_lesson_or_is_refused_on_one_of_its_lines(lines in proptest::collection::vec(line(), 0..40)) {
                let source = lines.join("\n");
                if let Err(refusals) = parse("lessons/01-t.md", &source) {
                    prop_assert!(!refusals.is_empty());
                    for refusal in refusals {
                        prop_assert!((1..=source.lines().count() + 1).contains(&refusal.line), "{refusal}");
                    }
                }
            }
        }
    }
}
