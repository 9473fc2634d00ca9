//! `sessiontut serve`.

use std::env;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use super::chosen::{self, Choice, RedisArgs};
use super::values::{span, whole};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::exit::Exit;
use crate::ping::instance::{self, Instance};
use crate::random;
use crate::redis_client::connect;
use crate::redis_client::fault::RedisFault;
use crate::redis_url::Trust;
use crate::secret::Secret;
use crate::serve::{self, AccessLog, AppStage, HowToOpen, ListenError, ServeOptions, ServerEvent};
use crate::session::DEFAULT_TTL;
use crate::session::cookie::SigningKey;
use crate::signals;
use crate::ui::serve::{self as show, Log};

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Stage of the app to serve (1: signed cookie, 2: visits, 3: TTL, 4: session store)
    #[arg(long, alias = "step", value_name = "1..4", default_value = "4", allow_negative_numbers = true, value_parser = whole::<u8>(1, 4))]
    pub stage: u8,
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:5000")]
    pub listen: String,
    /// TTL of a session in seconds; each visit resets the TTL (stages 3 and 4)
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TTL, allow_negative_numbers = true, value_parser = whole::<u32>(1, LONGEST_TTL))]
    pub ttl: u32,
    /// Maximum lifetime of a cookie or session, even if it is in use (for example 90s, 30m, 8h, 7d)
    #[arg(long, value_name = "DURATION", default_value = "8h", allow_negative_numbers = true, value_parser = span)]
    pub max_age: Duration,
    /// Mark the cookie Secure, and name it __Host-NAME: browsers then accept the cookie only over https:// or
    /// from loopback addresses
    #[arg(long)]
    pub secure_cookies: bool,
    /// Name of the cookie (change it if another application on this host uses the same name)
    #[arg(long, value_name = "NAME", default_value = "session", value_parser = cookie_name)]
    pub cookie_name: String,
    /// Also accept this host name in requests to a loopback address, for example from a proxy on this host (can
    /// be repeated)
    #[arg(long = "host", value_name = "NAME", value_parser = host_name)]
    pub hosts: Vec<String>,
    /// Log requests and server messages to standard error in this format
    #[arg(long, value_name = "FORMAT")]
    pub log: Option<LogFormat>,
    /// The Redis to use
    #[command(flatten)]
    pub redis: RedisArgs,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line
    Json,
}

/// Parses a cookie name (RFC 6265, section 4.1.1).
fn cookie_name(text: &str) -> Result<String, String> {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(is_valid) {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 64 letters, digits or !#$%&'*+-.^_`|~, such as session2".into())
    }
}

fn host_name(text: &str) -> Result<String, String> {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
    let has_port = text
        .rsplit_once(':')
        .is_some_and(|(name, _)| !name.starts_with('['));
    if !text.is_empty() && text.bytes().all(is_valid) && (!has_port || text.ends_with(']')) {
        Ok(text.to_owned())
    } else {
        Err("expected a host name without a port, such as app.example.com".into())
    }
}

/// The maximum of `serve --ttl` in seconds, which is 136 years.
const LONGEST_TTL: u64 = 4_294_967_295;
/// The minimum length of `SECRET_KEY` in bytes. A shorter key causes a warning.
const SHORT_KEY: usize = 16;
/// Time limit for all requests to the EC2 metadata service.
const METADATA_WITHIN: Duration = Duration::from_millis(500);
/// The default user name on an EC2 instance with Amazon Linux.
const EC2_USER: &str = "ec2-user";

pub(super) fn run(args: &ServeArgs) -> Result<Exit, Error> {
    let listener = serve::bind(&args.listen).map_err(|error| unusable(&error))?;
    run_until(args, listener, None, std::future::pending(), |_| {})
}

/// Returns the usage error for a listen address that cannot be used.
pub(super) fn unusable(error: &ListenError) -> Error {
    Error::usage(format!("{error:#}"))
}

/// Runs the app on `listener` until a signal arrives or `end` resolves. Calls `ready` with the address on
/// which the app listens.
///
/// Uses `redis` or, if it is `None`, the Redis in the options. The caller must close `redis`.
pub(super) fn run_until(
    args: &ServeArgs,
    listener: TcpListener,
    redis: Option<Arc<Choice>>,
    end: impl Future<Output = ()>,
    ready: impl Fn(SocketAddr) + Send + Sync + 'static,
) -> Result<Exit, Error> {
    let log = match args.log {
        None => Log::text(),
        Some(LogFormat::Json) => Log::json(),
    };
    let cookie_name = prefixed_cookie_name(args)?;
    let stage = AppStage::numbered(args.stage).ok_or_else(|| anyhow!("there is no stage {}", args.stage))?;
    let options = ServeOptions {
        stage,
        ttl: Duration::from_secs(args.ttl.into()),
        max_age: args.max_age,
        secure_cookies: args.secure_cookies,
        key: signing_key(stage, &log),
        cookie_name,
        hosts: own_names(args),
        log: args.log.map(|LogFormat::Json| -> AccessLog {
            let log = log.clone();
            Arc::new(move |entry| log.request(&entry))
        }),
    };
    if args.secure_cookies {
        log.note(
            "--secure-cookies: browsers keep the cookie only at https:// and on this computer (http://127.0.0.1, \
             http://localhost); a login at another http:// address is refused",
        );
    }
    let is_own = redis.is_none();
    let choice = match redis {
        Some(choice) => choice,
        None => Arc::new(chosen::choose(args.redis.url.as_deref())?),
    };
    let opener = opener(&choice, chosen::trust(&args.redis.trust));
    let instance = instance()?;
    let user = env::var("USER").unwrap_or_else(|_| EC2_USER.to_owned());
    let server_log = log.clone();
    let tell: serve::OnEvent = Arc::new(move |event| match event {
        ServerEvent::Ready(address) => {
            print_how_to_open(
                &server_log,
                stage,
                &serve::how_to_open(address, instance.as_ref(), &user),
            );
            ready(address);
        }
        event => tell(&server_log, event),
    });
    serve::serve_until(end, listener, options, opener, &tell)?;
    log.finish();
    if is_own {
        crate::ui::end_line_after_ctrl_c();
        choice.close();
    }
    Ok(Exit::Ok)
}

