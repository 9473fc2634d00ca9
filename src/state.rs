//! Reads and writes the records in the user's state folder.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::files;

/// Returns the state folder: `$XDG_STATE_HOME/sessiontut`, or `~/.local/state/sessiontut`
/// (<https://specifications.freedesktop.org/basedir-spec/latest/>). Creates a missing folder with mode 0700.
/// Fails if there is no home folder, or if the state folder cannot be created.
pub(crate) fn open_folder() -> io::Result<PathBuf> {
    let named = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let state = named("XDG_STATE_HOME")
        .filter(|folder| folder.is_absolute())
        .or_else(|| named("HOME").map(|home| home.join(".local/state")));
    let missing = || io::Error::other("neither XDG_STATE_HOME nor HOME is set");
    let folder = state.ok_or_else(missing)?.join("sessiontut");
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).map_err(|error| {
        let problem = format!("cannot create {}: {error}", folder.display());
        io::Error::new(error.kind(), problem)
    })?;
    Ok(folder)
}

/// A JSON file in the state folder. If the file cannot be used, the program continues without it.
#[derive(Debug)]
pub(crate) struct Saved<T> {
    pub record: T,
    /// The path of the file, or `None` if nothing is saved.
    file: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u64,
    #[serde(flatten)]
    record: T,
}

/// The version of the format of the files in the state folder.
const VERSION: u64 = 1;

impl<T: Default + Serialize + DeserializeOwned> Saved<T> {
    /// Reads the file `name` in `folder`, and renames the file if it is damaged. If the file is damaged or
    /// cannot be saved, returns a message as well, in which `what` describes the contents of the file.
    pub(crate) fn read(folder: io::Result<PathBuf>, name: &str, what: &str) -> (Self, Option<String>) {
        let unsaved = |record, why: &dyn Display| {
            let problem = format!("{what} will not be saved: {why}");
            (Self { record, file: None }, Some(problem))
        };
        let file = match folder {
            Ok(folder) => folder.join(name),
            Err(error) => return unsaved(T::default(), &error),
        };
        let shown = file.display();
        let json = match json_in(&file) {
            Ok(json) => json,
            Err(error) => return unsaved(T::default(), &format!("{shown}: {error}")),
        };
        if json["version"].as_u64().is_some_and(|version| version > VERSION) {
            return unsaved(
                T::default(),
                &format!("{shown} was written by a newer sessiontut"),
            );
        }
        let (record, problem) = match serde_json::from_value::<Versioned<T>>(json) {
            Ok(found) => (found.record, None),
            Err(_) => match files::set_aside(&file) {
                Ok(renamed) => {
                    let renamed = renamed.display();
                    let problem =
                        format!("{shown} is damaged and was renamed to {renamed}; {what} starts again");
                    (T::default(), Some(problem))
                }
                Err(error) => return unsaved(T::default(), &format!("{shown}: {error}")),
            },
        };
        // Create a temporary file to test whether the record can be saved. The permissions of the folder
        // are not sufficient evidence.
        match tempfile::tempfile_in(file.parent().unwrap_or(&file)) {
            Ok(_) => (
                Self {
                    record,
                    file: Some(file),
                },
                problem,
            ),
            Err(error) => unsaved(record, &format!("{shown}: {error}")),
        }
    }

    /// Creates a record that is neither read nor saved.
    pub(crate) fn in_memory() -> Self {
        Self {
            record: T::default(),
            file: None,
        }
    }

    /// Saves the file atomically. Returns a message when saving fails for the first time. Later calls save
    /// nothing and report no error.
    pub(crate) fn save(&mut self) -> Result<(), String> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let content = Versioned {
            version: VERSION,
            record: &self.record,
        };
        let text = serde_json::to_vec_pretty(&content).map_err(io::Error::other);
        let saved = text.and_then(|text| files::write(file, &text));
        let problem = saved.map_err(|error| format!("cannot save {}: {error}", file.display()));
        if problem.is_err() {
            self.file = None;
        }
        problem
    }
}

/// Returns the contents of a JSON file. Returns an empty record if the file does not exist, and null if the
/// file is invalid JSON.
fn json_in(file: &Path) -> io::Result<Value> {
    match files::read_small(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(json!({ "version": VERSION })),
        Err(error) => Err(error),
        Ok(text) => Ok(serde_json::from_slice(&text).unwrap_or_default()),
    }
}
