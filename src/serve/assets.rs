//! Serves the style sheet, the script and the icon of the pages, which are compiled into the program.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

/// A file that does not change while the program runs.
pub(super) struct Asset {
    pub(super) path: &'static str,
    kind: &'static str,
    text: &'static str,
}

pub(super) static ALL: [Asset; 3] = [
    Asset {
        path: "/style.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("assets/style.css"),
    },
    Asset {
        path: "/live.js",
        kind: "text/javascript; charset=utf-8",
        text: include_str!("assets/live.js"),
    },
    Asset {
        path: "/icon.svg",
        kind: "image/svg+xml",
        text: include_str!("assets/icon.svg"),
    },
];

impl Asset {
    /// Responds with the file, or with the status 304 if the browser already has this version of the file.
    pub(super) async fn respond(&self, request_headers: HeaderMap) -> Response {
        let tag = self.tag();
        let mut known = request_headers.get_all(IF_NONE_MATCH).iter();
        let is_known = known.any(|known| known.as_bytes() == tag.as_bytes());
        let headers = [
            (CONTENT_TYPE, self.kind.to_owned()),
            // Browsers cache the file but revalidate it each time, because another version of the program
            // might run at the same address later.
            (CACHE_CONTROL, "no-cache".to_owned()),
            (ETAG, tag),
        ];
        match is_known {
            true => (StatusCode::NOT_MODIFIED, headers).into_response(),
            false => (headers, self.text).into_response(),
        }
    }

    /// Returns a hash (FNV-1a) of the file's text, which distinguishes versions of the file.
    fn tag(&self) -> String {
        let hash = self.text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("\"{hash:016x}\"")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Text colours and their backgrounds. WCAG 2.1, 1.4.3 requires a contrast of 4.5 to 1.
    const TEXT: &[(&str, &str)] = &[
        ("ink", "paper"),
        ("ink", "card"),
        ("ink", "code"),
        ("soft", "paper"),
        ("soft", "card"),
        ("accent", "paper"),
        ("accent", "card"),
        ("on-accent", "accent"),
        ("warn", "card"),
    ];
    /// Controls, including the focus ring, and their backgrounds. WCAG 2.1, 1.4.11 requires a contrast of 3
    /// to 1.
    const PARTS: &[(&str, &str)] = &[
        ("accent", "paper"),
        ("accent", "card"),
        ("accent", "track"),
        ("soft", "card"),
    ];
    /// Colours of decoration that carries no information: the lines between parts, and the ring behind the
    /// countdown.
    const DECORATION: &[&str] = &["line", "track"];

    fn sheet() -> &'static str {
        ALL[0].text
    }

    /// Returns the colours that one `:root` block defines.
    fn colours(block: &str) -> HashMap<&str, &str> {
        let (block, _) = block.split_once('}').unwrap();
        let declared = block.lines().filter_map(|line| line.trim().strip_prefix("--"));
        declared
            .filter_map(|line| line.trim_end_matches(';').split_once(": #"))
            .collect()
    }

    /// Returns the relative luminance of a colour, as defined in WCAG 2.1.
    fn luminance(hex: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            match value <= 0.04045 {
                true => value / 12.92,
                false => ((value + 0.055) / 1.055).powf(2.4),
            }
        };
        0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn every_colour_has_enough_contrast_in_light_and_dark() {
        assert!((contrast("000000", "ffffff") - 21.0).abs() < 0.01);
        let roots: Vec<_> = sheet().split(":root {").skip(1).map(colours).collect();
        let [light, dark] = &roots[..] else {
            panic!("a light and a dark set of colours are expected");
        };
        for (scheme, colours) in [("light", light), ("dark", dark)] {
            for (pairs, least) in [(TEXT, 4.5), (PARTS, 3.0)] {
                for (front, ground) in pairs {
                    let found = contrast(colours[front], colours[ground]);
                    assert!(
                        found >= least,
                        "{scheme}: {front} on {ground} has {found:.2} to 1"
                    );
                }
            }
        }
    }

    #[test]
    fn every_colour_in_use_is_in_the_tables() {
        let fronts = |pairs: &'static [(&str, &str)]| pairs.iter().map(|(front, _)| *front);
        for line in sheet().lines().map(str::trim) {
            let Some((property, value)) = line.split_once(": ") else {
                continue;
            };
            // Transparency would reduce the contrast.
            assert_ne!(property, "opacity");
            assert!(property.starts_with("--") || !value.contains('#'), "{line}");
            let Some((_, colour)) = value.split_once("var(--") else {
                continue;
            };
            let colour = colour.split(')').next().unwrap();
            let is_listed = match property {
                "color" => fronts(TEXT).any(|front| front == colour),
                "background" => TEXT.iter().any(|(_, ground)| *ground == colour),
                "font" | "font-family" => true,
                _ => fronts(PARTS).any(|part| part == colour) || DECORATION.contains(&colour),
            };
            assert!(is_listed, "{line}");
        }
    }

    #[test]
    fn focus_is_visible_and_animations_can_be_disabled() {
        assert!(sheet().contains(":focus-visible {\n  outline: 3px solid var(--accent);"));
        assert!(!sheet().contains("outline: none") && !sheet().contains("outline: 0"));
        let (moving, still) = sheet().split_once("prefers-reduced-motion: reduce) {").unwrap();
        let still = still.split("\n}").next().unwrap();
        assert!(!moving.contains("animation") && !moving.contains("scroll-behavior"));
        for (before, _) in moving
            .match_indices("transition:")
            .map(|(at, _)| moving.split_at(at))
        {
            let selector = before
                .rsplit('}')
                .next()
                .unwrap()
                .split('{')
                .next()
                .unwrap()
                .trim();
            assert!(still.contains(selector), "{selector} always moves");
        }
    }
}
