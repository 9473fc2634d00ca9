//! Lays out the binary: what a healthy `ping` executes stands side by side.
//!
//! Unordered, those 0.5 MB lie scattered over all of the code, and the kernel, which maps pages in groups, makes 3 MB
//! more of it resident. `scripts/order` writes the list. Its names hold for one compiler and one Cargo.lock; a name
//! that is gone is passed over, so that an old list costs memory and nothing else.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ORDER: &str = "link/ping.order";

fn main() {
    println!("cargo::rerun-if-changed={ORDER}");
    let Some(folder) = env::var_os("OUT_DIR").map(PathBuf::from) else {
        return;
    };
    // A copy, since a target folder may outlive the checkout that filled it.
    let order = folder.join("ping.order");
    if fs::copy(ORDER, &order).is_err() {
        return;
    }
    let arguments = [
        format!("-Wl,--symbol-ordering-file={}", order.display()),
        "-Wl,--no-warn-symbol-ordering".to_owned(),
    ];
    if links_with(&folder, &arguments) {
        for argument in arguments {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}

/// Whether this target's linker knows the options: LLVM's does, GNU's and those of other systems do not.
fn links_with(folder: &Path, arguments: &[String]) -> bool {
    let (Some(rustc), Some(target)) = (env::var_os("RUSTC"), env::var_os("TARGET")) else {
        return false;
    };
    let source = folder.join("probe.rs");
    if fs::write(&source, "fn main() {}").is_err() {
        return false;
    }
    let mut probe = Command::new(rustc);
    probe
        .arg(&source)
        .arg("--target")
        .arg(target)
        .arg("--out-dir")
        .arg(folder);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        probe.arg("-C").arg(format!("linker={}", linker.display()));
    }
    for argument in arguments {
        probe.arg("-C").arg(format!("link-arg={argument}"));
    }
    let probed = probe.stdout(Stdio::null()).stderr(Stdio::null()).status();
    probed.is_ok_and(|status| status.success())
}
