//! Reads visible text and form fields from HTML with a few regular expressions.

use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

use crate::secret::html_entity;

/// A `<form>`, `</form>` or `<input>` tag.
pub(super) struct FormTag {
    pub(super) kind: TagKind,
    /// The names and values of the attributes, in the tag's order. Attributes without a value are omitted.
    attributes: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagKind {
    FormStart,
    FormEnd,
    Input,
}

impl FormTag {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// Returns the `<form>`, `</form>` and `<input>` tags in document order.
pub(super) fn form_tags(html: &str) -> Vec<FormTag> {
    static TAG: LazyLock<Regex> =
        LazyLock::new(|| regex(r#"(?is)<(/?)(form|input)\b((?:[^>"']|"[^"]*"|'[^']*')*)>"#));
    let tags = TAG.captures_iter(html).filter_map(|tag| {
        let kind = match (tag[2].to_ascii_lowercase().as_str(), &tag[1]) {
            ("form", "") => TagKind::FormStart,
            ("form", _) => TagKind::FormEnd,
            (_, "") => TagKind::Input,
            _ => return None,
        };
        let attributes = attributes(&tag[3]);
        Some(FormTag { kind, attributes })
    });
    tags.collect()
}

fn attributes(tag: &str) -> Vec<(String, String)> {
    static ATTRIBUTE: LazyLock<Regex> =
        LazyLock::new(|| regex(r#"(?s)([^\s"'>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?"#));
    let found = ATTRIBUTE.captures_iter(tag).filter_map(|attribute| {
        let value = (2..=4).find_map(|group| attribute.get(group))?;
        Some((attribute[1].to_owned(), decoded(value.as_str())))
    });
    found.collect()
}

/// Returns the visible text, without scripts, styles, comments and the title. Line breaks separate blocks.
pub(super) fn text(html: &str) -> String {
    static HIDDEN: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"(?is)<script\b.*?</script\s*>|<style\b.*?</style\s*>|<!--.*?-->|<title\b.*?</title\s*>")
    });
    static INLINE: LazyLock<Regex> = LazyLock::new(|| {
        regex(r"(?i)</?(?:a|abbr|b|bdi|bdo|code|em|i|kbd|mark|q|s|small|span|strong|u|var|wbr)(?:\s[^>]*)?>")
    });
    static TAG: LazyLock<Regex> = LazyLock::new(|| regex(r"(?s)</?[a-zA-Z!][^>]*>"));
    let text = HIDDEN.replace_all(html, " ");
    let text = INLINE.replace_all(&text, "");
    decoded(&TAG.replace_all(&text, "\n"))
}

/// Decodes the HTML entities that template engines insert when they escape text.
fn decoded(text: &str) -> String {
    static ENTITY: LazyLock<Regex> =
        LazyLock::new(|| regex(r"(?i)&(#\d{1,7}|#x[0-9a-f]{1,6}|lt|gt|amp|quot|apos|nbsp);"));
    let replaced = ENTITY.replace_all(text, |found: &Captures<'_>| {
        let one = match found[1].to_ascii_lowercase().as_str() {
            "nbsp" => ' ',
            name => html_entity(name).unwrap_or(char::REPLACEMENT_CHARACTER),
        };
        one.to_string()
    });
    replaced.into_owned()
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is valid")
}
