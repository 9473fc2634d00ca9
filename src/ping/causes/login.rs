//! Suggests fixes for failed logins, and for users without the necessary permissions.

use super::commands::{ADMIN_LOGIN, shell_quoted, url_with_login};
use super::fix::{Fixes, advise};
use super::fix_context::FixContext;
use super::knows_no_users;
use crate::ping::conclusions::{AccessToken, SuspiciousForm, is_iam_token, suspicious_form};
use crate::ping::permissions::{Access, KEY_PATTERN, NO_DATABASE};
use crate::redis_url::{Target, UrlWarning, invisible};
use crate::secret::Secret;

pub(super) fn required(at: &FixContext) -> Fixes {
    if at.is_about_sentinel() {
        return sentinel_password();
    }
    let with_password = |user: Option<String>| {
        at.ping_to(|target| {
            target.user.clone_from(&user);
            target.password = Some(Secret::new("PASSWORD"));
        })
    };
    if at.target.warnings.contains(&UrlWarning::UserWithoutPassword) {
        if at.reads_variables() {
            return advise("password", "also set REDIS_PASSWORD to the password of the user")
                .command(with_password(at.target.user.clone()));
        }
        // A command for the second case would show the user name, which is a password in the first case.
        return advise(
            "password",
            "if the part of the URL before the @ is the password, put a colon before it",
        )
        .try_command(at, with_password(None))
        .and(
            "password",
            format!(
                "if the part before the @ is a user name, add a colon and the user's password after it: {}",
                url_with_login(at.target, "USER:PASSWORD")
            ),
        );
    }
    let (url, with_user) = (
        url_with_login(at.target, ":PASSWORD"),
        url_with_login(at.target, "USER:PASSWORD"),
    );
    let source = if at.provider().is_some() {
        "see the provider's console"
    } else {
        "requirepass in redis.conf on the Redis host"
    };
    let text = format!(
        "log in with the password ({source}). The following command asks for the password, so that other users \
         cannot see it in `ps`. If the login works, add the percent-encoded password to the application's \
         REDIS_URL: {url}"
    );
    advise("password", text)
    .command(with_password(None))
    .and(
        "user",
        format!(
            "if the default user of the server is disabled, use the name and password of another user: {with_user}"
        ),
    )
}

/// Suggests the password of a Sentinel that requires a login. The login of a Sentinel URL belongs to the
/// primary.
fn sentinel_password() -> Fixes {
    advise(
        "sentinel-password",
        "add the password of the Sentinels (requirepass in sentinel.conf) to the end of the URL, percent-encoded: \
         ?sentinel_password=PASSWORD. The password before the @ is for the primary. `ping` uses it for a Sentinel too, \
         but only if the URL contains no other password for the Sentinels",
    )
}

