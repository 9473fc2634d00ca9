//! Implements `Learner` for the person at the terminal.

use colored::Colorize as _;

use super::keys::{is_key_word, key_line, meaning, of_word, others};
use super::screen::Screen;
use crate::learn::learner::{CourseEvent, Key, Learner, Offer, Picked, Typed};
use crate::learn::{COMPLETIONS, Quiz, prompt_in};
use crate::signals::{Interrupted, Stop};
use crate::ui::prompt::{Assistance, Entry, Key as Pressed, LineEditor, WithoutEcho};

pub(crate) struct TerminalLearner {
    pub(super) screen: Screen,
    editor: LineEditor,
    /// The rows with the commands that run next. Each command will be printed again with its reply.
    pub(super) pending: Option<Rows>,
    /// Whether to list the available keys before the next prompt for a command.
    pub(super) list_keys: bool,
    /// The keys that the learner can press at a pause in the text, or `None` outside the steps of a lesson.
    pub(super) while_reading: Option<Vec<Offer>>,
    /// Hides typed text while a command runs or the lesson waits.
    _without_echo: Option<WithoutEcho>,
}

/// A range of rows on the screen. A row is identified by the number of rows before it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) before: usize,
    pub(super) after: usize,
}

impl TerminalLearner {
    /// Creates the learner. `stop` ends every wait for a key press.
    pub(crate) fn new(stop: Stop) -> Self {
        Self {
            screen: Screen::new(stop),
            editor: LineEditor::default(),
            pending: None,
            list_keys: false,
            while_reading: None,
            _without_echo: WithoutEcho::start(),
        }
    }
}

impl TerminalLearner {
    /// Returns the key that the learner pressed at a pause in the output, if this question offers the key
    /// or the key is [`Key::Quit`].
    fn pressed_before(&mut self, offers: &[Offer]) -> Result<Option<Key>, Interrupted> {
        self.screen.interrupted?;
        let key = self.screen.take_key();
        Ok(key.filter(|key| *key == Key::Quit || offers.iter().any(|offer| offer.key == *key)))
    }

    /// Shows `line`, and waits for a key press. Returns `None` if `line` must be shown again.
    fn read_key(&mut self, line: &str) -> Result<Option<Pressed>, Interrupted> {
        let pressed = self.screen.key(line);
        self.screen.read();
        pressed
    }

    fn read_line(
        &mut self,
        lead: &str,
        editor: &mut LineEditor,
        assistance: &Assistance<'_>,
    ) -> Result<Entry, Interrupted> {
        let lead = lead.bold().to_string();
        let entry = editor.read(&lead, &self.screen.stop, assistance)?;
        self.screen.read();
        Ok(entry)
    }

    fn ask_line(&mut self, question: &str, assistance: &Assistance<'_>) -> Result<String, Interrupted> {
        self.screen.interrupted?;
        self.say(question);
        Ok(
            match self.read_line("> ", &mut LineEditor::default(), assistance)? {
                Entry::Line(line) => line,
                Entry::Esc => String::new(),
            },
        )
    }

    /// Reads one key press as an answer to a quiz. Returns `None` if the prompt must be shown again.
    fn read_answer_key(&mut self, lead: &str, offers: &[Offer]) -> Result<Option<Entry>, Interrupted> {
        let keys = key_line(others(offers), self.screen.width().saturating_sub(lead.len() + 1));
        Ok(self
            .read_key(&format!("{lead}{keys}"))?
            .map(|pressed| match pressed {
                Pressed::Char(character) => Entry::Line(character.to_string()),
                Pressed::Esc => Entry::Esc,
                _ => Entry::Line(String::new()),
            }))
    }
}

impl Learner for TerminalLearner {
    fn show(&mut self, event: &CourseEvent<'_>) {
        self.event(event);
    }

    fn key_at_pause(&mut self) -> Option<Key> {
        self.screen.take_key()
    }

    fn press(&mut self, offers: &[Offer]) -> Result<Key, Interrupted> {
        if let Some(key) = self.pressed_before(offers)? {
            return Ok(key);
        }
        let mut lead = "";
        loop {
            let room = (self.screen.width() - 1).saturating_sub(lead.len());
            let line = format!("{lead}{}", key_line(offers, room));
            match self.read_key(&line)? {
                Some(Pressed::Char('?')) => {
                    lead = "";
                    self.explain(offers);
                }
                Some(Pressed::Esc) if self.screen.is_leaving()? => return Ok(Key::Quit),
                Some(pressed) => {
                    if let Some(key) = meaning(&pressed, offers) {
                        return Ok(key);
                    }
                    if matches!(pressed, Pressed::Char(_)) {
                        lead = "unknown key  ";
                    }
                }
                None => {}
            }
        }
    }

