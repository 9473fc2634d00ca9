//! sessiontut: learn server-side sessions in Redis, and find out why a Redis connection fails.
//!
//! Three jobs, each a straight line:
//!
//! ```text
//! ping    url ─▶ target ─▶ ladder (a rung a layer, plus experiments) ─▶ observations ─▶ verdict ─▶ report
//! learn   lesson file ─▶ steps ─▶ run against Redis ─▶ check reply and state ─▶ tell ─▶ progress
//! serve   request ─▶ session (cookie ⇄ SessionStore ⇄ Redis) ─▶ page
//! ```
//!
//! [`cli`] and [`commands`] are the front door, [`ui`] is the only place that prints; everything else returns
//! typed values and knows no terminal. Dependencies point one way: front door → job → [`wire`].

pub mod cli;
pub mod client;
pub mod commands;
pub mod ui;

pub mod deadline;
pub mod drill;
pub mod exit;
pub mod learn;
pub mod os;
pub mod ping;
pub mod practice;
pub mod redis_url;
pub mod sanitize;
pub mod secret;
pub mod serve;
pub mod session;
pub mod signals;
pub mod state;
pub mod wire;
