//! `sessiontut check`: reads the options, grades the app, and prints the report.

mod changes;
mod output;
mod run;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use percent_encoding::percent_decode_str;
use regex_lite::Regex;
use url::Url;

use super::chosen::{self, RedisArgs};
use super::values::{span, whole};
use crate::check::report::{Report, Shown};
use crate::check::settings::{AppPages, LOGGED_IN, Settings, VISITS, address_of};
use crate::error::Error;
use crate::exit::Exit;
use crate::files;
use crate::secret::Secret;
use crate::serve::{self, DEFAULT_PORT};
use crate::session::DEFAULT_TTL;
use crate::signals::{self, Stop};
use crate::ui;

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Grade the stages up to this one: 1 signed cookie, 2 visits, 3 TTL, 4 session store
    #[arg(long, alias = "step", value_name = "1..4", default_value = "4", allow_negative_numbers = true, value_parser = whole::<u8>(1, 4))]
    pub stage: u8,
    /// Grade only the stage in --stage, for example if the app uses a session library that does not use HINCRBY
    #[arg(long)]
    pub only_stage: bool,
    /// Address of the app [default: http://127.0.0.1:$PORT, or port 5000 if PORT is not set]
    // The id `url` belongs to --redis.
    #[arg(id = "app_url", long = "url", value_name = "URL")]
    pub url: Option<String>,
    /// TTL of the app's sessions, in seconds (for stages 3 and 4)
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TTL, allow_negative_numbers = true, value_parser = whole::<u32>(1, 3600))]
    pub ttl: u32,
    /// Also check that a session ends after this maximum lifetime (at most 5m). Start the app with the same
    /// maximum lifetime, for example 20s
    #[arg(long, value_name = "DURATION", allow_negative_numbers = true, value_parser = span_to_wait_for)]
    pub max_age: Option<Duration>,
    /// Do not watch the app's Redis commands; checks that need these commands are then inconclusive
    #[arg(long)]
    pub black_box: bool,
    /// Path of the home page
    #[arg(long, value_name = "PATH", default_value = "/")]
    pub home: String,
    /// Path of the login page, which contains the login form
    #[arg(long, value_name = "PATH", default_value = "/login")]
    pub login: String,
    /// Name of the field for the user name in the login form
    #[arg(long, value_name = "NAME", default_value = "username")]
    pub field: String,
    /// Path of the logout page
    #[arg(long, value_name = "PATH", default_value = "/logout")]
    pub logout: String,
    /// Regular expression that matches the text of the home page only if a user is logged in
    #[arg(long, value_name = "REGEX", default_value = LOGGED_IN)]
    pub logged_in: String,
    /// Regular expression that matches the number of visits on the home page; its first group must be the number
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
    /// Command that starts the app; `check` sets the variables REDIS_URL, SECRET_KEY and PORT for it. Without a
    /// command, `check` waits until you have started the app
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// The Redis to use
    #[command(flatten)]
    pub redis: RedisArgs,
}

/// The maximum session lifetime that `check` can wait for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Parses a time span of at most [`LONGEST_WAIT`].
fn span_to_wait_for(text: &str) -> Result<Duration, String> {
    match span(text)? {
        span if span <= LONGEST_WAIT => Ok(span),
        _ => Err(
            "expected at most 5m, because check waits this long; start the app with a short maximum lifetime, for \
             example 20 s, and pass the same value"
                .into(),
        ),
    }
}

pub(super) fn run(args: &CheckArgs) -> Result<Exit, Error> {
    graded(args).map(|(exit, _)| exit)
}

/// Grades the app. Returns the exit status, and the lesson section about the first failure in the report, as
/// `lesson#step`.
pub(super) fn graded(args: &CheckArgs) -> Result<(Exit, Option<&'static str>), Error> {
    let settings = settings(args)?;
    let address = address_of(&settings.base)
        .map_err(|error| Error::usage(format!("--url {}: {error}", settings.base)))?;
    if let Some(folder) = args.watch.as_ref().filter(|folder| !folder.is_dir()) {
        return Err(Error::usage(format!(
            "--watch {}: not a folder",
            folder.display()
        )));
    }
    if let Some(file) = &args.junit {
        files::check_writable(file)
            .map_err(|error| Error::usage(format!("--junit {}: {error}", file.display())))?;
    }
    let stop = Stop::on_signals().context("cannot listen for Ctrl-C")?;
    let choice = match args.black_box {
        true => None,
        false => Some(Arc::new(chosen::choose(args.redis.url.as_deref())?)),
    };
    let runtime = signals::runtime()?;
    let graded = runtime.block_on(async {
        let mut watch = args.watch.as_deref().map(|folder| {
            let is_app_stopped = !args.command.is_empty();
            changes::Watch::new(folder, args.junit.as_deref(), is_app_stopped)
        });
        loop {
            if let Some(watch) = &mut watch {
                watch.run_begins();
            }
            let report = run::grade(args, &settings, address, choice.as_ref(), &stop).await?;
            show(args, &report)?;
            let (Some(folder), Some(watch)) = (&args.watch, &mut watch) else {
                let exit = if report.is_ok() { Exit::Ok } else { Exit::No };
                let first = report.shown_failures(Shown::First).into_iter().next();
                return Ok((exit, first.map(|result| result.check.lesson)));
            };
            watch.run_ends();
            ui::note(&format!(
                "waiting for changes in {} (Ctrl-C to stop)",
                folder.display()
            ));
            while !watch.has_changed() {
                stop.sleep(changes::LOOK)
                    .await
                    .map_err(|_| run::interrupted(&[]))?;
            }
        }
    });
    drop(runtime);
    if let Some(choice) = &choice {
        choice.close();
    }
    graded
}