    fn type_command(&mut self, known: &[String], offers: &[Offer]) -> Result<Typed, Interrupted> {
        if let Some(key) = self.pressed_before(offers)? {
            return Ok(Typed::Key(key));
        }
        if std::mem::take(&mut self.list_keys) {
            let keys = key_line(others(offers), self.screen.width() - 1);
            self.screen.put(&keys.dimmed().to_string());
        }
        let mut editor = std::mem::take(&mut self.editor);
        let typed = loop {
            let assistance = Assistance {
                complete: &|before| completions(before, known),
                accepts: &is_command,
            };
            let leaves = match self.read_line("redis> ", &mut editor, &assistance) {
                Err(interrupted) => break Err(interrupted),
                Ok(Entry::Esc) => true,
                Ok(Entry::Line(line)) => match line.trim().trim_start_matches(':') {
                    "?" | "help" => {
                        self.explain(offers);
                        false
                    }
                    // These words are also shell commands.
                    "exit" | "quit" => true,
                    word => match of_word(word, offers) {
                        Some(key) => break Ok(Typed::Key(key)),
                        None if word.is_empty() => {
                            self.say("type a Redis command, or ? to list all letters, and press Enter");
                            false
                        }
                        None if is_key_word(word) => {
                            self.say(&format!("{word} is not available here; ? lists all letters"));
                            false
                        }
                        None => break Ok(Typed::Command(line)),
                    },
                },
            };
            match leaves.then(|| self.screen.is_leaving()).transpose() {
                Err(interrupted) => break Err(interrupted),
                Ok(Some(true)) => break Ok(Typed::Key(Key::Quit)),
                Ok(_) => {}
            }
        };
        self.editor = editor;
        typed
    }

    fn pick(&mut self, quiz: &Quiz, offers: &[Offer]) -> Result<Picked, Interrupted> {
        if let Some(key) = self.pressed_before(offers)? {
            return Ok(Picked::Key(key));
        }
        let count = quiz.answers.len();
        let takes_a_line = quiz.right_answers().len() > 1 || count > 9;
        let mut lead = format!("1-{count} answer  ");
        loop {
            let entry = if takes_a_line {
                let lead = "numbers, for example 1 3> ";
                Some(self.read_line(lead, &mut LineEditor::default(), &Assistance::NONE)?)
            } else {
                self.read_answer_key(&lead, offers)?
            };
            let typed = match entry {
                Some(Entry::Line(typed)) => typed.trim().to_owned(),
                Some(Entry::Esc) if self.screen.is_leaving()? => return Ok(Picked::Key(Key::Quit)),
                Some(Entry::Esc) | None => continue,
            };
            if typed == "?" {
                self.explain(offers);
            } else if let Some(picked) = picked(&typed, count) {
                return Ok(Picked::Answers(picked));
            } else if let Some(key) = of_word(&typed, offers).filter(|_| !typed.is_empty()) {
                return Ok(Picked::Key(key));
            }
            // The message is part of the prompt line, so that the question does not scroll out of the window.
            lead = format!("type the number of an answer, 1-{count}  ");
        }
    }

    fn start_command(&mut self) -> Result<String, Interrupted> {
        let folder = std::env::current_dir().unwrap_or_default();
        let question = format!(
            "How do you start your app from the folder {}? Enter the command, for example: python app.py (to start the app yourself in another terminal, press Enter without a command)",
            folder.display()
        );
        // Accept any pasted text, because start commands are often pasted.
        let accepts_any = Assistance {
            accepts: &|_| true,
            ..Assistance::NONE
        };
        self.ask_line(&question, &accepts_any)
    }

    fn type_line(&mut self, question: &str) -> Result<String, Interrupted> {
        self.ask_line(question, &Assistance::NONE)
    }
}

/// Parses the numbers of the chosen answers, and returns their indexes in ascending order. Returns `None` if
/// a number is invalid or missing.
fn picked(numbers: &str, answers: usize) -> Option<Vec<usize>> {
    let mut places = Vec::new();
    for number in numbers.split([' ', ',']).filter(|part| !part.is_empty()) {
        let number: usize = number.parse().ok()?;
        places.push(number.checked_sub(1).filter(|place| *place < answers)?);
    }
    places.sort_unstable();
    places.dedup();
    (!places.is_empty()).then_some(places)
}

/// Whether a pasted line starts with the name of a Redis command, possibly after a prompt.
pub(super) fn is_command(line: &str) -> bool {
    let line = line.trim_start();
    let line = &line[prompt_in(line).map_or(0, str::len)..];
    let name = line.split_whitespace().next().unwrap_or_default();
    COMPLETIONS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Returns completions of the last word: command names for the first word, and keys for other words.
fn completions(before: &str, keys: &[String]) -> Vec<String> {
    let word = before.rsplit(char::is_whitespace).next().unwrap_or_default();
    let is_first = !before.trim_start().contains(char::is_whitespace);
    if is_first {
        let upper = word.to_uppercase();
        return COMPLETIONS
            .iter()
            .filter(|name| name.starts_with(&upper))
            .map(|name| (*name).to_owned())
            .collect();
    }
    keys.iter().filter(|key| key.starts_with(word)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_complete_first_and_keys_behind_them() {
        let keys = vec!["sessiontut:user:ada".to_owned()];
        assert_eq!(completions("hinc", &keys), ["HINCRBY"]);
        assert_eq!(completions("TTL sess", &keys), ["sessiontut:user:ada"]);
        assert_eq!(completions("TTL ", &keys), ["sessiontut:user:ada"]);
    }

    #[test]
    fn answers_are_picked_by_number() {
        assert_eq!(picked("2", 3), Some(vec![1]));
        assert_eq!(picked("3, 1", 3), Some(vec![0, 2]));
        assert_eq!(picked("4", 3), None);
        assert_eq!(picked("0", 3), None);
        assert_eq!(picked("h", 3), None);
        assert_eq!(picked("", 3), None);
    }
}