/// Returns a function that connects to the chosen Redis.
fn opener(choice: &Arc<Choice>, trust: Trust) -> serve::Opener {
    let shared = Arc::clone(choice);
    Arc::new(move |deadline| {
        let (shared, trust) = (Arc::clone(&shared), trust.clone());
        // Reserve time to determine the verdict before the request times out.
        let deadline = deadline.within(deadline.left().mul_f64(0.9));
        Box::pin(async move {
            let fallback = shared.target.clone();
            let attaching = tokio::task::spawn_blocking(move || shared.target_now());
            // If attaching takes too long, connecting to the old target reveals the reason.
            let attached = deadline.within(deadline.left() / 2).bound(attaching).await;
            let target = attached.ok().and_then(Result::ok).unwrap_or(fallback);
            let opened = connect::open_with_clock(&target, &trust, deadline).await;
            opened.map_err(|unreachable| RedisFault::of_verdict(&unreachable.verdict))
        })
    })
}

/// Returns the name of the session cookie, with the prefix `__Host-` for secure cookies. Browsers accept a
/// cookie with this prefix only if it is Secure, has the path `/`, and has no Domain (RFC 6265bis, section
/// 4.1.3).
fn prefixed_cookie_name(args: &ServeArgs) -> Result<String, Error> {
    const PREFIX: &str = "__Host-";
    let name = &args.cookie_name;
    let lower = name.to_ascii_lowercase();
    let has_prefix = ["__host-", "__secure-", "__http-"]
        .iter()
        .any(|prefix| lower.starts_with(prefix));
    match (args.secure_cookies, has_prefix) {
        (true, true) | (false, false) => Ok(name.clone()),
        (true, false) => Ok(format!("{PREFIX}{name}")),
        (false, true) => Err(Error::usage(format!(
            "browsers keep a cookie named {name} only with --secure-cookies"
        ))),
    }
}

/// Returns the host names in `--host` and `--listen`.
fn own_names(args: &ServeArgs) -> Vec<String> {
    let listen = args.listen.rsplit_once(':').map(|(host, _)| host.to_owned());
    args.hosts.iter().cloned().chain(listen).collect()
}

/// Prints the URL to open, and notes on how to reach the URL.
fn print_how_to_open(log: &Log, stage: AppStage, how: &HowToOpen) {
    show::ready(&format!("open {} ({stage})", how.url));
    for text in &how.notes {
        log.note(text);
    }
}

/// Returns the EC2 instance on which this program runs, or `None` elsewhere.
fn instance() -> Result<Option<Instance>, Error> {
    let runtime = signals::runtime()?;
    Ok(runtime.block_on(instance::observe(None, Deadline::after(METADATA_WITHIN))))
}

fn tell(log: &Log, event: ServerEvent) {
    let (text, fault) = match event {
        // `print_how_to_open` has already printed the address.
        ServerEvent::Ready(_) => return,
        ServerEvent::Unreachable(fault) => {
            let text = "Redis is unavailable; pages that need it return 503 until it is back";
            (text.to_owned(), Some(fault))
        }
        ServerEvent::Deleted(count) => (
            format!("deleted the {} that stage 2 created", hashes(count)),
            None,
        ),
        ServerEvent::NotDeleted(count, fault) => {
            let text = format!("could not delete the {} that stage 2 created", hashes(count));
            (text, Some(fault))
        }
    };
    log.note(&text);
    if let Some(fault) = fault {
        log.fault(&fault);
    }
}

fn hashes(count: usize) -> String {
    match count {
        1 => "one hash".to_owned(),
        count => format!("{count} hashes"),
    }
}

/// Returns the key in `SECRET_KEY`, or a random key for this run.
fn signing_key(stage: AppStage, log: &Log) -> SigningKey {
    match env::var_os("SECRET_KEY").filter(|key| !key.is_empty()) {
        Some(key) => {
            Secret::new(key.to_string_lossy()).mask_everywhere();
            let bytes = key.as_encoded_bytes();
            if bytes.len() < SHORT_KEY {
                let text = "SECRET_KEY is shorter than 16 bytes and can be guessed; generate one with `openssl rand -hex 32`";
                log.note(text);
            }
            SigningKey::new(bytes)
        }
        None => {
            if stage.signs_the_name() {
                let text = "SECRET_KEY is not set: cookies are signed with a random key, so they are valid only \
                            until this server stops";
                log.note(text);
            }
            SigningKey::new(&random::bytes::<32>())
        }
    }
}
