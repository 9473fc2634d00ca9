//! `sessiontut ping`.

use crate::cli::PingArgs;
use crate::exit::Exit;

pub(super) fn run(_args: PingArgs) -> anyhow::Result<Exit> {
    Ok(Exit::No)
}
