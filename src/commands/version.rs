//! `sessiontut --version --verbose`: the facts about this program that a bug report needs.

use std::env::consts::{ARCH, OS};

use crate::exit::Exit;
use crate::state;
use crate::ui;

/// Prints one line per fact: version, build, resolver, TLS library, state folder.
pub(super) fn run() -> Exit {
    let state = state::open_folder().map_or_else(
        |error| format!("none: {error}"),
        |folder| folder.display().to_string(),
    );
    let rows = [
        ("sessiontut", env!("CARGO_PKG_VERSION").to_owned()),
        ("build", format!("{ARCH} {OS}, {}, {}", c_library(), profile())),
        ("resolver", resolver().to_owned()),
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

/// Returns which resolver looks up host names, because the resolver of musl differs from the C library that
/// most applications use (<https://wiki.musl-libc.org/functional-differences-from-glibc.html>).
fn resolver() -> &'static str {
    if cfg!(target_env = "musl") {
        "musl: asks all name servers at once, and ignores nsswitch.conf"
    } else {
        "the system's"
    }
}
