//! Parses a lesson file, and reports all errors in an invalid file.

mod diagram;
mod fence;
mod fence_body;
mod markdown;

use std::collections::HashSet;

use pulldown_cmark::HeadingLevel;

use fence::{Fence, FenceKind};
pub(crate) use markdown::MARKDOWN;
use markdown::{Content, Piece, hint_text, pieces, unclosed};

use super::guard;
use super::lesson::{Block, CodeTab, Hint, Lesson, LessonError, LessonStep, Shell, Transcript};

/// A line number and the problem in this line. In a fence's body, line numbers start at 0.
pub(super) type Problem = (usize, String);

/// Checks a command line, given without the leading `sessiontut`. Returns the reason if a lesson must not run
/// the command.
pub(crate) type MayRun = fn(&[String]) -> Result<(), String>;

/// Parses a lesson. `file` is the path for messages, and must end with a name such as `NN-id.md`.
pub(crate) fn parse(file: &str, source: &str, may_run: MayRun) -> Result<Lesson, Vec<LessonError>> {
    // Some editors put a byte order mark at the start of a file.
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let mut parser = Parser {
        file,
        source,
        may_run,
        line_ends: source.match_indices('\n').map(|(at, _)| at).collect(),
        title: None,
        goal: None,
        introduction: Vec::new(),
        steps: Vec::new(),
        early_hints: Vec::new(),
        last_task: None,
        languages: HashSet::new(),
        commands_left: fence_body::MOST_OWN_COMMANDS,
        growth: 0,
        after_code: false,
        errors: Vec::new(),
    };
    let name = number_and_id(file);
    if name.is_none() {
        parser.error(
            1,
            "the file name must be NN-id.md, for example 03-count-visits.md",
        );
    }
    for piece in pieces(source) {
        parser.take(&piece);
    }
    parser.finish(name.unwrap_or_default())
}

/// Splits a file name, for example `lessons/03-count-visits.md` into 3 and `count-visits`. Returns `None` for
/// other names.
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

/// The maximum number of bytes that a lesson's commands may write to Redis in total.
const MOST_GROWTH: u64 = 1024 * 1024;

/// The parsed part of the lesson, and the errors in it.
struct Parser<'a> {
    file: &'a str,
    source: &'a str,
    may_run: MayRun,
    /// The offsets of the line feeds in the source.
    line_ends: Vec<usize>,
    title: Option<String>,
    goal: Option<String>,
    introduction: Vec<Block>,
    steps: Vec<LessonStep>,
    /// Hints before the first task of a step.
    early_hints: Vec<String>,
    /// The index of the step's last block that can have a hint.
    last_task: Option<usize>,
    /// The languages of the last block, if the block contains code.
    languages: HashSet<String>,
    /// How many more sessiontut commands the lesson may run.
    commands_left: usize,
    /// The maximum number of bytes that the commands so far can write to Redis.
    growth: u64,
    /// Whether the previous piece of the document was a fence with code.
    after_code: bool,
    errors: Vec<LessonError>,
}

