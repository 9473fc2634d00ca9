//! Tests the app in a real browser, as a person uses it.

// Clippy's exemption for tests does not cover the functions that tests call.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;
// This module is included only here, because no other test needs a browser.
#[path = "support/browser.rs"]
mod browser;

use std::time::Duration;

use browser::{Browser, Scripts};
use fantoccini::Locator;
use serde_json::json;
use support::{App, RedisServer};

/// Returns how much of the countdown ring has run down, in percent.
async fn run_down(browser: &Browser) -> f64 {
    let offset = browser.attribute("#arc", "stroke-dashoffset").await;
    offset.and_then(|offset| offset.parse().ok()).unwrap_or(0.0)
}

async fn wait_until_run_down(browser: &Browser, wanted: impl Fn(f64) -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let found = run_down(browser).await;
        if wanted(found) {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "the ring stays at {found} %");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the message below the countdown ring appears or disappears.
async fn wait_for_message(browser: &Browser, is_there: bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    while browser.text("#ended").await.is_empty() == is_there {
        assert!(tokio::time::Instant::now() < end, "message expected: {is_there}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_person_logs_in_visits_and_watches_the_session_end() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "4"]);
    let browser = Browser::start(Scripts::On).await;
    browser.open(app.port, "/").await;
    browser.wait_for_text("main", "You are not logged in").await;
    browser.log_in(app.port, "Ada <b>L.</b>").await;
    browser.wait_for_text("main", "Visits: 1").await;
    browser.click("a.button").await;
    browser.wait_for_text("main", "Visits: 2").await;

    wait_until_run_down(&browser, |percent| percent > 20.0).await;
    browser.wait_for_text("#left", "0 s").await;
    assert!(!browser.text("#ended").await.is_empty());
    browser.click("a.button").await;
    browser.wait_for_text("main", "You are not logged in").await;
    browser.close().await;
}

#[tokio::test]
async fn logging_out_takes_the_cookie_and_the_key() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "600"]);
    let browser = Browser::start(Scripts::On).await;
    browser.log_in(app.port, "ada").await;
    let cookie = browser.client.get_named_cookie("session").await.unwrap();
    assert_eq!((cookie.http_only(), cookie.path()), (Some(true), Some("/")));
    browser.click("form[action='/logout'] button").await;
    browser.wait_for_text("main", "You are not logged in").await;
    assert!(browser.client.get_named_cookie("session").await.is_err());
    assert_eq!(server.sessions(), Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn a_tampered_cookie_is_logged_out() {
    let server = RedisServer::start();
    for stage in ["1", "4"] {
        let app = App::start(&server.url(), &["--stage", stage, "--ttl", "600"]);
        let browser = Browser::start(Scripts::On).await;
        browser.log_in(app.port, "ada").await;
        let cookie = browser.client.get_named_cookie("session").await.unwrap();
        let changed = format!("{}AAAA", &cookie.value()[..cookie.value().len() - 4]);
        let address = format!("http://127.0.0.1:{}/", app.port);
        let changed = json!({ "name": "session", "value": changed, "url": address, "httpOnly": true });
        browser.chromium("Network.setCookie", changed).await;
        let sent = browser.client.get_named_cookie("session").await.unwrap();
        assert_ne!(sent.value(), cookie.value());
        browser.open(app.port, "/").await;
        browser.wait_for_text("main", "You are not logged in").await;
        browser.close().await;
    }
}

#[tokio::test]
async fn a_visit_in_one_tab_refills_the_ring_in_the_other() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "20"]);
    let browser = Browser::start(Scripts::On).await;
    browser.log_in(app.port, "ada").await;
    let first = browser.client.window().await.unwrap();
    wait_until_run_down(&browser, |percent| percent > 15.0).await;

    let second = browser.client.new_window(true).await.unwrap();
    browser.client.switch_to_window(second.handle).await.unwrap();
    browser.open(app.port, "/").await;
    browser.wait_for_text("main", "Visits: 2").await;
    browser.client.switch_to_window(first).await.unwrap();
    wait_until_run_down(&browser, |percent| percent < 12.0).await;
    let fields = browser.wait_for_text("#fields", "visits 2").await;
    assert!(fields.contains("username ada"), "{fields}");
    // The rest of the page must not have changed, because only the view of the data is updated.
    browser.wait_for_text("main", "Visits: 1").await;
    browser.close().await;
}

#[tokio::test]
async fn a_dozen_tabs_load_and_the_one_that_is_looked_at_is_live() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "600"]);
    let browser = Browser::start(Scripts::On).await;
    browser.log_in(app.port, "ada").await;
    let first = browser.client.window().await.unwrap();
    wait_until_run_down(&browser, |percent| percent > 0.1).await;
    for visits in 2..=12 {
        let tab = browser.client.new_window(true).await.unwrap();
        browser.client.switch_to_window(tab.handle).await.unwrap();
        browser.open(app.port, "/").await;
        browser.wait_for_text("main", &format!("Visits: {visits}")).await;
        wait_until_run_down(&browser, |percent| percent > 0.0).await;
    }
    browser.client.switch_to_window(first).await.unwrap();
    browser.wait_for_text("#fields", "visits 12").await;
    browser.close().await;
}

