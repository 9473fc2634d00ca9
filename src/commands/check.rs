//! `sessiontut check`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, anyhow};
use regex_lite::Regex;
use tokio_rustls::TlsConnector;
use url::Url;

use super::chosen::{self, Choice};
use super::{Error, guest};
use crate::check;
use crate::check::app::{App, AppError, StartCommand, answers, other_loopback};
use crate::check::browser::Site;
use crate::check::grader::Grader;
use crate::check::progress::Progress;
use crate::check::proxy::Proxy;
use crate::check::report::{Report, Shown};
use crate::check::settings::{AppPages, Settings, address_of};
use crate::cli::CheckArgs;
use crate::deadline::{DEFAULT_TIMEOUT, Deadline};
use crate::exit::Exit;
use crate::ping::rungs::tls;
use crate::redis_client::connect;
use crate::redis_url::Origin;
use crate::serve::DEFAULT_PORT;
use crate::signals::{self, Stop};
use crate::state;
use crate::ui;

/// The proxy's port if the user starts the app. It is the same in each run, so that the user need not restart
/// the app.
const PROXY_PORT: u16 = 6390;
/// How often to look for changed files (`--watch`), and for an app that is not running yet.
const LOOK: Duration = Duration::from_millis(300);
/// How long to record the commands of the idle app before the first check.
const IDLE: Duration = Duration::from_secs(1);
/// How long the file with an app's output is kept.
const OUTPUT_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Folders that `--watch` ignores, because they do not contain source code.
const NOT_WATCHED: [&str; 6] = ["node_modules", "target", "__pycache__", "venv", "build", "dist"];

pub(super) fn run(args: &CheckArgs) -> Result<Exit, Error> {
    graded(args).map(|(exit, _)| exit)
}

