//! `sessiontut --version --verbose`: the details that a bug report needs.

use std::env::consts::{ARCH, OS};

use crate::exit::Exit;
use crate::ping::rungs::dns::OTHER_RESOLVER;
use crate::state;
use crate::ui;

/// Prints one line per fact: version, build, resolver, TLS library, and state folder.
pub(super) fn run() -> Exit {
    let state = state::open_folder().map_or_else(
        |error| format!("none: {error}"),
        |folder| folder.display().to_string(),
    );
    let rows = [
        ("sessiontut", env!("CARGO_PKG_VERSION").to_owned()),
        ("build", format!("{ARCH} {OS}, {}, {}", c_library(), profile())),
        ("resolver", OTHER_RESOLVER.unwrap_or("the system's").to_owned()),
        ("TLS", "rustls with ring, TLS 1.2 and 1.3".to_owned()),
        (
            "CAs",
            "those of the system, or SSL_CERT_FILE and SSL_CERT_DIR".to_owned(),
        ),
        ("state", state),
    ];
    for (name, value) in rows {
        ui::answer(&format!("{name:<10} {value}"));
    }
    Exit::Ok
}

fn c_library() -> &'static str {
    match (
        cfg!(target_env = "musl"),
        cfg!(target_env = "gnu"),
        cfg!(target_feature = "crt-static"),
    ) {
        (true, ..) => "musl",
        (_, true, true) => "glibc (static)",
        (_, true, false) => "glibc",
        _ => "the system's C library",
    }
}

fn profile() -> &'static str {
    if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    }
}
