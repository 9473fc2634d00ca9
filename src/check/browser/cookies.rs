//! Access to a visitor's cookies, and copies of a visitor with changed cookies.

use url::Url;

use super::Visitor;

impl Visitor {
    /// Returns the names and values of the cookies for the home page.
    pub(crate) fn cookies(&self) -> Vec<(String, String)> {
        let url = self.site.settings.url(&self.site.settings.pages.home);
        let values = self.jar.get_request_values(&url);
        values
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Returns the cookies that a request to the home page contains, as in the header Cookie.
    pub(crate) fn sent_cookies(&self) -> String {
        self.cookies_for(&self.site.settings.url(&self.site.settings.pages.home))
    }

    pub(super) fn cookies_for(&self, url: &Url) -> String {
        let values = self.jar.get_request_values(url);
        let values = values.map(|(name, value)| format!("{name}={value}"));
        values.collect::<Vec<_>>().join("; ")
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies()
            .into_iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value)
    }

    /// Returns a copy of this visitor that has only the cookie `name=value`.
    pub(crate) fn with_only_cookie(&self, name: &str, value: &str) -> Self {
        let mut other = Self::new(&self.site);
        // Like a browser, ignore an invalid cookie.
        let _ = other
            .jar
            .parse(&format!("{name}={value}; Path=/"), &self.url("/"));
        other
    }

    /// Returns a copy of this visitor in which the cookie `name` has the value `value`. If `value` is `None`,
    /// the copy does not have that cookie.
    pub(crate) fn with_cookie(&self, name: &str, value: Option<&str>) -> Self {
        let mut other = Self::new(&self.site);
        let url = self.site.settings.url(&self.site.settings.pages.home);
        for cookie in self.jar.matches(&url) {
            let value = match cookie.name() == name {
                true => value,
                false => Some(cookie.value()),
            };
            // Keep the path: a browser stores cookies with the same name but different paths separately.
            let (name, path) = (cookie.name(), String::from(&cookie.path));
            if let Some(value) = value {
                let _ = other.jar.parse(&format!("{name}={value}; Path={path}"), &url);
            }
        }
        other
    }
}
