//! What is said about the practice Redis.

use std::io;

use super::{answer, note};
use crate::practice::Notice;

/// Says that no URL was given and who serves instead, and what else is to be known.
pub(crate) fn in_use(notices: &[Notice]) {
    note("no REDIS_URL is set: this is the built-in practice Redis");
    notices.iter().for_each(notice);
}

/// One line for one thing that a user should know.
pub(crate) fn notice(notice: &Notice) {
    match notice {
        Notice::NotKept { reason } => note(&format!(
            "its data is kept in memory only and ends with this command: the state folder cannot be used ({reason})"
        )),
        Notice::SetAside { path } => note(&format!(
            "its data file was damaged and is now {}; it begins anew, without data",
            path.display()
        )),
    }
}

/// Says that the data could not be saved.
pub(crate) fn not_saved(fault: &io::Error) {
    note(&format!("the practice Redis could not save its data: {fault}"));
}

/// The URL of a practice Redis that runs alone, with its password: whoever started it has given it.
pub(crate) fn url(url: &str) {
    answer(url);
}

/// Says what it is, and how it ends.
pub(crate) fn running() {
    note("the practice Redis of sessiontut serves on loopback, for learning only; Ctrl-C ends it");
}
