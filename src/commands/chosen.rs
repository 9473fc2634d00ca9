//! Selects the Redis server for a command: the server in the URL, or the built-in practice Redis.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::deadline::{DEFAULT_TIMEOUT, Deadline};
use crate::error::Error;
use crate::practice::PracticeRedis;
use crate::redis_url::{FromVariables, SCHEMES, Target, Trust, from_variables};
use crate::secret::Secret;
use crate::ui;

/// The options that select the Redis server, and its TLS options.
#[derive(Clone, Debug, Default, Args)]
pub struct RedisArgs {
    /// Redis to use: `redis://[user:password@]host[:port][/db]`, `rediss://` for TLS, `unix://PATH`, `redis+sentinel://host[,host]/NAME`
    // hide_env_values: the URL may contain a password.
    #[arg(long = "redis", value_name = "URL", env = "REDIS_URL", hide_env_values = true)]
    pub url: Option<String>,
    /// TLS options
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// The TLS options.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "TLS")]
pub struct TrustArgs {
    /// Trust the CAs in this PEM file, in addition to those of the system
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Send the client certificate in this PEM file
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Use the private key in this PEM file for the client certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Expect this name in the server's certificate, instead of the host in the URL
    #[arg(long, value_name = "NAME")]
    pub tls_name: Option<String>,
}

/// The Redis server that a command uses.
pub(super) struct Choice {
    pub(super) target: Target,
    practice: Option<Arc<PracticeRedis>>,
}

/// Returns the server in the URL or, without a URL, the practice Redis. If the URL contains no password, uses
/// the password in `REDISCLI_AUTH`.
pub(super) fn choose(url: Option<&str>) -> Result<Choice, Error> {
    let Some(url) = url else {
        note_unused_variables();
        // Do not use an arbitrary Redis server that happens to listen on the default port.
        return Choice::practice();
    };
    Ok(Choice {
        target: Target::parse(url)?.with_password(rediscli_auth()),
        practice: None,
    })
}

/// Chooses the Redis server for `ping`, which only reads. Without a URL, uses the variable `REDIS_HOST` and
/// related variables.
pub(super) fn choose_to_read(url: Option<&str>) -> Result<Choice, Error> {
    if url.is_none()
        && let Some(read) = from_variables(|name| std::env::var(name).ok())
    {
        let FromVariables { target, names } = read?;
        let target = target.with_password(rediscli_auth());
        ui::note(&format!("REDIS_URL is not set: using {names}, {target}"));
        return Ok(Choice {
            target,
            practice: None,
        });
    }
    choose(url)
}

fn rediscli_auth() -> Option<Secret> {
    std::env::var("REDISCLI_AUTH")
        .ok()
        .filter(|password| !password.is_empty())
        .map(Secret::new)
}

/// Returns the name of a variable that contains the URL of a Redis server, such as `REDIS_TLS_URL` on Heroku.
fn variable_with_url(variables: impl Iterator<Item = (String, String)>) -> Option<String> {
    let is_url = |value: &str| {
        let scheme = value.split_once("://").map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| SCHEMES.contains(&scheme) && scheme != "unix")
    };
    let is_plain = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    variables
        .filter(|(name, value)| is_plain(name) && is_url(value))
        .map(|(name, _)| name)
        .min()
}

/// Explains how a command that writes can use the server in `REDIS_HOST`.
fn note_unused_variables() {
    let Some(read) = from_variables(|name| std::env::var(name).ok()) else {
        return;
    };
    let advice = match read {
        Ok(FromVariables { target, .. }) => {
            let password = if target.password.is_some() {
                ", and set REDISCLI_AUTH to the password"
            } else {
                ""
            };
            format!("add --redis {}{password}", target.without_password())
        }
        Err(_) => "pass its URL with --redis".to_owned(),
    };
    ui::note(&format!(
        "this command does not use REDIS_HOST; to use that Redis with this command, {advice}"
    ));
}

impl Choice {
    fn practice() -> Result<Self, Error> {
        let practice = PracticeRedis::default();
        let target = practice
            .attach(Deadline::after(DEFAULT_TIMEOUT))
            .map_err(anyhow::Error::from)?;
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let other = variable_with_url(variables).map_or_else(String::new, |name| {
            format!("; to use the URL in {name}, run export REDIS_URL=\"${name}\"")
        });
        ui::note(&format!(
            "REDIS_URL is not set: using the built-in practice Redis{other}"
        ));
        let notices = practice.notices();
        notices.iter().for_each(|notice| ui::note(&notice.to_string()));
        Ok(Self {
            target,
            practice: Some(Arc::new(practice)),
        })
    }

    /// Returns the target for a new connection. The address of the practice Redis may have changed since the
    /// last call, because a different process may now run it.
    ///
    /// Blocks for up to a few seconds.
    pub(super) fn target_now(&self) -> Target {
        let attach = |practice: &Arc<PracticeRedis>| practice.attach(Deadline::after(DEFAULT_TIMEOUT));
        // If attaching fails, connecting to the old target reveals the reason.
        let attached = self.practice.as_ref().map(attach);
        attached
            .and_then(Result::ok)
            .unwrap_or_else(|| self.target.clone())
    }

    /// Stops the practice Redis if this process runs it. Prints a message if its data could not be saved.
    pub(super) fn close(&self) {
        if let Some(Err(error)) = self.practice.as_ref().map(|practice| practice.close()) {
            ui::note(&format!("the practice Redis could not save its data: {error}"));
        }
    }
}

pub(super) fn trust(args: &TrustArgs) -> Trust {
    Trust {
        ca: args.ca.clone(),
        cert: args.cert.clone(),
        key: args.key.clone(),
        tls_name: args.tls_name.clone(),
        ..Trust::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_with_the_url_of_a_redis_server_is_found() {
        let found = |all: &[(&str, &str)]| {
            let owned = all.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            variable_with_url(owned)
        };
        let tls = ("REDIS_TLS_URL", "rediss://:Plover-4417@h:6380");
        assert_eq!(found(&[("HOME", "/root"), tls]).as_deref(), Some("REDIS_TLS_URL"));
        assert_eq!(found(&[("BASE_URL", "https://h"), ("A B", "redis://h")]), None);
    }
}
