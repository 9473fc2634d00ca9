//! Compares messages and pages with golden files, which contain their exact wording. There is one file per
//! cause or page, in `tests/golden/`.
//!
//! `scripts/update-golden` writes the files again after a change of wording. Tests that use golden files have
//! `wording` in their names. All other tests assert codes, kinds and state instead of sentences.

#![allow(dead_code, reason = "not every test uses golden files")]

use std::fs;
use std::path::Path;

/// Compares `actual` with the golden file `tests/golden/NAME`, or writes that file if `UPDATE_GOLDEN` is set.
///
/// Replace values that differ from run to run (ports, times, versions) before the call.
pub fn assert_golden(name: &str, actual: &str) {
    assert_golden_at(&format!("tests/golden/{name}"), actual);
}

/// Compares `actual` with a file, whose path is relative to the package, or writes that file if `UPDATE_GOLDEN` is set.
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test's helper")]
pub fn assert_golden_at(path: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let actual = format!("{}\n", actual.trim_end());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    if expected != actual {
        panic!(
            "the wording differs from {}; if that is intended, run scripts/update-golden\n\
             --- expected\n{expected}--- actual\n{actual}",
            path.display()
        );
    }
}
