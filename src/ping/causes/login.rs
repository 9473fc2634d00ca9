//! Fixes for logins that fail, and for users without the necessary permissions.

use super::fix::{FixContext, Fixes, advise, shell_quoted};
use crate::ping::permissions::{Access, KEY_PATTERN};
use crate::sanitize;

pub(super) fn required(at: &FixContext) -> Fixes {
    let with_password = FixContext {
        has_password: true,
        ..at.clone()
    };
    if at.has_user_only {
        let with_user = FixContext {
            user: at.named_user.clone(),
            ..with_password.clone()
        };
        return advise(
            "password",
            "if the part of the URL before the @ is the password, give it as the password (this command asks for it)",
        )
        .command(with_password.ping_here(""))
        .and("password", "if it is a user name, add that user's password")
        .command(with_user.ping_here(""));
    }
    advise(
        "password",
        "set the password in the environment, where `ps` does not show it (this command asks for it)",
    )
    .command(with_password.ping_here(""))
    .and(
        "user",
        format!(
            "if the server has ACL users, its default user may be disabled: add the user name to the URL, as in {}",
            at.url_with_login("USER")
        ),
    )
}

pub(super) fn failed(at: &FixContext) -> Fixes {
    let without_user = FixContext {
        user: None,
        ..at.clone()
    };
    if at.user.is_some() && at.reply_contains("wrong number of arguments") {
        return advise(
            "user",
            "remove the user name: servers before Redis 6 have only a password",
        )
        .command(without_user.ping_here(""));
    }
    if at.has_iam_token {
        return advise(
            "token",
            "create a new IAM token and log in with it: a token can be used for a new login only while it is valid, and \
             only by the user and for the cache that it names",
        )
        .and("clock", "if the token should still be valid, check the clock of the host that created it");
    }
    if let Some((variable, is_newline)) = at.blank {
        return match variable {
            Some(name) if is_newline => {
                advise("password", format!("remove the newline at the end of {name}"))
                    .command(format!("export {name}=\"$(printf %s \"${name}\")\""))
            }
            Some(name) => advise("password", format!("remove the blank at the end of {name}")),
            None => advise(
                "password",
                "remove the blank at the end of the password in the URL (%0A, %0D or %20), and in the file or secret that \
                 it comes from",
            ),
        };
    }
    let enter = advise(
        "password",
        "try the password again (this command asks for it); in a URL, special characters must be percent-encoded",
    )
    .command(at.ping_here(""));
    let user = at.user.as_deref().unwrap_or("default");
    let elasticache = if at.is_aws {
        "; in ElastiCache, the user must be in the cache's user group"
    } else {
        ""
    };
    enter
        .and(
            "user",
            format!("as an administrator, check that the user exists and is enabled{elasticache}"),
        )
        .command(at.admin_cli(&format!("ACL GETUSER {}", quoted(user))))
}

pub(super) fn not_configured(at: &FixContext) -> Fixes {
    let without_login = FixContext {
        user: None,
        has_password: false,
        ..at.clone()
    };
    advise("password", "remove the password: this server does not require one")
        .command(without_login.ping_here(""))
        .and(
            "server",
            "if the server should have a password, set one (requirepass, or an ACL user): until then, every client can \
             use it",
        )
}

/// Grants exactly the permissions that are missing.
pub(super) fn no_permission(at: &FixContext) -> Fixes {
    let user = quoted(at.user.as_deref().unwrap_or("default"));
    let missing = &at.missing;
    let grant = |rules: &str| at.admin_cli(&format!("ACL SETUSER {user} {rules}"));
    let pattern = shell_quoted(KEY_PATTERN);
    let commands = missing.rules().join(" ");
    let line = match missing.keys {
        Access::Granted => grant(&commands),
        Access::Forbidden if commands.is_empty() => grant(&pattern),
        Access::Forbidden => grant(&format!("{pattern} {commands}")),
        // Redis refuses to add a pattern to `~*`, and then also rejects all other rules of the same command.
        Access::Unknown => format!("{}; {}", grant(&commands), grant(&pattern)),
    };
    let (line, whose) = if at.is_aws {
        // ElastiCache does not support ACL SETUSER.
        let keys = (missing.keys != Access::Granted).then(|| KEY_PATTERN.to_owned());
        let rules: Vec<String> = keys.into_iter().chain(missing.rules()).collect();
        let region = at.region.as_ref().map_or_else(String::new, |region| {
            format!(" --region {}", shell_quoted(region))
        });
        let line = format!(
            "aws elasticache modify-user{region} --user-id {user} --append-access-string {}",
            shell_quoted(&rules.join(" "))
        );
        (
            line,
            " (in ElastiCache; the id of the user may differ from its name)",
        )
    } else if missing.keys == Access::Unknown {
        (
            line,
            " (if the user may use all keys already, Redis refuses the second command)",
        )
    } else {
        (line, "")
    };
    let fixes = advise(
        "acl",
        format!("as an administrator, allow the user {}{whose}", missing.what()),
    )
    .command(line);
    let fixes = if missing.commands.iter().any(|name| name == "SELECT") {
        fixes
            .and("db", "or use database 0, which needs no SELECT")
            .command(FixContext { db: 0, ..at.clone() }.ping_here(""))
    } else {
        fixes
    };
    if at.is_managed() {
        return fixes.and(
            "acl",
            "or change the user in the provider's console, if it manages the users",
        );
    }
    fixes.and(
        "acl",
        "save the change on the server, on every node of a cluster: ACL SAVE if it has an aclfile, otherwise CONFIG \
         REWRITE",
    )
}

fn quoted(user: &str) -> String {
    shell_quoted(&sanitize::line(user))
}
