//! The command line, as clap types.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Args, Parser, Subcommand, ValueEnum};

use crate::check::settings::{LOGGED_IN, VISITS};
use crate::drill;
use crate::learn::lesson_files::built_in_names;
use crate::ping::causes::Cause;
use crate::session::DEFAULT_TTL;

/// Learn how server-side sessions in Redis work, and find out why a Redis connection fails.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = AFTER_HELP)]
pub struct Cli {
    /// Subcommand to run (without one: a menu on a terminal, this help elsewhere)
    #[command(subcommand)]
    pub command: Option<Command>,
}

const AFTER_HELP: &str = "\
Environment:
  REDIS_URL       Redis to use (default: the built-in practice Redis)
  REDISCLI_AUTH   Password to use if the URL has none
  REDIS_HOST      For ping, if REDIS_URL is not set: host of the Redis to check; see also
                  REDIS_PORT, REDIS_USERNAME, REDIS_PASSWORD and REDIS_TLS
  NO_COLOR        Disable colours

`sessiontut --version --verbose` prints the details to include in a bug report.

Exit status: 0 success · 1 failure · 2 usage or URL · 3 DNS · 4 TCP · 5 TLS · 6 AUTH · 7 server
             130 interrupted";

/// The subcommands, in the order of the help.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find out whether Redis is reachable, and if not, why
    Ping(PingArgs),
    /// Take the lessons, starting where you left off
    Learn(LearnArgs),
    /// Simulate a login: create a session, and show its cookie and hash
    Login(LoginArgs),
    /// Count a visit: run HINCRBY on the current session
    Visits(VisitsArgs),
    /// Set a short TTL on the current session and show the countdown
    Expire(ExpireArgs),
    /// Show the current cookie, hash and TTL without resetting the TTL
    Session(StepArgs),
    /// Log out: delete the current session
    Logout(StepArgs),
    /// Serve the lessons' example app: open it in your browser, and see its data in Redis
    Serve(ServeArgs),
    /// Grade your own app, in any language, by visiting it as a browser would and watching its Redis commands
    Check(CheckArgs),
    /// Run the built-in practice Redis on its own port
    Practice(PracticeArgs),
    /// Practise diagnosing a deliberately broken endpoint
    Drill(DrillArgs),
    /// Explain a cause or warning that `ping` reports
    Explain {
        /// Code of the cause, for example tcp.timeout (see `sessiontut ping --codes`)
        #[arg(hide_possible_values = true, value_parser = suggesting(|| Cause::ALL.iter().map(|cause| cause.code()).collect()))]
        code: String,
    },
    /// Print the completion script for a shell
    Completions {
        /// Shell to print the script for
        shell: clap_complete::Shell,
    },
    /// Print the details to include in a bug report, like `--version --verbose`
    #[command(hide = true)]
    Version,
    /// Write the man pages, one for each subcommand, to a folder
    #[command(hide = true)]
    Man {
        /// Folder for the man pages; it is created if it does not exist
        folder: PathBuf,
    },
}

