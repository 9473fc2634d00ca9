//! Saves in the state folder which faults the learner has identified. If the file cannot be used, drills still work.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::faults::{DrillFault, FAULTS};
use crate::random;
use crate::state::{self, Saved};

/// The faults identified so far.
#[derive(Debug)]
pub(crate) struct Score(Saved<ScoreRecord>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct ScoreRecord {
    #[serde(default)]
    faults: BTreeMap<String, Guesses>,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Guesses {
    #[serde(default)]
    right: u32,
    #[serde(default)]
    wrong: u32,
}

impl Score {
    /// Reads the score. Also returns a message if the file is damaged or will not be saved.
    pub(crate) fn read() -> (Self, Option<String>) {
        let (saved, problem) = Saved::read(state::open_folder(), "drill.json", "your score");
        (Self(saved), problem)
    }

    /// Records an answer, and saves the score.
    ///
    /// # Errors
    /// Returns a message if the score cannot be saved. The answer still counts until the command ends.
    pub(crate) fn note(&mut self, fault: &DrillFault, is_right: bool) -> Result<(), String> {
        let guesses = self.0.record.faults.entry(fault.name.to_owned()).or_default();
        let count = if is_right {
            &mut guesses.right
        } else {
            &mut guesses.wrong
        };
        *count = count.saturating_add(1);
        self.0.save()
    }

    /// Returns whether a fault was identified at least once.
    pub(crate) fn has_named(&self, fault: &DrillFault) -> bool {
        let guesses = self.0.record.faults.get(fault.name);
        guesses.is_some_and(|guesses| guesses.right > 0)
    }

    /// Returns how many faults were identified.
    pub(crate) fn named(&self) -> usize {
        FAULTS.iter().filter(|fault| self.has_named(fault)).count()
    }

    /// Returns a random fault that was not identified yet, or any fault if all were.
    pub(crate) fn next(&self) -> &'static DrillFault {
        let mut faults: Vec<&DrillFault> = FAULTS.iter().filter(|fault| !self.has_named(fault)).collect();
        if faults.is_empty() {
            faults.extend(FAULTS);
        }
        let index = random::below(faults.len());
        faults[index]
    }
}
