//! Checks of failures: Redis does not reply, is down, or loses a connection.

use std::time::{Duration, Instant};

use crate::check::exchange::Exchange;
use crate::check::grader::{Grader, Judged, NotHeld, fails, shown_keys};
use crate::check::redis_command::Key;

/// How long the app may take to respond while Redis does not reply.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long the app may take to recover when Redis is back.
const RECOVER_WITHIN: Duration = Duration::from_secs(10);
/// The connection is cut after the first command of a login, after the second, and so on, up to this number.
const MOST_CUTS: usize = 8;
/// What the app did while Redis did not reply.
#[derive(Clone)]
pub(crate) struct Silence {
    visit: Exchange,
    login: Exchange,
    /// Whether the response to the login set a new session cookie.
    has_new_cookie: bool,
    /// How long the app took to recover, or `None` if it did not recover.
    recovered: Option<Duration>,
    last: Exchange,
}

/// Makes Redis stop replying, visits the app, logs in, and makes Redis reply again. If another check has
/// already done this, returns its result.
async fn silence(grader: &mut Grader) -> Result<Silence, NotHeld> {
    if let Some(silence) = &grader.silence {
        return Ok(silence.clone());
    }
    grader.proxy()?;
    let cookie = grader.session_cookie().await?;
    let mut user = grader.logged_in().await?;
    grader.visit(&mut user).await?;
    let name = grader.name();
    let mut other = grader.visitor();
    let form = other.login_form(&name).await;
    let before = other.cookie(&cookie);
    let proxy = grader.proxy()?;
    proxy.be_silent();
    let visit = user.visitor.home().await;
    let login = other.submit(&form).await;
    proxy.come_back();
    let has_new_cookie = other.cookie(&cookie).is_some() && other.cookie(&cookie) != before;
    let started = Instant::now();
    let (recovered, last) = loop {
        let mut visitor = grader.visitor();
        let name = grader.name();
        let login = visitor.log_in(&name).await;
        let home = visitor.home().await;
        if grader.shows_login(&home) {
            break (Some(started.elapsed()), home);
        }
        if started.elapsed() > RECOVER_WITHIN
            || grader.app.as_mut().is_some_and(crate::check::app::App::has_ended)
        {
            break (None, login);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    };
    if recovered.is_none()
        && let Some(app) = &mut grader.app
    {
        // The other checks need a working app.
        let _ = app.restart_after_kill().await;
    }
    let silence = Silence {
        visit,
        login,
        has_new_cookie,
        recovered,
        last,
    };
    grader.silence = Some(silence.clone());
    Ok(silence)
}

pub(crate) async fn login_waits_for_redis(grader: &mut Grader) -> Judged {
    let silence = silence(grader).await?;
    let is_success = silence
        .login
        .answer_to_form()
        .is_some_and(|page| page.status < 400);
    if is_success && silence.has_new_cookie {
        return fails(
            "a login while Redis does not answer",
            "an error page",
            "a new session cookie",
            &[&silence.login],
        );
    }
    Ok(())
}

pub(crate) async fn answers_while_redis_is_silent(grader: &mut Grader) -> Judged {
    let silence = silence(grader).await?;
    for (what, exchange) in [("a visit", &silence.visit), ("a login", &silence.login)] {
        if exchange.longest() > ANSWER_WITHIN {
            let got = exchange.http_lines().join("; ");
            let got = format!("{got} (after {:.1} s)", exchange.longest().as_secs_f64());
            return fails(
                format!("{what} while Redis does not answer"),
                "a response within 5 s",
                got,
                &[exchange],
            );
        }
    }
    Ok(())
}

pub(crate) async fn recovers_without_a_restart(grader: &mut Grader) -> Judged {
    let silence = silence(grader).await?;
    match silence.recovered {
        Some(_) => Ok(()),
        None => {
            let expected = format!("logins work within {} s", RECOVER_WITHIN.as_secs());
            let got = silence.last.http_lines().join("; ");
            fails(
                "Redis did not reply for a while, but now replies again",
                expected,
                got,
                &[&silence.last],
            )
        }
    }
}

pub(crate) async fn unavailable_is_503(grader: &mut Grader) -> Judged {
    let silence = silence(grader).await?;
    for (what, exchange) in [("a visit", &silence.visit), ("a login", &silence.login)] {
        let status = exchange.answer_to_form().map(|page| page.status);
        if status != Some(503) {
            let got = exchange.http_lines().join("; ");
            return fails(
                format!("{what} while Redis does not answer"),
                "status 503",
                got,
                &[exchange],
            );
        }
    }
    Ok(())
}

pub(crate) async fn cut_login_leaves_nothing(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let cookie = grader.session_cookie().await?;
    let name = grader.name();
    let mut visitor = grader.visitor();
    let form = visitor.login_form(&name).await;
    // The redirect is not followed, because the visit that it causes is not part of the login.
    let whole = visitor.submit_only(&form).await;
    let commands = whole.cuts();
    for cut in 1..=commands.min(MOST_CUTS) {
        let name = grader.name();
        let mut visitor = grader.visitor();
        let form = visitor.login_form(&name).await;
        let proxy = grader.proxy()?;
        let before = proxy.living_keys().await;
        proxy.cut_after(cut);
        let mut login = visitor.submit_only(&form).await;
        let was_cut = proxy.was_cut();
        grader.settle(&mut login).await;
        if !was_cut {
            continue;
        }
        let did = format!("a login, with the connection to Redis cut after command {cut} of {commands}");
        let after = grader.proxy()?.living_keys().await;
        let left: Vec<Key> = grader
            .own_keys(login.keys())
            .await?
            .into_iter()
            .filter(|key| !before.contains_key(key) && after.get(key) == Some(&-1))
            .collect();
        if !left.is_empty() {
            return fails(
                did,
                "no key without a TTL",
                format!("no TTL: {}", shown_keys(&left)),
                &[&login],
            );
        }
        let is_success = login.answer_to_form().is_some_and(|page| page.status < 400);
        if is_success && visitor.cookie(&cookie).is_some() {
            let home = visitor.home().await;
            if !grader.shows_login(&home) {
                return fails(
                    did,
                    "an error page, or a session that works",
                    "a cookie without a session",
                    &[&login, &home],
                );
            }
        }
    }
    Ok(())
}

pub(crate) async fn visit_without_cookie_needs_no_redis(grader: &mut Grader) -> Judged {
    let proxy = grader.proxy()?;
    proxy.go_down();
    let home = grader.visitor().home().await;
    proxy.come_back();
    // A client library may wait before it reconnects.
    let started = Instant::now();
    loop {
        match grader.logged_in().await {
            Ok(_) => break,
            Err(_) if started.elapsed() > RECOVER_WITHIN => break,
            Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
        }
    }
    match home.page().is_some_and(|page| page.status < 500) {
        true => Ok(()),
        false => fails(
            "a visit without a cookie, while Redis is down",
            "a page",
            home.http_lines().join("; "),
            &[&home],
        ),
    }
}
