//! Saves which faults the learner has identified, in the state folder. Drills work even if the file is
//! unusable.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::faults::{DrillFault, FAULTS};
use crate::random;
use crate::state::{self, Saved};

/// The right and wrong answers for each fault.
#[derive(Debug)]
pub(crate) struct Score(Saved<ScoreRecord>);

#[derive(Debug, Default, Serialize, Deserialize)]
struct ScoreRecord {
    #[serde(default)]
    faults: BTreeMap<String, Guesses>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Guesses {
    #[serde(default)]
    right: u32,
    #[serde(default)]
    wrong: u32,
    /// The names of the faults that the learner chose instead of this fault. Each name has the number of
    /// times that the learner chose it.
    #[serde(default)]
    mistaken_for: BTreeMap<String, u32>,
}

impl Score {
    /// Reads the score. The second result is a message if the file is damaged or the score cannot be saved.
    pub(crate) fn read() -> (Self, Option<String>) {
        let (saved, problem) = Saved::read(state::open_folder(), "drill.json", "your score");
        (Self(saved), problem)
    }

    /// Records the first answer to a drill, and saves the score. Returns a message if the score cannot be
    /// saved. The answer then counts only until the command ends.
    pub(crate) fn note(&mut self, fault: &DrillFault, picked: &DrillFault) -> Result<(), String> {
        let guesses = self.0.record.faults.entry(fault.name.to_owned()).or_default();
        let count = if picked.name == fault.name {
            &mut guesses.right
        } else {
            let mistaken = guesses.mistaken_for.entry(picked.name.to_owned()).or_default();
            *mistaken = mistaken.saturating_add(1);
            &mut guesses.wrong
        };
        *count = count.saturating_add(1);
        self.0.save()
    }

    /// Returns the faults that the learner chose instead of this fault, and how often. The most frequent
    /// fault comes first.
    pub(crate) fn mistaken_for(&self, fault: &DrillFault) -> Vec<(&str, u32)> {
        let guesses = self.0.record.faults.get(fault.name);
        let mistaken = guesses.into_iter().flat_map(|guesses| &guesses.mistaken_for);
        let mut mistaken: Vec<(&str, u32)> = mistaken.map(|(name, count)| (name.as_str(), *count)).collect();
        mistaken.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        mistaken
    }

    /// Whether the learner's first answer was right in at least one drill about this fault.
    pub(crate) fn has_named(&self, fault: &DrillFault) -> bool {
        let guesses = self.0.record.faults.get(fault.name);
        guesses.is_some_and(|guesses| guesses.right > 0)
    }

    /// Returns the number of identified faults.
    pub(crate) fn named(&self) -> usize {
        FAULTS.iter().filter(|fault| self.has_named(fault)).count()
    }

    /// Returns a random fault that the learner has not identified yet. If all have been identified, returns
    /// any fault.
    pub(crate) fn next(&self) -> &'static DrillFault {
        let mut faults: Vec<&DrillFault> = FAULTS.iter().filter(|fault| !self.has_named(fault)).collect();
        if faults.is_empty() {
            faults.extend(FAULTS);
        }
        let index = random::below(faults.len());
        faults[index]
    }
}
