//! A lesson file's Markdown, read into a [`Lesson`]; or every reason why it is not one.

mod pieces;

use pulldown_cmark::{HeadingLevel, Options};

use super::fence::{Fence, Kind};
use super::lesson::{
    Block, Expected, Hint, Lesson, LessonError, Markdown, Run, Shell, Step, Tab, Transcript,
};
use super::transcript::{Replies, Wrong};
use super::{quiz, transcript};
use pieces::{Piece, What, hint_text, never_closes, pieces};

/// The Markdown that lessons are written in: what the parser and whoever renders a lesson agree on.
pub(crate) const MARKDOWN: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_STRIKETHROUGH);

/// Reads a lesson. `file` is what messages call it; its last part must be `NN-id.md`.
///
/// # Errors
/// Everything that is wrong with it, in the order of its lines.
pub fn parse(file: &str, source: &str) -> Result<Lesson, Vec<LessonError>> {
    // Some editors put a byte order mark before the title.
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
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
    errors: Vec<LessonError>,
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
            errors: Vec::new(),
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
            match transcript::own_commands(body) {
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

    fn finish(mut self, (number, id): (u32, String)) -> Result<Lesson, Vec<LessonError>> {
        self.settle_early_hints();
        if self.title.is_none() && !self.errors.iter().any(|refusal| refusal.what.contains("# Title")) {
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
                self.errors.push(LessonError {
                    file: self.file.to_owned(),
                    line,
                    what: what.into(),
                });
            }
        }
        if self.errors.is_empty() {
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
            self.errors.sort_by_key(|refusal| refusal.line);
            Err(self.errors)
        }
    }

    fn refuse(&mut self, line: usize, what: &str) {
        self.errors.push(LessonError {
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

#[cfg(test)]
mod tests;
