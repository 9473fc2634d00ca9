//! Prints the result of `ping`, and writes the files that the options request.

use std::path::Path;

use anyhow::anyhow;
use serde_json::Value;

use super::journal::Journal;
use super::{PingArgs, aws};
use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::files;
use crate::os;
use crate::ping::modes::Diagnosis;
use crate::ping::observation::PeerCertificate;
use crate::ping::report::{json, ticket};
use crate::ping::{self, Observations};
use crate::redis_url::{Target, UrlError};
use crate::ui;

/// Reports an invalid URL.
pub(super) fn invalid_url(args: &PingArgs, error: &UrlError, deadline: Deadline) -> Exit {
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

pub(super) fn conclude(args: &PingArgs, target: &Target, diagnosis: &Diagnosis, journal: &Journal) -> Exit {
    let Diagnosis {
        observations: seen,
        verdict,
        elapsed,
        is_interrupted,
    } = diagnosis;
    let mut report = json::render(target, seen, verdict, *elapsed);
    if *is_interrupted {
        ui::end_line_after_ctrl_c();
        json::mark_interrupted(&mut report);
    }
    if args.json {
        ui::ping::json(&report);
    } else if !is_interrupted {
        ui::ping::verdict(target, seen, verdict, args.verbosity());
    }
    if !args.json && journal.history.probes() > 0 {
        ui::ping::history_summary(&journal.history, journal.started.elapsed().unwrap_or_default());
    }
    if let Some(answer) = seen.aws.as_ref().filter(|_| args.report.is_some()) {
        aws::add_documents(&mut report, answer);
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
    let Some(tls) = seen.tls.handshake.as_ref().filter(|tls| !tls.chain.is_empty()) else {
        let path = path.display();
        ui::error(&anyhow!("{path} was not written: the server sent no certificate").into());
        return exit.or_failure();
    };
    let pem: String = tls.chain.iter().map(PeerCertificate::pem).collect();
    match files::write(path, pem.as_bytes()) {
        Ok(()) => {
            ui::ping::saved_certificates(path, &tls.chain, tls.certificate_problem.is_none());
            exit
        }
        Err(error) => not_written("the certificates", path, error, exit),
    }
}

fn not_written(what: &str, path: &Path, error: std::io::Error, exit: Exit) -> Exit {
    let error = anyhow!(error).context(format!("cannot write {what} to {}", path.display()));
    ui::error(&error.into());
    exit.or_failure()
}

/// Writes the `--report` file. Call this function after printing the verdict, so that the user sees the
/// verdict even if the disk is full.
pub(super) fn write_report(path: Option<&Path>, mut report: Value, journal: &Journal, exit: Exit) -> Exit {
    let Some(path) = path else { return exit };
    report["ticket"] = ticket::describe(journal.started, &journal.seen);
    report["attempts"] = journal.attempts.clone().into();
    match files::write(path, ui::ping::report_text(&report).as_bytes()) {
        Ok(()) => exit,
        Err(error) => not_written("the report", path, error, exit),
    }
}
/// Reports that this process's limit on open files is too low. Without this early report, a check would fail
/// with a misleading error.
pub(super) fn too_few_files(args: &PingArgs, target: &Target, deadline: Deadline) -> Exit {
    let observations = Observations {
        open_file_limit: Some(os::open_file_limit().unwrap_or_default()),
        ..Observations::default()
    };
    let verdict = ping::judge(target, &observations);
    let diagnosis = Diagnosis::new(observations, verdict, deadline);
    conclude(args, target, &diagnosis, &Journal::default())
}