impl Parser<'_> {
    fn take(&mut self, piece: &Piece) {
        let line = self.line_of(piece.range.start);
        let was_code = std::mem::take(&mut self.after_code);
        match &piece.content {
            Content::Heading(HeadingLevel::H1, text) => self.take_title(text, line),
            Content::Heading(HeadingLevel::H2, text) => self.take_step(text, line),
            Content::Quote(text) if self.title.is_some() && self.goal.is_none() && self.steps.is_empty() => {
                self.goal = Some(text.clone());
            }
            Content::Fence { info, body } => self.take_fence(info, body, piece, line, was_code),
            Content::Details { is_closed: true } => self.take_hint(piece, line),
            Content::Details { is_closed: false } => {
                self.error(line, "`<details>` is not closed: add a line with `</details>`");
            }
            Content::Heading(..) | Content::Quote(_) => self.take_prose(piece),
            Content::Prose { nested } => {
                for (offset, info) in nested {
                    if matches!(info.split_whitespace().next(), Some("redis" | "quiz")) {
                        let at = self.line_of(*offset);
                        self.error(
                            at,
                            "a fence inside a list or quote is not run: move the fence out of the list or quote",
                        );
                    }
                }
                self.take_prose(piece);
            }
        }
    }

    fn take_title(&mut self, text: &str, line: usize) {
        if text.is_empty() {
            self.error(line, "the title is missing: add `# Title`");
        } else if self.title.is_some() {
            self.error(line, "a lesson has only one `# Title`; use `## Title` for steps");
        } else if !self.steps.is_empty() {
            self.error(line, "`# Title` must come before the steps");
        } else {
            self.title = Some(text.to_owned());
        }
    }

    fn take_step(&mut self, text: &str, line: usize) {
        if text.is_empty() {
            self.error(line, "the step has no title: add `## Title`");
        }
        self.settle_early_hints();
        self.last_task = None;
        self.steps.push(LessonStep {
            title: text.to_owned(),
            blocks: Vec::new(),
            hints: Vec::new(),
        });
    }

    fn take_prose(&mut self, piece: &Piece) {
        let text = self.source[piece.range.clone()].trim_end();
        let is_comment = text.trim_start().starts_with("<!--") && text.ends_with("-->");
        if text.trim().is_empty() || is_comment {
            return;
        }
        let before = self.blocks().last_mut();
        if let Some(Block::Prose(prose)) = before {
            prose.push_str("\n\n");
            prose.push_str(text);
        } else {
            self.blocks().push(Block::Prose(text.to_owned()));
        }
    }

    fn take_hint(&mut self, piece: &Piece, line: usize) {
        let text = hint_text(&self.source[piece.range.clone()]);
        match self.steps.last_mut() {
            None => self.error(line, "a hint must come after the first `## Title`"),
            Some(step) => match self.last_task {
                Some(block) => step.hints.push(Hint { text, block }),
                None => self.early_hints.push(text),
            },
        }
    }

    /// Assigns the hints before the first task of a step to that task. Without a task, they become normal
    /// text.
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
        if let Some(what) = unclosed(&self.source[piece.range.clone()], line) {
            return self.error(line, &what);
        }
        let fence = match Fence::parse(info, line) {
            Ok(fence) => fence,
            Err(what) => return self.error(line, &what),
        };
        if self.steps.is_empty() && !fence.kind.may_introduce() {
            return self.error(line, "this fence must come after the first `## Title`");
        }
        let text = body.trim_end().to_owned();
        let block = match fence.kind {
            FenceKind::Redis | FenceKind::RedisTry | FenceKind::RedisCheck => {
                let parsed = fence_body::transcript(body, &fence);
                let transcript = self.body(line, parsed);
                self.count_growth(line, transcript.as_ref());
                transcript.and_then(|transcript| match fence.kind {
                    FenceKind::RedisTry => Some(Block::Try {
                        solution: transcript,
                        checks: Vec::new(),
                    }),
                    FenceKind::RedisCheck => self.take_check(transcript),
                    _ => Some(Block::Redis(transcript)),
                })
            }
            FenceKind::Shell | FenceKind::ShellRun | FenceKind::ShellTry => {
                let parsed = match fence.kind {
                    FenceKind::Shell => Ok(Vec::new()),
                    _ => fence_body::own_commands(body, self.may_run, &mut self.commands_left),
                };
                let is_task = fence.kind == FenceKind::ShellTry;
                let fence = fence.options;
                self.body(line, parsed).map(|commands| {
                    Block::Shell(Shell {
                        fence,
                        text,
                        commands,
                        is_task,
                    })
                })
            }
            FenceKind::Quiz => self.body(line, fence_body::quiz(body)).map(Block::Quiz),
            FenceKind::Diagram => self.body(line, diagram::parse(body)).map(Block::Diagram),
            FenceKind::Code(language) => {
                self.after_code = true;
                let fence = fence.options;
                self.take_code(
                    CodeTab {
                        fence,
                        language,
                        text,
                    },
                    was_code,
                )
            }
        };
        if let Some(block) = block {
            if is_task(&block) {
                self.last_task = Some(self.blocks().len());
            }
            self.blocks().push(block);
        }
    }

    /// Reports an error if the commands so far may write more than [`MOST_GROWTH`] bytes to Redis, because
    /// these commands could fill a shared server.
    fn count_growth(&mut self, line: usize, transcript: Option<&Transcript>) {
        let exchanges = transcript.iter().flat_map(|transcript| &transcript.exchanges);
        let before = self.growth;
        let growths = exchanges.map(|exchange| guard::growth(&exchange.words));
        self.growth = growths.fold(before, u64::saturating_add);
        if before <= MOST_GROWTH && self.growth > MOST_GROWTH {
            self.error(line, "the commands up to here may write more than 1 MB to Redis");
        }
    }

    /// Returns the parsed body of a fence. If the body contains errors, records the errors and returns
    /// `None`.
    fn body<T>(&mut self, line: usize, parsed: Result<T, Vec<Problem>>) -> Option<T> {
        match parsed {
            Ok(body) => Some(body),
            Err(problems) => {
                for (row, what) in problems {
                    self.error(line + 1 + row, &what);
                }
                None
            }
        }
    }

    /// Adds a check to the last `try`, even if text is between them. Without a `try`, returns the check as a
    /// separate block.
    fn take_check(&mut self, check: Transcript) -> Option<Block> {
        let mut blocks = self.blocks().iter_mut().rev();
        match blocks.find(|block| !matches!(block, Block::Prose(_))) {
            Some(Block::Try { checks, .. }) => {
                checks.push(check);
                None
            }
            _ => Some(Block::Check(check)),
        }
    }

    /// Adds a code fence to the previous block if that block contains code in other languages. Otherwise,
    /// returns a new block.
    fn take_code(&mut self, tab: CodeTab, was_code: bool) -> Option<Block> {
        if !was_code {
            self.languages.clear();
        }
        let is_new = self.languages.insert(tab.language.clone());
        match self.blocks().last_mut() {
            Some(Block::Code(tabs)) if was_code && is_new => {
                tabs.push(tab);
                None
            }
            _ => {
                self.languages = HashSet::from([tab.language.clone()]);
                Some(Block::Code(vec![tab]))
            }
        }
    }

    fn blocks(&mut self) -> &mut Vec<Block> {
        match self.steps.last_mut() {
            Some(step) => &mut step.blocks,
            None => &mut self.introduction,
        }
    }

    fn finish(mut self, (number, id): (u32, String)) -> Result<Lesson, Vec<LessonError>> {
        self.settle_early_hints();
        if self.title.is_none() && !self.errors.iter().any(|error| error.what.contains("# Title")) {
            self.error(1, "the title is missing: add `# Title`");
        }
        if self.steps.is_empty() {
            let last = self.source.lines().count().max(1);
            self.error(last, "the lesson has no steps: add `## Title`");
        }
        let blocks = self.steps.iter().flat_map(|step| &step.blocks);
        let unjudged: Vec<usize> = blocks.filter_map(unjudged).collect();
        for line in unjudged {
            self.error(
                line,
                "this `try` has neither an expected reply nor a `redis check`",
            );
        }
        if self.errors.is_empty() {
            Ok(Lesson {
                id,
                number,
                file: self.file.to_owned(),
                title: self.title.unwrap_or_default(),
                goal: self.goal.unwrap_or_default(),
                introduction: self.introduction,
                steps: self.steps,
            })
        } else {
            self.errors.sort_by_key(|error| error.line);
            Err(self.errors)
        }
    }

    fn error(&mut self, line: usize, what: &str) {
        self.errors.push(LessonError {
            file: self.file.to_owned(),
            line,
            what: what.to_owned(),
        });
    }

    fn line_of(&self, offset: usize) -> usize {
        self.line_ends.partition_point(|end| *end < offset) + 1
    }
}

/// Whether a block can have hints.
fn is_task(block: &Block) -> bool {
    !matches!(block, Block::Prose(_) | Block::Code(_) | Block::Diagram(_))
}

/// Returns the line of a `try` whose result cannot be judged, because the `try` has neither a check nor an
/// expected last reply.
fn unjudged(block: &Block) -> Option<usize> {
    match block {
        Block::Try { solution, checks } if checks.is_empty() && !solution.fence.fails => {
            let last = solution.exchanges.last()?;
            last.reply.is_none().then_some(last.line)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
