//! Stage 4: a session store.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use tokio::time::timeout;

use super::stage1::{changed, log_out};
use super::stage3::refreshes;
use crate::check::browser::Cause;
use crate::check::exchange::Exchange;
use crate::check::grader::{Grader, Judged, LoggedIn, NotHeld, fails, not_judged, shown_keys};
use crate::check::proxy::HoldPoint;
use crate::check::redis_command::{Effect, Key};
use crate::random;

/// The least number of random bits in a token.
const LEAST_BITS: f64 = 128.0;
/// How long the app may take to answer while Redis is silent.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long the app may take to work again when Redis is back.
const RECOVER_WITHIN: Duration = Duration::from_secs(10);
/// How long a request is held at Redis: less than the usual timeouts of clients.
const HOLD_FOR: Duration = Duration::from_millis(400);
/// How long a request may take to reach the place where it is held.
const HELD_WITHIN: Duration = Duration::from_secs(2);
/// The most round trips of a visit at which it is held.
const MOST_HOLDS: usize = 3;
/// The most commands of one login after which the connection is cut.
const MOST_CUTS: usize = 8;

pub(super) async fn cookie_reveals_nothing(grader: &mut Grader) -> Judged {
    let cookie = grader.session_cookie().await?;
    let name = grader.name();
    let first = grader.logged_in_as(name.clone()).await?;
    let second = grader.logged_in_as(name.clone()).await?;
    let value = |user: &LoggedIn| user.visitor.cookie(&cookie).unwrap_or_default();
    let (one, two) = (value(&first), value(&second));
    let did = format!("two logins as {name} from two browsers");
    if reveals(&one, &name) {
        return fails(
            did,
            "a cookie without the name",
            format!("{cookie}={one}"),
            &[&first.login],
        );
    }
    if one == two {
        return fails(
            did,
            "two different cookies",
            format!("twice {cookie}={one}"),
            &[&first.login, &second.login],
        );
    }
    let bits = bits(&one, &two);
    if bits < LEAST_BITS {
        let got = format!("at most {bits:.0} bits: {cookie}={one} and {two}");
        return fails(
            did,
            "a random token of at least 128 bits",
            got,
            &[&first.login, &second.login],
        );
    }
    Ok(())
}

/// Whether a cookie contains the name, also percent-encoded, in base64 or in hexadecimal.
fn reveals(value: &str, name: &str) -> bool {
    let plain = percent_decode_str(value).decode_utf8_lossy().into_owned();
    let contains = |bytes: &[u8]| bytes.windows(name.len()).any(|window| window == name.as_bytes());
    if contains(plain.as_bytes()) || contains(value.as_bytes()) {
        return true;
    }
    plain.split(['.', ':', '|', '!']).any(|part| {
        let part = part.trim_end_matches('=');
        let decoded = [
            URL_SAFE_NO_PAD.decode(part).ok(),
            STANDARD_NO_PAD.decode(part).ok(),
            from_hexadecimal(part),
        ];
        decoded.iter().flatten().any(|bytes| contains(bytes))
    })
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    Some(
        digits?
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit))
            .collect(),
    )
}

/// Returns the most bits that two values of a cookie can contain, by their length and alphabet. A common beginning or end
/// of some length is not random.
fn bits(one: &str, two: &str) -> f64 {
    /// A shorter common part may be chance.
    const CHANCE: usize = 4;
    let common = |a: &mut dyn Iterator<Item = char>, b: &mut dyn Iterator<Item = char>| {
        a.zip(b).take_while(|(a, b)| a == b).count()
    };
    let start = common(&mut one.chars(), &mut two.chars());
    let end = common(&mut one.chars().rev(), &mut two.chars().rev());
    let fixed = [start, end]
        .into_iter()
        .filter(|length| *length > CHANCE)
        .sum::<usize>();
    let letters: Vec<char> = one.chars().filter(char::is_ascii_alphanumeric).collect();
    let has = |kind: fn(&char) -> bool| letters.iter().any(kind);
    let alphabet = if letters.iter().all(char::is_ascii_digit) {
        10
    } else if letters.iter().all(char::is_ascii_hexdigit)
        && !(has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase))
    {
        16
    } else if has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) {
        64
    } else {
        36
    };
    letters.len().saturating_sub(fixed) as f64 * f64::from(alphabet).log2()
}

