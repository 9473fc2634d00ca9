//! What `scripts/test` has installed for the tests alone, beside what cargo builds.

use std::path::{Path, PathBuf};

/// The Python of the tests' own virtual environment: redis-py and what the Flask example needs.
pub fn python() -> PathBuf {
    installed("venv/bin/python")
}

/// The `node_modules` folder with what `examples/EXAMPLE/package.json` asks for.
pub fn node_modules(example: &str) -> PathBuf {
    installed(&format!("{example}/node_modules"))
}

/// The axum example's program for a step.
pub fn axum_example(step: u8) -> PathBuf {
    installed(&format!("axum/debug/step{step}"))
}

/// The real Valkey, where there is one for this machine.
pub fn valkey_server() -> Option<PathBuf> {
    let path = folder().join("valkey-server");
    path.exists().then_some(path)
}

fn installed(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(
        path.exists(),
        "{} is not there: run scripts/test once, which installs it",
        path.display()
    );
    path
}

fn folder() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target
        .expect("cargo's folder for tests lies in its target folder")
        .join("test-tools")
}