/// The options that select the Redis server, and its TLS options.
#[derive(Clone, Debug, Default, Args)]
pub struct RedisArgs {
    /// Redis to use: `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS, `unix://PATH`, `redis+sentinel://host[,host]/NAME`
    // hide_env_values: the URL may contain a password.
    #[arg(long = "redis", value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    pub url: Option<String>,
    /// TLS options
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// The TLS options.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "TLS")]
pub struct TrustArgs {
    /// Trust the CAs in this PEM file as well as the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Send this client certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Use this private key for the client certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Expect this name in the server's certificate (if you connect through a tunnel or a CNAME)
    #[arg(long, value_name = "NAME")]
    pub tls_name: Option<String>,
}

/// Arguments of `ping`.
#[derive(Debug, Args)]
pub struct PingArgs {
    /// Redis to check [default: $REDIS_URL; use the variable if the URL contains a password, because any user can see
    /// the command line with `ps`]
    // The id `url` belongs to --redis.
    #[arg(id = "ping_url", value_name = "URL")]
    pub url: Option<String>,
    /// Print one JSON object to standard output
    #[arg(long)]
    pub json: bool,
    /// Overall time limit in seconds (fractions allowed)
    #[arg(long, value_name = "SECONDS", default_value = "5", allow_negative_numbers = true, value_parser = timeout)]
    pub timeout: Duration,
    /// Also test writing: run HSET, HINCRBY, EXPIRE, HGETALL and DEL on a temporary key, in one MULTI
    #[arg(long)]
    pub write_check: bool,
    /// Use IPv4 addresses only
    #[arg(short = '4', conflicts_with = "v6")]
    pub v4: bool,
    /// Use IPv6 addresses only
    #[arg(short = '6')]
    pub v6: bool,
    /// Print only the verdict
    #[arg(long, short, conflicts_with = "json")]
    pub quiet: bool,
    /// Send N PINGs over one connection, and print each round trip time
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<u32>(1, 100_000))]
    pub count: Option<u32>,
    /// Ping until Ctrl-C; print each round trip and each change of state, and finally a summary (with --json: one
    /// object per line; the last contains the totals)
    #[arg(long, conflicts_with_all = ["count", "wait", "hold", "idle"])]
    pub watch: bool,
    /// Seconds between PINGs (--count, --watch) or between attempts (--wait)
    #[arg(long, value_name = "SECONDS", default_value = "1", allow_negative_numbers = true, value_parser = timeout)]
    pub interval: Duration,
    /// Retry until Redis answers, for at most this many seconds
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = timeout, conflicts_with_all = ["count", "hold"])]
    pub wait: Option<Duration>,
    /// Stay idle for this many seconds, then ping again (finds firewalls that drop idle connections)
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = timeout, conflicts_with = "count")]
    pub hold: Option<Duration>,
    /// Measure how long idle connections survive, with and without TCP keepalive, up to this many seconds
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = timeout, conflicts_with_all = ["count", "hold", "wait"])]
    pub idle: Option<Duration>,
    /// Write a full report, without secrets, to this file (for a support ticket)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Continue if the certificate cannot be verified, but do not send the password; the certificate problem is still
    /// reported as the failure (with --wait and --watch, only as a warning)
    #[arg(long)]
    pub insecure: bool,
    /// With --insecure, also send the password; a server that impersonates yours then receives it
    #[arg(long, requires = "insecure")]
    pub insecure_auth: bool,
    /// Write the server's certificates to this file; once you have checked that they are genuine, you can pass the file
    /// to --ca
    #[arg(long, value_name = "FILE")]
    pub save_ca: Option<PathBuf>,
    /// List all causes and warnings with their exit statuses
    #[arg(long)]
    pub codes: bool,
    /// The Redis to use; after the others, because the heading TLS applies to all options that follow
    #[command(flatten)]
    pub redis: RedisArgs,
    /// What `ping` asks AWS
    #[command(flatten)]
    pub aws: AwsArgs,
}

/// The options of `ping` that concern AWS.
#[derive(Debug, Args)]
#[command(next_help_heading = "AWS")]
pub struct AwsArgs {
    /// Use your `aws` program to find the rule or route that blocks the connection (changes nothing in AWS)
    #[arg(long, conflicts_with_all = ["watch", "aws_documents", "aws_commands"])]
    pub aws: bool,
    /// Time limit for all queries of --aws together, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", allow_negative_numbers = true, value_parser = timeout)]
    pub aws_timeout: Duration,
    /// Print a script that makes the same queries in AWS CloudShell
    #[arg(long, conflicts_with = "aws_documents")]
    pub aws_commands: bool,
    /// Find the rule or route in the output of that script (`-`: standard input), or in a directory of saved AWS
    /// replies
    #[arg(long, value_name = "FILE|DIR|-", conflicts_with = "watch")]
    pub aws_documents: Option<PathBuf>,
    /// Print the IAM policy that --aws needs
    #[arg(long)]
    pub aws_policy: bool,
}