pub(super) async fn brought_token_is_not_adopted(grader: &mut Grader) -> Judged {
    let cookie = grader.session_cookie().await?;
    let planted = made_up(grader, &cookie).await?;
    let name = grader.name();
    let mut victim = grader.visitor().with_cookie(&cookie, Some(&planted));
    let login = victim.log_in(&name).await;
    let mut attacker = grader.visitor().with_cookie(&cookie, Some(&planted));
    let home = attacker.home().await;
    if victim.cookie(&cookie).as_ref() != Some(&planted) && !grader.shows_login(&home) {
        return Ok(());
    }
    let did = format!("logged in with the made-up cookie {cookie}={planted}");
    let got = "the session has the token that the client brought along";
    fails(did, "a new token", got, &[&login, &home])
}

/// Returns a token that looks like those of the app, but that the app has not created.
async fn made_up(grader: &mut Grader, cookie: &str) -> Result<String, NotHeld> {
    let user = grader.logged_in().await?;
    let value = user.visitor.cookie(cookie).unwrap_or_default();
    let mut noise = random::hexadecimal::<32>().into_bytes().into_iter().cycle();
    // The same length and punctuation.
    Ok(value
        .chars()
        .map(|letter| match letter {
            letter if letter.is_ascii_alphanumeric() => noise.next().map_or('0', char::from),
            other => other,
        })
        .collect())
}

pub(super) async fn login_changes_the_token(grader: &mut Grader) -> Judged {
    let cookie = grader.session_cookie().await?;
    let mut user = grader.logged_in().await?;
    let first = grader.visit(&mut user).await?;
    let mut old = user.visitor.clone();
    let second = grader.name();
    let login = user.visitor.log_in(&second).await;
    let did = format!("logged in as {}, then as {second} in the same browser", user.name);
    if user.visitor.cookie(&cookie) == old.cookie(&cookie) {
        return fails(did, "a new token", "the same token", &[&user.login, &login]);
    }
    let home = old.home().await;
    if grader.shows_login(&home) {
        let got = "a copy of the old cookie still works";
        return fails(did, "the old session has ended", got, &[&first, &login, &home]);
    }
    // An app may create a session before the login.
    let mut visitor = grader.visitor();
    visitor.home().await;
    let Some(anonymous) = visitor.cookie(&cookie) else {
        return Ok(());
    };
    let login = visitor.log_in(&second).await;
    if visitor.cookie(&cookie) == Some(anonymous) {
        return fails(
            "logged in with the cookie of a visitor who was logged out",
            "a new token",
            "the same token",
            &[&login],
        );
    }
    Ok(())
}

pub(super) async fn logout_ends_the_session(grader: &mut Grader) -> Judged {
    let mut user = grader.logged_in().await?;
    grader.visit(&mut user).await?;
    let mut copy = user.visitor.clone();
    let logout = log_out(grader, &mut user).await?;
    let home = copy.home().await;
    match grader.shows_login(&home) {
        false => Ok(()),
        true => fails(
            "copied the cookie, logged out, and used the copy",
            "logged out",
            "the copy still works",
            &[&logout, &home],
        ),
    }
}

