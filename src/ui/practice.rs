//! Messages about the practice Redis.

use std::io;

use super::{answer, note};
use crate::practice::DataNotice;

/// Says that the practice Redis is used because no URL was given.
pub(crate) fn in_use(notices: &[DataNotice]) {
    note("REDIS_URL is not set: using the built-in practice Redis");
    notices.iter().for_each(notice);
}

pub(crate) fn notice(notice: &DataNotice) {
    match notice {
        DataNotice::MemoryOnly { reason } => note(&format!(
            "its data is in memory only and is lost when this command ends: the state folder cannot be used ({reason})"
        )),
        DataNotice::SetAside { path } => note(&format!(
            "its data file was damaged and is now {}; starting empty",
            path.display()
        )),
    }
}

pub(crate) fn not_saved(error: &io::Error) {
    note(&format!("the practice Redis could not save its data: {error}"));
}

/// Prints the URL of `sessiontut practice`, with the password that the user chose.
pub(crate) fn url(url: &str) {
    answer(url);
}

pub(crate) fn running() {
    note("this is the practice Redis of sessiontut, on loopback and for learning only; stop it with Ctrl-C");
}
