//! `sessiontut ping`: choose the target, climb, judge, render.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::chosen;
use crate::cli::PingArgs;
use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::ping::observation::Observations;
use crate::ping::report::json;
use crate::ping::rungs::tls;
use crate::ping::verdict::Verdict;
use crate::ping::{self, Climb, ClimbOptions, Family, WriteCheck};
use crate::redis_url::{Target, Trust, UrlError};
use crate::state;
use crate::ui;
use crate::ui::ping::{Climbing, Lines};

mod again;

/// Longer than a healthy Redis nearby takes for everything: handling signals costs as much as a round trip.
const AT_ONCE: Duration = Duration::from_millis(20);

pub(super) fn run(args: &PingArgs) -> anyhow::Result<Exit> {
    let deadline = Deadline::after(args.timeout);
    let trust = chosen::trust(&args.redis.trust);
    let named = args.url.as_deref().or(args.redis.url.as_deref());
    let choice = match chosen::choose(named)? {
        Ok(choice) => choice,
        Err(fault) => return Ok(refuse(args, &fault, deadline)),
    };
    if let Err(words) = usable(&choice.target, &trust) {
        ui::usage(&words);
        return Ok(Exit::Usage);
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime for this command")?;
    let call = Call {
        args,
        target: &choice.target,
        trust: &trust,
    };
    let exit = call.run(&runtime, deadline);
    choice.close();
    exit
}

/// The options for TLS are read before anything is sent: a missing file is wrong usage, not a broken server.
fn usable(target: &Target, trust: &Trust) -> Result<(), String> {
    let is_given = trust.ca.is_some() || trust.cert.is_some();
    if target.tls && is_given {
        tls::config(trust).map(drop)
    } else {
        Ok(())
    }
}

fn refuse(args: &PingArgs, fault: &UrlError, deadline: Deadline) -> Exit {
    let verdict = ping::judge_url(fault);
    let report = || json::render_url(fault, &verdict, deadline.elapsed());
    if args.json {
        ui::ping::json(&report());
    } else {
        ui::ping::url_verdict(&verdict);
    }
    file(args.report.as_deref(), report, verdict.exit())
}

/// Writes the report where one is wanted. The verdict is told before: a full disk does not hide it.
fn file(path: Option<&Path>, report: impl Fn() -> Value, exit: Exit) -> Exit {
    let Some(path) = path else { return exit };
    match state::write(path, format!("{:#}\n", report()).as_bytes()) {
        Ok(()) => exit,
        Err(error) => {
            ui::error(&anyhow!(error).context(format!("cannot write the report to {}", path.display())));
            if exit == Exit::Ok { Exit::No } else { exit }
        }
    }
}

/// What was asked, about which Redis.
struct Call<'a> {
    args: &'a PingArgs,
    target: &'a Target,
    trust: &'a Trust,
}

/// What one climb came to.
struct Outcome {
    climb: Climb,
    verdict: Verdict,
    elapsed: Duration,
}

impl Call<'_> {
    fn run(&self, runtime: &Runtime, deadline: Deadline) -> anyhow::Result<Exit> {
        if self.args.watch {
            return runtime.block_on(self.watch());
        }
        let work = async {
            match (self.args.wait, self.args.hold, self.args.count) {
                (Some(patience), ..) => self.wait(patience).await,
                (_, Some(idle), _) => self.hold(idle, deadline).await,
                (_, _, Some(count)) => self.count(count, deadline).await,
                _ => self.once(deadline).await,
            }
        };
        runtime.block_on(async {
            tokio::select! {
                exit = work => exit,
                () = self.interrupted() => Ok(Exit::Interrupted),
            }
        })
    }

    /// Waits for Ctrl-C; a climb that is over at once does without, and ends by the signal itself until then.
    async fn interrupted(&self) {
        if self.args.wait.or(self.args.hold).is_none() && self.args.count.is_none() {
            tokio::time::sleep(AT_ONCE).await;
        }
        // Where it cannot be heard, the signal ends the program by itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn once(&self, deadline: Deadline) -> anyhow::Result<Exit> {
        let outcome = self.climb(deadline, self.lines()).await;
        Ok(self.conclude(&outcome))
    }

    fn options(&self) -> ClimbOptions {
        let family = match (self.args.v4, self.args.v6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        };
        let write_check = if self.args.write_check {
            WriteCheck::Run
        } else {
            WriteCheck::Skip
        };
        ClimbOptions { family, write_check }
    }

    async fn climb(&self, deadline: Deadline, lines: Lines) -> Outcome {
        let options = self.options();
        let climbing = Climbing::new(self.target, lines);
        let mut tell = |event: ping::ClimbEvent<'_>| {
            if !self.args.json {
                climbing.show(&event);
            }
        };
        let climb = ping::climb(self.target, self.trust, &options, deadline, &mut tell);
        let climb = climbing.beside(climb).await;
        let verdict = ping::judge(self.target, &climb.observations);
        Outcome {
            climb,
            verdict,
            elapsed: deadline.elapsed(),
        }
    }

    fn conclude(&self, outcome: &Outcome) -> Exit {
        let report = || json::render(self.target, self.seen(outcome), &outcome.verdict, outcome.elapsed);
        if self.args.json {
            ui::ping::json(&report());
        } else {
            ui::ping::verdict(self.target, self.seen(outcome), &outcome.verdict, self.lines());
        }
        file(self.args.report.as_deref(), report, outcome.verdict.exit())
    }

    fn seen<'o>(&self, outcome: &'o Outcome) -> &'o Observations {
        &outcome.climb.observations
    }

    fn lines(&self) -> Lines {
        if self.args.quiet || self.args.json {
            Lines::Hidden
        } else {
            Lines::Shown
        }
    }
}
