//! `sessiontut ping`: reads the options, runs the checks, and prints the result.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use serde_json::Value;

use super::{Error, chosen, ping_aws};
use crate::aws::Documents;
use crate::cli::PingArgs;
use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::os;
use crate::ping::history::ProbeHistory;
use crate::ping::modes::{Check, Diagnosis, Mode, ModeEvent};
use crate::ping::observation::PeerCertificate;
use crate::ping::report::{json, ticket};
use crate::ping::rungs::tls;
use crate::ping::verdict::aws as proof;
use crate::ping::watch::{Change, ProbeResult, watch};
use crate::ping::{self, ClimbEvent, ClimbOptions, Family, Observations, Verdict, WriteCheck};
use crate::redis_url::{Target, Trust, UrlError};
use crate::signals;
use crate::state;
use crate::ui;
use crate::ui::ping::{ProgressDisplay, Verbosity};

pub(super) fn run(args: &PingArgs) -> Result<Exit, Error> {
    if args.codes {
        ui::ping::codes();
        return Ok(Exit::Ok);
    }
    if args.aws.aws_policy {
        return Ok(ping_aws::print_policy());
    }
    let deadline = Deadline::after(args.timeout);
    let documents = args
        .aws
        .aws_documents
        .as_deref()
        .map(ping_aws::read)
        .transpose()?;
    if let Some(documents) = &documents
        && let Some(facts) = documents
            .facts
            .as_ref()
            .filter(|_| args.url.is_none() && args.redis.url.is_none())
    {
        return Ok(ping_aws::judge_alone(args, documents, facts, deadline));
    }
    let trust = Trust {
        is_insecure: args.insecure,
        sends_password_insecurely: args.insecure_auth,
        ..chosen::trust(&args.redis.trust)
    };
    let url = args.url.as_deref().or(args.redis.url.as_deref());
    let choice = match chosen::choose_to_read(url) {
        Ok(choice) => choice,
        Err(Error::Url(error)) => return Ok(reject_url(args, &error, deadline)),
        Err(error) => return Err(error),
    };
    if !os::has_spare_files(ping::FILES_NEEDED) {
        return Ok(report_open_files(args, &choice.target, deadline));
    }
    check_tls_options(&choice.target, &trust).map_err(Error::Usage)?;
    check_family(args, &choice.target)?;
    if args.save_ca.is_some() && !choice.target.tls {
        return Err(Error::usage(
            "--save-ca needs a rediss:// URL: without TLS, there are no certificates",
        ));
    }
    let runtime = signals::runtime()?;
    let check = Check {
        target: &choice.target,
        trust: &trust,
        options: climb_options(args),
        timeout: args.timeout,
        interval: args.interval,
    };
    let exit = runtime.block_on(async {
        if args.aws.aws_commands {
            let seen = check.run(Mode::Once, deadline, &mut |_| {}).await.observations;
            ping_aws::print_script(&choice.target, &seen).await
        } else if args.watch {
            Ok(run_watch(args, &check, deadline).await)
        } else {
            Ok(run_check(args, &check, documents.as_ref(), deadline).await)
        }
    });
    choice.close();
    exit
}

/// Rejects `-6` with an IPv4 address, and `-4` with an IPv6 address.
fn check_family(args: &PingArgs, target: &Target) -> Result<(), Error> {
    match target.host().map(str::parse) {
        Some(Ok(IpAddr::V4(_))) if args.v6 => {
            Err(Error::usage("-6 cannot be used with an IPv4 address in the URL"))
        }
        Some(Ok(IpAddr::V6(_))) if args.v4 => {
            Err(Error::usage("-4 cannot be used with an IPv6 address in the URL"))
        }
        _ => Ok(()),
    }
}

/// Reads the TLS files before anything is sent, because a missing file is a usage error, not a connection
/// failure.
fn check_tls_options(target: &Target, trust: &Trust) -> Result<(), String> {
    let is_given = trust.ca.is_some() || trust.cert.is_some();
    if target.tls && is_given {
        tls::config(trust).map(drop)
    } else {
        Ok(())
    }
}

/// Reports that this process is not allowed to open enough files. Otherwise, one of the checks would fail
/// with a misleading error.
fn report_open_files(args: &PingArgs, target: &Target, deadline: Deadline) -> Exit {
    let observations = Observations {
        open_file_limit: Some(os::open_file_limit().unwrap_or_default()),
        ..Observations::default()
    };
    let verdict = ping::judge(target, &observations);
    let diagnosis = Diagnosis {
        observations,
        verdict,
        elapsed: deadline.elapsed(),
        is_interrupted: false,
    };
    conclude(args, target, &diagnosis, &Journal::default())
}

