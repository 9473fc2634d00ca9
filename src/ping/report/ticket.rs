//! Collects additional information for a support ticket: the time, this host, and the version of this
//! program.

use std::fs;
use std::net::IpAddr;
use std::process::Command;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::clock;
use crate::ping::observation::Observations;
use crate::ping::this_host;
use crate::sanitize;

/// The maximum number of lines that are quoted from a file or from a command's output.
const MOST_LINES: usize = 20;
/// The maximum number of addresses for which the route is looked up.
const MOST_ROUTES: usize = 8;

/// Describes this host, this program and the time. Runs the program `ip` if it is installed.
pub(crate) fn describe(started: SystemTime, seen: &Observations) -> Value {
    json!({
        "time": clock::local_time(started),
        "timestamp": clock::timestamp(started),
        "tool": {"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")},
        "host": {
            "name": first_line("/proc/sys/kernel/hostname"),
            "os": operating_system(),
            "kernel": first_line("/proc/sys/kernel/osrelease"),
            "architecture": std::env::consts::ARCH,
            "addresses": ip(&["-brief", "address"]),
            "resolver": resolver(),
        },
        "routes": addresses(seen).into_iter().take(MOST_ROUTES).map(route).collect::<Vec<_>>(),
    })
}

fn first_line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().next().map(|line| sanitize::line(line).into_owned())
}

fn operating_system() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let name = name.map(|name| sanitize::line(name.trim_matches('"')).into_owned());
    name.unwrap_or_else(|| std::env::consts::OS.to_owned())
}

/// Returns the lines of `/etc/resolv.conf` without comments and empty lines.
fn resolver() -> Vec<String> {
    let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    lines
        .take(MOST_LINES)
        .map(|line| sanitize::line(line).into_owned())
        .collect()
}

/// Returns all addresses of the target, including those without a connection attempt.
fn addresses(seen: &Observations) -> Vec<IpAddr> {
    let tried = seen.tcp.dials.iter().filter_map(|dial| Some(dial.to.ip()?.ip()));
    let found = seen.dns.iter().flat_map(|lookup| lookup.addresses.clone());
    let mut addresses: Vec<IpAddr> = tried.chain(found).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn route(to: IpAddr) -> Value {
    let source = this_host::source_for(to).map(|source| source.to_string());
    let route = ip(&["route", "get", &to.to_string()]).into_iter().next();
    json!({"to": to.to_string(), "source": source, "route": route})
}

/// Returns the output lines of the program `ip`. Returns no lines if `ip` fails or is not installed.
fn ip(arguments: &[&str]) -> Vec<String> {
    let output = Command::new("ip").args(arguments).output();
    let output = output.ok().filter(|output| output.status.success());
    let bytes = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().take(MOST_LINES);
    lines
        .map(|line| sanitize::excerpt(line.trim().as_bytes(), 200))
        .collect()
}