impl CheckArgs {
    fn shown(&self) -> Shown {
        match (self.all, self.in_lesson) {
            (true, _) => Shown::All,
            (false, true) => Shown::Kind,
            (false, false) => Shown::First,
        }
    }
}

fn settings(args: &CheckArgs) -> Result<Settings, Error> {
    let base = match &args.url {
        Some(url) => app_url(url)?,
        None => default_url(args)?,
    };
    let regex = |option: &str, pattern: &str| {
        Regex::new(pattern).map_err(|error| Error::usage(format!("{option} {pattern}: {error}")))
    };
    Ok(Settings {
        stage: args.stage,
        only_stage: args.only_stage,
        base,
        ttl: Duration::from_secs(args.ttl.into()),
        max_age: args.max_age,
        pages: AppPages {
            home: args.home.clone(),
            login: args.login.clone(),
            logout: args.logout.clone(),
            field: args.field.clone(),
            logged_in: regex("--logged-in", &args.logged_in)?,
            visits: regex("--visits", &args.visits)?,
        },
    })
}

fn app_url(text: &str) -> Result<Url, Error> {
    mask_password(text);
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
        .ok_or_else(|| {
            Error::usage(format!(
                "--url {text}: expected the address of the app, such as http://127.0.0.1:{DEFAULT_PORT}"
            ))
        })
}

/// Masks the password of a URL in all output, even if the URL is invalid.
fn mask_password(url: &str) {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let login = rest.rsplit_once('@').map(|(login, _)| login);
    if let Some((_, password)) = login.and_then(|login| login.split_once(':')) {
        Secret::new(password).mask_everywhere();
        Secret::new(percent_decode_str(password).decode_utf8_lossy()).mask_everywhere();
    }
}

/// Returns the default of `--url`: a loopback address with the port in the variable PORT or, without PORT,
/// the default port.
fn default_url(args: &CheckArgs) -> Result<Url, Error> {
    let port = match std::env::var("PORT").ok().filter(|text| !text.is_empty()) {
        Some(text) => text.parse().ok().filter(|port: &u16| *port > 0).ok_or_else(|| {
            Error::usage(format!(
                "the variable PORT is {text}: expected a port, 1 to 65535"
            ))
        })?,
        None if args.in_lesson && !args.command.is_empty() => port_in_lesson(),
        None => DEFAULT_PORT,
    };
    app_url(&format!("http://127.0.0.1:{port}"))
}

/// Returns the port for an app that a lesson starts. Returns any free port if the default port is in use,
/// because a learner cannot set PORT during the lesson.
fn port_in_lesson() -> u16 {
    let default = format!("127.0.0.1:{DEFAULT_PORT}");
    let listener = serve::bind_near(&default).ok();
    let port = listener.and_then(|listener| Some(listener.local_addr().ok()?.port()));
    let port = port.unwrap_or(DEFAULT_PORT);
    if port != DEFAULT_PORT {
        ui::note(&format!(
            "port {DEFAULT_PORT} is in use, so PORT is {port} for your app; if your app always uses port \
             {DEFAULT_PORT}, stop the other program"
        ));
    }
    port
}

fn show(args: &CheckArgs, report: &Report) -> Result<(), Error> {
    match args.json {
        // With --watch, print one object per line.
        true => ui::check::json(&report.json(), args.watch.is_none()),
        false => ui::check::report(report, args.shown()),
    }
    match &args.junit {
        Some(file) => write_junit(file, report),
        None => Ok(()),
    }
}

/// Writes the `--junit` file. Call this function after printing the report, so that the user sees the report
/// even if the disk is full.
fn write_junit(file: &Path, report: &Report) -> Result<(), Error> {
    files::write(file, ui::check::junit(report).as_bytes()).map_err(|error| {
        anyhow!(error)
            .context(format!("cannot write {}", file.display()))
            .into()
    })
}