#[tokio::test]
async fn an_open_page_shows_when_the_app_stops_and_restarts() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "600"]);
    let browser = Browser::start(Scripts::On).await;
    let port = app.port;
    browser.log_in(port, "ada").await;
    wait_until_run_down(&browser, |percent| percent > 0.1).await;
    app.stop();
    wait_for_message(&browser, true).await;
    let _again = App::start(
        &server.url(),
        &["--ttl", "600", "--listen", &format!("127.0.0.1:{port}")],
    );
    wait_for_message(&browser, false).await;
    browser.close().await;
}

#[tokio::test]
async fn without_scripts_everything_except_the_countdown_works() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "600"]);
    let browser = Browser::start(Scripts::Off).await;
    browser.log_in(app.port, "ada").await;
    browser.wait_for_text("main", "Visits: 1").await;
    browser.click("a.button").await;
    let main = browser.wait_for_text("main", "Visits: 2").await;
    assert_eq!(browser.text("#left").await, "600 s");
    assert!(main.contains("HINCRBY"), "{main}");
    browser.click("summary").await;
    browser.wait_for_text("details", "HINCRBY").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(run_down(&browser).await < 0.1, "a script has changed the ring");
    browser.click("form[action='/logout'] button").await;
    browser.wait_for_text("main", "You are not logged in").await;
    browser.close().await;
}

#[tokio::test]
async fn the_keyboard_is_enough() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "600"]);
    let browser = Browser::start(Scripts::On).await;
    browser.open(app.port, "/login").await;
    let focused = browser.client.active_element().await.unwrap();
    focused.send_keys("ada\u{e007}").await.unwrap();
    browser.wait_for_text("main", "Visits: 1").await;
    // The first element that the Tab key reaches is the link for skipping the navigation.
    browser
        .client
        .find(Locator::Css("body"))
        .await
        .unwrap()
        .send_keys("\u{e004}")
        .await
        .unwrap();
    let skip = browser.client.active_element().await.unwrap();
    assert_eq!(skip.attr("href").await.unwrap().as_deref(), Some("#main"));
    browser.close().await;
}

#[tokio::test]
async fn an_open_page_shows_when_redis_fails_and_recovers() {
    let mut server = RedisServer::with().durable().start();
    let app = App::start(&server.url(), &["--ttl", "600"]);
    let browser = Browser::start(Scripts::On).await;
    browser.log_in(app.port, "ada").await;
    wait_until_run_down(&browser, |percent| percent > 0.1).await;
    server.kill();
    wait_for_message(&browser, true).await;
    server.restart();
    wait_for_message(&browser, false).await;
    browser.close().await;
}

#[tokio::test]
async fn the_page_fits_in_light_and_dark_and_on_a_phone() {
    let server = RedisServer::start();
    let app = App::start(&server.url(), &["--ttl", "60"]);
    let second = App::at_stage(&server, "3");
    let browser = Browser::start(Scripts::On).await;
    browser.log_in(app.port, "Ada Lovelace").await;
    let link = format!("http://127.0.0.1:{}/", second.port);
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    while !browser.text("main").await.contains(&link) {
        assert!(tokio::time::Instant::now() < end, "no link to the other instance");
        tokio::time::sleep(Duration::from_millis(100)).await;
        browser.open(app.port, "/").await;
    }
    wait_until_run_down(&browser, |percent| percent > 3.0).await;
    let light = is_light(&browser, "light", 1100, 1500, "home-light").await;
    let dark = is_light(&browser, "dark", 1100, 1500, "home-dark").await;
    assert!(light && !dark);
    for (path, name) in [
        ("/", "home"),
        ("/login", "login"),
        ("/source", "source"),
        ("/lesson", "lessons"),
        ("/lesson/session-store", "lesson"),
        ("/lesson/in-production", "lesson-with-tables"),
        ("/nowhere", "notice"),
    ] {
        browser.open(app.port, path).await;
        for (scheme, width) in [("light", 390), ("dark", 390), ("light", 1100)] {
            is_light(&browser, scheme, width, 1500, &format!("{name}-{scheme}-{width}")).await;
            let wider = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
            let wider = browser.client.execute(wider, vec![]).await.unwrap();
            assert_eq!(wider, 0, "{path} scrolls sideways at {width}");
        }
    }
    browser.close().await;
}

/// Takes a screenshot, and returns whether the page's background is light.
async fn is_light(browser: &Browser, scheme: &str, width: u32, height: u32, name: &str) -> bool {
    browser.look_like(scheme, width, height).await;
    browser.picture(name).await;
    let colour = "return getComputedStyle(document.body).backgroundColor";
    let colour = browser.client.execute(colour, vec![]).await.unwrap();
    let red: String = colour
        .as_str()
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_digit() || *c == ',')
        .collect();
    red.split(',')
        .next()
        .and_then(|red| red.parse::<u32>().ok())
        .unwrap_or(0)
        > 128
}