pub(super) fn failed(at: &FixContext) -> Fixes {
    let target = at.target;
    if at.is_about_sentinel() {
        return sentinel_password();
    }
    if target.user.is_some() && at.reply_contains("wrong number of arguments") {
        return advise(
            "user",
            "remove the user name: servers older than Redis 6 accept only a password",
        )
        .try_command(at, at.ping_to(|target| target.user = None));
    }
    let password = target.password.as_ref().map_or("", Secret::reveal);
    if is_iam_token(password) {
        return rejected_token();
    }
    if AccessToken::read(password).is_some() {
        return advise(
            "token",
            "get a new access token, and log in with it. Such a token is valid for a limited time, usually one hour, so \
             the application must get a new token before each login",
        )
        .and(
            "user",
            "if the token is still valid, check the user name in the URL. It must be the name that the provider uses \
             for the token's identity (Microsoft Entra ID: the object ID)",
        );
    }
    let form = blank_at_end(target, password).or_else(|| written_wrongly(password));
    let place = match target.password_variable {
        Some(name) => format!("the variable {name}, where nothing is percent-encoded"),
        None => "the application's REDIS_URL, where special characters must be percent-encoded exactly once"
            .into(),
    };
    let text = format!(
        "try the password again with the following command, which asks for it. Do not percent-encode the password \
         here. If the login works, correct the password in {place}"
    );
    let enter = advise("password", text).command(at.ping(""));
    let elasticache = if at.is_aws() {
        ". In ElastiCache, the user must also be in the cache's user group"
    } else {
        ""
    };
    let user = user(at);
    let check = if at.provider().is_some() && !at.is_aws() {
        advise(
            "user",
            format!("in the provider's console, check that the user {user} exists and is enabled"),
        )
    } else {
        advise(
            "user",
            format!(
                "as an administrator, check that the user {user} exists, and that its flags contain \"on\", not \
                 \"off\"{elasticache}. {ADMIN_LOGIN}"
            ),
        )
        .command(at.admin_cli(&[format!("ACL GETUSER {user}")]))
    };
    if target.user.is_none() {
        if at.reply.is_some_and(knows_no_users) {
            return enter
                .and(
                    "proxy",
                    "if a proxy is listening on the port, log in with the password that is set in the configuration \
                     of the proxy (twemproxy: redis_auth). This password may differ from the password of Redis",
                )
                .after(form);
        }
        return enter
            .and(
                "user",
                "if the password belongs to another user, put the name of that user before the password in the URL \
                 (USER:PASSWORD@)",
            )
            .and_all(check)
            .after(form);
    }
    let enable = at.provider().is_none().then(|| {
        advise(
            "user",
            "if the flags contain \"off\", enable the user (again as an administrator)",
        )
        .command(at.change_user(&user, "on"))
    });
    let without_name = (target.user.as_deref() != Some("default")).then(|| {
        advise(
            "user",
            "if the password belongs to the default user (requirepass), remove the user name from the URL",
        )
        .try_command(at, at.ping_to(|target| target.user = None))
    });
    if at.provider().is_some() && !at.is_aws() {
        // These providers do not allow ACL commands, and many of them do not support ACL users.
        return enter.after(Some(check)).after(without_name).after(form);
    }
    check
        .and_all(enable)
        .and_all(without_name)
        .and_all(enter)
        .after(form)
}

/// Suggests a fix if the password looks wrong, for example because it is in quotes.
fn written_wrongly(password: &str) -> Option<Fixes> {
    let text = match suspicious_form(password)? {
        SuspiciousForm::Quoted => {
            "remove the quotes around the password, unless they are part of the password: a shell removes quotes, \
             but docker --env-file and Kubernetes keep them"
        }
        SuspiciousForm::Missing => {
            "set the variable that should contain the password: if a variable has no value, programs in \
             JavaScript, Python and other languages write a word such as null, None or undefined instead"
        }
        SuspiciousForm::Base64 => {
            "decode the password (base64 -d): kubectl get secret -o yaml, for example, shows secrets in base64"
        }
    };
    Some(advise("password", text))
}

/// Suggests fixes for an IAM token that the server rejects.
fn rejected_token() -> Fixes {
    advise(
        "token",
        "create a new IAM token and log in with it. A token works only for a limited time, and only for the user \
         and the cache that it names",
    )
    .and("clock", "if the token should still be valid, check the clock of the host that created it")
    .and(
        "permission",
        "if a new token is not accepted either, check the IAM user or role that signed the token. This IAM user or \
         role needs the permission elasticache:Connect (or memorydb:Connect) for both the cache and the user",
    )
}

/// Suggests a fix if the password ends with an invisible character, such as a newline.
fn blank_at_end(target: &Target, password: &str) -> Option<Fixes> {
    password.chars().last().and_then(invisible).map(|(blank, escape)| {
        match target.password_variable {
            Some(name) if password.ends_with('\n') => {
                advise("password", format!("remove the newline at the end of {name}"))
                    .command(format!("export {name}=\"$(printf %s \"${name}\")\""))
            }
            Some(name) => advise("password", format!("remove the {blank} at the end of {name}")),
            None => advise(
                "password",
                format!(
                    "remove the {blank} at the end of the password, in the URL ({escape}) and in the file or \
                     secret that contains the password. To write such a file, use printf %s, because echo adds a \
                     newline"
                ),
            ),
        }
    })
}

pub(super) fn not_configured(at: &FixContext) -> Fixes {
    let without = at.ping_to(|target| target.password = None);
    let remove = match at.target.password_variable {
        Some(name) => advise(
            "password",
            format!("unset {name}, which contains the password: this server does not require one"),
        )
        .command(without),
        None => advise(
            "password",
            "remove the password: this server does not require one",
        )
        .try_command(at, without),
    };
    remove.and(
        "server",
        "or, if you want the server to require a password, set one on the server (requirepass or an ACL user). \
         Until then, any client can use the server",
    )
}