/// The longest time that an option accepts: one day.
const LONGEST_SECONDS: f64 = 86_400.0;

/// Accepts any text. The completion scripts suggest `values`.
fn suggesting(values: fn() -> Vec<&'static str>) -> impl TypedValueParser<Value = String> {
    Suggesting(values)
}

#[derive(Clone)]
struct Suggesting(fn() -> Vec<&'static str>);

impl TypedValueParser for Suggesting {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.0)().into_iter().map(PossibleValue::new)))
    }
}

/// Parses a positive number of seconds.
fn timeout(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= LONGEST_SECONDS => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected a number of seconds above 0, up to 86400, such as 5 or 0.5".into()),
    }
}

/// Parses a whole number between these limits.
fn whole<N: TryFrom<u64>>(least: u64, most: u64) -> impl Fn(&str) -> Result<N, String> + Clone {
    move |text| {
        text.parse()
            .ok()
            .filter(|number| (least..=most).contains(number))
            .and_then(|number| N::try_from(number).ok())
            .ok_or_else(|| format!("expected a whole number from {least} to {most}"))
    }
}

/// The longest maximum lifetime of a session that `check` can wait for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// The longest TTL of `serve` in seconds: 136 years.
const LONGEST_TTL: u64 = 4_294_967_295;

/// Arguments of every step command.
#[derive(Clone, Debug, Args)]
pub struct StepArgs {
    /// Print only the result, without the Redis commands
    #[arg(long, short)]
    pub quiet: bool,
    /// Show the complete session token
    #[arg(long)]
    pub show_token: bool,
    /// The Redis to use
    #[command(flatten)]
    pub redis: RedisArgs,
}

/// Arguments of `login`.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Name of the user (1 to 64 characters)
    pub name: String,
    /// Options of all step commands
    #[command(flatten)]
    pub step: StepArgs,
}

/// Arguments of `visits`.
#[derive(Debug, Args)]
pub struct VisitsArgs {
    /// Number of visits to count
    #[arg(long, value_name = "N", default_value = "1", allow_negative_numbers = true, value_parser = whole::<u32>(1, 100_000))]
    pub times: u32,
    /// Options of all step commands
    #[command(flatten)]
    pub step: StepArgs,
}

/// Arguments of `expire`.
#[derive(Debug, Args)]
pub struct ExpireArgs {
    /// Seconds until the session expires
    #[arg(long, value_name = "SECONDS", default_value = "10", allow_negative_numbers = true, value_parser = whole::<u32>(1, 86_400))]
    pub ttl: u32,
    /// Options of all step commands
    #[command(flatten)]
    pub step: StepArgs,
}

