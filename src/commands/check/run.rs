//! One run of `check`: starts the proxy and the app, runs the checks, and stops both.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use tokio_rustls::TlsConnector;
use url::Url;

use super::{CheckArgs, output};
use crate::check;
use crate::check::app::{App, AppError, StartCommand, answers, other_loopback};
use crate::check::grader::Grader;
use crate::check::progress::Progress;
use crate::check::proxy::Proxy;
use crate::check::report::{CheckResult, Report};
use crate::check::settings::Settings;
use crate::check::site::Site;
use crate::commands::chosen::{self, Choice};
use crate::commands::guest;
use crate::deadline::{DEFAULT_TIMEOUT, Deadline};
use crate::error::Error;
use crate::ping::rungs::tls;
use crate::redis_client::{RedisConnection, connect};
use crate::redis_url::{Origin, Target};
use crate::signals::Stop;
use crate::ui;

/// The proxy's port for an app that the user starts. The port is fixed, so the app can keep running between
/// runs.
const PROXY_PORT: u16 = 6390;
/// The pause between two attempts to connect to an app that the user has not started yet.
const LOOK: Duration = Duration::from_millis(300);
/// How long to record the idle app's commands before the first check.
const IDLE: Duration = Duration::from_secs(1);

/// Starts the proxy and the app, runs the checks, stops both, and removes the app's keys.
pub(super) async fn grade(
    args: &CheckArgs,
    settings: &Settings,
    address: SocketAddr,
    choice: Option<&Arc<Choice>>,
    stop: &Stop,
) -> Result<Report, Error> {
    let started = Instant::now();
    let tls = tls(args, &settings.base)?;
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
        false => Some(output::create()?),
    };
    let app = tokio::select! {
        app = app(args, &settings.base, address, redis_url, output.as_deref(), &progress) => Some(app?),
        () = stop.asked() => None,
    };
    let Some((app, address)) = app else {
        output::remove(output);
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
    let is_interrupted = tokio::select! {
        () = run_checks(&mut grader, &mut report, args.json) => false,
        () = stop.asked() => true,
    };
    report.left = check::clean_up(&mut grader, removes_all(choice)).await;
    note_problems(&grader, address);
    if is_interrupted || !report.has_failures() {
        output::remove(output.take());
    }
    if is_interrupted {
        return Err(interrupted(&report.left));
    }
    if let (Some(choice), Some(proxy)) = (choice, &grader.site.proxy)
        && proxy.unreachable().is_some()
    {
        // If Redis is still unavailable, this call returns the reason.
        open(args, &choice.target_now()).await?;
    }
    report.elapsed = started.elapsed();
    report.output = output;
    Ok(report)
}

async fn open(args: &CheckArgs, target: &Target) -> Result<RedisConnection, Error> {
    let deadline = Deadline::after(DEFAULT_TIMEOUT);
    Ok(connect::open(target, &chosen::trust(&args.redis.trust), deadline).await?)
}

/// Prints problems that are not check results but may explain some of them.
fn note_problems(grader: &Grader, address: SocketAddr) {
    if let Some(user) = grader.site.proxy.as_ref().and_then(Proxy::refused_user) {
        ui::note(&format!(
            "`check` refused connections from the user with the ID {user}: start the app as the same user as `check`"
        ));
    }
    if grader.app.is_some() && answers(address) {
        ui::note(&format!(
            "port {} is still in use: a process that the app has started is still running, because it has left the \
             app's process group",
            address.port()
        ));
    }
}

/// Returns the TLS connector for an `https://` URL, or `None` for `http://`.
fn tls(args: &CheckArgs, base: &Url) -> Result<Option<TlsConnector>, Error> {
    if base.scheme() != "https" {
        return Ok(None);
    }
    let config = tls::config(&chosen::trust(&args.redis.trust)).map_err(Error::Usage)?;
    Ok(Some(TlsConnector::from(Arc::new(config))))
}

/// Runs the checks. Prints each result as soon as its check ends, unless the report is printed as JSON.
async fn run_checks(grader: &mut Grader, report: &mut Report, is_json: bool) {
    let mut last_stage = 0;
    let mut tell = |result: CheckResult| {
        if !is_json {
            if std::mem::replace(&mut last_stage, result.check.stage) != result.check.stage {
                ui::check::stage(result.check.stage);
            }
            ui::check::judged(&result, report.results.last());
        }
        report.results.push(result);
    };
    if grader.site.proxy.is_some() {
        tokio::time::sleep(IDLE).await;
    }
    check::grade(grader, &mut tell).await;
}

/// Whether to remove all of the app's keys at the end. Otherwise, only keys that start with `sessiontut:` are
/// removed.
fn removes_all(choice: Option<&Arc<Choice>>) -> bool {
    choice.is_some_and(|choice| choice.target.origin == Origin::Practice)
}

/// Prints that the run was interrupted, and which of the app's keys remain. Returns [`Error::Interrupted`].
pub(super) fn interrupted(left: &[String]) -> Error {
    ui::check::interrupted(left);
    Error::Interrupted
}

/// Connects to Redis, asks for permission to write, and starts the proxy.
async fn proxy(args: &CheckArgs, choice: &Arc<Choice>) -> Result<Proxy, Error> {
    let trust = chosen::trust(&args.redis.trust);
    let mut inspector = open(args, &choice.target).await?;
    if inspector.is_cluster() {
        return Err(Error::usage(
            "`check` cannot use a cluster, because the cluster would redirect the app to its nodes, where `check` \
             cannot watch the commands; use a single Redis server, or unset REDIS_URL to use the built-in practice \
             Redis",
        ));
    }
    let what = "The app can write keys with any name. At the end, `check` removes the app's keys that start with \
                sessiontut:, and lists the other keys of the app";
    if !guest::may_write(&choice.target, &mut inspector, what).await? {
        return Err(anyhow!("nothing was written").into());
    }
    let port = args.command.is_empty().then_some(PROXY_PORT);
    let current = Arc::clone(choice);
    let target = Arc::new(move || current.target_now());
    Ok(Proxy::start(port, inspector, target, trust).await?)
}

/// Starts the app with the start command. Without a command, waits until the user has started the app, and
/// returns no [`App`]. Returns the address on which the app listens.
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
        ui::note("set these variables, then start the app:");
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
            ui::note(&format!("waiting until {base} answers (Ctrl-C to stop)"));
        }
        tokio::time::sleep(LOOK).await;
    }
}
