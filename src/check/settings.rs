//! The settings of `check`: what to test, and how the app differs from the lessons' app.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use regex_lite::Regex;
use url::Url;

/// The app's paths, its form field, and the texts on its pages.
#[derive(Clone, Debug)]
pub(crate) struct AppPages {
    pub(crate) home: String,
    pub(crate) login: String,
    pub(crate) logout: String,
    /// The name of the form field for the user name.
    pub(crate) field: String,
    /// A pattern that matches a page's text only if a user is logged in.
    pub(crate) logged_in: Regex,
    /// A pattern that matches the visit count. The number is the first group or, without a group, the whole
    /// match.
    pub(crate) visits: Regex,
}

impl Default for AppPages {
    fn default() -> Self {
        let regex = |pattern| Regex::new(pattern).expect("the pattern is valid");
        Self {
            home: "/".into(),
            login: "/login".into(),
            logout: "/logout".into(),
            field: "username".into(),
            logged_in: regex(LOGGED_IN),
            visits: regex(VISITS),
        }
    }
}

/// The default of `--logged-in`. The home page of `serve` contains this text (`templates/home.html`).
pub(crate) const LOGGED_IN: &str = "Logged in as";
/// The default of `--visits`.
pub(crate) const VISITS: &str = r"Visits:\s*(\d+)";

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The tutorial's stage that the app implements, 1 to 4.
    pub(crate) stage: u8,
    /// Whether to run only the checks of `stage`, without those of earlier stages.
    pub(crate) only_stage: bool,
    pub(crate) base: Url,
    /// The TTL that the app should use.
    pub(crate) ttl: Duration,
    /// The maximum lifetime of a session, or `None` to skip the check of the lifetime.
    pub(crate) max_age: Option<Duration>,
    pub(crate) pages: AppPages,
}

impl Settings {
    /// Returns the URL of a path in the app. Prepends the path of the base URL, as in
    /// `http://127.0.0.1:5000/shop`, unless `path` already begins with it.
    pub(crate) fn url(&self, path: &str) -> Url {
        let root = self.root();
        let is_below = path == root || path.starts_with(&format!("{root}/"));
        let path = match is_below {
            true => path.to_owned(),
            false => format!("{root}/{}", path.trim_start_matches('/')),
        };
        self.base.join(&path).unwrap_or_else(|_| self.base.clone())
    }

    /// Returns the path of the base URL without a trailing slash. The path is usually empty.
    pub(crate) fn root(&self) -> &str {
        self.base.path().trim_end_matches('/')
    }

    /// Whether to run the checks of this stage.
    pub(crate) fn includes(&self, stage: u8) -> bool {
        if self.only_stage {
            stage == self.stage
        } else {
            stage <= self.stage
        }
    }
}

/// Returns the socket address for this URL.
pub(crate) fn address_of(url: &Url) -> Result<SocketAddr, String> {
    let host = url.host_str().ok_or("the URL has no host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or(80);
    let addresses = (host, port)
        .to_socket_addrs()
        .map_err(|error| error.to_string())?;
    // Prefer IPv4: most development servers listen only on 127.0.0.1, even if localhost also has an IPv6
    // address.
    let best = addresses.min_by_key(SocketAddr::is_ipv6);
    best.ok_or_else(|| format!("{host} has no address"))
}
