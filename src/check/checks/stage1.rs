//! Stage 1: the session is a signed cookie.

use url::Url;

use crate::check::browser::{Cause, Visitor};
use crate::check::exchange::Exchange;
use crate::check::forgery::{changed, truncated, with_other_name};
use crate::check::grader::{Grader, LoggedIn};
use crate::check::judged::{Judged, NotHeld, fails, not_judged, require};
use crate::check::page::Page;

/// The reason for a failure if the page shows the user's name but not the words "Logged in".
const OTHER_WORDS: &str = "The page shows the name, but not the words that `check` looks for. Write \"Logged in as \
                           NAME\", or set the pattern with --logged-in.";
/// The reason for a failure if Redis returned the user's name but the page does not show the name.
const UNUSED_REPLY: &str = "Redis has returned the name to the app, but the page does not show the name. Many \
                            client libraries return bytes instead of text, and in Python, b\"username\" is not \
                            equal to \"username\". In redis-py, set decode_responses=True; in other libraries, \
                            decode the fields (`sessiontut learn count-visits` shows how).";

/// The reason for a failure if the app responds with a status of 500 or more.
const SERVER_ERROR: &str = "The app responded with an error. The end of the app's output usually shows the reason, \
                            such as an exception.";
/// The reason for a failure if the app did not connect to Redis.
const NO_CONNECTION: &str = "The app has not connected to the Redis server that `check` uses. The app must use the \
                             address in the variable REDIS_URL.";
/// The reason for a failure if the app responds to the login with the redirect status 307 or 308.
const REPEATED_POST: &str = "After the status 307 or 308, a browser sends the POST again. Respond with 303, so \
                             that the browser opens the page with GET.";

pub(super) async fn routes_answer(grader: &mut Grader) -> Judged {
    let pages = grader.pages().clone();
    let mut visitor = grader.visitor();
    for path in [&pages.home, &pages.login, &pages.logout] {
        let exchange = visitor.get(path, Cause::OwnPage).await;
        let got = match &exchange.hops[exchange.hops.len() - 1].answer {
            Ok(page) if page.status < 400 => continue,
            // A JSON API may send these statuses to visitors who are not logged in.
            Ok(page) if path == &pages.home && [401, 403].contains(&page.status) => continue,
            // Some apps have no login page.
            Ok(page) if path == &pages.login && page.status == 405 => continue,
            Ok(page) if path == &pages.logout && page.may_be_for_post_only() => {
                let post = visitor.post_logout().await;
                let is_right = |page: &Page| !page.may_be_for_post_only();
                if post.first_page().is_some_and(is_right) {
                    continue;
                }
                return fails(
                    format!("sent GET {path}, then POST {path}, without a login"),
                    "a page, or a redirect to one",
                    got(&post),
                    [&exchange, &post],
                );
            }
            Ok(page) => page.shown(),
            Err(why) => why.clone(),
        };
        return fails(
            format!("sent GET {path}, without a login"),
            "a page, or a redirect to one",
            got,
            [&exchange],
        );
    }
    let exchange = visitor.home().await;
    require(
        !grader.shows_login(&exchange),
        "opened the home page without a login",
        "a page that shows no user",
        got(&exchange),
        [&exchange],
    )
}

