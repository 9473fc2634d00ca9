//! `sessiontut explain`, which prints the page about a cause or warning.

use crate::error::Error;
use crate::exit::Exit;
use crate::ping::causes::Cause;
use crate::ping::verdict::either;
use crate::ui;

pub(super) fn run(code: &str) -> Result<Exit, Error> {
    let cause = Cause::ALL.iter().find(|cause| cause.code() == code);
    let cause = cause.ok_or_else(|| Error::usage(unknown(code)))?;
    ui::ping::page(*cause);
    Ok(Exit::Ok)
}

/// The maximum number of codes that a message suggests.
const MOST_SUGGESTIONS: usize = 3;

fn unknown(code: &str) -> String {
    let parts = codes_with_part(&code.to_lowercase());
    if !parts.is_empty() {
        let shown = &parts[..parts.len().min(MOST_SUGGESTIONS)];
        let more = match parts.len() > shown.len() {
            true => " `sessiontut ping --codes` lists all codes",
            false => "",
        };
        return format!("unknown code {code}; did you mean {}?{more}", either(shown));
    }
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

/// Returns the codes whose layer or name is `part`, such as `auth` or `refused`. Without such a code, returns
/// the codes whose names start with `part`.
fn codes_with_part(part: &str) -> Vec<&'static str> {
    let codes = || Cause::ALL.iter().map(|cause| cause.code());
    let split = |code: &'static str| code.split_once('.').unwrap_or((code, ""));
    let exact: Vec<&str> = codes()
        .filter(|code| [split(code).0, split(code).1].contains(&part))
        .collect();
    if !exact.is_empty() || part.len() < 3 {
        return exact;
    }
    codes().filter(|code| split(code).1.starts_with(part)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_of_a_code_suggests_the_whole_code() {
        for (part, code) in [
            ("auth", "auth.failed"),
            ("refused", "tcp.refused"),
            ("max_cl", "server.max_clients"),
            ("tcp.refsed", "tcp.refused"),
        ] {
            assert!(unknown(part).contains(code), "{}", unknown(part));
        }
        assert!(!unknown("nonsense").contains("did you mean"));
    }
}
