//! Saves changed data to the disk, without blocking the clients for long.

use std::io;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::snapshot;
use super::store::{Store, wall_clock};

/// The minimum time between two saves. A crash can lose the changes that were made after the last save.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// The minimum pause between two saves, as a multiple of the time for which the previous save blocked the
/// clients. Saves therefore block the clients for at most 5% of the time.
const SHARE_OF_SAVES: u32 = 20;

pub(super) struct Saver {
    file: Option<PathBuf>,
    /// The value of the store's change counter at the last save.
    saved: u64,
    last_save: Instant,
    /// How long the last save blocked the clients.
    took: Duration,
    /// The thread that writes the last snapshot to the disk, if any.
    writer: Option<JoinHandle<io::Result<()>>>,
}

impl Saver {
    pub(super) fn new(file: Option<PathBuf>, store: &Store) -> Self {
        Self {
            file,
            saved: store.changes,
            last_save: Instant::now(),
            took: Duration::ZERO,
            writer: None,
        }
    }

    /// If a save is due, takes a snapshot and writes it to the disk in the background.
    pub(super) fn save_if_due(&mut self, store: &mut Store) {
        let pause = SAVE_EVERY.max(self.took * SHARE_OF_SAVES);
        let is_writing = self.writer.as_ref().is_some_and(|writer| !writer.is_finished());
        let Some(file) = &self.file else {
            return;
        };
        if is_writing || self.last_save.elapsed() < pause || store.changes == self.saved {
            return;
        }
        self.writer = None;
        let began = Instant::now();
        // An error is ignored here, because a later save might succeed. Only the final save reports errors.
        if let Ok(snapshot) = snapshot::write(file, store) {
            self.saved = store.changes;
            self.writer = std::thread::Builder::new().spawn(move || snapshot.finish()).ok();
        }
        self.took = began.elapsed();
        self.last_save = Instant::now();
    }

    /// Waits for the save in progress, if any, and then saves all changes that have not been saved.
    pub(super) fn finish(mut self, store: &mut Store) -> io::Result<()> {
        let written = match self.writer.take().map(JoinHandle::join) {
            Some(Ok(Ok(()))) | None => true,
            Some(_) => false,
        };
        store.advance(wall_clock());
        match &self.file {
            Some(file) if !written || store.changes != self.saved => snapshot::write(file, store)?.finish(),
            _ => Ok(()),
        }
    }
}
