//! A response, with methods that find names, numbers and forms in the response.

use serde_json::Value;
use url::Url;

use super::form::{Form, forms};
use super::html;
use super::settings::AppPages;

/// The maximum number of characters of a page that a report shows.
const SHOWN: usize = 160;

/// The response to one request.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    /// The URL of the request.
    pub(crate) url: Url,
    /// The headers in the order received. Names are in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    text: String,
}

impl Page {
    pub(crate) fn new(status: u16, url: Url, headers: Vec<(String, String)>, body: String) -> Self {
        let mut page = Self {
            status,
            url,
            headers,
            body,
            text: String::new(),
        };
        // Extracting the text of a large page takes long, so the text is stored.
        page.text = match page.is_json() {
            true => page.body.clone(),
            false => html::text(&page.body),
        };
        page
    }

    /// Returns the values of all headers with this name, which must be in lower case.
    pub(crate) fn headers_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let matching = self.headers.iter().filter(move |(found, _)| found == name);
        matching.map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_json(&self) -> bool {
        self.headers_named("content-type")
            .any(|kind| kind.contains("json"))
    }

    /// Returns the visible text of HTML, or the unchanged body of JSON.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the page says that a user is logged in.
    pub(crate) fn is_logged_in(&self, pages: &AppPages) -> bool {
        self.status < 400 && pages.logged_in.is_match(self.text())
    }

    /// Whether the page says that the user `name` is logged in.
    pub(crate) fn shows_user(&self, name: &str, pages: &AppPages) -> bool {
        self.is_logged_in(pages) && self.shows_name(name)
    }

    /// Whether the page shows this name as decoded text, not as bytes such as `b'ada'`.
    pub(crate) fn shows_name(&self, name: &str) -> bool {
        if self.is_json() {
            let value = serde_json::from_str(&self.body).unwrap_or(Value::Null);
            return has_string(&value, name);
        }
        let (text, name) = (squeezed(self.text()), squeezed(name));
        // A Python app that does not decode the name shows b'ada'.
        let is_bytes = ["b'", "b\""]
            .iter()
            .any(|start| text.contains(&format!("{start}{name}")));
        text.contains(&name) && !is_bytes
    }

    /// Returns the visit count that the page shows, or `None` if the page shows no count.
    pub(crate) fn visits(&self, pages: &AppPages) -> Option<i64> {
        let found = pages.visits.captures(self.text())?;
        found
            .get(1)
            .or_else(|| found.get(0))?
            .as_str()
            .trim()
            .parse()
            .ok()
    }

    /// Returns the first form that has a field with this name.
    pub(crate) fn form_with(&self, field: &str) -> Option<Form> {
        forms(&self.body, &self.url)
            .into_iter()
            .find(|form| form.fields.iter().any(|(name, _)| name == field))
    }

    /// Returns the first form that sends a POST request to this path.
    pub(crate) fn form_posting_to(&self, path: &str) -> Option<Form> {
        forms(&self.body, &self.url)
            .into_iter()
            .find(|form| form.is_post && form.action.path() == path)
    }

    /// Whether this response might mean that the path accepts only POST. Many frameworks respond to a GET
    /// request for such a path with 405 (RFC 9110, section 15.5.6). Others, such as Express, respond with
    /// 404.
    pub(crate) fn may_be_for_post_only(&self) -> bool {
        matches!(self.status, 404 | 405)
    }

    /// Returns the status and the beginning of the text, for a report.
    pub(crate) fn shown(&self) -> String {
        let text = squeezed(self.text());
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{} {}…", self.status, &text[..end]),
            None => format!("{} {text}", self.status),
        }
    }
}

/// Replaces each sequence of white space with one space.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn has_string(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found.contains(text),
        Value::Array(items) => items.iter().any(|item| has_string(item, text)),
        Value::Object(members) => members.values().any(|member| has_string(member, text)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(kind: &str, body: &str) -> Page {
        let url = Url::parse("http://127.0.0.1:5000/login").unwrap();
        Page::new(200, url, vec![("content-type".into(), kind.into())], body.into())
    }

    #[test]
    fn the_text_of_a_page_is_what_a_visitor_reads() {
        let pages = AppPages::default();
        for (body, name, visits) in [
            ("<p>Logged in as ada<br>Visits: 3</p>", "ada", Some(3)),
            (
                "<h1>Logged in as <b>ada</b></h1><p>Visits: <span>12</span>",
                "ada",
                Some(12),
            ),
            ("<p>Logged in as &lt;b&gt;&#39;x&#x27;</p>", "<b>'x'", None),
            (
                "<script>var x = 'Logged in as eve'</script><p>Logged in as ada",
                "ada",
                None,
            ),
        ] {
            let page = page("text/html", body);
            assert!(page.shows_user(name, &pages), "{body}");
            assert_eq!(page.visits(&pages), visits, "{body}");
        }
        let bytes = page("text/html", "Logged in as b&#39;ada&#39;");
        assert!(!bytes.shows_user("ada", &pages));
        let logged_out = page("text/html", "<p>You are not logged in</p>");
        assert!(!logged_out.is_logged_in(&pages));
    }
}
