//! Which faults the learner has identified, saved in the state folder. A problem with the file never stops a drill.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::faults::{FAULTS, Fault};
use crate::random;
use crate::state;

const FILE: &str = "drill.json";
/// The version of the file format.
const VERSION: u64 = 1;

/// The learner's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The fault was identified.
    Right,
    /// Another fault was chosen.
    Wrong,
}

/// Whether the score is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SavedScore {
    /// Saved in the state folder.
    Saved,
    /// Not saved, with the reason.
    Unsaved(String),
    /// Saved in a new file; the old one was damaged and was renamed to this path.
    Damaged(PathBuf),
}

/// The faults identified so far.
#[derive(Debug)]
pub struct Score {
    record: Record,
    path: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u64,
    #[serde(default)]
    faults: BTreeMap<String, Tally>,
}

impl Record {
    fn empty() -> Self {
        Self {
            version: VERSION,
            faults: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Tally {
    #[serde(default)]
    right: u32,
    #[serde(default)]
    wrong: u32,
}

impl Score {
    /// Reads the score. If that is not possible, starts with an empty one, and returns the reason.
    #[must_use]
    pub fn load() -> (Self, SavedScore) {
        let path = match state::open_folder() {
            Ok(folder) => folder.join(FILE),
            Err(fault) => return Self::unsaved(fault.to_string()),
        };
        let Ok(text) = fs::read(&path) else {
            return (Self::new(Record::empty(), path), SavedScore::Saved);
        };
        match serde_json::from_slice::<Record>(&text) {
            Ok(record) if record.version <= VERSION => (Self::new(record, path), SavedScore::Saved),
            Ok(_) => Self::unsaved(format!("{} was written by a newer sessiontut", path.display())),
            Err(_) => match state::set_aside(&path) {
                Ok(aside) => (Self::new(Record::empty(), path), SavedScore::Damaged(aside)),
                Err(fault) => Self::unsaved(fault.to_string()),
            },
        }
    }

    fn new(record: Record, path: PathBuf) -> Self {
        Self {
            record,
            path: Some(path),
        }
    }

    fn unsaved(reason: String) -> (Self, SavedScore) {
        let score = Self {
            record: Record::empty(),
            path: None,
        };
        (score, SavedScore::Unsaved(reason))
    }

    /// Records an answer, and saves the score.
    ///
    /// # Errors
    /// If the score cannot be saved; the answer still counts until the command ends.
    pub fn note(&mut self, fault: &Fault, answer: Answer) -> std::io::Result<()> {
        let tally = self.record.faults.entry(fault.name.to_owned()).or_default();
        let count = match answer {
            Answer::Right => &mut tally.right,
            Answer::Wrong => &mut tally.wrong,
        };
        *count = count.saturating_add(1);
        let Some(path) = &self.path else {
            return Ok(());
        };
        let text = serde_json::to_vec_pretty(&self.record).map_err(std::io::Error::other)?;
        state::write(path, &text)
    }

    /// Returns whether a fault was identified at least once.
    #[must_use]
    pub fn has_named(&self, fault: &Fault) -> bool {
        self.record
            .faults
            .get(fault.name)
            .is_some_and(|tally| tally.right > 0)
    }

    /// Returns how many faults were identified.
    #[must_use]
    pub fn named(&self) -> usize {
        FAULTS.iter().filter(|fault| self.has_named(fault)).count()
    }

    /// Returns a random fault that was not identified yet, or any fault if all were.
    #[must_use]
    pub fn next(&self) -> &'static Fault {
        let open: Vec<&Fault> = FAULTS.iter().filter(|fault| !self.has_named(fault)).collect();
        let from = if open.is_empty() {
            FAULTS.iter().collect()
        } else {
            open
        };
        let index = usize::try_from(random::number() % from.len() as u64).unwrap_or(0);
        from[index]
    }
}
