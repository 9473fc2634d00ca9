//! Shows the progress of `ping`: one line per check and, on a terminal, a spinner with the current wait.

use std::future::Future;

use super::{Verbosity, decorated, milliseconds, print_all};
use crate::ping::modes::ModeEvent;
use crate::ping::observation::Observations;
use crate::ping::report;
use crate::ping::{ClimbEvent, Rung};
use crate::redis_url::Target;
use crate::sanitize;
use crate::ui::waiting::Spinner;
use crate::ui::{answer, note};

/// Shows one line per check and, on a terminal, a spinner with the current wait.
#[derive(Debug)]
pub(crate) struct ProgressDisplay<'a> {
    target: &'a Target,
    verbosity: Verbosity,
    spinner: Spinner,
}

impl<'a> ProgressDisplay<'a> {
    pub(crate) fn new(target: &'a Target, verbosity: Verbosity) -> Self {
        Self {
            target,
            verbosity,
            spinner: Spinner::default(),
        }
    }

    /// Prints the URL that is being checked, with the password masked.
    pub(crate) fn show_url(&self) {
        if self.verbosity == Verbosity::Steps {
            print_all(&decorated(&report::observed(
                Rung::Url,
                self.target,
                &Observations::default(),
            )));
        }
    }

    pub(crate) fn show(&self, event: &ModeEvent<'_>) {
        match event {
            ModeEvent::Climb(event) => self.show_climb(event),
            ModeEvent::Failed(cause, until) => {
                let left = until.left().as_secs_f64();
                self.note(&format!(
                    "{}: `ping` retries for at most {left:.0} s",
                    cause.code()
                ));
            }
            ModeEvent::Paused(until) => self.spinner.start("waiting until Redis answers".into(), *until),
            ModeEvent::Idle(until) => {
                let span = until.span().as_secs_f64();
                self.note(&format!("connected; staying idle for {span:.0} s"));
                self.spinner.start("staying idle".into(), *until);
            }
            ModeEvent::Dropped => {
                self.note("a connection was lost during the idle time; trying a new connection");
            }
            ModeEvent::Missed | ModeEvent::Attempt(..) => {}
            ModeEvent::Pong(number, took) => {
                if self.verbosity == Verbosity::Steps {
                    answer(&format!("ping {number}: {}", milliseconds(*took)));
                }
            }
        }
    }

    fn show_climb(&self, event: &ClimbEvent<'_>) {
        let prints_steps = self.verbosity == Verbosity::Steps;
        match event {
            ClimbEvent::Hint(text) if prints_steps => print_all(&decorated(&report::hint(text))),
            ClimbEvent::Hint(_) => {}
            ClimbEvent::Started(rung, deadline) => self.spinner.start(self.activity(*rung), *deadline),
            ClimbEvent::Finished(rung, seen) => {
                self.spinner.clear();
                if prints_steps {
                    print_all(&decorated(&report::observed(*rung, self.target, seen)));
                }
            }
        }
    }

    /// Waits for `work`. On a terminal, shows a spinner meanwhile.
    pub(crate) async fn wait_for<T>(&self, work: impl Future<Output = T>) -> T {
        self.spinner.during(work).await
    }

    fn activity(&self, rung: Rung) -> String {
        let host = sanitize::line(self.target.host().unwrap_or("the socket"));
        match rung {
            Rung::Url => "parsing the URL".into(),
            Rung::Dns => format!("looking up {host}"),
            Rung::Tcp => match self.target.port() {
                Some(port) => format!("connecting to {host}, port {port}"),
                None => "connecting to the socket".into(),
            },
            Rung::Tls => "waiting for the TLS handshake".into(),
            Rung::Auth => "waiting for the reply to AUTH".into(),
            Rung::Ping => "waiting for PONG".into(),
            Rung::Role => "querying the server's role".into(),
        }
    }

    /// Prints a line to standard error, above the spinner.
    fn note(&self, text: &str) {
        self.spinner.clear();
        note(text);
    }
}
