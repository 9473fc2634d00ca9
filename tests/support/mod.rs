//! Provides real servers, a real terminal and the program under test to the tests in this folder.
//!
//! Everything that these modules start is stopped when its value is dropped, even if the test panics. If a
//! required program is missing, the test fails and names the package to install. No test is skipped without a
//! message.

// Every test program compiles all of these modules but uses only some of them.
#![allow(dead_code, unreachable_pub, unused_imports)]
// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

pub mod app;
pub mod check;
pub mod cluster;
pub mod crowd;
pub mod drive;
pub mod golden;
pub mod http;
pub mod learner;
pub mod lessons;
pub mod listener;
pub mod monitor;
pub mod ports;
pub mod process;
pub mod program;
pub mod proxy;
pub mod redis_server;
pub mod sentinel;
pub mod stunnel;
pub mod terminal;
pub mod tls;
pub mod tools;
pub mod valkey;
pub mod wait;

pub use app::App;
pub use cluster::Cluster;
pub use http::{Answer, Visitor};
pub use lessons::Lessons;
pub use monitor::Monitor;
pub use program::{Finished, Home, Program, Running};
pub use proxy::{Proxy, Replies};
pub use redis_server::{RedisServer, Settings};
pub use sentinel::Sentinel;
pub use stunnel::Stunnel;
pub use terminal::Terminal;
pub use tls::{Authority, Certificate};
