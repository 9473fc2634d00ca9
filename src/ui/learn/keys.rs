//! The keys that a learner can press in a lesson.

use dialoguer::console::measure_text_width;

use crate::learn::learner::{Key, Offer};
use crate::ui::prompt::Key as Pressed;

/// The keys, with their names on the screen and words that have the same effect.
const KEYS: &[(Key, &str, &[&str])] = &[
    (Key::Next, "Enter", &["", "y", "yes", "next"]),
    (Key::Hint, "h", &["hint"]),
    (Key::Solution, "s", &["solution"]),
    (Key::List, "i", &["list"]),
    (Key::Language, "l", &["language"]),
    (Key::Files, "c", &["code"]),
    (Key::StartCommand, "a", &[]),
    (Key::Redo, "r", &["redo"]),
    (Key::Back, "b", &["back"]),
    (Key::FastLane, "f", &[]),
    (Key::Ping, "p", &[]),
    (Key::No, "n", &["no", "skip"]),
    (Key::Quit, "q", &["quit", "exit"]),
];

/// Returns the meaning of a key press, or `None` if the key is not offered.
pub(super) fn meaning(pressed: &Pressed, offers: &[Offer]) -> Option<Key> {
    match pressed {
        Pressed::Enter => offers.first().map(|offer| offer.key),
        Pressed::Char(character) => of_word(&character.to_lowercase().to_string(), offers),
        _ => None,
    }
}

/// Returns the key for a typed word, or `None` if the key is not offered.
pub(super) fn of_word(word: &str, offers: &[Offer]) -> Option<Key> {
    let offered = |key: Key| offers.iter().any(|offer| offer.key == key).then_some(key);
    let word = word.trim().to_lowercase();
    let mut keys = KEYS.iter();
    let (key, ..) = keys.find(|(_, sign, words)| *sign == word || words.contains(&word.as_str()))?;
    // If there is nothing to decline, `n` means the same as [`Key::Next`].
    offered(*key).or_else(|| (*key == Key::No).then(|| offered(Key::Next)).flatten())
}

/// Returns the offers in one line of at most `width` columns. If not all offers fit, adds `? more` for the
/// key that lists all offers.
pub(super) fn key_line(offers: &[Offer], width: usize) -> String {
    let all: Vec<String> = offers.iter().map(shown).collect();
    let whole = all.join("  ");
    if measure_text_width(&whole) <= width {
        return whole;
    }
    let mut kept = vec!["? more".to_owned(), "q quit".to_owned()];
    let others = offers.iter().filter(|offer| offer.key != Key::Quit);
    for (next, offer) in others.enumerate() {
        kept.insert(next, shown(offer));
        if measure_text_width(&kept.join("  ")) > width {
            kept.remove(next);
            break;
        }
    }
    // A very narrow window shows fewer keys, but all of them work.
    while measure_text_width(&kept.join("  ")) > width && kept.pop().is_some() {}
    kept.join("  ")
}

/// Returns the offers without a leading [`Key::Next`], which the prompt itself shows.
pub(super) fn others(offers: &[Offer]) -> &[Offer] {
    match offers {
        [first, others @ ..] if first.key == Key::Next => others,
        _ => offers,
    }
}

fn shown(offer: &Offer) -> String {
    format!("{} {}", sign(offer.key), offer.does)
}

/// Explains the keys, one per line.
pub(super) fn explained(offers: &[Offer]) -> Vec<String> {
    let explain = |offer: &Offer| explained_key(sign(offer.key), offer.does);
    offers.iter().map(explain).collect()
}

pub(super) fn explained_key(sign: &str, does: &str) -> String {
    format!("{sign:>7}  {does}")
}

/// Whether a typed word stands for a key press, even if that key is not offered.
pub(super) fn is_key_word(word: &str) -> bool {
    let word = word.to_lowercase();
    let mut keys = KEYS.iter();
    keys.any(|(_, sign, words)| *sign == word || words.contains(&word.as_str()))
}

/// Returns the name under which the screen shows a key.
fn sign(key: Key) -> &'static str {
    let found = KEYS.iter().find(|(other, ..)| *other == key);
    found.map_or("", |(_, sign, _)| sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERS: [Offer; 5] = [
        Offer {
            key: Key::Next,
            does: "run",
        },
        Offer {
            key: Key::Hint,
            does: "hint",
        },
        Offer {
            key: Key::List,
            does: "list",
        },
        Offer {
            key: Key::Redo,
            does: "redo",
        },
        Offer {
            key: Key::Quit,
            does: "quit",
        },
    ];

    #[test]
    fn the_keys_fit_into_a_narrow_window() {
        assert_eq!(key_line(&OFFERS, 80), "Enter run  h hint  i list  r redo  q quit");
        assert_eq!(
            key_line(&OFFERS, 40),
            "Enter run  h hint  i list  ? more  q quit".replace("  i list", "")
        );
        assert_eq!(key_line(&OFFERS, 20), "? more  q quit");
        assert_eq!(key_line(&OFFERS, 3), "");
    }

    #[test]
    fn only_what_is_offered_can_be_pressed() {
        assert_eq!(meaning(&Pressed::Enter, &OFFERS), Some(Key::Next));
        assert_eq!(meaning(&Pressed::Char('H'), &OFFERS), Some(Key::Hint));
        assert_eq!(meaning(&Pressed::Char('n'), &OFFERS), Some(Key::Next));
        assert_eq!(meaning(&Pressed::Char('s'), &OFFERS), None);
        assert_eq!(of_word("HGET sessiontut:a", &OFFERS), None);
        assert_eq!(of_word("ping", &OFFERS), None);
    }
}
