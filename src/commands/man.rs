//! Writes the man pages for release archives and packages.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;

use crate::commands::cli::Cli;
use crate::error::Error;
use crate::exit::Exit;

/// Writes `sessiontut.1`, and a page such as `sessiontut-ping.1` for each visible subcommand.
pub(super) fn run(folder: &Path) -> Result<Exit, Error> {
    let write = || {
        fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), folder)
    };
    let problem = || format!("cannot write the man pages to {}", folder.display());
    write().with_context(problem).map_err(Error::Other)?;
    Ok(Exit::Ok)
}
