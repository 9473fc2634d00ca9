//! `sessiontut learn`.

use anyhow::Context as _;

use crate::cli::LearnArgs;
use crate::exit::Exit;
use crate::learn::Shelf;
use crate::ui;

pub(super) fn run(args: LearnArgs) -> anyhow::Result<Exit> {
    let shelf = args.lessons.map_or(Shelf::BuiltIn, Shelf::Folder);
    let book = shelf.read().with_context(|| format!("cannot list {shelf}"))?;
    if args.check {
        let mut refusals = book.refusals;
        refusals.extend(book.lessons.iter().flat_map(|lesson| shelf.differences(lesson)));
        ui::learn::checked(&book.lessons, &refusals);
        return Ok(if refusals.is_empty() { Exit::Ok } else { Exit::No });
    }
    anyhow::bail!("lessons cannot be run yet: only --check is there")
}