pub(super) async fn held_request_revives_nothing(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let mut user = grader.logged_in().await?;
    let visit = grader.visit(&mut user).await?;
    let trips = visit
        .data_commands()
        .map(|command| (command.connection, command.round_trip));
    let mut trips: Vec<_> = trips.collect();
    trips.dedup();
    if trips.is_empty() {
        return Err(not_judged("a visit sends no command"));
    }
    let points = (0..trips.len().min(MOST_HOLDS))
        .flat_map(|number| [HoldPoint::Before(number), HoldPoint::Replies(number)]);
    let mut has_overlapped = false;
    for point in points.clone() {
        has_overlapped |= hold_across_logout(grader, point, None).await?;
    }
    if has_overlapped {
        return Ok(());
    }
    // An app with one connection, or with one thread, cannot overlap with itself, but two instances can.
    if let Some(app) = &grader.app
        && let Ok(mut other) = app.start_another().await
    {
        for point in points {
            has_overlapped |= hold_across_logout(grader, point, Some(other.address())).await?;
        }
        other.stop().await;
    }
    match has_overlapped {
        true => Ok(()),
        false => Err(not_judged(
            "a visit and a logout did not overlap at Redis: the logout sends nothing, or waits for the visit",
        )),
    }
}

/// Holds a visit at this point while the user logs out, at another instance of the app if its address is given. Checks that
/// the session stays ended. Returns whether the logout reached Redis in the meantime.
async fn hold_across_logout(
    grader: &mut Grader,
    point: HoldPoint,
    other: Option<SocketAddr>,
) -> Result<bool, NotHeld> {
    let mut user = grader.logged_in().await?;
    let home = grader.visit(&mut user).await?;
    let home = home
        .page()
        .cloned()
        .ok_or_else(|| not_judged("the home page does not answer"))?;
    let mut slow = user.visitor.clone();
    let mut copy = user.visitor.clone();
    if let Some(other) = other {
        user.visitor = user.visitor.moved_to(other);
    }
    let home = match other {
        Some(_) => user.visitor.home().await.page().cloned().unwrap_or(home),
        None => home,
    };
    let proxy = grader.proxy()?;
    let start = proxy.mark();
    proxy.hold(point);
    let visit = slow.home();
    let mut visit = std::pin::pin!(visit);
    let is_held = tokio::select! {
        held = timeout(HELD_WITHIN, proxy.held()) => held.is_ok(),
        _ = &mut visit => false,
    };
    if !is_held {
        proxy.release();
        return Ok(false);
    }
    let after_hold = proxy.mark();
    let logout = user.visitor.log_out(&home);
    let mut logout = std::pin::pin!(logout);
    let mut quick = None;
    let wait = async {
        quick = timeout(HOLD_FOR, &mut logout).await.ok();
    };
    // Both are polled, because the visit may end early.
    let (early, ()) = {
        let mut early = None;
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => break (early, ()),
                exchange = &mut visit, if early.is_none() => early = Some(exchange),
            }
        }
    };
    let was_blocked = matches!(point, HoldPoint::Before(_)) && proxy.others_wait_behind_the_hold(after_hold);
    let reached = proxy
        .since(after_hold)
        .iter()
        .any(|command| command.effect == Effect::Write && command.reply.is_some());
    let touched: Vec<Key> = {
        let mut keys: Vec<Key> = proxy
            .since(start)
            .into_iter()
            .flat_map(|command| command.keys)
            .collect();
        keys.extend(user.login.keys());
        keys.sort();
        keys.dedup();
        keys
    };
    let between = grader.living(&touched).await?;
    proxy.release();
    let (visit, logout) = match (early, quick) {
        (Some(visit), Some(logout)) => (visit, logout),
        (Some(visit), None) => (visit, logout.await),
        (None, Some(logout)) => (visit.await, logout),
        (None, None) => tokio::join!(visit, logout),
    };
    if was_blocked || !reached {
        return Ok(false);
    }
    let mut visit = visit;
    grader.settle(&mut visit).await;
    let mut used: Vec<Key> = visit.keys();
    used.extend(touched);
    let now = grader.living(&used).await?;
    let revived: Vec<Key> = now.into_iter().filter(|key| !between.contains(key)).collect();
    let did = "a visit that was held at Redis while the user logged out";
    let expected = "the session stays ended";
    let shown = Exchange {
        commands: grader.proxy()?.since(start),
        hops: [visit.hops, logout.hops].concat(),
        mark: start,
    };
    let after = copy.home().await;
    if grader.shows_login(&after) {
        return fails(
            did,
            expected,
            "a copy of the cookie is logged in again",
            &[&shown, &after],
        )
        .map(|()| true);
    }
    if !revived.is_empty() {
        let got = format!("the visit created {} again", shown_keys(&revived));
        return fails(did, expected, got, &[&shown]).map(|()| true);
    }
    Ok(true)
}