pub(super) async fn login_leads_home(grader: &mut Grader) -> Judged {
    let name = grader.name();
    let mut visitor = grader.visitor();
    let login = visitor.log_in(&name).await;
    let did = format!("logged in as {name}");
    let Some(answer) = login.answer_to_form().filter(|page| page.status < 400) else {
        let failed = fails(did, "a redirect to the home page", got(&login), [&login]);
        return explain(failed, grader, &[&login], &name);
    };
    let is_redirect = (300..400).contains(&answer.status);
    let home = visitor.home().await;
    let wanted = grader.settings().url(&grader.pages().home);
    // If the home page redirects to a different page, the login may end on that page.
    let ends = [Some(&wanted), home.page().map(|page| &page.url)];
    let path = |url: &Url| url.path().trim_end_matches('/').to_owned();
    let end = login.page().map(|page| path(&page.url));
    let is_at_home = ends.iter().any(|url| url.map(path) == end);
    // A JSON API need not redirect. An app that responds to the login with the home page need not redirect
    // either.
    let is_page = !is_redirect && !answer.is_json() && !grader.shows_login(&login);
    if is_redirect && is_at_home && login.page().is_some_and(|page| page.status >= 400) {
        let failed = fails(did, "a home page after the redirect", got(&login), [&login]);
        return explain(failed, grader, &[&login], &name);
    }
    if (is_redirect && !is_at_home) || is_page {
        let expected = format!("a redirect to {}", wanted.path());
        let failed = fails(did, expected, got(&login), [&login]);
        return explain(failed, grader, &[&login], &name);
    }
    let expected = "the home page shows that the user is logged in (set the pattern with --logged-in)";
    let failed = require(
        grader.shows_login(&home),
        did,
        expected,
        got(&home),
        [&login, &home],
    );
    explain(failed, grader, &[&login, &home], &name)
}

/// If the last page or the exchanges suggest a more specific reason for a failure, adds that reason.
fn explain(failed: Judged, grader: &Grader, exchanges: &[&Exchange], name: &str) -> Judged {
    let page = exchanges.last().and_then(|exchange| exchange.page());
    let mut commands = exchanges.iter().flat_map(|exchange| &exchange.commands);
    let mut hops = exchanges.iter().flat_map(|exchange| &exchange.hops);
    let proxy = grader.site.proxy.as_ref();
    let needs_redis = grader.settings().stage >= 2;
    let is_unconnected = needs_redis && proxy.is_some_and(|proxy| proxy.connections_opened() == 0);
    let is_error = page.is_some_and(|page| page.status >= 500);
    let why = if page.is_some_and(|page| page.shows_name(name) && !page.is_logged_in(grader.pages())) {
        OTHER_WORDS
    } else if hops.any(|hop| matches!(&hop.answer, Ok(page) if [307, 308].contains(&page.status))) {
        REPEATED_POST
    } else if is_unconnected {
        NO_CONNECTION
    } else if is_error {
        SERVER_ERROR
    } else if commands.any(|command| command.reply_contains(name)) {
        UNUSED_REPLY
    } else {
        return failed;
    };
    match failed {
        Err(NotHeld::Fails(mut failure)) => {
            failure.why = Some(why);
            Err(NotHeld::Fails(failure))
        }
        other => other,
    }
}

fn got(exchange: &Exchange) -> String {
    match exchange.hops.last().map(|hop| &hop.answer) {
        Some(Ok(page)) => page.shown(),
        Some(Err(why)) => why.clone(),
        None => String::new(),
    }
}

pub(super) async fn name_is_shown_escaped(grader: &mut Grader) -> Judged {
    let mut user = grader.logged_in().await?;
    let home = user.visitor.home().await;
    if !grader.shows_user(&home, &user.name) {
        let failed = fails(
            "opened the home page after the login",
            format!("the name of the user: {}", user.name),
            got(&home),
            [&user.login, &home],
        );
        return explain(failed, grader, &[&user.login, &home], &user.name);
    }
    let tag = format!("<b id={}>", grader.name());
    let mut user = grader.logged_in_as(tag.clone()).await?;
    let home = user.visitor.home().await;
    let (did, both) = (format!("logged in as {tag}"), [&user.login, &home]);
    let Some(page) = home.page() else {
        return fails(did, "a home page", got(&home), both);
    };
    let is_html = page
        .headers_named("content-type")
        .any(|kind| kind.contains("html"));
    if is_html && page.body.contains(&tag) {
        let got = format!("{tag} as HTML");
        return fails(did, "the name as text: &lt;b …", got, both);
    }
    let is_right = page.shows_user(&tag, grader.pages());
    require(is_right, did, "the name, unchanged, as text", got(&home), both)
}