/// Arguments of `learn`.
#[derive(Debug, Args)]
pub struct LearnArgs {
    /// Lesson to take: its number, its name, or part of its title [default: where you left off]
    #[arg(hide_possible_values = true, value_parser = suggesting(built_in_names))]
    pub lesson: Option<String>,
    /// List the lessons and show which ones you have completed
    #[arg(long, conflicts_with_all = ["yes", "reset", "check"])]
    pub list: bool,
    /// Reset the progress of a lesson (default: the current one) or of all lessons, and delete their keys
    #[arg(long, value_name = "LESSON|all", num_args = 0..=1, conflicts_with_all = ["yes", "check"])]
    pub reset: Option<Option<String>>,
    /// Run unattended: enter the solutions, and wait as long as a learner would; exit 0 only if every check passes
    #[arg(long)]
    pub yes: bool,
    /// Show code in this language: python, javascript, rust
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<String>,
    /// Read the lessons (NN-id.md) from this folder
    #[arg(long, value_name = "DIR")]
    pub lessons: Option<PathBuf>,
    /// Validate the lessons without running them
    #[arg(long, conflicts_with = "yes")]
    pub check: bool,
    /// Print a summary of the course as Markdown
    #[arg(long, conflicts_with_all = ["yes", "reset", "check", "list", "lesson"])]
    pub cheat_sheet: bool,
    /// The Redis to use
    #[command(flatten)]
    pub redis: RedisArgs,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Stage of the app to serve: 1 signed cookie, 2 visits, 3 TTL, 4 session store
    #[arg(long, alias = "step", value_name = "1..4", default_value = "4", allow_negative_numbers = true, value_parser = whole::<u8>(1, 4))]
    pub stage: u8,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    pub listen: String,
    /// Session TTL in seconds, reset by each visit (stages 3 and 4)
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TTL, allow_negative_numbers = true, value_parser = whole::<u32>(1, LONGEST_TTL))]
    pub ttl: u32,
    /// Maximum lifetime of a cookie or session, however often it is used, for example 90s, 30m, 8h, 7d
    #[arg(long, value_name = "SPAN", default_value = "8h", allow_negative_numbers = true, value_parser = span)]
    pub max_age: Duration,
    /// Mark the cookie Secure and name it __Host-NAME: browsers then accept it only over https:// or from loopback
    /// addresses
    #[arg(long)]
    pub secure_cookies: bool,
    /// Name of the cookie (change it if another application on this host uses the same name)
    #[arg(long, value_name = "NAME", default_value = "session", value_parser = cookie_name)]
    pub cookie_name: String,
    /// Also accept requests for this host name on loopback addresses, for example behind a proxy on the same host (can
    /// be repeated)
    #[arg(long = "host", value_name = "NAME", value_parser = host_name)]
    pub hosts: Vec<String>,
    /// Log requests and server messages to standard error as JSON, one object per line
    #[arg(long, value_name = "FORMAT")]
    pub log: Option<LogFormat>,
    /// The Redis to use
    #[command(flatten)]
    pub redis: RedisArgs,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line
    Json,
}

/// Parses a time span: a whole number followed by s, m, h or d. Without a letter, the unit is seconds.
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
        0 => Err("expected a whole number above 0 and s, m, h or d, such as 8h".into()),
        seconds => Ok(Duration::from_secs(seconds)),
    }
}

/// Parses a time span that `check` has to wait for.
fn span_to_wait_for(text: &str) -> Result<Duration, String> {
    match span(text)? {
        span if span <= LONGEST_WAIT => Ok(span),
        _ => Err(
            "expected at most 5m, because check waits this long; for the check, start the app with a short maximum \
             lifetime, for example 20 s, and pass the same span"
                .into(),
        ),
    }
}

/// Parses the name of a cookie (RFC 6265, section 4.1.1).
fn cookie_name(text: &str) -> Result<String, String> {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(is_valid) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 64 letters, digits or -_., such as session2".into())
    }
}

