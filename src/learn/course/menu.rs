//! Actions that are always available in a lesson, such as asking for a hint or going to another lesson.

use std::time::Duration;

use super::{Course, Leave, Place, standings};
use crate::examples::{self, CompleteCode, SourceFile};
use crate::learn::app::CommandFailure;
use crate::learn::learner::{CourseEvent, Key, Mark, Offer};
use crate::learn::lesson::{Block, CodeTab};

/// How long to wait after Ctrl-C has ended a command, so that the signal thread can record the signal
/// before the lesson continues.
const SIGNAL_DELAY: Duration = Duration::from_secs(1);

pub(super) const QUIT: Offer = offer(Key::Quit, "quit");
pub(super) const LIST: Offer = offer(Key::List, "list");
pub(super) const PING: Offer = offer(Key::Ping, "ping");

pub(super) const fn offer(key: Key, does: &'static str) -> Offer {
    Offer { key, does }
}

impl Course<'_> {
    /// Performs the action of each key that the learner presses, until the learner continues.
    pub(super) fn wait_for_next(&mut self, place: Place<'_>, next: &'static str) -> Result<(), Leave> {
        loop {
            let offers = self.offers(place, offer(Key::Next, next));
            match self.learner.press(&offers)? {
                Key::Next => return Ok(()),
                key => self.obey(place, key)?,
            }
        }
    }

    /// Returns the offers at this position, beginning with `first`.
    pub(super) fn offers(&self, place: Place<'_>, first: Offer) -> Vec<Offer> {
        let is_task = |block: &Block| match block {
            Block::Try { .. } | Block::Quiz(_) => true,
            Block::Shell(shell) => shell.is_task,
            _ => false,
        };
        let is_try = matches!(place.blocks().get(place.block), Some(Block::Try { .. }));
        let mut steps = place.lesson.steps.iter();
        let has_tasks = steps.any(|step| step.blocks.iter().any(is_task));
        let lane = if self.state.fast_lane {
            "show all text"
        } else {
            "show only tasks"
        };
        let offers = [
            (true, first),
            (!self.hints_for(place).is_empty(), offer(Key::Hint, "hint")),
            (is_try, offer(Key::Solution, "solution")),
            (
                languages_before(place).len() > 1,
                offer(Key::Language, "language"),
            ),
            (
                self.tab_before(place)
                    .is_some_and(|tab| complete_code(tab).is_some()),
                offer(Key::Files, "complete code"),
            ),
            (true, LIST),
            (true, offer(Key::Redo, "redo")),
            (place.step > 0, offer(Key::Back, "back")),
            (has_tasks, offer(Key::FastLane, lane)),
            (true, PING),
            (true, QUIT),
        ];
        let offered = offers.into_iter().filter(|(works, _)| *works);
        offered.map(|(_, offer)| offer).collect()
    }

    /// Performs the action of a key that is always available in a lesson.
    pub(super) fn obey(&mut self, place: Place<'_>, key: Key) -> Result<(), Leave> {
        match key {
            Key::Hint => self.hint(place),
            Key::Language => self.next_language(place),
            Key::Files => self.files(place),
            Key::StartCommand => self.ask_start_command()?,
            Key::List => return self.list(),
            Key::Ping => {
                // `ping` has already printed the failure.
                if let Err(failure) = (self.run_command)(&["ping".to_owned()]) {
                    self.ignore_interrupt_of(&failure);
                }
                self.learner.show(&CourseEvent::CommandOutput);
            }
            Key::FastLane => {
                self.state.fast_lane ^= true;
                let text = if self.state.fast_lane {
                    "showing only the tasks of this lesson; f shows all text again"
                } else {
                    "showing all text of this lesson again"
                };
                self.say(Mark::Success, text);
                return Err(Leave::Redo);
            }
            Key::Redo => return Err(Leave::Redo),
            Key::Back => return Err(Leave::Back),
            Key::Quit => return Err(Leave::Quit),
            Key::Next | Key::No | Key::Solution => {}
        }
        Ok(())
    }

    /// Lets the lesson continue if Ctrl-C ended a command, except with `learn --yes`.
    pub(super) fn ignore_interrupt_of(&self, failure: &CommandFailure) {
        if failure.interrupted {
            let connection = &self.sandbox.connection;
            let _ = connection.sleep(SIGNAL_DELAY);
            if self.learner.continues_after_interrupt() {
                connection.stop().ignore_interrupt();
            }
        }
    }

    /// Returns the indexes of the hints for this block. If the block has no hints, returns the indexes of the
    /// hints for the last task before the block.
    fn hints_for(&self, place: Place<'_>) -> Vec<usize> {
        let hints = &place.lesson.steps[place.step].hints;
        let blocks = hints.iter().map(|hint| hint.block);
        let block = blocks.filter(|block| *block <= place.block).max();
        (0..hints.len())
            .filter(|index| Some(hints[*index].block) == block)
            .collect()
    }

    /// Shows the next hint, or repeats the last hint if all hints have been shown. After a failed grading,
    /// first shows the lesson section about the failed check.
    fn hint(&mut self, place: Place<'_>) {
        if let Some(section) = self.state.failed_lesson.take() {
            self.repeat_section(section);
            return;
        }
        let indexes = self.hints_for(place);
        let next = indexes
            .iter()
            .position(|index| !self.state.hints_shown.contains(index));
        let Some(number) = next.or(indexes.len().checked_sub(1)) else {
            return;
        };
        self.state.hints_shown.push(indexes[number]);
        let hint = &place.lesson.steps[place.step].hints[indexes[number]];
        let text = self.with_address(&hint.text);
        self.learner.show(&CourseEvent::Hint {
            text: &text,
            number,
            of: indexes.len(),
        });
    }

    /// Shows the step that explains a failed check. `section` is `lesson#step`.
    fn repeat_section(&mut self, section: &str) {
        let (id, anchor) = section.split_once('#').unwrap_or((section, ""));
        let mut lessons = self.lessons.list.iter().filter(|lesson| lesson.id == id);
        let found = lessons.find_map(|lesson| {
            let step = lesson.steps.iter().find(|step| step.anchor() == anchor)?;
            Some((lesson.number, step.clone()))
        });
        let Some((number, step)) = found else {
            self.say(Mark::Plain, &format!("see {section}"));
            return;
        };
        let text = format!(
            "this step of lesson {number}, {:?}, explains the first failed check:",
            step.title
        );
        self.say(Mark::Plain, &text);
        for block in &step.blocks {
            self.show_text(block);
        }
    }

    fn next_language(&mut self, place: Place<'_>) {
        let tabs = languages_before(place);
        if tabs.is_empty() {
            return;
        }
        let shown = (self.tab_of(tabs) + 1) % tabs.len();
        self.language = tabs[shown].language.clone();
        self.progress.record.language = Some(self.language.clone());
        self.save();
        // Show all code of this step again, in the new language.
        let blocks = &place.lesson.steps[place.step].blocks;
        for block in blocks.iter().take(place.block) {
            if let Block::Code(tabs) = block
                && tabs.len() > 1
            {
                self.show_text(block);
            }
        }
    }

    /// Shows the complete source files of the code in this step.
    fn files(&mut self, place: Place<'_>) {
        let blocks = place.lesson.steps[place.step].blocks.iter().take(place.block);
        let tabs = blocks.filter_map(|block| match block {
            Block::Code(tabs) => tabs.get(self.tab_of(tabs)),
            _ => None,
        });
        let codes: Vec<(&CodeTab, CompleteCode)> =
            tabs.filter_map(|tab| Some((tab, complete_code(tab)?))).collect();
        let Some((tab, first)) = codes.first() else {
            return;
        };
        let mut files: Vec<SourceFile> = Vec::new();
        for file in codes.iter().flat_map(|(_, code)| code.files) {
            if !files.iter().any(|known| known.path == file.path) {
                files.push(*file);
            }
        }
        let paths: Vec<&str> = files.iter().map(|file| file.path).collect();
        let text = format!(
            "this code is in {} in the source code of sessiontut. To copy the code without line breaks, run `sessiontut serve` in \
             another terminal, and open the page /source?{}",
            paths.join(" and "),
            first.query
        );
        // Stages in the same language can share a file. Show a file again only if no other file is left.
        let is_new = |file: &SourceFile| !self.state.files_shown.contains(&file.path);
        if files.iter().any(is_new) {
            files.retain(is_new);
        }
        self.learner.show(&CourseEvent::Files {
            files: &files,
            language: &tab.language,
        });
        self.state.files_shown.extend(files.iter().map(|file| file.path));
        self.say(Mark::Plain, &text);
    }

    /// Returns the most recent code in this step, in the learner's language.
    fn tab_before<'l>(&self, place: Place<'l>) -> Option<&'l CodeTab> {
        let tabs = languages_before(place);
        tabs.get(self.tab_of(tabs))
    }

    /// Shows the list of lessons. Returns [`Leave::Lesson`] if the learner chooses one.
    pub(super) fn list(&mut self) -> Result<(), Leave> {
        let standings = standings(&self.lessons, &self.progress);
        self.learner.show(&CourseEvent::Lessons(&standings));
        let word = self
            .learner
            .type_line("go to lesson (number, name or part of the title; Enter: stay in this lesson)")?;
        if word.trim().is_empty() {
            return Ok(());
        }
        match self.lessons.find(&word) {
            Ok(index) => Err(Leave::Lesson(index)),
            Err(problem) => {
                self.say(Mark::Warning, &problem);
                Ok(())
            }
        }
    }
}

/// Returns the most recent code block in this step, in all languages.
fn languages_before<'l>(place: Place<'l>) -> &'l [CodeTab] {
    let blocks = &place.lesson.steps[place.step].blocks;
    let mut before = blocks.iter().take(place.block).rev();
    let code = before.find_map(|block| match block {
        Block::Code(tabs) => Some(tabs.as_slice()),
        _ => None,
    });
    code.unwrap_or_default()
}

fn complete_code(tab: &CodeTab) -> Option<CompleteCode> {
    let (path, _) = tab.fence.from.as_ref()?;
    examples::complete(path)
}