/// Grades the app. Also returns the section of a lesson, as `lesson#step`, for the first required check that failed.
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
    let stop = Stop::on_signals().context("cannot listen for Ctrl-C")?;
    let choice = match args.black_box {
        true => None,
        false => Some(Arc::new(chosen::choose(args.redis.url.as_deref())?)),
    };
    let runtime = signals::runtime()?;
    let graded = runtime.block_on(async {
        loop {
            let seen = args.watch.as_deref().map(newest_change);
            let report = grade(args, &settings, address, choice.as_ref(), &stop).await?;
            show(args, &report)?;
            let (Some(folder), Some(seen)) = (&args.watch, seen) else {
                let exit = if report.is_ok() { Exit::Ok } else { Exit::No };
                let first = report.shown_failures(Shown::First).into_iter().next();
                return Ok((exit, first.map(|result| result.check.lesson)));
            };
            ui::note(&format!(
                "waiting for changes in {} (Ctrl-C ends)",
                folder.display()
            ));
            while newest_change(folder) == seen {
                stop.sleep(LOOK).await.map_err(|_| interrupted(&[]))?;
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
        None => default_url()?,
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
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
        .ok_or_else(|| {
            Error::usage(format!(
                "--url {text}: expected the address of the app itself, such as http://127.0.0.1:{DEFAULT_PORT}"
            ))
        })
}

/// Returns the address on which the app listens if it reads its port from the variable PORT.
fn default_url() -> Result<Url, Error> {
    let port = match std::env::var("PORT").ok().filter(|text| !text.is_empty()) {
        Some(text) => text.parse().ok().filter(|port: &u16| *port > 0).ok_or_else(|| {
            Error::usage(format!(
                "the variable PORT is {text}: expected a port, 1 to 65535"
            ))
        })?,
        None => DEFAULT_PORT,
    };
    app_url(&format!("http://127.0.0.1:{port}"))
}

/// Starts the proxy and the app, runs the checks, then stops both and removes the app's keys.
async fn grade(
    args: &CheckArgs,
    settings: &Settings,
    address: SocketAddr,
    choice: Option<&Arc<Choice>>,
    stop: &Stop,
) -> Result<Report, Error> {
    let started = Instant::now();
    let tls = match settings.base.scheme() {
        "https" => {
            let config = tls::config(&chosen::trust(&args.redis.trust)).map_err(Error::usage)?;
            Some(TlsConnector::from(Arc::new(config)))
        }
        _ => None,
    };
    let proxy = match choice {
        Some(choice) => Some(tokio::select! {
            proxy = proxy(args, choice) => proxy?,
            () = stop.asked() => return Err(interrupted(&[])),
        }),
        None => None,
    };
    let redis_url = proxy.as_ref().map(Proxy::url);
    let progress = Arc::new(Progress::new(Box::new(ui::check::countdown)));
    let mut output = match args.command.is_empty() {
        true => None,
        false => Some(output_file()?),
    };
    let app = tokio::select! {
        app = app(args, &settings.base, address, redis_url, output.as_deref(), &progress) => Some(app?),
        () = stop.asked() => None,
    };
    let Some((app, address)) = app else {
        remove_output(output);
        // An app that was interrupted while starting may already have written keys.
        let left = match proxy {
            Some(proxy) => check::remove_keys(&proxy, removes_all(choice)).await,
            None => Vec::new(),
        };
        return Err(interrupted(&left));
    };
    let site = Site {
        settings: settings.clone(),
        address,
        proxy,
        tls,
        progress,
        answered: Arc::default(),
    };
    let mut grader = Grader::new(Arc::new(site), app);
    let mut report = Report::default();
    let mut last_stage = 0;
    let is_interrupted = {
        let mut tell = |result: check::report::CheckResult| {
            if !args.json {
                if std::mem::replace(&mut last_stage, result.check.stage) != result.check.stage {
                    ui::check::stage(result.check.stage);
                }
                ui::check::judged(&result, report.results.last());
            }
            report.results.push(result);
        };
        let graded = async {
            if grader.site.proxy.is_some() {
                tokio::time::sleep(IDLE).await;
            }
            check::grade(&mut grader, &mut tell).await;
        };
        tokio::select! {
            () = graded => false,
            () = stop.asked() => true,
        }
    };
    report.left = check::clean_up(&mut grader, removes_all(choice)).await;
    if is_interrupted || !report.has_failures() {
        remove_output(output.take());
    }
    if is_interrupted {
        return Err(interrupted(&report.left));
    }
    if let (Some(choice), Some(proxy)) = (choice, &grader.site.proxy)
        && proxy.unreachable().is_some()
    {
        // If Redis is still unavailable, this reports the reason.
        let deadline = Deadline::after(DEFAULT_TIMEOUT);
        connect::open(&choice.target_now(), &chosen::trust(&args.redis.trust), deadline).await?;
    }
    report.elapsed = started.elapsed();
    report.output = output;
    Ok(report)
}

/// Whether to remove all keys of the app at the end, and not only those that start with `sessiontut:`.
fn removes_all(choice: Option<&Arc<Choice>>) -> bool {
    choice.is_some_and(|choice| choice.target.origin == Origin::Practice)
}

/// Prints that the run was interrupted and which of the app's keys remain. Returns the error for it.
fn interrupted(left: &[String]) -> Error {
    ui::check::interrupted(left);
    Error::Interrupted
}

fn remove_output(file: Option<PathBuf>) {
    if let Some(file) = file {
        // If the file cannot be removed, it stays.
        let _ = fs::remove_file(file);
    }
}

/// Connects to Redis, asks for permission before the first write, and starts the proxy.
async fn proxy(args: &CheckArgs, choice: &Arc<Choice>) -> Result<Proxy, Error> {
    let trust = chosen::trust(&args.redis.trust);
    let mut inspector = connect::open(&choice.target, &trust, Deadline::after(DEFAULT_TIMEOUT)).await?;
    if inspector.is_cluster() {
        return Err(Error::usage(
            "check cannot use a cluster, because the app would be redirected past the proxy; use a single Redis \
             server, or unset REDIS_URL to use the built-in practice Redis",
        ));
    }
    let what = "the app can write any keys; at the end, `check` removes those that start with sessiontut:, and lists \
                the others";
    if !guest::may_write(&choice.target, &mut inspector, what).await? {
        return Err(anyhow!("nothing was written").into());
    }
    let port = args.command.is_empty().then_some(PROXY_PORT);
    let current = Arc::clone(choice);
    let target = Arc::new(move || current.target_now());
    Ok(Proxy::start(port, inspector, target, trust).await?)
}

/// Starts the app, or waits until the user has started it. Also returns the address on which it listens.
async fn app(
    args: &CheckArgs,
    base: &Url,
    address: SocketAddr,
    redis_url: Option<String>,
    output: Option<&Path>,
    progress: &Progress,
) -> Result<(Option<App>, SocketAddr), Error> {
    if let Some(output) = output {
        let command = StartCommand::new(args.command.clone(), address, redis_url, output.to_owned());
        let started = App::start(command, progress).await;
        for line in started.as_ref().err().map(AppError::tail).unwrap_or_default() {
            ui::whole_note(&format!("  {line}"));
        }
        let app = started.map_err(anyhow::Error::from)?;
        let address = app.address();
        return Ok((Some(app), address));
    }
    if let Some(url) = redis_url {
        ui::note("start the app with:");
        ui::whole_note(&format!(
            "  export REDIS_URL={url} SECRET_KEY=$(openssl rand -hex 32) PORT={}",
            address.port()
        ));
    }
    let mut is_noted = false;
    loop {
        let listening = [Some(address), other_loopback(address)].into_iter().flatten();
        if let Some(address) = listening.into_iter().find(|address| answers(*address)) {
            return Ok((None, address));
        }
        if !std::mem::replace(&mut is_noted, true) {
            ui::note(&format!("waiting until {base} answers (Ctrl-C ends)"));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Creates a new file for the app's output.
fn output_file() -> Result<PathBuf, Error> {
    let file = match state::open_folder() {
        Ok(folder) => {
            remove_old_output(&folder);
            folder.join(format!("check-{}.log", std::process::id()))
        }
        Err(_) => std::env::temp_dir().join(format!("sessiontut-check-{}.log", std::process::id())),
    };
    match fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(file),
    }
}

/// Removes the output files of earlier runs, except for those of the last 24 hours.
fn remove_old_output(folder: &Path) {
    let is_old = |file: &fs::DirEntry| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        let changed = file.metadata().and_then(|about| about.modified());
        let age = changed.ok().and_then(|changed| changed.elapsed().ok());
        name.starts_with("check-") && name.ends_with(".log") && age.is_some_and(|age| age > OUTPUT_KEPT)
    };
    for file in fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(is_old)
    {
        remove_output(Some(file.path()));
    }
}

fn show(args: &CheckArgs, report: &Report) -> Result<(), Error> {
    if let Some(file) = &args.junit {
        fs::write(file, report.junit()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    match args.json {
        // With --watch, one object per line.
        true => ui::check::json(&report.json(), args.watch.is_none()),
        false => ui::check::report(report, args.shown()),
    }
    Ok(())
}

/// Returns the most recent modification time of any file in a folder and its subfolders.
fn newest_change(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let changes = entries.filter_map(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || NOT_WATCHED.contains(&name.as_ref()) {
            return None;
        }
        match entry.file_type().ok()?.is_dir() {
            true => newest_change(&entry.path()),
            false => entry.metadata().ok()?.modified().ok(),
        }
    });
    changes.max()
}
