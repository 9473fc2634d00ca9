//! Checks which sessions a logout ends, and which requests can cause a logout.

use super::super::stage1::log_out;
use crate::check::browser::Cause;
use crate::check::grader::Grader;
use crate::check::judged::{Judged, not_judged, require};
pub(crate) async fn logout_ends_the_session(grader: &mut Grader) -> Judged {
    let mut user = grader.logged_in().await?;
    grader.visit(&mut user).await?;
    let mut copy = user.visitor.clone();
    let logout = log_out(grader, &mut user).await?;
    let home = copy.home().await;
    require(
        !grader.shows_login(&home),
        "copied the cookie, logged out, and used the copy",
        "logged out",
        "the copy still works",
        [&logout, &home],
    )
}

pub(crate) async fn logout_needs_a_post(grader: &mut Grader) -> Judged {
    let did = "followed a link on another site to the logout";
    stays_logged_in_after(grader, Cause::OtherSite, did).await
}

pub(crate) async fn prefetch_does_not_log_out(grader: &mut Grader) -> Judged {
    let did = "prefetched the logout link (Sec-Purpose: prefetch)";
    stays_logged_in_after(grader, Cause::Prefetch, did).await
}

async fn stays_logged_in_after(grader: &mut Grader, cause: Cause, did: &str) -> Judged {
    let mut user = grader.logged_in().await?;
    grader.visit(&mut user).await?;
    let path = grader.pages().logout.clone();
    let logout = user.visitor.get(&path, cause).await;
    let home = grader.home(&mut user.visitor).await;
    let is_right = grader.shows_login(&home);
    match home.error() {
        Some(error) if !is_right => Err(not_judged(format!("a visit failed: {error}"))),
        _ => require(is_right, did, "still logged in", "logged out", [&logout, &home]),
    }
}

pub(crate) async fn logout_deletes_the_cookie(grader: &mut Grader) -> Judged {
    let cookie = grader.session_cookie().await?;
    let mut user = grader.logged_in().await?;
    let before = user.visitor.cookie(&cookie);
    let logout = log_out(grader, &mut user).await?;
    let after = user.visitor.cookie(&cookie);
    require(
        after.is_none() || after != before,
        "logged out",
        "Set-Cookie that deletes the cookie",
        "the browser still has the cookie",
        [&logout],
    )
}
