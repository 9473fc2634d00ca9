//! The verdict on a log-in that was not granted.

use super::Blame;
use super::foreign::quoted;
use super::ping::unusable;
use crate::ping::causes::Cause;
use crate::ping::observation::Observations;
use crate::ping::response::Response;
use crate::redis_url::Target;
use crate::sanitize;

/// What an answer to AUTH other than OK means.
pub(super) fn judge(target: &Target, heard: &Response, seen: &Observations) -> Blame {
    let shown = heard.without(target.password.as_ref());
    // Judged as it was said: "no password is set" is no less true where the password is "password".
    let (Some(error), Some(said)) = (heard.error(), shown.error()) else {
        return unusable(&shown, "AUTH", seen);
    };
    let lower = error.to_lowercase();
    // Protected mode says "no password is set" as well, and is the greater truth.
    let is_denied = error.starts_with("DENIED");
    if !is_denied
        && (lower.contains("without any password configured") || lower.contains("no password is set"))
    {
        return Blame::proved(
            Cause::AuthNotConfigured,
            "the URL has a password, and the server has none set",
        )
        .because(quoted("AUTH", &said));
    }
    if lower.contains("unknown command") {
        return Blame::proved(
            Cause::AuthNotConfigured,
            "the URL has a password, and the server knows no log-in",
        )
        .because(quoted("AUTH", &said));
    }
    if target.user.is_some() && lower.contains("wrong number of arguments") {
        return Blame::proved(
            Cause::AuthFailed,
            "the server takes a password alone, and the URL names a user too",
        )
        .because(quoted("AUTH", &said))
        .because("servers before Redis 6 know no users: leave the name out, as in redis://:PASSWORD@HOST");
    }
    if error.starts_with("WRONGPASS")
        || lower.contains("invalid password")
        || lower.contains("invalid username")
    {
        let user = target.user.as_deref().map_or_else(
            || "the default user".into(),
            |user| format!("the user {}", sanitize::line(user)),
        );
        let mut blame = Blame::proved(
            Cause::AuthFailed,
            format!("the server does not accept the password for {user}"),
        )
        .because(quoted("AUTH", &said))
        .because("a wrong user name, a wrong password and a user that is switched off are answered alike");
        if target
            .password
            .as_ref()
            .is_some_and(|password| password.reveal().contains("/?Action=connect"))
        {
            blame = blame.because("the password is an IAM token: it lives for 15 minutes");
        }
        return blame;
    }
    unusable(&shown, "AUTH", seen)
}
