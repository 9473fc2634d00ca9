//! Real servers, a real terminal and the binary under test, for the tests in this folder.
//!
//! Whatever is started here ends when its value is dropped, also when the test panics. A part that this machine lacks
//! fails the test with the name of the package that has it: nothing is skipped in silence.

// Every test binary compiles all of this and uses its own part of it.
#![allow(dead_code, unreachable_pub, unused_imports)]
// Clippy knows tests by their attribute, and these are the functions that the tests call.
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

pub mod app;
pub mod cluster;
pub mod crowd;
pub mod drive;
pub mod golden;
pub mod http;
pub mod learner;
pub mod lessons;
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
