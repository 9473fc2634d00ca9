//! The keys that the app uses in Redis, and their TTLs.

use std::collections::HashMap;
use std::time::Duration;

use redis::{Value, cmd};

use super::{Proxy, Shared};
use crate::check::redis_command::Key;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyOrigin {
    ExistedBefore,
    OfThisRun,
}

impl Proxy {
    /// Returns the existing keys that the app created, with their TTLs in milliseconds. -1 means no TTL.
    pub(crate) async fn living_keys(&self) -> HashMap<Key, i64> {
        let own: Vec<Key> = {
            let state = self.shared.state();
            let own = state
                .keys
                .iter()
                .filter(|(_, origin)| **origin == KeyOrigin::OfThisRun);
            own.map(|(key, _)| key.clone()).collect()
        };
        let ttls = self.shared.ttls(&own).await;
        own.into_iter().zip(ttls).filter(|(_, ttl)| *ttl != -2).collect()
    }

    /// Returns the keys that did not exist before this run, because older keys may belong to other programs.
    pub(crate) fn of_this_run(&self, mut keys: Vec<Key>) -> Vec<Key> {
        let state = self.shared.state();
        keys.retain(|key| state.keys.get(key) != Some(&KeyOrigin::ExistedBefore));
        keys
    }

    /// Returns the TTLs of the keys in milliseconds. -1 means no TTL, and -2 means that the key does not
    /// exist or that Redis returned an error.
    pub(crate) async fn ttls(&self, keys: &[Key]) -> Vec<i64> {
        self.shared.ttls(keys).await
    }

    /// Sets this TTL on the keys, so that the keys outlive a restart of the app. Keys without a TTL stay
    /// unchanged.
    pub(crate) async fn prolong(&self, keys: &[Key], ttl: Duration) {
        let mut inspector = self.shared.inspector.clone();
        for (key, left) in keys.iter().zip(self.shared.ttls(keys).await) {
            if left >= 0 {
                let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
                let _ = inspector.reply(cmd("PEXPIRE").arg(key).arg(millis)).await;
            }
        }
    }

    pub(crate) async fn delete(&self, keys: &[Key]) {
        let mut inspector = self.shared.inspector.clone();
        for key in keys {
            let _ = inspector.reply(cmd("DEL").arg(key)).await;
        }
    }
}

impl Shared {
    async fn ttls(&self, keys: &[Key]) -> Vec<i64> {
        let mut inspector = self.inspector.clone();
        let mut ttls = Vec::with_capacity(keys.len());
        for key in keys {
            let reply = inspector.reply(cmd("PTTL").arg(key)).await;
            ttls.push(match reply {
                Ok(Value::Int(left)) => left,
                _ => -2,
            });
        }
        ttls
    }

    /// Records whether these keys exist. Keys that the app has already used keep their earlier entry.
    pub(super) async fn note_keys(&self, keys: &[Key]) {
        let new: Vec<Key> = {
            let state = self.state();
            keys.iter()
                .filter(|key| !state.keys.contains_key(*key))
                .cloned()
                .collect()
        };
        let ttls = self.ttls(&new).await;
        let mut state = self.state();
        for (key, ttl) in new.into_iter().zip(ttls) {
            let origin = if ttl == -2 {
                KeyOrigin::OfThisRun
            } else {
                KeyOrigin::ExistedBefore
            };
            state.keys.entry(key).or_insert(origin);
        }
    }

    /// Returns the given keys that the app created and that have no TTL.
    pub(super) async fn without_ttl(&self, keys: &[Key]) -> Vec<Key> {
        let own: Vec<Key> = {
            let state = self.state();
            let is_own = |key: &&Key| state.keys.get(*key) == Some(&KeyOrigin::OfThisRun);
            let mut own: Vec<Key> = keys.iter().filter(is_own).cloned().collect();
            own.sort();
            own.dedup();
            own
        };
        let ttls = self.ttls(&own).await;
        own.into_iter()
            .zip(ttls)
            .filter(|(_, ttl)| *ttl == -1)
            .map(|(key, _)| key)
            .collect()
    }
}
