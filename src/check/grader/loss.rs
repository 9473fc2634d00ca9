//! Detects a crashed, hanging or broken app, and starts the app again.

use std::sync::Arc;
use std::time::Duration;

use super::Grader;
use crate::check::app::{App, answers};
use crate::check::browser::PATIENCE;
use crate::check::judged::{Judged, NotHeld, fails, not_judged};
use crate::check::proxy::Proxy;
use crate::deadline::Deadline;

/// How long the app's process may take to exit after a crash.
const CRASH_WITHIN: Duration = Duration::from_millis(500);
/// How long to wait for an app that stopped listening, because some tools restart an app automatically.
const BACK_WITHIN: Duration = Duration::from_secs(3);
/// The number of checks without a response after which `check` does not visit the app any more.
const MOST_HUNG: usize = 3;
/// How long the app may take to recover once Redis is available again.
pub(crate) const RECOVER_WITHIN: Duration = Duration::from_secs(10);
/// The pause between login attempts while the app recovers.
pub(crate) const RETRY: Duration = Duration::from_millis(250);
/// The pause between two checks of the app's process or port.
const LOOK: Duration = Duration::from_millis(25);

/// A crash, or a different reason why the app must be started again before the next check.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    /// What happened, as a sentence without a full stop.
    pub(crate) what: String,
    /// The last lines of the app's output, if this program started the app.
    pub(crate) output: Vec<String>,
}

impl Loss {
    /// Returns a failed result that reports this loss as the cause.
    pub(crate) fn blamed(&self, judged: Judged) -> Judged {
        let failed = match judged {
            Err(NotHeld::Fails(_)) => judged,
            _ => fails("the requests of this check", "the app keeps running", "", []),
        };
        failed.map_err(|not_held| match not_held {
            NotHeld::Fails(mut failure) => {
                failure.got.clone_from(&self.what);
                failure.output.clone_from(&self.output);
                NotHeld::Fails(failure)
            }
            other => other,
        })
    }
}

impl Grader {
    /// Starts the app again. Returns a message if the app does not start, or if this program did not start it
    /// originally.
    pub(crate) async fn restart(&mut self) -> Result<(), String> {
        match &mut self.app {
            None => Err("`check` did not start the app".to_owned()),
            Some(app) => app
                .restart_after_kill(&self.site.progress)
                .await
                .map_err(|error| error.to_string()),
        }
    }

    /// Returns how the app was lost, or `None` if it still listens or `gone` is set. Restarts a lost app. Sets
    /// `gone` if the restart fails, or if the proxy's record is full. If the app listens but has not responded
    /// to a request, counts this check.
    pub(crate) async fn loss(&mut self) -> Option<Loss> {
        if self.gone.is_some() {
            return None;
        }
        if let Some(what) = self.site.proxy.as_ref().and_then(Proxy::overflow) {
            self.gone = Some(what.clone());
            return Some(Loss {
                what,
                output: Vec::new(),
            });
        }
        let is_unanswered = self.site.answered.take_unanswered() > 0;
        let mut ended = self.app.as_mut().and_then(App::ended);
        let deadline = Deadline::after(CRASH_WITHIN);
        while is_unanswered && ended.is_none() && self.app.is_some() && !deadline.is_over() {
            tokio::time::sleep(LOOK).await;
            ended = self.app.as_mut().and_then(App::ended);
        }
        let address = self.site.address;
        let loss = match ended {
            Some(ended) => Loss {
                what: ended.to_string(),
                output: ended.tail,
            },
            None if !is_unanswered => return None,
            None => {
                let deadline = Deadline::after(BACK_WITHIN);
                let back = async {
                    while !answers(address) && !deadline.is_over() {
                        tokio::time::sleep(LOOK).await;
                    }
                };
                let what = "waiting until the app listens again; giving up";
                self.site.progress.during(what, || deadline.left(), back).await;
                if answers(address) {
                    self.note_hung();
                    return None;
                }
                Loss {
                    what: format!(
                        "the app does not listen on port {} any more: it has probably crashed",
                        address.port()
                    ),
                    output: self
                        .app
                        .as_ref()
                        .map(|app| app.output.last_lines())
                        .unwrap_or_default(),
                }
            }
        };
        if let Err(why) = self.restart().await {
            self.gone = Some(match self.app {
                Some(_) => format!("{}, and did not start again: {why}", loss.what),
                None => loss.what.clone(),
            });
        }
        Some(loss)
    }

    /// Counts a check in which the app accepted connections but did not respond.
    fn note_hung(&mut self) {
        self.hung += 1;
        let seconds = PATIENCE.as_secs();
        if !self.site.answered.has_any() {
            self.gone = Some(format!(
                "the app accepts connections, but does not respond within {seconds} s"
            ));
        } else if self.hung >= MOST_HUNG {
            self.gone = Some(format!(
                "the app did not respond within {seconds} s in {MOST_HUNG} checks, so `check` does not visit it any more"
            ));
        }
    }

    /// Detects a crash after Redis was disturbed, and records the first crash. Returns whether the app has
    /// crashed.
    pub(crate) async fn note_crash(&mut self) -> bool {
        let loss = self.loss().await;
        let has_crashed = loss.is_some();
        self.outage = self.outage.take().or(loss);
        has_crashed
    }

    /// Waits until the app works again after its connection to Redis was cut. If the app does not recover,
    /// restarts the app, and records the failure for the check `recovers-without-a-restart`. Fails if the app
    /// does not recover, unless this run includes that check.
    pub(crate) async fn works_again(&mut self) -> Judged {
        if let Some(why) = &self.gone {
            return Err(not_judged(why.as_str()));
        }
        let wait = match self.outage {
            Some(_) => Duration::ZERO,
            None => RECOVER_WITHIN,
        };
        let is_lost = self.note_crash().await || !self.recovers_within(wait).await;
        if !is_lost {
            return Ok(());
        }
        let seconds = RECOVER_WITHIN.as_secs();
        let loss = self.outage.get_or_insert_with(|| Loss {
            what: format!("logins still fail {seconds} s after the connection to Redis was cut"),
            output: Vec::new(),
        });
        match self.site.settings.stage {
            4 => Ok(()),
            _ => loss.blamed(fails(
                "the connection to Redis was cut",
                "the app keeps running, and connects again",
                "",
                [],
            )),
        }
    }

    /// Tries to log in until an attempt succeeds. After `wait`, starts the app again and returns false.
    async fn recovers_within(&mut self, wait: Duration) -> bool {
        let deadline = Deadline::after(wait);
        let progress = Arc::clone(&self.site.progress);
        let recovery = async {
            loop {
                let is_back = self.logged_in().await.is_ok();
                if is_back || deadline.is_over() {
                    return is_back;
                }
                deadline.sleep(RETRY).await;
            }
        };
        let what = "waiting until the app works again; giving up";
        let is_back = progress.during(what, || deadline.left(), recovery).await;
        if !is_back && let Err(why) = self.restart().await {
            self.gone = Some(format!(
                "the app does not work after the connection to Redis was cut, and {why}"
            ));
        }
        is_back
    }
}
