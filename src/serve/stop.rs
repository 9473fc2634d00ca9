//! The word that the server is to stop: from the system's signals to everything that runs.

use tokio::sync::watch;

/// Says it, once.
#[derive(Debug)]
pub(super) struct StopSwitch(watch::Sender<bool>);

/// Hears it.
#[derive(Clone, Debug)]
pub(super) struct Stop(watch::Receiver<bool>);

/// A switch and its first listener.
pub(super) fn stop() -> (StopSwitch, Stop) {
    let (sender, receiver) = watch::channel(false);
    (StopSwitch(sender), Stop(receiver))
}

impl StopSwitch {
    /// Tells everyone.
    pub(super) fn stop(self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Waits for the word; a switch that is gone counts as well.
    pub(super) async fn requested(&mut self) {
        let _ = self.0.wait_for(|&stop| stop).await;
    }
}
