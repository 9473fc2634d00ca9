//! Which faults were named, in a file of the state folder that is never allowed to stop a drill.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::faults::{FAULTS, Fault};
use crate::practice::random;
use crate::state;

const FILE: &str = "drill.json";
/// The form of the file that this program writes.
const VERSION: u64 = 1;

/// How an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The fault was named.
    Right,
    /// It was taken for another.
    Wrong,
}

/// Where the score is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// In the state folder.
    Kept,
    /// Nowhere, and why.
    Nowhere(String),
    /// In a new file: the old one was damaged, and is here now.
    SetAside(PathBuf),
}

/// What was named so far.
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

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Tally {
    #[serde(default)]
    right: u32,
    #[serde(default)]
    wrong: u32,
}

impl Score {
    /// Reads it; where that cannot be done it begins anew, and why is told.
    #[must_use]
    pub fn load() -> (Self, Keeping) {
        let empty = || Record {
            version: VERSION,
            faults: BTreeMap::new(),
        };
        let path = match state::open_folder() {
            Ok(folder) => folder.join(FILE),
            Err(fault) => {
                return (
                    Self {
                        record: empty(),
                        path: None,
                    },
                    Keeping::Nowhere(fault.to_string()),
                );
            }
        };
        let Ok(text) = fs::read(&path) else {
            return (
                Self {
                    record: empty(),
                    path: Some(path),
                },
                Keeping::Kept,
            );
        };
        match serde_json::from_slice::<Record>(&text) {
            Ok(record) if record.version <= VERSION => (
                Self {
                    record,
                    path: Some(path),
                },
                Keeping::Kept,
            ),
            Ok(_) => {
                let reason = format!("{} is of a newer sessiontut", path.display());
                (
                    Self {
                        record: empty(),
                        path: None,
                    },
                    Keeping::Nowhere(reason),
                )
            }
            Err(_) => match state::set_aside(&path) {
                Ok(aside) => (
                    Self {
                        record: empty(),
                        path: Some(path),
                    },
                    Keeping::SetAside(aside),
                ),
                Err(fault) => (
                    Self {
                        record: empty(),
                        path: None,
                    },
                    Keeping::Nowhere(fault.to_string()),
                ),
            },
        }
    }

    /// Notes an answer, and writes the score down.
    ///
    /// # Errors
    /// It could not be written; it still counts until the end of this command.
    pub fn note(&mut self, fault: &Fault, outcome: Outcome) -> std::io::Result<()> {
        let tally = self.record.faults.entry(fault.name.to_owned()).or_default();
        let count = match outcome {
            Outcome::Right => &mut tally.right,
            Outcome::Wrong => &mut tally.wrong,
        };
        *count = count.saturating_add(1);
        let Some(path) = &self.path else {
            return Ok(());
        };
        let text = serde_json::to_vec_pretty(&self.record).map_err(std::io::Error::other)?;
        state::write(path, &text)
    }

    /// Whether a fault was named at least once.
    #[must_use]
    pub fn has_named(&self, fault: &Fault) -> bool {
        self.record
            .faults
            .get(fault.name)
            .is_some_and(|tally| tally.right > 0)
    }

    /// How many faults were named.
    #[must_use]
    pub fn named(&self) -> usize {
        FAULTS.iter().filter(|fault| self.has_named(fault)).count()
    }

    /// One that was not named yet, picked at random; any one when all were.
    #[must_use]
    pub fn next(&self) -> &'static Fault {
        let open: Vec<&'static Fault> = FAULTS.iter().filter(|fault| !self.has_named(fault)).collect();
        let from: Vec<&'static Fault> = if open.is_empty() {
            FAULTS.iter().collect()
        } else {
            open
        };
        let index = usize::try_from(random::number() % from.len() as u64).unwrap_or(0);
        from[index]
    }
}