fn climb_options(args: &PingArgs) -> ClimbOptions {
    let family = match (args.v4, args.v6) {
        (true, _) => Family::V4,
        (_, true) => Family::V6,
        _ => Family::Any,
    };
    let write_check = if args.write_check {
        WriteCheck::Run
    } else {
        WriteCheck::Skip
    };
    ClimbOptions { family, write_check }
}

fn verbosity(args: &PingArgs) -> Verbosity {
    if args.quiet || args.json {
        Verbosity::VerdictOnly
    } else {
        Verbosity::Steps
    }
}

async fn run_check(
    args: &PingArgs,
    check: &Check<'_>,
    documents: Option<&Documents>,
    deadline: Deadline,
) -> Exit {
    let mode = match (args.wait, args.hold, args.idle, args.count) {
        (Some(patience), ..) => Mode::Wait(patience),
        (_, Some(idle), ..) => Mode::Hold(idle),
        (_, _, Some(longest), _) => Mode::Idle(longest),
        (.., Some(count)) => Mode::Count(count),
        _ => Mode::Once,
    };
    // `--wait` may climb many times, but only the last result is shown.
    let steps = if args.wait.is_some() {
        Verbosity::VerdictOnly
    } else {
        verbosity(args)
    };
    let display = ProgressDisplay::new(check.target, steps);
    display.show_url();
    let mut journal = Journal::default();
    let mut tell = |event: ModeEvent<'_>| {
        journal.record(&event);
        if !(args.json && matches!(event, ModeEvent::Climb(_))) {
            display.show(&event);
        }
    };
    let finished = tokio::select! {
        diagnosis = display.wait_for(check.run(mode, deadline, &mut tell)) => Some(diagnosis),
        () = signals::termination() => None,
    };
    let mut diagnosis = finished.unwrap_or_else(|| journal.interrupted(deadline));
    if !diagnosis.is_interrupted {
        let asked = tokio::select! {
            answer = ping_aws::answer(args, documents, check.target, &diagnosis) => answer,
            () = signals::termination() => None,
        };
        if let Some(answer) = asked {
            proof::add(&answer, &mut diagnosis.verdict);
            if diagnosis.verdict.finding.is_none() && verbosity(args) == Verbosity::Steps {
                ping_aws::tell(&answer);
            }
            diagnosis.observations.aws = Some(Box::new(answer));
        }
    }
    let exit = conclude(args, check.target, &diagnosis, &journal);
    if args.wait.is_some() && diagnosis.verdict.finding.is_none() && !diagnosis.is_interrupted {
        ui::ping::answered_after(deadline.elapsed());
    }
    exit
}

/// The maximum number of attempts (`--wait`) or changes (`--watch`) in a report.
const MOST_ATTEMPTS: usize = 1000;

/// What a run has found so far. It is used for the report, for the summary of `--count`, and after a signal.
struct Journal {
    started: SystemTime,
    seen: Observations,
    attempts: Vec<Value>,
    history: ProbeHistory,
    round_trips: Vec<Duration>,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            started: SystemTime::now(),
            seen: Observations::default(),
            attempts: Vec::new(),
            history: ProbeHistory::default(),
            round_trips: Vec::new(),
        }
    }
}

impl Journal {
    fn record(&mut self, event: &ModeEvent<'_>) {
        match event {
            ModeEvent::Climb(ClimbEvent::Finished(_, seen)) => self.seen = (*seen).clone(),
            ModeEvent::Attempt(seen, verdict, took) => self.add_attempt(seen, verdict, *took),
            ModeEvent::Pong(_, took) => {
                self.history.add(Some(*took));
                self.round_trips.push(*took);
            }
            ModeEvent::Missed => self.history.add(None),
            _ => {}
        }
    }

    fn add_attempt(&mut self, seen: &Observations, verdict: &Verdict, took: Duration) {
        if self.attempts.len() < MOST_ATTEMPTS {
            self.seen = seen.clone();
            self.attempts.push(json::attempt(seen, verdict, took));
        }
    }

    /// Records a probe of `--watch` whose result differs from the previous one.
    fn add_probe(&mut self, probe: &ProbeResult) {
        if probe.change != Change::None || !probe.events.is_empty() {
            self.add_attempt(&probe.seen, &probe.verdict, probe.took);
        }
    }

    /// Returns the diagnosis of an interrupted run, which has no verdict.
    fn interrupted(&self, deadline: Deadline) -> Diagnosis {
        let mut observations = self.seen.clone();
        if !self.round_trips.is_empty() {
            observations.ping.round_trips.clone_from(&self.round_trips);
        }
        Diagnosis {
            observations,
            verdict: Verdict::default(),
            elapsed: deadline.elapsed(),
            is_interrupted: true,
        }
    }
}

