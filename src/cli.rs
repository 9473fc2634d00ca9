//! The command line: clap types and nothing else.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Learn server-side sessions in Redis, and find out why a Redis connection fails.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do; none: a menu on a terminal, this help elsewhere
    #[command(subcommand)]
    pub command: Option<Command>,
}

const AFTER_HELP: &str = "\
Environment:
  REDIS_URL       the Redis to use; without one the built-in practice Redis serves
  REDISCLI_AUTH   its password, where the URL has none
  NO_COLOR        no colours

Exit status: 0 it answers · 1 the answer is no · 2 usage or URL · 3 DNS · 4 TCP · 5 TLS · 6 AUTH · 7 server
             130 interrupted";

/// The subcommands, in the order of the help.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Is Redis reachable, and if not, why?
    Ping(PingArgs),
    /// Lessons, step by step; goes on where you left
    Learn(LearnArgs),
    /// Simulate a login: make a session; show the cookie and the hash behind it
    Login(LoginArgs),
    /// Count a visit: HINCRBY on the current session
    Visits(VisitsArgs),
    /// EXPIRE the current session and watch it count down to its end
    Expire(ExpireArgs),
    /// The current session: cookie, hash, time left; touches nothing
    Session(StepArgs),
    /// End the current session
    Logout(StepArgs),
    /// Serve the app in a browser, with a view into its Redis
    Serve(ServeArgs),
    /// The built-in Redis on a port of its own
    Practice(PracticeArgs),
    /// An endpoint that is broken on purpose: can you name what is wrong?
    Drill(DrillArgs),
    /// Print the completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Which Redis, and how to trust it: on every command.
#[derive(Clone, Debug, Default, Args)]
pub struct RedisArgs {
    /// The Redis to use: `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS, `unix://PATH`
    // hide_env_values: the URL may hold a password.
    #[arg(long = "redis", value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    pub url: Option<String>,
    /// How to trust it
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// How to trust, and be trusted by, a TLS server.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "TLS")]
pub struct TrustArgs {
    /// Trust the authorities in this PEM file, besides the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Show this client certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The client certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Expect this name in the server's certificate (through a tunnel or a CNAME)
    #[arg(long, value_name = "NAME")]
    pub tls_name: Option<String>,
}

/// Arguments of `ping`.
#[derive(Debug, Args)]
pub struct PingArgs {
    /// The Redis to reach [default: $REDIS_URL; prefer that: everyone sees a command line in `ps`]
    // An id of its own: --redis has the other.
    #[arg(id = "ping_url", value_name = "URL")]
    pub url: Option<String>,
    /// One JSON object on standard output
    #[arg(long)]
    pub json: bool,
    /// Seconds that the whole climb may take, fractions allowed
    #[arg(long, value_name = "SECONDS", default_value = "5", allow_negative_numbers = true, value_parser = timeout)]
    pub timeout: Duration,
    /// Rehearse the tutorial's commands on one key of our own, which does not stay
    #[arg(long)]
    pub write_check: bool,
    /// Dial IPv4 addresses only
    #[arg(short = '4', conflicts_with = "v6")]
    pub v4: bool,
    /// Dial IPv6 addresses only
    #[arg(short = '6')]
    pub v6: bool,
    /// The verdict alone
    #[arg(long, short, conflicts_with = "json")]
    pub quiet: bool,
    /// Ping this often on the connection that was made
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<u32>(1, 100_000))]
    pub count: Option<u32>,
    /// Ping until Ctrl-C: each round trip, every change, a summary; with --json an object a line
    #[arg(long, conflicts_with_all = ["count", "wait", "hold", "report"])]
    pub watch: bool,
    /// Seconds between two pings of --count and --watch, and two climbs of --wait
    #[arg(long, value_name = "SECONDS", default_value = "1", allow_negative_numbers = true, value_parser = timeout)]
    pub interval: Duration,
    /// Climb again and again until Redis answers, for at most this many seconds
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = timeout, conflicts_with_all = ["count", "hold"])]
    pub wait: Option<Duration>,
    /// Stay idle for this many seconds, then ping again: finds connections that are dropped when idle
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = timeout, conflicts_with = "count")]
    pub hold: Option<Duration>,
    /// Write everything that is known, without secrets, into this file: for a ticket
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// List all causes and warnings with their exit statuses
    #[arg(long)]
    pub codes: bool,
    /// The same, by option; last, since what follows would stand under its heading
    #[command(flatten)]
    pub redis: RedisArgs,
}

/// Longest span that an option takes: a day.
const LONGEST_SECONDS: f64 = 86_400.0;

/// A positive number of seconds.
fn timeout(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= LONGEST_SECONDS => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("a number of seconds over 0 and up to 86400 is needed, such as 5 or 0.5".into()),
    }
}

/// A whole number within limits.
fn whole<N: TryFrom<u64>>(least: u64, most: u64) -> impl Fn(&str) -> Result<N, String> + Clone {
    move |text| {
        text.parse()
            .ok()
            .filter(|number| (least..=most).contains(number))
            .and_then(|number| N::try_from(number).ok())
            .ok_or_else(|| format!("a whole number from {least} to {most} is needed"))
    }
}

