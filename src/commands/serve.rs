//! `sessiontut serve`.

use std::env;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;

use super::Error;
use super::chosen::{self, Choice};
use crate::cli::{LogFormat, ServeArgs};
use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::ping::instance::{self, Instance};
use crate::random;
use crate::redis_client::connect;
use crate::redis_client::fault::RedisFault;
use crate::secret::Secret;
use crate::serve::{self, AccessLog, AppStage, HowToOpen, ServeOptions, ServerEvent};
use crate::session::cookie::SigningKey;
use crate::signals;
use crate::ui::serve::{self as show, Log};

/// A `SECRET_KEY` with fewer bytes than this causes a warning.
const SHORT_KEY: usize = 16;
/// Time limit for all requests to the EC2 metadata service.
const METADATA_WITHIN: Duration = Duration::from_millis(500);
/// The name of the default user on Amazon Linux.
const EC2_USER: &str = "ec2-user";

pub(super) fn run(args: &ServeArgs) -> Result<Exit, Error> {
    run_until(args, None, std::future::pending(), |_| {})
}

/// Runs the app until a signal arrives or `end` resolves. Calls `ready` with the address. Uses the Redis in
/// the options, or the given one, which the caller closes.
pub(super) fn run_until(
    args: &ServeArgs,
    redis: Option<Arc<Choice>>,
    end: impl Future<Output = ()>,
    ready: impl Fn(SocketAddr) + Send + Sync + 'static,
) -> Result<Exit, Error> {
    let log = Log::new(args.log);
    let listener =
        serve::bind(&args.listen).map_err(|fault| Error::usage(format!("{:#}", anyhow!(fault))))?;
    let stage = AppStage::numbered(args.stage).ok_or_else(|| anyhow!("there is no stage {}", args.stage))?;
    let options = ServeOptions {
        stage,
        ttl: Duration::from_secs(args.ttl.into()),
        max_age: args.max_age,
        secure_cookies: args.secure_cookies,
        key: signing_key(stage, &log),
        cookie_name: cookie_name(args)?,
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
    let trust = chosen::trust(&args.redis.trust);
    let shared = Arc::clone(&choice);
    let opener: serve::Opener = Arc::new(move |deadline| {
        let (shared, trust) = (Arc::clone(&shared), trust.clone());
        // The verdict must be available before the request times out.
        let deadline = deadline.within(deadline.left().mul_f64(0.9));
        Box::pin(async move {
            let fallback = shared.target.clone();
            let attaching = tokio::task::spawn_blocking(move || shared.target_now());
            // If attaching takes too long, connecting to the old target shows the reason.
            let attached = deadline.within(deadline.left() / 2).bound(attaching).await;
            let target = attached.ok().and_then(Result::ok).unwrap_or(fallback);
            let opened = connect::open_with_clock(&target, &trust, deadline).await;
            opened.map_err(|unreachable| RedisFault::of_verdict(&unreachable.verdict))
        })
    });
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
        choice.close();
    }
    Ok(Exit::Ok)
}

/// Returns the name of the session cookie. If the name starts with `__Host-`, browsers do not let another
/// host or path set the cookie (RFC 6265bis, section 4.1.3).
fn cookie_name(args: &ServeArgs) -> Result<String, Error> {
    const PREFIX: &str = "__Host-";
    let name = &args.cookie_name;
    let lower = name.to_ascii_lowercase();
    let has_prefix = lower.starts_with("__host-") || lower.starts_with("__secure-");
    match (args.secure_cookies, has_prefix) {
        (true, true) | (false, false) => Ok(name.clone()),
        (true, false) => Ok(format!("{PREFIX}{name}")),
        (false, true) => Err(Error::usage(format!(
            "browsers keep a cookie named {name} only with --secure-cookies"
        ))),
    }
}

/// Returns the host names from `--host`, and the one from `--listen`.
fn own_names(args: &ServeArgs) -> Vec<String> {
    let listen = args.listen.rsplit_once(':').map(|(host, _)| host.to_owned());
    args.hosts.iter().cloned().chain(listen).collect()
}

/// Prints the URL to open, and notes on how to reach it.
fn print_how_to_open(log: &Log, stage: AppStage, how: &HowToOpen) {
    show::ready(&format!("open {} ({stage})", how.url));
    for text in &how.notes {
        log.note(text);
    }
}

/// Returns the EC2 instance that this host runs on, or `None` if this is not an EC2 instance.
fn instance() -> Result<Option<Instance>, Error> {
    let runtime = signals::runtime()?;
    Ok(runtime.block_on(instance::observe(None, Deadline::after(METADATA_WITHIN))))
}

fn tell(log: &Log, event: ServerEvent) {
    let (text, fault) = match event {
        // `print_how_to_open` prints this.
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

/// Returns the key from `SECRET_KEY`, or a random key for this run.
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