pub(super) async fn made_up_token_leaves_no_key(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let cookie = grader.session_cookie().await?;
    let token = made_up(grader, &cookie).await?;
    let user = grader.logged_in().await?;
    let other = changed(&user.visitor.cookie(&cookie).unwrap_or_default());
    for token in [token, other] {
        let mut visitor = grader.visitor().with_cookie(&cookie, Some(&token));
        let did = format!("a visit with the made-up cookie {cookie}={token}");
        creates_no_key(grader, &did, &mut visitor).await?;
    }
    Ok(())
}

/// Visits the home page, and checks that this creates no key.
async fn creates_no_key(grader: &Grader, did: &str, visitor: &mut crate::check::browser::Visitor) -> Judged {
    let before = grader.proxy()?.living_keys().await;
    let mut home = visitor.home().await;
    grader.settle(&mut home).await;
    let after = grader.proxy()?.living_keys().await;
    let used = home.keys();
    let created: Vec<Key> = used
        .into_iter()
        .filter(|key| after.contains_key(key) && !before.contains_key(key))
        .collect();
    match created.is_empty() {
        true => Ok(()),
        false => fails(
            did,
            "no new key",
            format!("created {}", shown_keys(&created)),
            &[&home],
        ),
    }
}

pub(super) async fn visit_without_cookie_creates_no_key(grader: &mut Grader) -> Judged {
    let mut visitor = grader.visitor();
    creates_no_key(grader, "a visit without a cookie", &mut visitor).await
}

pub(super) async fn any_access_refreshes_the_ttl(grader: &mut Grader) -> Judged {
    let mut user = grader.logged_in().await?;
    refreshes(grader, &mut user).await
}

/// What the app did while Redis did not answer.
#[derive(Clone)]
pub(crate) struct Silence {
    visit: Exchange,
    login: Exchange,
    /// Whether the login set a new session cookie.
    has_new_cookie: bool,
    /// How long the app took to work again, or `None` if it did not.
    recovered: Option<Duration>,
    last: Exchange,
}

/// Makes Redis silent, visits and logs in, and lets Redis come back; unless another check has done so.
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

