//! The body of a `quiz` fence: a question, and its answers as a task list, each followed by `: why`.

use super::lesson::{Answer, Quiz};
use super::transcript::Wrong;

/// Reads the body of a `quiz` fence that stands at `line`.
///
/// # Errors
/// What is wrong with it, on which line of the body (from 0).
pub(super) fn read(body: &str, line: usize) -> Result<Quiz, Vec<Wrong>> {
    let mut question = String::new();
    let mut answers: Vec<(usize, Answer)> = Vec::new();
    let mut wrongs = Vec::new();
    for (row, text) in body.lines().enumerate() {
        let text = text.trim();
        if let Some((is_right, text)) = task(text) {
            answers.push((
                row,
                Answer {
                    text: text.to_owned(),
                    is_right,
                    why: String::new(),
                },
            ));
        } else if text.starts_with("- ") || text.starts_with("* ") {
            wrongs.push((
                row,
                "an answer begins with `- [x]` (right) or `- [ ]` (wrong)".into(),
            ));
        } else if let Some(why) = text.strip_prefix(':') {
            match answers.last_mut() {
                Some((_, answer)) => append(&mut answer.why, why),
                None => wrongs.push((row, "`: why` stands under an answer".into())),
            }
        } else {
            match answers.last_mut() {
                None => append(&mut question, text),
                Some((_, answer)) if answer.why.is_empty() => append(&mut answer.text, text),
                Some((_, answer)) => append(&mut answer.why, text),
            }
        }
    }
    for (row, answer) in &mut answers {
        why_on_the_same_line(answer);
        if !answer.is_right && answer.why.is_empty() {
            wrongs.push((
                *row,
                "a wrong answer explains itself: write `: why` on the line under it".into(),
            ));
        }
    }
    let answers: Vec<Answer> = answers.into_iter().map(|(_, answer)| answer).collect();
    if question.is_empty() {
        wrongs.push((0, "a quiz begins with its question".into()));
    }
    if !answers.iter().any(|answer| answer.is_right) {
        wrongs.push((0, "no answer is right: mark one with `- [x]`".into()));
    }
    if wrongs.is_empty() {
        Ok(Quiz {
            line,
            question,
            answers,
        })
    } else {
        wrongs.sort();
        Err(wrongs)
    }
}

fn task(text: &str) -> Option<(bool, &str)> {
    let item = text
        .strip_prefix("- ")
        .or_else(|| text.strip_prefix("* "))?
        .trim_start();
    if let Some(text) = item.strip_prefix("[ ]") {
        return Some((false, text.trim()));
    }
    let text = item.strip_prefix("[x]").or_else(|| item.strip_prefix("[X]"))?;
    Some((true, text.trim()))
}

/// `- [ ] it is gone: that would be -2` reads as well as two lines do.
fn why_on_the_same_line(answer: &mut Answer) {
    if answer.why.is_empty()
        && let Some((text, why)) = answer.text.split_once(": ")
        && !text.trim().is_empty()
    {
        answer.why = why.trim().to_owned();
        answer.text = text.trim().to_owned();
    }
}

fn append(text: &mut String, more: &str) {
    let more = more.trim();
    if !text.is_empty() && !more.is_empty() {
        text.push(' ');
    }
    text.push_str(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiz_is_a_question_and_answers_with_reasons() {
        let body = "What does a TTL\nof -1 mean?\n\n- [x] it stays for ever\n  : nothing ends it\n- [ ] the key\n  is gone\n  : that would\n  be -2\n- [ ] an error: TTL never fails\n";
        let quiz = read(body, 4).unwrap();
        assert_eq!(quiz.question, "What does a TTL of -1 mean?");
        let answers: Vec<_> = quiz
            .answers
            .iter()
            .map(|answer| (answer.is_right, answer.text.as_str(), answer.why.as_str()))
            .collect();
        assert_eq!(
            answers,
            [
                (true, "it stays for ever", "nothing ends it"),
                (false, "the key is gone", "that would be -2"),
                (false, "an error", "TTL never fails"),
            ]
        );
    }

    /// Invalid bodies, and the rows of their first errors.
    const INVALID: &[(&str, usize)] = &[
        ("Q?\n- [x] a\n- [ ] b\n", 2),
        ("Q?\n- [ ] b\n: why\n", 0),
        ("- [x] a\n", 0),
        ("Q?\n- a\n- [x] b\n", 1),
        ("Q?\n: why\n- [x] b\n", 1),
    ];

    #[test]
    fn a_quiz_without_reasons_or_a_right_answer_is_an_error() {
        for (body, row) in INVALID {
            assert_eq!(read(body, 1).unwrap_err()[0].0, *row, "{body}");
        }
    }

    #[test]
    fn wording_of_errors() {
        let message = |(body, _): &(&str, usize)| format!("{body}  {}\n\n", read(body, 1).unwrap_err()[0].1);
        let messages: String = INVALID.iter().map(message).collect();
        crate::golden::assert_golden("learn/quiz-errors.txt", &messages);
    }
}
