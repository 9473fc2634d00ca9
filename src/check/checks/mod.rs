//! The table of checks. Each check is an async function in one of the submodules.

mod stage1;
mod stage2;
mod stage3;
mod stage4;
mod waits;

use std::future::Future;
use std::pin::Pin;

use super::grader::Grader;
use super::judged::Judged;

#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) id: &'static str,
    /// A sentence that says what a correct app must do.
    pub(crate) title: &'static str,
    /// The tutorial's stage that the check belongs to, 1 to 4.
    pub(crate) stage: u8,
    pub(crate) kind: Kind,
    pub(crate) why: &'static str,
    /// The lesson section that explains the check, as `lesson#section`.
    pub(crate) lesson: &'static str,
    pub(crate) run: Run,
}

/// Whether a check is required or only advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Must,
    Advice,
}

type Run = for<'a> fn(&'a mut Grader) -> Pin<Box<dyn Future<Output = Judged> + 'a>>;

const fn check(
    stage: u8,
    kind: Kind,
    id: &'static str,
    title: &'static str,
    why: &'static str,
    lesson: &'static str,
    run: Run,
) -> Check {
    Check {
        id,
        title,
        stage,
        kind,
        why,
        lesson,
        run,
    }
}

use Kind::{Advice, Must};

/// All checks, in the order in which they run.
#[rustfmt::skip]
pub(crate) static CHECKS: &[Check] = &[
    check(1, Must, "routes-answer", "The home page, the login page and the logout page must all respond",
        "Every visitor needs these three routes.",
        "cookie-session#in-your-framework", |grader| Box::pin(stage1::routes_answer(grader))),
    check(1, Must, "login-leads-home", "The login must redirect to the home page, which must show that the user is \
                                        logged in",
        "After a redirect, reloading the page does not send the form again.",
        "cookie-session#in-your-framework", |grader| Box::pin(stage1::login_leads_home(grader))),
    check(1, Must, "name-is-shown-escaped", "The home page must show the user's name, and must show HTML in a name \
                                             as text",
        "If the app does not escape names, a user can choose a name that runs a script in the browsers of other users.",
        "cookie-session#in-your-framework", |grader| Box::pin(stage1::name_is_shown_escaped(grader))),
    check(1, Must, "logout-logs-out", "After the logout, the user must be logged out",
        "Other people may use the same browser later.",
        "cookie-session#in-your-framework", |grader| Box::pin(stage1::logout_logs_out(grader))),
    check(1, Must, "bad-cookies-are-ignored", "A changed, truncated or made-up cookie must not log a user in",
        "Visitors can change their cookies. If the app trusts a changed cookie, anyone can log in as any user.",
        "cookie-session#why-the-cookie-is-signed", |grader| Box::pin(stage1::bad_cookies_are_ignored(grader))),
    check(1, Must, "cookie-is-httponly", "The session cookie must be HttpOnly",
        "Scripts on the page cannot read an HttpOnly cookie, even if an attacker has injected them.",
        "session-store#two-time-limits-and-the-cookies-attributes", |grader| Box::pin(stage1::cookie_is_http_only(grader))),
    check(1, Must, "second-login-changes-the-name", "After a second login in the same browser, the home page must \
                                                     show the new name",
        "The user who logged in last must not see the data of the previous user.",
        "session-store#a-new-token-at-each-login", |grader| Box::pin(stage1::second_login_changes_the_name(grader))),
    check(1, Advice, "cookie-has-samesite", "The session cookie should have a SameSite attribute",
        "Without SameSite, some browsers also send the cookie with forms from other sites.",
        "session-store#two-time-limits-and-the-cookies-attributes", |grader| Box::pin(stage1::cookie_has_same_site(grader))),
    check(1, Advice, "cookie-path-is-root", "The session cookie should be valid for the whole app (Path=/)",
        "With any other path, the browser sends the cookie only to some pages of the app.",
        "session-store#two-time-limits-and-the-cookies-attributes", |grader| Box::pin(stage1::cookie_path_is_root(grader))),
    check(1, Advice, "cookie-is-secure", "If the app uses https, the session cookie should be Secure",
        "Without Secure, the browser also sends the cookie over http, where others on the network can read it.",
        "session-store#two-time-limits-and-the-cookies-attributes", |grader| Box::pin(stage1::cookie_is_secure(grader))),
    check(1, Advice, "pages-are-not-stored", "Pages for logged-in users should have Cache-Control: no-store or \
                                              private",
        "Otherwise, a shared cache can show the page to other people, and so can the back button after the logout.",
        "session-store#a-logout-that-works", |grader| Box::pin(stage1::pages_are_not_stored(grader))),

    check(2, Must, "visits-count-up", "The first visit must show 1, and the next two must show 2 and 3",
        "HINCRBY creates a missing key and field, adds 1 and returns the new number. So the first visit shows 1, and counting needs no other command.",
        "count-visits#count", |grader| Box::pin(stage2::visits_count_up(grader))),
    check(2, Must, "number-is-hincrbys-reply", "The number on the page must be the reply to HINCRBY",
        "If the app reads the number with a second command, another visit may change it in between.",
        "count-visits#count", |grader| Box::pin(stage2::number_is_the_reply(grader))),
    check(2, Must, "simultaneous-visits-all-count", "50 simultaneous visits must increase the number by exactly 50",
        "If the app reads the number, adds 1 and writes it back, two requests can read the same number, and one visit \
         is lost.",
        "count-visits#why-not-read-add-and-write", |grader| Box::pin(stage2::simultaneous_visits_all_count(grader))),
    check(2, Must, "two-names-two-counters", "Two names must have separate counters",
        "Each user needs a separate key.",
        "count-visits#a-hash-for-ada", |grader| Box::pin(stage2::two_names_two_counters(grader))),
    check(2, Must, "restarted-app-continues", "After a crash and a restart, the app must continue the count",
        "A count in the memory of the app is lost on every restart, and each process of the app has its own count.",
        "cookie-session#where-to-store-the-session", |grader| Box::pin(stage2::restarted_app_continues(grader))),
    check(2, Advice, "visit-is-one-round-trip", "A visit should take one round trip to Redis",
        "Each round trip adds the network's latency to every page.",
        "session-store#a-page-view-in-one-round-trip", |grader| Box::pin(stage2::visit_is_one_round_trip(grader))),
    check(2, Advice, "keys-have-a-prefix", "Keys should have a prefix",
        "The same Redis may also contain other data, for example of another app.",
        "count-visits#a-hash-for-ada", |grader| Box::pin(stage2::keys_have_a_prefix(grader))),
    check(2, Advice, "unusual-name-works", "A name of 64 unusual characters should work",
        "Many names contain characters outside ASCII, and clients may fail to decode them.",
        "count-visits#in-your-framework", |grader| Box::pin(stage2::unusual_name_works(grader))),

    check(3, Must, "visits-refresh-the-ttl", "Each visit must reset the TTL",
        "Otherwise, the count starts again while the user is still active.",
        "expire#a-visit-resets-the-ttl", |grader| Box::pin(stage3::visits_refresh_the_ttl(grader))),
    check(3, Must, "keys-have-a-ttl", "After each request, every key that the app has created must have a TTL",
        "Redis keeps a key without a TTL forever, so memory fills up.",
        "expire#a-key-without-a-ttl", |grader| Box::pin(stage3::keys_have_a_ttl(grader))),
    check(3, Must, "no-moment-without-a-ttl", "A key must never exist without a TTL, not even for a moment",
        "If the app crashes after the command that creates the key, but before EXPIRE, the key stays forever. If \
         EXPIRE comes first, it does nothing, because the key does not exist yet. In a MULTI transaction or a \
         script, Redis runs both commands or neither.",
        "expire#run-both-commands-together", |grader| Box::pin(stage3::no_moment_without_a_ttl(grader))),
    check(3, Must, "cut-visit-leaves-a-ttl", "If the connection breaks between two commands of a visit, every key \
                                              that the app has created must have a TTL",
        "Redis never deletes a key without a TTL.",
        "expire#run-both-commands-together", |grader| Box::pin(stage3::cut_visit_leaves_a_ttl(grader))),
    check(3, Must, "count-restarts-after-the-ttl", "After a pause that is longer than the TTL, the count must start at 1 again",
        "The TTL limits how long a session can be idle.",
        "expire#ten-seconds", |grader| Box::pin(waits::count_restarts_after_the_ttl(grader))),
    check(3, Advice, "ttl-in-the-same-round-trip", "The app should count a visit and set the TTL in one round trip",
        "Each round trip adds the network's latency to every page.",
        "expire#run-both-commands-together", |grader| Box::pin(stage3::ttl_in_the_same_round_trip(grader))),

    check(4, Must, "cookie-reveals-nothing", "The cookie must not contain the name, must differ at each login, and \
                                              must contain at least 128 random bits",
        "A token that can be guessed or computed lets others take over the session.",
        "session-store#why-a-name-is-not-enough", |grader| Box::pin(stage4::token::cookie_reveals_nothing(grader))),
    check(4, Must, "brought-token-is-not-adopted", "The app must not adopt a token that the client chose",
        "Otherwise, an attacker can set a token in the browser of a user, and use the same session after the user \
         logs in (session fixation).",
        "session-store#a-new-token-at-each-login", |grader| Box::pin(stage4::token::brought_token_is_not_adopted(grader))),
    check(4, Must, "login-changes-the-token", "The login must create a new token, and must end the session of the \
                                               old token",
        "Other people may know the old token, so it must not give access to the new session.",
        "session-store#a-new-token-at-each-login", |grader| Box::pin(stage4::token::login_changes_the_token(grader))),
    check(4, Must, "logout-ends-the-session", "After the logout, a copy of the cookie must no longer work",
        "Deleting the cookie in the browser does not end the session: a copy still works.",
        "session-store#a-logout-that-works", |grader| Box::pin(stage4::logout::logout_ends_the_session(grader))),
    check(4, Must, "held-request-revives-nothing", "A slow visit that reaches Redis only after the logout must not \
                                                    restore the session",
        "If the slow request creates the key of the session again, the user may be logged in again, or the key may \
         never be deleted.",
        "session-store#a-token-must-stay-invalid-after-the-logout", |grader| Box::pin(stage4::race::held_request_revives_nothing(grader))),
    check(4, Must, "made-up-token-leaves-no-key", "A request with a made-up token must not leave a key in Redis",
        "Otherwise, an attacker can fill the memory of Redis, or choose the token of a session.",
        "session-store#a-token-must-stay-invalid-after-the-logout", |grader| Box::pin(stage4::token::made_up_token_leaves_no_key(grader))),
    check(4, Must, "visit-without-cookie-creates-no-key", "A visit without a cookie must not create a key",
        "Bots and health checks send no cookie, so every one of their requests would create a session.",
        "session-store#the-store-in-your-framework", |grader| Box::pin(stage4::store::visit_without_cookie_creates_no_key(grader))),
    check(4, Must, "any-access-refreshes-the-ttl", "Each visit must reset the TTL of the session",
        "The TTL limits how long a session can be idle, so every visit must reset the TTL.",
        "session-store#two-time-limits-and-the-cookies-attributes", |grader| Box::pin(stage4::store::any_access_refreshes_the_ttl(grader))),
    check(4, Must, "active-visitor-stays-logged-in", "A user who keeps visiting must stay logged in for longer \
                                                      than the TTL",
        "If the cookie has a Max-Age or Expires, each visit must renew the cookie too. Otherwise, the browser \
         deletes the cookie.",
        "session-store#two-time-limits-and-the-cookies-attributes", |grader| Box::pin(waits::active_visitor_stays_logged_in(grader))),
    check(4, Must, "session-ends-after-the-ttl", "After a pause that is longer than the TTL, the user must be logged out",
        "Other people may use the same browser later, for example on a public computer.",
        "session-store#two-time-limits-and-the-cookies-attributes", |grader| Box::pin(waits::session_ends_after_the_ttl(grader))),
    check(4, Must, "login-waits-for-redis", "The login must succeed only after Redis has stored the session",
        "Otherwise, the user gets a cookie without a session, and is logged out on the next page.",
        "session-store#the-store-in-your-framework", |grader| Box::pin(stage4::outage::login_waits_for_redis(grader))),
    check(4, Must, "answers-while-redis-is-silent", "If Redis does not reply, the app must still respond within 5 s",
        "A Redis client without a timeout waits forever. A client that repeats a failed command waits again for \
         each attempt (redis-py tries up to 11 times). Soon all workers of the app are waiting, and no page works. \
         Set short timeouts, and turn off automatic retries.",
        "troubleshooting#no-timeout", |grader| Box::pin(stage4::outage::answers_while_redis_is_silent(grader))),
    check(4, Must, "recovers-without-a-restart", "When Redis is back, the app must work again without a restart",
        "Redis servers are sometimes restarted or replaced. The app must then connect again by itself.",
        "in-production#failover", |grader| Box::pin(stage4::outage::recovers_without_a_restart(grader))),
    // This check cuts connections, so it runs after the check that the app reconnects.
    check(4, Advice, "lost-reply-is-not-repeated", "A visit should be counted only once, even if the reply of \
                                                    Redis is lost",
        "If the connection breaks after Redis has counted the visit, a client library that repeats commands counts \
         it twice. Turn off automatic retries for commands that change a number.",
        "count-visits#what-a-retry-does-to-a-counter", |grader| Box::pin(stage4::outage::lost_reply_is_not_repeated(grader))),
    check(4, Must, "cut-login-leaves-nothing", "If the connection breaks between two commands of a login, an \
                                                incomplete session must not remain",
        "A session without a TTL stays forever, and a session without a user may confuse the app.",
        "session-store#store-a-digest-of-the-token", |grader| Box::pin(stage4::outage::cut_login_leaves_nothing(grader))),
    check(4, Advice, "key-is-not-the-token", "The key should not be the token itself",
        "If the key is a digest of the token, a person who can read the keys still cannot use the session.",
        "session-store#store-a-digest-of-the-token", |grader| Box::pin(stage4::token::key_is_not_the_token(grader))),
    check(4, Advice, "session-has-a-maximum-lifetime", "A session should end at its maximum lifetime, even if it is \
                                                        in use",
        "A stolen token must not work forever.",
        "session-store#two-time-limits-and-the-cookies-attributes", |grader| Box::pin(waits::session_has_a_maximum_lifetime(grader))),
    check(4, Advice, "logout-needs-a-post", "A link on another site should not log the user out",
        "If a GET request logs the user out, any page can end the session with an image or a link. Use a form that \
         sends POST; GET /logout can then respond with 404 or 405. The example app accepts both methods, but \
         ignores a GET request that comes from another site.",
        "session-store#a-logout-that-works", |grader| Box::pin(stage4::logout::logout_needs_a_post(grader))),
    check(4, Advice, "prefetch-does-not-log-out", "A prefetch of the logout link should not log the user out",
        "Browsers load some pages in advance (prefetch). Such a request must not change anything, because the user \
         did not make it.",
        "session-store#a-logout-that-works", |grader| Box::pin(stage4::logout::prefetch_does_not_log_out(grader))),
    check(4, Advice, "logout-deletes-the-cookie", "Logout should delete the cookie",
        "The old token is invalid, but as long as the browser sends it, the app looks it up in Redis on every visit.",
        "session-store#a-logout-that-works", |grader| Box::pin(stage4::logout::logout_deletes_the_cookie(grader))),
    check(4, Advice, "unavailable-is-503", "If Redis does not answer, the app should respond with 503, not 500",
        "The status 503 tells load balancers and clients that they can try again later.",
        "in-production#failover", |grader| Box::pin(stage4::outage::unavailable_is_503(grader))),
    check(4, Advice, "visit-without-cookie-sends-nothing", "A visit without a cookie should send nothing to Redis",
        "There is nothing to look up.",
        "session-store#the-store-in-your-framework", |grader| Box::pin(stage4::store::visit_without_cookie_sends_nothing(grader))),
    check(4, Advice, "visit-without-cookie-needs-no-redis", "A visit without a cookie should work while Redis is \
                                                             down",
        "Public pages should not depend on the session store.",
        "session-store#the-store-in-your-framework", |grader| Box::pin(stage4::outage::visit_without_cookie_needs_no_redis(grader))),
    check(4, Advice, "connections-are-reused", "Connections to Redis should be reused",
        "A new connection for each request takes several round trips, and Redis accepts only a limited number of \
         connections.",
        "troubleshooting#the-pool-is-empty", |grader| Box::pin(stage4::store::connections_are_reused(grader))),
    check(4, Advice, "no-commands-over-all-keys", "No request should use KEYS, SCAN or FLUSHALL",
        "These commands process all keys, and are slow in a large Redis. FLUSHALL also deletes the data of other \
         applications.",
        "in-production#how-much-memory", |grader| Box::pin(stage4::store::no_commands_over_all_keys(grader))),
    check(4, Advice, "value-is-not-a-pickle", "The stored value should not be a Python pickle",
        "Loading a pickle runs the code that the pickle contains, so anyone who can write to Redis could control the \
         app.",
        "session-store#why-not-load-and-save-the-whole-session", |grader| Box::pin(stage4::store::value_is_not_a_pickle(grader))),
    check(4, Advice, "output-contains-no-token", "The app's output should not contain a token",
        "Many people and programs can read logs.",
        "session-store#store-a-digest-of-the-token", |grader| Box::pin(stage4::token::output_contains_no_token(grader))),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::golden::assert_golden;

    #[test]
    fn ids_are_unique_and_stages_are_in_order() {
        let ids: HashSet<&str> = CHECKS.iter().map(|check| check.id).collect();
        assert_eq!(ids.len(), CHECKS.len());
        assert!(CHECKS.is_sorted_by_key(|check| check.stage));
    }

    #[test]
    fn wording_of_the_checks() {
        let shown = CHECKS.iter().map(|check| {
            let kind = match check.kind {
                Must => "must",
                Advice => "advice",
            };
            let (id, title, why, lesson) = (check.id, check.title, check.why, check.lesson);
            format!("{} {kind} {id}\n  {title}\n  {why}\n  {lesson}\n", check.stage)
        });
        assert_golden("check/checks.txt", &shown.collect::<String>());
    }

    #[test]
    fn every_lesson_and_its_section_exist() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lessons");
        let mut sections = HashSet::new();
        for file in fs::read_dir(folder).unwrap().flatten() {
            let name = file.file_name().into_string().unwrap();
            let lesson = name
                .trim_end_matches(".md")
                .trim_start_matches(|digit: char| digit.is_ascii_digit() || digit == '-');
            let text = fs::read_to_string(file.path()).unwrap();
            for heading in text.lines().filter_map(|line| line.strip_prefix("## ")) {
                let heading = heading.to_lowercase().replace('\'', "");
                let words = heading
                    .split(|letter: char| !letter.is_alphanumeric())
                    .filter(|word| !word.is_empty());
                sections.insert(format!("{lesson}#{}", words.collect::<Vec<_>>().join("-")));
            }
        }
        for check in CHECKS {
            assert!(sections.contains(check.lesson), "{}: {}", check.id, check.lesson);
        }
    }
}
