//! Saves which faults the learner has identified, in the state folder. A drill continues even if the file is unusable.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::faults::{DrillFault, FAULTS};
use crate::random;
use crate::state;

const FILE: &str = "drill.json";
/// The version of the file format.
const VERSION: u64 = 1;

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
    file: ScoreFile,
    path: Option<PathBuf>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ScoreFile {
    version: u64,
    #[serde(default)]
    faults: BTreeMap<String, Guesses>,
}

impl ScoreFile {
    fn empty() -> Self {
        Self {
            version: VERSION,
            faults: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Guesses {
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
            return (Self::new(ScoreFile::empty(), path), SavedScore::Saved);
        };
        match serde_json::from_slice::<ScoreFile>(&text) {
            Ok(file) if file.version <= VERSION => (Self::new(file, path), SavedScore::Saved),
            Ok(_) => Self::unsaved(format!("{} was written by a newer sessiontut", path.display())),
            Err(_) => match state::set_aside(&path) {
                Ok(aside) => (Self::new(ScoreFile::empty(), path), SavedScore::Damaged(aside)),
                Err(fault) => Self::unsaved(fault.to_string()),
            },
        }
    }

    fn new(file: ScoreFile, path: PathBuf) -> Self {
        Self {
            file,
            path: Some(path),
        }
    }

    fn unsaved(reason: String) -> (Self, SavedScore) {
        let score = Self {
            file: ScoreFile::empty(),
            path: None,
        };
        (score, SavedScore::Unsaved(reason))
    }

    /// Records an answer, and saves the score.
    ///
    /// # Errors
    /// Returns an error if the score cannot be saved. The answer still counts until the command ends.
    pub fn note(&mut self, fault: &DrillFault, is_right: bool) -> std::io::Result<()> {
        let guesses = self.file.faults.entry(fault.name.to_owned()).or_default();
        let count = if is_right {
            &mut guesses.right
        } else {
            &mut guesses.wrong
        };
        *count = count.saturating_add(1);
        let Some(path) = &self.path else {
            return Ok(());
        };
        let text = serde_json::to_vec_pretty(&self.file).map_err(std::io::Error::other)?;
        state::write(path, &text)
    }

    /// Returns whether a fault was identified at least once.
    #[must_use]
    pub fn has_named(&self, fault: &DrillFault) -> bool {
        self.file
            .faults
            .get(fault.name)
            .is_some_and(|guesses| guesses.right > 0)
    }

    /// Returns how many faults were identified.
    #[must_use]
    pub fn named(&self) -> usize {
        FAULTS.iter().filter(|fault| self.has_named(fault)).count()
    }

    /// Returns a random fault that was not identified yet, or any fault if all were.
    #[must_use]
    pub fn next(&self) -> &'static DrillFault {
        let open: Vec<&DrillFault> = FAULTS.iter().filter(|fault| !self.has_named(fault)).collect();
        let from = if open.is_empty() {
            FAULTS.iter().collect()
        } else {
            open
        };
        let index = usize::try_from(random::number() % from.len() as u64).unwrap_or(0);
        from[index]
    }
}
