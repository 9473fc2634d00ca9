//! `sessiontut practice`.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use anyhow::{Context as _, anyhow};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Error;
use crate::cli::PracticeArgs;
use crate::exit::Exit;
use crate::practice::{Keep, Lone, Options, Server};
use crate::secret::Secret;
use crate::signals;
use crate::ui;

pub(super) fn run(args: PracticeArgs) -> Result<Exit, Error> {
    let listen = loopback(&args.listen).map_err(Error::Usage)?;
    let password = args
        .password
        .filter(|password| !password.is_empty())
        .map(Secret::new);
    let mut lone = Lone::open(if args.no_save { Keep::Nothing } else { Keep::Saved });
    let options = Options {
        listen,
        password: password.clone(),
        ..Options::default()
    };
    let server = match lone.start(options) {
        Ok(started) => started,
        Err(fault)
            if matches!(
                fault.kind(),
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
            ) =>
        {
            return Err(Error::usage(format!(
                "--listen {listen}: {}; choose another port, or 0 for a free one",
                reason(&fault)
            )));
        }
        Err(fault) => {
            return Err(anyhow!(fault)
                .context(format!("the practice Redis cannot start on {listen}"))
                .into());
        }
    };
    ui::practice::url(&url(&server, password.as_ref()));
    ui::practice::running();
    lone.notices().iter().for_each(ui::practice::notice);
    signals::wait()?;
    server
        .stop()
        .context("the practice Redis could not save its data")?;
    Ok(Exit::Ok)
}

fn reason(fault: &io::Error) -> &'static str {
    if fault.kind() == io::ErrorKind::AddrInUse {
        "the port is taken"
    } else {
        "this port needs rights that you do not have"
    }
}

/// The address to listen on, or what is wrong with it.
fn loopback(listen: &str) -> Result<SocketAddr, String> {
    let unreadable = || format!("--listen {listen}: an address and a port are needed, such as 127.0.0.1:0");
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
            "--listen {listen}: the practice Redis listens on loopback only (127.0.0.1 or [::1]); it is not made for a network"
        ))
    }
}

fn url(server: &Server, password: Option<&Secret>) -> String {
    let login = password.map_or_else(String::new, |password| {
        format!(":{}@", utf8_percent_encode(password.reveal(), NON_ALPHANUMERIC))
    });
    format!("redis://{login}{}/0", server.address())
}
