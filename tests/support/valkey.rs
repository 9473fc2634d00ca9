//! A real Valkey, where this machine has one: the second reference after Debian's Redis.

use std::path::PathBuf;

use super::redis_server::{RedisServer, Settings};
use super::{process, tools};

/// Names the valkey-server to test against, instead of the one that `scripts/test` installs.
pub const VARIABLE: &str = "SESSIONTUT_VALKEY_SERVER";

/// The path of valkey-server. Without one, a line says that the test goes on without; a wrong path fails.
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

/// A plain Valkey, where there is one.
pub fn start() -> Option<RedisServer> {
    Some(Settings::default().program(program()?).start())
}