/// Parses a host name without a port.
fn host_name(text: &str) -> Result<String, String> {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    let has_port = text
        .rsplit_once(':')
        .is_some_and(|(name, _)| !name.starts_with('['));
    if !text.is_empty() && text.bytes().all(is_valid) && (!has_port || text.ends_with(']')) {
        Ok(text.to_owned())
    } else {
        Err("expected a host name without a port, such as app.example.com".into())
    }
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Stage of the app: 1 signed cookie, 2 visits, 3 TTL, 4 session store (all stages up to this one are graded)
    #[arg(long, alias = "step", value_name = "1..4", default_value = "4", allow_negative_numbers = true, value_parser = whole::<u8>(1, 4))]
    pub stage: u8,
    /// Leave out the earlier stages (for example, if the app uses a session library, because such libraries do not use
    /// HINCRBY)
    #[arg(long)]
    pub only_stage: bool,
    /// Address of the app [default: http://127.0.0.1:$PORT, or port 5000 if PORT is not set]
    // The id `url` belongs to --redis.
    #[arg(id = "app_url", long = "url", value_name = "URL")]
    pub url: Option<String>,
    /// Session TTL that the app uses, in seconds (stages 3 and 4)
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TTL, allow_negative_numbers = true, value_parser = whole::<u32>(1, 3600))]
    pub ttl: u32,
    /// Check that sessions end after this maximum lifetime (up to 5m; for the check, start the app with a short
    /// maximum lifetime, for example 20s)
    #[arg(long, value_name = "SPAN", allow_negative_numbers = true, value_parser = span_to_wait_for)]
    pub max_age: Option<Duration>,
    /// Use only HTTP, without watching Redis commands; checks that need these commands are then inconclusive
    #[arg(long)]
    pub black_box: bool,
    /// Path of the home page
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub home: String,
    /// Path of the login page and form
    #[arg(long, value_name = "PATH", default_value = "/login")]
    pub login: String,
    /// Name of the form field for the user name
    #[arg(long, value_name = "NAME", default_value = "username")]
    pub field: String,
    /// Path of the logout
    #[arg(long, value_name = "PATH", default_value = "/logout")]
    pub logout: String,
    /// Regular expression that matches the text of the home page only if a user is logged in
    #[arg(long, value_name = "REGEX", default_value = LOGGED_IN)]
    pub logged_in: String,
    /// Regular expression that matches the number of visits on the home page; its first group is the number
    #[arg(long, value_name = "REGEX", default_value = VISITS)]
    pub visits: String,
    /// Show every failure in full (default: only the first)
    #[arg(long)]
    pub all: bool,
    /// Whether a lesson runs the command.
    #[arg(skip)]
    pub in_lesson: bool,
    /// Print one JSON object to standard output
    #[arg(long)]
    pub json: bool,
    /// Also write the results to this file as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Grade again whenever a file in this folder changes
    #[arg(long, value_name = "DIR")]
    pub watch: Option<PathBuf>,
    /// Command that starts the app, with REDIS_URL, SECRET_KEY and PORT in its environment [if omitted: wait until the
    /// app at --url answers]
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// The Redis to use
    #[command(flatten)]
    pub redis: RedisArgs,
}

/// Arguments of `practice`.
#[derive(Debug, Args)]
pub struct PracticeArgs {
    /// Loopback address to listen on (port 0: any free port)
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// Password that clients must send; any user on this host can see it with `ps` [default: a random one]
    #[arg(long, value_name = "PASSWORD")]
    pub password: Option<String>,
    /// Do not require a password; every program and user on this host can then connect
    #[arg(long, conflicts_with = "password")]
    pub no_password: bool,
    /// Start empty, and save nothing
    #[arg(long)]
    pub no_save: bool,
}

/// Arguments of `drill`.
#[derive(Debug, Args)]
pub struct DrillArgs {
    /// Fault to diagnose, as shown by --list [default: a random one that you have not identified yet]
    #[arg(hide_possible_values = true, value_parser = suggesting(|| drill::FAULTS.iter().map(|fault| fault.name).collect()))]
    pub fault: Option<String>,
    /// List the faults and show which ones you have identified
    #[arg(long, conflicts_with_all = ["fault", "serve"])]
    pub list: bool,
    /// Run the endpoint without the quiz; prints its URL and, for TLS, its CA file
    #[arg(long)]
    pub serve: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::DEFAULT_TIMEOUT;
    use crate::session::DEFAULT_MAX_AGE;

    #[test]
    fn defaults_are_those_of_the_other_commands() {
        let command = |words: &str| Cli::parse_from(words.split(' ')).command;
        let Some(Command::Ping(ping)) = command("sessiontut ping") else {
            panic!("not ping");
        };
        assert_eq!(ping.timeout, DEFAULT_TIMEOUT);
        let Some(Command::Serve(serve)) = command("sessiontut serve") else {
            panic!("not serve");
        };
        assert_eq!(serve.max_age, DEFAULT_MAX_AGE);
    }
}
