//! Checks which sessions a logout ends, and which requests can cause a logout.

use super::super::stage1::log_out;
use crate::check::browser::Cause;
use crate::check::grader::Grader;
use crate::check::judged::{Judged, fails, not_judged};
pub(crate) async fn logout_ends_the_session(grader: &mut Grader) -> Judged {
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

pub(crate) async fn logout_needs_a_post(grader: &mut Grader) -> Judged {
    stays_logged_in_after(
        grader,
        Cause::OtherSite,
        "followed a link on another site to the logout",
    )
    .await
}

pub(crate) async fn prefetch_does_not_log_out(grader: &mut Grader) -> Judged {
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
    let home = grader.home(&mut user.visitor).await;
    match (grader.shows_login(&home), home.error()) {
        (true, _) => Ok(()),
        (false, None) => fails(did, "still logged in", "logged out", &[&logout, &home]),
        (false, Some(error)) => Err(not_judged(format!("a visit failed: {error}"))),
    }
}

pub(crate) async fn logout_deletes_the_cookie(grader: &mut Grader) -> Judged {
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
