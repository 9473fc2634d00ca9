//! What somebody meant by a command that is not sent.

use super::guard::{COMPLETIONS, PREFIX, listed};
use crate::sanitize;

/// What somebody may have meant by a command that is not sent: a command that is one slip away, or the same with our
/// prefix before its key.
#[must_use]
pub(super) fn meant(words: &[Vec<u8>]) -> Option<String> {
    let Some(command) = listed(words) else {
        let name = String::from_utf8_lossy(words.first()?).to_uppercase();
        let names = COMPLETIONS.iter().copied().filter(|known| !known.contains(' '));
        let (distance, nearest) = names.map(|known| (slips(&name, known), known)).min()?;
        return (distance <= MOST_SLIPS && distance * 3 <= name.len()).then(|| nearest.to_owned());
    };
    if matches!(command.name, "keys" | "scan") {
        return None;
    }
    let key = words.get(1)?;
    let text = std::str::from_utf8(key).ok()?;
    (!key.starts_with(PREFIX.as_bytes()) && !text.is_empty() && !text.contains('*'))
        .then(|| format!("{PREFIX}{}", sanitize::line(text)))
}

/// Slips of the finger between a word that was typed and the command that was meant.
const MOST_SLIPS: usize = 2;

/// The edit distance of two words (Levenshtein), of at most 20 characters each.
fn slips(typed: &str, meant: &str) -> usize {
    let (typed, meant): (Vec<char>, Vec<char>) = (typed.chars().take(20).collect(), meant.chars().collect());
    let mut row: Vec<usize> = (0..=meant.len()).collect();
    for (from, a) in typed.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = from + 1;
        for (to, b) in meant.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[to + 1];
            row[to + 1] = replaced.min(row[to] + 1).min(diagonal + 1);
        }
    }
    row[meant.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_a_stranger() {
        let guessed = |line: &str| {
            let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            meant(&words)
        };
        assert_eq!(
            guessed("HINCBY sessiontut:a visits 1").as_deref(),
            Some("HINCRBY")
        );
        assert_eq!(guessed("exprie sessiontut:a 10").as_deref(), Some("EXPIRE"));
        assert_eq!(
            guessed("HGETALL user:ada").as_deref(),
            Some("sessiontut:user:ada")
        );
        assert_eq!(guessed("FLUSHALL"), None);
        assert_eq!(guessed("KEYS user:*"), None);
        assert_eq!(guessed("xx"), None);
    }
}
