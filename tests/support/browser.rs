//! Runs headless Chromium, controlled through WebDriver.

// Only one test uses this module.
#![allow(unreachable_pub)]

use std::path::{Path, PathBuf};
use std::process::Command;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::ports::free_port;
use crate::support::process::{Process, required};
use crate::support::wait::{self, PATIENCE};

/// Whether pages can run scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripts {
    On,
    Off,
}

/// A browser with an empty profile. It is closed when dropped.
pub struct Browser {
    /// The WebDriver client.
    pub client: Client,
    driver: Process,
    _folder: TempDir,
}

impl Browser {
    /// Starts the browser.
    pub async fn start(scripts: Scripts) -> Self {
        let folder = TempDir::new().unwrap();
        let (driver, port) = driver(folder.path());
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".into(), options(folder.path(), scripts));
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Self {
            client,
            driver,
            _folder: folder,
        }
    }

    /// Opens the app's page at `path`.
    pub async fn open(&self, port: u16, path: &str) {
        self.client
            .goto(&format!("http://127.0.0.1:{port}{path}"))
            .await
            .unwrap();
    }

    /// Fills in the login form and submits it.
    pub async fn log_in(&self, port: u16, name: &str) {
        self.open(port, "/login").await;
        let field = self
            .client
            .find(Locator::Css("input[name=username]"))
            .await
            .unwrap();
        field.send_keys(name).await.unwrap();
        self.click("form.login button").await;
        self.wait_for_text("main", &format!("Logged in as {name}")).await;
    }

    /// Clicks on the first element that matches `css`.
    pub async fn click(&self, css: &str) {
        self.client
            .find(Locator::Css(css))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
    }

    /// Returns the visible text of the first element that matches `css`, or an empty string if none matches.
    pub async fn text(&self, css: &str) -> String {
        match self.client.find(Locator::Css(css)).await {
            // The page might be replaced between finding the element and reading its text.
            Ok(element) => element.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Returns an attribute of the first element that matches `css`, or `None` if there is no such element or
    /// attribute.
    pub async fn attribute(&self, css: &str, name: &str) -> Option<String> {
        let element = self.client.find(Locator::Css(css)).await.ok()?;
        element.attr(name).await.ok()?
    }

    /// Waits until the visible text of the first element that matches `css` contains `wanted`. Returns this
    /// text.
    #[track_caller]
    pub fn wait_for_text<'a>(&'a self, css: &'a str, wanted: &'a str) -> impl Future<Output = String> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let end = tokio::time::Instant::now() + PATIENCE;
            loop {
                let text = self.text(css).await;
                if text.contains(wanted) {
                    return text;
                }
                assert!(
                    tokio::time::Instant::now() < end,
                    "{caller}: timed out waiting for {wanted:?} in {css}: {text:?}"
                );
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }

    /// Sends a command of the Chrome DevTools Protocol.
    pub async fn chromium(&self, command: &'static str, parameters: Value) -> Value {
        let command = ChromiumCommand { command, parameters };
        self.client.issue_cmd(command).await.unwrap()
    }

    /// Sets the colour scheme and the size of the window.
    pub async fn look_like(&self, scheme: &str, width: u32, height: u32) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.chromium("Emulation.setEmulatedMedia", json!({ "features": features }))
            .await;
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.chromium("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Saves a screenshot of the whole page under target/.
    pub async fn picture(&self, name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!("{name}.png"));
        std::fs::write(&path, self.client.screenshot().await.unwrap()).unwrap();
        path
    }

    /// Closes the browser session.
    pub async fn close(self) {
        let _ = self.client.clone().close().await;
    }
}

impl Drop for Browser {
    /// Sends SIGTERM to the driver, which then stops its browser. After a SIGKILL, the browser would keep
    /// running.
    fn drop(&mut self) {
        self.driver.signal("TERM");
        let _ = wait::within(PATIENCE, || self.driver.has_ended().then_some(()));
    }
}

fn driver(folder: &Path) -> (Process, u16) {
    let program = required("chromedriver", "chromium-driver");
    for _ in 0..5 {
        let port = free_port();
        let mut command = Command::new(&program);
        command.arg(format!("--port={port}"));
        let ready = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        if let Ok(driver) = Process::start(command, &folder.join("driver.log"), ready) {
            return (driver, port);
        }
    }
    panic!("chromedriver does not start");
}

fn options(folder: &Path, scripts: Scripts) -> Value {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        &profile,
    ];
    // The value 2 means blocked.
    let preferences = match scripts {
        Scripts::On => json!({}),
        Scripts::Off => json!({ "profile.managed_default_content_settings.javascript": 2 }),
    };
    json!({ "binary": required("chromium", "chromium"), "args": arguments, "prefs": preferences })
}

#[derive(Debug)]
struct ChromiumCommand {
    command: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for ChromiumCommand {
    fn endpoint(&self, base_url: &url::Url, session_id: Option<&str>) -> Result<url::Url, url::ParseError> {
        base_url.join(&format!(
            "session/{}/goog/cdp/execute",
            session_id.unwrap_or_default()
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (axum::http::Method, Option<String>) {
        let body = json!({ "cmd": self.command, "params": self.parameters });
        (axum::http::Method::POST, Some(body.to_string()))
    }
}
