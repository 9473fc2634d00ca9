//! `sessiontut ping`: reads the options, and runs the checks in the selected mode.

mod aws;
mod conclusion;
mod diagnosis;
mod journal;
mod watch;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::chosen::{self, RedisArgs};
use super::values::{timeout, whole};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::exit::Exit;
use crate::os;
use crate::ping::modes::{Check, Mode};
use crate::ping::rungs::tls;
use crate::ping::{self, ClimbOptions, Family, WriteCheck};
use crate::redis_url::{Target, Trust};
use crate::signals;
use crate::ui;
use crate::ui::ping::Verbosity;
use aws::AwsArgs;

/// Arguments of `ping`.
#[derive(Debug, Args)]
pub struct PingArgs {
    /// Redis to check [default: $REDIS_URL]. If the URL contains a password, set REDIS_URL instead: other users can
    /// see the command line with `ps`
    // The id `url` belongs to --redis.
    #[arg(id = "ping_url", value_name = "URL")]
    pub url: Option<String>,
    /// Print one JSON object to standard output
    #[arg(long)]
    pub json: bool,
    /// Time limit for all checks together, in seconds (fractions allowed)
    #[arg(long, value_name = "SECONDS", default_value = "5", allow_negative_numbers = true, value_parser = timeout)]
    pub timeout: Duration,
    /// Also test writing: run HSET, HINCRBY, EXPIRE, HGETALL and DEL on a temporary key, in one MULTI transaction
    #[arg(long)]
    pub write_check: bool,
    /// Use IPv4 addresses only
    #[arg(short = '4', conflicts_with = "v6")]
    pub v4: bool,
    /// Use IPv6 addresses only
    #[arg(short = '6')]
    pub v6: bool,
    /// Print only the result, not the individual checks
    #[arg(long, short, conflicts_with = "json")]
    pub quiet: bool,
    /// Send N PINGs over one connection, and print the round trip time of each
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = whole::<u32>(1, 100_000))]
    pub count: Option<u32>,
    /// Send PING until you press Ctrl-C; print each round trip time and each change, and then a summary (with
    /// --json, print one object per line, the last with the totals)
    #[arg(long, conflicts_with_all = ["count", "wait", "hold", "idle"])]
    pub watch: bool,
    /// Seconds between two PINGs (--count, --watch) or two attempts (--wait)
    #[arg(long, value_name = "SECONDS", default_value = "1", allow_negative_numbers = true, value_parser = timeout)]
    pub interval: Duration,
    /// Retry until Redis answers, for at most this many seconds
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = timeout, conflicts_with_all = ["count", "hold"])]
    pub wait: Option<Duration>,
    /// Leave the connection idle for this many seconds, then send PING again (to find firewalls that drop idle
    /// connections)
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = timeout, conflicts_with = "count")]
    pub hold: Option<Duration>,
    /// Measure how long idle connections survive, with and without TCP keepalive; stop after this many seconds
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = timeout, conflicts_with_all = ["count", "hold", "wait"])]
    pub idle: Option<Duration>,
    /// Write a full report to this file, for example for a support ticket (it contains no secrets)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Continue even if the certificate cannot be verified, but do not send the password. The certificate is
    /// still reported as the cause of failure (with --wait and --watch, only as a warning)
    #[arg(long)]
    pub insecure: bool,
    /// With --insecure, also send the password (if the server is an impostor, it then knows the password)
    #[arg(long, requires = "insecure")]
    pub insecure_auth: bool,
    /// Write the server's certificates to this file. Check that they are genuine before you pass the file to --ca
    #[arg(long, value_name = "FILE")]
    pub save_ca: Option<PathBuf>,
    /// List the codes of all causes and warnings, with their exit statuses
    #[arg(long)]
    pub codes: bool,
    /// The Redis to use. The heading TLS applies to all options that follow it, so the options without a heading
    /// come first
    #[command(flatten)]
    pub redis: RedisArgs,
    /// What `ping` asks AWS
    #[command(flatten)]
    pub aws: AwsArgs,
}

pub(super) fn run(args: &PingArgs) -> Result<Exit, Error> {
    if args.codes {
        ui::ping::codes();
        return Ok(Exit::Ok);
    }
    if args.aws.aws_policy {
        return Ok(aws::print_policy());
    }
    let deadline = Deadline::after(args.timeout);
    let documents = args.aws.aws_documents.as_deref().map(aws::read).transpose()?;
    if let Some(documents) = &documents
        && let Some(facts) = documents
            .facts
            .as_ref()
            .filter(|_| args.url.is_none() && args.redis.url.is_none())
    {
        return Ok(aws::judge_alone(args, documents, facts, deadline));
    }
    let trust = Trust {
        is_insecure: args.insecure,
        sends_password_insecurely: args.insecure_auth,
        ..chosen::trust(&args.redis.trust)
    };
    let url = args.url.as_deref().or(args.redis.url.as_deref());
    let choice = match chosen::choose_to_read(url) {
        Ok(choice) => choice,
        Err(Error::Url(error)) => return Ok(conclusion::invalid_url(args, &error, deadline)),
        Err(error) => return Err(error),
    };
    if !os::has_spare_files(ping::FILES_NEEDED) {
        return Ok(conclusion::too_few_files(args, &choice.target, deadline));
    }
    check_tls_options(args, &choice.target, &trust)?;
    check_family(args, &choice.target)?;
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
            aws::print_script(&choice.target, &seen).await
        } else if args.watch {
            Ok(watch::run(args, &check, deadline).await)
        } else {
            Ok(diagnosis::run(args, &check, documents.as_ref(), deadline).await)
        }
    });
    choice.close();
    exit
}

/// Returns a usage error for `-6` with an IPv4 address, or `-4` with an IPv6 address.
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

/// Returns a usage error for unusable TLS options. Reads the files before connecting, because a missing file
/// is not a connection failure.
fn check_tls_options(args: &PingArgs, target: &Target, trust: &Trust) -> Result<(), Error> {
    if target.tls && (trust.ca.is_some() || trust.cert.is_some()) {
        tls::config(trust).map_err(Error::Usage)?;
    }
    if args.save_ca.is_some() && !target.tls {
        return Err(Error::usage(
            "--save-ca needs a rediss:// URL, because the server sends certificates only with TLS",
        ));
    }
    Ok(())
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

impl PingArgs {
    fn verbosity(&self) -> Verbosity {
        if self.quiet || self.json {
            Verbosity::VerdictOnly
        } else {
            Verbosity::Steps
        }
    }
}
