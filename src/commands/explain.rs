//! `sessiontut explain`, which prints the page about a cause or warning.

use super::Error;
use crate::exit::Exit;
use crate::ping::causes::Cause;
use crate::ui;

pub(super) fn run(code: &str) -> Result<Exit, Error> {
    let cause = Cause::ALL.iter().find(|cause| cause.code() == code);
    let cause = cause.ok_or_else(|| Error::usage(unknown(code)))?;
    ui::ping::page(*cause);
    Ok(Exit::Ok)
}

fn unknown(code: &str) -> String {
    let closest = Cause::ALL
        .iter()
        .map(|cause| cause.code())
        .max_by(|one, other| strsim::jaro(one, code).total_cmp(&strsim::jaro(other, code)));
    let meant = closest.filter(|other| strsim::jaro(other, code) > 0.8);
    match meant {
        Some(other) => format!("unknown code {code}; did you mean {other}?"),
        None => format!("unknown code {code}; `sessiontut ping --codes` lists all codes"),
    }
}
