//! The cookies of a visitor, and copies of the visitor with other cookies.

use super::Visitor;

impl Visitor {
    /// Returns the names and values of the cookies that are sent to the home page.
    pub(crate) fn cookies(&self) -> Vec<(String, String)> {
        let url = self.site.settings.url(&self.site.settings.pages.home);
        let values = self.jar.get_request_values(&url);
        values
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Returns the value of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.cookies()
            .into_iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value)
    }

    /// Returns a visitor with only this cookie.
    pub(crate) fn with_only_cookie(&self, name: &str, value: &str) -> Self {
        let mut other = Self::new(&self.site);
        // A browser ignores an invalid cookie.
        let _ = other
            .jar
            .parse(&format!("{name}={value}; Path=/"), &self.url("/"));
        other
    }

    /// Returns a copy of this visitor in which one cookie has another value, or is missing.
    pub(crate) fn with_cookie(&self, name: &str, value: Option<&str>) -> Self {
        let mut other = Self::new(&self.site);
        let url = self.site.settings.url(&self.site.settings.pages.home);
        for cookie in self.jar.matches(&url) {
            let value = match cookie.name() == name {
                true => value,
                false => Some(cookie.value()),
            };
            // Keep the path, because a browser stores two cookies with the same name if their paths differ.
            let (name, path) = (cookie.name(), String::from(&cookie.path));
            if let Some(value) = value {
                let _ = other.jar.parse(&format!("{name}={value}; Path={path}"), &url);
            }
        }
        other
    }
}