pub(super) async fn login_waits_for_redis(grader: &mut Grader) -> Judged {
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

pub(super) async fn answers_while_redis_is_silent(grader: &mut Grader) -> Judged {
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

pub(super) async fn recovers_without_a_restart(grader: &mut Grader) -> Judged {
    let silence = silence(grader).await?;
    match silence.recovered {
        Some(_) => Ok(()),
        None => {
            let expected = format!("logins work within {} s", RECOVER_WITHIN.as_secs());
            let got = silence.last.http_lines().join("; ");
            fails(
                "Redis was silent, and answers again",
                expected,
                got,
                &[&silence.last],
            )
        }
    }
}

pub(super) async fn unavailable_is_503(grader: &mut Grader) -> Judged {
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

pub(super) async fn cut_login_leaves_nothing(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let cookie = grader.session_cookie().await?;
    let user = grader.logged_in().await?;
    let commands = user.login.data_commands().count();
    for cut in 1..=commands.min(MOST_CUTS) {
        let name = grader.name();
        let mut visitor = grader.visitor();
        let form = visitor.login_form(&name).await;
        let proxy = grader.proxy()?;
        let before = proxy.living_keys().await;
        proxy.cut_after(cut);
        let mut login = visitor.submit(&form).await;
        let was_cut = proxy.was_cut();
        grader.settle(&mut login).await;
        if !was_cut {
            continue;
        }
        let did = format!("a login, with the connection to Redis cut after command {cut} of {commands}");
        let after = grader.proxy()?.living_keys().await;
        let left: Vec<Key> = login
            .keys()
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

pub(super) async fn key_is_not_the_token(grader: &mut Grader) -> Judged {
    /// Shorter parts of a key are words.
    const SHORTEST: usize = 16;
    grader.proxy()?;
    let cookie = grader.session_cookie().await?;
    let mut user = grader.logged_in().await?;
    let home = grader.visit(&mut user).await?;
    let value = user.visitor.cookie(&cookie).unwrap_or_default();
    let value = percent_decode_str(&value).decode_utf8_lossy().into_owned();
    for key in home.keys() {
        let text = String::from_utf8_lossy(&key).into_owned();
        let mut parts = text.split([':', '/', '.']);
        if parts.any(|part| part.len() >= SHORTEST && value.contains(part)) {
            return fails(
                "a visit",
                "a key that cannot be computed into the cookie",
                format!("the key {text}"),
                &[&home],
            );
        }
    }
    Ok(())
}

pub(super) async fn logout_needs_a_post(grader: &mut Grader) -> Judged {
    stays_logged_in_after(
        grader,
        Cause::OtherSite,
        "followed a link on another site to the logout",
    )
    .await
}

pub(super) async fn prefetch_does_not_log_out(grader: &mut Grader) -> Judged {
    stays_logged_in_after(
        grader,
        Cause::Prefetch,
        "prefetched the logout link (Sec-Purpose: prefetch)",
    )
    .await
}

async fn stays_logged_in_after(grader: &mut Grader, cause: Cause, did: &str) -> Judged {
    let mut user = grader.logged_in().await?;
    grader.visit(&mut user).await?;
    let path = grader.pages().logout.clone();
    let logout = user.visitor.get(&path, cause).await;
    let home = user.visitor.home().await;
    match grader.shows_login(&home) {
        true => Ok(()),
        false => fails(did, "still logged in", "logged out", &[&logout, &home]),
    }
}

pub(super) async fn logout_deletes_the_cookie(grader: &mut Grader) -> Judged {
    let cookie = grader.session_cookie().await?;
    let mut user = grader.logged_in().await?;
    let before = user.visitor.cookie(&cookie);
    let logout = log_out(grader, &mut user).await?;
    match user.visitor.cookie(&cookie) {
        after if after.is_some() && after == before => fails(
            "logged out",
            "Set-Cookie that deletes the cookie",
            "the browser still has the cookie",
            &[&logout],
        ),
        _ => Ok(()),
    }
}

pub(super) async fn visit_without_cookie_sends_nothing(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let mut home = grader.visitor().home().await;
    grader.settle(&mut home).await;
    match home.data_commands().count() {
        0 => Ok(()),
        count => fails(
            "a visit without a cookie",
            "no Redis commands",
            format!("{count} commands"),
            &[&home],
        ),
    }
}

pub(super) async fn visit_without_cookie_needs_no_redis(grader: &mut Grader) -> Judged {
    let proxy = grader.proxy()?;
    proxy.go_down();
    let home = grader.visitor().home().await;
    proxy.come_back();
    // A client may wait before it connects again.
    let started = Instant::now();
    loop {
        match grader.logged_in().await {
            Ok(_) => break,
            Err(_) if started.elapsed() > RECOVER_WITHIN => break,
            Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
        }
    }
    match home.page().is_some_and(|page| page.status < 400) {
        true => Ok(()),
        false => fails(
            "a visit without a cookie, while Redis is down",
            "a page",
            home.http_lines().join("; "),
            &[&home],
        ),
    }
}

pub(super) async fn connections_are_reused(grader: &mut Grader) -> Judged {
    /// A pool may grow a little.
    const MOST_NEW: u64 = 3;
    const VISITS: u64 = 10;
    let mut user = grader.logged_in().await?;
    grader.visit(&mut user).await?;
    let before = grader.proxy()?.connections_opened();
    let mut last = None;
    for _ in 0..VISITS {
        last = Some(grader.visit(&mut user).await?);
    }
    let new = grader.proxy()?.connections_opened() - before;
    if new <= MOST_NEW {
        return Ok(());
    }
    let exchanges: Vec<&Exchange> = last.iter().collect();
    fails(
        format!("{VISITS} visits"),
        "connections are used again",
        format!("{new} new connections"),
        &exchanges,
    )
}

pub(super) async fn no_commands_over_all_keys(grader: &mut Grader) -> Judged {
    let names = ["KEYS", "SCAN", "FLUSHALL", "FLUSHDB", "RANDOMKEY"];
    let all = grader.proxy()?.since(0);
    let Some(bad) = all
        .into_iter()
        .find(|command| names.contains(&command.name().as_str()))
    else {
        return Ok(());
    };
    let got = bad.shown();
    let exchange = Exchange {
        hops: Vec::new(),
        commands: vec![bad],
        mark: 0,
    };
    fails(
        "all requests of this run",
        "no command over all keys",
        got,
        &[&exchange],
    )
}

pub(super) async fn value_is_not_a_pickle(grader: &mut Grader) -> Judged {
    grader.proxy()?;
    let mut user = grader.logged_in().await?;
    let home = grader.visit(&mut user).await?;
    // PROTO, the protocol's number, and at the end STOP.
    let is_pickle = |word: &Vec<u8>| matches!(word.as_slice(), [0x80, 2..=5, .., b'.']);
    for exchange in [&user.login, &home] {
        let mut writes = exchange
            .data_commands()
            .filter(|command| command.effect == Effect::Write);
        if let Some(bad) = writes.find(|command| command.words.iter().any(is_pickle)) {
            return fails(
                "a login and a visit",
                "a value in a format such as JSON",
                bad.shown(),
                &[exchange],
            );
        }
    }
    Ok(())
}

pub(super) async fn output_contains_no_token(grader: &mut Grader) -> Judged {
    /// Shorter values may be found by chance.
    const SHORTEST: usize = 16;
    let Some(app) = &grader.app else {
        return Err(not_judged(
            "the app was not started by this program, so its output is not known",
        ));
    };
    let output = app.output();
    let mut tokens = grader.tokens.iter().filter(|token| token.len() >= SHORTEST);
    match tokens.find(|token| output.contains(token.as_str())) {
        None => Ok(()),
        Some(token) => {
            let file = app.output_file().display();
            fails(
                "all requests of this run",
                "no token in the output",
                format!("{token} is in {file}"),
                &[],
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_counted_by_length_and_alphabet() {
        assert!(bits("4GZ4VGr6pVn-KbTYQ-jzN1oCkXZ9FQ4b9bbLlW2q0Aw", "x") >= 240.0);
        assert!(bits("0d8f7a3c-4b1e-4f6a-9a0b-1c2d3e4f5a6b", "f") >= 128.0);
        assert!(
            bits(
                "00000000000000000000000000000001",
                "00000000000000000000000000000002"
            ) < 8.0
        );
        assert!(bits("17954321", "2") < 128.0);
    }

    #[test]
    fn a_name_is_found_in_any_encoding() {
        for value in ["ada", "x%61da", "eyJ1c2VyIjoiYWRhIn0.sig", "616461"] {
            assert!(reveals(value, "ada"), "{value}");
        }
        assert!(!reveals("4GZ4VGr6pVn-KbTYQ-jzN1oCkXZ9FQ4b9bbLlW2q0Aw", "ada"));
    }
}
