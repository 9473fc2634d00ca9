//! Determines which cookies and which Redis keys belong to the app's sessions.

use std::collections::HashSet;

use super::Grader;
use crate::check::judged::{NotHeld, not_judged};
use crate::check::redis_command::Key;

impl Grader {
    /// Returns the name of the first session cookie, without which a visitor is logged out.
    pub(crate) async fn session_cookie(&mut self) -> Result<String, NotHeld> {
        Ok(self.session_cookies().await?.swap_remove(0))
    }

    /// Returns the names of the session cookies, at least one. Some apps store a token and its signature in
    /// separate cookies.
    pub(crate) async fn session_cookies(&mut self) -> Result<Vec<String>, NotHeld> {
        if let Some(names) = &self.session_cookies {
            return Ok(names.clone());
        }
        let user = self.logged_in().await?;
        let mut names = Vec::new();
        for (name, _) in user.visitor.cookies() {
            let mut without = user.visitor.with_cookie(&name, None);
            let exchange = self.home(&mut without).await;
            if !self.shows_login(&exchange) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return Err(not_judged(
                "the user stays logged in whichever cookie of the login is removed",
            ));
        }
        names.sort();
        self.session_cookies = Some(names.clone());
        Ok(names)
    }

    /// Returns the keys that the visits of all users share, such as a site-wide counter or a rate limit per
    /// address. Shared keys are not part of a session, so they need not have a TTL.
    pub(crate) async fn shared_keys(&mut self) -> Result<&HashSet<Key>, NotHeld> {
        if self.shared_keys.is_none() {
            let mut users = Vec::new();
            for _ in 0..2 {
                let mut user = self.logged_in().await?;
                let visit = self.visit(&mut user).await?;
                users.push(HashSet::from_iter([user.login.keys(), visit.keys()].concat()));
            }
            self.shared_keys = users.into_iter().reduce(|a: HashSet<Key>, b| &a & &b);
        }
        Ok(self.shared_keys.get_or_insert_default())
    }

    /// Returns the given keys, except shared keys and keys that existed before this run.
    pub(crate) async fn own_keys(&mut self, keys: Vec<Key>) -> Result<Vec<Key>, NotHeld> {
        let keys = match &self.site.proxy {
            Some(proxy) => proxy.of_this_run(keys),
            None => keys,
        };
        let shared = self.shared_keys().await?;
        Ok(keys.into_iter().filter(|key| !shared.contains(key)).collect())
    }

    /// Returns the given keys that currently exist.
    pub(crate) async fn living(&self, keys: &[Key]) -> Result<Vec<Key>, NotHeld> {
        let ttls = self.proxy()?.ttls(keys).await;
        Ok(keys
            .iter()
            .zip(ttls)
            .filter(|(_, ttl)| *ttl != -2)
            .map(|(key, _)| key.clone())
            .collect())
    }
}
