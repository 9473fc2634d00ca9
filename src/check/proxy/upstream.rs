//! Opens the proxy's connections to Redis and logs in.

use std::sync::PoisonError;

use super::{Proxy, Shared};
use crate::deadline::{DEFAULT_TIMEOUT, Deadline};
use crate::ping::{self, ClimbOptions};
use crate::redis_client::{Stream, open_stream};
use crate::redis_url::Address;

impl Proxy {
    /// Opens connections to Redis in advance, so that an app does not wait if it opens many connections at
    /// the same time.
    pub(crate) async fn prepare(&self, connections: usize) {
        for _ in 0..connections {
            let Ok(stream) = self.shared.open().await else {
                return;
            };
            self.shared
                .spare
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(stream);
        }
    }
}

impl Shared {
    /// Returns a connection to Redis that is already logged in.
    pub(super) async fn open_upstream(&self) -> Result<Stream, String> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match spare {
            Some(stream) => Ok(stream),
            None => self.open().await,
        }
    }

    async fn open(&self) -> Result<Stream, String> {
        let target = (self.target)();
        if let (Address::Tcp { host, port }, None) = (&target.address, &target.sentinels)
            && let Ok(stream) = open_stream(&target, &self.trust, &(host.clone(), *port)).await
        {
            return Ok(stream);
        }
        // Run the checks of `ping`, which take longer but report why the connection failed.
        let deadline = Deadline::after(DEFAULT_TIMEOUT);
        let climb = ping::climb(
            &target,
            &self.trust,
            &ClimbOptions::default(),
            deadline,
            &mut |_| {},
        )
        .await;
        match climb.connection {
            Some(connection) => Ok(connection.into_stream()),
            None => {
                let verdict = ping::judge(&target, &climb.observations);
                Err(verdict
                    .finding
                    .map_or_else(String::new, |finding| finding.summary))
            }
        }
    }
}