/// Suggests fixes for a Sentinel at which the user is not allowed to ask for the primary.
fn no_sentinel_permission(at: &FixContext) -> Fixes {
    let user = user(at);
    let command = format!("ACL SETUSER {user} '+sentinel|get-master-addr-by-name'");
    let text =
        format!("as an administrator of the Sentinel, allow the user to ask for the primary. {ADMIN_LOGIN}");
    advise("acl", text)
    .command(at.admin_cli(&[command]))
    .and(
        "acl",
        "then make the same change on the other Sentinels, and save it on every Sentinel: if a Sentinel has an \
         aclfile, use ACL SAVE; otherwise, use SENTINEL FLUSHCONFIG",
    )
}

/// Suggests fixes that grant exactly the missing permissions.
pub(super) fn no_permission(at: &FixContext) -> Fixes {
    if at.is_about_sentinel() {
        return no_sentinel_permission(at);
    }
    let user = user(at);
    if at.reply_contains(NO_DATABASE) {
        return advise(
            "acl",
            format!(
                "as an administrator, check which databases the user may use. {ADMIN_LOGIN}. To allow other \
                 databases, write the complete list in one rule of ACL SETUSER, such as db=0,3: the rule replaces \
                 the old list"
            ),
        )
        .command(at.admin_cli(&[format!("ACL GETUSER {user}")]))
        .and("db", "or put the number of a database that the user may use at the end of the URL");
    }
    let missing = at.missing();
    let pattern = shell_quoted(KEY_PATTERN);
    let commands = missing.rules().join(" ");
    let grants = match missing.keys {
        Access::Granted => vec![commands],
        Access::Forbidden if commands.is_empty() => vec![pattern],
        Access::Forbidden => vec![format!("{pattern} {commands}")],
        // If the user already has `~*`, Redis rejects a command with another key pattern, including all other
        // rules in the command.
        Access::Unknown => vec![commands, pattern],
    };
    let grants: Vec<String> = grants
        .iter()
        .map(|rules| format!("ACL SETUSER {user} {rules}"))
        .collect();
    let line = at.admin_cli(&grants);
    let (line, note) = if at.is_aws() {
        // ElastiCache does not support ACL SETUSER.
        let keys = (missing.keys != Access::Granted).then(|| KEY_PATTERN.to_owned());
        let rules: Vec<String> = keys.into_iter().chain(missing.rules()).collect();
        let region = at.region_option();
        let line = format!(
            "aws elasticache modify-user{region} --user-id {user} --append-access-string {}",
            shell_quoted(&rules.join(" "))
        );
        (
            line,
            ". In ElastiCache, the ID of a user can differ from the user's name, so check --user-id"
                .to_owned(),
        )
    } else if missing.keys == Access::Unknown {
        let refused = "If the user already has access to all keys, the second ACL SETUSER fails; you can ignore \
                       this error";
        (line, format!(". {ADMIN_LOGIN}. {refused}"))
    } else {
        (line, format!(". {ADMIN_LOGIN}"))
    };
    let text = format!("as an administrator, grant the user the missing permissions{note}");
    let grant = advise("acl", text).command(line);
    let grant = if at.provider().is_some() {
        grant.and(
            "acl",
            "or, if you manage users in the provider's console, change the user's permissions there",
        )
    } else {
        grant.and(
            "acl",
            "then save the change: if the server has an aclfile, use ACL SAVE; otherwise, use CONFIG REWRITE. In a \
             cluster, make and save the change on every node",
        )
    };
    let needs_select = missing.commands.iter().any(|name| name == "SELECT");
    grant.and_all(needs_select.then(|| {
        advise("db", "or use database 0, for which SELECT is not needed")
            .try_command(at, at.ping_to(|target| target.db = 0))
    }))
}

/// Returns the user name of the login, quoted for a shell. This is `default` if the target has no user name
/// or no password.
pub(super) fn user(at: &FixContext) -> String {
    let user = at.target.user.as_deref().filter(|_| at.target.password.is_some());
    shell_quoted(user.unwrap_or("default"))
}
