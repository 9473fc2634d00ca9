//! A real Valkey, if it is available. It is the second reference, besides the installed Redis.

use std::path::PathBuf;

use super::redis_server::{RedisServer, Settings};
use super::{process, tools};

/// Environment variable with the path of a valkey-server to use instead of the one that `scripts/test` installs.
pub const VARIABLE: &str = "SESSIONTUT_VALKEY_SERVER";

/// Returns the path of valkey-server. If there is none, prints that the test continues without it. Fails if the path in
/// the variable is wrong.
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

/// Starts a Valkey with default settings, if it is available.
pub fn start() -> Option<RedisServer> {
    Some(Settings::default().program(program()?).start())
}