/// Longest time to live that `serve` gives, in seconds: 136 years.
const LONGEST_TTL: u64 = 4_294_967_295;

/// Arguments of every step command.
#[derive(Clone, Debug, Args)]
pub struct StepArgs {
    /// The answer alone, without the Redis commands
    #[arg(long, short)]
    pub quiet: bool,
    /// Show the whole session token
    #[arg(long)]
    pub show_token: bool,
    /// Which Redis
    #[command(flatten)]
    pub redis: RedisArgs,
}

/// Arguments of `login`.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Who logs in: 1 to 64 characters
    pub name: String,
    /// What all steps take
    #[command(flatten)]
    pub step: StepArgs,
}

/// Arguments of `visits`.
#[derive(Debug, Args)]
pub struct VisitsArgs {
    /// How many visits
    #[arg(long, value_name = "N", default_value = "1", allow_negative_numbers = true, value_parser = whole::<u32>(1, 100_000))]
    pub times: u32,
    /// What all steps take
    #[command(flatten)]
    pub step: StepArgs,
}

/// Arguments of `expire`.
#[derive(Debug, Args)]
pub struct ExpireArgs {
    /// Seconds until the end
    #[arg(long, value_name = "SECONDS", default_value = "10", allow_negative_numbers = true, value_parser = whole::<u32>(1, 86_400))]
    pub ttl: u32,
    /// What all steps take
    #[command(flatten)]
    pub step: StepArgs,
}

/// Arguments of `learn`.
#[derive(Debug, Args)]
pub struct LearnArgs {
    /// The lesson: its number, its name, or a part of a word of its title [default: where you left]
    pub lesson: Option<String>,
    /// List the lessons: done, now, open
    #[arg(long, conflicts_with_all = ["yes", "reset", "check"])]
    pub list: bool,
    /// Forget the progress of a lesson (the one you are in, if none is named) or of all, and remove its keys
    #[arg(long, value_name = "LESSON|all", num_args = 0..=1, conflicts_with_all = ["yes", "check"])]
    pub reset: Option<Option<String>>,
    /// Run unattended: type the solutions, wait the waits, exit with 0 only if everything held
    #[arg(long)]
    pub yes: bool,
    /// Show code in this language: python, javascript, rust
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<String>,
    /// Take the lessons (NN-id.md) from this folder
    #[arg(long, value_name = "DIR")]
    pub lessons: Option<PathBuf>,
    /// Only load the lessons, and say what is wrong with them
    #[arg(long, conflicts_with = "yes")]
    pub check: bool,
    /// Which Redis
    #[command(flatten)]
    pub redis: RedisArgs,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Tutorial step to serve: 1 signed cookie, 2 visits, 3 TTL, 4 session store
    #[arg(long, value_name = "1..4", default_value = "4", allow_negative_numbers = true, value_parser = whole::<u8>(1, 4))]
    pub step: u8,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    pub listen: String,
    /// Session TTL in seconds, reset by each visit (steps 3 and 4)
    #[arg(long, value_name = "SECONDS", default_value = "10", allow_negative_numbers = true, value_parser = whole::<u32>(1, LONGEST_TTL))]
    pub ttl: u32,
    /// Maximum lifetime of a session, even if it is visited (step 4): 90s, 30m, 8h, 7d
    #[arg(long, value_name = "SPAN", default_value = "8h", allow_negative_numbers = true, value_parser = span)]
    pub max_age: Duration,
    /// Mark the cookie Secure, so that browsers send it only over HTTPS
    #[arg(long)]
    pub secure_cookies: bool,
    /// Log requests and notes to standard error as JSON, one object per line
    #[arg(long, value_name = "FORMAT")]
    pub log: Option<LogFormat>,
    /// Which Redis
    #[command(flatten)]
    pub redis: RedisArgs,
}

/// How to write the access log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// A JSON object a line
    Json,
}

/// A time span: a whole number and s, m, h or d; without a letter it is seconds.
fn span(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.find(|character: char| !character.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, "s"),
    };
    let seconds_in_unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 0,
    };
    match number.parse::<u32>().map_or(0, u64::from) * seconds_in_unit {
        0 => Err("a whole number from 1 and one of s, m, h, d is needed, such as 8h".into()),
        seconds => Ok(Duration::from_secs(seconds)),
    }
}

/// Arguments of `practice`.
#[derive(Debug, Args)]
pub struct PracticeArgs {
    /// Where to listen: a loopback address; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// The password that clients must give (everyone sees a command line in `ps`)
    #[arg(long, value_name = "PASSWORD")]
    pub password: Option<String>,
    /// Begin empty, and forget everything at the end
    #[arg(long)]
    pub no_save: bool,
}

/// Arguments of `drill`.
#[derive(Debug, Args)]
pub struct DrillArgs {
    /// The fault, by the name that --list shows [default: one that you have not named yet]
    pub fault: Option<String>,
    /// List the faults, and which you have named
    #[arg(long, conflicts_with_all = ["fault", "serve"])]
    pub list: bool,
    /// Only run the endpoint, without asking: its URL is the first line, its authority's file the second
    #[arg(long)]
    pub serve: bool,
}
