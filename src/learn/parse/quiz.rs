//! Parses the body of a `quiz` fence: a question, and its answers as a task list. `: why` follows each answer.

use super::Problem;
use crate::learn::lesson::{Answer, Quiz};

/// # Errors
/// Returns the problems, with their rows in the body (from 0).
pub(super) fn parse(body: &str) -> Result<Quiz, Vec<Problem>> {
    let mut question = String::new();
    let mut answers: Vec<(usize, Answer)> = Vec::new();
    let mut problems = Vec::new();
    for (row, text) in body.lines().enumerate() {
        let text = text.trim();
        if let Some((is_right, text)) = task_item(text) {
            let (text, why) = (text.to_owned(), String::new());
            answers.push((row, Answer { text, is_right, why }));
        } else if text.starts_with("- ") || text.starts_with("* ") {
            let what = "an answer must start with `- [x]` (right) or `- [ ]` (wrong)";
            problems.push((row, what.into()));
        } else if let Some(why) = text.strip_prefix(':') {
            match answers.last_mut() {
                Some((_, answer)) => append(&mut answer.why, why),
                None => problems.push((row, "`: why` must follow an answer".into())),
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
        split_why(answer);
        if !answer.is_right && answer.why.is_empty() {
            problems.push((
                *row,
                "a wrong answer needs an explanation: add `: why` below it".into(),
            ));
        }
    }
    let answers: Vec<Answer> = answers.into_iter().map(|(_, answer)| answer).collect();
    if question.is_empty() {
        problems.push((0, "the question is missing; it comes before the answers".into()));
    }
    if !answers.iter().any(|answer| answer.is_right) {
        problems.push((0, "there is no right answer: mark one with `- [x]`".into()));
    }
    problems.sort();
    if problems.is_empty() {
        Ok(Quiz { question, answers })
    } else {
        Err(problems)
    }
}

/// Returns whether a task item is ticked, and its text.
fn task_item(text: &str) -> Option<(bool, &str)> {
    let item = text.strip_prefix("- ").or_else(|| text.strip_prefix("* "))?;
    let (mark, text) = item.trim_start().split_at_checked("[ ]".len())?;
    matches!(mark, "[ ]" | "[x]" | "[X]").then(|| (mark != "[ ]", text.trim()))
}

/// Splits off an explanation on the same line, as in `- [ ] it is gone: that would be -2`.
fn split_why(answer: &mut Answer) {
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
        let quiz = parse(body).unwrap();
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
            assert_eq!(parse(body).unwrap_err()[0].0, *row, "{body}");
        }
    }

    #[test]
    fn wording_of_errors() {
        let message = |(body, _): &(&str, usize)| format!("{body}  {}\n\n", parse(body).unwrap_err()[0].1);
        let messages: String = INVALID.iter().map(message).collect();
        crate::golden::assert_golden("learn/quiz-errors.txt", &messages);
    }
}