pub(super) async fn logout_logs_out(grader: &mut Grader) -> Judged {
    let mut user = grader.logged_in().await?;
    let home = grader.visit(&mut user).await?;
    let logout = user.visitor.log_out(&home).await;
    let after = user.visitor.home().await;
    if grader.shows_login(&after) {
        return fails(
            "logged in, logged out, and opened the home page again",
            "a page that shows no user",
            got(&after),
            [&home, &logout, &after],
        );
    }
    // The redirect must not lead to an error page, but a JSON API may respond with 401 or 403.
    let is_error = |page: &Page| page.status >= 500 || page.may_be_for_post_only();
    require(
        logout.is_accepted() && !logout.page().is_some_and(is_error),
        "logged out",
        "a redirect to the home page",
        got(&logout),
        [&logout],
    )
}

/// Logs out with the form or link on the home page.
pub(super) async fn log_out(grader: &Grader, user: &mut LoggedIn) -> Result<Exchange, NotHeld> {
    let home = grader.visit(user).await?;
    Ok(user.visitor.log_out(&home).await)
}

pub(super) async fn bad_cookies_are_ignored(grader: &mut Grader) -> Judged {
    let session = grader.session_cookies().await?;
    let user = grader.logged_in().await?;
    // The other user is logged in, because an app may know only such users. Both names have the same length.
    let other = format!("x{}", &user.name[1..]);
    grader.logged_in_as(other.clone()).await?;
    for (what, cookie, mut visitor) in forgeries(&user, &other) {
        let is_part_of_session = session.contains(&cookie);
        let sent = visitor.sent_cookies();
        let home = grader.home(&mut visitor).await;
        // An invalid value in another cookie, such as the language cookie, must not log in another user.
        let is_right = home.page().is_some_and(|page| match is_part_of_session {
            true => page.status < 500 && !page.is_logged_in(grader.pages()),
            false => !page.is_logged_in(grader.pages()) || page.shows_user(&user.name, grader.pages()),
        });
        if !is_right {
            let did = format!("opened the home page with a {what} value of {cookie} (Cookie: {sent})");
            let expected = match is_part_of_session {
                true => "a page that shows no user".to_owned(),
                false => format!("a page that shows {} or no user", user.name),
            };
            return fails(did, expected, got(&home), [&home]);
        }
    }
    Ok(())
}

/// Returns visitors with a forged cookie. Each visitor is preceded by the kind of forgery and the name of the
/// cookie.
fn forgeries(user: &LoggedIn, other: &str) -> Vec<(&'static str, String, Visitor)> {
    let cookies = user.visitor.cookies();
    let mut forgeries = Vec::new();
    for (cookie, value) in &cookies {
        for (what, forged) in [
            ("changed", Some(changed(value))),
            ("changed", with_other_name(value, &user.name, other)),
            ("truncated", Some(truncated(value))),
            ("made-up", Some(other.to_owned())),
            ("made-up", Some("j:{\"username\":\"ada\"}".to_owned())),
        ] {
            let Some(forged) = forged.filter(|forged| forged != value) else {
                continue;
            };
            forgeries.push((
                what,
                cookie.clone(),
                user.visitor.with_cookie(cookie, Some(&forged)),
            ));
            // If another cookie contains the signature, the app must not accept a value without this signature.
            if cookies.len() > 1 {
                forgeries.push((
                    what,
                    cookie.clone(),
                    user.visitor.with_only_cookie(cookie, &forged),
                ));
            }
        }
    }
    forgeries
}