/// Probes until a signal ends the run, then prints a summary. If standard output is closed, the run ends
/// without a message.
async fn run_watch(args: &PingArgs, check: &Check<'_>, deadline: Deadline) -> Exit {
    let mut history = ProbeHistory::default();
    let mut journal = Journal::default();
    let mut report = json::render(
        check.target,
        &Observations::default(),
        &Verdict::default(),
        Duration::ZERO,
    );
    json::mark_interrupted(&mut report);
    let show = |result: &ProbeResult, history: &ProbeHistory| {
        journal.add_probe(result);
        if args.json || args.report.is_some() {
            report = json::render(check.target, &result.seen, &result.verdict, result.took);
            report["probe"] = history.probes().into();
            json::add_probe(&mut report, result);
        }
        if args.json {
            ui::ping::json_line(&report)
        } else {
            ui::ping::probe(check.target, result, history, verbosity(args))
        }
    };
    let exit = tokio::select! {
        _ = watch(check, &mut history, show) => Exit::Ok,
        () = signals::termination() => Exit::Interrupted,
    };
    let elapsed = deadline.elapsed();
    let totals = json::totals(&history, &report, elapsed);
    report["totals"] = totals["totals"].clone();
    if exit == Exit::Interrupted && args.json {
        // If standard output is closed, there is nothing left to do.
        let _ = ui::ping::json_line(&totals);
    } else if exit == Exit::Interrupted {
        ui::ping::history_summary(&history, elapsed);
    }
    write_report(args.report.as_deref(), report, &journal, exit)
}

fn reject_url(args: &PingArgs, error: &UrlError, deadline: Deadline) -> Exit {
    let verdict = ping::judge_url(error);
    let report = json::render_url(error, &verdict, deadline.elapsed());
    if args.json {
        ui::ping::json(&report);
    } else {
        ui::ping::url_verdict(&verdict);
    }
    let journal = Journal::default();
    write_report(args.report.as_deref(), report, &journal, verdict.exit())
}

fn conclude(args: &PingArgs, target: &Target, diagnosis: &Diagnosis, journal: &Journal) -> Exit {
    let Diagnosis {
        observations: seen,
        verdict,
        elapsed,
        is_interrupted,
    } = diagnosis;
    let mut report = json::render(target, seen, verdict, *elapsed);
    if *is_interrupted {
        json::mark_interrupted(&mut report);
    }
    if args.json {
        ui::ping::json(&report);
    } else if !is_interrupted {
        ui::ping::verdict(target, seen, verdict, verbosity(args));
    }
    if !args.json && journal.history.probes() > 0 {
        ui::ping::history_summary(&journal.history, journal.started.elapsed().unwrap_or_default());
    }
    if let Some(answer) = seen.aws.as_ref().filter(|_| args.report.is_some()) {
        ping_aws::add_documents(&mut report, answer);
    }
    let exit = if *is_interrupted {
        Exit::Interrupted
    } else {
        save_certificates(args.save_ca.as_deref(), seen, verdict.exit())
    };
    write_report(args.report.as_deref(), report, journal, exit)
}

/// Writes the `--save-ca` file.
fn save_certificates(path: Option<&Path>, seen: &Observations, exit: Exit) -> Exit {
    let Some(path) = path else { return exit };
    let chain = seen
        .tls
        .handshake
        .as_ref()
        .map(|tls| tls.chain.as_slice())
        .unwrap_or_default();
    if chain.is_empty() {
        ui::error(
            &anyhow!(
                "{} was not written: the server sent no certificate",
                path.display()
            )
            .into(),
        );
        return if exit == Exit::Ok { Exit::No } else { exit };
    }
    let is_verified = seen
        .tls
        .handshake
        .as_ref()
        .is_some_and(|tls| tls.certificate_problem.is_none());
    let pem: String = chain.iter().map(PeerCertificate::pem).collect();
    match state::write(path, pem.as_bytes()) {
        Ok(()) => {
            ui::ping::saved_certificates(path, chain, is_verified);
            exit
        }
        Err(error) => not_written("the certificates", path, error, exit),
    }
}

fn not_written(what: &str, path: &Path, error: std::io::Error, exit: Exit) -> Exit {
    let error = anyhow!(error).context(format!("cannot write {what} to {}", path.display()));
    ui::error(&error.into());
    if exit == Exit::Ok { Exit::No } else { exit }
}

/// Writes the `--report` file. This happens after the verdict is printed, so the user sees the verdict even
/// if the disk is full.
fn write_report(path: Option<&Path>, mut report: Value, journal: &Journal, exit: Exit) -> Exit {
    let Some(path) = path else { return exit };
    report["ticket"] = ticket::describe(journal.started, &journal.seen);
    report["attempts"] = journal.attempts.clone().into();
    match state::write(path, ui::ping::report_text(&report).as_bytes()) {
        Ok(()) => exit,
        Err(error) => not_written("the report", path, error, exit),
    }
}
