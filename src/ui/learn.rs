//! What `learn` shows.

use crate::learn::{Lesson, Refusal};
use crate::sanitize;

/// The answer of `--check`: how many lessons are in order, and what is wrong with the others.
pub fn checked(lessons: &[Lesson], refusals: &[Refusal]) {
    for refusal in refusals {
        println!("{}", sanitize::line(&refusal.to_string()));
    }
    let steps: usize = lessons.iter().map(|lesson| lesson.steps.len()).sum();
    let rest = match refusals.len() {
        0 => "nothing to mend".to_owned(),
        1 => "1 thing to mend".to_owned(),
        count => format!("{count} things to mend"),
    };
    println!("{} lessons, {steps} steps; {rest}", lessons.len());
}
