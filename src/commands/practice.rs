//! `sessiontut practice`.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use anyhow::{Context as _, anyhow};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Error;
use crate::cli::PracticeArgs;
use crate::exit::Exit;
use crate::practice::{Server, ServerOptions, start_standalone};
use crate::secret::Secret;
use crate::signals;
use crate::ui;

pub(super) fn run(args: PracticeArgs) -> Result<Exit, Error> {
    let listen = loopback(&args.listen).map_err(Error::Usage)?;
    let password = args
        .password
        .filter(|password| !password.is_empty())
        .map(Secret::new);
    let options = ServerOptions {
        listen,
        password: password.clone(),
        ..ServerOptions::default()
    };
    let (server, notices) = match start_standalone(options, !args.no_save) {
        Ok(started) => started,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
            ) =>
        {
            return Err(Error::usage(format!(
                "--listen {listen}: {}; choose another port, or 0 for a free one",
                reason(&error)
            )));
        }
        Err(error) => {
            return Err(anyhow!(error)
                .context(format!("the practice Redis cannot start on {listen}"))
                .into());
        }
    };
    ui::practice::url(&url(&server, password.as_ref()));
    ui::practice::running();
    notices.iter().for_each(ui::practice::notice);
    signals::wait()?;
    server
        .stop()
        .context("the practice Redis could not save its data")?;
    Ok(Exit::Ok)
}

fn reason(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::AddrInUse {
        "the port is in use"
    } else {
        "this port needs privileges that you do not have"
    }
}

/// The address to listen on, or an error message.
fn loopback(listen: &str) -> Result<SocketAddr, String> {
    let unreadable = || format!("--listen {listen}: expected an address and a port, such as 127.0.0.1:0");
    let address = listen
        .parse()
        .ok()
        .or_else(|| {
            let port = listen.strip_prefix("localhost:")?;
            ("127.0.0.1", port.parse().ok()?).to_socket_addrs().ok()?.next()
        })
        .ok_or_else(unreadable)?;
    let address: SocketAddr = address;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!(
            "--listen {listen}: the practice Redis listens on loopback only (127.0.0.1 or [::1])"
        ))
    }
}

fn url(server: &Server, password: Option<&Secret>) -> String {
    let login = password.map_or_else(String::new, |password| {
        format!(":{}@", utf8_percent_encode(password.reveal(), NON_ALPHANUMERIC))
    });
    format!("redis://{login}{}/0", server.address())
}
