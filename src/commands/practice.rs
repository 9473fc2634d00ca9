//! `sessiontut practice`.

use std::io;
use std::net::SocketAddr;

use anyhow::{Context as _, anyhow};
use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::Error;
use crate::exit::Exit;
use crate::practice::{Server, ServerOptions, raise_file_limit, start_standalone};
use crate::random;
use crate::secret::Secret;
use crate::serve;
use crate::signals::BlockingSignals;
use crate::ui;

/// Arguments of `practice`.
#[derive(Debug, Args)]
pub struct PracticeArgs {
    /// Loopback address to listen on (port 0: any free port)
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// Password that clients must send [default: a random password]. Other users of this host can see this option
    /// with `ps`
    #[arg(long, value_name = "PASSWORD")]
    pub password: Option<String>,
    /// Do not require a password: every user and program on this host can then connect
    #[arg(long, conflicts_with = "password")]
    pub no_password: bool,
    /// Start without data, and save nothing
    #[arg(long)]
    pub no_save: bool,
}

pub(super) fn run(args: &PracticeArgs) -> Result<Exit, Error> {
    let listen = loopback(&args.listen).map_err(Error::Usage)?;
    let password = password(args)?;
    raise_file_limit();
    let options = ServerOptions {
        listen,
        password: password.clone(),
        ..ServerOptions::default()
    };
    let (server, notices) = start_standalone(options, !args.no_save).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Error::usage(format!(
            "--listen {listen}: {error}; choose another port, or 0 for a free one"
        )),
        _ => anyhow!(error)
            .context(format!("the practice Redis cannot start on {listen}"))
            .into(),
    })?;
    // Only a server that is stopped in this function saves its data.
    let signals = BlockingSignals::listen()?;
    ui::answer_with_secrets(&url(&server, password.as_ref()));
    ui::note("the practice Redis is running; use it only for learning; press Ctrl-C to stop it");
    notices.iter().for_each(|notice| ui::note(&notice.to_string()));
    signals.wait();
    ui::end_line_after_ctrl_c();
    server
        .stop()
        .context("the practice Redis could not save its data")?;
    Ok(Exit::Ok)
}

/// Returns the password that clients must send, or `None` with `--no-password`. By default, a password is
/// required, because every user of this host can connect to loopback.
fn password(args: &PracticeArgs) -> Result<Option<Secret>, Error> {
    match args.password.as_deref() {
        _ if args.no_password => Ok(None),
        Some("") => Err(Error::usage(
            "--password: the password is empty; choose another one, or use --no-password",
        )),
        Some(password) => Ok(Some(Secret::new(password))),
        None => Ok(Some(Secret::new(random::hexadecimal::<16>()))),
    }
}

/// Returns the address to listen on, or an error message.
fn loopback(listen: &str) -> Result<SocketAddr, String> {
    let address = serve::listen_address(listen).map_err(|error| error.to_string())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!(
            "--listen {listen}: the practice Redis listens only on loopback addresses (127.0.0.1 or [::1])"
        ))
    }
}

/// Returns the URL for clients. The URL contains the default user's name, because redis-cli 7.0 sends an empty
/// user name if a URL contains only a password.
fn url(server: &Server, password: Option<&Secret>) -> String {
    let login = password.map_or_else(String::new, |password| {
        format!(
            "default:{}@",
            utf8_percent_encode(password.reveal(), NON_ALPHANUMERIC)
        )
    });
    format!("redis://{login}{}/0", server.address())
}