/// Logs in, and returns the Set-Cookie header of each session cookie with the login. Most apps have only one
/// session cookie.
async fn set_cookies(grader: &mut Grader) -> Result<(Vec<String>, Exchange), NotHeld> {
    let cookies = grader.session_cookies().await?;
    let user = grader.logged_in().await?;
    let answers = user.login.hops.iter().filter_map(|hop| hop.answer.as_ref().ok());
    let headers: Vec<&str> = answers
        .flat_map(|page| page.headers_named("set-cookie"))
        .collect();
    let last_of = |cookie: &String| {
        let start = format!("{cookie}=");
        headers.iter().rfind(|header| header.starts_with(&start))
    };
    let headers: Vec<String> = cookies
        .iter()
        .filter_map(last_of)
        .map(|header| (*header).to_owned())
        .collect();
    match headers.is_empty() {
        false => Ok((headers, user.login)),
        true => Err(not_judged("the login sets no session cookie")),
    }
}

/// Checks that `is_right` accepts the Set-Cookie header of each session cookie.
async fn all_set(grader: &mut Grader, did: &str, expected: &str, is_right: impl Fn(&str) -> bool) -> Judged {
    let (headers, login) = set_cookies(grader).await?;
    match headers.into_iter().find(|header| !is_right(header)) {
        None => Ok(()),
        Some(header) => fails(did, expected, header, [&login]),
    }
}

/// Returns the values of an attribute of a Set-Cookie header, in lower case. An attribute without `=` has an
/// empty value.
fn attribute<'a>(header: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    header.split(';').skip(1).filter_map(move |attribute| {
        let (found, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        found
            .trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().to_ascii_lowercase())
    })
}

pub(super) async fn cookie_is_http_only(grader: &mut Grader) -> Judged {
    let is_right = |header: &str| attribute(header, "httponly").next().is_some();
    all_set(grader, "logged in", "Set-Cookie with HttpOnly", is_right).await
}

pub(super) async fn cookie_has_same_site(grader: &mut Grader) -> Judged {
    // `SameSite=None` protects no better than a missing attribute.
    let is_right =
        |header: &str| attribute(header, "samesite").any(|value| value == "lax" || value == "strict");
    all_set(
        grader,
        "logged in",
        "Set-Cookie with SameSite=Lax or Strict",
        is_right,
    )
    .await
}

pub(super) async fn cookie_path_is_root(grader: &mut Grader) -> Judged {
    let root = grader.settings().root().to_ascii_lowercase();
    let expected = format!(
        "Set-Cookie with Path={}",
        if root.is_empty() { "/" } else { &root }
    );
    let is_right = |header: &str| {
        attribute(header, "path")
            .last()
            .is_some_and(|path| path == "/" || path.trim_end_matches('/') == root)
    };
    all_set(grader, "logged in", &expected, is_right).await
}

pub(super) async fn cookie_is_secure(grader: &mut Grader) -> Judged {
    if grader.settings().base.scheme() != "https" {
        return Err(not_judged("the app does not use https"));
    }
    let is_right = |header: &str| attribute(header, "secure").next().is_some();
    all_set(grader, "logged in over https", "Set-Cookie with Secure", is_right).await
}

pub(super) async fn pages_are_not_stored(grader: &mut Grader) -> Judged {
    let mut user = grader.logged_in().await?;
    let home = grader.visit(&mut user).await?;
    let control = home.page().map(|page| page.headers_named("cache-control"));
    let control = control.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let got = match control.as_str() {
        "" => "no Cache-Control header",
        control => control,
    };
    require(
        ["no-store", "private", "no-cache"]
            .iter()
            .any(|word| control.contains(word)),
        "opened the home page after the login",
        "Cache-Control: no-store",
        got,
        [&home],
    )
}

pub(super) async fn second_login_changes_the_name(grader: &mut Grader) -> Judged {
    let mut user = grader.logged_in().await?;
    let first = grader.visit(&mut user).await?;
    let second = grader.name();
    let login = user.visitor.log_in(&second).await;
    let home = user.visitor.home().await;
    require(
        grader.shows_user(&home, &second) && !grader.shows_user(&home, &user.name),
        format!("logged in as {}, then as {second}", user.name),
        format!("the name {second}"),
        got(&home),
        [&first, &login, &home],
    )
}
