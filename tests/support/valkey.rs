//! Runs a real Valkey server, if one is available. Tests use it as a reference in addition to the installed
//! Redis.

use std::path::PathBuf;

use super::redis_server::{RedisServer, Settings};
use super::{process, tools};

/// The environment variable that can contain the path of a valkey-server. If the variable is set, that server
/// is used instead of the one that `scripts/test` installs.
pub const VARIABLE: &str = "SESSIONTUT_VALKEY_SERVER";

/// Returns the path of valkey-server. If it is not installed, prints that the test continues without it, and
/// returns `None`. If the path in [`VARIABLE`] is wrong, fails the test.
pub fn program() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        assert!(
            path.is_file(),
            "{VARIABLE} names {}, which is no file",
            path.display()
        );
        return Some(path);
    }
    let found = tools::valkey_server().or_else(|| process::on_path("valkey-server"));
    if found.is_none() {
        println!("not compared with Valkey: no valkey-server is installed, and {VARIABLE} names none");
    }
    found
}

/// Starts a Valkey server with default settings. Returns `None` if Valkey is not available.
pub fn start() -> Option<RedisServer> {
    Some(Settings::default().program(program()?).start())
}
