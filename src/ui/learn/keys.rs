//! The meaning of each key, and the line that lists the keys.

use dialoguer::console::measure_text_width;

use crate::learn::learner::{Key, Offer};
use crate::ui::prompt::Key as Pressed;

/// The character of a key, as it is shown.
pub(super) fn sign(key: Key) -> &'static str {
    match key {
        Key::Next => "Enter",
        Key::Hint => "h",
        Key::Solution => "s",
        Key::List => "i",
        Key::Language => "l",
        Key::Redo => "r",
        Key::Back => "b",
        Key::FastLane => "f",
        Key::Ping => "p",
        Key::No => "n",
        Key::Quit => "q",
    }
}

/// What a key press means among the offers; `None` for one that means nothing here.
pub(super) fn meaning(pressed: &Pressed, offers: &[Offer]) -> Option<Key> {
    let offered = |key: Key| offers.iter().any(|offer| offer.key == key).then_some(key);
    match pressed {
        Pressed::Enter => offers.first().map(|offer| offer.key),
        Pressed::Esc => offered(Key::Quit),
        Pressed::Char(character) => of_word(&character.to_lowercase().to_string(), offers),
        _ => None,
    }
}

/// The same for a key that was typed as a line, or spelt out.
pub(super) fn of_word(word: &str, offers: &[Offer]) -> Option<Key> {
    let offered = |key: Key| offers.iter().any(|offer| offer.key == key).then_some(key);
    let key = match word.trim().to_lowercase().as_str() {
        "h" | "hint" => Key::Hint,
        "s" | "solution" => Key::Solution,
        "i" | "list" => Key::List,
        "l" | "language" => Key::Language,
        "r" | "redo" => Key::Redo,
        "b" | "back" => Key::Back,
        "f" => Key::FastLane,
        "p" => Key::Ping,
        "q" | "quit" | "exit" => Key::Quit,
        "n" => return offered(Key::No).or(offered(Key::Next)),
        " " | "" | "y" | "yes" | "next" | "skip" => Key::Next,
        _ => return None,
    };
    offered(key)
}

/// The offers in one line of at most `width` columns: those that do not fit are shown after `?`.
pub(super) fn line(offers: &[Offer], width: usize) -> String {
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
    // A very narrow window shows fewer keys, or none; they work all the same.
    while measure_text_width(&kept.join("  ")) > width && kept.pop().is_some() {}
    kept.join("  ")
}

fn shown(offer: &Offer) -> String {
    format!("{} {}", sign(offer.key), offer.does)
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
        assert_eq!(line(&OFFERS, 80), "Enter run  h hint  i list  r redo  q quit");
        assert_eq!(
            line(&OFFERS, 40),
            "Enter run  h hint  i list  ? more  q quit".replace("  i list", "")
        );
        assert_eq!(line(&OFFERS, 20), "? more  q quit");
        assert_eq!(line(&OFFERS, 3), "");
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
